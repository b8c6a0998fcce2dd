"""The prior of a body pose, joint by joint: mean, standard deviation and limits.

Rough anatomical ranges, set by hand, not measured. Knees and elbows are nearly hinges. All are
axis-angle in radians of the 21 joints of `body_pose`; the left and right sides are mirror images.
"""

import numpy as np

_FREE = ((-3.0, -3, -3), (3.0, 3, 3))
# Joints (their left one where there are two): mean, standard deviation, least and largest.
_RANGES: tuple[tuple[tuple[int, ...], tuple, tuple, tuple, tuple], ...] = (
    ((1,), (0, 0, 0), (0.9, 0.4, 0.4), (-2.2, -0.8, -0.9), (0.6, 0.8, 0.9)),  # hip
    ((3, 6, 9), (0, 0, 0), (0.25, 0.15, 0.15), (-0.3, -0.35, -0.35), (0.7, 0.35, 0.35)),  # spine
    ((4,), (0, 0, 0), (1.2, 0.08, 0.08), (-0.05, -0.2, -0.2), (2.7, 0.2, 0.2)),  # knee
    ((7,), (0, 0, 0), (0.4, 0.25, 0.25), (-0.7, -0.6, -0.6), (0.9, 0.6, 0.6)),  # ankle
    ((10,), (0, 0, 0), (0.2, 0.05, 0.05), (-0.9, -0.1, -0.1), (0.3, 0.1, 0.1)),  # foot
    ((12, 15), (0, 0, 0), (0.3, 0.35, 0.25), (-0.6, -0.8, -0.5), (0.6, 0.8, 0.5)),  # neck, head
    ((13,), (0, 0, 0), (0.1, 0.2, 0.2), (-0.3, -0.5, -0.5), (0.3, 0.5, 0.5)),  # collar
    ((16,), (0, -0.2, -0.9), (0.7, 0.8, 0.9), *_FREE),  # shoulder
    ((18,), (0, -0.5, 0), (0.4, 1.2, 0.12), (-1.5, -2.6, -0.3), (1.5, 0.05, 0.3)),  # elbow
    ((20,), (0, 0, 0), (0.5, 0.25, 0.4), (-1.5, -0.6, -1.2), (1.5, 0.6, 1.2)),  # wrist
)
_MIDDLE = (3, 6, 9, 12, 15)


def _tables() -> np.ndarray:
    tables = np.full((4, 21, 3), np.nan)
    for joints, *rows in _RANGES:
        values = np.array(rows, float)
        for joint in joints:
            tables[:, joint - 1] = values
            if joint not in _MIDDLE:
                mirrored = values * [1, -1, -1]
                mirrored[1] = values[1]
                mirrored[2:] = np.sort(mirrored[2:], axis=0)
                tables[:, joint] = mirrored
    return tables


POSE_MEAN, POSE_DEVIATION, POSE_LEAST, POSE_LARGEST = _tables()  # (21, 3) each
