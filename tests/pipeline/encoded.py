"""Encoded images for tests, and the reason that one is refused for."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.failures import BadImage


def encode(image, suffix="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, suffix, **options)
    return buffer.getvalue()


def encode_array(array, suffix="PNG", **options):
    return encode(Image.fromarray(array), suffix, **options)


def palette_image(indices, *colours):
    image = Image.frombytes("P", indices.shape[::-1], indices.astype(np.uint8).tobytes())
    image.putpalette([value for colour in colours for value in colour])
    return image


def quadrants(size=64):
    """Red, green, blue and white, a quarter each."""
    pixels = np.zeros((size, size, 3), np.uint8)
    half = size // 2
    pixels[:half, :half] = 255, 0, 0
    pixels[:half, half:] = 0, 255, 0
    pixels[half:, :half] = 0, 0, 255
    pixels[half:, half:] = 255, 255, 255
    return pixels


def reason(call, *arguments):
    with pytest.raises(BadImage) as caught:
        call(*arguments)
    assert len(str(caught.value)) > 5
    return caught.value.reason
