"""What scikit-learn's tools ask of a classifier. scikit-learn itself is imported only where it asks."""

import inspect
from typing import Any

import numpy as np

from keras_imbalance._core import invalid, nearest


class Estimator:
    """Base of a classifier that clone, Pipeline, cross_val_score and GridSearchCV take.

    A subclass stores every argument of its `__init__` under its own name, and has `classes_` once it is fitted.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor by name; `deep` changes nothing, since none of them is an estimator."""
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        return {name: getattr(self, name) for name in names}

    def set_params(self, **params: Any) -> Any:
        """Sets arguments of the constructor, which checks them, for the next `fit`.

        Raises:
            ValueError: for a name that is no argument, and where the constructor raises.
        """
        given = self.get_params()
        for name in params:
            if name not in given:
                received = f"the argument {name}"
                raise invalid("params", f"be among {', '.join(given)}", received=received, remedy=nearest(name, given))
        checked = type(self)(**{**given, **params})
        for name in params:
            setattr(self, name, getattr(checked, name))
        return self

    def score(self, x: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of the rows whose class is predicted, as every classifier of scikit-learn scores.

        A classifier that finds no rare row may score high: pass `scoring="balanced_accuracy"` where a tool takes it.

        Args:
            x: rows.
            y: class ids, or the names that `fit` was given, `(N,)`.
            sample_weight: None, or weights of the rows `(N,)`.
        """
        right = self.predict(x) == np.asarray(y).reshape(-1)
        return float(np.average(right, weights=sample_weight))

    def predict(self, x: Any) -> np.ndarray:
        """The class of each row `(N,)`."""
        raise NotImplementedError

    def __sklearn_clone__(self) -> Any:
        # The functions and the backbone that were passed are shared: fit leaves them as they are.
        return type(self)(**self.get_params())

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classes_")

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(three_d_array=True, categorical=True, string=True, dict=True, allow_nan=True),
        )
