"""Files for tests: folders of small files, and shards as TensorFlow writes them."""

from pathlib import Path

import tensorflow as tf


def lay(root, *names):
    """Writes files that hold their own names."""
    for name in names:
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def files_below(folder):
    """The paths of all files below a folder, sorted."""
    return sorted(
        str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()
    )


def example(name=None, image=None, truth=None, source=None):
    """A serialized ``tf.train.Example`` of these features, each bytes or None."""
    values = {
        "image/filename": name,
        "image/source_id": source,
        "image/encoded": image,
        "image/segmentation/class/encoded": truth,
    }
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                for key, value in values.items()
                if value is not None
            }
        )
    ).SerializeToString()


def write_shard(path, records):
    """Writes records; with gzip if the name ends in .gz."""
    options = tf.io.TFRecordOptions("GZIP") if str(path).endswith(".gz") else None
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for record in records:
            writer.write(record)
