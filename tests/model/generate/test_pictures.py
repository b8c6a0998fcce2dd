"""Pictures of the user's own, of more than 8 bits."""

import numpy as np
import pytest
from PIL import Image

from model.generate.pictures import PictureError, read_image


@pytest.mark.parametrize("name", ["x.png", "x.tiff"])
def test_pictures_of_16_bits_keep_their_greys(tmp_path, name):
    grey = np.arange(24, dtype=np.uint16).reshape(4, 6) * 2621
    Image.fromarray(grey).save(tmp_path / name)
    np.testing.assert_array_equal(
        read_image(tmp_path / name), np.repeat((grey >> 8)[..., None], 3, 2)
    )


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_numbers_without_a_known_white_are_refused(tmp_path, kind):
    Image.fromarray(np.ones((4, 6), kind)).save(tmp_path / "x.tiff")
    with pytest.raises(PictureError, match=r"x\.tiff .*save it with 8 or 16 bits"):
        read_image(tmp_path / "x.tiff")
