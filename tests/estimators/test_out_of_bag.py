"""Scores of rows by the members that were not trained on them, against a loop and scikit-learn."""

import numpy as np
import pytest
from ensembles import backbone_and_head, bag, labelled, sigmoid_net, softmax_net
from kerases import keras_3_only
from sklearn.metrics import balanced_accuracy_score

from keras_imbalance.estimators import member_rows, out_of_bag
from keras_imbalance.estimators.out_of_bag import check_rows_left_out

pytestmark = keras_3_only("BalancedBagging refuses it")


@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "backbone"])
def test_each_row_is_scored_by_the_members_that_do_not_hold_it(kind, monkeypatch):
    monkeypatch.setattr(out_of_bag, "BLOCK", 37)
    x, y = labelled((60, 22, 10) if kind != "sigmoid" else (60, 22))
    options = {"sampling": "bootstrap"} if kind == "softmax" else {"max_repeats": 0.7}
    if kind == "backbone":
        options["shared_backbone"], build = backbone_and_head()
    else:
        build = softmax_net if kind == "softmax" else sigmoid_net
    bagging = bag(build, members=3, oob_score=True, **options).fit(x, y, verbose=0)
    of_members = bagging.predict_members(x).astype(float)
    if kind == "sigmoid":
        of_members = np.concatenate([1 - of_members, of_members], axis=-1)
    scored = []
    for row in range(len(x)):
        others = [m for m in range(3) if row not in bagging.rows[m]]
        found = bagging.oob_decision_function_[row]
        if others:
            np.testing.assert_allclose(found, of_members[others, row].mean(axis=0), atol=1e-6)
            scored.append(row)
        else:
            assert np.isnan(found).all()
    assert set(y[scored]) == set(y)
    decided = bagging.oob_decision_function_[scored].argmax(axis=1)
    assert bagging.oob_score_ == pytest.approx(balanced_accuracy_score(y[scored], decided))
    if kind == "softmax":
        assert not hasattr(bagging.set_params(oob_score=False).fit(x, y, verbose=0), "oob_score_")


def test_rows_of_every_class_must_be_left_out():
    y = np.repeat([0, 1], [60, 8])
    for options in ({"sampling": "bootstrap"}, {"max_repeats": 0.8}, {"target": "natural", "max_repeats": 0.5}):
        check_rows_left_out(y, member_rows(y, num_members=3, **options))
    for options in ({}, {"ratio": 100}, {"target": 0.5}):
        with pytest.raises(ValueError, match="`oob_score` must be False"):
            check_rows_left_out(y, member_rows(y, num_members=3, **options))
