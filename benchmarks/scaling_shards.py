"""Writes photos as TFRecord shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf


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
