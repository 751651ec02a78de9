"""Every format and suffix that is said to be read is read, as Pillow reads it."""

import io

import numpy as np
import pytest
from PIL import Image

from model.image_formats import FORMATS, IMAGE_SUFFIXES
from pipeline.images.photo import decode_image


def encoded(name):
    """A photo of four gray corners in a format."""
    corners = Image.fromarray(np.array([[20, 90], [160, 240]], np.uint8)).convert("RGB")
    buffer = io.BytesIO()
    corners.resize((64, 64), Image.Resampling.NEAREST).save(buffer, name)
    return buffer.getvalue()


@pytest.mark.parametrize("name", FORMATS)
def test_a_photo_of_each_format_is_read(name):
    if name == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    photo = decode_image(encoded(name), 32)
    assert photo.size == (64, 64) and photo.guess == ""
    centres = photo.pixels[8::16, 8::16].astype(int).mean(axis=2)
    assert np.abs(centres - [[20, 90], [160, 240]]).max() <= 4


def test_suffixes_are_told_apart_from_other_formats():
    # What Pillow itself calls the suffixes of these formats, and HEIC, which a plugin adds.
    Image.init()
    known = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}
    assert set(IMAGE_SUFFIXES) <= known | {".mpo", ".heic", ".heif"}
    assert {".jpg", ".jpeg", ".jfif", ".avif", ".heic", ".apng"} <= set(IMAGE_SUFFIXES)
