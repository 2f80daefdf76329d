"""TensorBoard's event files, as TensorFlow writes them."""

from typing import Any

import numpy as np

from keras_imbalance._keras._tensorflow import tensorflow


class EventFile:
    """A file of scalars and pictures in a folder of its own, which TensorBoard reads while it grows.

    `tf.summary.write` puts down what `tf.summary.scalar` and `tf.summary.image` would, without the tensorboard package.

    Args:
        folder: path of the folder, made where it is missing.
    """

    def __init__(self, folder: str):
        self._tf = tensorflow()
        self._writer = self._tf.summary.create_file_writer(folder)

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Adds a point to the curve `tag`."""
        self._write(tag, np.float32(value), step, "scalars")

    def image(self, tag: str, pixels: np.ndarray, step: int) -> None:
        """Adds a picture, uint8 `(height, width, channels)`."""
        height, width = (str(size).encode() for size in pixels.shape[:2])
        encoded = self._tf.io.encode_png(pixels).numpy()
        self._write(tag, np.array([width, height, encoded], object), step, "images")

    def flush(self) -> None:
        """Lets readers see what was added so far."""
        self._writer.flush()

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()

    def _write(self, tag: str, value: Any, step: int, plugin: str) -> None:
        metadata = self._tf.compat.v1.SummaryMetadata()
        metadata.plugin_data.plugin_name = plugin
        with self._writer.as_default(step=step):
            self._tf.summary.write(tag, value, metadata=metadata)
