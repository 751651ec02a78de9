"""Files of 16-bit colours, put together byte by byte: Pillow writes none."""

import struct
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

PLANAR, EXTRA_SAMPLES = 284, 338


def deep_png(numbers, **options):
    """A PNG of 16 bits of numbers, (height, width, channels); of 2 to 4 channels."""
    height, width, channels = numbers.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in numbers)
    colour = {2: 4, 3: 2, 4: 6}[channels]
    return png(width, height, zlib.compress(rows), bits=16, colour=colour, **options)


def planar_tiff(numbers, order="<", packed=False):
    """A TIFF of 16 bits, of one strip for each of its planes.

    Args:
        numbers: (height, width, 1), (height, width, 3) or (height, width, 4).
        order: Of the bytes, little- (``<``) or big-endian.
        packed: Whether the strips are deflated, so that libtiff reads them.
    """
    height, width, channels = numbers.shape
    planes = [plane.tobytes() for plane in numbers.transpose(2, 0, 1).astype(f"{order}u2")]
    planes = [zlib.compress(plane) if packed else plane for plane in planes]
    pixels, sizes = b"".join(planes), [len(plane) for plane in planes]
    entries = [
        (WIDTH, 4, (width,)),
        (LENGTH, 4, (height,)),
        (BITS, 3, (16,) * channels),
        (COMPRESSION, 3, (8 if packed else 1,)),
        (PHOTOMETRIC, 3, (2 if channels > 1 else 1,)),
        (STRIP_OFFSETS, 4, tuple(8 + sum(sizes[:number]) for number in range(channels))),
        (SAMPLES, 3, (channels,)),
        (ROWS_PER_STRIP, 4, (height,)),
        (STRIP_BYTES, 4, tuple(sizes)),
        (PLANAR, 3, (2,)),
        *([(EXTRA_SAMPLES, 3, (2,))] if channels == 4 else []),
    ]
    start = 8 + len(pixels)
    directory, behind = struct.pack(f"{order}H", len(entries)), b""
    for tag, kind, values in entries:
        value = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(value) > 4:
            place = start + 6 + 12 * len(entries) + len(behind)
            value, behind = struct.pack(f"{order}I", place), behind + value
        head = struct.pack(f"{order}HHI", tag, kind, len(values))
        directory += head + value.ljust(4, b"\0")
    first = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", start)
    return first + pixels + directory + bytes(4) + behind


def deep_tiff(numbers, packed=False):
    """A TIFF of 16 bits, little-endian, of one strip.

    Args:
        numbers: (height, width, 3) or (height, width, 4).
        packed: Whether the strip is deflated, so that libtiff reads it.
    """
    height, width, channels = numbers.shape
    strip = numbers.astype("<u2").tobytes()
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
