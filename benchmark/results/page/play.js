"use strict";
// Galleries: all clips of one start together and are held together.
for (const gallery of document.querySelectorAll(".gallery")) {
  const videos = [...gallery.querySelectorAll("video")];
  const controls = gallery.querySelector(".controls");
  controls.hidden = false;
  const together = (time) => videos.forEach((video) => { video.currentTime = time; });
  controls.querySelector(".play").addEventListener("click", () => {
    together(0);
    videos.forEach((video) => video.play());
  });
  controls.querySelector(".stop").addEventListener("click", () => {
    videos.forEach((video) => video.pause());
    together(videos[0].currentTime);
  });
  videos[0].addEventListener("timeupdate", () => {
    for (const video of videos.slice(1)) {
      const apart = Math.abs(video.currentTime - videos[0].currentTime);
      if (!video.paused && apart > 0.15) video.currentTime = videos[0].currentTime;
    }
  });
}
// Tables: one stop for Tab each, arrow keys within.
for (const table of document.querySelectorAll("table.values")) {
  const rows = [...table.rows]
    .map((row) => [...row.querySelectorAll("td[tabindex]")])
    .filter((row) => row.length);
  rows.flat().slice(1).forEach((cell) => { cell.tabIndex = -1; });
  table.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const y = rows.findIndex((row) => row.includes(event.target));
    if (!step || y < 0) return;
    const next = rows[y + step[0]]?.[rows[y].indexOf(event.target) + step[1]];
    if (!next) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}
