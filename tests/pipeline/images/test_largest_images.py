"""The largest images that are decoded stay within the memory that is promised."""

import io
import struct
import zlib

import pytest
from PIL import Image

from pipeline.images.open_safely import MAX_MEMORY
from tests.hostile.attempt import attempt
from tests.hostile.containers import chunk, gray_tiff, png
from tests.hostile.photos import encode
from tests.pipeline.fresh_process import in_a_fresh_process


def zeros_png(width, height, bits, colour, **options):
    """A PNG of zeros in pieces, so that it is never whole in memory."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    row, packer = bytes(1 + width * channels * bits // 8), zlib.compressobj(1)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return png(width, height, packed, bits=bits, colour=colour, **options)


def zeros_tiff(width, height, bits, kind, samples=1):
    row, packer = bytes(width * bits // 8 * samples), zlib.compressobj(1)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    every = (3, samples, struct.pack(f"<{samples}H", *[bits] * samples)) if samples > 2 else bits
    return gray_tiff(
        width,
        height,
        packed,
        COMPRESSION=8,
        BITS=every,
        SAMPLES=samples,
        PHOTOMETRIC=2 if samples > 1 else 1,
        extra=[(339, 3, 1, kind), (274, 3, 1, 6)],
    )


def largest():
    yield "gray PNG", zeros_png(20_000, 10_000, 8, 0)
    frames = chunk(b"acTL", struct.pack(">II", 2, 0))
    control = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 20_000, 10_000, 0, 0, 1, 10, 1, 0))
    yield "animated PNG", zeros_png(20_000, 10_000, 8, 6, before=frames + control)
    yield "RGBA PNG of 16 bits", zeros_png(20_000, 10_000, 16, 6)
    yield "gray and alpha PNG", zeros_png(20_000, 10_000, 8, 4)
    yield "PNG of one row", zeros_png(100_000_000, 1, 8, 4)
    yield "TIFF of floats, turned", zeros_tiff(13_000, 10_000, 32, 3)
    yield "TIFF of RGB, turned", zeros_tiff(13_000, 10_000, 8, 1, samples=3)
    buffer = io.BytesIO()
    Image.new("RGB", (10_000, 10_000)).save(buffer, "WEBP", method=0, quality=10)
    yield "WebP", buffer.getvalue()
    buffer = io.BytesIO()
    Image.new("RGB", (16_000, 10_000)).save(buffer, "JPEG", progressive=True, subsampling=0)
    yield "progressive JPEG", buffer.getvalue()
    yield "GIF", encode(Image.new("P", (20_000, 10_000)), "GIF")


def attempt_largest(kind, data):
    from pipeline.images.photo import decode_image
    from pipeline.images.truth import decode_mask

    return [
        attempt(kind, data, decode_image, (256,)),
        attempt(kind, data, decode_mask, ()),
    ]


@pytest.mark.slow
def test_the_largest_images_of_each_format_stay_within_the_memory_that_is_promised():
    for kind, data in largest():
        found = in_a_fresh_process(attempt_largest, kind, data)
        print(f"{kind}: {sum(one.growth for one in found):.0f} MiB,", end=" ")
        print(", ".join(f"{one.function} {one.seconds:.1f} s" for one in found))
        assert [one.outcome for one in found] == ["decoded", "decoded"]
        assert sum(one.growth for one in found) <= MAX_MEMORY / 2**20 * 1.1
        assert max(one.seconds for one in found) < 60
