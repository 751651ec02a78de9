"""Files of 16-bit colours, put together byte by byte: Pillow writes none."""

import zlib

from tests.hostile.containers import (
    BITS,
    COMPRESSION,
    LENGTH,
    LONG,
    PHOTOMETRIC,
    ROWS_PER_STRIP,
    SAMPLES,
    SHORT,
    STRIP_BYTES,
    STRIP_OFFSETS,
    WIDTH,
    png,
    tags,
)

EXTRA_SAMPLES = 338


def deep_png(numbers, **options):
    """A PNG of 16 bits of numbers, (height, width, channels); of 2 to 4 channels."""
    height, width, channels = numbers.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in numbers)
    colour = {2: 4, 3: 2, 4: 6}[channels]
    return png(width, height, zlib.compress(rows), bits=16, colour=colour, **options)


def deep_tiff(numbers, order="<", packed=False):
    """A TIFF of 16 bits, of one strip.

    Args:
        numbers: (height, width, 3) or (height, width, 4).
        order: Of the bytes, little- (``<``) or big-endian; the directory is little-endian.
        packed: Whether the strip is deflated, so that libtiff reads it.
    """
    height, width, channels = numbers.shape
    strip = numbers.astype(f"{order}u2").tobytes()
    strip = zlib.compress(strip) if packed else strip
    entries = [
        (WIDTH, LONG, 1, width),
        (LENGTH, LONG, 1, height),
        (BITS, SHORT, channels, channels * b"\x10\0"),
        (COMPRESSION, SHORT, 1, 8 if packed else 1),
        (PHOTOMETRIC, SHORT, 1, 2),
        (STRIP_OFFSETS, LONG, 1, 8),
        (SAMPLES, SHORT, 1, channels),
        (ROWS_PER_STRIP, LONG, 1, height),
        (STRIP_BYTES, LONG, 1, len(strip)),
        *([(EXTRA_SAMPLES, SHORT, 1, 2)] if channels == 4 else []),
    ]
    start = 8 + len(strip)
    return b"II*\0" + start.to_bytes(4, "little") + strip + tags(entries, start=start)
