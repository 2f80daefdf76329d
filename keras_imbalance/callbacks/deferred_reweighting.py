"""Deferred re-weighting: class weights that act in training from an epoch on."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import (
    Scheme,
    check_counts_shape,
    check_one_of,
    check_table,
    check_whole,
    class_weights,
    invalid,
    weights_of_counts,
)
from keras_imbalance._keras import REDUCTION, compiled_losses, given_reduction
from keras_imbalance.callbacks.base import ImbalanceCallback
from keras_imbalance.callbacks.fit_checks import warn_of_late_epoch
from keras_imbalance.callbacks.train_steps import TrainSteps
from keras_imbalance.losses import ClassBalancedLoss, FocalLoss, LDAMLoss

WITH_WEIGHTS = {ClassBalancedLoss: "class_weights", LDAMLoss: "class_weights", FocalLoss: "alpha"}


class DeferredReweighting(ImbalanceCallback):
    """Trains with every class weighted equally, then from `start_epoch` on with class weights (DRW).

    The model must be compiled with a ClassBalancedLoss, LDAMLoss or FocalLoss; wrap another loss,
    `ClassBalancedLoss(class_counts, loss=..., reduction=None)`. A FocalLoss takes `class_counts` here.

    The weights act in train steps alone. `val_loss`, `evaluate` and saved models have the loss as it was compiled, so that
    `val_loss` does not step at `start_epoch`. After fit, also one that was broken off, training has the loss as compiled too.
    Before `start_epoch` all weights are 1, whatever the loss was compiled with. Which weights act depends on the epoch alone:
    a run that resumes needs nothing else. Of a ClassBalancedLoss that wraps another loss only its own weights change.

    Args:
        start_epoch: first epoch with class weights (Cao et al.: 160 of 200).
        scheme: "effective_number", "inverse_frequency", "balanced" or "sqrt"; see `class_weights`. Defaults to
            "effective_number".
        beta: for "effective_number", in [0, 1). Defaults to 0.9999.
        output: name of the output whose loss is weighted, in a model of several. Defaults to None, the loss of every output.
        class_counts: rows of every class, such as `sampler.class_counts`; needed for a FocalLoss, which has no counts. Defaults
            to None, the counts of the loss.
        normalize: "sum" rescales the weights to sum C; None leaves them as the formula gives them. Defaults to "sum".
        reduction: "mean_with_class_weight": from `start_epoch` on a mean loss is divided by the sum of the class weights of the
            batch, as in the reference code, so that a learning rate still suits; None keeps the reduction of the loss, which on
            CIFAR-10-LT makes the loss 5.9 times smaller from then on. A loss compiled with another reduction than
            "sum_over_batch_size" or "mean" keeps it. Defaults to "mean_with_class_weight".

    Raises:
        ValueError: for arguments out of range; when training begins for an unknown output, a loss without class weights, a
            FocalLoss without `class_counts`, counts of another shape, or two of these callbacks for one loss; after the first
            batch where the model trains without its method `train_step`.

    Warns:
        UserWarning: when training begins, for a `start_epoch` that it does not reach.

    Example:
    >>> import numpy as np
    >>> from keras_imbalance import CosineDense
    >>> from keras_imbalance._keras import keras
    >>> x, y = np.eye(4, dtype="float32"), np.array([0, 0, 0, 1])
    >>> model = keras.Sequential([keras.Input((4,)), CosineDense(2)])
    >>> model.compile("sgd", loss=LDAMLoss([3, 1]))
    >>> history = model.fit(x, y, epochs=3, callbacks=[DeferredReweighting(start_epoch=2)], verbose=0)
    >>> len(history.history["loss"])
    3

    Reference: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, 2019,
    https://arxiv.org/abs/1906.07413
    """

    def __init__(
        self,
        start_epoch: int,
        *,
        scheme: Scheme = "effective_number",
        beta: float = 0.9999,
        output: str | None = None,
        class_counts: npt.ArrayLike | None = None,
        normalize: Literal["sum"] | None = "sum",
        reduction: Literal["mean_with_class_weight"] | None = "mean_with_class_weight",
    ):
        super().__init__()
        self.start_epoch = check_whole(start_epoch, "start_epoch", 0)
        class_weights([1, 1], scheme=scheme, beta=beta, normalize=normalize)  # checks them
        self.scheme, self.beta, self.normalize = scheme, beta, normalize
        self.reduction = check_one_of(reduction, "reduction", ("mean_with_class_weight", None))
        if output is not None and not isinstance(output, str):
            raise invalid("output", "be None or the name of an output", output)
        self.output = output
        self.class_counts = None if class_counts is None else check_table(class_counts, "class_counts")
        if self.class_counts is not None:
            check_counts_shape(self.class_counts, self.class_counts.ndim == 2)
        self._weights: dict[int, tuple] = {}  # by id: each loss, and its weights from `start_epoch` on
        self._reweighted = False  # what train steps have now

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self._weights, self._reweighted = {}, False
        steps = TrainSteps.of(self.model)
        for loss, output_shape in self._chosen():
            if id(loss) not in self._weights and steps.changes(loss, _attribute(loss)):
                received = f"two DeferredReweighting callbacks for {type(loss).__name__}"
                raise invalid("callbacks", "set the class weights of a loss once", received=received)
            weights = self._weights_of(loss)
            _check_channels(loss, weights, output_shape)
            self._weights[id(loss)] = (loss, weights)
        for loss, weights in self._weights.values():
            steps.set(loss, **{_attribute(loss): _ones(loss, weights)})
        warn_of_late_epoch(self, "start_epoch", self.start_epoch, "No epoch trains with class weights")

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        reweighted = epoch >= self.start_epoch
        if reweighted is self._reweighted:
            return
        self._reweighted = reweighted
        for loss, weights in self._weights.values():
            values = {_attribute(loss): weights if reweighted else _ones(loss, weights)}
            if self.reduction is not None and given_reduction(loss) in ("sum_over_batch_size", "mean"):
                values[REDUCTION] = self.reduction if reweighted else given_reduction(loss)
            TrainSteps.of(self.model).set(loss, **values)

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        if not TrainSteps.of(self.model).ran:
            received = f"{type(self.model).__name__}, which trains in another way, or calls train_on_batch inside fit"
            remedy = "Let its train function call `train_step`, or train without DeferredReweighting."
            raise invalid("model", "train by its method `train_step`", received=received, remedy=remedy)

    def on_train_end(self, logs: Mapping | None = None) -> None:
        super().on_train_end(logs)
        for loss, _ in self._weights.values():
            TrainSteps.of(self.model).drop(loss, _attribute(loss), REDUCTION)

    def _chosen(self):
        """Loss and output shape of every output that is weighted."""
        compiled = compiled_losses(self.model)
        names = sorted({name for name, _, _ in compiled})
        if self.output is not None and self.output not in names:
            raise invalid("output", f"be an output that has a loss, one of {names}", self.output)
        chosen = [(loss, shape) for name, loss, shape in compiled if self.output in (None, name)]
        others = {id(loss) for name, loss, _ in compiled if self.output not in (None, name)}
        for loss, _ in chosen:
            self._check_loss(loss, names)
            if id(loss) in others:
                received = f"{self.output!r}, whose loss object is that of another output too"
                remedy = "Compile each output with its own object."
                raise invalid("output", "have a loss of its own", received=received, remedy=remedy)
        return chosen

    def _check_loss(self, loss, names):
        name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
        if not isinstance(loss, tuple(WITH_WEIGHTS)):
            remedy = "Compile with ClassBalancedLoss(class_counts), with another loss as loss=..., its reduction=None."
            if self.output is None and len(names) > 1:
                remedy += f" Or name one of the outputs {names} as `output`."
            raise invalid("loss", "be a ClassBalancedLoss, LDAMLoss or FocalLoss", received=name, remedy=remedy)
        if isinstance(loss, FocalLoss) and loss.multi_label:
            received = "FocalLoss(multi_label=True), which has no weight for each of a label's two classes"
            remedy = (
                "Compile with it as the loss=... of ClassBalancedLoss, its reduction=None, with class_counts (C, 2)."
            )
            raise invalid("loss", "have a weight for every class", received=received, remedy=remedy)

    def _weights_of(self, loss):
        """The class weights of a loss from `start_epoch` on, as a list of the shape of its counts."""
        own = getattr(loss, "class_counts", None)
        counts = own if self.class_counts is None else self.class_counts
        if counts is None:
            remedy = "Pass class_counts=sampler.class_counts or count_classes(y)."
            raise invalid("class_counts", "be given for a FocalLoss, which holds no counts", None, remedy)
        shape = np.shape(counts)
        if own is not None and np.shape(own) != shape:
            of_loss = f"have the shape {np.shape(own)} of the counts of {type(loss).__name__}"
            raise invalid("class_counts", of_loss, received=f"shape {shape}")
        return weights_of_counts(counts, loss.multi_label, self.scheme, self.beta, self.normalize)


def _check_channels(loss, weights, output_shape):
    """Raises before training when the weights do not suit the output."""
    if output_shape is None or not -len(output_shape) <= loss.axis < len(output_shape):
        return
    channels = output_shape[loss.axis]
    if channels is not None:
        loss.check_shape(weights, "class_counts", channels, channels == 1 or loss.multi_label)


def _attribute(loss):
    return next(attribute for kind, attribute in WITH_WEIGHTS.items() if isinstance(loss, kind))


def _ones(loss, weights):
    needed = isinstance(loss, ClassBalancedLoss) or given_reduction(loss) == "mean_with_class_weight"
    return np.ones(np.shape(weights)).tolist() if needed else None
