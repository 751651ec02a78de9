"""Makes photos of any size and number from the bundled sample's, or from those of a folder."""

from __future__ import annotations

import argparse
import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SAMPLE = Path(__file__).parents[1] / "pipeline" / "sample"

# With this noise a photo of 12 megapixels has about a quarter of a byte per pixel, as a camera's.
_NOISE = 12
_QUALITY = 90


def source_photos(folder: Path | None = None) -> list[Image.Image]:
    """Returns the eleven photos of the bundled sample, or the first sixteen JPEGs of a folder."""
    if folder is None:
        encoded = [io.BytesIO(data) for data in sample_fields("image/encoded")]
    else:
        encoded = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".jpg")[:16]
    return [ImageOps.exif_transpose(Image.open(file)).convert("RGB") for file in encoded]


def make_photos(
    target: Path, count: int, megapixels: float, folder: Path | None = None
) -> list[Path]:
    """Writes JPEGs: each source photo once, scaled and with noise, then further links to these.

    Args:
        target: Folder to make and write to.
        count: Number of files.
        megapixels: Size of each; its shape is that of its source.
        folder: As for ``source_photos``.

    Returns:
        Paths of the files.
    """
    target.mkdir(parents=True)
    paths = [target / f"photo{number:05}.jpg" for number in range(count)]
    sources = source_photos(folder)
    rng = np.random.default_rng(0)
    for path, source in zip(paths, sources, strict=False):
        scale = (megapixels * 1e6 / (source.width * source.height)) ** 0.5
        size = (round(source.width * scale), round(source.height * scale))
        pixels = np.asarray(source.resize(size, Image.Resampling.BICUBIC), np.int16)
        pixels = pixels + rng.integers(-_NOISE, _NOISE + 1, pixels.shape, dtype=np.int8)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=_QUALITY)
    for number in range(len(sources), count):
        os.link(paths[number % len(sources)], paths[number])
    return paths


def link_first(paths: Sequence[Path], count: int, target: Path) -> None:
    """Makes a folder of hard links to the first `count` files."""
    target.mkdir()
    for path in paths[:count]:
        os.link(path, target / path.name)


def sample_fields(name: str) -> list[bytes | None]:
    """Returns a feature of each record of the bundled sample; None of a record without it."""
    # Imported here: commands that make photos of a folder do without it.
    import tensorflow as tf

    shards = sorted(map(str, SAMPLE.glob("*.tfrecord")))
    examples = (
        tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(shards)
    )
    values = (each.features.feature[name].bytes_list.value for each in examples)
    return [next(iter(value), None) for value in values]


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photos", description=__doc__)
    parser.add_argument("target", type=Path, help="folder to write to")
    parser.add_argument("--count", type=int, default=11, help="number of photos")
    parser.add_argument("--megapixels", type=float, default=1.0, help="size of each")
    parser.add_argument("--photos", type=Path, help="folder of JPEGs to make them from")
    arguments = parser.parse_args(argv)
    make_photos(arguments.target, arguments.count, arguments.megapixels, arguments.photos)


if __name__ == "__main__":
    main()
