"""The per-class metrics against scikit-learn, by themselves and inside Keras."""

from dataclasses import dataclass

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from kerases import compiles, examples, keras_3_only
from loss_gradients import shows_wrong_labels

from keras_imbalance import PerClassF1, PerClassPrecision, PerClassRecall
from keras_imbalance._keras import keras, ops

quick = settings(max_examples=examples(25))
EVERY = [PerClassRecall, PerClassPrecision, PerClassF1]


@dataclass
class Rows:
    num_classes: int
    labels: np.ndarray
    predictions: np.ndarray
    weights: np.ndarray
    cuts: list

    def batches(self):
        """Labels, predicted probabilities and weights, cut into batches; some may be empty."""
        probabilities = scores_of(self.predictions, self.num_classes)
        parts = [np.split(part, self.cuts) for part in (self.labels, probabilities, self.weights)]
        return zip(*parts, strict=True)


def scores_of(predictions, num_classes):
    """Softmax-like rows whose largest channel is the prediction."""
    rows = np.full((len(predictions), num_classes), 0.4 / num_classes, dtype="float32")
    rows[np.arange(len(predictions)), predictions] += 0.6
    return rows


@st.composite
def some_rows(draw):
    num_classes = draw(st.integers(2, 5))
    number = draw(st.integers(1, 20))
    ids = arrays(np.int64, number, elements=st.integers(0, num_classes - 1))
    weights = arrays(np.float32, number, elements=st.sampled_from([0.5, 1.0, 3.0]))
    cuts = sorted(draw(st.lists(st.integers(0, number), max_size=2)))
    return Rows(num_classes, draw(ids), draw(ids), draw(weights), cuts)


def values(metric):
    """Value of each class, and the macro mean, from the logs that the metric gives."""
    result = {key: float(value) for key, value in metric.result().items()}
    names = metric.class_names or range(metric.num_classes)
    assert list(result) == [*(f"{metric.name}/{name}" for name in names), metric.name]
    return np.array([result[f"{metric.name}/{name}"] for name in names]), result[metric.name]


def expected_values(kind, labels, predictions, num_classes, weights=None, beta=1.0, ignored=None):
    score = {
        PerClassRecall: oracle.recall_score,
        PerClassPrecision: oracle.precision_score,
        PerClassF1: oracle.fbeta_score,
    }
    common = {"sample_weight": weights, "zero_division": 0}
    if kind is PerClassF1:
        common["beta"] = beta
    each = score[kind](labels, predictions, labels=range(num_classes), average=None, **common)
    # An ignored class is in no mean, predicted or not.
    counted = {} if ignored is None else {"labels": np.setdiff1d(np.union1d(labels, predictions), [ignored])}
    return each, score[kind](labels, predictions, average="macro", **counted, **common)


def check(metric, labels, predictions, weights=None, beta=1.0):
    each, macro = values(metric)
    ignored = metric.ignore_class
    expected = expected_values(type(metric), labels, predictions, metric.num_classes, weights, beta, ignored)
    np.testing.assert_allclose(each, expected[0], atol=1e-6)
    np.testing.assert_allclose(macro, expected[1], atol=1e-6)


@pytest.mark.parametrize("kind", EVERY)
@quick
@given(some_rows(), st.booleans())
def test_equals_scikit_learn_however_batched(kind, rows, weighted):
    metric = kind(rows.num_classes)
    for labels, probabilities, weights in rows.batches():
        metric.update_state(labels, probabilities, weights if weighted else None)
    check(metric, rows.labels, rows.predictions, rows.weights if weighted else None)


@quick
@given(some_rows(), st.sampled_from([0.5, 2.0]))
def test_f_beta_equals_scikit_learn(rows, beta):
    metric = PerClassF1(rows.num_classes, beta=beta)
    metric.update_state(rows.labels, scores_of(rows.predictions, rows.num_classes))
    check(metric, rows.labels, rows.predictions, beta=beta)


@pytest.mark.parametrize("kind", EVERY)
def test_every_form_of_label_gives_the_same_values(kind):
    rng = np.random.default_rng(1)
    labels, predictions = rng.integers(4, size=(2, 60))
    forms = [
        labels,
        labels[:, None],
        np.eye(4)[labels],
        np.eye(4, dtype=int)[labels],
        labels.astype("float32"),
        labels.tolist(),
    ]
    for form in forms:
        metric = kind(4)
        metric.update_state(np.asarray(form), scores_of(predictions, 4))
        check(metric, labels, predictions)


@pytest.mark.parametrize("kind", EVERY)
def test_permuting_classes_permutes_values(kind):
    rng = np.random.default_rng(2)
    labels, predictions = rng.integers(5, size=(2, 80))
    new = rng.permutation(5)
    plain, permuted = kind(5), kind(5)
    plain.update_state(labels, scores_of(predictions, 5))
    permuted.update_state(new[labels], scores_of(new[predictions], 5))
    np.testing.assert_allclose(values(permuted)[0][new], values(plain)[0], atol=1e-6)
    np.testing.assert_allclose(values(permuted)[1], values(plain)[1], atol=1e-6)


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.0])
def test_one_sigmoid_channel_reports_both_classes(kind, column, threshold):
    rng = np.random.default_rng(3)
    labels, outputs = rng.integers(2, size=50), rng.normal(size=50).astype("float32")
    metric = kind(2, threshold=threshold)
    metric.update_state(labels[:, None] if column else labels, outputs[:, None])
    check(metric, labels, (outputs > threshold).astype(int))


@pytest.mark.parametrize("shape", [(4, 6), (3, 5, 2)])
@pytest.mark.parametrize("weights", ["none", "row", "position"])
def test_sequences_and_masks_count_every_position(shape, weights):
    rng = np.random.default_rng(4)
    labels, predictions = rng.integers(3, size=(2, *shape))
    given_weights = {"none": None, "row": rng.random(shape[0]), "position": rng.random(shape)}[weights]
    metric = PerClassF1(3)
    probabilities = scores_of(predictions.reshape(-1), 3).reshape(*shape, 3)
    metric.update_state(labels, probabilities, given_weights)
    positions = given_weights
    if weights == "row":
        positions = np.broadcast_to(given_weights.reshape(-1, *[1] * (len(shape) - 1)), shape)
    check(metric, labels.reshape(-1), predictions.reshape(-1), None if positions is None else positions.reshape(-1))


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("ignored", [255, -1, 2])
def test_ignored_labels_count_nowhere(kind, ignored):
    rng = np.random.default_rng(5)
    labels, predictions = rng.integers(2, size=60), rng.integers(3, size=60)
    labels[::4] = ignored
    metric = kind(3, ignore_class=ignored)
    metric.update_state(labels, scores_of(predictions, 3))
    kept = labels != ignored
    check(metric, labels[kept], predictions[kept])


def test_ignored_labels_with_one_hot_and_sigmoid():
    rng = np.random.default_rng(6)
    labels, predictions = rng.integers(3, size=(2, 60))
    metric = PerClassRecall(3, ignore_class=1)
    metric.update_state(np.eye(3)[labels], scores_of(predictions, 3))
    check(metric, labels[labels != 1], predictions[labels != 1])
    binary = PerClassRecall(2, ignore_class=2)
    binary.update_state(labels, (predictions[:, None] > 0) * 1.0)
    check(binary, labels[labels != 2], (predictions[labels != 2] > 0).astype(int))


def test_before_any_row_and_after_reset_all_is_zero():
    metric = PerClassRecall(3)
    np.testing.assert_array_equal(values(metric)[0], 0)
    metric.update_state(np.array([0, 1]), scores_of([0, 1], 3))
    assert values(metric)[1] == 1
    metric.reset_state()
    assert values(metric)[1] == 0


@pytest.mark.parametrize("dtype", [None, "float32", "mixed_float16", "float64"])
def test_counters_are_exact_past_what_float32_can_hold(dtype):
    metric = PerClassPrecision(2, dtype=dtype)
    large = 2**24
    metric.counts.assign(np.array([[[large, large], [0, 0], [0, 0]], np.zeros((3, 2))]))
    for _ in range(21):
        metric.update_state(np.array([0, 1, 1]), scores_of([0, 1, 0], 2))
    exact = np.asarray(metric.counts, dtype=np.float64).sum(axis=0)
    np.testing.assert_array_equal(exact, [[large + 21, large + 21], [0, 21], [21, 0]])


def test_half_precision_predictions_do_not_limit_the_counts():
    labels = np.zeros(5000, dtype=int)
    metric = PerClassRecall(2, dtype="float16")
    metric.update_state(labels, scores_of(labels, 2).astype("float16"))
    assert float(metric.tally().tp[0]) == 5000


def test_class_names_are_the_keys():
    metric = PerClassF1(2, class_names=["ok", "fraud"], name="val")
    metric.update_state(np.array([0, 1]), scores_of([0, 0], 2))
    assert set(metric.result()) == {"val/ok", "val/fraud", "val"}


# Inside Keras


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [150, 40, 10])
    x = rng.normal(size=(200, 4)).astype("float32") + labels[:, None]
    order = rng.permutation(200)
    return x[order], labels[order]


def softmax_model(num_classes=3, **compile_arguments):
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(num_classes, activation="softmax")])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", **compile_arguments)
    return model


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_in_fit_and_evaluate(blobs, jit_compile):
    keras.utils.set_random_seed(0)
    x, y = blobs
    weights = np.random.default_rng(1).random(200)
    model = softmax_model(
        metrics=[kind(3, class_names=["a", "b", "c"]) for kind in EVERY],
        weighted_metrics=[PerClassRecall(3, name="weighted")],
        jit_compile=jit_compile,
    )
    history = model.fit(x, y, epochs=2, batch_size=64, validation_data=(x, y, weights), verbose=0).history
    for name in ("recall", "precision", "f1"):
        for key in (f"{name}/a", f"{name}/b", f"{name}/c", name):
            assert len(history[key]) == 2
            assert len(history[f"val_{key}"]) == 2
    predictions = model.predict(x, verbose=0).argmax(axis=1)
    logs = model.evaluate(x, y, sample_weight=weights, batch_size=48, verbose=0, return_dict=True)
    for kind, name in zip(EVERY, ("recall", "precision", "f1"), strict=True):
        each, macro = expected_values(kind, y, predictions, 3)
        for values_of in (logs, {key[4:]: value[-1] for key, value in history.items() if key.startswith("val_")}):
            np.testing.assert_allclose([values_of[f"{name}/{k}"] for k in "abc"], each, atol=1e-6)
            np.testing.assert_allclose(values_of[name], macro, atol=1e-6)
    each, macro = expected_values(PerClassRecall, y, predictions, 3, weights)
    np.testing.assert_allclose([logs[f"weighted/{k}"] for k in range(3)], each, atol=1e-5)
    np.testing.assert_allclose(logs["weighted"], macro, atol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=compiles)])
def test_a_label_out_of_range_is_seen_in_a_compiled_graph(blobs, jit_compile):
    x, y = blobs
    model = softmax_model()
    model.compile("sgd", lambda y_true, y_pred: ops.mean(y_pred), metrics=[PerClassRecall(3)], jit_compile=jit_compile)
    wrong = np.where(y == 2, 7, y)
    assert shows_wrong_labels(lambda: model.evaluate(x, wrong, verbose=0, return_dict=True)["recall"])


@keras_3_only("takes the least of what it does not know")
def test_early_stopping_knows_that_more_is_better(blobs):
    x, y = blobs
    model = softmax_model(metrics=[PerClassRecall(3)])
    stopper = keras.callbacks.EarlyStopping(monitor="val_recall", mode="auto")
    model.fit(x, y, epochs=1, validation_data=(x, y), callbacks=[stopper], verbose=0)
    assert stopper.monitor_op(2.0, 1.0)
    assert not stopper.monitor_op(1.0, 2.0)


def test_positions_that_a_keras_mask_hides_count_nowhere():
    rng = np.random.default_rng(7)
    x, y = rng.integers(6, size=(8, 5)), rng.integers(3, size=(8, 5))
    inputs = keras.Input((5,))
    hidden = keras.layers.Embedding(6, 4, mask_zero=True, embeddings_initializer="normal")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(hidden))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[PerClassRecall(3)])
    logs = model.evaluate(x, y, batch_size=3, verbose=0, return_dict=True)
    seen = x != 0
    assert not seen.all()
    predictions = model.predict(x, verbose=0).argmax(axis=-1)
    each, macro = expected_values(PerClassRecall, y[seen], predictions[seen], 3)
    np.testing.assert_allclose([logs[f"recall/{k}"] for k in range(3)], each, atol=1e-6)
    np.testing.assert_allclose(logs["recall"], macro, atol=1e-6)


def test_train_on_batch_gives_the_keys(blobs):
    x, y = blobs
    logs = softmax_model(metrics=[PerClassF1(3)]).train_on_batch(x, y, return_dict=True)
    assert {"f1", "f1/0", "f1/1", "f1/2"} <= set(logs)
