"""Arguments of the wrong kind give our one sentence, which names the argument, never the first line of NumPy's or TensorFlow's.

Flags are flags: "False", 1 and None are neither True nor False.
"""

import inspect

import common_checks as checks
import numpy as np
import pytest

import keras_imbalance as ki
from keras_imbalance import plots

Y, P = np.array([0, 1, 0, 1]), np.array([0.2, 0.7, 0.4, 0.9])
RAGGED = [[1], [1, 2]]
FLAG = ("False", 1, None, np.array([True, False]))
WHOLE = ("a", [1], 1.5, True)
WRONG = {
    **dict.fromkeys(("from_logits", "multi_label", "log_classes", "per_image"), FLAG),
    "axis": ("a", [1], 1.5),
    "ignore_class": WHOLE,
    "label_smoothing": ("a", [0.1], np.array([0.1, 0.2]), True),
    "reduction": ("avg", 1, [1], np.array([1, 2])),
    "pos_weight": ("a", RAGGED, {}, -1),
    "name": (5, ["a"]),
    "class_names": (5, "ab", RAGGED, np.array(5)),
    "class_counts": (5, "ab", RAGGED, {0: 1}),
    "threshold": ("a", RAGGED),
    "top_k": ("a", [1]),
    "zero_division": ("a", [0], None),
    "soft_labels": ("mean", 1, ["argmax"], np.array(["a", "b"])),
    "num_classes": ("a", 1.5, 10**18),
    "sample_weight": ("a", RAGGED, {0: 1}, 5),
    "cost_matrix": ("x", RAGGED),
    "objective": ("x", 5),
    "num_bins": ("a", 1.5),
    "average": ("mean", 5, ["macro", "mean"]),
    "strategy": ("a", 5),
    "scale": ("a", 5, ["log"]),
    "positive": ("a", 5, ["a"], True, np.array([0, 1])),
    "label": (5, ["a"], ""),
    "scheme": ("a", 5, ["balanced"]),
    "beta": ("a", [1]),
    "normalize": ("a", 5),
    "max_iterations": ("a", 1.5),
    "tolerance": ("a", [1]),
    "y_true": ("a", 5, None, RAGGED, {0: 1}, ["a", "b", "c", "d"], [None] * 4),
    **dict.fromkeys(("y_pred", "probabilities", "predictions", "y_score", "y_prob"), ("a", 5, None, RAGGED, {0: 1})),
    **dict.fromkeys(("train_prior", "true_prior"), ("a", 5, None, RAGGED)),
    "labels": ("a", 5, None, RAGGED),
}
LOSS = ("from_logits", "multi_label", "label_smoothing", "ignore_class", "axis", "reduction", "pos_weight", "name")
METRIC = ("multi_label", "ignore_class", "axis", "soft_labels", "name")
COUNTED, RANKED = ("threshold", "top_k"), ("from_logits", "num_bins")
OF_RANKING = ("PerClassAveragePrecision", "PerClassAUC", "PerClassRecallAtPrecision", "PerClassPrecisionAtRecall")
PER_CLASS = ("class_names", "zero_division", "log_classes", "average")
ALLOWED_NONE = ("reduction", "pos_weight")


def costs_of(number, **arguments):
    return ki.ExpectedCost(np.ones((number, number)), **arguments)


def calls():
    """What is called, with which argument, and what is wrong with it."""
    for name, needs in (
        ("FocalLoss", ()),
        ("AsymmetricLoss", ()),
        ("TverskyLoss", ()),
        ("ClassBalancedLoss", ([5, 5],)),
        ("LogitAdjustedLoss", ([5, 5],)),
        ("LDAMLoss", ([5, 5],)),
        ("CostMatrixLoss", ([[0, 1], [1, 0]],)),
    ):
        for argument in (*LOSS, *(("per_image",) if name == "TverskyLoss" else ())):
            yield name, getattr(ki, name), needs, argument
    for name, build in checks.METRICS.items():
        own = METRIC + (RANKED if name in OF_RANKING else COUNTED)
        for argument in own + PER_CLASS if name.startswith("PerClass") else own:
            yield name, costs_of if name == "ExpectedCost" else build, (4,), argument
    for function, needs in (
        (ki.classification_report, (Y, P)),
        (ki.tune_thresholds, (Y, P)),
        (ki.tune_temperature, (Y, P)),
        (plots.plot_precision_recall, (Y, P)),
        (plots.plot_reliability, (Y, P)),
        (plots.plot_roc, (Y, P)),
        (plots.plot_threshold, (Y, P)),
        (ki.correct_prior, (P, [0.5, 0.5], [0.9, 0.1])),
        (ki.estimate_prior, (P, [0.5, 0.5])),
        (ki.minimum_cost_decision, (P, [[0, 1], [1, 0]])),
        (ki.class_weights, ([5, 5],)),
        (ki.class_prior, ([5, 5],)),
        (ki.target_distribution, ([5, 5], 0.5)),
        (ki.count_classes, (Y,)),
    ):
        for argument in inspect.signature(function).parameters:
            if argument in WRONG:
                yield function.__name__, function, needs, argument
    for layer, needs in ((ki.PriorCorrection, ([1, 1], [9, 1])), (ki.MinimumCostDecision, ([[0, 1], [1, 0]],))):
        for argument in ("from_logits", "axis", *(("multi_label",) if layer is ki.PriorCorrection else ())):
            yield layer.__name__, layer, needs, argument


@pytest.mark.parametrize(
    ("name", "call", "needs", "argument"), [pytest.param(*row, id=f"{row[0]}-{row[3]}") for row in calls()]
)
def test_an_argument_of_the_wrong_kind_is_named_in_one_sentence_of_ours(name, call, needs, argument):
    parameters = list(inspect.signature(call).parameters)
    for wrong in WRONG[argument]:
        given, options = list(needs), {argument: wrong}
        if argument in parameters[: len(needs)]:
            given[parameters.index(argument)], options = wrong, {}
        with pytest.raises(ValueError, match=r"^`\w+` must ") as error:
            call(*given, **options)
        assert len(str(error.value)) < 800
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("PerClassF1", r"1e\+07"),
        ("BalancedAccuracy", r"1e\+07"),
        ("ConfusionMatrix", "46340"),
        ("PerClassAUC", "262144"),
    ],
)
def test_a_number_of_classes_that_no_data_set_has(name, most):
    with pytest.raises(ValueError, match=rf"`num_classes` must be a whole number in \[2, {most}\]"):
        checks.METRICS[name](10**18)
