"""Estimators for tests, importable by worker processes, and stores for them to work on."""

import contextlib
import hashlib
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from datasets.estimators import ClipVideo, Estimate, EstimateError, EstimatorUnavailable
from datasets.motion import Camera, Motion
from datasets.pseudo_gt.estimate_store import Extraction, estimate_store
from datasets.sequence import Clip
from datasets.store.reader import ClipStore
from datasets.store.writer import ClipStoreWriter
from datasets.tools.workers.spread import Executor
from datasets.video.pad_resize import PadResize

T = 5
FPS = 25.0


def clip_name(number):
    return f"test/test/s{number:05d}/none/0/000000"


def build_store(path, count, *, cameras=True, without_video=(), people=None, num_frames=T):
    """A store of `count` clips whose videos are a few bytes each: nothing here decodes them.

    `people` is clip number -> num_people.
    """
    rng = np.random.default_rng(0)
    resize = PadResize(1920, 1080, 512)
    with ClipStoreWriter(path, num_frames=num_frames) as writer:
        for number in range(count):
            name = clip_name(number)
            video = None
            if number not in without_video:
                video = Path(path) / "videos" / f"{name}.mp4"
                video.parent.mkdir(parents=True)
                video.write_bytes(f"video {number}".encode())
            view = None
            if cameras:
                K = np.tile(np.diag([500.0 + number, 500.0, 1]), (num_frames, 1, 1))
                T_w2c = np.tile(np.eye(4), (num_frames, 1, 1))
                T_w2c[:, 0, 3] = np.arange(num_frames) * (number % 2)  # every other one moves
                view = Camera(K, T_w2c, 512, 512)
            writer.add(
                Clip(
                    clip_id=name,
                    dataset="test",
                    sequence=f"s{number:05d}",
                    split="test" if number % 3 else "train",
                    frame_ids=np.arange(num_frames) + number,
                    valid=np.ones(num_frames, bool),
                    fps=FPS,
                    group=f"g{number // 2}",
                    view=view,
                    world_motion=motion(number, "world", num_frames=num_frames),
                    native={"pose": rng.normal(size=(num_frames, 7)), "who": np.array("ü, 'x'")},
                    native_frames=frozenset({"pose"}),
                    pelvis_rest=np.array([0.0, -0.3, 0.0]),
                    resize=None if video is None else resize,
                    video=video,
                    num_people=(people or {}).get(number, 1),
                )
            )
        writer.close({"name": Path(path).name, "dataset": "test", "split_rule": "official"})
    return ClipStore.open(path)


def motion(seed, space, *, num_frames=T, fps=FPS, gender="neutral"):
    rng = np.random.default_rng(seed)
    pose, betas = rng.normal(size=(num_frames, 63)), rng.normal(size=10)
    shift = {"camera": 0, "world": 1}[space]
    return Motion(
        body_pose=pose,
        global_orient=rng.normal(size=(num_frames, 3)) + shift,
        betas=betas,
        transl=rng.normal(size=(num_frames, 3)) + shift,
        fps=fps,
        space=space,
        gender=gender,
    )


@dataclass(frozen=True)
class Scripted:
    """Random motion that depends on the clip alone, and what goes wrong by clip number.

    Attributes:
        log: folder in which every estimate that is begun leaves a line.
        script: clip number -> what happens; see `_Session`.
        seconds: that a clip takes.
        version: part of the identity.
        start_fails: ``unavailable``, ``killed`` or an empty string.
    """

    log: Path
    script: dict[int, str] = field(default_factory=dict)
    seconds: float = 0.0
    version: str = "1"
    start_fails: str = ""
    name: str = "scripted"
    note: str = "random numbers"

    def identity(self):
        return {"version": self.version}

    @contextlib.contextmanager
    def start(self, device):
        if self.start_fails == "unavailable":
            raise EstimatorUnavailable("no weights: get them at https://example.org")
        if self.start_fails == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        (self.log / "starts").open("a").write(f"{os.getpid()} {device}\n")
        yield _Session(self)

    def estimates(self):
        """How often each clip number was begun."""
        file = self.log / "estimates"
        return Counter(map(int, file.read_text().split())) if file.exists() else Counter()

    def pids(self):
        return [int(line.split()[0]) for line in (self.log / "starts").read_text().splitlines()]


class _Session:
    def __init__(self, estimator):
        self.estimator = estimator

    def estimate(self, clip: ClipVideo) -> Estimate:
        number = int(clip.clip_id.split("/")[2][1:])
        what = self.estimator.script.get(number, "")
        with open(self.estimator.log / "estimates", "a") as file:
            file.write(f"{number}\n")
        assert clip.video.read_bytes() == f"video {number}".encode()
        time.sleep(self.estimator.seconds)
        frames = len(clip.K)
        digest = hashlib.sha256(clip.clip_id.encode() + clip.K.tobytes()).digest()
        seed = int.from_bytes(digest[:4], "little")
        camera = motion(seed, "camera", num_frames=frames)
        world = motion(seed, "world", num_frames=frames) if number % 4 else None
        if what == "no_person":
            raise EstimateError("no_person", "nobody\nis there")
        if what == "broken":
            raise RuntimeError("something\nin the model")
        if what == "exit":
            raise SystemExit(1)
        if what == "memory":
            raise MemoryError("too large")
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "kill once" and self.estimator.estimates()[number] == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "abort":
            os.abort()
        if what == "hang":
            time.sleep(1000)
        if what == "long":
            camera = motion(seed, "camera", num_frames=frames + 1)
        if what == "nan":
            camera = Motion(**{**vars(camera), "transl": np.full((frames, 3), np.nan)})
        if what == "world first":
            camera = motion(seed, "world", num_frames=frames)
        if what == "female":
            camera = motion(seed, "camera", num_frames=frames, gender="female")
        if what == "fps":
            camera = motion(seed, "camera", num_frames=frames, fps=30)
        if what == "two people":
            world = motion(seed + 1, "world", num_frames=frames)
        return Estimate(camera, world, {"confidence": random.Random(seed).random(), "odd": np.nan})


@dataclass(frozen=True)
class NoOp:
    """The same zeros for every clip: what is left is the work around it."""

    name: str = "no_op"
    note: str = "zeros"

    def identity(self):
        return {}

    @contextlib.contextmanager
    def start(self, device):
        yield self

    def estimate(self, clip):
        frames = len(clip.K)
        return Estimate(
            Motion(
                body_pose=np.zeros((frames, 63)),
                global_orient=np.zeros((frames, 3)),
                betas=np.zeros(10),
                transl=np.zeros((frames, 3)),
                fps=clip.fps,
                space="camera",
            )
        )


def scripted(folder, script=(), **options):
    folder.mkdir(parents=True, exist_ok=True)
    return Scripted(folder, dict(script), **options)


def estimate(source, estimator, out, **options):
    """Run `estimate_store` on the CPU; `options` are those of all its values."""
    names = ("device", "split", "limit")
    choices = {name: options.pop(name) for name in names if name in options}
    names = {"executor": "name", "workers": "workers", "address": "address"}
    where = {names[name]: options.pop(name) for name in names if name in options}
    extraction = Extraction(
        **{"store": source.path, "estimator": estimator, "device": "cpu", **choices}
    )
    return estimate_store(
        extraction, out, executor=Executor(**where), **{"progress": False, **options}
    )


def contents(folder):
    """The store's files, without the work that is kept so that failed clips can be tried again."""
    names = [file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.is_file()]
    return {str(name): (folder / name).read_bytes() for name in names if ".work" not in name.parts}
