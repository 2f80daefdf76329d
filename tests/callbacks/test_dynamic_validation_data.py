"""DynamicSampling with validation data of its own, against the scores of scikit-learn."""

import numpy as np
import pandas
import pytest
import tensorflow as tf
from dynamic_runs import blobs, softmax_model
from sklearn.metrics import f1_score, precision_score, recall_score

from keras_imbalance import ArraySampler, DynamicSampling, PerClassF1, PerClassRecall
from keras_imbalance._keras import keras, ops
from keras_imbalance.callbacks.class_scores import check_validation_data, class_scores


class Batches(keras.utils.PyDataset if hasattr(keras.utils, "PyDataset") else keras.utils.Sequence):
    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return 4

    def __getitem__(self, i):
        if not 0 <= i < 4:
            raise RuntimeError("read beyond the end")
        return tuple(part[i::4] for part in self.arrays)


def shuffled(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays).shuffle(1000).batch(32)


FORMS = {
    "arrays": lambda *arrays: arrays,
    "list": lambda *arrays: list(arrays),
    "shuffled dataset": shuffled,
    "py dataset": Batches,
    "list of tensors": lambda *arrays: tuple(tf.constant(part) for part in arrays),
}


@pytest.mark.parametrize(("form", "weighted"), [*((form, True) for form in FORMS if form != "list"), ("list", False)])
def test_with_validation_data_of_its_own_the_scores_are_those_of_scikit_learn(form, weighted):
    x, y = blobs()
    x_val, y_val = x[::-1][:100] + 0.3, y[::-1][:100]
    weights = np.random.default_rng(0).uniform(0.5, 2, 100).astype("float32") if weighted else None
    sampler = ArraySampler(x, y, batch_size=40, seed=0)
    data = FORMS[form](x_val, y_val, weights) if weighted else FORMS[form](x_val, y_val)
    dynamic = DynamicSampling(sampler, floor=0.1, momentum=0.25, validation_data=data, batch_size=32)
    model, scores = softmax_model(), []

    class Scores(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert list(logs) == ["loss"]
            decisions = ops.convert_to_numpy(model(x_val)).argmax(axis=1)
            scores.append(f1_score(y_val, decisions, average=None, labels=range(3), sample_weight=weights))

    model.fit(sampler.dataset(), epochs=3, callbacks=[Scores(), dynamic], verbose=0)
    shares = np.full(3, 1 / 3)
    for epoch in range(3):
        np.testing.assert_allclose(dynamic.targets[epoch], shares, atol=1e-9)
        errors = 1 - scores[epoch]
        shares = 0.25 * shares + 0.75 * (0.1 / 3 + 0.9 * errors / errors.sum())
    assert np.ptp(dynamic.targets[-1]) > 0.01


def test_frames_and_text_labels_are_taken_as_a_sampler_takes_them():
    x, y = blobs()
    names = ["ok", "worn", "gone"]
    frame, labels = pandas.DataFrame(x, columns=["a", "b"]), pandas.Series(np.array(names)[y])
    weights = np.random.default_rng(0).uniform(0.5, 2, len(y))
    for rows, ids, given in (
        (frame, labels, pandas.Series(weights)),
        (frame.convert_dtypes(), labels.tolist(), weights.tolist()),
        (x, list(y), list(weights)),
        (frame, list(np.array(names)[y]), weights),
        ({"in": frame}, y.tolist(), weights),
        ([x, frame], pandas.DataFrame(y), weights),
        (frame, pandas.DataFrame({"state": labels}), weights),
    ):
        taken, found, kept = check_validation_data((rows, ids, given), names)
        parts = taken if isinstance(taken, list) else list(taken.values()) if isinstance(taken, dict) else [taken]
        for part in parts:
            np.testing.assert_allclose(part, x)
        np.testing.assert_array_equal(np.ravel(found), y)
        np.testing.assert_allclose(kept, weights)
    with pytest.raises(ValueError, match=r"`class_names` must hold every name.*'broken'"):
        check_validation_data((frame, ["broken"] * len(y)), names)
    with pytest.raises(ValueError, match="`validation_data` must hold arrays of one length"):
        check_validation_data((frame, labels[1:]), names)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="text is for TensorFlow")
def test_rows_of_text_have_the_scores_that_scikit_learn_gives():
    words = np.array(["red", "green", "blue"])
    y = np.repeat([0, 1, 2], [40, 15, 5])
    wrong = np.where(np.arange(60) % 4 == 0, (y + 1) % 3, y)  # what the text says
    lookup = keras.layers.StringLookup(vocabulary=list(words), num_oov_indices=0, output_mode="one_hot")
    model = keras.Sequential([keras.layers.InputLayer((1,), dtype="string"), lookup, keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    model.layers[-1].set_weights([np.eye(3), np.zeros(3)])
    scores = f1_score(y, wrong, average=None)
    text = words[wrong][:, None]
    for rows in (text, text.astype(object), text.astype("S5"), text.tolist(), tf.constant(text)):
        data = check_validation_data((rows, y), ["0", "1", "2"])
        np.testing.assert_allclose(class_scores(model, data, num_classes=3, score="f1"), scores, atol=1e-6)


class Outputs(keras.callbacks.Callback):
    """What the model gives for `x` at the end of each epoch."""

    def __init__(self, x):
        super().__init__()
        self.x, self.outputs = x, []

    def on_epoch_end(self, epoch, logs=None):
        self.outputs.append(ops.convert_to_numpy(self.model(self.x)))


@pytest.mark.parametrize(
    ("monitor", "score", "channels"), [("val_recall", recall_score, 1), ("val_precision", precision_score, 2)]
)
def test_the_score_of_its_own_validation_data(monitor, score, channels):
    x, y = blobs()
    y = (y > 0).astype(int)
    sampler = ArraySampler(x, y, batch_size=40, seed=0)
    model = softmax_model(channels=channels)
    dynamic = DynamicSampling(
        sampler, monitor=monitor, rule=lambda scores: scores + 0.1, floor=0, momentum=0, validation_data=(x, y)
    )
    seen = Outputs(x)
    model.fit(sampler.dataset(), epochs=2, callbacks=[dynamic, seen], verbose=0)
    outputs = seen.outputs[0]
    decisions = (outputs[:, 0] > 0.5).astype(int) if channels == 1 else outputs.argmax(axis=1)
    wanted = score(y, decisions, average=None, labels=[0, 1]) + 0.1
    np.testing.assert_allclose(dynamic.targets[1], wanted / wanted.sum(), atol=1e-6)


def test_a_threshold_for_logits_of_one_channel():
    x, y = blobs()
    y = (y > 0).astype(int)
    sampler = ArraySampler(x, y, batch_size=40, seed=0)
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.3), keras.losses.BinaryCrossentropy(from_logits=True))
    dynamic = DynamicSampling(sampler, rule="recall", floor=0, momentum=0, validation_data=(x, y), threshold=0.0)
    seen = Outputs(x)
    model.fit(sampler.dataset(), epochs=2, callbacks=[dynamic, seen], verbose=0)
    logits = seen.outputs[0][:, 0]
    errors = 1 - recall_score(y, logits > 0, average=None)
    assert ((logits > 0) & (logits < 0.5)).any()
    np.testing.assert_allclose(dynamic.targets[1], errors / errors.sum(), atol=1e-6)


@pytest.mark.parametrize("batches", [False, True])
def test_a_class_that_its_own_validation_data_lacks_keeps_its_share(batches):
    """It may be predicted, and yet has no score: sampling it more would answer to nothing."""
    x, y = blobs()
    kept = y != 2
    sampler = ArraySampler(x, y, batch_size=40, target={2: 0.2}, seed=0)
    before = sampler.distribution
    data = (x[kept], y[kept])
    dynamic = DynamicSampling(sampler, momentum=0, validation_data=shuffled(*data) if batches else data)
    softmax_model().fit(sampler.dataset(), epochs=3, callbacks=[dynamic], verbose=0)
    np.testing.assert_allclose([shares[2] for shares in dynamic.targets], 0.2, atol=1e-12)
    np.testing.assert_allclose(dynamic.targets[0], before, atol=1e-12)
    assert not np.allclose(dynamic.targets[1], before, atol=0.01)


class Running(keras.callbacks.Callback):
    """What the running metrics hold at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.values = []

    def on_epoch_end(self, epoch, logs=None):
        variables = [variable for metric in self.model.metrics for variable in metric.variables]
        self.values.append([np.array(variable) for variable in variables])


def test_its_own_validation_data_does_not_touch_the_running_metrics():
    """`evaluate` would; a fit with the callback is the fit without it, as long as the rule leaves the shares alone."""
    x, y = blobs()

    def fitted(callbacks):
        sampler = ArraySampler(x, y, batch_size=40, seed=0)
        model, before, after = softmax_model([PerClassRecall(3), "accuracy"]), Running(), Running()
        callbacks = [before, *callbacks(sampler), after]
        history = model.fit(sampler.dataset(), epochs=3, callbacks=callbacks, verbose=0).history
        return history, model.get_weights(), before.values, after.values

    def same(sampler):
        return [DynamicSampling(sampler, rule=lambda scores: np.ones(3), momentum=0, validation_data=(x, y))]

    history, weights, before, after = fitted(same)
    history = {key: values for key, values in history.items() if not key.startswith("sampling/")}
    expected_history, expected_weights, running, _ = fitted(lambda sampler: [])
    assert history == expected_history
    for kept, now in zip(expected_weights, weights, strict=True):
        np.testing.assert_array_equal(kept, now)
    for epoch in range(3):
        for kept, first, now in zip(running[epoch], before[epoch], after[epoch], strict=True):
            np.testing.assert_array_equal(first, kept)
            np.testing.assert_array_equal(now, kept)


def test_predictions_that_are_no_numbers_are_an_error():
    x, y = blobs()
    sampler = ArraySampler(x, y, seed=0)
    model = softmax_model()
    model.set_weights([np.full((2, 3), np.nan), np.zeros(3)])
    with pytest.raises(ValueError, match=r"`validation_data` must have predictions that are numbers.*TerminateOnNaN"):
        model.fit(sampler.dataset(), callbacks=[DynamicSampling(sampler, validation_data=(x, y))], verbose=0)


def test_masks_are_scored_without_their_void_pixels_or_refused_before_training():
    rng = np.random.default_rng(0)
    x, masks = rng.normal(size=(6, 4, 4, 1)).astype("float32"), rng.integers(0, 3, (6, 4, 4))
    masks[:, 0] = 255
    known = masks != 255
    sampler = ArraySampler(x, masks, classes=[0, 1, 2, 0, 1, 2], batch_size=3, seed=0)
    for labels in (masks, masks[..., None].astype("uint8")):
        with pytest.raises(ValueError, match=r"`validation_data` must hold class ids.*255.*y != 255.*ignore_class"):
            DynamicSampling(sampler, validation_data=(x, labels))
    model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Dense(3)])
    data = DynamicSampling(sampler, validation_data=(x, masks, known)).validation_data
    decided = model.predict(x, verbose=0).argmax(axis=-1)
    found = class_scores(model, data, num_classes=3, score="f1")
    np.testing.assert_allclose(found, f1_score(masks[known], decided[known], average=None), atol=1e-6)
    channels_first = keras.Sequential([keras.layers.Input((3, 4, 1)), keras.layers.Dense(4)])
    channels_first.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"`validation_data` must .*3 channels on the last axis.*\(None, 3, 4, 4\)"):
        channels_first.fit(x[:, :3], x[:, :3], 3, callbacks=[DynamicSampling(sampler, validation_data=data)], verbose=0)
    assert int(channels_first.optimizer.iterations) == 0


def test_several_outputs_need_a_compiled_metric():
    x, y = blobs()
    sampler = ArraySampler(x, {"a": y, "b": y}, classes=y, seed=0)
    inputs = keras.layers.Input((2,))
    heads = {name: keras.layers.Dense(3, activation="softmax", name=name)(inputs) for name in ("a", "b")}
    model = keras.Model(inputs, heads)
    losses = dict.fromkeys("ab", "sparse_categorical_crossentropy")
    model.compile("sgd", losses)
    with pytest.raises(ValueError, match=r"`validation_data` must .*one output.*name it as `monitor`"):
        model.fit(sampler.dataset(), callbacks=[DynamicSampling(sampler, validation_data=(x, y))], verbose=0)
    assert int(model.optimizer.iterations) == 0
    model.compile("sgd", losses, metrics={"a": [PerClassF1(3, name="a_f1")], "b": [PerClassF1(3, name="b_f1")]})
    dynamic = DynamicSampling(sampler, monitor="val_b_f1", floor=0, momentum=0)
    validation = (x, {"a": y, "b": y})
    logs = model.fit(sampler.dataset(), epochs=2, validation_data=validation, callbacks=[dynamic], verbose=0).history
    errors = 1 - np.array([logs[f"val_b_f1/{i}"][0] for i in range(3)])
    np.testing.assert_allclose(dynamic.targets[1], errors / errors.sum(), atol=1e-6)
