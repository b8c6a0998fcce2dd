"""The backdrop behind the person in the built-in dataset's pictures."""

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]  # RGB in 0..1
KINDS = ("gradient", "room", "stripes", "blobs")


@dataclass(frozen=True)
class Backdrop:
    """A still picture of any size, from a few numbers."""

    kind: str  # one of `KINDS`
    upper: Colour  # of the upper part (the wall)
    lower: Colour  # of the lower part (the floor)
    accent: Colour  # of stripes and blobs
    horizon: float  # height at which the wall meets the floor, 0 at the top, 1 at the bottom
    shapes: tuple[Colour, ...]  # angle, period, phase of the stripes, or x, y, radius of each blob

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Backdrop":
        """One at random, in muted colours."""
        kind = KINDS[rng.integers(len(KINDS))]
        hue = rng.uniform(size=3)
        shade = rng.uniform((0.0, 0.35), (0.4, 0.95), (3, 2))
        shapes = rng.uniform(size=(1 if kind == "stripes" else 5, 3))
        upper, lower, accent = (hsv(h, *sv) for h, sv in zip(hue, shade, strict=True))
        horizon = float(rng.uniform(0.55, 0.85))
        return cls(
            kind, upper, lower, accent, horizon, tuple(tuple(row) for row in shapes.tolist())
        )

    def picture(self, width: int, height: int) -> np.ndarray:
        """(height, width, 3) uint8 RGB; the same picture at every size."""
        x = ((np.arange(width) + 0.5) / width)[None, :, None]
        y = ((np.arange(height) + 0.5) / height)[:, None, None]
        upper, lower, accent = (np.array(c) for c in (self.upper, self.lower, self.accent))
        if self.kind == "room":
            edge = np.clip((y - self.horizon) * 200 + 0.5, 0, 1)
            wall = upper * (0.85 + 0.15 * y / self.horizon)
            floor = lower * (0.75 + 0.25 * (y - self.horizon) / (1 - self.horizon))
            out = wall * (1 - edge) + floor * edge
        else:
            out = upper * (1 - y) + lower * y
        if self.kind == "stripes":
            ((angle, period, phase),) = self.shapes
            along = x * np.cos(np.pi * angle) + y * np.sin(np.pi * angle)
            wave = np.sin(2 * np.pi * (along * (3 + 7 * period) + phase))
            out = _mix(out, accent, 0.25 * (1 + wave))
        if self.kind == "blobs":
            for cx, cy, radius in self.shapes:
                square = (x - cx) ** 2 + (y - cy) ** 2
                out = _mix(out, accent, 0.6 * np.exp(-square / (0.05 + 0.15 * radius) ** 2))
        out = np.broadcast_to(out, (height, width, 3))
        return (255 * np.clip(out, 0, 1) + 0.5).astype(np.uint8)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """RGB of hue, saturation and value, all in 0..1."""
    import colorsys

    return colorsys.hsv_to_rgb(float(hue), float(saturation), float(value))


def _mix(below: np.ndarray, above: np.ndarray, share: np.ndarray) -> np.ndarray:
    return below * (1 - share) + above * share
