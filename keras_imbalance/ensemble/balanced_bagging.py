"""An ensemble whose members each see the whole minority and their own part of the rest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_imbalance.backend.models import IS_KERAS_3, Model, graph_ends
from keras_imbalance.ensemble.disagreement import KINDS, disagreement
from keras_imbalance.ensemble.members import (
    average_of,
    build_members,
    check_backbone,
    check_head,
    check_maker,
    check_side_by_side,
    make_callbacks,
    probabilities_of_members,
)
from keras_imbalance.ensemble.rows import SAMPLING, arrays_of, class_shares, data_of, member_rows, num_rows, take
from keras_imbalance.ensemble.training import Run, train_in_turn, train_side_by_side, try_out
from keras_imbalance.labels import class_ids
from keras_imbalance.metrics.checks import is_number

CALLBACKS_EXAMPLE = "callbacks=lambda: [keras.callbacks.EarlyStopping(patience=3)]"


class BalancedBagging:
    """Trains several models on balanced draws of the rows and averages their probabilities.

    Each member has all rows of the rarest class and as many of every other class, or `ratio` times as many: its own
    undersample, dealt out so that the members together use every row where there are enough of them. The mean of the members
    varies less than a single model that has seen as few rows, and nothing of the majority is thrown away.

    The probabilities are those of balanced classes; how far they lie from the true ones depends on the classes' shares
    in the data, so a decision at 0.5 is one for balanced accuracy, not for accuracy. `correct_prior` or the layer
    `PriorCorrection` on top of `model` puts them back: `correct_prior(bagging.predict(x), bagging.train_prior, true_prior)`.

    Args:
        build_model: function without arguments, or of the member's number, that returns a new compiled model: functional or
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
        train_prior: share of each class in what the members were trained on, `(C,)`, as `correct_prior` takes it.
        rows: row numbers that each member was trained on, `(M, K)`.
        history: logs of each member, a list of values a key.

    Raises:
        ValueError: for arguments that are none of the above.

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
        num_members: int = 10,
        sampling: str = "undersample",
        joint: bool = False,
        shared_backbone: Any = None,
        seed: int = 0,
        from_logits: bool = False,
        ratio: float = 1.0,
    ):
        if not IS_KERAS_3:
            raise ImportError("BalancedBagging needs Keras 3. Received: TF_USE_LEGACY_KERAS=1. Unset it.")
        check_maker(build_model, "build_model", "build_model=lambda: compiled_model()")
        if sampling not in SAMPLING:
            raise ValueError(f"`sampling` must be one of {SAMPLING}. Received: sampling={sampling!r}.")
        for name, value in {"joint": joint, "from_logits": from_logits}.items():
            if not isinstance(value, bool):
                raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r}.")
        if shared_backbone is not None:
            check_backbone(shared_backbone)
        self.build_model = build_model
        self.num_members = _whole_number(num_members, "num_members")
        self.sampling = sampling
        self.joint = joint
        self.shared_backbone = shared_backbone
        self.seed = _whole_number(seed, "seed", least=0)
        self.from_logits = from_logits
        self.ratio = _ratio(ratio)
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
        verbose: int | str = 1,
        resume_dir: Any = None,
    ) -> list[dict]:
        """Builds the members anew and trains them.

        Args:
            x: array of N rows or a nest of them, as the members take them.
            y: class ids `(N,)` or `(N, 1)`, or one-hot rows `(N, C)`, with rows of every class; anything that the loss takes
                where `classes` is given.
            sample_weight: None, or weights `(N,)` for the members' losses, finite and not negative.
            classes: class id of every row `(N,)`, where `y` is none.
            batch_size: rows a batch. Defaults to 32.
            epochs: passes of each member over its own rows. Defaults to 1.
            validation_data: `(x, y)` or `(x, y, sample_weight)`, the same for all members; with `joint` or
                `shared_backbone` arrays, else all that Keras takes.
            callbacks: function without arguments, or of the member's number, that makes new callbacks for each member:
                `lambda: [EarlyStopping(patience=3)]`. With `joint=True` a member that stops early keeps the weights that it
                has then, while the others go on.
            verbose: 0 is silent, 1 writes a line a member (with `joint=True` a line an epoch too), 2 also what Keras writes
                an epoch of each member. Defaults to 1.
            resume_dir: folder that keeps each member as it is finished. A run that was killed and is started again with the
                same arguments takes those that it finds and trains the rest, with the result of a run that was not killed.
                What the members depend on is compared, except what `build_model` and `callbacks` do inside.

        Returns:
            The logs of each member, as `history`.

        Raises:
            ValueError: before anything is trained, for data that do not fit together or with the members, a class without
                rows that count, a list of callbacks, or files in `resume_dir` that are damaged or of another run.
        """
        self._check(callbacks, verbose, resume_dir)
        data = data_of(x, y, sample_weight)
        ids = self._classes(data[1], classes, num_rows(data))
        members = build_members(self.build_model, self.num_members, self.seed, self.from_logits)
        made = make_callbacks(callbacks, self.num_members, self.seed, self.joint)
        self._check_members(members, None if classes is not None else ids)
        run = Run(
            data=data,
            rows=member_rows(ids, self.num_members, self.sampling, self.seed, self.ratio),
            validation=self._validation(validation_data),
            batch_size=_whole_number(batch_size, "batch_size"),
            epochs=_whole_number(epochs, "epochs"),
            seed=self.seed,
            ratio=self.ratio,
            verbose=1 if verbose == "auto" else int(verbose),
        )
        rows = run.rows
        shares = class_shares(ids, rows, *data[2:])
        _check_counted(shares, ids)
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

        It is the prior that their probabilities stand for: the `train_prior` of `correct_prior` and `PriorCorrection`.
        """
        self._check_trained()
        return self._train_prior

    def predict(self, x: Any, batch_size: int | None = None, verbose: int | str = "auto") -> np.ndarray:
        """The mean of the members' probabilities, `(N, C)`, or `(N, 1)` of one sigmoid channel: `model.predict`.

        Args:
            x: rows as the members take them.
            batch_size: rows a batch. Defaults to None, as in Keras 32.
            verbose: as in Keras. Defaults to "auto".
        """
        self._check_trained()
        size = None if batch_size is None else _whole_number(batch_size, "batch_size")
        return np.asarray(self._model.predict(_rows_of(x), batch_size=size, verbose=verbose))

    def predict_members(self, x: Any, batch_size: int = 32) -> np.ndarray:
        """The probabilities that each member gives, `(M, N, C)`; their mean over M is what `model` gives."""
        self._check_trained()
        found = self._each.predict(_rows_of(x), batch_size=_whole_number(batch_size, "batch_size"), verbose=0)
        return np.stack(found if isinstance(found, (list, tuple)) else [found])

    def disagreement(self, x: Any, kind: str = "std", batch_size: int = 32) -> np.ndarray:
        """How far the members disagree about each row, `(N,)`; see `keras_imbalance.ensemble.disagreement`."""
        if kind not in KINDS:
            raise ValueError(f"`kind` must be one of {KINDS}. Received: kind={kind!r}.")
        return disagreement(self.predict_members(x, batch_size), kind)

    def _check(self, callbacks, verbose, resume_dir):
        if callbacks is not None:
            check_maker(callbacks, "callbacks", CALLBACKS_EXAMPLE)
        if verbose not in (0, 1, 2, "auto"):
            raise ValueError(f"`verbose` must be 0, 1, 2 or 'auto'. Received: verbose={verbose!r}.")
        if resume_dir is not None and self.joint:
            raise ValueError(
                "`resume_dir` must be None with joint=True: it keeps members that are finished, and there all are finished at "
                f"once. Received: resume_dir={resume_dir!r}. Use joint=False."
            )

    def _classes(self, y, classes, rows):
        """Class id of every row."""
        if classes is not None:
            ids = class_ids(classes, name="classes")
        elif isinstance(y, np.ndarray):
            ids = class_ids(y, name="y")
        else:
            raise ValueError("`y` is a nest of arrays: pass the class to sample each row by as `classes`.")
        if len(ids) != rows:
            raise ValueError(f"`classes` must hold the class of each of {rows} rows. Received: {len(ids)}.")
        if len(np.unique(ids)) < 2:
            raise ValueError(
                f"`{'y' if classes is None else 'classes'}` must hold rows of at least two classes: there is nothing to "
                f"balance. Received: class {ids[0]} alone."
            )
        return ids

    def _check_members(self, members, ids):
        if self.joint:
            check_side_by_side(members)
        for member in members if self.shared_backbone is not None else ():
            check_head(member, self.shared_backbone)
        channels = graph_ends(members[0])[1].shape[-1]
        known = max(channels, 2)
        if ids is not None and ids.max() >= known:
            raise ValueError(
                f"`y` must hold classes below {known}, as the members' outputs have {channels} channels. Received: class "
                f"{ids.max()}."
            )
        absent = [] if ids is None else np.setdiff1d(np.arange(known), ids).tolist()
        if absent:
            raise ValueError(
                f"`y` must hold rows of each of {known} classes, as many as the members tell apart. Received: none of class "
                f"{', '.join(map(str, absent))}. Build members with fewer channels; to balance the classes that are there, "
                "pass their ids as `classes` too."
            )

    def _validation(self, given):
        """The data to validate on: arrays where they can be, and must be where the members need their own form of them."""
        if given is None:
            return None
        if isinstance(given, (tuple, list)) and len(given) in (2, 3):
            x, y, *weight = given
            return data_of(x, y, weight[0] if weight else None, prefix="validation ")
        needs_arrays = self.joint or self.shared_backbone is not None
        if needs_arrays or isinstance(given, (tuple, list)) or hasattr(given, "shape"):
            where = " with joint=True or a shared_backbone" if needs_arrays else ", or a dataset of them"
            raise ValueError(
                f"`validation_data` must be arrays (x, y) or (x, y, sample_weight){where}. Received: {type(given)}."
            )
        return given

    def _on_features(self, run):
        """Replaces the inputs of `run` by what the backbone makes of them, for the rows that a member sees."""
        used, places = np.unique(run.rows, return_inverse=True)
        x, *others = take(run.data, used)
        run.data, run.rows = (self._features(x, run.batch_size), *others), places.reshape(run.rows.shape)
        if run.validation is not None:
            run.validation = (self._features(run.validation[0], run.batch_size), *run.validation[1:])

    def _features(self, x, batch_size):
        return np.asarray(self.shared_backbone.predict(x, batch_size=batch_size, verbose=0))

    def _check_trained(self):
        if self._model is None:
            raise ValueError("`fit` must come first: there are no members yet.")


def _rows_of(x):
    """Rows to predict, lists of numbers as arrays."""
    return arrays_of(x, "x") if isinstance(x, (list, tuple)) else x


def _check_counted(shares, ids):
    uncounted = [str(i) for i in np.unique(ids) if shares[i] == 0]
    if uncounted:
        raise ValueError(
            f"`sample_weight` must let rows of every class count. Received: 0 for all rows of class {', '.join(uncounted)}."
        )


def _ratio(ratio):
    if not is_number(ratio) or not np.isfinite(ratio) or ratio < 1:
        raise ValueError(
            "`ratio` must be a finite number of at least 1: rows of every other class for each row of the rarest. "
            f"Received: ratio={ratio!r}."
        )
    return float(ratio)


def _folder(resume_dir):
    folder = Path(resume_dir)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"`resume_dir` must be a folder. Received: {resume_dir!r}, which is a file.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _whole_number(value, name, least=1):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"`{name}` must be a whole number of at least {least}. Received: {name}={value!r}.")
    return int(value)
