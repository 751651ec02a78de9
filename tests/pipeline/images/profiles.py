"""Colour profiles put together byte by byte; no file of a profile is needed."""

import struct

# Of Adobe RGB (1998) and sRGB, adapted to D50.
WIDE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
D50 = (0.9642, 1.0, 0.8249)


def rgb_profile(primaries, gamma, name="a profile", padding=b""):
    """A profile of three primaries and one gamma.

    Args:
        primaries: XYZ of red, green and blue.
        gamma: Of every channel.
        name: What it calls itself.
        padding: Put into a private tag.
    """
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    tags = {b"rXYZ": _xyz(primaries[0]), b"gXYZ": _xyz(primaries[1]), b"bXYZ": _xyz(primaries[2])}
    tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve, b"priv": b"data\0\0\0\0" + padding}
    return _profile(b"mntr", b"RGB ", b"XYZ ", name, tags)


def gray_profile(gamma):
    """A profile of gray."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    return _profile(b"mntr", b"GRAY", b"XYZ ", "gray", {b"kTRC": curve})


def cmyk_profile(lab):
    """A profile of inks.

    Args:
        lab: 16 colours as three bytes (L, a, b) each: with none of the inks, only black, only
            yellow, yellow and black, and so on.
    """
    straight = bytes(range(256))
    head = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0])
    head += struct.pack(">9i", *(65536 * (place % 4 == 0) for place in range(9)))
    table = head + 4 * straight + bytes(lab) + 3 * straight
    return _profile(b"prtr", b"CMYK", b"Lab ", "inks", {b"A2B0": table})


def _xyz(values):
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def _profile(kind, colours, connection, name, tags):
    text = name.encode() + b"\0"
    said = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {b"desc": said, b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz(D50), **tags}
    table, data = struct.pack(">I", len(tags)), b""
    start = 132 + 12 * len(tags)
    for tag, value in tags.items():
        table += tag + struct.pack(">II", start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    head = struct.pack(
        ">I4sI4s4s4s", start + len(data), b"\0\0\0\0", 0x02100000, kind, colours, connection
    )
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", *(round(v * 65536) for v in D50))
    return head.ljust(128, b"\0") + table + data
