"""The value of every class and pictures of the confusion matrix for TensorBoard, once an epoch."""

import os
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from keras_imbalance._core import Sampler, check_flag, check_one_of
from keras_imbalance._keras import EventFile
from keras_imbalance.callbacks.folders import check_folder
from keras_imbalance.callbacks.per_class_logger import PerClassLogger
from keras_imbalance.metrics import CountingMetric


class PerClassTensorBoard(PerClassLogger):
    """PerClassLogger that also writes the classes as scalars and the confusion matrices as pictures for TensorBoard.

    The scalars are `{name}/{class}` and the pictures `confusion_matrix/{name}`, one an epoch, in the runs "train" and
    "validation" of Keras's own TensorBoard callback, which may write into the same folder in the same fit. Pictures are of
    metrics that keep a matrix, such as `ConfusionMatrix`; equal matrices share one. Needs TensorFlow, and matplotlib for
    the pictures.

    Args:
        log_dir: folder of the event files. Defaults to "logs".
        pictures: whether confusion matrices are drawn. Defaults to True.
        normalize: what the colours show: "true" for shares of each true class, None for counts. Defaults to "true".
        sampler: as in PerClassLogger. Defaults to None.

    Raises:
        ValueError: for arguments of another kind, and when the model was compiled with no per-class metric, as in
            PerClassLogger.

    Example:
    >>> import keras, numpy as np, os, tempfile
    >>> from keras_imbalance import PerClassF1
    >>> x, y = np.repeat([0.0, 1.0], [30, 10])[:, None], np.repeat([0, 1], [30, 10])
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> model.compile("sgd", loss, metrics=[PerClassF1(2, class_names=["ok", "fraud"])])
    >>> with tempfile.TemporaryDirectory() as log_dir:
    ...     board = PerClassTensorBoard(log_dir)
    ...     _ = model.fit(x, y, validation_data=(x, y), callbacks=[board], verbose=0)
    ...     sorted(os.listdir(log_dir))
    ['train', 'validation']
    """

    def __init__(
        self,
        log_dir: str | os.PathLike = "logs",
        *,
        pictures: bool = True,
        normalize: Literal["true"] | None = "true",
        sampler: Sampler | None = None,
    ):
        super().__init__(sampler=sampler)
        self.log_dir = check_folder(log_dir, "log_dir")
        self.pictures = check_flag(pictures, "pictures")
        self.normalize = check_one_of(normalize, "normalize", ("true", None))
        self._files: dict[str, EventFile] = {}
        self._matrices: dict[str, dict] = {}

    def read_matrices(self, metrics: Mapping[str, Any], run: str) -> None:
        self._matrices[run] = {}
        if not self.pictures:
            return
        for name, metric in metrics.items():
            if not (isinstance(metric, CountingMetric) and metric.keeps_matrix) or metric.multi_label:
                continue
            matrix = metric.matrix()
            drawn = (seen for seen, _ in self._matrices[run].values())
            if not any(np.array_equal(matrix, seen, equal_nan=True) for seen in drawn):
                self._matrices[run][name] = (matrix, metric.class_names)

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._matrices = {}

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        for run, values in (("train", self.training), ("validation", self.validation)):
            if values or self._matrices.get(run):
                self._write(run, epoch, values)

    def on_train_end(self, logs: Mapping | None = None) -> None:
        super().on_train_end(logs)
        for file in self._files.values():
            file.close()
        self._files = {}

    def _write(self, run, epoch, values):
        if run not in self._files:
            self._files[run] = EventFile(os.path.join(self.log_dir, run))
        file = self._files[run]
        for key, value in values.items():
            file.scalar(key, value, epoch)
        for name, (matrix, class_names) in self._matrices.get(run, {}).items():
            file.image(f"confusion_matrix/{name}", _pixels(matrix, class_names, self.normalize), epoch)
        file.flush()


def _pixels(matrix, class_names, normalize):
    """A picture of a confusion matrix, uint8 `(height, width, 4)`; no window and no state of pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from keras_imbalance.plots import plot_confusion_matrix

    canvas = FigureCanvasAgg(plot_confusion_matrix(matrix, class_names=class_names, normalize=normalize))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()
