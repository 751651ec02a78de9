"""A look at a JPEG 2000 file before OpenJPEG decodes it (ISO/IEC 15444-1, annexes A and I).

OpenJPEG makes room for every tile, precinct and code block that the headers ask for, and takes a
file that ends early for a picture.
"""

from __future__ import annotations

import struct

from pipeline.failures import BadImage

# Of 200 megapixels in tiles of 160 x 160 pixels.
MAX_TILES = 8192
_MAX_TILE_PARTS = 1 << 16
# Encoders write 20 at most, each of which is a pass over all blocks.
_MAX_LAYERS = 256
# Encoders write blocks of 64 x 64 or 32 x 32 pixels, and precincts of 128 x 128 or more.
_MIN_BLOCK_BITS, _MIN_PRECINCT_BITS = 8, 5
_MAX_BOXES = 10_000
_CODESTREAM = b"\xff\x4f\xff\x51"
_SIZ, _COD, _COC, _SOT, _SOD, _EOC = 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9


def levels_of(data: bytes, size: tuple[int, int]) -> int:
    """How often the picture can be halved while it is decoded.

    Args:
        data: A JP2 or JPX file, or a codestream.
        size: (width, height) by the outer header.

    Raises:
        BadImage: The file ends early, its headers are at odds, or they ask for more than any
            picture does.
    """
    try:
        return _Codestream(data, size).levels
    except struct.error:
        raise _cut_short() from None


class _Codestream:
    def __init__(self, data: bytes, size: tuple[int, int]):
        self._data, self._size = data, size
        self.levels = 32
        self._tiles = 0
        at, marker = _start(data) + 2, 0
        while marker != _SOT:
            marker, length = struct.unpack_from(">HH", data, at)
            if marker != _SOT:
                self._segment(marker, at + 4, length - 2)
                at += 2 + max(2, length)
        self._tile_parts(at)

    def _tile_parts(self, at: int) -> None:
        seen, count = set(), 0
        while struct.unpack_from(">H", self._data, at)[0] == _SOT:
            tile, length = struct.unpack_from(">HI", self._data, at + 4)
            end = at + length if length else len(self._data)
            if end > len(self._data):
                raise _cut_short()
            seen.add(tile)
            count += 1
            if end < at + 14 or count > _MAX_TILE_PARTS:
                raise BadImage("broken", "the tiles of the JPEG2000 are damaged")
            self._header_of_tile_part(at + 12)
            if (at := end) >= len(self._data) - 1:
                break
        if len(seen) < self._tiles:
            raise _cut_short()

    def _header_of_tile_part(self, at: int) -> None:
        while (marker := struct.unpack_from(">H", self._data, at)[0]) != _SOD:
            (length,) = struct.unpack_from(">H", self._data, at + 2)
            self._segment(marker, at + 4, length - 2)
            at += 2 + max(2, length)

    def _segment(self, marker: int, at: int, length: int) -> None:
        if marker == _SIZ:
            self._look_at_size(at)
        elif marker == _COD:
            style, _, layers = struct.unpack_from(">BBH", self._data, at)
            if layers > _MAX_LAYERS:
                raise BadImage("bomb", f"a JPEG2000 of {layers} layers")
            self._look_at_blocks(style, at + 5)
        elif marker == _COC:  # At most four components: the number takes one byte.
            self._look_at_blocks(self._data[at + 1], at + 2)

    def _look_at_size(self, at: int) -> None:
        right, bottom, left, top, width, height, x, y, count = struct.unpack_from(
            ">2x8IH", self._data, at
        )
        if (right - left, bottom - top) != self._size or not 1 <= count <= 4:
            raise BadImage("broken", "the headers of the JPEG2000 say different sizes")
        if not width or not height or x > left or y > top:
            raise BadImage("broken", "the JPEG2000 has tiles of no size")
        self._tiles = -(-(right - x) // width) * -(-(bottom - y) // height)
        if self._tiles > MAX_TILES:
            raise BadImage("bomb", f"a JPEG2000 of {self._tiles} tiles; at most {MAX_TILES}")

    def _look_at_blocks(self, style: int, at: int) -> None:
        levels, width, height = struct.unpack_from(">3B", self._data, at)
        self.levels = min(self.levels, levels)
        bits = [(width & 15) + (height & 15) + 4 - _MIN_BLOCK_BITS]
        if style & 1:
            for both in struct.unpack_from(f">{levels + 1}B", self._data, at + 5):
                bits += [(both & 15) - _MIN_PRECINCT_BITS, (both >> 4) - _MIN_PRECINCT_BITS]
        if min(bits) < 0:
            raise BadImage("bomb", "a JPEG2000 of blocks of a few pixels each")


def _start(data: bytes) -> int:
    """Where the codestream begins."""
    at = 0
    for _ in range(_MAX_BOXES):
        if data.startswith(_CODESTREAM, at):
            return at
        length, name = struct.unpack_from(">I4s", data, at)
        head = 16 if length == 1 else 8
        if name == b"jp2c":
            at += head
            if data.startswith(_CODESTREAM, at):
                return at
            break
        length = struct.unpack_from(">Q", data, at + 8)[0] if length == 1 else length
        if length < head:
            break
        at += length
    raise BadImage("broken", "the JPEG2000 holds no pixels")


def _cut_short() -> BadImage:
    return BadImage("broken", "the JPEG2000 is cut short; copy it from its source again")
