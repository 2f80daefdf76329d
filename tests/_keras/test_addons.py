"""tensorflow-addons with this package: how it is loaded, what it does in one compile, and each row of the guide's table.

The oracle of every row is tensorflow-addons itself, so these tests run where TF_USE_LEGACY_KERAS=1 and it is installed.
"""

import importlib.metadata
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from kerases import MISSING_ADDONS, keras_3_only, needs_addons

import keras_imbalance as ki
from keras_imbalance._keras import _addons as addons
from keras_imbalance._keras import keras

FOLDER = Path(__file__).parent
C = 3


@pytest.fixture(scope="module")
def tfa():
    return ki.load_tensorflow_addons()


def script(code, **environment):
    """Runs Python code in a process of its own, with these changes of the environment; None unsets."""
    env = {key: value for key, value in {**os.environ, **environment}.items() if value is not None}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=env)


# Loading


def installed(monkeypatch, version):
    def answer(name):
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(importlib.metadata, "version", answer)


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch):
    installed(monkeypatch, None)
    monkeypatch.setattr(addons, "sys", SimpleNamespace(version_info=(3, 11, 7)))
    with pytest.raises(ImportError, match=r'3\.11\.7 without it\. Install it: pip install "keras-imbalance\[addons\]"'):
        ki.load_tensorflow_addons()


def test_python_3_12_has_no_release(monkeypatch):
    installed(monkeypatch, None)
    monkeypatch.setattr(addons, "sys", SimpleNamespace(version_info=(3, 12, 1)))
    with pytest.raises(ImportError, match=r"3\.12\.1 without it\. It was not released for Python 3\.12"):
        ki.load_tensorflow_addons()


@pytest.mark.parametrize("version", ["0.22.0", "0.230.0", "1.23.0"])
def test_another_release_is_refused(monkeypatch, version):
    installed(monkeypatch, version)
    with pytest.raises(ImportError, match=rf"release 0\.23\. Received: {version}"):
        ki.load_tensorflow_addons()


@keras_3_only("it is what the function asks for")
def test_a_process_of_keras_3_is_refused(monkeypatch):
    installed(monkeypatch, "0.23.0")
    before = dict(sys.modules)
    with pytest.raises(ImportError, match=rf"Keras 3\. Received: Keras {keras.__version__}.*TF_USE_LEGACY_KERAS=1"):
        ki.load_tensorflow_addons()
    assert sys.modules == before


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING_ADDONS), reason=f"not installed: {', '.join(MISSING_ADDONS)}")
def test_a_process_that_is_half_keras_3_is_refused():
    # TensorFlow decided for Keras 3 before the variable was set, this package for tf-keras after.
    code = """
import os, tensorflow as tf
tf.keras.layers.Layer
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import keras_imbalance as ki
try:
    ki.load_tensorflow_addons()
except ImportError as error:
    assert "before TensorFlow or this package is imported" in str(error), error
else:
    raise SystemExit("loaded")
"""
    done = script(code, TF_USE_LEGACY_KERAS=None, KERAS_BACKEND=None)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


LOADING = """
import sys, warnings, numpy
import keras, tensorflow, tf_keras
import keras_imbalance as ki
ki.ArraySampler

def state():
    specs = {name: module.__spec__ for name, module in sys.modules.items() if name.startswith("tf_keras")}
    return dict(sys.modules), specs, list(sys.meta_path), list(sys.path_hooks), list(warnings.filters)

modules, specs, finders, hooks, filters = state()
FAIL
modules_after, specs_after, finders_after, hooks_after, filters_after = state()
assert finders_after == finders and hooks_after == hooks and filters_after == filters
assert {name: modules_after.get(name) for name in modules} == modules
assert {name: specs_after[name] for name in specs} == specs
assert all(spec is None or spec.name == name for name, spec in specs_after.items())
new = {name.split(".")[0] for name in set(modules_after) - set(modules)}
assert new <= EXPECTED, new
kept = keras
import keras, keras.layers
assert keras is kept is modules["keras"] and keras.__version__.startswith("3.")
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(numpy.ones((4, 2)), numpy.ones(4), verbose=0)
"""
SUCCEED = "import typeguard; modules, specs, finders, hooks, filters = state(); tfa = ki.load_tensorflow_addons()"
FAILING = """
kept, sys.modules["typeguard"] = sys.modules.get("typeguard"), None  # what tensorflow-addons needs cannot be imported
modules, specs, finders, hooks, filters = state()
try:
    ki.load_tensorflow_addons()
except ImportError as error:
    assert "typeguard" in str(error)
else:
    raise SystemExit("loaded")
"""


@needs_addons
@pytest.mark.parametrize(
    ("body", "new"),
    [(SUCCEED, {"tensorflow_addons", "tensorflow", "tf_keras"}), (FAILING, {"tensorflow", "tf_keras"})],
    ids=["loaded", "failed"],
)
def test_nothing_changes_for_other_modules(body, new):
    done = script(LOADING.replace("FAIL", body).replace("EXPECTED", repr(new)), KERAS_BACKEND=None)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


@needs_addons
def test_it_is_loaded_once(tfa):
    assert ki.load_tensorflow_addons() is tfa is sys.modules["tensorflow_addons"]
    assert tfa.__version__ == "0.23.0"
    assert issubclass(tfa.metrics.F1Score, keras.metrics.Metric)


# In one compile with the parts of this package


def blobs(rows=120, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(C), [rows * 7 // 12, rows // 4, rows // 6])
    x = rng.normal(size=(rows, 4)).astype("float32")
    x[np.arange(rows), labels] += 2
    return x, np.eye(C, dtype="float32")[labels]


def softmax_model():
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(6, activation="tanh", name="hidden")
    return keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(C, activation="softmax", name="head")])


OPTIMIZERS = {
    "AdamW": lambda tfa: tfa.optimizers.AdamW(weight_decay=1e-4, learning_rate=0.02),
    "LAMB": lambda tfa: tfa.optimizers.LAMB(learning_rate=0.02),
    "Lookahead": lambda tfa: tfa.optimizers.Lookahead(keras.optimizers.legacy.Adam(0.02), sync_period=3),
    "MovingAverage": lambda tfa: tfa.optimizers.MovingAverage(keras.optimizers.legacy.SGD(0.2)),
}


@needs_addons
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_metrics_and_optimizers_in_one_compile(tfa, kind, jit_compile):
    x, y = blobs()
    metrics = [
        tfa.metrics.F1Score(C, average="macro", name="tfa_f1"),
        tfa.metrics.FBetaScore(C, average="macro", beta=2.0, name="tfa_f2"),
        ki.MacroF1(C),
        ki.PerClassF1(C, beta=2.0, name="f2"),
        ki.CohenKappa(C, name="kappa"),
        ki.MatthewsCorrelation(C),
        ki.PerClassRecall(C),
    ]
    if not jit_compile:  # XLA compiles neither
        metrics.append(tfa.metrics.CohenKappa(C, name="tfa_kappa"))
        metrics.append(tfa.metrics.MatthewsCorrelationCoefficient(C, name="tfa_mcc"))
    model = softmax_model()
    loss = ki.ClassBalancedLoss(y.sum(axis=0), scheme="effective_number", beta=0.99)
    model.compile(OPTIMIZERS[kind](tfa), loss, metrics=metrics, jit_compile=jit_compile)
    sampler = ki.ArraySampler(x, y, batch_size=24, target="balanced", seed=0)
    history = model.fit(sampler.dataset(), epochs=6, validation_data=(x, y), verbose=0).history
    assert history["val_loss"][-1] < history["val_loss"][0]
    for theirs, own in (
        ("tfa_f1", "macro_f1"),
        ("tfa_f2", "f2"),
        ("tfa_kappa", "kappa"),
        ("tfa_mcc", "matthews_correlation"),
    ):
        for prefix in ("", "val_"):
            if prefix + theirs in history:
                np.testing.assert_allclose(history[prefix + theirs], history[prefix + own], atol=1e-5)


@needs_addons
def test_focal_loss_and_multi_label_matrix_in_one_compile(tfa):
    x, y = blobs()
    y = np.maximum(y, np.roll(y, 7, axis=0))
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(C, activation="sigmoid")])
    loss = tfa.losses.SigmoidFocalCrossEntropy(reduction="sum_over_batch_size")
    matrices = [tfa.metrics.MultiLabelConfusionMatrix(C), ki.ConfusionMatrix(C, multi_label=True)]
    model.compile(
        tfa.optimizers.AdamW(weight_decay=0.0, learning_rate=0.1),
        loss,
        metrics=[matrices[1], ki.PerClassF1(C, multi_label=True)],
    )
    history = model.fit(x, y, epochs=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    model.evaluate(x, y, verbose=0)
    matrices[0].update_state(y, model.predict(x, verbose=0) > 0.5)
    np.testing.assert_array_equal(matrices[0].result(), matrices[1].matrix())


@needs_addons
def test_discriminative_rates_in_two_phases(tfa):
    x, y = blobs()
    model = softmax_model()
    slow, fast = keras.optimizers.legacy.SGD(0.01), keras.optimizers.legacy.SGD(0.1)
    optimizer = tfa.optimizers.MultiOptimizer([(slow, model.layers[0]), (fast, model.layers[1])])
    sampler = ki.ArraySampler(x, y, batch_size=24, target="balanced", seed=0)
    model.compile(optimizer, ki.FocalLoss(2.0), metrics=[ki.PerClassRecall(C), tfa.metrics.F1Score(C, average="macro")])
    phases = ki.TwoPhaseLearning(sampler, switch_epoch=2)
    drawn, weights = [], [model.get_weights()]

    class Recorder(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            drawn.append(sampler.distribution.copy())

        def on_epoch_end(self, epoch, logs=None):
            weights.append(self.model.get_weights())

    history = model.fit(sampler.dataset(), epochs=4, callbacks=[phases, Recorder()], verbose=0).history
    assert np.isfinite(history["loss"]).all()
    np.testing.assert_allclose(drawn[0], np.full(C, 1 / C))
    np.testing.assert_allclose(drawn[3], y.mean(axis=0), atol=1e-6)
    for kernel in (0, 2):
        moved = [np.abs(after[kernel] - before[kernel]).max() for before, after in itertools.pairwise(weights)]
        assert moved[3] < 0.3 * moved[1], moved  # the second phase has a tenth of each rate


# The guide's table, row by row: the same numbers, and where they differ


def batch(rows=200, seed=1):
    """One-hot labels of every class and scores that are often right."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(C), rng.choice(C, rows - C, p=[0.7, 0.2, 0.1])])
    scores = rng.gumbel(size=(rows, C)) + 2 * np.eye(C)[labels]
    scores = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return np.eye(C, dtype="float32")[labels], scores.astype("float32")


def several_labels(rows=200, seed=2):
    """Labels that occur together, and independent probabilities for them."""
    rng = np.random.default_rng(seed)
    y = (rng.random((rows, C)) < [0.5, 0.2, 0.1]).astype("float32")
    return y, (1 / (1 + np.exp(-rng.normal(size=(rows, C)) - 2 * y + 1))).astype("float32")


def result_of(metric, *rows):
    metric.update_state(*rows)
    result = metric.result()
    if isinstance(result, dict):
        return {key: float(value) for key, value in result.items()}
    return np.asarray(result)


def per_class(metric, *rows):
    result = result_of(metric, *rows)
    return [result[key] for key in metric.class_keys(metric.name)]


@needs_addons
@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (0.5, 0.7), (0.0, 0.5)])
def test_sigmoid_focal_cross_entropy(tfa, from_logits, gamma, alpha):
    y, p = several_labels()
    scores = np.log(p / (1 - p)).astype("float32") if from_logits else p
    arguments = {"gamma": gamma, "alpha": alpha, "from_logits": from_logits}
    theirs = tfa.losses.SigmoidFocalCrossEntropy(**arguments)(y, scores)
    ours = ki.FocalLoss(**arguments, multi_label=True, reduction=None)
    if alpha:
        ours = ki.FocalLoss(gamma, alpha=[alpha] * C, from_logits=from_logits, multi_label=True, reduction=None)
    np.testing.assert_allclose(
        theirs, np.asarray(ours(y, scores)) * C, rtol=1e-4
    )  # their sum over the labels, our mean
    one = y[:, :1], scores[:, :1]
    theirs = tfa.losses.SigmoidFocalCrossEntropy(**arguments, reduction="sum_over_batch_size")(*one)
    np.testing.assert_allclose(theirs, ki.FocalLoss(**arguments)(*one), rtol=1e-4)


@needs_addons
def test_sigmoid_focal_cross_entropy_where_it_stops_learning(tfa):
    import tensorflow as tf

    # Sure of the right class, where 1 - p rounds to 0 in float32, a root of it has no slope.
    y, logits = tf.ones((1, 1)), tf.constant([[20.0]])
    slopes = []
    theirs = tfa.losses.SigmoidFocalCrossEntropy(from_logits=True, gamma=0.5)
    for loss in (theirs, ki.FocalLoss(0.5, alpha=0.25, from_logits=True)):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(y, logits)
        slopes.append(tape.gradient(value, logits).numpy().item())
    assert np.isnan(slopes[0])
    np.testing.assert_allclose(slopes[1], -0.25 * 1.5 * np.exp(-30.0), rtol=1e-4)  # a (1 - p)^1.5 (1 + .5), p near 1
    # Of probabilities it sees what float32 left of them.
    layer = keras.layers.Dense(1, activation="sigmoid", kernel_initializer="ones")
    for loss, learns in ((tfa.losses.SigmoidFocalCrossEntropy(), False), (ki.FocalLoss(2.0, alpha=0.25), True)):
        with tf.GradientTape() as tape:
            value = loss(tf.zeros((1, 1)), layer(tf.constant([[40.0]])))
        assert (np.abs(tape.gradient(value, layer.kernel)) > 0).all() == learns


@needs_addons
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_f_scores_of_one_class_a_row(tfa, beta):
    y, p = batch()
    arguments = {} if beta == 1 else {"beta": beta}
    score = tfa.metrics.F1Score if beta == 1 else tfa.metrics.FBetaScore
    ours = ki.PerClassF1(C, beta=beta)
    each = per_class(ours, y, p)
    np.testing.assert_allclose(each, result_of(score(C, **arguments), y, p), atol=1e-6)
    macro = result_of(score(C, average="macro", **arguments), y, p)
    np.testing.assert_allclose(float(ours.result()["f1"]), macro, atol=1e-6)
    weighted = result_of(score(C, average="weighted", **arguments), y, p)
    np.testing.assert_allclose(each @ y.mean(axis=0), weighted, atol=1e-6)
    np.testing.assert_array_equal(
        per_class(ki.PerClassF1(C, beta=beta), y.argmax(axis=1), p), each
    )  # class ids as well


@needs_addons
def test_f_scores_of_several_labels_a_row(tfa):
    y, p = several_labels()
    for threshold in (0.3, 0.5):
        theirs = result_of(tfa.metrics.F1Score(C, threshold=threshold), y, p)
        ours = per_class(ki.PerClassF1(C, multi_label=True, threshold=threshold), y, p)
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@needs_addons
def test_f_scores_micro_is_the_accuracy_of_one_class_a_row(tfa):
    y, p = batch()
    micro = result_of(tfa.metrics.F1Score(C, average="micro"), y, p)
    np.testing.assert_allclose(result_of(keras.metrics.CategoricalAccuracy(), y, p), micro, atol=1e-6)


@needs_addons
def test_f_scores_where_they_differ(tfa):
    # A class that neither occurs nor is predicted is no part of our mean; theirs counts it as 0.
    y = p = np.eye(C, dtype="float32")[[0, 0, 1, 1]]
    np.testing.assert_allclose(result_of(tfa.metrics.F1Score(C, average="macro"), y, p), 2 / 3, atol=1e-6)
    assert result_of(ki.MacroF1(C), y, p) == 1
    # Among equal scores ours takes the first class as argmax does, theirs all of them.
    y, p = np.eye(C, dtype="float32")[[1]], np.full((1, C), 1 / C, "float32")
    np.testing.assert_allclose(result_of(tfa.metrics.F1Score(C), y, p), [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(per_class(ki.PerClassF1(C), y, p), [0, 0, 0])


@needs_addons
@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_cohen_kappa(tfa, weights):
    y, p = batch()
    sample_weight = np.random.default_rng(0).integers(1, 4, len(y)).astype("float32")
    for rows in ((y, p), (y, p, sample_weight)):
        theirs = result_of(tfa.metrics.CohenKappa(C, weightage=weights), *rows)
        np.testing.assert_allclose(result_of(ki.CohenKappa(C, weights=weights), *rows), theirs, atol=1e-5)
    sparse = result_of(tfa.metrics.CohenKappa(C, weightage=weights, sparse_labels=True), y.argmax(axis=1), p)
    ours = result_of(ki.CohenKappa(C, weights=weights), y.argmax(axis=1), p)  # no argument: the shape says it
    np.testing.assert_allclose(ours, sparse, atol=1e-5)
    binary = y[:, :1], p[:, :1]
    theirs = result_of(tfa.metrics.CohenKappa(2, weightage=weights), *binary)
    np.testing.assert_allclose(result_of(ki.CohenKappa(2, weights=weights), *binary), theirs, atol=1e-5)


@needs_addons
def test_matthews_correlation_coefficient(tfa):
    y, p = batch()
    sample_weight = np.random.default_rng(0).integers(1, 4, len(y)).astype("float32")
    for rows in ((y, p), (y, p, sample_weight)):
        theirs = result_of(tfa.metrics.MatthewsCorrelationCoefficient(C), *rows)
        np.testing.assert_allclose(result_of(ki.MatthewsCorrelation(C), *rows), theirs, atol=1e-5)
    pair = y[:, :1], p[:, :1]
    two = [np.concatenate([1 - part, part], axis=1) for part in pair]
    theirs = result_of(tfa.metrics.MatthewsCorrelationCoefficient(2), *two)  # which needs two columns
    np.testing.assert_allclose(result_of(ki.MatthewsCorrelation(2), *pair), theirs, atol=1e-5)


@needs_addons
def test_multi_label_confusion_matrix(tfa):
    y, p = several_labels()
    ours = ki.ConfusionMatrix(C, multi_label=True, threshold=0.4)
    result_of(ours, y, p)
    theirs = result_of(tfa.metrics.MultiLabelConfusionMatrix(C), y, p > 0.4)
    np.testing.assert_array_equal(ours.matrix(), theirs)
    # Theirs takes decisions: of probabilities it takes the whole part, and every one is a no.
    assert result_of(tfa.metrics.MultiLabelConfusionMatrix(C), y, p)[:, :, 1].sum() == 0
    # Of one class a row it is what the one matrix C x C says of each class against the others.
    y, p = batch()
    theirs = result_of(tfa.metrics.MultiLabelConfusionMatrix(C), y, np.eye(C)[p.argmax(axis=1)])
    metric = ki.ConfusionMatrix(C)
    result_of(metric, y, p)
    counts = metric.matrix()
    right = np.diag(counts)
    np.testing.assert_array_equal(theirs[:, 1, 1], right)
    np.testing.assert_array_equal(theirs[:, 1, 0], counts.sum(axis=1) - right)
    np.testing.assert_array_equal(theirs[:, 0, 1], counts.sum(axis=0) - right)


@needs_addons
def test_geometric_mean_is_another_thing(tfa):
    y, p = batch()
    # Theirs is the geometric mean of the numbers it is given; ours that of the recalls.
    np.testing.assert_allclose(result_of(tfa.metrics.GeometricMean(), np.array([1.0, 4.0, 2.0])), 2.0, rtol=1e-6)
    recalls = per_class(ki.PerClassRecall(C), y, p)
    theirs = result_of(tfa.metrics.GeometricMean(), np.array(recalls))
    np.testing.assert_allclose(result_of(ki.GeometricMean(C), y, p), theirs, rtol=1e-5)


def trained(optimizer_of, steps=5):
    """A small regression after some steps, and its weights; they begin as the same in every Keras."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(8, 4)).astype("float32"), rng.normal(size=(8, 2)).astype("float32")
    layers = [keras.layers.Dense(3, activation="tanh", name="hidden"), keras.layers.Dense(2, name="head")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.set_weights([rng.normal(size=w.shape).astype("float32") for w in model.get_weights()])
    model.compile(optimizer_of(model), "mse")
    if steps:
        model.fit(x, y, epochs=steps, batch_size=8, shuffle=False, verbose=0)
    return model, [w.tolist() for w in model.get_weights()]


IN_KERAS_3 = """
import json, sys
sys.path[:0] = PATHS
import keras, keras_imbalance as ki
from test_addons import trained
print(json.dumps(trained(lambda model: OPTIMIZER)[1]))
"""


def trained_in_keras_3(optimizer):
    code = IN_KERAS_3.replace("PATHS", repr([str(FOLDER), str(FOLDER.parent)])).replace("OPTIMIZER", optimizer)
    done = script(code, TF_USE_LEGACY_KERAS=None, KERAS_BACKEND="tensorflow")
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def assert_same_weights(got, wanted):
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@needs_addons
def test_multi_optimizer(tfa):
    def layerwise(model):
        slow, fast = keras.optimizers.legacy.SGD(0.01), keras.optimizers.legacy.SGD(0.1)
        return tfa.optimizers.MultiOptimizer([(slow, model.layers[0]), (fast, model.layers[1])])

    ours = 'ki.layerwise_optimizer(model, keras.optimizers.SGD(0.1), {"hidden": 0.1})'
    assert_same_weights(trained_in_keras_3(ours), trained(layerwise)[1])


@needs_addons
def test_adam_w(tfa):
    # Theirs takes the decay off as it stands, Keras's multiplies it with the learning rate.
    theirs = trained(lambda _: tfa.optimizers.AdamW(weight_decay=0.01, learning_rate=0.05))[1]
    assert_same_weights(trained(lambda _: keras.optimizers.AdamW(0.05, weight_decay=0.01 / 0.05))[1], theirs)
    assert_same_weights(trained_in_keras_3("keras.optimizers.AdamW(0.05, weight_decay=0.01 / 0.05)"), theirs)


@needs_addons
def test_lamb(tfa):
    theirs = trained(lambda _: tfa.optimizers.LAMB(0.05, epsilon=1e-7))[1]
    assert_same_weights(trained_in_keras_3("keras.optimizers.Lamb(0.05, epsilon=1e-7)"), theirs)


@needs_addons
def test_moving_average(tfa):
    # Both are w <- 0.8 w + 0.2 (weights after a step): theirs from the weights before the first step, Keras's from those after.
    path = [trained(lambda _: keras.optimizers.SGD(0.1), steps)[1] for steps in range(6)]

    def average(start):
        found = [np.array(w) for w in path[start]]
        for weights in path[start + 1 :]:
            found = [0.8 * mean + 0.2 * np.array(w) for mean, w in zip(found, weights, strict=True)]
        return found

    model, _ = trained(lambda _: tfa.optimizers.MovingAverage(keras.optimizers.legacy.SGD(0.1), average_decay=0.8))
    model.optimizer.assign_average_vars(model.trainable_variables)  # which Keras does by itself when fit ends
    assert_same_weights(model.get_weights(), average(0))
    assert_same_weights(trained_in_keras_3("keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8)"), average(1))
