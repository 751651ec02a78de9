"""``tf.train.Example``, the message inside TFRecord shards, without TensorFlow."""

from __future__ import annotations

import functools

# As example.proto and feature.proto of TensorFlow say it, but for the package: two libraries of a
# process must not declare one name. The package is not part of what is written.
_DECLARED = """
name: "basnet_annotator/example.proto" package: "basnet_annotator" syntax: "proto3"
message_type {
  name: "BytesList"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES }
}
message_type {
  name: "FloatList"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_FLOAT }
}
message_type {
  name: "Int64List"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 }
}
message_type {
  name: "Feature"
  oneof_decl { name: "kind" }
  field { name: "bytes_list" number: 1 label: LABEL_OPTIONAL type: TYPE_MESSAGE oneof_index: 0
          type_name: ".basnet_annotator.BytesList" }
  field { name: "float_list" number: 2 label: LABEL_OPTIONAL type: TYPE_MESSAGE oneof_index: 0
          type_name: ".basnet_annotator.FloatList" }
  field { name: "int64_list" number: 3 label: LABEL_OPTIONAL type: TYPE_MESSAGE oneof_index: 0
          type_name: ".basnet_annotator.Int64List" }
}
message_type {
  name: "Features"
  field { name: "feature" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE
          type_name: ".basnet_annotator.Features.FeatureEntry" }
  nested_type {
    name: "FeatureEntry"
    options { map_entry: true }
    field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
    field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_MESSAGE
            type_name: ".basnet_annotator.Feature" }
  }
}
message_type {
  name: "Example"
  field { name: "features" number: 1 label: LABEL_OPTIONAL type: TYPE_MESSAGE
          type_name: ".basnet_annotator.Features" }
}
"""


@functools.cache
def example_class():
    """The class of messages; what it reads and writes is what ``tf.train.Example`` does."""
    # Imported here because only shards of TFRecord need it.
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

    declared = text_format.Parse(_DECLARED, descriptor_pb2.FileDescriptorProto())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(declared)
    found = pool.FindMessageTypeByName("basnet_annotator.Example")
    return message_factory.GetMessageClass(found)
