"""Re-timing against motions with a closed form."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datasets.motion import Camera, Motion
from datasets.prepare.retime import retimed
from datasets.sequence import PersonSequence

RATES = [(30, 24), (24, 30), (120, 30), (25, 60), (29.97, 30), (30, 29.97)]


class Numbered:
    """Pictures whose colour is the number of their row."""

    width = height = 2

    def frames(self, rows):
        for row in rows:
            yield np.full((2, 2, 3), row % 256, np.uint8)

    def paths(self, rows):
        return []


def spinning(fps, seconds=4.0, first=0, **changes):
    """A person who turns at 1 rad/s about y, bends one knee at 0.3 and walks at 2 m/s along x."""
    ids = np.arange(first, first + round(fps * seconds) + 1)
    time = ids / fps
    pose = np.zeros((len(ids), 63))
    pose[:, 9] = 0.3 * time
    turn = (time + np.pi) % (2 * np.pi) - np.pi  # passes half a turn
    motion = Motion(
        body_pose=pose,
        global_orient=np.outer(turn, [0, 1, 0]),
        betas=np.zeros(10),
        transl=np.outer(2 * time, [1, 0, 0]),
        fps=fps,
    )
    fields = {
        "dataset": "d",
        "sequence": "s",
        "frame_ids": ids,
        "valid": np.ones(len(ids), bool),
        "fps": fps,
        "world_motion": motion,
        "native": {"time": time, "name": np.array("x")},
        "native_frames": frozenset(["time"]),
        "source": Numbered(),
    }
    return PersonSequence(**{**fields, **changes})


@pytest.mark.parametrize(("source", "target"), RATES)
@pytest.mark.parametrize("first", [0, 7])
def test_everything_happens_when_it_did(source, target, first):
    whole = spinning(source, first=first)
    found = retimed(whole, target)
    time = found.frame_ids / target
    assert found.fps == target and found.world_motion.fps == target
    assert abs(time[0] - whole.frame_ids[0] / source) < 1 / target
    assert abs(time[-1] - whole.frame_ids[-1] / source) < 1 / target
    motion = found.world_motion
    np.testing.assert_allclose(motion.transl[:, 0], 2 * time, atol=1e-5)
    np.testing.assert_allclose(motion.body_pose[:, 9], 0.3 * time, atol=1e-5)
    turned = (
        Rotation.from_rotvec(motion.global_orient)
        * Rotation.from_rotvec(np.outer(time, [0, 1, 0])).inv()
    )
    assert turned.magnitude().max() < 1e-5
    assert found.valid.all()
    # Pictures and native labels are those of the nearest frame.
    nearest = found.native["source_frame"]
    assert np.abs(nearest / source - time).max() <= 0.5 / source + 1e-6
    np.testing.assert_array_equal(found.native["time"], nearest / source)
    rows = range(3, len(found) - 2)
    shown = [picture[0, 0, 0] for picture in found.source.frames(rows)]
    np.testing.assert_array_equal(shown, (nearest - first)[list(rows)] % 256)
    assert found.native["name"] == "x"


def test_the_same_rate_changes_nothing_and_a_whole_multiple_takes_every_nth():
    whole = spinning(120)
    assert retimed(whole, 120.0) is whole
    found = retimed(whole, 30)
    np.testing.assert_array_equal(found.native["source_frame"], whole.frame_ids[::4])
    np.testing.assert_allclose(found.world_motion.transl, whole.world_motion.transl[::4], atol=1e-6)


def test_a_frame_between_one_that_is_not_usable_and_another_is_not_usable():
    whole = spinning(30)
    valid = np.ones(len(whole), bool)
    valid[20] = False
    found = retimed(spinning(30, valid=valid), 60)
    assert np.flatnonzero(~found.valid).tolist() == [39, 40, 41]
    # Frames 50 to 59 are missing.
    rows = np.r_[0:50, 60:121]
    motion = whole.world_motion[rows]
    holed = spinning(
        30,
        frame_ids=whole.frame_ids[rows],
        valid=np.ones(len(rows), bool),
        world_motion=motion,
        native={},
        native_frames=frozenset(),
    )
    found = retimed(holed, 60)
    assert np.flatnonzero(~found.valid).tolist() == list(range(99, 120))
    np.testing.assert_array_equal(found.frame_ids, np.arange(241))


def test_a_camera_moves_evenly_between_its_frames():
    """It goes round the origin at 2 m and looks at it: the distance stays while it turns."""
    whole = spinning(30)
    time = whole.frame_ids / 30
    T_w2c = np.tile(np.eye(4), (len(time), 1, 1))
    T_w2c[:, :3, :3] = Rotation.from_rotvec(np.outer(0.2 * time, [0, 1, 0])).as_matrix()
    centre = np.stack([time, 0 * time, 0 * time], 1)
    T_w2c[:, :3, 3] = -np.einsum("tij,tj->ti", T_w2c[:, :3, :3], centre)
    K = np.tile(np.diag([500.0, 500, 1]), (len(time), 1, 1))
    K[:, 0, 0] += 10 * time
    view = Camera(K, T_w2c, 100, 100)
    found = retimed(spinning(30, view=view), 50).view
    time = np.arange(len(found)) / 50
    np.testing.assert_allclose(found.K[:, 0, 0], 500 + 10 * time, atol=1e-3)
    turn = found.T_w2c[:, :3, :3]
    centre = -np.einsum("tji,tj->ti", turn, found.T_w2c[:, :3, 3])
    np.testing.assert_allclose(centre[:, 0], time, atol=1e-5)
    angle = Rotation.from_matrix(turn).as_rotvec()[:, 1]
    np.testing.assert_allclose(angle, 0.2 * time, atol=1e-5)
