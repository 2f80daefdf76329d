"""What a method of the comparison is, and what it may use."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from keras_imbalance._core import check_callable, check_one_of, invalid
from keras_imbalance._keras import keras
from keras_imbalance.comparison.rows import Data, take
from keras_imbalance.comparison.splits import Split
from keras_imbalance.sampling import ArraySampler

LAST_PART = 0.2  # of the epochs: where phases change
TRAINING = ("loss", "sampler", "callbacks", "class_weight", "head", "train")
PARTS = (*TRAINING, "decide")


@dataclass
class Run:
    """What a method may use: the training and validation rows of one split, the net, the schedule. Never a test row.

    Attributes:
        batch_size: rows a batch.
        epochs: epochs of every net.
        seed: of this split: initial weights, batches, samplers.
        metric: what the comparison is about, such as "macro_recall".
        cost_matrix: float64 `(C, C)`, or None.
        prior_of_use: the class shares where the net is used `(C,)`, or None: those of the training rows.
        model: the net, once it is built.
        optimizer: its optimizer, likewise.
        head: the layer that retraining methods renew: its position in `model.layers`, and its name once the net is built.
        sampler: what the `sampler` of the method gave, or None.
        output_prior: the class shares that the probabilities speak for, `(C,)`, once the net is trained.
        new_model: function without arguments that builds one more net: `(model, optimizer)`, not compiled.
    """

    data: Data
    split: Split
    batch_size: int
    epochs: int
    seed: int
    metric: str = "macro_recall"
    cost_matrix: np.ndarray | None = None
    prior_of_use: np.ndarray | None = None
    model: Any = None
    optimizer: Any = None
    head: Any = None
    sampler: Any = None
    output_prior: Any = None
    new_model: Any = field(default=None, repr=False)

    @cached_property
    def x(self) -> Any:
        """The training rows."""
        return take(self.data.x, self.split.train)

    @cached_property
    def y(self) -> np.ndarray:
        """Labels of the training rows: class ids int32 `(N,)`, of masks `(N, ...)`, of several labels 0 and 1 `(N, L)`."""
        return self.data.y[self.split.train]

    @cached_property
    def validation(self) -> tuple:
        """`(x, y)` of the validation rows."""
        return take(self.data.x, self.split.validation), self.data.y[self.split.validation]

    @property
    def num_classes(self) -> int:
        return len(self.data.class_names)

    @cached_property
    def class_counts(self) -> np.ndarray:
        """Training rows, or positions, of every class, int64 `(C,)`; of several labels `(L, 2)`, without and with each."""
        return self.data.counts(self.split.train)

    @property
    def prior(self) -> np.ndarray:
        """Class shares of the training rows or positions, float64 `(C,)`; of several labels `(L, 2)`."""
        return self.class_counts / self.class_counts.sum(axis=-1, keepdims=True)

    @cached_property
    def row_classes(self) -> np.ndarray:
        """The class by which a sampler draws each training row, `(N,)`: its own; of masks and labels the rarest it holds."""
        return self.data.row_classes(self.split.train)

    @property
    def row_class_names(self) -> list[str]:
        """Names of these classes: those of the data, and "none" where a training row holds none."""
        holds_none = int(self.row_classes.max(initial=0)) == self.num_classes
        return [*self.data.class_names, "none"] if holds_none else self.data.class_names

    @property
    def loss_form(self) -> dict:
        """What losses are told of outputs and labels: from_logits=True, and multi_label and ignore_class where they act."""
        form = {"from_logits": True}
        if self.data.multi_label:
            form["multi_label"] = True
        return form if self.data.ignore_class is None else {**form, "ignore_class": self.data.ignore_class}

    @property
    def true_prior(self) -> np.ndarray:
        """Class shares where the net is used, float64 `(C,)`; of several labels `(L, 2)`."""
        return self.prior if self.prior_of_use is None else self.prior_of_use

    def weights_of_use(self, labels: np.ndarray) -> np.ndarray:
        """What each row or position counts, so that classes have their shares of use, `(N,)`; 1 unless those were given."""
        if self.prior_of_use is None:
            return np.ones(len(labels))
        counts = np.bincount(labels, minlength=self.num_classes)
        return (self.prior_of_use * len(labels) / np.maximum(counts, 1))[labels]

    @property
    def switch_epoch(self) -> int:
        """First epoch of the last fifth, where methods of two phases change."""
        return min(max(round((1 - LAST_PART) * self.epochs), 1), max(self.epochs - 1, 0))

    @property
    def steps(self) -> int:
        """Optimizer steps that every method takes."""
        return self.epochs * -(-len(self.y) // self.batch_size)

    @property
    def one_channel(self) -> bool:
        """Whether the net gives one logit, of a sigmoid."""
        return self.model.outputs[0].shape[-1] == 1

    def cross_entropy(self) -> Any:
        """Keras's own loss for the logits of this net."""
        if self.one_channel or self.data.multi_label:
            return keras.losses.BinaryCrossentropy(from_logits=True)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=self.data.ignore_class)

    def new_sampler(self, target: Any = "balanced", **options: Any) -> ArraySampler:
        """An `ArraySampler` of the training rows, by `row_classes`."""
        rule = {"batch_size": self.batch_size, "class_names": self.data.class_names, "seed": self.seed}
        if not self.data.one_class:
            rule |= {"classes": self.row_classes, "class_names": self.row_class_names}
        return ArraySampler(self.x, self.y, target=target, **{**rule, **options})


class Method:
    """A remedy as a row of `compare_methods`: how its net is trained, and how it decides.

    Every part is a function of a `Run`, which holds the training and validation rows of one split; parts that are left out are
    those of plain training. Methods with the same parts but for `decide` share one training. Write the parts as functions of a
    module, or as lambdas; both can be handed to other processes.

    Args:
        name: text, the row of the table.
        loss: gives a loss of logits and class ids. Defaults to cross-entropy.
        sampler: gives an `ArraySampler` of `run.x` and `run.y`, as `run.new_sampler(target)` does; or an imbalanced-learn
            sampler, which resamples the training rows once. Either way an epoch has as many rows as the training rows. Defaults
            to None: every row once an epoch, shuffled. Masks and rows of several labels are drawn by `run.row_classes`.
        callbacks: gives a list of callbacks; `run.sampler` is what `sampler` gave.
        class_weight: gives a dict from class id to weight for `fit`.
        head: function of the number of channels that gives the last layer, in place of that of the net.
        train: trains in a way of its own, in place of all parts above. Gives a function from x to probabilities `(N, C)`, of
            masks `(N, ..., C)`, and the class shares that they speak for `(C,)`.
        decide: gives the decisions of a trained net: a function of the run, the probabilities of its validation rows `(N, C)`
            and their labels `(N,)`, which returns a function from probabilities to class ids `(N,)`, such as a `Thresholds`, or
            to other probabilities `(N, C)`. Of masks N are the positions that count. With several labels a row labels and
            decisions are 0 and 1 `(N, L)`. The probabilities speak for `run.output_prior`. Defaults to the likeliest class,
            or what is above 0.5.
        needs: function of the run that gives None, or in words why the data do not suit the method, which is then left out; or
            a list of such functions.
        settings: what `Comparison.settings` writes for a part: a mapping from the names above to code. Defaults to what the
            names of the functions say.

    Raises:
        ValueError: for a name that is no text, parts that are no functions, and `train` beside parts that it replaces.

    Example:
    >>> import keras_imbalance as ki
    >>> gentle_focal = Method("focal, gamma 1", loss=lambda run: ki.FocalLoss(gamma=1.0, from_logits=True))
    >>> gentle_focal
    Method('focal, gamma 1', loss)
    """

    def __init__(
        self,
        name: str,
        *,
        loss: Callable[[Run], Any] | None = None,
        sampler: Any = None,
        callbacks: Callable[[Run], list] | None = None,
        class_weight: Callable[[Run], Mapping[int, float]] | None = None,
        head: Callable[[int], Any] | None = None,
        train: Callable[[Run], tuple[Callable, Any]] | None = None,
        decide: Callable[[Run, np.ndarray, np.ndarray], Callable] | None = None,
        needs: Callable[[Run], str | None] | Sequence[Callable[[Run], str | None]] = (),
        settings: Mapping[str, str] | None = None,
    ):
        self.name = _text(name)
        self.loss = check_callable(loss, "loss", optional=True, remedy="Write loss=lambda run: FocalLoss(...).")
        self.sampler = sampler if hasattr(sampler, "fit_resample") else _gives_sampler(sampler)
        self.callbacks = check_callable(callbacks, "callbacks", optional=True)
        self.class_weight = check_callable(class_weight, "class_weight", optional=True)
        self.head = check_callable(head, "head", optional=True)
        self.train = check_callable(train, "train", optional=True)
        self.decide = check_callable(decide, "decide", optional=True)
        self.needs = [check_callable(need, "needs") for need in ([needs] if callable(needs) else needs)]
        self.code = {check_one_of(part, "settings", PARTS): code for part, code in (settings or {}).items()}
        replaced = [part for part in TRAINING[:-1] if getattr(self, part) is not None] if train else []
        if replaced:
            raise invalid("train", "stand alone: it trains in a way of its own", received=f"{', '.join(replaced)} too")

    @property
    def training(self) -> tuple:
        """What methods that share a training have in common."""
        return tuple(getattr(self, part) for part in TRAINING)

    def unsuited(self, run: Run) -> str | None:
        """Why the data do not suit the method, in words, or None."""
        return next((reason for reason in (need(run) for need in self.needs) if reason), None)

    def __repr__(self) -> str:
        given = [part for part in PARTS if getattr(self, part) is not None]
        return f"Method({', '.join([repr(self.name), *given])})"


def _text(name):
    if not isinstance(name, str) or not name.strip():
        raise invalid("name", "be text, the row of the table", name)
    return name


def _gives_sampler(sampler):
    remedy = "Write sampler=lambda run: run.new_sampler('sqrt'), or pass one of imbalanced-learn."
    return check_callable(sampler, "sampler", optional=True, remedy=remedy)
