"""What is recommended follows from the counts, names its reason, and its code runs."""

import numpy as np
import pytest

import keras_imbalance as ki
from keras_imbalance import recommend


def advice(*arguments, **options):
    return " ".join(step.advice for step in recommend(*arguments, **options).steps)


@pytest.mark.parametrize(
    ("options", "holds", "lacks"),
    [
        ({}, ["matched pair", '"balanced"', "n^.75", "compare_methods"], ["tune_macro_f1", "cost"]),
        ({"objective": "f1"}, ["tune_macro_f1", "about 500 rows"], ["too few"]),
        ({"objective": "f1", "validation_counts": [300, 20, 10]}, ["330 validation rows are too few"], ["by tune_macro"]),
        ({"objective": "f1", "validation_counts": [900, 60, 30]}, ["Decide by tune_macro_f1"], ["offset", "about 500"]),
        ({"validation_counts": [900, 60, 19]}, ["the rarest has 19 validation rows"], []),
        ({"objective": "cost", "cost_matrix": np.ones((3, 3)) - np.eye(3)}, ["minimum_cost_decision", "prior of use"], []),
        ({"objective": "probabilities"}, ["prior of use"], ["minimum_cost"]),
    ],
)  # fmt: skip
def test_the_rules(options, holds, lacks):
    said = advice([3000, 300, 100], **options)
    assert all(words in said for words in holds)
    assert not any(words in said for words in lacks)


def test_an_ensemble_where_the_majority_is_large_and_plain_training_where_nothing_is_rare():
    assert "BalancedBagging" in advice([50_000, 100])
    assert "BalancedBagging" not in advice([3_000, 100])
    assert "Train plainly" in advice([100, 90])
    assert "matched pair" not in advice([100, 90])


def test_every_step_has_a_reason_and_the_text_holds_all():
    found = recommend([3000, 100], objective="f1")
    assert all(step.why for step in found.steps)
    for step in found.steps:
        assert step.advice in str(found)
    assert found.settings in str(found)
    assert "<ol>" in found._repr_html_()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: recommend([3, 0]), "`class_counts` must"),
        (lambda: recommend([3, 1], objective="accuracy"), "`objective` must be one of"),
        (lambda: recommend([3, 1], objective="cost"), "`cost_matrix` must be given for objective='cost'"),
        (lambda: recommend([3, 1], cost_matrix=np.eye(2)), "for no other"),
        (lambda: recommend([3, 1], objective="cost", cost_matrix=np.eye(3)), "`cost_matrix` must be 2 x 2"),
        (lambda: recommend([3, 1], validation_counts=[3]), "`validation_counts` must hold one count"),
        (lambda: recommend([3, 1], validation_counts=[3, -1]), "`validation_counts` must hold one finite count"),
        (lambda: recommend([3, 1], prior=0.3), "`prior` must be 'balanced' or one share a class"),
    ],
)
def test_bad_arguments(call, said):
    with pytest.raises(ValueError, match=said):
        call()


class Net:
    """In the place of a trained net: takes compile and fit, and gives the same logits for every row."""

    def compile(self, optimizer, loss):
        self.loss = loss

    def fit(self, *data, **options):
        self.fitted = data

    def predict(self, x):
        return np.tile(np.array([[2.0, 0.5, 0.0]], "float32"), (len(x), 1)) + np.asarray(x)


@pytest.mark.parametrize("prior", [None, "balanced", [0.2, 0.3, 0.5]])
@pytest.mark.parametrize("objective", ["recall", "f1", "cost", "probabilities"])
def test_the_code_runs(objective, prior):
    costs = 1 - np.eye(3)
    options = {"cost_matrix": costs} if objective == "cost" else {}
    x, y = np.random.default_rng(0).normal(size=(600, 3)).astype("float32"), np.repeat([0, 1, 2], [500, 60, 40])
    names = {"model": Net(), "x_train": x, "y_train": y, "x_validation": x, "x_new": x[:9], "cost_matrix": costs}
    exec(recommend(np.bincount(y), objective=objective, prior=prior, **options).settings, names)
    assert isinstance(names["loss"], ki.LogitAdjustedLoss)
    decided = names["probabilities"] if objective == "probabilities" else names["decided"]
    assert len(decided) == 9
