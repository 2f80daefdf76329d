"""A Keras model for scikit-learn that is trained on resampled rows, and on nothing else."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import (
    check_callable,
    check_weight_shape,
    check_whole,
    delivery_for_fit,
    invalid,
    is_frame,
    shown,
)
from keras_imbalance._keras import Model, SKLearnClassifier, need_keras_3
from keras_imbalance.sampling import SMOTE, ArraySampler

OWN = {  # arguments of fit that are the sampler's or the estimator's
    "batch_size": "It is an argument of SampledClassifier.",
    "steps_per_epoch": "The length of an epoch is `epoch_size` of SampledClassifier.",
    "validation_split": "Pass validation_data=(X, y), or leave validation to scikit-learn.",
}
NUMBER_THE_WORDS = (
    "Put make_column_transformer((OrdinalEncoder(), columns), remainder='passthrough') before it in a Pipeline, and name their "
    "new positions in SMOTE(categorical=[...])."
)


class SampledClassifier(SKLearnClassifier):
    """A Keras model as a scikit-learn classifier whose `fit` draws the rows in a target class distribution.

    Only `fit` resamples, and only the rows that it is given: in `cross_val_score`, `GridSearchCV` and a `Pipeline` every fold
    is resampled after the split, so that no copy of a held-out row, and no new point next to one, is trained on. Held-out
    rows are scored as they are.

    Its probabilities speak for `drawn_prior_`, not for the shares of the data: see `correct_prior`.

    Args:
        build_model: function of `X` and `y` by name, and of `model_kwargs`, that returns a new compiled model, as for
            `keras.wrappers.SKLearnClassifier`: X `(N, ...)` are the rows, y `(N, C)` their classes, one-hot. The model gives
            `(N, C)`, and its loss takes one-hot labels.
        target: the class distribution to draw: "natural", "balanced", "sqrt", a number q, a mapping from class, as y has it, to
            share, or shares `(C,)` in the order of `classes_`. Defaults to "balanced".
        smote: a `SMOTE`, which makes new points in place of repeats. Defaults to None.
        max_repeats: how often an epoch may draw a row, on average over its class, > 0. Defaults to None, no limit.
        epoch_size: rows an epoch: "natural", "undersample", "oversample" or a number, as in `ArraySampler`. Defaults to
            "natural".
        batch_size: rows a batch. Defaults to 32.
        epochs: epochs of a fit. Defaults to 1.
        seed: whole number; the same seed draws the same rows. Defaults to one from Python's `random`.
        model_kwargs: more arguments of `build_model`. Defaults to None.
        fit_kwargs: arguments of the model's `fit`, such as `verbose` and `callbacks`. Defaults to None.

    Raises:
        ImportError: on tf-keras, and without scikit-learn 1.6 or later.
        ValueError: from `fit`, for labels of fewer than two classes, a target that cannot be read, a model that is not compiled
            or whose outputs do not fit the classes.

    Attributes:
        model_: the trained model.
        classes_: the classes, sorted `(C,)`.
        history_: what the model's `fit` returned.
        drawn_prior_: share of each class in the rows of the last epoch, float64 `(C,)`.

    Example:
    >>> import keras, numpy as np
    >>> from sklearn.model_selection import cross_val_score
    >>> def build_model(X, y):
    ...     model = keras.Sequential([keras.Input(X.shape[1:]), keras.layers.Dense(y.shape[1], activation="softmax")])
    ...     model.compile(keras.optimizers.SGD(1.0), "categorical_crossentropy")
    ...     return model
    >>> y = np.repeat(["good", "bad"], [90, 10])
    >>> X = np.where(y == "bad", 1.0, -1.0)[:, None]
    >>> classifier = SampledClassifier(build_model, epochs=5, seed=0, fit_kwargs={"verbose": 0})
    >>> cross_val_score(classifier, X, y, scoring="balanced_accuracy", cv=2).tolist()
    [1.0, 1.0]

    Reference: Santos et al., Cross-Validation for Imbalanced Datasets: Avoiding Overoptimistic and Overfitting Approaches,
    IEEE Computational Intelligence Magazine 13(4), 2018
    """

    def __init__(
        self,
        build_model: Callable[..., Any],
        *,
        target: npt.ArrayLike | Mapping | str | float = "balanced",
        smote: SMOTE | None = None,
        max_repeats: float | None = None,
        epoch_size: Literal["natural", "undersample", "oversample"] | int = "natural",
        batch_size: int = 32,
        epochs: int = 1,
        seed: int | None = None,
        model_kwargs: Mapping | None = None,
        fit_kwargs: Mapping | None = None,
    ):
        need_keras_3("SampledClassifier")
        super().__init__(build_model, model_kwargs=model_kwargs, fit_kwargs=fit_kwargs)
        # As scikit-learn asks: arguments are kept as they are, and checked by `fit`.
        self.build_model = build_model
        self.target, self.smote, self.max_repeats, self.epoch_size = target, smote, max_repeats, epoch_size
        self.batch_size, self.epochs, self.seed = batch_size, epochs, seed

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **kwargs: Any) -> "SampledClassifier":
        """Builds a model and trains it on rows that are drawn from these.

        Args:
            X: rows `(N, ...)`.
            y: class of each row `(N,)`, of any kind that can be sorted.
            sample_weight: None, or weights of the rows `(N,)`, passed on to Keras.
            **kwargs: more arguments of the model's `fit`, which go before `fit_kwargs`. `validation_data` is `(X, y)` with
                y as here; it is not resampled.
        """
        options = self._options(kwargs)
        check_callable(self.build_model, "build_model")
        check_whole(self.epochs, "epochs", 1)
        if sample_weight is not None and np.ndim(sample_weight) != 1:
            raise invalid("sample_weight", "have one weight a row, `(N,)`", received=f"shape {np.shape(sample_weight)}")
        frame = X if is_frame(X) else None  # knows the names of its columns
        X, y = self._checked(X, y)
        ids = self._learn_classes(y)
        labels = np.eye(len(self.classes_), dtype="float32")[ids]
        if "validation_data" in options:
            options["validation_data"] = self._validation(options["validation_data"])
        sampler = ArraySampler(
            X if frame is None else frame,
            labels,
            sample_weight,
            batch_size=self.batch_size,
            target=_by_name(self.target),
            max_repeats=self.max_repeats,
            epoch_size=self.epoch_size,
            smote=self.smote,
            class_names=[str(name) for name in self.classes_],
            seed=self.seed,
        )
        model = self.build_model(X=X, y=labels, **(self.model_kwargs or {}))
        _check_model(model, len(self.classes_))
        batches = getattr(sampler, delivery_for_fit())
        self.history_ = model.fit(batches(), **{"epochs": self.epochs, "shuffle": False, **options})
        self.model_, self.drawn_prior_ = model, sampler.drawn_prior
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """The outputs of the model `(N, C)`; with two classes that of the second minus that of the first, `(N,)`."""
        outputs = self._outputs(X)
        return outputs if outputs.shape[1] > 2 else outputs[:, 1] - outputs[:, 0]

    def predict(self, X: Any) -> np.ndarray:
        """The class of the largest output of each row `(N,)`."""
        largest = self._outputs(X).argmax(axis=1)
        return self.classes_[largest]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities `(N, C)` of the classes, which speak for `drawn_prior_`; for models that end in a softmax."""
        outputs = self._outputs(X)
        if outputs.min() < 0 or abs(outputs.sum(axis=1) - 1).max() > 1e-3:
            remedy = 'End it with Dense(y.shape[1], activation="softmax").'
            raise invalid(
                "build_model", "build a model of probabilities", received="rows that do not sum to 1", remedy=remedy
            )
        return outputs

    def __sklearn_clone__(self):
        from sklearn.base import clone

        # Keras's own would pass on its three arguments alone.
        return type(self)(**{name: clone(value, safe=False) for name, value in self.get_params(deep=False).items()})

    def _outputs(self, X):
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self, "model_")
        X = self._checked(X, reset=False)
        outputs = np.asarray(self.model_.predict(X, batch_size=self.batch_size, verbose=0))
        if outputs.shape != (len(X), len(self.classes_)):
            raise _wrong_outputs(outputs.shape, len(self.classes_))
        return outputs

    def _checked(self, X, *y, **options):
        """Rows as one array of numbers, as scikit-learn checks them."""
        text = _text_columns(X)
        if text:
            raise invalid("X", "hold numbers alone", received=f"text in {shown(text)}", remedy=NUMBER_THE_WORDS)
        return _validate_data()(self, X, *y, allow_nd=True, **options)

    def _options(self, given):
        """What goes to the model's `fit`."""
        options = {**(self.fit_kwargs or {}), **given}
        for name, remedy in OWN.items():
            if name in options:
                raise invalid("fit_kwargs", f"leave out `{name}`", received=f"{name}={options[name]!r}", remedy=remedy)
        return options

    def _learn_classes(self, y):
        from sklearn.utils.multiclass import type_of_target

        kind = type_of_target(y, input_name="y")
        if kind not in ("binary", "multiclass"):
            raise invalid("y", "hold one class a row, `(N,)`", received=f"labels that scikit-learn calls {kind}")
        self.classes_, ids = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise invalid("y", "hold rows of at least two classes", received=f"{shown(self.classes_.tolist())} alone")
        return ids

    def _validation(self, data):
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            raise invalid("validation_data", "be (X, y) or (X, y, sample_weight)", received=str(type(data)))
        X, y, *weight = data
        y = np.asarray(y)
        unknown = np.setdiff1d(y, self.classes_)
        if unknown.size:
            raise invalid("validation_data", "hold the classes of y alone", received=f"{shown(unknown.tolist())} too")
        if weight:
            check_weight_shape(np.asarray(weight[0]), y, "validation sample_weight")
        labels = np.eye(len(self.classes_), dtype="float32")[np.searchsorted(self.classes_, y)]
        return self._checked(X, reset=False), labels, *weight


def _by_name(target):
    """A target whose mapping, if it is one, has the names of the sampler's classes as keys: those of y as text."""
    shares = target.to_dict() if hasattr(target, "to_dict") else target
    return {str(name): share for name, share in shares.items()} if isinstance(shares, Mapping) else target


def _text_columns(X):
    """The columns of a data frame that hold text, by name."""
    if not is_frame(X):
        return []
    others = ((name, column) for name, column in X.items() if column.dtype.kind not in "biufc")
    return [name for name, column in others if any(isinstance(cell, str) for cell in column)]


def _validate_data():
    """The function of scikit-learn that checks rows, and remembers how many features there are and what they are called."""
    try:
        from sklearn.utils.validation import validate_data
    except ImportError as error:
        raise ImportError(f"SampledClassifier needs scikit-learn 1.6 or later. Received: {error}.") from error
    return validate_data


def _wrong_outputs(shape, num_classes):
    requirement = f"build a model that gives (N, {num_classes}), a channel for each class"
    remedy = 'End it with Dense(y.shape[1], activation="softmax").'
    return invalid("build_model", requirement, received=f"outputs of shape {shape}", remedy=remedy)


def _check_model(model, num_classes):
    """Raises unless a model is compiled with a loss that takes one-hot labels, and, where it says so, gives its channels."""
    if not isinstance(model, Model) or not model.compiled or not model.loss:
        raise invalid("build_model", "return a compiled Keras model", received=repr(model))
    named = model.loss if isinstance(model.loss, str) else type(model.loss).__name__
    if named.lower().startswith("sparse"):
        remedy = 'Compile "categorical_crossentropy": y comes one-hot, as from keras.wrappers.SKLearnClassifier.'
        raise invalid(
            "build_model", "compile a loss that takes one-hot labels", received=f"loss={named!r}", remedy=remedy
        )
    shape = getattr(model, "output_shape", None)  # unknown before a model is built, and of subclasses
    if isinstance(shape, tuple) and shape[1:] != (num_classes,):
        raise _wrong_outputs(shape, num_classes)
