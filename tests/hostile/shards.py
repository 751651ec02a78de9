"""Hostile shards. TFRecord is framed and serialized here, so that it can say anything."""

import gzip
import random
import struct
from dataclasses import dataclass

import google_crc32c

from tests.hostile.containers import gray_png
from tests.hostile.photos import encode, photo
from tests.hostile.tars import hostile_parquets, hostile_tars

NAMES = (
    "../../escaped.jpg",
    "/etc/escaped.jpg",
    "//server/share/escaped.jpg",
    "C:\\escaped.jpg",
    "..\\..\\escaped.jpg",
    "a/../../../escaped.jpg",
    "..",
    ".",
    "/",
    "masks/../../metrics/metrics-00000-of-00001.jsonl",
    "~root/escaped.jpg",
    "nul\0byte.jpg",
    "line\nbreak.jpg",
    "line\u2028separator.jpg",
    "x" * 5000,
    "x" * 5000 + ".jpg",
    "d/" * 2500 + "deep.jpg",
    "\N{CJK UNIFIED IDEOGRAPH-5B57}" * 3000,
    "CON.jpg",
    "aux/a.jpg",
    "com1.png.jpg",
    "dot.",
    "space ",
    "case.jpg",
    "CASE.jpg",
    "caf\N{LATIN SMALL LETTER E WITH ACUTE}.jpg",
    "cafe\N{COMBINING ACUTE ACCENT}.jpg",
    "same.jpg",
    "same.jpg",
    "same.png",
    "folder.png/a.jpg",
    "folder.jpg",
    "*.jpg",
    "$(touch hostile-was-here).jpg",
    "gs://bucket/escaped.jpg",
    "file:///etc/escaped.jpg",
    "\x1b[2J\x07.jpg",
)


@dataclass(frozen=True)
class Shard:
    """A shard and what its reader owes.

    Attributes:
        kind: What is wrong with it.
        suffix: Of the file.
        data: The file.
        keys: Of the records that can be told apart; ``""`` for one without a name of its own.
        rest: Whether something follows that no record can be made of.
    """

    kind: str
    suffix: str
    data: bytes
    keys: tuple[str, ...] = ()
    rest: bool = False


def record(data, length=None, length_crc=None, data_crc=None):
    """A framed record; its length and checksums are true unless they are given."""
    head = struct.pack("<Q", len(data) if length is None else length)
    head += struct.pack("<I", masked_crc(head) if length_crc is None else length_crc)
    return head + data + struct.pack("<I", masked_crc(data) if data_crc is None else data_crc)


def masked_crc(data):
    """The checksum that TensorFlow writes."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def example(name=b"a.png", image=None, /, **features):
    """A serialized ``tf.train.Example``; values are bytes, or lists of bytes, ints or floats."""
    named = {"image/filename": name, "image/encoded": image, **features}
    entries = b"".join(
        _field(1, _field(1, key.encode()) + _field(2, _feature(value)))
        for key, value in named.items()
        if value is not None
    )
    return _field(1, entries)


def _feature(value):
    values = [value] if isinstance(value, bytes) else value
    if all(isinstance(one, bytes) for one in values):
        return _field(1, b"".join(_field(1, one) for one in values))
    if all(isinstance(one, float) for one in values):
        return _field(2, _field(1, struct.pack(f"<{len(values)}f", *values)))
    return _field(3, _field(1, b"".join(_varint(one) for one in values)))


def _field(number, data):
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value):
    data = b""
    while value > 127:
        data, value = data + bytes([value & 127 | 128]), value >> 7
    return data + bytes([value])


def hostile_shards():
    """Yields every shard of the corpus."""
    image = gray_png()
    good = record(example(b"good.png", image))
    yield Shard(
        "shard of hostile names",
        ".tfrecord",
        b"".join(record(example(name.encode(), image)) for name in NAMES),
        NAMES,
    )
    yield Shard("empty shard", ".tfrecord", b"")
    yield from _frames(good)
    yield from _examples(good, image)
    yield from _features(image)
    yield from _compressed(good)
    for source in (hostile_tars, hostile_parquets):
        yield from (Shard(*values) for values in source())


def _frames(good):
    for length in (2**63, 2**64 - 1, 2**31, 200 << 20):
        cut = record(b"x" * 100, length=length)
        yield Shard("record longer than its shard", ".tfrecord", good + cut, ("good.png",), True)
    for end in (1, 5, 11, 12, 40, len(good) - 1):
        yield Shard("shard cut short", ".tfrecord", good + good[:end], ("good.png",), True)
    wrong = record(b"x" * 100, length_crc=1)
    yield Shard("wrong checksum of a length", ".tfrecord", good + wrong, ("good.png",), True)
    spoilt = record(example(b"spoilt.png", gray_png()), data_crc=1)
    kind = "wrong checksum of a record"
    yield Shard(kind, ".tfrecord", good + spoilt + good, ("good.png", "", "good.png"))
    others = {
        "zeros as a shard": bytes(1000),
        "PNG as a shard": encode(photo(), "PNG"),
        "text as a shard": b"a,b\n1,2\n" * 99,
    }
    for kind, data in others.items():
        yield Shard(kind, ".tfrecord", data, (), True)


def _examples(good, image):
    records = {
        "record of no bytes": b"",
        "record that is text": b"This is no message.",
        "record that is a PNG": image,
        "record of groups in groups": b"\x0b" * 10_000,
        "record of messages in messages": b"\x0a\x7f" * 5000,
        "record whose field is longer than it": b"\x0a\xff\xff\xff\xff\x0f",
        "record cut in its message": example(b"cut.png", image)[:-20],
    }
    for kind, data in records.items():
        yield Shard(kind, ".tfrecord", record(data) + good, ("", "good.png"))


def _features(image):
    named = ("a.png",)
    truth = "image/segmentation/class/encoded"
    examples = {
        "no image": (example(), named),
        "image of no bytes": (example(b"a.png", b""), named),
        "image that is a number": (example(b"a.png", [7]), named),
        "image that is numbers": (example(b"a.png", [7.5, float("nan")]), named),
        "image in an empty list": (example(b"a.png", []), named),
        "two images in one feature": (example(b"a.png", [image, b"second"]), named),
        "image that is text": (example(b"a.png", b"text"), named),
        "no name": (example(None, image), ("",)),
        "empty name": (example(b"", image), ("",)),
        "name that is a number": (example([7], image), ("",)),
        "name that is no UTF-8": (example(b"\xff\xfe.png", image), ("\ufffd\ufffd.png",)),
        "source that is no UTF-8": (
            example(None, image, **{"image/source_id": b"\x80"}),
            ("\ufffd",),
        ),
        "truth that is a number": (example(b"a.png", image, **{truth: [1]}), named),
        "truth that is text": (example(b"a.png", image, **{truth: b"text"}), named),
        "truth of another size": (example(b"a.png", image, **{truth: gray_png(9, 9)}), named),
        "truth of 500 megapixels": (
            example(b"a.png", image, **{truth: gray_png(25000, 20000)}),
            named,
        ),
        "height that is a lie": (example(b"a.png", image, **{"image/height": [2**62]}), named),
        "ten thousand features": (
            example(b"a.png", image, **{f"feature{number}": [number] for number in range(10_000)}),
            named,
        ),
    }
    for kind, (data, keys) in examples.items():
        yield Shard(kind, ".tfrecord", record(data), keys)


def _compressed(good):
    packed = gzip.compress(good * 3, mtime=0)
    three = ("good.png",) * 3
    yield Shard("gzip shard", ".tfrecord.gz", packed, three)
    yield Shard("gzip shard of no bytes", ".tfrecord.gz", b"")
    cut = gzip.compress(good + random.Random(4).randbytes(9999), mtime=0)[:-4000]
    yield Shard("gzip shard cut short", ".tfrecord.gz", cut, three[:1], True)
    for end in (5, 15, len(packed) - 8):
        whole = three if end > 15 else ()
        yield Shard("gzip shard cut short", ".tfrecord.gz", packed[:end], whole, True)
    spoilt = packed[:-8] + bytes(8)
    yield Shard("gzip shard, wrong checksum", ".tfrecord.gz", spoilt, three, True)
    yield Shard("gzip shard that is none", ".tfrecord.gz", good, (), True)
    yield Shard(
        "gzip shard of text", ".tfrecord.gz", gzip.compress(b"text" * 99, mtime=0), (), True
    )
    bomb = record(bytes(1000), length=2**40) + bytes(32 << 20)
    yield Shard("gzip bomb", ".tfrecord.gz", gzip.compress(good + bomb, mtime=0), three[:1], True)
