"""Arguments: keyword-only after the first, checked, kept in the configuration; and the check of log keys, which may fail."""

import inspect
from typing import get_args

import numpy as np
import pytest

import keras_imbalance as ki
from keras_imbalance import metrics
from keras_imbalance._keras import keras, ops
from keras_imbalance.metrics import base, functional, per_class_report

COSTS = [[0.0, 1.0, 2.0], [5.0, 0.0, 1.0], [9.0, 3.0, 0.0]]
COUNTED = {"threshold": 0.25, "top_k": 2, "ignore_class": 1, "name": "other", "dtype": "float64"}
NAMED = {"class_names": ["ok", "worn", "broken"], "zero_division": 1.0, "average": ["micro"], "log_classes": False}
BINNED = {
    **{key: COUNTED[key] for key in ("ignore_class", "name", "dtype")},
    **NAMED,
    "from_logits": True,
    "num_bins": 32,
}
NEEDED = {"PerClassRecallAtPrecision": {"precision": 0.5}, "PerClassPrecisionAtRecall": {"recall": 0.5}}
# Every argument of every metric, with another value than its default.
EVERY_ARGUMENT = {
    "PerClassRecall": {**COUNTED, **NAMED},
    "PerClassPrecision": {**COUNTED, **NAMED},
    "PerClassSpecificity": {**COUNTED, **NAMED},
    "PerClassF1": {**COUNTED, **NAMED, "beta": 2.0},
    "PerClassReport": {**COUNTED, **NAMED, "metrics": ["g_mean", "f1"], "prefix": "left_"},
    "PerClassIoU": {**COUNTED, **NAMED},
    "PerClassAveragePrecision": BINNED,
    "PerClassAUC": BINNED,
    "PerClassRecallAtPrecision": {**BINNED, "precision": 0.9},
    "PerClassPrecisionAtRecall": {**BINNED, "recall": 0.9},
    "ConfusionMatrix": {**COUNTED, "class_names": NAMED["class_names"]},
    "BalancedAccuracy": COUNTED,
    "GeometricMean": {**COUNTED, "correction": 0.1},
    "MacroF1": {**COUNTED, "zero_division": 1.0},
    "MatthewsCorrelation": COUNTED,
    "CohenKappa": {**COUNTED, "weights": "linear", "zero_division": 1.0},
    "ExpectedCost": {**COUNTED, "num_classes": 3},
}


def build(kind, /, **options):
    return getattr(ki, kind)(COSTS if kind == "ExpectedCost" else 3, **{**NEEDED.get(kind, {}), **options})


def test_every_public_metric_is_in_the_table():
    public = {name for name in ki.__all__ if isinstance(getattr(ki, name), type)}
    assert set(EVERY_ARGUMENT) == {name for name in public if issubclass(getattr(ki, name), keras.metrics.Metric)}


@pytest.mark.parametrize("name", EVERY_ARGUMENT)
def test_every_argument_is_in_the_configuration_and_gives_equal_values(name):
    metric = build(name, **EVERY_ARGUMENT[name])
    config = metric.get_config()
    for argument, value in EVERY_ARGUMENT[name].items():
        assert config[argument] == value, argument
    again = type(metric).from_config(config)
    assert again.get_config() == config
    scores = np.random.default_rng(1).random((30, 3))
    for one in (metric, again):
        one.update_state(np.arange(30) % 3, scores, np.arange(30) / 7)
    if name == "ConfusionMatrix":
        np.testing.assert_array_equal(again.matrix(), metric.matrix())
    assert str(again.result()) == str(metric.result())
    assert again.class_values("x") == metric.class_values("x")


@pytest.mark.parametrize("name", EVERY_ARGUMENT)
def test_arguments_after_the_first_are_keyword_only(name):
    parameters = list(inspect.signature(getattr(ki, name)).parameters.values())
    assert [p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD] == [parameters[0].name]
    with pytest.raises(TypeError, match="positional"):
        getattr(ki, name)(COSTS if name == "ExpectedCost" else 3, None)
    with pytest.raises(TypeError, match="no_such_argument"):
        build(name, no_such_argument=1)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("PerClassF1", {"multi_label": "False"}),
        ("ExpectedCost", {"multi_label": "False"}),
        ("PerClassF1", {"log_classes": 1}),
        ("PerClassAveragePrecision", {"from_logits": "False"}),
        ("PerClassAveragePrecision", {"num_bins": 1}),
        ("PerClassAUC", {"average": "mean"}),
        ("PerClassF1", {"average": ()}),
        ("PerClassF1", {"average": ("macro", "macro")}),
        ("PerClassF1", {"average": None}),
        ("PerClassRecallAtPrecision", {"precision": 1.5}),
        ("PerClassPrecisionAtRecall", {"recall": -0.1}),
        ("PerClassReport", {"metrics": "f1"}),
        ("PerClassReport", {"metrics": ()}),
        ("PerClassReport", {"metrics": ("f1", "f1")}),
        ("PerClassReport", {"metrics": ("f1", ["recall"])}),
        ("CohenKappa", {"weights": "cubic"}),
        ("GeometricMean", {"correction": 1.5}),
        ("MacroF1", {"zero_division": 0.5}),
        ("ExpectedCost", {"num_classes": 4}),
        ("PerClassF1", {"top_k": 3}),
    ],
)
def test_bad_arguments_are_named(name, options):
    with pytest.raises(ValueError, match=f"`{next(iter(options))}` must"):
        build(name, **options)


def test_unknown_scores_offer_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'recall'"):
        ki.PerClassReport(3, metrics=["recal"])


@pytest.mark.parametrize("options", [{}, {"num_classes": 3}])
def test_costs_of_several_labels_are_of_one_label(options):
    with pytest.raises(ValueError, match=r"`cost_matrix`|`num_classes`"):
        ki.ExpectedCost(COSTS, multi_label=True, **options)


def test_one_table_holds_the_scores():
    assert get_args(per_class_report.Score) == tuple(functional.SCORES)
    report = ki.ClassificationReport([[3, 1], [0, 2]])
    assert list(report.scores) == list(functional.SCORES)
    assert list(report.summary) == list(functional.SUMMARIES)
    assert set(metrics.__all__) <= set(dir(metrics))


def broken(*arguments):
    raise AttributeError("Keras has no such frame")


@pytest.mark.parametrize("name", ["collected_together", "names_in_logs"])
@pytest.mark.parametrize("change", [broken, lambda *_: None, lambda *_: (None, 3), lambda *_: ([], 3)])
def test_a_fit_goes_on_where_keras_does_not_show_what_it_collects(monkeypatch, name, change):
    monkeypatch.setattr(base, name, change)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    metrics_of_all_kinds = [ki.PerClassF1(3), ki.PerClassReport(3, prefix="a_"), ki.ConfusionMatrix(3), ki.MacroF1(3)]
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=metrics_of_all_kinds, run_eagerly=True)
    x, y = np.random.default_rng(0).normal(size=(12, 4)).astype("float32"), np.arange(12) % 3
    history = model.fit(x, y, validation_data=(x, y), verbose=0).history
    assert {"f1", "f1/2", "a_recall/0", "macro_f1", "val_f1"} <= set(history)
    assert metrics_of_all_kinds[2].matrix().sum() == 12


def test_a_report_gives_the_scores_that_its_keys_hold():
    metric = ki.PerClassReport(3, metrics=["f1", "recall"], average=["macro", "micro"])
    metric.update_state(np.array([0, 0, 1, 2]), np.eye(3, dtype="float32")[[0, 1, 1, 0]])
    exact = metric.exact_scores()
    singles = [ki.PerClassF1(3), ki.PerClassRecall(3)]
    for single, of_report in zip(singles, exact, strict=True):
        single.update_state(np.array([0, 0, 1, 2]), np.eye(3, dtype="float32")[[0, 1, 1, 0]])
        np.testing.assert_array_equal(single.exact_scores(), of_report)
    assert exact.dtype == np.float64
    scores, means = metric.class_scores()
    np.testing.assert_allclose(ops.convert_to_numpy(scores), exact, rtol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(means["macro"]), exact.mean(axis=1), rtol=1e-6)
    assert list(means) == ["macro", "micro"]


def test_a_matrix_that_is_not_kept_names_what_keeps_one():
    with pytest.raises(ValueError, match=r"Compile a ConfusionMatrix\(3\): PerClassF1 keeps sums"):
        ki.PerClassF1(3).matrix()
