"""Every metric against scikit-learn or imbalanced-learn, however the rows are batched, weighted and numbered."""

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from kerases import examples
from metrics_reference import PER_CLASS, SUMMARY, batches, imblearn_specificity, scores_of

import keras_imbalance as ki

quick = settings(max_examples=examples(25))
pytestmark = pytest.mark.filterwarnings("ignore")  # the oracles warn of every absent class


def per_class(metric):
    """Values of the classes from the logs of a batch, and the macro mean."""
    result = {key: float(value) for key, value in metric.result().items()}
    return np.array([result[f"{metric.name}/{k}"] for k in range(metric.num_classes)]), result[metric.name]


def macro_of(values, labels, predictions):
    seen = np.union1d(labels, predictions)
    return np.nanmean(np.asarray(values)[seen]) if not np.isnan(np.asarray(values)[seen]).all() else np.nan


@pytest.mark.parametrize("name", PER_CLASS)
@quick
@given(batch=batches(), weighted=st.booleans(), zero_division=st.sampled_from([0.0, 1.0, np.nan]))
def test_per_class(name, batch, weighted, zero_division):
    build, reference = PER_CLASS[name]
    metric = batch.update(build(batch.num_classes, zero_division=zero_division), weighted)
    options = {"zero_division": zero_division, "sample_weight": batch.weights if weighted else None}
    expected = reference(batch.labels, batch.predictions, range(batch.num_classes), **options)
    values, macro = per_class(metric)
    np.testing.assert_allclose(values, expected, atol=1e-6)
    np.testing.assert_allclose(macro, macro_of(expected, batch.labels, batch.predictions), atol=1e-6)
    exact = metric.class_values(metric.name)
    np.testing.assert_allclose(list(exact.values()), expected, atol=1e-7)


AVERAGED = {
    "PerClassPrecision": oracle.precision_score,
    "PerClassRecall": oracle.recall_score,
    "PerClassF1": oracle.f1_score,
    "PerClassIoU": oracle.jaccard_score,
}


@pytest.mark.parametrize("name", AVERAGED)
@quick
@given(batch=batches(), weighted=st.booleans(), log_classes=st.booleans())
def test_averages(name, batch, weighted, log_classes):
    every = ("weighted", "macro", "micro")
    metric = getattr(ki, name)(batch.num_classes, name="s", average=every, log_classes=log_classes)
    found = batch.update(metric, weighted).result()
    assert list(found) == [*(metric.class_keys("s") if log_classes else []), "s_weighted", "s", "s_micro"]
    options = {"zero_division": 0, "sample_weight": batch.weights if weighted else None}
    for key, average in (("s", "macro"), ("s_weighted", "weighted"), ("s_micro", "micro")):
        expected = AVERAGED[name](batch.labels, batch.predictions, average=average, **options)
        np.testing.assert_allclose(float(found[key]), expected, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("average", ["macro", "weighted", "micro"])
def test_averages_of_several_labels_of_reports_and_without_an_ignored_class(average):
    rng = np.random.default_rng(0)
    labels, scores = (rng.random((40, 4)) < 0.3) * 1.0, rng.random((40, 4)).astype("float32")
    decided = (scores > 0.5).astype(int)
    key = "" if average == "macro" else f"_{average}"
    metric = ki.PerClassF1(4, multi_label=True, average=average)
    metric.update_state(labels, scores)
    expected = oracle.f1_score(labels, decided, average=average)
    np.testing.assert_allclose(float(metric.result()[f"f1{key}"]), expected, atol=1e-6)
    ids, decided = rng.integers(4, size=(2, 60))
    kept = ids != 2
    expected = oracle.precision_score(ids[kept], decided[kept], labels=[0, 1, 3], average=average)
    for metric in (ki.PerClassPrecision, ki.PerClassReport):
        metric = metric(4, ignore_class=2, average=average)
        metric.update_state(ids, scores_of(decided, 4))
        np.testing.assert_allclose(float(metric.result()[f"precision{key}"]), expected, atol=1e-6)


@quick
@given(batch=batches(), weighted=st.booleans())
def test_sums_of_each_class_are_those_of_the_confusion_matrix(batch, weighted):
    sums = batch.update(ki.PerClassF1(batch.num_classes), weighted).exact_tally()
    matrix = batch.update(ki.ConfusionMatrix(batch.num_classes), weighted).exact_tally()
    for of_sums, of_matrix in zip(sums, matrix, strict=True):
        np.testing.assert_array_equal(of_sums, of_matrix)
    with pytest.raises(ValueError, match="ConfusionMatrix"):
        ki.PerClassF1(3).matrix()


@pytest.mark.parametrize("name", SUMMARY)
@quick
@given(batch=batches(), weighted=st.booleans())
def test_summary(name, batch, weighted):
    build, reference = SUMMARY[name]
    metric = batch.update(build(batch.num_classes), weighted)
    expected = reference(batch.labels, batch.predictions, sample_weight=batch.weights if weighted else None)
    np.testing.assert_allclose(float(metric.result()), expected, atol=1e-6)


@quick
@given(batch=batches())
def test_report_is_the_separate_metrics(batch):
    names = ("precision", "recall", "specificity", "f1", "g_mean")
    report = batch.update(ki.PerClassReport(batch.num_classes, metrics=names)).result()
    kinds = (ki.PerClassPrecision, ki.PerClassRecall, ki.PerClassSpecificity, ki.PerClassF1)
    for kind, name in zip(kinds, ("precision", "recall", "specificity", "f1"), strict=True):
        for key, value in batch.update(kind(batch.num_classes)).result().items():
            assert float(report.pop(key)) == float(value), (name, key)
    recall, specificity = ([PER_CLASS[kind][1]] for kind in ("PerClassRecall", "PerClassSpecificity"))
    options = {"sample_weight": batch.weights, "zero_division": 0}
    parts = [
        part[0](batch.labels, batch.predictions, range(batch.num_classes), **options) for part in (recall, specificity)
    ]
    expected = np.sqrt(np.multiply(*parts))
    np.testing.assert_allclose(
        [float(report.pop(f"g_mean/{k}")) for k in range(batch.num_classes)], expected, atol=1e-6
    )
    assert list(report) == ["g_mean"]


@quick
@given(batch=batches())
def test_confusion_matrix(batch):
    metric = batch.update(ki.ConfusionMatrix(batch.num_classes))
    expected = oracle.confusion_matrix(
        batch.labels, batch.predictions, labels=range(batch.num_classes), sample_weight=batch.weights
    )
    np.testing.assert_allclose(metric.matrix(), expected, rtol=1e-6)
    assert metric.result() == {}


def test_specificity_equals_imbalanced_learn():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(5, size=(2, 300))
    metric = ki.PerClassSpecificity(5)
    metric.update_state(labels, scores_of(predictions, 5))
    expected = imblearn_specificity(labels, predictions, average=None)
    np.testing.assert_allclose(per_class(metric)[0], expected, atol=1e-6)
    macro = imblearn_specificity(labels, predictions, average="macro")
    np.testing.assert_allclose(per_class(metric)[1], macro, atol=1e-6)


def test_weighted_specificity_is_the_recall_of_the_other_classes_where_imbalanced_learn_counts_rows():
    labels, predictions, weights = np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([0.5, 0.5, 0.5])
    metric = ki.PerClassSpecificity(2)
    metric.update_state(labels, scores_of(predictions, 2), weights)
    np.testing.assert_allclose(per_class(metric)[0], [1.0, 0.5])  # equal weights change nothing
    # imbalanced-learn 0.14 adds weights up but takes the number of rows, 3, for their sum, 1.5.
    theirs = imblearn_specificity(labels, predictions, average=None, sample_weight=weights)
    np.testing.assert_allclose(theirs, [1.0, 0.8])


@pytest.mark.parametrize("name", [*PER_CLASS, *SUMMARY])
@quick
@given(batch=batches(), random=st.randoms())
def test_permuting_the_classes_permutes_the_values(name, batch, random):
    new = list(range(batch.num_classes))
    random.shuffle(new)
    new = np.array(new)
    build = (PER_CLASS.get(name) or SUMMARY[name])[0]
    if name in ("ExpectedCost", "CohenKappa linear", "CohenKappa quadratic"):
        new = new if name == "ExpectedCost" else np.arange(batch.num_classes)[:: random.choice([1, -1])]
    plain, permuted = build(batch.num_classes), build(batch.num_classes)
    if name == "ExpectedCost":
        costs = np.zeros((batch.num_classes, batch.num_classes))
        costs[np.ix_(new, new)] = np.array(plain.cost_matrix)
        permuted = ki.ExpectedCost(costs)
    plain.update_state(batch.labels, scores_of(batch.predictions, batch.num_classes))
    permuted.update_state(new[batch.labels], scores_of(new[batch.predictions], batch.num_classes))
    if name in SUMMARY:
        np.testing.assert_allclose(float(permuted.result()), float(plain.result()), atol=1e-6)
    else:
        np.testing.assert_allclose(per_class(permuted)[0][new], per_class(plain)[0], atol=1e-6)
        np.testing.assert_allclose(per_class(permuted)[1], per_class(plain)[1], atol=1e-6)


@quick
@given(batch=batches(), k=st.integers(2, 5), seed=st.integers(0, 99), ties=st.booleans())
def test_top_k(batch, k, seed, ties):
    if k >= batch.num_classes:
        return
    rng = np.random.default_rng(seed)
    scores = rng.random((len(batch.labels), batch.num_classes)).astype("float32")
    if ties:
        scores = np.round(scores * 3) / 3
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    found = (best == batch.labels[:, None]).any(axis=1)
    decided = np.where(found, batch.labels, best[:, 0])
    metric = ki.PerClassF1(batch.num_classes, top_k=k)
    metric.update_state(batch.labels, scores)
    expected = oracle.f1_score(batch.labels, decided, labels=range(batch.num_classes), average=None, zero_division=0)
    np.testing.assert_allclose(per_class(metric)[0], expected, atol=1e-6)
    matrix = ki.ConfusionMatrix(batch.num_classes, top_k=k)
    matrix.update_state(batch.labels, scores)
    if not ties:
        accuracy = oracle.top_k_accuracy_score(batch.labels, scores, k=k, labels=range(batch.num_classes))
        if batch.num_classes > 2:
            np.testing.assert_allclose(np.trace(matrix.matrix()) / len(batch.labels), accuracy, atol=1e-6)


# Several labels a row

SCORES = {
    "PerClassPrecision": (ki.PerClassPrecision, oracle.precision_score),
    "PerClassRecall": (ki.PerClassRecall, oracle.recall_score),
    "PerClassF1": (ki.PerClassF1, oracle.f1_score),
}


@pytest.mark.parametrize("name", SCORES)
@quick
@given(seed=st.integers(0, 999), number=st.integers(1, 20), weighted=st.booleans(), zero=st.sampled_from([0.0, 1.0]))
def test_multi_label(name, seed, number, weighted, zero):
    rng = np.random.default_rng(seed)
    labels, scores = (rng.random((number, 4)) < 0.3).astype("float32"), rng.random((number, 4)).astype("float32")
    weights = rng.choice([0.5, 1, 2], number) if weighted else None
    thresholds = [0.2, 0.5, 0.7, 0.95]
    build, reference = SCORES[name]
    metric = build(4, threshold=thresholds, multi_label=True, zero_division=zero)
    half = number // 2
    for part in (slice(None, half), slice(half, None)):
        metric.update_state(labels[part], scores[part], None if weights is None else weights[part])
    options = {"zero_division": zero, "sample_weight": weights}
    decided = (scores > np.float32(thresholds)).astype(int)
    values, macro = per_class(metric)
    np.testing.assert_allclose(values, reference(labels, decided, average=None, **options), atol=1e-6)
    np.testing.assert_allclose(macro, reference(labels, decided, average="macro", **options), atol=1e-6)


@pytest.mark.parametrize("name", SUMMARY)
def test_multi_label_summary_is_the_mean_over_labels(name):
    rng = np.random.default_rng(3)
    labels, scores = (rng.random((80, 3)) < 0.3).astype("float32"), rng.random((80, 3)).astype("float32")
    build, reference = SUMMARY[name]
    options = {"multi_label": True}
    if name == "ExpectedCost":
        metric = ki.ExpectedCost([[0, 1], [5, 0]], num_classes=3, **options)
        expected = np.mean(np.array([[0, 1], [5, 0]])[labels.astype(int), (scores > 0.5).astype(int)])
    elif name == "MacroF1":
        metric, expected = build(3, **options), oracle.f1_score(labels, scores > 0.5, average="macro")
    else:
        metric = build(3, **options)
        expected = np.mean([reference(labels[:, j].astype(int), (scores[:, j] > 0.5).astype(int)) for j in range(3)])
    metric.update_state(labels, scores)
    np.testing.assert_allclose(float(metric.result()), expected, atol=1e-6)


def test_multi_label_weights_and_ignored_positions():
    rng = np.random.default_rng(4)
    labels, scores = (rng.random((50, 3)) < 0.4).astype("float32"), rng.random((50, 3)).astype("float32")
    weights = rng.random((50, 3))
    hidden = rng.random((50, 3)) < 0.2
    metric = ki.PerClassRecall(3, multi_label=True, ignore_class=-1)
    metric.update_state(np.where(hidden, -1, labels), scores, weights)
    for j in range(3):
        kept = ~hidden[:, j]
        expected = oracle.recall_score(labels[kept, j], scores[kept, j] > 0.5, sample_weight=weights[kept, j])
        np.testing.assert_allclose(per_class(metric)[0][j], expected, atol=1e-6)


@pytest.mark.parametrize("name", SUMMARY)
def test_one_sigmoid_channel(name):
    rng = np.random.default_rng(5)
    labels, scores = rng.integers(2, size=60), rng.normal(size=60).astype("float32")
    metric = SUMMARY[name][0](2, threshold=0.0)
    metric.update_state(labels[:, None], scores[:, None])
    np.testing.assert_allclose(float(metric.result()), SUMMARY[name][1](labels, (scores > 0).astype(int)), atol=1e-6)


@pytest.mark.parametrize("name", SUMMARY)
def test_before_any_row(name):
    value = float(SUMMARY[name][0](3).result())
    assert value == 0


def test_extreme_imbalance_keeps_its_digits():
    matrix = np.array([[9_999_000, 300], [200, 500]], dtype=float)
    labels, predictions = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    for build, reference in (SUMMARY["MatthewsCorrelation"], SUMMARY["CohenKappa"], SUMMARY["GeometricMean"]):
        metric = build(2)
        metric.update_state(labels, scores_of(predictions, 2), matrix.reshape(-1))
        expected = reference(labels, predictions, sample_weight=matrix.reshape(-1))
        np.testing.assert_allclose(float(metric.result()), expected, atol=1e-6)
