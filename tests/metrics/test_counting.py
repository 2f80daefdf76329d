"""What is counted: exact past 2^24 in compiled graphs too, masks, one update for every shape, several replicas."""

import subprocess
import sys

import common_checks as checks
import numpy as np
import pytest
import sklearn.metrics as oracle
from kerases import compiles
from loss_gradients import BACKEND, compiled

import keras_imbalance as ki
from keras_imbalance._keras import keras, ops


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=compiles)])
def test_counters_are_exact_past_what_float32_can_hold_in_a_compiled_step(jit_compile):
    metric = ki.ConfusionMatrix(2)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, kernel_initializer="identity")])
    model.compile(
        keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", metrics=[metric], jit_compile=jit_compile
    )
    large = 2.0**24
    start = np.array([[[large, 0], [large, large]], [[0, 0], [0, 0]]])

    class Start(keras.callbacks.Callback):
        def on_test_batch_begin(self, batch, logs=None):
            if batch == 0:
                metric.counts.assign(start)

    predictions = np.tile(np.eye(2, dtype="float32")[[0, 0, 1]], (25, 1))
    model.evaluate(predictions, np.tile([0, 1, 1], 25), batch_size=3, callbacks=[Start()], verbose=0)
    np.testing.assert_array_equal(metric.matrix(), [[large + 25, 0], [large + 25, large + 25]])


def test_binned_counters_are_exact_too():
    metric = ki.PerClassAveragePrecision(2, num_bins=2)
    large = 2.0**24
    metric.bins.assign(np.stack([np.full((2, 2, 2), large), np.zeros((2, 2, 2))]))
    for _ in range(9):
        metric.update_state(np.array([[1.0]]), np.array([[0.9]]))
    counted = np.asarray(metric.bins, dtype=np.float64).sum(axis=0) - large
    # 0.9 for class 1 is 0.1 for class 0, of which it is no member: (class, bin, member).
    np.testing.assert_array_equal(counted, [[[9, 0], [0, 0]], [[0, 0], [0, 9]]])


@pytest.mark.parametrize("multi_label", [False, True])
def test_keras_masks(multi_label):
    rng = np.random.default_rng(0)
    x = rng.integers(6, size=(8, 5))
    y = (rng.random((8, 5, 3)) < 0.4) * 1.0 if multi_label else rng.integers(3, size=(8, 5))
    inputs = keras.Input((5,))
    hidden = keras.layers.Embedding(6, 4, mask_zero=True, embeddings_initializer="normal")(inputs)
    activation = "sigmoid" if multi_label else "softmax"
    model = keras.Model(inputs, keras.layers.Dense(3, activation=activation)(hidden))
    metrics = [ki.PerClassF1(3, multi_label=multi_label), ki.PerClassAveragePrecision(3, multi_label=multi_label)]
    model.compile("sgd", "mse" if multi_label else "sparse_categorical_crossentropy", metrics=metrics)
    logs = model.evaluate(x, y, batch_size=3, verbose=0, return_dict=True)
    seen, predictions = x != 0, model.predict(x, verbose=0)
    alone = ki.PerClassAveragePrecision(3, multi_label=multi_label)
    alone.update_state(y[seen], predictions[seen])
    np.testing.assert_allclose(logs["average_precision"], float(alone.result()["average_precision"]), atol=1e-6)
    decided = predictions[seen] > 0.5 if multi_label else predictions[seen].argmax(axis=-1)
    expected = oracle.f1_score(y[seen], decided, average=None, labels=range(3), zero_division=0)
    np.testing.assert_allclose([logs[f"f1/{k}"] for k in range(3)], expected, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_segmentation_with_void_pixels_and_pixel_weights(channels):
    rng = np.random.default_rng(1)
    size = max(channels, 2)
    labels = rng.integers(size, size=(2, 6, 5))
    scores = rng.random((2, 6, 5, channels)).astype("float32")
    weights = rng.random((2, 6, 5))
    void = rng.random((2, 6, 5)) < 0.3
    metric = ki.PerClassRecall(size, ignore_class=255)
    metric.update_state(np.where(void, 255, labels), scores, weights)
    decided = (scores[..., 0] > 0.5).astype(int) if channels == 1 else scores.argmax(axis=-1)
    expected = oracle.recall_score(labels[~void], decided[~void], average=None, sample_weight=weights[~void])
    np.testing.assert_allclose(list(metric.class_values("r").values()), expected, atol=1e-6)


@pytest.mark.parametrize("threshold", [np.nan, "0.5", [0.1, 0.2, 0.3], None, True])
def test_invalid_thresholds(threshold):
    with pytest.raises(ValueError, match="threshold"):
        ki.PerClassF1(3, threshold=threshold)


@pytest.mark.parametrize("top_k", [0, 3, 2.0, True])
def test_top_k_out_of_range(top_k):
    with pytest.raises(ValueError, match="top_k"):
        ki.PerClassF1(3, top_k=top_k)


MIRRORED = """
import numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
import keras_imbalance as ki
from keras_imbalance._keras import keras
rng = np.random.default_rng(0)
x, y = rng.normal(size=(37, 4)).astype("float32"), rng.integers(3, size=37)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    matrix = ki.ConfusionMatrix(3)
    metrics = [ki.PerClassF1(3), matrix, ki.PerClassAveragePrecision(3, log_classes=False)]
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", metrics=metrics)
logger = ki.PerClassLogger()
history = model.fit(
    x, y, epochs=2, batch_size=10, shuffle=False, validation_data=(x, y), callbacks=[logger], verbose=0
).history
predictions = model.predict(x, verbose=0)
expected = np.zeros((3, 3))
np.add.at(expected, (y, predictions.argmax(axis=1)), 1)
np.testing.assert_array_equal(matrix.matrix(), expected)
alone = [ki.PerClassF1(3), ki.PerClassAveragePrecision(3)]
for metric in alone:
    metric.update_state(y, predictions)
    for key, value in metric.result().items():
        np.testing.assert_allclose(history[key], float(value), atol=1e-6)
        np.testing.assert_allclose(history["val_" + key], float(value), atol=1e-6)
"""


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a strategy of TensorFlow")
def test_replicas_add_up():
    done = subprocess.run([sys.executable, "-c", MIRRORED], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("num_classes", [2, 3])
def test_decided_classes_in_place_of_scores_are_named(num_classes):
    for metric in (ki.PerClassRecall(num_classes), ki.PerClassAveragePrecision(num_classes)):
        with pytest.raises(ValueError, match=r"a row for each sample and a channel axis.*y_pred\[:, None\]"):
            metric.update_state(np.array([0, 1, 1]), np.array([0.2, 0.4, 0.9]))
    with pytest.raises(
        ValueError, match=r"2 for predictions of 1 channel\. .*scores of all classes, not the class decided"
    ):
        ki.PerClassRecall(3).update_state(np.array([0, 1, 2]), np.array([[0.0], [1.0], [2.0]]))
    with pytest.raises(ValueError, match=r"8 for predictions of 8 channels\. .*axis=1\."):
        ki.PerClassIoU(3).update_state(np.zeros((2, 5, 8)), np.ones((2, 3, 5, 8)) / 3)


@pytest.mark.parametrize("in_graph", [False, True])
def test_one_large_batch_is_counted_exactly(in_graph):
    """3 million positions of weight .1 once gave 290,774 in place of 300,000, and 25 million ones 2^24."""
    rows = 3_000_000
    weights = np.full(rows, 0.1, "float32")
    weights[1::2] = 1.3
    labels = np.zeros(rows, "int32")
    labels[::3] = 1
    zeros = np.zeros((rows, 1), "float32")
    metric = ki.ConfusionMatrix(2)
    update = metric.update_state
    if in_graph and BACKEND == "tensorflow":
        update = compiled(lambda *batch: (metric.update_state(*batch), batch)[1])  # tf-keras gives an operation
    update(*map(ops.convert_to_tensor, (labels, zeros, weights)))
    expected = [weights[labels == k].sum(dtype="float64") for k in (0, 1)]
    np.testing.assert_allclose(metric.matrix()[:, 0], expected, rtol=1e-10)


def test_more_ones_than_float32_can_count_in_one_batch():
    rows = 2**24 + 7
    metric = ki.ConfusionMatrix(2)
    metric.update_state(np.zeros(rows, "uint8"), np.zeros((rows, 1), "float32"))
    assert metric.matrix()[0, 0] == rows


@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1.0, 1e20])
def test_weights_of_every_size_are_added_up_exactly(scale):
    weights = (np.random.default_rng(0).lognormal(sigma=4, size=5000) * scale).astype("float32")
    metric = ki.ConfusionMatrix(2)
    metric.update_state(np.zeros(5000), np.zeros((5000, 1)), weights)
    np.testing.assert_allclose(metric.matrix()[0, 0], weights.sum(dtype="float64"), rtol=1e-12)


EVERY_METRIC = {name: build for name, build in checks.METRICS.items() if name != "PerClassReport"}


@pytest.mark.parametrize("name", EVERY_METRIC)
@pytest.mark.parametrize("multi_label", [False, True])
def test_channels_first_count_like_channels_last(name, multi_label):
    rng = np.random.default_rng(0)
    scores = rng.random((2, 3, 5, 4)).astype("float32")
    labels = (rng.random((2, 3, 5, 4)) < 0.4) * 1.0 if multi_label else rng.integers(4, size=(2, 3, 5))
    last, first = (EVERY_METRIC[name](4, multi_label=multi_label, axis=axis) for axis in (-1, 1))
    last.update_state(labels, scores)
    first.update_state(np.moveaxis(labels, -1, 1) if multi_label else labels, np.moveaxis(scores, -1, 1))
    checks.assert_equal_values(checks.metric_values(first), checks.metric_values(last))


def test_an_ignored_class_is_in_no_mean_predicted_or_not():
    labels, decided = np.array([0, 0, 1, 1, 2]), np.array([0, 2, 1, 1, 2])
    counted = labels != 2
    for metric, score in (
        (ki.PerClassF1(3, ignore_class=2), lambda y, p: oracle.f1_score(y, p, labels=[0, 1], average="macro")),
        (ki.MacroF1(3, ignore_class=2), lambda y, p: oracle.f1_score(y, p, labels=[0, 1], average="macro")),
        (
            ki.BalancedAccuracy(3, ignore_class=2),
            lambda y, p: oracle.recall_score(y, p, labels=[0, 1], average="macro"),
        ),
        (
            ki.GeometricMean(3, ignore_class=2),
            lambda y, p: np.prod(oracle.recall_score(y, p, labels=[0, 1], average=None)) ** 0.5,
        ),
    ):
        metric.update_state(labels, np.eye(3)[decided])
        found = metric.result()
        found = found[metric.name] if isinstance(found, dict) else found
        np.testing.assert_allclose(float(found), score(labels[counted], decided[counted]), atol=1e-6)
    report = ki.classification_report(labels, np.eye(3)[decided], ignore_class=2)
    expected = oracle.recall_score(labels[counted], decided[counted], labels=[0, 1], average="macro")
    np.testing.assert_allclose(report.macro()["recall"], expected)
    np.testing.assert_allclose(report.summary["geometric_mean"], np.sqrt(0.5))
    np.testing.assert_allclose(report.summary["balanced_accuracy"], expected)
