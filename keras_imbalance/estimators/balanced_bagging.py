"""An ensemble whose members each see the whole minority and their own part of the rest."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from keras_imbalance._core import check_flag, check_number, check_one_of, check_whole, invalid
from keras_imbalance._keras import Model, graph_ends, need_keras_3
from keras_imbalance.estimators.arrays import arrays_of, data_of, num_rows, take
from keras_imbalance.estimators.checks import (
    check_backbone,
    check_classes,
    check_heads,
    check_maker,
    check_side_by_side,
)
from keras_imbalance.estimators.disagreement import KINDS, Kind, disagreement
from keras_imbalance.estimators.members import average_of, build_members, make_callbacks, probabilities_of_members
from keras_imbalance.estimators.rows import SAMPLING, Sampling, class_shares, member_rows
from keras_imbalance.estimators.training import Run, train_in_turn, train_side_by_side, try_out

Verbose = Literal[0, 1, 2, "auto"]


class BalancedBagging:
    """Trains several models on balanced draws of the rows and averages their probabilities.

    The probabilities speak for the balanced classes that the members saw (`train_prior`), so a decision at 0.5 is one for
    balanced accuracy, not for accuracy. For the shares of the data correct them, by the layer `PriorCorrection` on top of
    `model` or by `correct_prior(bagging.predict(x), bagging.train_prior, true_prior)`.

    Each member has all rows of the rarest class and as many of every other class, or `ratio` times as many: its own
    undersample, dealt out so that the members together use every row where there are enough of them. The mean of the members
    varies less than a single model that has seen as few rows, and nothing of the majority is thrown away.

    Args:
        build_model: function without arguments, or of the member's index, that returns a new compiled model: functional or
            sequential, with known inputs and one output `(N, C)`, or one sigmoid channel.
        num_members: how many models, M. Defaults to 10.
        sampling: "undersample" (a member has no row twice) or "bootstrap" (rows of the other classes with replacement, for
            each member by itself). Defaults to "undersample".
        joint: True trains all members in one graph, with one optimizer of the same kind and the sum of their losses: the
            same members to rounding error (on PyTorch except for dropout without a seed, which draws from one source for
            all), in less time where a single one is too small to fill the machine. Defaults to False: one after another.
        shared_backbone: a trained model whose outputs are the members' inputs. It is left as it is; its outputs are computed
            once a fit, only for the rows that a member sees. Defaults to None.
        seed: whole number; the same seed gives the same rows, initial weights and batches. Defaults to 0.
        from_logits: whether the members give logits, of a softmax or for one channel of a sigmoid. Defaults to False.
        ratio: rows of every other class that a member sees for each row of the rarest, at least 1; of a class that has fewer,
            all. Where very few rows are rare, more of the rest can make better members: 5 with 20 rare rows is 100 others.
            Defaults to 1, balanced.

    Attributes:
        model: one Keras model that gives the mean of the members' probabilities; it saves, loads and exports by itself.
        members: the trained models.
        train_prior: the class shares that the members' probabilities speak for, `(C,)`, as `correct_prior` takes them.
        rows: the rows that each member was trained on, int64 `(M, K)`.
        history: logs of each member, a list of values a key.

    Raises:
        ValueError: for other arguments than these.
        ImportError: on tf-keras.

    Example:
    >>> import keras
    >>> def build_model():
    ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, activation="sigmoid")])
    ...     model.compile("adam", "binary_crossentropy")
    ...     return model
    >>> x = np.random.default_rng(0).normal(size=(100, 2)).astype("float32")
    >>> y = np.repeat([0, 1], [90, 10])
    >>> bagging = BalancedBagging(build_model, num_members=9)
    >>> history = bagging.fit(x, y, epochs=1, verbose=0)
    >>> bagging.rows.shape, len(np.unique(bagging.rows)), bagging.predict(x, verbose=0).shape
    ((9, 20), 100, (100, 1))

    With four rows of the rest for each rare row:

    >>> bagging = BalancedBagging(build_model, num_members=2, ratio=4)
    >>> history = bagging.fit(x, y, verbose=0)
    >>> bagging.rows.shape, bagging.train_prior
    ((2, 50), array([0.8, 0.2]))

    Reference: Liu, Wu and Zhou, Exploratory undersampling for class-imbalance learning, IEEE Trans. SMC-B 39(2), 2009.
    """

    def __init__(
        self,
        build_model: Callable,
        *,
        num_members: int = 10,
        sampling: Sampling = "undersample",
        joint: bool = False,
        shared_backbone: Any = None,
        seed: int = 0,
        from_logits: bool = False,
        ratio: float = 1.0,
    ):
        need_keras_3("BalancedBagging")
        check_maker(build_model, "build_model", "lambda: compiled_model()")
        if shared_backbone is not None:
            check_backbone(shared_backbone)
        self.build_model = build_model
        self.num_members = check_whole(num_members, "num_members", 1)
        self.sampling = check_one_of(sampling, "sampling", SAMPLING)
        self.joint = check_flag(joint, "joint")
        self.shared_backbone = shared_backbone
        self.seed = check_whole(seed, "seed", 0)
        self.from_logits = check_flag(from_logits, "from_logits")
        self.ratio = check_number(ratio, "ratio", 1)
        self.members: list = []
        self.history: list[dict] = []
        self.rows = np.empty((0, 0), dtype=np.int64)
        self._train_prior: Any = None
        self._model: Any = None
        self._each: Any = None

    def fit(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        classes: Any = None,
        batch_size: int = 32,
        epochs: int = 1,
        validation_data: Any = None,
        callbacks: Callable | None = None,
        verbose: Verbose = 1,
        resume_dir: str | os.PathLike | None = None,
    ) -> list[dict]:
        """Builds the members anew and trains them.

        Args:
            x: array of N rows or a nest of them, as the members take them.
            y: class ids `(N,)` or `(N, 1)`, or one-hot rows `(N, C)`, with rows of every class; anything that the loss takes
                where `classes` is given.
            sample_weight: None, or weights `(N,)` for the members' losses, finite and not negative.
            classes: class id of every row `(N,)`, where `y` does not hold them.
            batch_size: rows a batch. Defaults to 32.
            epochs: how often each member sees its own rows. Defaults to 1.
            validation_data: `(x, y)` or `(x, y, sample_weight)`, the same for all members: arrays with `joint` or
                `shared_backbone`, else anything that Keras takes.
            callbacks: function without arguments, or of the member's index, that makes new callbacks for each member:
                `lambda: [EarlyStopping(patience=3)]`. With `joint=True` a member that stops early keeps its weights of that
                moment, while the others go on.
            verbose: 0 is silent, 1 writes a line a member (with `joint=True` a line an epoch too), 2 also what Keras writes
                an epoch of each member. Defaults to 1.
            resume_dir: folder where each member is saved when it is finished. A run that was killed and is started again with
                the same arguments takes the members that it finds and trains the rest, with the result of a run that was not
                killed. What the members depend on is compared, except what `build_model` and `callbacks` do inside.

        Returns:
            The logs of each member, as `history`.

        Raises:
            ValueError: before anything is trained, for data that do not fit together or with the members, a class without
                rows that count, a list of callbacks, or files in `resume_dir` that are damaged or of another run.
        """
        self._check(callbacks, verbose, resume_dir)
        data = data_of(x, y, sample_weight)
        members = build_members(self.build_model, self.num_members, self.seed, self.from_logits)
        if self.joint:
            check_side_by_side(members)
        if self.shared_backbone is not None:
            check_heads(members, self.shared_backbone)
        ids = check_classes(data[1], classes, num_rows(data), max(graph_ends(members[0])[1].shape[-1], 2))
        made = make_callbacks(callbacks, self.num_members, self.seed, self.joint)
        run = Run(
            data=data,
            rows=member_rows(
                ids, num_members=self.num_members, sampling=self.sampling, seed=self.seed, ratio=self.ratio
            ),
            validation=self._validation(validation_data),
            batch_size=check_whole(batch_size, "batch_size", 1),
            epochs=check_whole(epochs, "epochs", 1),
            seed=self.seed,
            ratio=self.ratio,
            verbose=1 if verbose == "auto" else int(verbose),
        )
        rows = run.rows
        shares = class_shares(ids, rows, *data[2:])
        if self.shared_backbone is not None:
            self._on_features(run)
        try_out(members if self.joint else members[:1], run)
        if self.joint:
            history = train_side_by_side(members, made, run)
        else:
            history = train_in_turn(members, made, run, None if resume_dir is None else _folder(resume_dir))
        inputs, probabilities = probabilities_of_members(members, self.shared_backbone, self.from_logits)
        self._model, self._each = average_of(inputs, probabilities), Model(inputs, probabilities)
        self.members, self.rows, self.history, self._train_prior = members, rows, history, shares
        return history

    @property
    def model(self) -> Any:
        """One Keras model, not compiled, that gives the mean of the members' probabilities `(N, C)`."""
        self._check_trained()
        return self._model

    @property
    def train_prior(self) -> np.ndarray:
        """Share of each class in what the members were trained on, float64 `(C,)`, every row by its sample weight.

        The members' probabilities speak for these shares: the `train_prior` of `correct_prior` and `PriorCorrection`.
        """
        self._check_trained()
        return self._train_prior

    def predict(self, x: Any, *, batch_size: int | None = None, verbose: Verbose = "auto") -> np.ndarray:
        """The mean of the members' probabilities, `(N, C)`, or `(N, 1)` of one sigmoid channel: `model.predict`.

        Args:
            x: rows as the members take them.
            batch_size: rows a batch. Defaults to None, as in Keras 32.
            verbose: as in Keras. Defaults to "auto".
        """
        self._check_trained()
        size = check_whole(batch_size, "batch_size", 1, optional=True)
        return np.asarray(self._model.predict(_rows_of(x), batch_size=size, verbose=verbose))

    def predict_members(self, x: Any, *, batch_size: int = 32) -> np.ndarray:
        """The probabilities that each member gives, `(M, N, C)`; their mean over M is what `model` gives."""
        self._check_trained()
        found = self._each.predict(_rows_of(x), batch_size=check_whole(batch_size, "batch_size", 1), verbose=0)
        return np.stack(found if isinstance(found, (list, tuple)) else [found])

    def disagreement(self, x: Any, *, kind: Kind = "std", batch_size: int = 32) -> np.ndarray:
        """How far the members disagree about each row, `(N,)`; see `keras_imbalance.estimators.disagreement`."""
        check_one_of(kind, "kind", KINDS)  # before any prediction
        return disagreement(self.predict_members(x, batch_size=batch_size), kind=kind)

    def _check(self, callbacks, verbose, resume_dir):
        if callbacks is not None:
            check_maker(callbacks, "callbacks", "lambda: [keras.callbacks.EarlyStopping(patience=3)]")
        check_one_of(verbose, "verbose", (0, 1, 2, "auto"))
        if resume_dir is not None and self.joint:
            remedy = "Members side by side are all finished at once: use joint=False to resume between them."
            raise invalid("resume_dir", "be None with joint=True", resume_dir, remedy)

    def _validation(self, given):
        """The data to validate on: arrays where they can be, and must be where the members need their own form of them."""
        if given is None:
            return None
        if isinstance(given, (tuple, list)) and len(given) in (2, 3):
            x, y, *weight = given
            return data_of(x, y, weight[0] if weight else None, prefix="validation ")
        needs_arrays = self.joint or self.shared_backbone is not None
        if needs_arrays or isinstance(given, (tuple, list)) or hasattr(given, "shape"):
            remedy = "With joint=True or a shared_backbone no dataset is taken." if needs_arrays else ""
            required = "be arrays (x, y) or (x, y, sample_weight)"
            raise invalid("validation_data", required, received=str(type(given)), remedy=remedy)
        return given

    def _on_features(self, run):
        """Replaces the inputs of `run` by the outputs of the backbone, for the rows that a member sees."""
        used, positions = np.unique(run.rows, return_inverse=True)
        x, *others = take(run.data, used)
        run.data, run.rows = (self._features(x, run.batch_size), *others), positions.reshape(run.rows.shape)
        if run.validation is not None:
            run.validation = (self._features(run.validation[0], run.batch_size), *run.validation[1:])

    def _features(self, x, batch_size):
        return np.asarray(self.shared_backbone.predict(x, batch_size=batch_size, verbose=0))

    def _check_trained(self):
        if self._model is None:
            raise ValueError("`fit` must come first. Received: no members. Call fit(x, y).")


def _rows_of(x):
    """Rows to predict, lists of numbers as arrays."""
    return arrays_of(x, "x") if isinstance(x, (list, tuple)) else x


def _folder(resume_dir):
    folder = Path(resume_dir)
    if folder.exists() and not folder.is_dir():
        raise invalid("resume_dir", "be a folder, not a file", resume_dir)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
