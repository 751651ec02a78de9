"""Small pictures: of the right size and colours, and never of more bytes than they may take."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.failures import BadImage
from pipeline.report.pictures import (
    FALSE_ALARM,
    HIT,
    MASK_BYTES,
    MASK_COLOUR,
    MISS,
    PHOTO_BYTES,
    TRUTH_BYTES,
    coloured,
    errors_of,
    fitted,
    small_mask,
    small_photo,
    small_truth,
)
from tests.pipeline.encoded import encode_array

LIMIT = 10**7


def opened(data):
    image = Image.open(io.BytesIO(data))
    assert image.format == "WEBP"
    return image


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((960, 480), (480, 240)),
        ((100, 30), (100, 30)),
        ((9600, 3), (480, 1)),
        ((480, 481), (479, 480)),
    ],
)
def test_the_ratio_is_kept(size, expected):
    assert fitted(size) == expected


def test_noise_takes_no_more_bytes_than_it_may():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (700, 900, 3), dtype=np.uint8)
    assert len(small_photo(encode_array(noise), LIMIT)) <= PHOTO_BYTES
    levels = small_mask(encode_array(noise[..., 0]), LIMIT).resize((480, 373))
    assert (
        len(coloured(Image.fromarray(noise[:373, :480, 0]), MASK_COLOUR, MASK_BYTES)) <= MASK_BYTES
    )
    truth = small_truth(encode_array(noise[..., 1] > 127), (900, 700), LIMIT)
    assert len(errors_of(levels, truth.resize(levels.size))) <= TRUTH_BYTES


def test_a_photo_is_upright_and_keeps_its_colours():
    photo = np.zeros((400, 800, 3), np.uint8)
    photo[:, :400] = (200, 30, 30)
    exif = Image.Exif()
    exif[274] = 6  # To be turned by 90 degrees, clockwise.
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", exif=exif, quality=95)
    small = opened(small_photo(buffer.getvalue(), LIMIT)).convert("RGB")
    assert small.size == (240, 480)
    assert np.abs(np.subtract(small.getpixel((120, 100)), (200, 30, 30))).max() < 12
    assert max(small.getpixel((120, 400))) < 12


def test_a_mask_is_a_colour_as_opaque_as_it_is_probable():
    mask = np.zeros((40, 80), np.uint8)
    mask[:, 40:] = 200
    picture = opened(coloured(small_mask(encode_array(mask), LIMIT), MASK_COLOUR, MASK_BYTES))
    assert picture.mode == "RGBA"
    *colour, alpha = picture.getpixel((60, 20))
    assert np.abs(np.subtract(colour, MASK_COLOUR)).max() < 12
    assert alpha == pytest.approx(200, abs=6)
    assert picture.getpixel((10, 20))[3] < 6


def test_hits_false_alarms_and_misses_have_their_colours():
    mask, truth = np.zeros((60, 60), np.uint8), np.zeros((60, 60), np.uint8)
    mask[:, 15:45] = 255
    truth[:, 30:] = 255
    picture = opened(errors_of(Image.fromarray(mask), Image.fromarray(truth)))
    assert picture.getpixel((7, 30))[3] < 10
    for x, colour in ((22, FALSE_ALARM), (37, HIT), (52, MISS)):
        *found, alpha = picture.getpixel((x, 30))
        assert np.abs(np.subtract(found, colour)).max() < 25
        assert alpha > 245


def test_a_truth_of_another_size_is_refused():
    with pytest.raises(BadImage, match="truth has"):
        small_truth(encode_array(np.eye(9) > 0), (9, 8), LIMIT)
