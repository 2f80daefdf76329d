"""One training: the net of one method on one split, and its probabilities of validation and test rows."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_imbalance._core import class_weights, delivery_for_fit, invalid, same_shares
from keras_imbalance._keras import (
    Model,
    deterministic_ops,
    graph_ends,
    keras,
    loss_argument,
)
from keras_imbalance.callbacks import DeferredReweighting
from keras_imbalance.comparison.method import Method, Run
from keras_imbalance.comparison.nets import built, ends_in_head, gaps_in, head_of, outputs_of, with_text
from keras_imbalance.comparison.rows import Data, take
from keras_imbalance.comparison.splits import Split
from keras_imbalance.losses import ClassBalancedLoss, LDAMLoss, LogitAdjustedLoss

# On CPU compiling a small step with XLA takes longer than it saves; JAX is slow without.
JIT = "auto" if keras.backend.backend() == "jax" else False


@dataclass
class Task:
    """What a process needs to train one method on one split; `until` is the time after which it is not begun."""

    method: Method
    build_model: Callable
    data: Data
    split: Split
    number: int  # of the split
    options: dict  # of `Run`
    head: int | None = None  # its position in model.layers
    until: float | None = None

    def run(self) -> Run:
        seed = self.options["seed"] + self.number
        return Run(self.data, self.split, head=self.head, **{**self.options, "seed": seed})


@dataclass
class Trained:
    """Probabilities `(N, ..., C)` of validation and test rows, the shares they speak for, seconds; or why there are none."""

    validation: Any = None
    test: Any = None
    output_prior: Any = None
    seconds: float = 0.0
    error: str | None = None


def train(task: Task) -> Trained | None:
    """Trains and predicts, or says what failed; None where the time is over."""
    if task.until is not None and time.time() > task.until:
        return None
    began = time.perf_counter()
    try:
        with deterministic_ops():
            trained = _trained(task)
    except Exception as error:  # a method that fails is a row of the table, and the others go on
        trained = Trained(error=f"{type(error).__name__}: {error}")
    trained.seconds = time.perf_counter() - began
    return trained


def _trained(task):
    run = task.run()
    keras.utils.set_random_seed(run.seed)
    run.new_model = lambda: built(task.build_model, run.x)
    predict, prior = (task.method.train or (lambda run: fitted(run, task.method)))(run)
    validation = predict(run.validation[0])
    # Test rows are read here and nowhere else, once the net is trained.
    test = predict(take(run.data.x, run.split.test))
    for probabilities in (validation, test):
        if not np.isfinite(probabilities).all():
            raise ValueError(f"the outputs of the trained net are NaN or infinite{gaps_in(run.x)}")
    return Trained(validation, test, np.asarray(prior, dtype=np.float64))


def fitted(run: Run, method: Method) -> tuple[Callable, np.ndarray]:
    """Fits the net of a method; gives what predicts, and the class shares that it speaks for."""
    run.model, run.optimizer = run.new_model()
    run.head = head_of(run.model, run.head)
    if method.head is not None:
        run.model = _with_head(run, method.head)
    x, y = _sampled(run, method.sampler)
    loss = run.cross_entropy() if method.loss is None else method.loss(run)
    _check_reads_logits(loss)
    callbacks = [] if method.callbacks is None else list(method.callbacks(run))
    weights = None if method.class_weight is None else _weights_of_classes(method.class_weight(run))
    _refuse_double_correction(run, loss, callbacks, weights)
    run.model.compile(run.optimizer, loss, jit_compile=JIT)
    counted = Batches()
    options = {"epochs": run.epochs, "callbacks": [*callbacks, counted], "class_weight": weights, "verbose": 0}
    if run.sampler is None:
        run.model.fit(with_text(x), y, batch_size=run.batch_size, **options)
    else:
        batches = getattr(run.sampler, delivery_for_fit())
        run.model.fit(batches(), shuffle=False, **options)
    taken = len(counted.trained)
    if taken != run.steps:
        raise ValueError(f"every method must take {run.steps} steps, and this one took {taken}")
    scale = float(loss.scale) if isinstance(loss, LDAMLoss) else 1.0
    several = run.data.multi_label
    return lambda rows: probabilities_of(run.model, rows, scale, several), _output_prior(run, loss, callbacks, weights)


def _weights_of_classes(given):
    """What `class_weight` of a method gave, for Keras's fit."""
    if not isinstance(given, Mapping):
        remedy = "class_weights(run.class_counts, as_dict=True) is one."
        raise invalid("class_weight", "give a dict from class id to weight", given, remedy)
    return dict(given)


def _check_reads_logits(loss):
    """Raises for a loss of probabilities, which would clip the logits of the net."""
    inner = loss.loss if isinstance(loss, ClassBalancedLoss) and loss.loss is not None else loss
    if isinstance(inner, str) or not loss_argument(inner, "from_logits", True):
        name = inner if isinstance(inner, str) else type(inner).__name__
        raise ValueError(f"the net gives logits, and {name} reads probabilities; give a loss with from_logits=True")


class Batches(keras.callbacks.Callback):
    """The batches that a fit has trained on: optimizers count those that they accumulate, or skip, in ways of their own."""

    async_safe = True  # Keras may call it from another thread

    def __init__(self):
        super().__init__()
        self.trained: list[int] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.trained.append(batch)


def probabilities_of(model: Any, x: Any, scale: float = 1.0, multi_label: bool = False) -> np.ndarray:
    """Softmax, the pair of a sigmoid, or with multi_label sigmoids, of the model's logits times `scale`, `(N, ..., C)`."""
    logits = scale * outputs_of(model, x).astype(np.float64)
    if multi_label:
        return np.exp(-np.logaddexp(0, -logits))
    if logits.shape[-1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=-1)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _with_head(run, make):
    """The net with another last layer; the layers before it keep their initial weights."""
    if not ends_in_head(run.model, run.head):
        raise ValueError(f"the net must end in its head {run.head!r}, so that another layer can take its place")
    old = run.model.get_layer(run.head)
    new = make(old.output.shape[-1])
    model = Model(graph_ends(run.model)[0], new(old.input))
    run.head = new.name
    return model


def _sampled(run, sampler):
    """The rows to fit; sets `run.sampler`, from which they are drawn where there is one."""
    if sampler is None:
        return run.x, run.y
    if hasattr(sampler, "fit_resample"):
        run.sampler = _resampled(run, sampler)
    else:
        run.sampler = sampler(run)
    return None, None


def _resampled(run, sampler):
    """A sampler of the rows that one of imbalanced-learn gives, with epochs of as many rows as the training rows."""
    from sklearn.base import clone

    if not isinstance(run.x, np.ndarray) or not run.data.one_class:
        raise ValueError("samplers of imbalanced-learn take one array of features and one class a row")
    sampler = clone(sampler)
    if "random_state" in sampler.get_params():
        sampler.set_params(random_state=run.seed)
    x, y = sampler.fit_resample(run.x.reshape(len(run.x), -1), run.y)
    resampled = Data(np.reshape(x, (-1, *run.x.shape[1:])), np.asarray(y), run.data.class_names)
    split = Split(np.arange(len(y)), run.split.validation, run.split.test)
    of_resampled = Run(resampled, split, run.batch_size, run.epochs, run.seed)
    return of_resampled.new_sampler("natural", epoch_size=len(run.y))


def _refuse_double_correction(run, loss, callbacks, weights):
    """Raises for two corrections of the class shares, by loss and sampler or by weights and either."""
    natural = run.prior if run.data.one_class else _row_shares(run)
    drawn = natural if run.sampler is None else run.sampler.distribution
    resampled = not same_shares(drawn, natural)
    of_data = _deferred(callbacks) is None and _counts_the_data(run, loss)
    found = {"a sampler": resampled, type(loss).__name__: of_data, "class_weight": weights is not None}
    parts = [name for name, corrects in found.items() if corrects]
    if len(parts) > 1:
        twice = f"{' and '.join(parts)} correct the class shares twice"
        raise ValueError(f"{twice}; use one, or the matched pair: LogitAdjustedLoss(run.sampler)")


def _deferred(callbacks):
    """The callback that sets class weights in the middle of the training, or None."""
    return next((callback for callback in callbacks if isinstance(callback, DeferredReweighting)), None)


def _counts_the_data(run, loss):
    """Whether a loss corrects the class shares of the training rows."""
    if not isinstance(loss, (ClassBalancedLoss, LogitAdjustedLoss)):
        return False
    return same_shares(loss.class_shares(), run.prior)


def _row_shares(run):
    """The share of each row class among the training rows."""
    return np.bincount(run.row_classes, minlength=len(run.row_class_names)) / len(run.row_classes)


def _output_prior(run, loss, callbacks, weights):
    """The class shares that the outputs speak for: those of the loss, or drawn shares times class weights."""
    if isinstance(loss, LogitAdjustedLoss):
        return loss.output_prior
    drawn = run.prior if run.sampler is None else _drawn_shares(run)
    shares = drawn * _acting_weights(run, loss, _deferred(callbacks), weights)
    return shares / shares.sum(axis=-1, keepdims=True)


def _acting_weights(run, loss, deferred, weights):
    """What each class counted at the end of the training, in the shape of class counts, or 1."""
    if deferred is not None and deferred.start_epoch < run.epochs:
        rows = run.class_counts.reshape(-1, run.class_counts.shape[-1])
        acting = [class_weights(row, scheme=deferred.scheme, beta=deferred.beta) for row in rows]
        return np.reshape(acting, run.class_counts.shape)
    if isinstance(loss, ClassBalancedLoss):
        return np.asarray(loss.class_weights, dtype=np.float64)
    return 1.0 if weights is None else np.array([weights.get(i, 1.0) for i in range(run.num_classes)])


def _drawn_shares(run):
    """The shares of the classes in what the last epoch drew; of masks and labels through the rows of each row class."""
    drawn = run.sampler.drawn_prior
    if run.data.one_class:
        return drawn
    times = drawn / np.maximum(np.bincount(run.row_classes, minlength=len(drawn)), 1)  # how often each of its rows
    counts = sum(times[i] * run.data.counts(run.split.train[run.row_classes == i]) for i in np.unique(run.row_classes))
    return counts / counts.sum(axis=-1, keepdims=True)
