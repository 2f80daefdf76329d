"""Reads TensorBoard's event files."""

import tensorflow as tf
from tensorflow.core.util.event_pb2 import Event


def _values(folder):
    for path in sorted(folder.glob("events.out.*")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            yield from Event.FromString(record).summary.value


def scalars(folder):
    """Values of every scalar tag, in the order written."""
    found = {}
    for value in _values(folder):
        if value.metadata.plugin_data.plugin_name == "scalars" or value.tag in found:
            found.setdefault(value.tag, []).append(float(tf.make_ndarray(value.tensor)))
    return found


def images(folder):
    """Decoded pictures of every image tag, in the order written."""
    found = {}
    for value in _values(folder):
        if value.metadata.plugin_data.plugin_name == "images" or value.tag in found:
            found.setdefault(value.tag, []).append(tf.io.decode_png(value.tensor.string_val[2]).numpy())
    return found
