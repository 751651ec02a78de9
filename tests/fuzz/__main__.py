"""Fuzzes decoding and the parsing of records: python -m tests.fuzz FOLDER [libFuzzer's options].

Needs atheris (the extra ``fuzz``). FOLDER gathers the inputs that reached new code, seeds first.
What breaks is left in the current folder as crash-..., timeout-... or oom-..., and is tried again
by giving its name in place of FOLDER. An hour in the background, on one core:

    nice python -m tests.fuzz found -max_total_time=3600 -timeout=20 -rss_limit_mb=2500
"""

import io
import random
import struct
import sys
import zlib
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["PIL", "pipeline"]):
    # Pillow would load them at the first image, not instrumented.
    from PIL import (
        BmpImagePlugin,  # noqa: F401
        GifImagePlugin,  # noqa: F401
        JpegImagePlugin,  # noqa: F401
        MpoImagePlugin,  # noqa: F401
        PngImagePlugin,  # noqa: F401
        TiffImagePlugin,  # noqa: F401
        WebPImagePlugin,  # noqa: F401
    )

    from pipeline.failures import BadImage
    from pipeline.images import open_safely as open_image
    from pipeline.images.photo import decode_image
    from pipeline.images.truth import decode_mask, decode_truth
    from pipeline.storage.raw_records import Features
    from pipeline.storage.tfrecord import Frame, parse, read_frames

from tests.hostile.images import hostile_images
from tests.hostile.shards import hostile_shards, masked_crc

LONGEST = 60_000
# Larger images only take longer.
MOST_PIXELS = 1 << 22
PNG = b"\x89PNG\r\n\x1a\n"


def fuzz_image(data):
    pixels, (width, height), _ = decode_image(data, 32, MOST_PIXELS)
    assert pixels.shape == (32, 32, 3) and pixels.dtype == np.uint8
    assert width * height <= MOST_PIXELS


def fuzz_mask(data):
    mask = decode_mask(data, MOST_PIXELS)
    assert mask.ndim == 2 and mask.dtype == np.uint8
    assert mask.size <= MOST_PIXELS


def fuzz_truth(data):
    size = (int(data[0]) + 1, int(data[1]) + 1) if len(data) > 1 else (4, 4)
    for wanted in (size, (4, 4), (48, 40)):
        try:
            truth = decode_truth(data[2:], wanted, MOST_PIXELS)
        except BadImage:
            continue
        assert truth.shape == wanted[::-1] and truth.dtype == bool


def fuzz_records(data):
    taken = 0
    for record in read_frames(io.BytesIO(data)):
        taken += record.size
        assert taken <= len(data)
        if record.fault is None:
            fuzz_example(record.data)


def fuzz_example(data):
    features = parse(Frame(len(data) + 16, data))
    assert isinstance(features, Features) and isinstance(features.key, str)
    features.key.encode()
    assert features.image is None or isinstance(features.image, bytes)


TARGETS = (fuzz_image, fuzz_mask, fuzz_truth, fuzz_records, fuzz_example)


def fuzz(data):
    """The first byte chooses the target, the rest is its input."""
    if not data:
        return
    try:
        TARGETS[data[0] % len(TARGETS)](data[1:])
    except BadImage as error:
        assert str(error) and error.reason.isidentifier()


def mutate(data, longest, seed):
    """Most inputs get true checksums again, or no change would get past them."""
    data = atheris.Mutate(data, longest)
    if random.Random(seed).random() < 0.2:
        return data
    start = data.find(PNG)
    if start >= 0:
        return (data[:start] + _with_png_checksums(data[start:]))[:longest]
    if data[:1] and TARGETS[data[0] % len(TARGETS)] is fuzz_records:
        return (data[:1] + _with_record_checksums(data[1:]))[:longest]
    return data


def _with_png_checksums(data):
    fixed, position = data[:8], 8
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            break
        body = data[position + 4 : end]
        fixed += data[position : position + 4] + body + struct.pack(">I", zlib.crc32(body))
        position = end + 4
    return fixed + data[position:]


def _with_record_checksums(data):
    fixed, position = b"", 0
    while position + 16 <= len(data):
        head = data[position : position + 8]
        end = position + 12 + min(int.from_bytes(head, "little"), len(data))
        fixed += head + struct.pack("<I", masked_crc(head))
        if end + 4 > len(data):
            position += 12
            break
        body = data[position + 12 : end]
        fixed += body + struct.pack("<I", masked_crc(body))
        position = end + 4
    return fixed + data[position:]


def write_seeds(folder):
    """The corpus of the tests, where it is small enough to be worth changing."""
    folder.mkdir(parents=True, exist_ok=True)
    images = [data for _, _, data in hostile_images()]
    shards = [shard.data for shard in hostile_shards()]
    for number, data in enumerate(images + shards):
        targets = (0, 1, 2) if number < len(images) else (3,)
        for target in targets if len(data) < LONGEST else ():
            # Three bytes for a truth: its target, and the size that it should have.
            seed = (b"\2\3\3" if target == 2 else bytes([target])) + data
            (folder / f"seed-{number:03}-{target}").write_bytes(seed)


def main():
    target = Path(sys.argv[1])
    if not target.is_file():
        if not target.is_dir() or not any(target.iterdir()):
            write_seeds(target)
        open_image.MAX_MEMORY = 1 << 27
    # Loads TensorFlow, which the first record would be blamed for.
    fuzz_example(b"")
    atheris.Setup([*sys.argv, f"-max_len={LONGEST}"], fuzz, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
