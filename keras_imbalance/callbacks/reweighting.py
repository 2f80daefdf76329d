"""Class weights that come late: a loss counts its classes alike first, then rare ones more."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_imbalance.backend import Callback, compiled_losses, rebuild_test_function, rebuild_train_function
from keras_imbalance.callbacks.sampling_callback import whole_epoch
from keras_imbalance.class_counts import as_table, class_weights
from keras_imbalance.losses.base import check_counts_shape
from keras_imbalance.losses.class_balanced import ClassBalancedLoss
from keras_imbalance.losses.focal import FocalLoss
from keras_imbalance.losses.ldam import LDAMLoss


class DeferredReweighting(Callback):
    """Trains with all classes counted alike, then from `start_epoch` on with class weights (DRW).

    It sets `class_weights` of a ClassBalancedLoss or LDAMLoss that the model was compiled with, or `alpha` of a FocalLoss: ones
    in the epochs before `start_epoch`, whatever the loss was compiled with, and the weights of `scheme` from then on. Which
    holds depends on the epoch alone. When training ends, the loss is again as compiled. After a fit that was broken off it is
    so when the next fit with this callback begins: compile with a new loss object where the next fit has none. A model that
    ModelCheckpoint saves meanwhile has the loss as compiled too, so its `evaluate` gives another loss than `val_loss` was.
    Where a ClassBalancedLoss wraps another loss, its own weights are set; those of the loss inside stay.

    `val_loss` is that loss too, so it steps at `start_epoch`: watch a metric such as `val_f1` where EarlyStopping or
    ReduceLROnPlateau should not take the step for a change of the model.

    Args:
        start_epoch: first epoch with class weights (Cao et al.: 160 of 200).
        scheme: "effective_number", "inverse_frequency", "balanced" or "sqrt"; see `class_weights`. Defaults to
            "effective_number".
        beta: for "effective_number", in [0, 1). Defaults to 0.9999.
        output: name of the output whose loss is weighted, in a model of several. Defaults to None, the loss of every output.
        class_counts: rows per class, such as `sampler.class_counts`; needed for FocalLoss, which holds none. Defaults to
            None, the counts of the loss.
        normalize: "sum" rescales the weights to sum C, so that a learning rate still suits; None leaves them as the formula
            gives them. Defaults to "sum".

    Raises:
        ValueError: for arguments out of range; when training begins for an output that the model lacks, a loss without class
            weights, a FocalLoss without `class_counts`, counts of another shape, or two of these callbacks on one loss.

    Example:
    ```python
    model.compile("adam", loss=LDAMLoss(class_counts))
    model.fit(x, y, epochs=200, callbacks=[DeferredReweighting(start_epoch=160)])
    ```

    Reference: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, 2019,
    https://arxiv.org/abs/1906.07413
    """

    def __init__(
        self,
        start_epoch: int,
        scheme: str = "effective_number",
        beta: float = 0.9999,
        output: str | None = None,
        class_counts: Any = None,
        normalize: str | None = "sum",
    ):
        super().__init__()
        self.start_epoch = whole_epoch(start_epoch, "start_epoch")
        class_weights([1, 1], scheme, beta, normalize)  # checks them
        if output is not None and not isinstance(output, str):
            raise ValueError(f"`output` must be None or the name of an output. Received: output={output!r}.")
        self.scheme, self.beta, self.normalize = scheme, beta, normalize
        self.output = output
        self.class_counts = None if class_counts is None else as_table(class_counts, "class_counts")
        if self.class_counts is not None:
            check_counts_shape(self.class_counts, self.class_counts.ndim == 2)
        self._losses: list[Any] = []
        self._weights: list[list] = []
        self._reweighted: bool | None = None  # what the losses hold now; None: as compiled

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self._losses, self._weights, self._reweighted = [], [], None
        shapes: dict[int, list] = {}
        for loss, shape in self._chosen():
            if id(loss) not in shapes:
                _restore(loss, unless=self.params)
                self._losses.append(loss)
                self._weights.append(self._weights_of(loss))
            shapes.setdefault(id(loss), []).append(shape)
        for loss, weights in zip(self._losses, self._weights, strict=True):
            _keep(loss, self.params)
            try:
                _set(loss, weights)
                for shape in shapes[id(loss)]:
                    self._check_channels(loss, shape)
            finally:
                _set(loss, loss.before_reweighting[0])

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        reweighted = epoch >= self.start_epoch
        if reweighted is self._reweighted:
            return
        self._reweighted = reweighted
        for loss, weights in zip(self._losses, self._weights, strict=True):
            _set(loss, weights if reweighted else _ones(loss, weights))
        self._rebuild()

    def on_train_end(self, logs: Mapping | None = None) -> None:
        for loss in self._losses:
            _restore(loss)
        if self._reweighted is not None:
            self._rebuild()

    def _rebuild(self):
        # What a loss holds is part of the compiled step.
        rebuild_train_function(self.model)
        rebuild_test_function(self.model)

    def _chosen(self):
        """Loss and output shape of every output that is weighted."""
        compiled = compiled_losses(self.model)
        names = sorted({name for name, _, _ in compiled})
        if self.output is not None and self.output not in names:
            raise ValueError(
                f"`output` must be an output that has a loss. Received: output={self.output!r}. The model has {names}."
            )
        chosen = [(loss, shape) for name, loss, shape in compiled if self.output in (None, name)]
        for loss, _ in chosen:
            self._check_loss(loss, names)
        rest = {id(loss) for name, loss, _ in compiled if self.output not in (None, name)}
        if any(id(loss) in rest for loss, _ in chosen):
            raise ValueError(
                f"`output` must have a loss of its own. Received: output={self.output!r}, whose loss object is that of another "
                "output too. Compile each output with its own object."
            )
        return chosen

    def _check_loss(self, loss, names):
        if not isinstance(loss, (ClassBalancedLoss, LDAMLoss, FocalLoss)):
            received = repr(loss) if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
            remedy = "ClassBalancedLoss(class_counts), with another loss in it as loss=..., its reduction=None"
            several = (
                f" Or name one of the outputs {names} as `output`." if self.output is None and len(names) > 1 else ""
            )
            raise ValueError(
                "DeferredReweighting needs a loss with class weights: ClassBalancedLoss, LDAMLoss or FocalLoss. "
                f"Received: {received}. Compile the model with {remedy}.{several}"
            )
        if isinstance(loss, FocalLoss) and loss.multi_label:
            raise ValueError(
                "DeferredReweighting cannot give a FocalLoss of several labels a weight for each label's two classes. "
                "Received: FocalLoss(multi_label=True). Compile ClassBalancedLoss(class_counts, "
                "loss=FocalLoss(multi_label=True, reduction=None)) with class_counts (C, 2)."
            )

    def _weights_of(self, loss):
        """The class weights of a loss from `start_epoch` on, as a list of the shape of its counts."""
        own = getattr(loss, "class_counts", None)
        counts = own if self.class_counts is None else self.class_counts
        if counts is None:
            raise ValueError(
                "`class_counts` must be given for a FocalLoss, which holds no counts. Received: class_counts=None. Pass "
                "class_counts=sampler.class_counts or count_classes(y)."
            )
        shape = np.shape(counts)
        if own is not None and np.shape(own) != shape:
            raise ValueError(
                f"`class_counts` must have the shape {np.shape(own)} of the counts of {type(loss).__name__}. "
                f"Received: shape {shape}."
            )
        rows = check_counts_shape(counts, loss.multi_label)
        return (
            np.stack([class_weights(row, self.scheme, self.beta, self.normalize) for row in rows])
            .reshape(shape)
            .tolist()
        )

    def _check_channels(self, loss, shape):
        """Raises before training when the weights do not suit the output."""
        if shape is None or not -len(shape) <= loss.axis < len(shape) or shape[loss.axis] is None:
            return
        channels = shape[loss.axis]
        try:
            loss.check_channels(channels, channels == 1 or loss.multi_label)
        except ValueError as error:
            if not isinstance(loss, FocalLoss):
                raise
            raise ValueError(
                f"`class_counts` must hold {max(channels, 2)} counts, one a class of the output. "
                f"Received: class_counts={self.class_counts}."
            ) from error


def _attribute(loss):
    return "alpha" if isinstance(loss, FocalLoss) else "class_weights"


def _set(loss, weights):
    setattr(loss, _attribute(loss), weights)


def _ones(loss, weights):
    return np.ones(np.shape(weights)).tolist() if isinstance(loss, ClassBalancedLoss) else None


def _keep(loss, fit):
    """Writes down at the loss what it was compiled with, so that a later fit finds it after one that was broken off."""
    loss.before_reweighting = (getattr(loss, _attribute(loss)), fit)


def _restore(loss, unless=None):
    """Gives a loss the weights it was compiled with; raises when a callback of the fit `unless` has taken it over."""
    kept = loss.before_reweighting
    if kept is None:
        return
    weights, fit = kept
    if unless is not None and fit is unless:
        raise ValueError(
            "Two DeferredReweighting callbacks set the class weights of one loss. Keep one, or name another `output` in each."
        )
    _set(loss, weights)
    loss.before_reweighting = None
