"""An ensemble whose members each see the rare classes and their own part of the rest."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import (
    check_flag,
    check_number,
    check_one_of,
    check_whole,
    invalid,
    is_text,
    named_ids,
    two_channels,
)
from keras_imbalance._keras import Model, graph_ends, need_keras_3, tree
from keras_imbalance.estimators.arrays import as_fit_takes_it, data_of, num_rows, rows_to_predict, take
from keras_imbalance.estimators.checks import (
    check_backbone,
    check_classes,
    check_heads,
    check_maker,
    check_side_by_side,
    class_of_each_row,
    prior_of_outputs,
    warn_of_double_correction,
)
from keras_imbalance.estimators.disagreement import KINDS, Kind, disagreement
from keras_imbalance.estimators.estimator import Estimator
from keras_imbalance.estimators.members import (
    COUNTS,
    average_of,
    build_members,
    make_callbacks,
    probabilities_of_members,
)
from keras_imbalance.estimators.out_of_bag import check_rows_left_out, out_of_bag
from keras_imbalance.estimators.rows import SAMPLING, Sampling, class_shares, member_rows
from keras_imbalance.estimators.training import Run, train_in_turn, train_side_by_side, try_out
from keras_imbalance.metrics import functional

Verbose = Literal[0, 1, 2, "auto"]


class BalancedBagging(Estimator):
    """Trains several models on balanced draws of the rows and averages their probabilities.

    The probabilities speak for the class shares that the members saw, so `predict` decides for balanced accuracy. For the
    shares of the data correct them: `correct_prior(bagging.predict_proba(x), bagging.train_prior, true_prior)`, or the layer
    `PriorCorrection` on top of `model`.

    Each member has all rows of the rarest class and as many of every other class, or `ratio` times as many, dealt out so that
    the members together use every row where there are enough of them. `target` and `max_repeats` ask for other shares. It is a
    classifier for scikit-learn's tools, such as cross_val_score and Pipeline.

    Args:
        build_model: function without arguments, or of the member's index, that returns a new compiled model: functional or
            sequential, with known inputs and one output `(N, C)`, or one sigmoid channel. If it has an argument
            `class_counts`, it is given what members are trained on of every class, float64 `(C,)`: compile
            `LogitAdjustedLoss(class_counts)` for a matched pair in each member.
        num_members: how many models, M. Defaults to 10.
        target: the class shares of a member's rows: "balanced", "natural", "sqrt", a number q, a mapping from class to share,
            or shares `(C,)`, as in `ArraySampler`; of every class positive. Defaults to "balanced".
        ratio: how many times as many rows a member sees as the target allows without a row twice, at least 1; of a class that
            has fewer, all. Of a balanced target these are rows of every other class for each row of the rarest: 5 with 20 rare
            rows is 100 others. Where very few rows are rare, more of the rest can make better members. Defaults to 1.
        max_repeats: how often a member may hold a row, on average over its class, more than 0: 3 with a `ratio` of 3 and more
            repeats rare rows. Below 1 every class leaves rows out. None is no limit. Defaults to 1, no row twice.
        sampling: "undersample" (rows are dealt out among the members) or "bootstrap" (rows with replacement, for each member by
            itself). Defaults to "undersample".
        oob_score: True scores `fit` on rows that members were not trained on, each by the members that do not hold it. Needs
            rows of every class that are left out: "bootstrap", or `max_repeats` below 1. Defaults to False.
        joint: True trains all members in one graph, with one optimizer of the same kind and the sum of their losses: the
            same members to rounding error (on PyTorch except for dropout without a seed, which draws from one source for
            all), in less time where a single one is too small to fill the machine. Defaults to False: one after another.
        shared_backbone: a trained model whose outputs are the members' inputs. It is left as it is; its outputs are computed
            once a fit, only for the rows that a member sees. Defaults to None.
        seed: whole number; the same seed gives the same rows, initial weights and batches. Defaults to 0.
        from_logits: whether the members give logits, of a softmax or for one channel of a sigmoid. Defaults to False.

    Attributes:
        model: one Keras model that gives the mean of the members' probabilities; it saves, loads and exports by itself.
        members: the trained models.
        classes_: the classes in the order of the channels `(C,)`: the names in `y`, sorted, or ids.
        train_prior: the class shares that the members' probabilities speak for, `(C,)`, as `correct_prior` takes them.
        rows: the rows that each member was trained on, int64 `(M, K)`.
        history: logs of each member, a list of values a key.
        oob_decision_function_: with `oob_score`, of each row the mean probabilities of the members that were not trained on it,
            float64 `(N, C)`, NaN where all were; for `tune_thresholds` without rows to validate on.
        oob_score_: with `oob_score`, the balanced accuracy of these.

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
    >>> y = np.repeat([0, 1], [80, 20])
    >>> bagging = BalancedBagging(build_model, num_members=2, ratio=2).fit(x, y, verbose=0)
    >>> bagging.rows.shape, len(np.unique(bagging.rows)), bagging.predict_proba(x).shape
    ((2, 60), 100, (100, 2))

    A matched pair in each member: rows in shares of n^0.75, and a loss adjusted to these, so that the outputs speak for
    balanced classes:

    >>> from keras_imbalance import LogitAdjustedLoss
    >>> def build_model(class_counts):
    ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    ...     model.compile("adam", LogitAdjustedLoss(class_counts, from_logits=True))
    ...     return model
    >>> bagging = BalancedBagging(build_model, num_members=1, target=0.75, from_logits=True).fit(x, y, verbose=0)
    >>> np.bincount(y[bagging.rows[0]]), bagging.train_prior
    (array([57, 20]), array([0.5, 0.5]))

    References: Liu, Wu and Zhou, Exploratory undersampling for class-imbalance learning, IEEE Trans. SMC-B 39(2), 2009;
    "bootstrap": Chen, Liaw and Breiman, Using random forest to learn imbalanced data, 2004.
    """

    classes_: np.ndarray
    oob_decision_function_: np.ndarray
    oob_score_: float

    def __init__(
        self,
        build_model: Callable,
        *,
        num_members: int = 10,
        target: npt.ArrayLike | Mapping | str | float = "balanced",
        ratio: float = 1.0,
        max_repeats: float | None = 1.0,
        sampling: Sampling = "undersample",
        oob_score: bool = False,
        joint: bool = False,
        shared_backbone: Any = None,
        seed: int = 0,
        from_logits: bool = False,
    ):
        need_keras_3("BalancedBagging")
        check_maker(build_model, "build_model", "lambda: compiled_model()", (COUNTS,))
        if shared_backbone is not None:
            check_backbone(shared_backbone)
        self.build_model = build_model
        self.num_members = check_whole(num_members, "num_members", 1)
        self.target = target  # what it stands for depends on the classes
        self.ratio = check_number(ratio, "ratio", 1)
        self.max_repeats = check_number(max_repeats, "max_repeats", above=0, optional=True)
        self.sampling = check_one_of(sampling, "sampling", SAMPLING)
        self.oob_score = check_flag(oob_score, "oob_score")
        self.joint = check_flag(joint, "joint")
        self.shared_backbone = shared_backbone
        self.seed = check_whole(seed, "seed", 0)
        self.from_logits = check_flag(from_logits, "from_logits")
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
    ) -> Self:
        """Builds the members anew and trains them.

        Args:
            x: array of N rows or a nest of them, as the members take them; text on TensorFlow. A data frame of numbers is one
                array, one with columns of text a dict of columns.
            y: class ids `(N,)` or `(N, 1)`, or one-hot rows `(N, C)`, with rows of every class; or names `(N,)`, which the
                loss gets as ids in their sorted order. Anything that the loss takes where `classes` is given.
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
            The ensemble; `history` holds the logs of each member.

        Raises:
            ValueError: before anything is trained, for data that do not fit together or with the members, a class without
                rows that count, a list of callbacks, or files in `resume_dir` that are damaged or of another run.

        Warns:
            UserWarning: where a loss of the members is given other class counts than they are trained on.
        """
        self._check(callbacks, verbose, resume_dir, classes)
        data, names = _with_ids(data_of(x, y, sample_weight), None, "")
        ids = class_of_each_row(data[1], classes, num_rows(data))
        rows = self._rows_of_members(ids, names)
        shares = class_shares(ids, rows, *data[2:])
        members = self._built(shares * rows.shape[1])
        if classes is None:
            check_classes(data[1], ids, max(graph_ends(members[0])[1].shape[-1], 2))
        warn_of_double_correction(members, shares)
        made = make_callbacks(callbacks, self.num_members, self.seed, self.joint)
        run = Run(
            data=data,
            rows=rows,
            validation=self._validation(validation_data, names),
            batch_size=check_whole(batch_size, "batch_size", 1),
            epochs=check_whole(epochs, "epochs", 1),
            seed=self.seed,
            verbose=1 if verbose == "auto" else int(verbose),
        )
        if self.shared_backbone is not None:
            self._on_features(run)
        try_out(members if self.joint else members[:1], run)
        if self.joint:
            history = train_side_by_side(members, made, run)
        else:
            history = train_in_turn(members, made, run, None if resume_dir is None else _folder(resume_dir))
        inputs, probabilities = probabilities_of_members(members, self.shared_backbone, self.from_logits)
        self._model, self._each = average_of(inputs, probabilities), Model(inputs, probabilities)
        self.members, self.rows, self.history = members, rows, history
        self._train_prior = prior_of_outputs(members, shares)
        self.classes_ = np.arange(max(probabilities[0].shape[-1], 2)) if names is None else np.array(names)
        self._score_out_of_bag(data[0], ids)
        return self

    @property
    def model(self) -> Any:
        """One Keras model, not compiled, that gives the mean of the members' probabilities `(N, C)`."""
        self._check_trained()
        return self._model

    @property
    def train_prior(self) -> np.ndarray:
        """The class shares that the members' probabilities speak for, float64 `(C,)`, as decisions take it.

        They are those of the rows that the members were trained on, every row by its sample weight, or with a logit-adjusted
        loss its `output_prior`.
        """
        self._check_trained()
        return self._train_prior

    def predict(self, x: Any, *, batch_size: int | None = None, verbose: Verbose = 0) -> np.ndarray:
        """The likeliest class of each row under `train_prior`, one of `classes_`, `(N,)`; arguments as in `predict_proba`."""
        probabilities = self.predict_proba(x, batch_size=batch_size, verbose=verbose)
        return self.classes_[probabilities.argmax(axis=-1)]

    def predict_proba(self, x: Any, *, batch_size: int | None = None, verbose: Verbose = 0) -> np.ndarray:
        """The mean of the members' probabilities, float64 `(N, C)`; of one sigmoid channel those of both classes, `(N, 2)`.

        Those of a softmax are rescaled to sum to 1 in this precision, which scikit-learn's scores insist on.

        Args:
            x: rows as the members take them.
            batch_size: rows a batch. Defaults to None, as in Keras 32.
            verbose: as in Keras. Defaults to 0.
        """
        self._check_trained()
        size = check_whole(batch_size, "batch_size", 1, optional=True)
        found = np.asarray(self._model.predict(rows_to_predict(x), batch_size=size, verbose=verbose))
        probabilities = two_channels(found.astype(np.float64))
        total = probabilities.sum(axis=-1, keepdims=True)
        return probabilities / total if np.allclose(total, 1, atol=1e-3) else probabilities

    def predict_members(self, x: Any, *, batch_size: int | None = None) -> np.ndarray:
        """The probabilities that each member gives, `(M, N, C)`; their mean over M is what `model` gives."""
        self._check_trained()
        return self._predict_all(rows_to_predict(x), check_whole(batch_size, "batch_size", 1, optional=True))

    def disagreement(self, x: Any, *, kind: Kind = "std", batch_size: int | None = None) -> np.ndarray:
        """How far the members disagree about each row, `(N,)`; see `keras_imbalance.estimators.disagreement`."""
        check_one_of(kind, "kind", KINDS)  # before any prediction
        return disagreement(self.predict_members(x, batch_size=batch_size), kind=kind)

    def _check(self, callbacks, verbose, resume_dir, classes):
        if callbacks is not None:
            check_maker(callbacks, "callbacks", "lambda: [keras.callbacks.EarlyStopping(patience=3)]")
        check_one_of(verbose, "verbose", (0, 1, 2, "auto"))
        if resume_dir is not None and self.joint:
            remedy = "Members side by side are all finished at once: use joint=False to resume between them."
            raise invalid("resume_dir", "be None with joint=True", resume_dir, remedy)
        if self.oob_score and classes is not None:
            raise invalid(
                "oob_score", "be False where `classes` are given, since other labels have no such score", True
            )

    def _rows_of_members(self, ids, names):
        rows = member_rows(
            ids,
            num_members=self.num_members,
            target=self.target,
            ratio=self.ratio,
            max_repeats=self.max_repeats,
            sampling=self.sampling,
            class_names=names,
            seed=self.seed,
        )
        if self.oob_score:
            check_rows_left_out(ids, rows)
        return rows

    def _built(self, class_counts):
        """New members, checked."""
        members = build_members(self.build_model, self.num_members, self.seed, self.from_logits, class_counts)
        if self.joint:
            check_side_by_side(members)
        if self.shared_backbone is not None:
            check_heads(members, self.shared_backbone)
        return members

    def _validation(self, given, names):
        """The data to validate on: arrays where they can be, and must be where the members need their own form of them."""
        if given is None:
            return None
        if isinstance(given, (tuple, list)) and len(given) in (2, 3):
            x, y, *weight = given
            data = data_of(x, y, weight[0] if weight else None, prefix="validation ")
            return _with_ids(data, names, "validation ")[0]
        needs_arrays = self.joint or self.shared_backbone is not None
        if needs_arrays or isinstance(given, (tuple, list)) or hasattr(given, "shape"):
            remedy = "With joint=True or a shared_backbone no dataset is taken." if needs_arrays else ""
            required = "be arrays (x, y) or (x, y, sample_weight)"
            raise invalid("validation_data", required, received=str(type(given)), remedy=remedy)
        return given

    def _on_features(self, run):
        """Replaces the inputs of `run` by the outputs of the backbone, for the rows that a member sees."""
        used, positions = np.unique(run.rows, return_inverse=True)
        x, *others = run.data
        features = self._features(take(x, used), run.batch_size)
        of_rows = tree.map_structure(lambda leaf: leaf.take(used, axis=0), tuple(others))
        run.data, run.rows = (features, *of_rows), positions.reshape(run.rows.shape)
        if run.validation is not None:
            features = self._features(as_fit_takes_it(run.validation[0]), run.batch_size)
            run.validation = (features, *run.validation[1:])

    def _features(self, x, batch_size):
        return np.asarray(self.shared_backbone.predict(x, batch_size=batch_size, verbose=0))

    def _score_out_of_bag(self, x, ids):
        for name in ("oob_decision_function_", "oob_score_"):
            vars(self).pop(name, None)  # of a fit before
        if not self.oob_score:
            return
        probabilities = two_channels(out_of_bag(self._predict_all, x, self.rows))
        scored = np.isfinite(probabilities).all(axis=-1)
        size = probabilities.shape[-1]
        decided = probabilities[scored].argmax(axis=-1)
        counts = functional.confusion_matrix(ids[scored], decided, num_classes=size, weights=np.ones(scored.sum()))
        self.oob_decision_function_ = probabilities
        self.oob_score_ = float(functional.balanced_accuracy(counts))

    def _predict_all(self, x, batch_size=None):
        found = self._each.predict(x, batch_size=batch_size, verbose=0)
        return np.stack(found if isinstance(found, (list, tuple)) else [found])

    def _check_trained(self):
        if self._model is None:
            raise ValueError("`fit` must come first. Received: no members. Call fit(x, y).")


def _with_ids(data, names, prefix):
    """Data with class ids in the place of names in y, and these names: those given, else those found, else None."""
    x, y, *weight = data
    if not isinstance(y, np.ndarray) or not is_text(y):
        return data, names
    if prefix and names is None:
        raise invalid("validation_data", "hold class ids, as `y`", received="text as labels")
    ids, found = named_ids(y, names, f"{prefix}y")
    return (x, ids.reshape(-1), *weight), found


def _folder(resume_dir):
    folder = Path(resume_dir)
    if folder.exists() and not folder.is_dir():
        raise invalid("resume_dir", "be a folder, not a file", resume_dir)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
