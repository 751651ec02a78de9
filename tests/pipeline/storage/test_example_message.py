"""The messages of TFRecord shards are those of TensorFlow."""

import tensorflow as tf

from pipeline.storage.example_message import example_class

NAMES = {"image/encoded": [b"\xff\xd8"], "image/filename": ["é.jpg".encode()], "empty": []}


def theirs():
    feature = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        for name, values in NAMES.items()
    }
    feature["image/height"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[3, -4]))
    feature["score"] = tf.train.Feature(float_list=tf.train.FloatList(value=[0.5, -1e30]))
    return tf.train.Example(features=tf.train.Features(feature=feature))


def test_reads_what_tensorflow_writes():
    feature = example_class().FromString(theirs().SerializeToString()).features.feature
    assert {name: list(feature[name].bytes_list.value) for name in NAMES} == NAMES
    assert list(feature["image/height"].int64_list.value) == [3, -4]
    assert list(feature["score"].float_list.value) == list(
        theirs().features.feature["score"].float_list.value
    )
    assert feature["score"].WhichOneof("kind") == "float_list" and len(feature) == 5


def test_tensorflow_reads_what_is_written():
    ours = example_class().FromString(theirs().SerializeToString())
    assert tf.train.Example.FromString(ours.SerializeToString()) == theirs()
