"""Pictures of bodies: rasterisers against closed forms, against each other, and on real frames."""

import dataclasses
import pickle

import numpy as np
import pytest

from datasets.adapters.embedded import EmbeddedDataset
from datasets.bodies.smplx import load_body
from datasets.motion import JOINTS, Camera
from datasets.rendering import draw, zbuffer
from datasets.rendering.backdrop import KINDS, Backdrop
from datasets.rendering.figure import coarse, fine
from datasets.rendering.look import Look
from datasets.rendering.painter import render_small
from datasets.rendering.projection import on_screen
from datasets.rendering.raster import cover, halve
from datasets.rendering.stage import Stage

SIZE = 128
GREEN = Backdrop("gradient", (0.0, 1.0, 0.0), (0.0, 1.0, 0.0), (0.0, 1.0, 0.0), 0.7, ())
LOOK = dataclasses.replace(Look.sample(np.random.default_rng(3)), backdrop=GREEN)
MASK = dataclasses.replace(Look.plain((1.0, 0.0, 1.0)), backdrop=GREEN)
WHITE = np.full((SIZE, SIZE, 3), 255, np.uint8)


@pytest.fixture(scope="module")
def scenes():
    """Channels and camera of three frames of each of four sequences."""
    sequences = map(EmbeddedDataset(image_size=SIZE).sequence, (1, 4, 8, 12))
    return [(s.camera_motion.to_channels()[::50], s.view[::50]) for s in sequences]


def drawn(channels, view, look=LOOK, **options):
    pictures = draw(channels, view, look=look, **options)
    return np.stack(list(pictures))


def on_body(pictures):
    """Where a picture in the look `MASK` shows the body, from half a pixel on."""
    return pictures[..., 1] < 128


def sphere(centre, radius, parts=96):
    """Vertices and outward faces of a sphere."""
    polar = np.linspace(0, np.pi, parts + 1)
    around = np.linspace(0, 2 * np.pi, 2 * parts, endpoint=False)
    p, a = np.meshgrid(polar, around, indexing="ij")
    points = np.stack([np.sin(p) * np.cos(a), np.sin(p) * np.sin(a), np.cos(p)], axis=-1)
    i, j = np.meshgrid(np.arange(parts), np.arange(2 * parts), indexing="ij")
    k, n = (j + 1) % (2 * parts), 2 * parts
    faces = [(i * n + j, (i + 1) * n + j, (i + 1) * n + k), (i * n + j, (i + 1) * n + k, i * n + k)]
    faces = np.concatenate([np.stack(f, axis=-1).reshape(-1, 3) for f in faces])
    return centre + radius * points.reshape(-1, 3), faces


def test_a_triangle_covers_the_pixels_whose_centres_are_inside_it():
    rng = np.random.default_rng(0)
    corners = rng.uniform(-10, 42, (200, 3, 2))
    triangle, column, row = cover(corners, 32, 24)
    got = np.zeros((200, 24, 32), int)
    np.add.at(got, (triangle, row, column), 1)
    x, y = np.meshgrid(np.arange(32) + 0.5, np.arange(24) + 0.5)
    sides = []
    for a, b in ((0, 1), (1, 2), (2, 0)):
        (ax, ay), (bx, by) = corners[:, a].T[..., None, None], corners[:, b].T[..., None, None]
        sides.append((bx - ax) * (y - ay) - (by - ay) * (x - ax))
    sides = np.stack(sides)
    np.testing.assert_array_equal(got, (sides > 0).all(axis=0) | (sides < 0).all(axis=0))


def test_triangles_that_share_edges_leave_no_hole():
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.arange(9.0), np.arange(9.0)), axis=-1) * 4
    grid[1:-1, 1:-1] += rng.integers(-1, 2, (7, 7, 2)) / 2  # many corners on pixel centres
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    corners = np.stack([np.stack([a, b, c], -2), np.stack([a, c, d], -2)]).reshape(-1, 3, 2)
    for dtype in (np.float32, np.float64):
        _, column, row = cover(corners.astype(dtype), 32, 32)
        assert len(np.unique(row * 32 + column)) == 32 * 32


def test_the_outline_of_a_sphere_is_that_of_its_tangent_cone():
    focal, radius, distance = 300.0, 0.4, 1.5
    points, faces = sphere([0, 0, distance], radius)
    pixels = focal * points[:, :2] / points[:, 2:] + 128
    seen = np.column_stack([pixels, points[:, 2]])
    picture = zbuffer.rasterise(seen, faces, np.full((len(points), 3), 200.0), 256, 256)
    covered = picture[..., 3] > 0
    expected = focal * np.tan(np.arcsin(radius / distance))
    x, y = np.meshgrid(np.arange(256) - 127.5, np.arange(256) - 127.5)
    from_centre = np.hypot(x, y)
    assert covered[from_centre < expected - 0.5].all()
    assert not covered[from_centre > expected + 0.5].any()
    np.testing.assert_allclose(picture[covered][:, :3], 200, rtol=1e-6)


# A triangle that leans: its nearness (1 / depth) grows with the column, 1/2 at column 32.
CORNERS = np.array([[-40.0, -40], [160, 32], [-40, 104]])
LEANING = np.column_stack([CORNERS, 1 / (0.5 + (CORNERS[:, 0] - 32) / 512)])


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_of_two_triangles_the_nearer_is_seen_pixel_by_pixel(order):
    flat = np.column_stack([CORNERS, np.full(3, 2.0)])
    colours = np.array([[255.0, 0, 0]] * 3 + [[0, 0, 255.0]] * 3)
    faces = np.array([[0, 1, 2], [3, 4, 5]])[order]
    picture = zbuffer.rasterise(np.concatenate([flat, LEANING]), faces, colours, 64, 64)
    np.testing.assert_allclose(picture[32, :32], [[255, 0, 0, 1]] * 32)
    np.testing.assert_allclose(picture[32, 32:], [[0, 0, 255, 1]] * 32)


def test_colours_follow_the_surface_not_the_picture():
    # A colour that is linear in space: the position to the right, column times depth.
    colours = np.repeat(LEANING[:, :1] * LEANING[:, 2:], 3, axis=1)
    picture = zbuffer.rasterise(LEANING, np.array([[0, 1, 2]]), colours, 64, 64)
    column = np.arange(64) + 0.5
    expected = column / (0.5 + (column - 32) / 512)
    np.testing.assert_allclose(picture[32, :, 0], expected, rtol=1e-5)


def test_joints_project_into_the_body_that_is_drawn(scenes):
    inner = [not name.endswith("foot") for name in JOINTS]  # toes are as thin as a pixel
    for channels, view in scenes:
        pixels = np.floor(view.project(load_body().joints(channels)[:, inner])).astype(int)
        column, row = pixels[..., 0], pixels[..., 1]
        frame = np.arange(len(channels))[:, None]
        for pictures in (
            drawn(channels, view, MASK),
            render_small(channels, view, MASK, size=SIZE),
        ):
            assert on_body(pictures)[frame, row, column].all()


def test_painter_and_z_buffer_draw_the_same_picture(scenes):
    for channels, view in scenes:
        a = on_body(drawn(channels, view, MASK))
        b = on_body(render_small(channels, view, MASK, size=SIZE))
        assert (a & b).sum() / (a | b).sum() > 0.9
        a, b = drawn(channels, view), render_small(channels, view, LOOK, size=SIZE)
        assert np.abs(a.astype(int) - b).mean() < 2


@pytest.mark.slow
def test_a_small_picture_shows_the_same_as_a_large_one(scenes):
    channels, view = scenes[0]
    large = render_small(channels, view, LOOK, size=128).astype(int)
    small = render_small(channels, view, LOOK, size=64)
    assert np.abs(halve(large.astype(float)) - small).mean() < 2
    with pytest.raises(ValueError, match="not square"):
        render_small(channels, dataclasses.replace(view, width=200), LOOK)


def test_pictures_do_not_depend_on_what_is_drawn_with_them(scenes):
    channels = np.concatenate([c for c, _ in scenes[:1] * 14])
    view = Camera(np.tile(scenes[0][1].K, (14, 1, 1)), None, SIZE, SIZE)
    whole = render_small(channels, view, LOOK)
    parts = [render_small(channels[i : i + 5], view[i : i + 5], LOOK) for i in range(0, 42, 5)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(whole[:6], whole[36:])
    whole = drawn(channels[:6], view[:6])
    np.testing.assert_array_equal(drawn(channels[:6], view[:6]), whole)
    np.testing.assert_array_equal(drawn(channels[4:6], view[4:6]), whole[4:])


def test_only_pixels_on_the_body_change(scenes):
    channels, view = scenes[1]
    noise = np.random.default_rng(0).integers(0, 256, (len(channels), SIZE, SIZE, 3), np.uint8)
    body = drawn(channels, view, MASK)[..., 1] < 255
    for opacity in (0.5, 1.0):
        changed = (drawn(channels, view, background=noise, opacity=opacity) != noise).any(axis=-1)
        assert not changed[~body].any()
        assert changed[body].mean() > 0.95
    np.testing.assert_array_equal(drawn(channels, view, background=noise, opacity=0), noise)


def test_opacity_mixes_the_body_with_what_is_beneath(scenes):
    channels, view = scenes[1]
    white = np.tile(WHITE, (len(channels), 1, 1, 1))
    solid = drawn(channels, view, background=white).astype(float)
    half = drawn(channels, view, background=white, opacity=0.5)
    np.testing.assert_allclose(half, (solid + 255) / 2, atol=1)


def test_a_body_outside_the_picture_or_behind_the_camera_leaves_it_as_it_was(scenes):
    channels, view = scenes[0]
    for shift in ([0, 0, -20], [50, 0, 0], [0, -50, 0]):
        moved = channels.copy()
        moved[:, 76:] += np.array(shift, np.float32)
        for pictures in (drawn(moved, view), render_small(moved, view, LOOK, size=SIZE)):
            assert (pictures == LOOK.background(SIZE, SIZE)).all()
    # Around the camera: some of it before, some behind, some in the camera's plane.
    around = channels.copy()
    around[:, 76:] -= load_body().joints(channels)[:, 0]
    assert drawn(around, view).shape == render_small(around, view, LOOK, size=SIZE).shape


def test_the_camera_says_where_its_pixels_are(scenes):
    channels, view = scenes[0]
    points = load_body().joints(channels)
    centre = dataclasses.replace(view, pixel_origin="centre")
    for camera, half in ((view, 0.0), (centre, 0.5)):
        seen = on_screen(points, camera, (2 * SIZE, 2 * SIZE))
        np.testing.assert_allclose(seen[..., :2], 2 * (camera.project(points) + half), atol=1e-3)
        np.testing.assert_array_equal(seen[..., 2], points[..., 2])


def test_the_coarse_figure_moves_as_the_body_does(scenes):
    body = load_body()
    small, whole = coarse(body), fine(body)
    assert len(small.rest) < len(whole.rest) / 4
    kept = [np.flatnonzero((whole.rest == vertex).all(axis=1))[0] for vertex in small.rest]
    channels = scenes[0][0]
    np.testing.assert_allclose(
        small.body.vertices(channels), body.vertices(channels)[:, kept], atol=1e-6
    )
    np.testing.assert_array_equal(small.body.joints(channels), body.joints(channels))
    assert small.body.faces.max() == len(small.rest) - 1


def test_a_look_follows_from_its_seed():
    looks = [Look.sample(np.random.default_rng([index, 1])) for index in range(40)]
    assert looks[7] == Look.sample(np.random.default_rng([7, 1]))
    assert pickle.loads(pickle.dumps(looks[7])) == looks[7]
    assert len(set(looks)) == 40
    assert {look.backdrop.kind for look in looks} == set(KINDS)
    for look in looks:
        np.testing.assert_allclose(np.linalg.norm(look.light), 1)
        large, small = look.background(128, 128), look.background(64, 64)
        assert large.dtype == np.uint8 and large.shape == (128, 128, 3)
        assert np.abs(halve(large).astype(int) - small).mean() < 2


def test_clothes_are_where_clothes_are():
    figure = fine(load_body())
    look = dataclasses.replace(Look.plain((0, 0, 0)), shirt=(1, 0, 0), trousers=(0, 1, 0))
    colours = dataclasses.replace(look, shoes=(0, 0, 1)).colours(figure)

    def share(joint, channel):
        return colours[figure.joint == joint][:, channel].mean()

    assert share(9, 0) > 0.8 and share(16, 0) > 0.6  # spine3 and the upper arm: the shirt
    assert share(1, 1) > 0.9 and share(4, 1) > 0.9  # thigh and shank: the trousers
    assert share(10, 2) > 0.9  # foot: the shoe
    assert colours[figure.joint == 28].max() == 0  # a finger: skin


def test_the_stage_keeps_the_person_in_the_picture_and_on_the_floor():
    body = load_body()
    sequence = EmbeddedDataset(num_frames=30).sequence(8)
    for motion in (sequence.world_motion, sequence.camera_motion):
        stage = Stage.of(motion, body, 96)
        seen = on_screen(body.vertices(stage.motion.to_channels()), stage.view, (96, 96))
        assert seen[..., :2].min() > 0 and seen[..., :2].max() < 96 and seen[..., 2].min() > 1
        posed = body.joints(stage.motion.to_channels()).astype(np.float64)
        T_w2c = stage.view.T_w2c.astype(np.float64)
        world = np.einsum("tij,tnj->tni", T_w2c[:, :3, :3], stage.joints) + T_w2c[:, None, :3, 3]
        np.testing.assert_allclose(posed, world, atol=1e-4)
    picture = next(Stage.of(sequence.world_motion, body, 96).pictures())
    assert picture.shape == (96, 96, 3) and picture.dtype == np.uint8
    assert picture[0].min() > 220 > picture[-1].mean()  # wall above, floor below
