"""Losses, metrics and models with both come back from a file with equal values, without custom_objects."""

import json

import numpy as np
import pytest

from keras_imbalance import (
    ClassBalancedLoss,
    CosineDense,
    CostMatrixLoss,
    FocalLoss,
    LogitAdjustedLoss,
    MacroF1Decision,
    MinimumCostDecision,
    PerClassF1,
    PerClassPrecision,
    PerClassRecall,
    PriorCorrection,
    Temperature,
    Thresholds,
)
from keras_imbalance._keras import keras, ops

COSTS = [[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [5.0, 3.0, 0.0]]
LOSSES = [
    FocalLoss(gamma=1.5, alpha=[0.2, 0.3, 0.5]),
    ClassBalancedLoss([70, 20, 10], scheme="effective_number", beta=0.99),
    ClassBalancedLoss([70, 20, 10], loss=FocalLoss(gamma=1.0, reduction=None)),
    ClassBalancedLoss([70, 20, 10], loss=keras.losses.SparseCategoricalCrossentropy(reduction="none")),
    LogitAdjustedLoss([70, 20, 10], output_prior=[0.3, 0.3, 0.3]),
    LogitAdjustedLoss([70, 20, 10], output_prior={0: 0.7, 2: 0.1, 1: 0.3}, name="of_mapping"),
    CostMatrixLoss(COSTS, formulation="regularized", weight=0.5, label_smoothing=0.1),
]
METRICS = [
    PerClassRecall(3, class_names=["a", "b", "c"], name="found"),
    PerClassPrecision(3, ignore_class=2, zero_division=1.0),
    PerClassPrecision(3, zero_division=float("nan"), name="nan_precision"),
    PerClassF1(3, beta=2.0, threshold=0.3, dtype="float64"),
]


@pytest.fixture(autouse=True)
def _no_custom_objects():
    """Nothing but registration may lead back to the classes."""
    with keras.utils.CustomObjectScope({}):
        assert not keras.utils.get_custom_objects().keys() & {"FocalLoss", "PerClassRecall"}
        yield


def rows(seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(40, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return rng.integers(3, size=40), probabilities.astype("float32")


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_a_loss_comes_back_with_equal_values(loss):
    labels, probabilities = rows()
    config = json.loads(json.dumps(keras.losses.serialize(loss)))
    for again in (keras.losses.deserialize(config), type(loss).from_config(loss.get_config())):
        assert type(again) is type(loss)
        assert float(again(labels, probabilities)) == float(loss(labels, probabilities))
        assert again.get_config() == loss.get_config()


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_comes_back_with_equal_values(metric):
    labels, probabilities = rows()
    config = json.loads(json.dumps(keras.metrics.serialize(metric)))
    metric.update_state(labels, probabilities)
    expected = {key: float(value) for key, value in metric.result().items()}
    metric.reset_state()
    for again in (keras.metrics.deserialize(config), type(metric).from_config(metric.get_config())):
        assert type(again) is type(metric)
        again.update_state(labels, probabilities)
        found = {key: float(value) for key, value in again.result().items()}
        assert list(found) == list(expected)
        np.testing.assert_array_equal(list(found.values()), list(expected.values()))
        assert str(again.get_config()) == str(metric.get_config())


def test_a_model_with_both_comes_back_with_equal_values_and_trains_on_equally(tmp_path):
    keras.utils.set_random_seed(0)
    labels, _ = rows()
    x = np.random.default_rng(1).normal(size=(40, 4)).astype("float32")
    inputs, losses = keras.Input((4,)), {f"head{k}": loss for k, loss in enumerate(LOSSES[::2])}
    model = keras.Model(
        inputs, {name: keras.layers.Dense(3, activation="softmax", name=name)(inputs) for name in losses}
    )
    metrics = {"head0": [PerClassRecall(3, class_names=["a", "b", "c"]), PerClassF1(3, beta=2.0)]}
    model.compile(keras.optimizers.Adam(0.1), losses, metrics=metrics, jit_compile=False)
    y = dict.fromkeys(losses, labels)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert {name: type(loss) for name, loss in again.loss.items()} == {n: type(loss) for n, loss in losses.items()}
    for trained in (False, True):
        for m in (model, again) if trained else ():
            m.fit(x, y, shuffle=False, verbose=0)
        logs, logs_again = (m.evaluate(x, y, verbose=0, return_dict=True) for m in (model, again))
        assert logs == logs_again
        assert any(key.endswith("recall/a") for key in logs)
        assert any(key.endswith("f1/2") for key in logs)


@pytest.mark.parametrize(
    "layer",
    [
        PriorCorrection(np.array([70, 20, 10]), [0.9, 0.09, 0.01], name="honest"),
        PriorCorrection([70, 20, 10], [0.9, 0.09, 0.01], from_logits=True, dtype="mixed_bfloat16"),
        MinimumCostDecision(np.array(COSTS), name="decision"),
        MinimumCostDecision((1 - np.eye(3)).tolist(), from_logits=True),
        CosineDense(3, kernel_initializer="ones"),
        MacroF1Decision([1, 2, 3], [0.1, 0.2, 0.3], ratio=[1, 2, 1], expected_f1=0.5),
        Temperature(2.5, loss=0.3),
        Thresholds([0.5, -0.5, 0.0], kind="multi_class", score=0.4, cross_validated_score=0.3, rule="offsets"),
        Thresholds([0.5, 0.2, 0.4], kind="multi_label", name="of_labels"),
    ],
    ids=lambda layer: layer.name,
)
def test_a_layer_comes_back_with_equal_values(layer):
    _, probabilities = rows()
    config = json.loads(json.dumps(keras.layers.serialize(layer)))
    expected = ops.convert_to_numpy(layer(probabilities))
    assert len(np.unique(expected)) > 1
    for again in (keras.layers.deserialize(config), type(layer).from_config(layer.get_config())):
        assert type(again) is type(layer)
        np.testing.assert_array_equal(ops.convert_to_numpy(again(probabilities)), expected)
        assert again.get_config() == layer.get_config()
