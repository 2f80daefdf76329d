"""BalancedBagging as a classifier of scikit-learn: its tools clone it, set its arguments, and score it fold by fold."""

import numpy as np
import pytest
import sklearn
from ensembles import bag, labelled, softmax_net
from kerases import keras_3_only

from keras_imbalance import BalancedBagging
from keras_imbalance._keras import keras

if tuple(int(part) for part in sklearn.__version__.split(".")[:2]) < (1, 6):
    pytest.skip("scikit-learn before 1.6 has no tags of this form", allow_module_level=True)
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import balanced_accuracy_score, get_scorer, log_loss
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

pytestmark = keras_3_only("BalancedBagging refuses it")
NAMES = np.array(["scratch", "ok", "crack"])


def test_it_is_cloned_with_its_arguments_and_without_what_was_learnt():
    backbone = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    given = {"num_members": 3, "target": {0: 0.5}, "ratio": 2.0, "max_repeats": None, "shared_backbone": backbone}
    bagging = BalancedBagging(softmax_net, **given)
    params = bagging.get_params()
    assert params | given == params
    assert set(params) == set(BalancedBagging.__init__.__annotations__)
    again = clone(bagging)
    assert again is not bagging
    assert again.get_params() == params
    assert again.shared_backbone is backbone
    assert again.set_params(ratio=3, seed=7) is again
    assert (again.ratio, again.seed, bagging.ratio) == (3, 7, 2)
    assert is_classifier(bagging)
    assert get_tags(bagging).requires_fit
    with pytest.raises(NotFittedError):
        check_is_fitted(bagging)
    with pytest.raises(ValueError, match="`ratio` must"):
        again.set_params(ratio=0)
    with pytest.raises(ValueError, match=r"`params` must be among .*Did you mean 'num_members'"):
        again.set_params(num_member=2)


@pytest.mark.filterwarnings("error:The y_prob values do not sum")
def test_folds_are_scored_as_in_a_loop_and_names_come_back():
    x, ids = labelled((30, 12, 8))
    y, folds = NAMES[ids], StratifiedKFold(2)
    pipeline = make_pipeline(StandardScaler(), bag(softmax_net, members=2, seed=3))
    scoring = {"balanced": "balanced_accuracy", "log loss": "neg_log_loss"}
    fit = {"balancedbagging__epochs": 2, "balancedbagging__verbose": 0}
    found = cross_validate(pipeline, x, y, cv=folds, scoring=scoring, params=fit, return_estimator=True)
    train, test = next(folds.split(x, y))
    scaler, by_hand = StandardScaler().fit(x[train]), bag(softmax_net, members=2, seed=3)
    numbers = np.argsort(np.argsort(NAMES))[ids[train]]  # names are numbered in their sorted order
    by_hand.fit(scaler.transform(x[train]), numbers, epochs=2, verbose=0)
    p = by_hand.predict_proba(scaler.transform(x[test]))
    decided = np.sort(NAMES)[p.argmax(axis=1)]
    assert found["test_balanced"][0] == pytest.approx(balanced_accuracy_score(y[test], decided))
    assert found["test_log loss"][0] == pytest.approx(-log_loss(y[test], p, labels=np.sort(NAMES)), rel=1e-5)
    bagging = found["estimator"][0][-1]
    check_is_fitted(bagging)
    np.testing.assert_array_equal(bagging.classes_, np.sort(NAMES))
    assert bagging.score(x, y) == pytest.approx(get_scorer("accuracy")(bagging, x, y))
    weights = np.where(y == "ok", 3.0, 1.0)
    assert bagging.score(x, y, weights) == pytest.approx(np.average(bagging.predict(x) == y, weights=weights))
