"""Ordinary images, to be made hostile."""

import io

import numpy as np
from PIL import Image

SUFFIXES = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "TIFF": ".tif",
    "GIF": ".gif",
    "PPM": ".ppm",
    "JPEG2000": ".jp2",
}


def encode(image, suffix, **options):
    """Encodes by Pillow."""
    buffer = io.BytesIO()
    image.save(buffer, suffix, **options)
    return buffer.getvalue()


def photo(width=48, height=40):
    """A picture with edges and noise."""
    rng = np.random.default_rng(0)
    rough = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    return rough.resize((width, height), Image.Resampling.BICUBIC)
