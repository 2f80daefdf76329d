"""Text as Keras's fit takes it: arrays, lists, columns of frames. On TensorFlow, which alone holds text in tensors."""

import numpy as np
import pandas as pd
import pytest
from ensembles import assert_same_weights, bag, weights_of
from kerases import keras_3_only

from keras_imbalance._keras import keras

pytestmark = [
    keras_3_only("BalancedBagging refuses it"),
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="text is TensorFlow's"),
]
TOWNS = ["Bonn", "Kiel", "Ulm"]
Y = np.random.default_rng(0).permutation(np.repeat([0, 1], [40, 12]))
TOWN = np.random.default_rng(1).integers(3, size=52)
AGE = np.random.default_rng(2).normal(size=52)


def of_towns(lookup, dtype, run_eagerly=True):
    """Looks towns up, or takes their numbers: the same weights behind both."""
    inputs = keras.Input((1,), dtype=dtype)
    ids = keras.layers.StringLookup(vocabulary=TOWNS, num_oov_indices=0)(inputs) if lookup else inputs
    hidden = keras.layers.CategoryEncoding(3, output_mode="one_hot")(ids)
    net = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", kernel_initializer="ones")(hidden))
    net.compile(keras.optimizers.SGD(0.5), "binary_crossentropy", run_eagerly=run_eagerly)
    return net


@pytest.fixture(scope="module")
def numbers():
    bagging = bag(lambda: of_towns(False, "int64")).fit(TOWN[:, None], Y, batch_size=10, verbose=0)
    return weights_of(bagging), bagging.predict_proba(TOWN[:, None])


@pytest.mark.parametrize("joint", [False, True])
def test_members_look_text_up_as_if_they_were_given_numbers(joint, numbers):
    text = np.array(TOWNS)[TOWN][:, None]
    bagging = bag(lambda: of_towns(True, "string", run_eagerly=joint), joint=joint)
    bagging.fit(text, Y, batch_size=10, validation_data=(text[:20], Y[:20]), verbose=0)
    assert_same_weights(weights_of(bagging), numbers[0], rtol=1e-5, atol=1e-6)
    for form in (text, text.astype(object), text.tolist()):
        np.testing.assert_allclose(bagging.predict_proba(form), numbers[1], atol=1e-6)


def test_a_series_of_text_is_predicted_as_it_is_trained_on():
    text = pd.Series(np.array(TOWNS)[TOWN], index=range(5, 57))
    bagging = bag(lambda: of_towns(True, "string")).fit(text, Y, batch_size=10, verbose=0)
    np.testing.assert_allclose(bagging.predict_proba(text), bagging.predict_proba(text.tolist()), atol=1e-6)


def test_labels_in_a_frame_of_one_column_are_those_of_the_column():
    words = pd.Series(np.array(["worn", "ok"])[Y])
    features = np.eye(3, dtype="float32")[TOWN]

    def build():
        net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid")])
        net.compile("sgd", "binary_crossentropy", run_eagerly=True)
        return net

    column, frame = (bag(build).fit(features, y, batch_size=10, verbose=0) for y in (words, words.to_frame("state")))
    assert_same_weights(weights_of(frame), weights_of(column), rtol=0)
    np.testing.assert_array_equal(frame.classes_, ["ok", "worn"])


def test_a_frame_with_a_column_of_text_is_a_dict_of_inputs():
    frame = pd.DataFrame({"town": np.array(TOWNS)[TOWN], "age": AGE})

    def build():
        inputs = {"town": keras.Input((), dtype="string", name="town"), "age": keras.Input((), name="age")}
        ids = keras.layers.StringLookup(vocabulary=TOWNS, num_oov_indices=0)(inputs["town"])
        parts = [keras.layers.Embedding(3, 2)(ids), keras.layers.Reshape((1,))(inputs["age"])]
        net = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(keras.layers.Concatenate()(parts)))
        net.compile("sgd", "binary_crossentropy", run_eagerly=True)
        return net

    bagging = bag(build, sampling="bootstrap", oob_score=True).fit(frame, Y, verbose=0)
    columns = {"town": frame["town"].to_numpy(), "age": AGE}
    np.testing.assert_allclose(bagging.predict_proba(frame), bagging.predict_proba(columns))
    assert np.isfinite(bagging.oob_score_)
