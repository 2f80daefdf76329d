"""The four walks of docs/architecture.md, short enough to step through: what is computed where, in the order of the page."""

import numpy as np

import keras_imbalance as ki
from keras_imbalance._core import align, line_up
from keras_imbalance._keras import keras, ops

X = np.arange(24, dtype="float32")[:, None] / 24
Y = np.repeat([0, 1, 2], [16, 6, 2])


def net(**compiled):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.InputLayer((1,)), keras.layers.Dense(3)])
    model.compile(keras.optimizers.SGD(0.5), ki.FocalLoss(from_logits=True), **compiled)
    return model


def test_labels_to_loss():
    counts = ki.count_classes(Y)
    assert counts.tolist() == [16, 6, 2]
    weights = ki.class_weights(counts)
    np.testing.assert_allclose(weights, [24 / 3 / 16, 24 / 3 / 6, 24 / 3 / 2])

    loss = ki.ClassBalancedLoss(counts, from_logits=True, reduction=None)
    np.testing.assert_allclose(loss.class_weights, weights)

    labels, logits = np.array([2, 0]), np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]], "float32")
    aligned = align(ops.convert_to_tensor(labels), ops.convert_to_tensor(logits))
    assert aligned.form == "ids"
    assert not ops.convert_to_numpy(aligned.wrong).any()

    cross_entropy = np.log(np.exp(logits.astype("float64")).sum(axis=1)) - logits[[0, 1], labels]
    np.testing.assert_allclose(ops.convert_to_numpy(loss(labels, logits)), weights[labels] * cross_entropy, rtol=1e-6)


def test_arrays_to_the_next_epoch():
    sampler = ki.ArraySampler(X, Y, batch_size=6, target="natural", seed=0)
    np.testing.assert_allclose(sampler.distribution, sampler.class_counts / 24)

    callback = ki.DynamicSampling(sampler, rule="recall", validation_data=(X, Y), momentum=0.0)
    model = net()
    model.fit(sampler.dataset(), epochs=2, shuffle=False, callbacks=[callback], verbose=0)

    # The first epoch drew what was asked for, the second by the scores of the first.
    assert len(callback.history) == 2
    np.testing.assert_allclose(callback.history[0], [16 / 24, 6 / 24, 2 / 24], atol=1 / 24)
    assert not np.allclose(callback.history[1], callback.history[0], atol=1 / 24)
    assert sampler.exposure.sum() == 2 * 24


def test_predictions_to_a_report():
    model = net(metrics=[ki.PerClassRecall(3, name="recall")])
    scores = model.predict(X, verbose=0)
    labels, rows, _ = line_up(Y, scores)
    matrix = np.zeros((3, 3))
    np.add.at(matrix, (labels, rows.argmax(axis=1)), 1)

    report = ki.classification_report(Y, scores)
    np.testing.assert_array_equal(report.confusion, matrix)
    recall = ki.metrics.functional.recall(matrix)
    np.testing.assert_allclose(report.scores["recall"], recall)

    logs = model.evaluate(X, Y, return_dict=True, verbose=0)
    np.testing.assert_allclose([logs[f"recall/{i}"] for i in range(3)], recall, rtol=1e-6)


def test_kill_to_resume(tmp_path):
    def run(folder, killed_before=None):
        sampler = ki.ArraySampler(X, Y, batch_size=6, seed=0)
        model = net()

        class Kill(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == killed_before:
                    raise KeyboardInterrupt

        callbacks = [ki.ProgressiveSampling(sampler, end_epoch=4), ki.BackupAndRestore(folder), Kill()]
        try:
            model.fit(sampler.dataset(), epochs=4, shuffle=False, callbacks=callbacks, verbose=0)
        except KeyboardInterrupt:
            return None
        return model.get_weights(), sampler.exposure

    weights, exposure = run(tmp_path / "whole")
    assert run(tmp_path / "killed", killed_before=2) is None
    assert list((tmp_path / "killed").iterdir())

    resumed_weights, resumed_exposure = run(tmp_path / "killed")
    for one, other in zip(weights, resumed_weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    np.testing.assert_array_equal(exposure, resumed_exposure)
