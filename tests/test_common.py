"""Runs the table of common checks over every public class."""

import common_checks as checks
import numpy as np
import pytest
from kerases import compiles

import keras_imbalance as ki
from keras_imbalance._keras import keras, ops

KINDS = {
    "softmax": checks.SOFTMAX_LOSSES,
    "binary": checks.BINARY_LOSSES,
    "multi_label": checks.MULTI_LABEL_LOSSES,
}
OVERLAP = [("softmax", name) for name in checks.OVERLAP_LOSSES]
ALL = [(kind, name) for kind, table in KINDS.items() for name in table]


def batch(kind):
    labels, logits = checks.softmax_batch()
    if kind == "softmax":
        return labels, logits
    if kind == "binary":
        return (labels > 1).astype("float32")[:, None], logits[:, :1]
    return (logits[:, ::-1] > 1).astype("float32"), logits


def public(base):
    return {name for name in ki.__all__ if isinstance(getattr(ki, name), type) and issubclass(getattr(ki, name), base)}


def test_every_public_loss_is_in_the_tables():
    entered = {name.split()[0] for table in (*KINDS.values(), checks.OVERLAP_LOSSES) for name in table}
    assert entered == public(keras.losses.Loss)


def test_every_public_metric_is_in_the_table():
    assert set(checks.METRICS) == public(keras.metrics.Metric)


def test_every_public_layer_is_in_the_table():
    assert set(checks.LAYERS) == public(keras.layers.Layer) - public(keras.metrics.Metric)


@pytest.mark.parametrize("name", checks.SOFTMAX_LOSSES)
@pytest.mark.parametrize("check", [checks.check_label_forms, checks.check_equal_sides, checks.check_soft_labels])
def test_labels(check, name):
    check(checks.SOFTMAX_LOSSES[name])


@pytest.mark.parametrize(
    "losses",
    [
        pytest.param(checks.SOFTMAX_LOSSES, id="rows"),
        pytest.param(checks.OVERLAP_LOSSES, id="masks", marks=[pytest.mark.slow, pytest.mark.every_backend]),
    ],
)
@pytest.mark.parametrize("check", [checks.check_fit_on_one_hot, checks.check_keras_mask])
def test_losses_of_ids_in_fit(check, losses):
    check(list(losses.values()), *checks.softmax_batch())


@pytest.mark.parametrize("ignored", [255, -1, 2])
@pytest.mark.parametrize("name", checks.SOFTMAX_LOSSES)
def test_ignored_places_count_nowhere(name, ignored):
    if ignored == 2:  # a class among the others: ids and one-hot rows of it are left out alike
        labels, logits = checks.softmax_batch()
        loss = checks.SOFTMAX_LOSSES[name](ignore_class=2)
        plain = checks.values(checks.SOFTMAX_LOSSES[name](), labels[labels != 2], logits[labels != 2])
        for form in (labels, checks.one_hot(labels)):
            np.testing.assert_allclose(checks.values(loss, form, logits), plain, rtol=1e-5)
    else:
        checks.check_ignored(checks.SOFTMAX_LOSSES[name], ignored)


@pytest.mark.parametrize("name", checks.BINARY_LOSSES)
def test_binary_labels_with_and_without_the_channel_axis(name):
    loss = checks.BINARY_LOSSES[name](reduction=None)
    labels, logits = batch("binary")
    expected = checks.values(loss, labels, logits)
    np.testing.assert_array_equal(checks.values(loss, labels[:, 0], logits), expected)
    mask = checks.values(loss, labels.reshape(3, 2, 2), logits.reshape(3, 2, 2, 1))
    np.testing.assert_array_equal(mask, expected.reshape(3, 2, 2))
    ignoring = checks.BINARY_LOSSES[name](ignore_class=-1)
    marked = np.where(np.arange(12)[:, None] < 4, -1, labels)
    np.testing.assert_allclose(checks.values(ignoring, marked, logits), expected[4:].mean(), rtol=1e-5)


@pytest.mark.parametrize("name", checks.MULTI_LABEL_LOSSES)
def test_multi_label_is_the_mean_over_labels_that_count(name):
    loss = checks.MULTI_LABEL_LOSSES[name](reduction=None)
    labels, logits = batch("multi_label")
    rows = checks.values(loss, labels, logits)
    ignoring = checks.MULTI_LABEL_LOSSES[name](reduction=None, ignore_class=-1)
    parts = []
    for j in range(checks.C):
        marked = np.where(np.arange(checks.C) == j, labels, -1)
        parts.append(checks.values(ignoring, marked, logits))
    np.testing.assert_allclose(np.mean(parts, axis=0), rows, rtol=1e-5)
    moved = checks.MULTI_LABEL_LOSSES[name](reduction=None, axis=1)
    images, planes = logits.reshape(2, 2, 3, 4), labels.reshape(2, 2, 3, 4)
    at_axis_1 = checks.values(moved, np.moveaxis(planes, -1, 1), np.moveaxis(images, -1, 1))
    np.testing.assert_allclose(at_axis_1, rows.reshape(2, 2, 3), rtol=1e-5)


@pytest.mark.parametrize(("kind", "name"), ALL)
@pytest.mark.parametrize(
    "check",
    [
        checks.check_reductions,
        checks.check_empty,
        checks.check_mixed_precision,
        checks.check_round_trip,
        checks.check_wrong_labels,
    ],
)
def test_loss(check, kind, name):
    check(KINDS[kind][name], *batch(kind))


def in_one_model(kind):
    """All losses of a kind, for a head each, and a batch for them."""
    builds = (KINDS | {"masks": checks.OVERLAP_LOSSES})[kind]
    return list(builds.values()), *batch("softmax" if kind == "masks" else kind)


@pytest.mark.parametrize("kind", [*KINDS, "masks"])
def test_a_saved_model_has_its_losses(kind, tmp_path):
    checks.check_saved_model(*in_one_model(kind), tmp_path / "model.keras")


@pytest.mark.parametrize("kind", [*KINDS, "masks"])
def test_wrong_labels_in_a_graph(kind):
    checks.check_wrong_labels_in_a_graph(*in_one_model(kind))


@compiles
@pytest.mark.parametrize(
    "kind", ["softmax", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("binary", "multi_label", "masks"))]
)
def test_compiled_steps(kind):
    checks.check_jit(*in_one_model(kind))


@pytest.mark.parametrize("name", checks.OVERLAP_LOSSES)
@pytest.mark.parametrize(
    "check",
    [
        checks.check_empty,
        checks.check_mixed_precision,
        checks.check_round_trip,
        checks.check_wrong_labels,
    ],
)
def test_loss_of_masks(check, name):
    check(checks.OVERLAP_LOSSES[name], *batch("softmax"))


@pytest.mark.parametrize("ignored", [255, -1])
@pytest.mark.parametrize("name", checks.OVERLAP_LOSSES)
def test_ignored_places_count_nowhere_in_masks(name, ignored):
    checks.check_ignored(checks.OVERLAP_LOSSES[name], ignored)


@pytest.mark.parametrize("name", checks.LAYERS)
def test_layer_survives_saving_and_mixed_precision(name, tmp_path):
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    model = keras.Sequential([keras.Input((4,)), checks.LAYERS[name]()])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0))
    half = type(model.layers[0]).from_config({**model.layers[0].get_config(), "dtype": "mixed_float16"})
    outputs = ops.convert_to_numpy(half(ops.convert_to_tensor(x * 1e4)))
    assert np.isfinite(outputs.astype("float32")).all()


def metric_batch():
    labels, logits = checks.softmax_batch(seed=4)
    logits[np.arange(12), labels] += 2
    powers = np.exp(logits)
    return labels, (powers / powers.sum(axis=1, keepdims=True)).astype("float32")


@pytest.mark.parametrize("name", checks.METRICS)
@pytest.mark.parametrize(
    "check",
    [
        checks.check_metric_label_forms,
        checks.check_metric_weights_and_ignored,
        checks.check_metric_batches,
        checks.check_metric_mixed_precision,
        checks.check_metric_bad_input,
        checks.check_metric_round_trip,
    ],
)
def test_metric(check, name):
    check(checks.METRICS[name], *metric_batch())


def test_a_saved_model_has_its_metrics(tmp_path):
    checks.check_saved_metrics(list(checks.METRICS.values()), *metric_batch(), tmp_path / "model.keras")


def test_metrics_of_bad_input_in_a_graph():
    checks.check_metrics_of_bad_input_in_a_graph(list(checks.METRICS.values()), *metric_batch())


def test_metrics_in_fit():
    checks.check_metrics_in_fit(list(checks.METRICS.values()), *metric_batch(), jit_compile=False)


@compiles
@pytest.mark.slow
@pytest.mark.every_backend
@pytest.mark.parametrize("name", ["PerClassReport", "PerClassAveragePrecision", "PerClassAUC", "CohenKappa"])
def test_metrics_in_a_compiled_fit(name):
    checks.check_metrics_in_fit([checks.METRICS[name]], *metric_batch(), jit_compile=True)
