"""The value of every class in the logs, once an epoch."""

from collections.abc import Mapping
from typing import Any

from keras_imbalance._core import Sampler, check_sampler, invalid, shown
from keras_imbalance._keras import compiled_metrics, given_metrics, metrics_of
from keras_imbalance.callbacks.base import ImbalanceCallback
from keras_imbalance.callbacks.fit_checks import metrics_for
from keras_imbalance.callbacks.off_the_bar import keep_off_the_bar
from keras_imbalance.callbacks.sampler_watch import SamplerWatch
from keras_imbalance.metrics import ClassMetric


class PerClassLogger(ImbalanceCallback):
    """Adds `{name}/{class}` and `val_{name}/{class}` of every compiled per-class metric to the logs of each epoch.

    For many classes: a scalar a class in the logs of every batch makes a step several times slower, so compile the metrics
    with `log_classes=False` (a batch then logs the macro mean alone) and let this callback add the classes once an epoch.
    Callbacks that come after it in the list, and History, see them: put it before EarlyStopping, CSVLogger, TensorBoard and
    DynamicSampling. The keys are those that the metric would log by itself. Keras's progress bar leaves the classes out.

    `evaluate(return_dict=True)` returns the macro means; the classes are in `validation` afterwards when the callback was
    passed to it, and in `metric.class_values()` always.

    Args:
        sampler: a sampler whose target no callback sets; what each epoch drew of a class is logged as `sampling/{class}`. The
            callbacks that set a target log that themselves. Defaults to None.

    Attributes:
        training: `{name}/{class}` of the last training epoch.
        validation: `{name}/{class}` of the last evaluation.

    Raises:
        ValueError: for anything else as `sampler`; when the model was compiled with no per-class metric: before the first
            epoch, or at its end where other metrics are the user's own.

    Warns:
        UserWarning: where the first epoch draws no row from the sampler, or an epoch other shares than it was told; where the
            loss is given the class counts of the data, and the sampler draws other shares.

    Example:
    >>> import keras, numpy as np
    >>> from keras_imbalance import PerClassRecall
    >>> x, y = np.repeat([0.0, 1.0], [30, 10])[:, None], np.repeat([0, 1], [30, 10])
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> model.compile("sgd", loss, metrics=[PerClassRecall(2, class_names=["ok", "fraud"], log_classes=False)])
    >>> history = model.fit(x, y, validation_data=(x, y), callbacks=[PerClassLogger()], verbose=0).history
    >>> sorted(history)
    ['loss', 'recall', 'recall/fraud', 'recall/ok', 'val_loss', 'val_recall', 'val_recall/fraud', 'val_recall/ok']
    """

    def __init__(self, *, sampler: Sampler | None = None):
        super().__init__()
        self.sampler = check_sampler(sampler, optional=True)
        self._watch: SamplerWatch | None = None
        self.training: dict[str, float] = {}
        self.validation: dict[str, float] = {}
        self._in_epoch = False
        self._of_classes: set[str] = set()  # the keys of the classes of the compiled metrics
        self._fitted: Any = None

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self._fitted = model

    def set_params(self, params: Any) -> None:
        super().set_params(params)
        self._of_classes = set()
        keep_off_the_bar(self, self.is_of_a_class)

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        metrics = metrics_for(self)
        if metrics is not None and not any(metric.logged_classes() for metric in metrics):
            raise self._no_metric()
        self._watch = None if self.sampler is None else SamplerWatch(self)

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        if self._watch is not None:
            self._watch.begin_epoch()
        self.training, self.validation, self._in_epoch = {}, {}, True

    def on_test_begin(self, logs: Mapping | None = None) -> None:
        # Validation is about to reset the metrics: the training epoch is read now or never.
        if self._in_epoch:
            self._read_training()
            if self._watch is not None:
                self._watch.end_training()

    def on_test_end(self, logs: Mapping | None = None) -> None:
        metrics = compiled_metrics(self.model)
        self.validation = class_values(metrics)
        self.read_matrices(metrics, "validation")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        if self._in_epoch:
            self._read_training()
        if not self.training:
            raise self._no_metric()
        if logs is not None:
            logs.update(self.training)
            logs.update({f"val_{key}": value for key, value in self.validation.items()})
        if self._watch is not None:
            self._watch.end_epoch(epoch, logs)

    def read_matrices(self, metrics: Mapping[str, Any], run: str) -> None:
        """Called while the metrics hold the rows of `run`, "train" or "validation"; nothing is kept here."""

    def is_of_a_class(self, key: str) -> bool:
        """Whether a key of the logs is that of one class of a compiled metric, in training or validation."""
        if not self._of_classes:  # before the first batch nothing is compiled
            # Not `self.model`: on JAX Keras fetches the state of the model from the running epoch whenever that is read.
            metrics = (metric for metric in metrics_of(self._fitted) if isinstance(metric, ClassMetric))
            self._of_classes = {key for metric in metrics for key in metric.logged_classes()}
        return key.removeprefix("val_") in self._of_classes

    def _no_metric(self):
        given = given_metrics(self.model)
        names = sorted({str(getattr(one, "name", getattr(one, "__name__", one))) for one in given} - {"loss"})
        return invalid(
            "metrics",
            f"hold a per-class metric for {type(self).__name__}",
            received=f"a model compiled with the metrics {shown(names)}",
            remedy="Compile it with metrics=[PerClassF1(num_classes, log_classes=False)] or another of them.",
        )

    def _read_training(self):
        metrics = compiled_metrics(self.model)
        self.training, self._in_epoch = class_values(metrics), False
        self.read_matrices(metrics, "train")


def class_values(metrics: Mapping[str, Any]) -> dict[str, float]:
    """`{name}/{class}` of every per-class metric."""
    values: dict[str, float] = {}
    for metric in metrics.values():
        if isinstance(metric, ClassMetric):
            found = metric.class_values()
            doubled = sorted(values.keys() & found.keys())
            if doubled:
                raise invalid(
                    "metrics",
                    "log different keys",
                    received=f"{shown(doubled[:3])} of two metrics",
                    remedy="Give one another `name` (`prefix` for PerClassReport).",
                )
            values.update(found)
    return values
