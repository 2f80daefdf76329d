"""The one model that averages the members."""

import zipfile

import numpy as np
import pytest
import scipy.special
from ensembles import COUNTS, assert_same_weights, bag, labelled, softmax_net, weights_of
from kerases import keras_3_only

from keras_imbalance._keras import keras

pytestmark = keras_3_only("BalancedBagging refuses it")


@pytest.mark.parametrize(
    ("channels", "activation", "from_logits"),
    [
        (3, "softmax", False),
        pytest.param(1, "sigmoid", False, marks=pytest.mark.slow),
        pytest.param(3, None, True, marks=pytest.mark.slow),
        (1, None, True),
    ],
)
def test_the_model_is_the_mean_of_the_members_probabilities(channels, activation, from_logits, tmp_path):
    counts = COUNTS if channels == 3 else (40, 12)
    x, y = labelled(counts)
    loss = keras.losses.BinaryCrossentropy if channels == 1 else keras.losses.SparseCategoricalCrossentropy

    def build():
        return softmax_net(None, channels, activation, loss=loss(from_logits=from_logits))

    bagging = bag(build, members=3, from_logits=from_logits)
    bagging.fit(x, y, epochs=1, verbose=0)
    outputs = np.stack([member.predict(x, verbose=0) for member in bagging.members]).astype("float64")
    if from_logits:
        outputs = scipy.special.expit(outputs) if channels == 1 else scipy.special.softmax(outputs, axis=-1)
    predicted = bagging.predict_members(x)
    assert predicted.shape == (3, len(x), channels)
    np.testing.assert_allclose(predicted, outputs, atol=1e-6)
    mean = bagging.model.predict(x, verbose=0)
    np.testing.assert_allclose(mean, outputs.mean(axis=0), atol=1e-6)
    assert np.ptp(outputs, axis=0).max() > 1e-3  # the members differ, so a mean is something else than one of them
    both = mean if channels == 3 else np.concatenate([1 - mean, mean], axis=1)
    np.testing.assert_allclose(bagging.predict_proba(x), both, atol=1e-6)
    np.testing.assert_allclose(bagging.predict_proba(x).sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(bagging.predict(x), both.argmax(axis=1))
    path = tmp_path / "ensemble.keras"
    bagging.model.save(path)
    np.testing.assert_array_equal(keras.models.load_model(path).predict(x, verbose=0), mean)


def test_the_file_needs_nothing_of_how_members_were_trained(tmp_path):
    def a_loss_that_only_this_test_knows(y_true, y_pred):
        return keras.ops.mean(keras.ops.square(keras.ops.cast(y_true, "float32") - y_pred), axis=-1)

    x, y = labelled((40, 12))
    bagging = bag(lambda: softmax_net(None, 1, "sigmoid", loss=a_loss_that_only_this_test_knows))
    bagging.fit(x, y[:, None], verbose=0)
    path = tmp_path / "ensemble.keras"
    bagging.model.save(path)
    loaded = keras.models.load_model(path)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), bagging.model.predict(x, verbose=0))
    assert loaded.count_params() == 2 * bagging.members[0].count_params()
    with zipfile.ZipFile(path) as file:
        assert "a_loss" not in file.read("config.json").decode()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a SavedModel is TensorFlow's")
def test_the_model_is_exported(tmp_path):
    import tensorflow as tf

    x, y = labelled()
    bagging = bag()
    bagging.fit(x, y, verbose=0)
    bagging.model.export(str(tmp_path / "served"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(served.serve(x).numpy(), bagging.model.predict(x, verbose=0), atol=1e-6)


def test_one_member_is_a_model_too():
    x, y = labelled()
    joint, alone = bag(members=1, joint=True), bag(members=1)
    joint.fit(x, y, validation_data=(x, y), verbose=0)
    alone.fit(x, y, validation_data=(x, y), verbose=0)
    expected = keras.ops.convert_to_numpy(alone.members[0](x))
    for bagging in (joint, alone):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(bagging.model(x)), expected, atol=1e-6)
        np.testing.assert_allclose(bagging.predict_members(x), expected[None], atol=1e-6)


def test_lists_are_predicted_as_they_are_trained_on():
    x, y = labelled()
    bagging, other = bag(), bag()
    bagging.fit(x.tolist(), y.tolist(), verbose=0)
    other.fit(x, y, verbose=0)
    assert_same_weights(weights_of(bagging), weights_of(other))
    np.testing.assert_allclose(bagging.predict_members(x.tolist()), other.predict_members(x), atol=1e-6)
    np.testing.assert_allclose(
        bagging.predict_proba(x.tolist(), batch_size=5), other.model.predict(x, verbose=0), atol=1e-6
    )
