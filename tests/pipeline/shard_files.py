"""Files for tests: folders of small files, and shards as others write them."""

import io
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

# What Hugging Face's feature ``Image`` is stored as.
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


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


def write_tar(path, members, mode=None, **options):
    """Writes (name, content) as Python's tarfile does; packed if the name ends in gz."""
    packed = str(path).endswith(("gz",))
    with tarfile.open(path, mode or ("w:gz" if packed else "w"), **options) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def write_parquet(path, columns, group=100, **options):
    """Writes columns, each (type, values), by Arrow in row groups of some rows."""
    arrays = {name: pa.array(values, kind) for name, (kind, values) in columns.items()}
    pq.write_table(pa.table(arrays), path, row_group_size=group, **options)


def image_column(images, paths=None):
    """A column as Hugging Face writes it."""
    paths = paths or [None] * len(images)
    values = [{"bytes": image, "path": path} for image, path in zip(images, paths, strict=True)]
    return IMAGE, values
