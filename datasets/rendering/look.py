"""The look of a person: skin, hair, clothes, the light on them and what is behind them."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from datasets.rendering.backdrop import Backdrop, Colour, hsv
from datasets.rendering.figure import Figure, unit

_SKINS = ((1.0, 0.86, 0.77), (0.94, 0.76, 0.63), (0.80, 0.60, 0.46), (0.58, 0.39, 0.28))
_HAIRS = ((0.10, 0.08, 0.07), (0.28, 0.17, 0.10), (0.46, 0.30, 0.17), (0.72, 0.56, 0.34))
_SHOES = ((0.12, 0.12, 0.13), (0.92, 0.92, 0.90), (0.36, 0.22, 0.14), (0.60, 0.12, 0.12))
_SEAM = 0.012  # m over which one colour turns into the next: about one edge of the mesh
_ARM = (16, 17, 18, 19, 20, 21, *range(25, 55))
_HEAD = (12, 15, 22)  # neck, head, jaw
_EYES = (23, 24)


@dataclass(frozen=True)
class Look:
    """Colours are RGB in 0..1 under full light."""

    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    sleeve: float  # length as a share of the arm, 0 at the shoulder, 1 at the wrist
    leg: float  # length of the trousers as a share of the leg, 0 at the hip, 1 at the ankle
    hairline: float  # metres by which the hair starts above its usual line
    light: tuple[float, float, float]  # unit vector to the light, in the camera's frame
    backdrop: Backdrop  # what is behind the person

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Look":
        """Return a person at random, every part of them independently."""

        def one_of(colours: tuple[Colour, ...]) -> Colour:
            return colours[rng.integers(len(colours))]

        return cls(
            skin=one_of(_SKINS),
            hair=one_of(_HAIRS),
            shoes=one_of(_SHOES),
            shirt=hsv(*rng.uniform((0, 0.1, 0.4), (1, 0.85, 0.98))),
            trousers=hsv(*rng.uniform((0, 0.05, 0.2), (1, 0.6, 0.7))),
            sleeve=float(rng.choice([0.3, 0.5, 0.97])),
            leg=float(rng.choice([0.42, 0.75, 1.0])),
            hairline=float(rng.uniform(-0.012, 0.012)),
            light=tuple(unit(rng.uniform((-0.7, -1.0, -1.0), (0.7, -0.5, -0.5))).tolist()),
            backdrop=Backdrop.sample(rng),
        )

    @classmethod
    def plain(cls, colour: Colour) -> "Look":
        """Return a body all in one colour but for the eyes, to be laid over a video."""
        return dataclasses.replace(
            _NEUTRAL, **dict.fromkeys(("skin", "hair", "shirt", "trousers", "shoes"), colour)
        )

    @classmethod
    def shirt_only(cls, colour: Colour) -> "Look":
        """Return a plainly dressed person, told from others by the shirt's colour."""
        return dataclasses.replace(_NEUTRAL, shirt=colour)

    def background(self, width: int, height: int) -> np.ndarray:
        """(height, width, 3) uint8 RGB: the picture without the person."""
        return self.backdrop.picture(width, height)

    def colours(self, figure: Figure) -> np.ndarray:
        """(V, 3) float32 colour of each vertex, cut by straight seams in the rest pose."""
        across, y, z = np.abs(figure.rest[:, 0]), figure.rest[:, 1], figure.rest[:, 2]
        joints = figure.joints
        pelvis, neck = joints[0], joints[12]
        hip, ankle, eyes = (joints[i : i + 2].mean(axis=0) for i in (1, 7, 23))
        arm, head, eye = (np.isin(figure.joint, part) for part in (_ARM, _HEAD, _EYES))
        reach = np.abs(joints[[16, 20], 0])
        waist = pelvis[1] + 0.10
        hem = hip[1] + self.leg * (ankle[1] - hip[1])
        cuff = reach[0] + self.sleeve * (reach[1] - reach[0])
        collar = neck[1] - 0.015 - 0.5 * (z - neck[2])
        shirt = _above(y, pelvis[1] + 0.03) * np.where(arm, 1, _above(collar, y))
        layers = (
            (self.shoes, _above(ankle[1] + 0.02, y)),
            (self.trousers, _above(waist, y) * _above(y, hem)),
            (self.shirt, shirt * _above(cuff, across) * ~(head & (y > neck[1] + 0.03))),
            # From above the forehead over the ears to the nape.
            (self.hair, head * _above(y, eyes[1] + 0.055 + self.hairline + 0.75 * (z - eyes[2]))),
            ((0.95, 0.95, 0.93), eye),
            ((0.15, 0.11, 0.09), eye & (z > eyes[2] + 0.0115)),
        )
        out = np.tile(np.array(self.skin), (len(y), 1))
        for colour, share in layers:
            share = np.asarray(share, float)[:, None]
            out = out * (1 - share) + np.array(colour) * share
        return out.astype(np.float32)

    def lit(self, colours: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """Colours (..., 3) as seen under the light, for unit normals (..., 3) in the camera frame.

        Lambert's law wrapped around the body (cos + 1) / 2, so that no side is flat black.
        """
        wrapped = np.maximum(0.5 + 0.5 * (normals @ np.array(self.light, normals.dtype)), 0)
        return colours * np.minimum(0.3 + 0.75 * wrapped**1.5, 1)[..., None]


def _above(value: np.ndarray | float, line: np.ndarray | float) -> np.ndarray:
    """0 well below the line, 1 well above it, linear over the seam."""
    return np.clip(0.5 + (value - line) / _SEAM, 0, 1)


_NEUTRAL = Look(
    skin=_SKINS[1],
    hair=_HAIRS[1],
    shirt=(0.9, 0.9, 0.9),
    trousers=(0.25, 0.27, 0.33),
    shoes=_SHOES[0],
    sleeve=0.5,
    leg=1.0,
    hairline=0.0,
    light=(-2 / 7, -6 / 7, -3 / 7),
    backdrop=Backdrop("gradient", (0.9, 0.9, 0.9), (0.7, 0.7, 0.7), (0.5, 0.5, 0.5), 0.7, ()),
)
