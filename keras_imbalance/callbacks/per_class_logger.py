"""The value of every class once an epoch, and pictures of the confusion matrix for TensorBoard."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_imbalance.backend import Callback, compiled_metrics
from keras_imbalance.callbacks.state import folder_name
from keras_imbalance.metrics.base import ClassMetric
from keras_imbalance.metrics.confusion_matrix import ConfusionMatrixMetric


class PerClassLogger(Callback):
    """Adds `{name}/{class}` and `val_{name}/{class}` of every compiled per-class metric to the logs of each epoch.

    For many classes: a scalar a class in the logs of every batch makes a step several times slower, so compile the metrics
    with `log_classes=False` (a batch then logs the macro mean alone) and let this callback add the classes once an epoch.
    Callbacks that come after it in the list, and History, see them: put it before EarlyStopping, CSVLogger, TensorBoard and
    DynamicSampling. In a model of several outputs `name` is what Keras logs, `{output}_{name}`.

    `evaluate(return_dict=True)` returns the macro means; the classes are in `validation` afterwards when the callback was
    passed to it, and in `metric.class_values(name)` always.

    Attributes:
        training: `{name}/{class}` of the last training epoch.
        validation: `{name}/{class}` of the last evaluation.

    Raises:
        ValueError: at the end of the first epoch when the model was compiled with no per-class metric.

    Example:
    ```python
    model.compile(optimizer, loss, metrics=[PerClassF1(100, log_classes=False)])
    model.fit(x, y, validation_data=(x_val, y_val), callbacks=[PerClassLogger(), EarlyStopping("val_f1", mode="max")])
    ```
    """

    def __init__(self):
        super().__init__()
        self.training: dict[str, float] = {}
        self.validation: dict[str, float] = {}
        self._in_epoch = False

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        self.training, self.validation, self._in_epoch = {}, {}, True

    def on_test_begin(self, logs: Mapping | None = None) -> None:
        # Validation is about to reset the metrics: the training epoch is read now or never.
        if self._in_epoch:
            self._read_training()

    def on_test_end(self, logs: Mapping | None = None) -> None:
        metrics = compiled_metrics(self.model)
        self.validation = class_values(metrics)
        self.read_matrices(metrics, "validation")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self._in_epoch:
            self._read_training()
        if not self.training:
            names = sorted(metric.name for metric in self.model.metrics)
            raise ValueError(
                "PerClassLogger needs a model that was compiled with a per-class metric such as "
                f"PerClassF1(num_classes, log_classes=False). Received a model with the metrics {names}."
            )
        if logs is not None:
            logs.update(self.training)
            logs.update({f"val_{key}": value for key, value in self.validation.items()})

    def read_matrices(self, metrics: Mapping, part: str) -> None:
        """Called while the metrics hold the rows of `part`, "train" or "validation"; nothing is kept here."""

    def _read_training(self):
        metrics = compiled_metrics(self.model)
        self.training, self._in_epoch = class_values(metrics), False
        self.read_matrices(metrics, "train")


class PerClassTensorBoard(PerClassLogger):
    """PerClassLogger that also writes the classes as scalars and the confusion matrices as pictures for TensorBoard.

    The scalars are `{name}/{class}` and the pictures `confusion_matrix/{name}`, one an epoch, in the runs "train" and
    "validation" of Keras's own TensorBoard callback, which may write into the same folder beside it. Metrics whose confusion
    matrices are equal share one picture. Needs TensorFlow, and matplotlib for the pictures.

    Args:
        log_dir: folder of the event files. Defaults to "logs".
        pictures: whether confusion matrices are drawn. Defaults to True.
        normalize: what the colours show: "true" for shares of each true class, None for counts. Defaults to "true".

    Raises:
        ValueError: at the end of the first epoch when the model was compiled with no per-class metric.

    Example:
    ```python
    model.compile(optimizer, loss, metrics=[PerClassF1(3, class_names=["ok", "fraud", "unsure"])])
    model.fit(x, y, validation_data=(x_val, y_val), callbacks=[PerClassTensorBoard("logs")])
    ```
    """

    def __init__(self, log_dir: str | os.PathLike = "logs", pictures: bool = True, normalize: str | None = "true"):
        super().__init__()
        self.log_dir = folder_name(log_dir, "log_dir")
        self.pictures = bool(pictures)
        self.normalize = normalize
        self._writers: dict[str, Any] = {}
        self._matrices: dict[str, dict] = {}

    def read_matrices(self, metrics: Mapping, part: str) -> None:
        self._matrices[part] = {}
        if not self.pictures:
            return
        for name, metric in metrics.items():
            if not isinstance(metric, ConfusionMatrixMetric) or metric.multi_label:
                continue
            matrix = metric.matrix()
            drawn = (seen for seen, _ in self._matrices[part].values())
            if not any(np.array_equal(matrix, seen, equal_nan=True) for seen in drawn):
                self._matrices[part][name] = (matrix, metric.class_names)

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._matrices = {}

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        for part, values in (("train", self.training), ("validation", self.validation)):
            if values or self._matrices.get(part):
                self._write(part, epoch, values)

    def on_train_end(self, logs: Mapping | None = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _write(self, part, epoch, values):
        from keras_imbalance.backend.tensorflow_beside import tf

        if part not in self._writers:
            self._writers[part] = tf.summary.create_file_writer(os.path.join(self.log_dir, part))
        # tf.summary.write puts down what tf.summary.scalar and .image would, without the tensorboard package.
        with self._writers[part].as_default(step=epoch):
            for key, value in values.items():
                tf.summary.write(key, np.float32(value), metadata=_metadata("scalars"))
            for name, (matrix, class_names) in self._matrices.get(part, {}).items():
                pixels = _pixels(matrix, class_names, self.normalize)
                height, width = (str(size).encode() for size in pixels.shape[:2])
                picture = [width, height, tf.io.encode_png(pixels).numpy()]
                tf.summary.write(f"confusion_matrix/{name}", np.array(picture, object), metadata=_metadata("images"))
        self._writers[part].flush()


def _metadata(plugin):
    from keras_imbalance.backend.tensorflow_beside import tf

    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = plugin
    return metadata


def class_values(metrics: Mapping[str, Any]) -> dict[str, float]:
    """`{name}/{class}` of every per-class metric, `name` being its key in the mapping."""
    values: dict[str, float] = {}
    for name, metric in metrics.items():
        if isinstance(metric, ClassMetric):
            found = metric.class_values(_logged_name(name, metric))
            doubled = sorted(values.keys() & found.keys())
            if doubled:
                raise ValueError(
                    f"Metrics compiled together must log different keys. Received: {doubled[:3]} of two metrics. "
                    "Give one another `name` (`prefix` for PerClassReport)."
                )
            values.update(found)
    return values


def _logged_name(name, metric):
    """Keys that the metric logs by itself carry its own name; Keras puts the output in front of a scalar's."""
    return metric.name if metric.log_keys() else name


def _pixels(matrix, class_names, normalize):
    """A picture of a confusion matrix, uint8 `(height, width, 4)`; no window and no state of pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from keras_imbalance.plots import plot_confusion_matrix

    canvas = FigureCanvasAgg(plot_confusion_matrix(matrix, class_names, normalize))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()
