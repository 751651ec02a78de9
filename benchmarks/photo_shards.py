"""Writes photos of a folder as shards."""

from __future__ import annotations

import argparse
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import tensorflow as tf

# Photos of a row group.
ROWS = 100


def write_shards(photos: Sequence[Path], folder: Path, records: int) -> None:
    """Writes photos into shards of so many records, named as TensorFlow's tools do."""
    folder.mkdir()
    starts = range(0, len(photos), records)
    for number, start in enumerate(starts):
        name = f"photos.tfrecord-{number:05}-of-{len(starts):05}"
        with tf.io.TFRecordWriter(str(folder / name)) as writer:
            for photo in photos[start : start + records]:
                features = {
                    "image/filename": photo.name.encode(),
                    "image/encoded": photo.read_bytes(),
                }
                feature = {
                    name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                    for name, value in features.items()
                }
                example = tf.train.Example(features=tf.train.Features(feature=feature))
                writer.write(example.SerializeToString())


def write_tar(photos: Sequence[Path], path: Path) -> None:
    """Writes photos into one WebDataset shard."""
    # The photos may be links to each other, which would be links in the shard, too.
    with tarfile.open(path, "w", dereference=True) as shard:
        for photo in photos:
            shard.add(photo, photo.name)


def write_parquet(photos: Sequence[Path], path: Path) -> None:
    """Writes photos into one Parquet file, as Hugging Face's `datasets` does."""
    image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    schema = pa.schema({"image": image})
    with pyarrow.parquet.ParquetWriter(path, schema) as shard:
        for start in range(0, len(photos), ROWS):
            group = photos[start : start + ROWS]
            rows = [{"bytes": photo.read_bytes(), "path": photo.name} for photo in group]
            shard.write_table(pa.table({"image": rows}, schema))


# What makes one shard of all photos, by its suffix.
ONE = {"tar": write_tar, "parquet": write_parquet}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photo_shards", description=__doc__)
    parser.add_argument("photos", type=Path, help="a folder")
    parser.add_argument("shard", type=Path, help="the file to write, named *.tar or *.parquet")
    arguments = parser.parse_args(argv)
    ONE[arguments.shard.suffix[1:]](sorted(arguments.photos.iterdir()), arguments.shard)


if __name__ == "__main__":
    main()
