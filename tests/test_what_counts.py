"""What counts nowhere may hold anything: a weight of 0, a Keras mask and `ignore_class` in every loss and metric.

The rows that count give the value by themselves. Junk labels and predictions beside them change neither value nor gradient.
"""

import common_checks as checks
import numpy as np
import pytest
from kerases import IS_TF_KERAS
from loss_gradients import BACKEND, compiled, to_float64

from keras_imbalance._keras import keras, ops

pytestmark = [pytest.mark.slow, pytest.mark.every_backend]

C = checks.C
N = 12
HIDDEN = np.arange(N) % 3 == 1
WEIGHTS = np.linspace(0.5, 2, N).astype("float32")
IDS = np.array([99, -7, np.nan, 0.5], "float32")  # out of range, negative, not a number, fractional
ROWS = np.array([[0] * C, [np.nan] * C, [1] * C, [-1] * C], "float32")  # all zero, not a number, several, negative
PREDICTIONS = np.array([[np.nan] * C, [np.inf] * C, [-np.inf] * C, [np.inf, -np.inf, np.nan, 0]], "float32")
HIDES = ("weight 0", "Keras mask", "ignore_class")
XLA = pytest.mark.skipif(BACKEND != "tensorflow", reason="on JAX every graph is one of XLA; PyTorch has none here")
NO_GRAPH = pytest.mark.skipif(
    BACKEND == "torch", reason="PyTorch makes no one graph of a gradient written by hand; test_labels compiles the rule"
)
GRAPH = pytest.param("graph", marks=NO_GRAPH)
IDS_UNDER_XLA = ("softmax FocalLoss", "softmax TverskyLoss")  # labels are lined up by the same lines in all
LOSSES = {
    **{f"softmax {name}": build for name, build in (checks.SOFTMAX_LOSSES | checks.OVERLAP_LOSSES).items()},
    **{f"binary {name}": build for name, build in checks.BINARY_LOSSES.items()},
    **{f"multi_label {name}": build for name, build in checks.MULTI_LABEL_LOSSES.items()},
}


def masked(y_pred, mask):
    """`y_pred` with the mask that a layer of Keras leaves on its output."""
    if IS_TF_KERAS:
        y_pred._keras_mask = mask
    else:
        keras.src.backend.set_keras_mask(y_pred, mask)
    return y_pred


def cases(kind, ignored=255):
    """For each way to hide rows, and all at once: labels, predictions, weights and mask with junk in the hidden rows.

    The last entry names the rows that count.
    """
    labels, logits = checks.softmax_batch()
    hidden = np.flatnonzero(HIDDEN)
    predictions = logits.copy()
    predictions[HIDDEN] = PREDICTIONS
    if kind == "binary":
        rights, junk, void = {"values": (labels % 2)[:, None] * 1.0}, {"values": IDS[:, None]}, ignored
        logits, predictions = logits[:, :1], predictions[:, :1]
    elif kind == "multi_label":
        rights, junk, void = {"values": (logits[:, ::-1] > 1) * 1.0}, {"values": np.stack([IDS] * C, axis=1)}, ignored
    else:
        rights = {"ids": labels * 1.0, "one-hot": checks.one_hot(labels)}
        junk, void = {"ids": IDS, "one-hot": ROWS}, {"ids": ignored, "one-hot": 0.0}
    for form, right in rights.items():
        of_void = void[form] if isinstance(void, dict) else void
        for hide in (*HIDES, "all"):
            y_true, weights, mask = right.astype("float32").copy(), WEIGHTS.copy(), np.ones(N, bool)
            y_true[HIDDEN] = of_void if hide == "ignore_class" else junk[form]
            if hide == "weight 0":
                weights[HIDDEN] = 0
            elif hide == "Keras mask":
                mask[HIDDEN] = False
                weights[HIDDEN] = np.nan
            elif hide == "all":
                weights[hidden[0]], mask[hidden[1]] = 0, False
                y_true[hidden[2:]] = of_void
            yield f"{form}, {hide}", (y_true, predictions, weights, mask), right.astype("float32")


def loss_function(loss):
    """A function of labels, predictions, weights and mask that gives the loss and its gradient (on PyTorch the loss)."""

    def value(y_true, y_pred, weights, mask):
        return loss(y_true, masked(y_pred * 1, mask), weights)

    if BACKEND == "tensorflow":
        import tensorflow as tf

        def with_gradient(y_true, y_pred, weights, mask):
            with tf.GradientTape() as tape:
                tape.watch(y_pred)
                found = value(y_true, y_pred, weights, mask)
            return found, tape.gradient(found, y_pred)

        return with_gradient
    if BACKEND == "jax":
        import jax

        return jax.value_and_grad(value, argnums=1)
    return lambda *batch: (value(*batch), None)


def with_gradient_of_torch(function, batch):
    """The loss and its gradient, eager on PyTorch."""
    y_true, y_pred, weights, mask = batch
    y_pred = y_pred.clone().requires_grad_(True)
    found = function(y_true, y_pred, weights, mask)[0]
    found.backward()
    return found.detach(), y_pred.grad


def tensors(batch):
    return [ops.convert_to_tensor(part) for part in batch]


def kept(batch, right):
    _, y_pred, weights, _ = batch
    plain = np.ones((~HIDDEN).sum(), bool)
    return right[~HIDDEN], y_pred[~HIDDEN], np.where(HIDDEN, 1, weights)[~HIDDEN], plain


def xla(function):
    import tensorflow as tf

    return tf.function(function, jit_compile=True)


def chosen(kind, only_all):
    return [case for case in cases(kind) if not only_all or case[0].endswith("all")]


@pytest.mark.parametrize("mode", ["eager", GRAPH, pytest.param("XLA", marks=XLA)])
@pytest.mark.parametrize("name", LOSSES)
def test_no_loss_and_no_gradient_sees_a_row_that_counts_nowhere(name, mode):
    kind = name.split()[0]
    build = LOSSES[name]
    plain = loss_function(build(reduction="mean_with_sample_weight"))
    ignoring = loss_function(build(reduction="mean_with_sample_weight", ignore_class=255))
    run = {"eager": lambda function: function, "graph": compiled, "XLA": xla}[mode](ignoring)
    if BACKEND == "torch" and mode == "eager":
        plain, run = (lambda *batch, f=f: with_gradient_of_torch(f, batch) for f in (plain, ignoring))
    # One compiled function serves all cases of one form.
    for case, batch, right in chosen(kind, only_all=mode == "XLA"):
        if mode == "XLA" and case.startswith("ids") and name not in IDS_UNDER_XLA:
            continue
        wanted, wanted_gradient = plain(*tensors(kept(batch, right)))
        found, gradient = run(*tensors(batch))
        np.testing.assert_allclose(to_float64(found), to_float64(wanted), rtol=2e-5, err_msg=case)
        assert np.isfinite(to_float64(wanted)), case
        if gradient is not None and wanted_gradient is not None:
            gradient = to_float64(gradient)
            np.testing.assert_array_equal(gradient[HIDDEN], 0, err_msg=case)
            np.testing.assert_allclose(gradient[~HIDDEN], to_float64(wanted_gradient), rtol=1e-4, atol=1e-7)


def as_probabilities(batch):
    y_true, y_pred, *rest = batch
    squashed = np.where(HIDDEN[:, None], y_pred, 1 / (1 + np.exp(-np.where(HIDDEN[:, None], 0, y_pred))))
    return (y_true, squashed.astype("float32"), *rest)


def updated(metric, batch, mode):
    """The metric after a batch, in one of the modes."""
    y_true, y_pred, weights, mask = tensors(batch)

    def update(y_true, y_pred, weights, mask):
        metric.update_state(y_true, masked(y_pred * 1, mask), weights)

    if mode == "eager":
        update(y_true, y_pred, weights, mask)
    elif BACKEND == "tensorflow":
        (xla if mode == "XLA" else compiled)(update)(y_true, y_pred, weights, mask)
    else:

        def state_after(state, y_true, y_pred, weights, mask):
            return metric.stateless_update_state(state, y_true, masked(y_pred * 1, mask), weights)

        state = [ops.convert_to_tensor(variable) for variable in metric.variables]
        after = compiled(state_after)(state, y_true, y_pred, weights, mask)
        for variable, value in zip(metric.variables, after, strict=True):
            variable.assign(value)
    return metric


# One or two for each way to count; all others count by the same lines, as the next test says.
COMPILED = ("PerClassF1", "ConfusionMatrix", "PerClassAveragePrecision")
METRIC_MODES = [
    *((name, "eager") for name in checks.METRICS),
    *(pytest.param(name, mode, marks=mark) for name in COMPILED for mode, mark in (("graph", NO_GRAPH), ("XLA", XLA))),
]


def test_every_way_to_count_is_compiled():
    ways = {name: type(build(C)).update_state for name, build in checks.METRICS.items()}
    assert {ways[name] for name in COMPILED} == set(ways.values())


@pytest.mark.parametrize(("name", "mode"), METRIC_MODES)
def test_no_metric_sees_a_row_that_counts_nowhere(name, mode):
    build = checks.METRICS[name]
    for kind in ("softmax", "multi_label", "binary"):
        size, multi_label = 2 if kind == "binary" else C, kind == "multi_label"
        if mode != "eager" and kind != "softmax":
            continue
        for case, batch, right in chosen(kind, only_all=mode != "eager"):
            batch = as_probabilities(batch)
            metric = build(size, ignore_class=255, multi_label=multi_label)
            alone = build(size, multi_label=multi_label)
            alone.update_state(*kept(batch, right)[:3])
            wanted = checks.metric_values(alone)
            found = checks.metric_values(updated(metric, batch, mode))
            assert found.keys() == wanted.keys()
            for key, value in wanted.items():
                np.testing.assert_allclose(found[key], value, atol=1e-6, err_msg=f"{kind}, {case}, {key}")
                assert np.isfinite(value).all()
