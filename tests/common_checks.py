"""Checks that every public loss, metric and layer must pass. `tests/test_common.py` runs the table over all of them.

A new public class is entered in the table of its kind; a test fails while one is missing.
"""

import numpy as np
import pytest
from loss_gradients import loss_and_gradient, shows_wrong_labels, to_float64

import keras_imbalance as ki
from keras_imbalance._keras import keras, ops

C = 4
COUNTS = [400, 60, 30, 10]
PAIRS = [[300, 100], [380, 20], [200, 200], [390, 10]]
COSTS = (np.arange(16).reshape(4, 4) * (1 - np.eye(4))).tolist()

# Each entry builds the loss for softmax predictions of C channels that are logits.
SOFTMAX_LOSSES = {
    "FocalLoss": lambda **kw: ki.FocalLoss(gamma=1.5, alpha=[0.1, 0.5, 0.7, 1.0], from_logits=True, **kw),
    "ClassBalancedLoss": lambda **kw: ki.ClassBalancedLoss(COUNTS, from_logits=True, **kw),
    "ClassBalancedLoss of FocalLoss": lambda reduction="sum_over_batch_size", name=None, dtype=None, **kw: (
        ki.ClassBalancedLoss(
            COUNTS,
            scheme="effective_number",
            loss=ki.FocalLoss(from_logits=True, reduction=None, **kw),
            reduction=reduction,
            dtype=dtype,
        )
    ),
    "CostMatrixLoss": lambda **kw: ki.CostMatrixLoss(COSTS, from_logits=True, **kw),
    "CostMatrixLoss regularized": lambda **kw: ki.CostMatrixLoss(
        COSTS, formulation="regularized", from_logits=True, **kw
    ),
    "CostMatrixLoss softmax_margin": lambda **kw: ki.CostMatrixLoss(
        COSTS, formulation="softmax_margin", from_logits=True, **kw
    ),
    "LogitAdjustedLoss": lambda **kw: ki.LogitAdjustedLoss(COUNTS, from_logits=True, **kw),
    "LDAMLoss": lambda **kw: ki.LDAMLoss(COUNTS, scale=2.0, class_weights=[1, 2, 3, 4], **kw),
}
# Each entry builds the loss for one sigmoid channel of logits.
BINARY_LOSSES = {
    "FocalLoss": lambda **kw: ki.FocalLoss(gamma=1.5, alpha=0.25, from_logits=True, **kw),
    "ClassBalancedLoss": lambda **kw: ki.ClassBalancedLoss([90, 10], from_logits=True, **kw),
    "CostMatrixLoss": lambda **kw: ki.CostMatrixLoss(
        [[0, 1], [5, 0]], formulation="regularized", from_logits=True, **kw
    ),
    "LogitAdjustedLoss": lambda **kw: ki.LogitAdjustedLoss([90, 10], from_logits=True, **kw),
    "LDAMLoss": lambda **kw: ki.LDAMLoss([90, 10], scale=2.0, class_weights=[1, 3], **kw),
    "AsymmetricLoss": lambda **kw: ki.AsymmetricLoss(1, gamma_negative=4, from_logits=True, **kw),
}
# Each entry builds the loss for C sigmoid channels of logits.
MULTI_LABEL_LOSSES = {
    "FocalLoss": lambda **kw: ki.FocalLoss(alpha=[0.1, 0.2, 0.3, 0.4], from_logits=True, multi_label=True, **kw),
    "ClassBalancedLoss": lambda **kw: ki.ClassBalancedLoss(PAIRS, from_logits=True, multi_label=True, **kw),
    "CostMatrixLoss": lambda **kw: ki.CostMatrixLoss([[0, 1], [5, 0]], from_logits=True, multi_label=True, **kw),
    "LogitAdjustedLoss": lambda **kw: ki.LogitAdjustedLoss(PAIRS, from_logits=True, multi_label=True, **kw),
    "LDAMLoss": lambda **kw: ki.LDAMLoss(PAIRS, scale=2.0, multi_label=True, **kw),
    "AsymmetricLoss": lambda **kw: ki.AsymmetricLoss(0, gamma_negative=4, from_logits=True, **kw),
}
# Each entry builds a loss of whole masks for softmax predictions of C channels.
OVERLAP_LOSSES = {
    "TverskyLoss": lambda **kw: ki.TverskyLoss(
        0.3, beta=0.7, gamma=0.75, class_weight=[1, 2, 3, 4], from_logits=True, **kw
    ),
    "WeightedSum": lambda dtype=None, **kw: ki.WeightedSum(
        [ki.TverskyLoss(from_logits=True, dtype=dtype, **kw), ki.FocalLoss(from_logits=True, dtype=dtype, **kw)],
        weights=[1.0, 0.5],
        dtype=dtype,
    ),
}
# Each entry builds the metric for so many classes.
METRICS = {
    "PerClassPrecision": ki.PerClassPrecision,
    "PerClassRecall": ki.PerClassRecall,
    "PerClassF1": lambda *args, **kw: ki.PerClassF1(*args, beta=0.5, **kw),
    "PerClassSpecificity": ki.PerClassSpecificity,
    "PerClassReport": lambda *args, **kw: ki.PerClassReport(*args, metrics=("recall", "g_mean"), prefix="a_", **kw),
    "PerClassIoU": ki.PerClassIoU,
    "PerClassAveragePrecision": lambda *args, **kw: ki.PerClassAveragePrecision(*args, **{"num_bins": 64, **kw}),
    "PerClassAUC": lambda *args, **kw: ki.PerClassAUC(*args, **{"num_bins": 64, "average": ("macro", "micro"), **kw}),
    "PerClassRecallAtPrecision": lambda *args, **kw: ki.PerClassRecallAtPrecision(
        *args, precision=0.6, **{"num_bins": 64, **kw}
    ),
    "PerClassPrecisionAtRecall": lambda *args, **kw: ki.PerClassPrecisionAtRecall(
        *args, recall=0.6, **{"num_bins": 64, **kw}
    ),
    "ConfusionMatrix": ki.ConfusionMatrix,
    "BalancedAccuracy": ki.BalancedAccuracy,
    "GeometricMean": lambda *args, **kw: ki.GeometricMean(*args, correction=0.01, **kw),
    "MacroF1": ki.MacroF1,
    "MatthewsCorrelation": ki.MatthewsCorrelation,
    "CohenKappa": lambda *args, **kw: ki.CohenKappa(*args, weights="quadratic", **kw),
    "ExpectedCost": lambda number, **kw: (
        ki.ExpectedCost([[0, 1], [5, 0]], num_classes=number, **kw)
        if kw.get("multi_label")
        else ki.ExpectedCost(np.array(COSTS)[:number, :number], **kw)
    ),
}
LAYERS = {
    "ClassScaling": lambda: ki.ClassScaling(),
    "CosineDense": lambda: ki.CosineDense(3),
    "MacroF1Decision": lambda: ki.MacroF1Decision([1, 2, 3, 4], [0, 0.1, 0.2, 0.3], from_logits=True),
    "MinimumCostDecision": lambda: ki.MinimumCostDecision(COSTS),
    "PriorCorrection": lambda: ki.PriorCorrection(COUNTS, [1, 2, 3, 4], from_logits=True),
    "Temperature": lambda: ki.Temperature(1.5, from_logits=True),
    "Thresholds": lambda: ki.Thresholds([0.2, -0.1, 0.0, -0.1], kind="multi_class", score=0.5, rule="offsets"),
}


def softmax_batch(shape=(12,), seed=0):
    """Labels of `shape` and logits of `shape + (C,)`."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, C, shape), rng.normal(scale=3, size=(*shape, C)).astype("float32")


def one_hot(labels, axis=-1):
    return np.moveaxis(np.eye(C, dtype="float32")[labels], -1, axis)


def values(loss, y_true, y_pred, sample_weight=None):
    return to_float64(loss(y_true, y_pred, sample_weight))


def check_label_forms(build):
    """Ids, (N, 1), one-hot, any leading shape and any axis: the same losses, and each position its own."""
    loss, per_axis = build(reduction=None), build(reduction=None, axis=1)
    labels, logits = softmax_batch()
    expected = values(loss, labels, logits)
    assert expected.shape == labels.shape
    for form in (labels[:, None], one_hot(labels), labels.astype("float32"), labels.astype("uint8")):
        np.testing.assert_allclose(values(loss, form, logits), expected, rtol=1e-5, atol=1e-7)
    for shape in ((12,), (3, 4), (2, 2, 3)):
        at_positions, channels = labels.reshape(shape), logits.reshape(*shape, C)
        for form in (at_positions, at_positions[..., None], one_hot(at_positions)):
            np.testing.assert_allclose(values(loss, form, channels), expected.reshape(shape), rtol=1e-5, atol=1e-7)
        if len(shape) > 1:
            moved = np.moveaxis(channels, -1, 1)
            for form in (at_positions, np.expand_dims(at_positions, 1), one_hot(at_positions, 1)):
                np.testing.assert_allclose(values(per_axis, form, moved), expected.reshape(shape), rtol=1e-5, atol=1e-7)


def check_equal_sides(build):
    """Batch, height and width alike, where a wrong broadcast would go unnoticed."""
    loss = build(reduction=None)
    labels, logits = softmax_batch((C, C, C), seed=1)
    expected = values(loss, labels.reshape(-1), logits.reshape(-1, C)).reshape(C, C, C)
    for form in (labels, labels[..., None], one_hot(labels)):
        np.testing.assert_allclose(values(loss, form, logits), expected, rtol=1e-5, atol=1e-7)
    weights = np.random.default_rng(2).uniform(size=C)
    weighted = values(loss, labels, logits, weights)
    np.testing.assert_allclose(weighted, expected * weights[:, None, None], rtol=1e-5, atol=1e-7)


def check_soft_labels(build):
    """A soft label that is one-hot after all is the hard label; smoothing equals labels smoothed towards the class prior."""
    labels, logits = softmax_batch()
    towards = np.array(getattr(build(), "class_counts", np.ones(C)))
    smoothed = one_hot(labels) * 0.9 + 0.1 * towards / towards.sum()
    # Weights and costs follow the label as given, not as smoothed.
    if not isinstance(build(), ki.ClassBalancedLoss) and getattr(build(), "formulation", "") != "regularized":
        by_loss = values(build(reduction=None, label_smoothing=0.1), labels, logits)
        np.testing.assert_allclose(by_loss, values(build(reduction=None), smoothed, logits), rtol=1e-5)
    gradient = loss_and_gradient(build(reduction="sum"), smoothed.astype("float32"), logits)[1]
    assert np.isfinite(gradient).all()


def check_ignored(build, ignored):
    """A masked batch equals the batch without the ignored positions, whatever they hold, in loss and gradient."""
    labels, logits = softmax_batch()
    kept = np.arange(12) % 3 != 0
    marked = np.where(kept, labels, ignored)
    logits_with_junk = np.where(kept[:, None], logits, 1e4).astype("float32")
    weights = np.linspace(0.5, 2, 12)
    for reduction in ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight"):
        loss, plain = build(reduction=reduction, ignore_class=ignored), build(reduction=reduction)
        for given in (None, weights):
            part = None if given is None else given[kept]
            got, gradient = loss_and_gradient(loss, marked, logits_with_junk, given)
            wanted, wanted_gradient = loss_and_gradient(plain, labels[kept], logits[kept], part)
            np.testing.assert_allclose(got, wanted, rtol=1e-5)
            np.testing.assert_allclose(gradient[kept], wanted_gradient, rtol=1e-4, atol=1e-7)
            assert (gradient[~kept] == 0).all()
    nothing, gradient = loss_and_gradient(build(ignore_class=ignored), np.full(12, ignored), logits)
    assert nothing == 0
    assert (gradient == 0).all()


def check_reductions(build, labels, logits):
    """Reductions and sample weights follow Keras's rules; a sum is one over labels as well."""
    labels_a_row = labels.shape[-1] if labels.ndim == 2 else 1
    rows = values(build(reduction=None), labels, logits)
    weights = np.random.default_rng(3).uniform(0.1, 2, len(rows))
    for given in (weights, weights[:, None]):
        np.testing.assert_allclose(values(build(reduction=None), labels, logits, given), rows * weights, rtol=1e-5)
    expected = {
        "sum": (labels_a_row * rows.sum(), labels_a_row * (rows * weights).sum()),
        "mean": (rows.mean(), (rows * weights).mean()),
        "sum_over_batch_size": (rows.mean(), (rows * weights).mean()),
        "mean_with_sample_weight": (rows.mean(), (rows * weights).sum() / weights.sum()),
    }
    for reduction, (plain, weighted) in expected.items():
        np.testing.assert_allclose(values(build(reduction=reduction), labels, logits), plain, rtol=1e-5)
        np.testing.assert_allclose(values(build(reduction=reduction), labels, logits, weights), weighted, rtol=1e-5)


def check_empty(build, labels, logits):
    """An empty batch gives 0."""
    for reduction in ("sum", "mean", "sum_over_batch_size", "mean_with_sample_weight"):
        assert values(build(reduction=reduction), labels[:0], logits[:0]) == 0


def model_of(builds, channels, front=()):
    """A model with a head for each loss, a Dense layer that gives what it gets; and the losses by the name of their head."""
    keras.utils.set_random_seed(0)
    first = hidden = keras.Input((channels,) if not front else (4, channels))
    for layer in front:
        hidden = layer(hidden)
    names = [f"head{k}" for k in range(len(builds))]
    heads = {name: keras.layers.Dense(channels, kernel_initializer="identity", name=name) for name in names}
    model = keras.Model(first, {name: head(hidden) for name, head in heads.items()})
    losses = {name: build() for name, build in zip(heads, builds, strict=True)}
    return model, losses


def for_each(names, labels):
    return dict.fromkeys(names, labels)


def losses_of(model, x, labels):
    """The loss of each head."""
    logs = model.evaluate(x, for_each(model.loss, labels), verbose=0, return_dict=True)
    return [logs[f"{name}_loss"] for name in model.loss]


def check_keras_mask(builds, labels, logits):
    """Positions that a Keras mask hides count nowhere."""
    features = np.concatenate([logits, logits, np.zeros_like(logits)]).reshape(3, len(logits), -1)[:, :4]
    masks = np.stack([labels[:4], labels[:4], labels[4:8]])
    model, losses = model_of(builds, logits.shape[-1], [keras.layers.Masking(0.0)])
    model.compile("sgd", loss=losses, jit_compile=False)
    expected = [values(build(), labels[:4], logits[:4]) for build in builds]
    np.testing.assert_allclose(losses_of(model, features, masks), expected, rtol=1e-4)


def check_round_trip(build, labels, logits):
    """A reloaded loss gives equal values without custom_objects."""
    loss = build()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config()
    assert values(again, labels, logits) == values(loss, labels, logits)


def check_saved_model(builds, labels, logits, path):
    """A reloaded model has the losses that it was compiled with."""
    model, losses = model_of(builds, logits.shape[-1])
    model.compile("sgd", loss=losses, jit_compile=False)
    model.save(path)
    reloaded = keras.models.load_model(path)
    assert {name: type(loss) for name, loss in reloaded.loss.items()} == {n: type(loss) for n, loss in losses.items()}
    assert losses_of(reloaded, logits, labels) == losses_of(model, logits, labels)


def check_jit(builds, labels, logits):
    """Compiled or not, a fit gives the same weights."""
    weights = []
    for jit_compile in (False, True):
        model, losses = model_of(builds, logits.shape[-1])
        model.compile(keras.optimizers.SGD(0.1), loss=losses, jit_compile=jit_compile)
        y = for_each(losses, labels)
        history = model.fit(logits, y, epochs=2, batch_size=4, shuffle=False, verbose=0)
        assert all(np.isfinite(values).all() for values in history.history.values())
        weights.append(model.get_weights())
    for plain, compiled in zip(*weights, strict=True):
        np.testing.assert_allclose(plain, compiled, rtol=1e-4, atol=1e-6)


def check_fit_on_one_hot(builds, labels, logits):
    """One-hot labels train like ids, also with metrics."""
    found = []
    for given in (labels, one_hot(labels)):
        model, losses = model_of(builds, C)
        metrics = {name: [ki.PerClassRecall(C), ki.ConfusionMatrix(C)] for name in list(losses)[:1]}
        model.compile(keras.optimizers.SGD(0.1), loss=losses, metrics=metrics, jit_compile=False)
        y = for_each(losses, given)
        history = model.fit(logits, y, epochs=2, batch_size=4, shuffle=False, verbose=0).history
        found.append((*model.get_weights(), history[next(key for key in history if key.endswith("recall"))]))
    for of_ids, of_one_hot in zip(*found, strict=True):
        np.testing.assert_allclose(of_one_hot, of_ids, rtol=1e-4, atol=1e-6)


def check_mixed_precision(build, labels, logits):
    """Half-precision predictions are computed in float32: the loss is that of the rounded predictions."""
    for dtype in ("float16", "bfloat16"):
        half = ops.cast(logits, dtype)
        got = values(build(dtype=dtype), labels, half)
        np.testing.assert_allclose(got, values(build(), labels, ops.cast(half, "float32")), rtol=1e-6)


def with_a_wrong_label(labels):
    wrong = labels.copy()
    wrong[1] = 99
    return wrong


def check_wrong_labels(build, labels, logits):
    """An invalid label raises where it can be seen."""
    with pytest.raises(ValueError, match="y_true"):
        build()(with_a_wrong_label(labels), logits)


def check_wrong_labels_in_a_graph(builds, labels, logits):
    """An invalid label shows as NaN where a compiled graph cannot raise."""
    model, losses = model_of(builds, logits.shape[-1])
    model.compile("sgd", loss=losses, jit_compile=False)
    assert shows_wrong_labels(lambda: losses_of(model, logits, with_a_wrong_label(labels)))


def metric_values(metric, y_true=None, y_pred=None, sample_weight=None):
    """Everything that a metric says, after an update when there is one: its logs and, where it counts, its matrix."""
    if y_true is not None:
        metric.update_state(y_true, y_pred, sample_weight)
    result = metric.result()
    logs = result if isinstance(result, dict) else {metric.name: result}
    said = {key: float(value) for key, value in logs.items()}
    if isinstance(metric, ki.ConfusionMatrix):
        said["matrix"] = metric.matrix().tolist()
    return said


def assert_equal_values(got, wanted, atol=1e-6):
    assert got.keys() == wanted.keys()
    for key, value in wanted.items():
        np.testing.assert_allclose(got[key], value, atol=atol, err_msg=key)


def check_metric_label_forms(build, labels, predictions):
    """Ids, (N, 1), one-hot, other dtypes, any leading shape: the same values."""
    expected = metric_values(build(C), labels, predictions)
    assert any(np.asarray(value).any() for value in expected.values())
    forms = (labels[:, None], one_hot(labels), labels.astype("float32"), labels.astype("uint8"), labels.tolist())
    for form in forms:
        assert_equal_values(metric_values(build(C), np.asarray(form), predictions), expected)
    for shape in ((3, 4), (2, 2, 3)):
        for form in (labels.reshape(shape), labels.reshape(*shape, 1), one_hot(labels.reshape(shape))):
            assert_equal_values(metric_values(build(C), form, predictions.reshape(*shape, C)), expected)


def check_metric_weights_and_ignored(build, labels, predictions):
    """A weight of 0, an ignored label and a row left out are one thing; a weight of 2 is the row twice."""
    kept = np.arange(12) % 3 != 0
    expected = metric_values(build(C), labels[kept], predictions[kept])
    for weights in (kept * 1.0, kept[:, None] * 1.0):
        assert_equal_values(metric_values(build(C), labels, predictions, weights), expected)
    positions = metric_values(build(C), labels.reshape(3, 4), predictions.reshape(3, 4, C), kept.reshape(3, 4) * 1.0)
    assert_equal_values(positions, expected)
    for ignored in (-1, 255):
        marked = np.where(kept, labels, ignored)
        assert_equal_values(metric_values(build(C, ignore_class=ignored), marked, predictions), expected)
    doubled = np.concatenate([labels, labels[:5]]), np.concatenate([predictions, predictions[:5]])
    weights = 1.0 + (np.arange(12) < 5)
    assert_equal_values(metric_values(build(C), labels, predictions, weights), metric_values(build(C), *doubled))


def check_metric_batches(build, labels, predictions):
    """However the rows are split, some batches empty; and a reset forgets them."""
    metric = build(C)
    empty = metric_values(metric)
    for part in np.split(np.arange(12), [0, 5, 5, 6]):
        metric.update_state(labels[part], predictions[part])
    assert_equal_values(metric_values(metric), metric_values(build(C), labels, predictions))
    metric.reset_state()
    assert_equal_values(metric_values(metric), empty)


def check_metric_round_trip(build, labels, predictions):
    """A reloaded metric gives equal values without custom_objects."""
    for options in ({}, {"multi_label": True}, {"ignore_class": 2, "name": "other"}):
        metric = build(C, **options)
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
        assert str(again.get_config()) == str(metric.get_config())
        truth = (labels[:, None] < np.arange(C)) * 1.0 if "multi_label" in options else labels
        values = metric_values(metric, truth, predictions)
        assert_equal_values(metric_values(again, truth, predictions), values, atol=0)


def check_saved_metrics(builds, labels, predictions, path):
    """A reloaded model has the metrics that it was compiled with."""
    model = metric_model(builds, "sparse_categorical_crossentropy", jit_compile=False)
    logs = model.evaluate(predictions, labels, verbose=0, return_dict=True)
    model.save(path)
    assert keras.models.load_model(path).evaluate(predictions, labels, verbose=0, return_dict=True) == logs


def check_metrics_in_fit(builds, labels, predictions, jit_compile):
    """Compiled or not, inside fit and evaluate, the values are those of each metric alone."""
    expected = {}
    for build in builds:
        expected |= metric_values(build(C), labels, predictions)
    expected.pop("matrix", None)
    model = metric_model(builds, jit_compile=jit_compile)
    logs = model.evaluate(predictions, labels, batch_size=5, verbose=0, return_dict=True)
    assert_equal_values(logs, {"loss": logs["loss"]} | expected)
    model.fit(predictions, labels, batch_size=5, verbose=0)


def check_metric_mixed_precision(build, labels, predictions):
    """Half-precision predictions are decided as they stand, and counted in float32."""
    for dtype in ("float16", "bfloat16"):
        half = ops.cast(predictions, dtype)
        got = metric_values(build(C, dtype=dtype), labels, half)
        assert_equal_values(got, metric_values(build(C), labels, ops.cast(half, "float32")))
    assert_equal_values(
        metric_values(build(C, dtype="mixed_float16"), labels, predictions),
        metric_values(build(C), labels, predictions),
    )


def check_metric_bad_input(build, labels, predictions):
    """Invalid labels raise where they can be seen; a row that counts nowhere may hold NaN."""
    wrong = with_a_wrong_label(labels)
    soft = one_hot(labels) * 0.9 + 0.1 / C
    for bad, message in ((wrong, "y_true"), (soft, "soft"), (labels + 0.5, "whole"), (labels[:5], "line up")):
        with pytest.raises(ValueError, match=message):
            build(C).update_state(bad, predictions)
    with pytest.raises(ValueError, match="num_classes"):
        build(C - 1).update_state(labels, predictions)
    with pytest.raises(ValueError, match="sample_weight"):
        build(C).update_state(labels, predictions, np.ones(5))
    for number in (1, 0, -3, 2.5, True, "3"):
        with pytest.raises(ValueError, match=r"num_classes|cost_matrix|class_names"):
            build(number) if not isinstance(build(C), ki.ExpectedCost) else ki.ExpectedCost([[0.0]])
    with pytest.raises(ValueError, match="ignore_class"):
        build(C, ignore_class=0.5)
    with pytest.raises(ValueError, match="name"):
        build(C, name="loss")
    hidden = metric_values(build(C), labels, with_nan(predictions), np.arange(12) != 3)
    assert not any(np.isnan(value).any() for value in hidden.values())


def with_nan(predictions):
    unknown = predictions.copy()
    unknown[3, 1] = np.nan
    return unknown


def check_metrics_of_bad_input_in_a_graph(builds, labels, predictions):
    """Invalid labels and NaN predictions show as NaN in every metric of a compiled graph."""
    soft = one_hot(labels) * 0.9 + 0.1 / C
    model = None
    for y_true, y_pred in (
        (with_a_wrong_label(labels), predictions),
        (soft, predictions),
        (labels, with_nan(predictions)),
    ):
        if model is None or keras.backend.backend() == "jax":  # there one that raised has lost its state
            model = metric_model(builds, jit_compile=False)
        found = {}

        def evaluate():
            found.update(model.evaluate(y_pred, y_true, verbose=0, return_dict=True))  # noqa: B023
            return np.nan

        assert shows_wrong_labels(evaluate)
        for metric in compiled_metrics(model) if found else ():
            matrix = isinstance(metric, ki.ConfusionMatrix)
            said = [metric.matrix()] if matrix else [v for key, v in found.items() if key in logs_of(metric)]
            assert said
            assert np.isnan(said).any(), metric.name


def compiled_metrics(model):
    return [
        metric for metric in model.metrics if hasattr(metric, "class_scores") or isinstance(metric, ki.ConfusionMatrix)
    ]


def logs_of(metric):
    result = metric.result()
    return result if isinstance(result, dict) else {metric.name: result}


def mean_prediction(y_true, y_pred):
    """A loss that takes any label."""
    return ops.mean(y_pred)


def metric_model(builds, loss=mean_prediction, **compiled):
    """A model that gives its input, compiled with all the metrics."""
    model = keras.Sequential([keras.Input((C,)), keras.layers.Dense(C, kernel_initializer="identity")])
    model.compile(keras.optimizers.SGD(1e-3), loss, metrics=[build(C) for build in builds], **compiled)
    return model
