"""The class shares that the probabilities of an ensemble speak for."""

import numpy as np
import pytest
from ensembles import bag, labelled
from kerases import keras_3_only

from keras_imbalance import PriorCorrection, correct_prior
from keras_imbalance._keras import keras

pytestmark = keras_3_only("BalancedBagging refuses it")


def constant_net():
    """A net whose output for rows of zeros is one number: training makes it the share of class 1."""
    net = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, activation="sigmoid")])
    net.compile(keras.optimizers.SGD(4.0), "binary_crossentropy", run_eagerly=True)
    return net


@pytest.mark.parametrize(("joint", "weighted"), [(False, False), (True, True)])
def test_the_prior_is_the_one_that_members_learn(joint, weighted):
    y = np.random.default_rng(0).permutation(np.repeat([0, 1], [60, 8]))
    weights = np.random.default_rng(1).uniform(0, 2, len(y)) * (1 + y) if weighted else None
    bagging = bag(constant_net, joint=joint, ratio=3)
    x = np.zeros((len(y), 1))
    bagging.fit(x, y, weights, batch_size=32, epochs=12, verbose=0)
    assert bagging.train_prior.dtype == np.float64
    assert bagging.train_prior.sum() == pytest.approx(1)
    np.testing.assert_allclose(bagging.model.predict(x[:1], verbose=0), bagging.train_prior[1], atol=1e-4)
    if not weighted:
        np.testing.assert_array_equal(bagging.train_prior, [0.75, 0.25])
    # Put back to the prior of all rows, the probability is that of all rows.
    honest = correct_prior(bagging.model.predict(x[:1], verbose=0), bagging.train_prior, [60 / 68, 8 / 68])
    np.testing.assert_allclose(honest, 8 / 68, atol=1e-4)
    on_top = keras.Sequential([bagging.model, PriorCorrection(bagging.train_prior, [60, 8])])
    np.testing.assert_allclose(on_top.predict(x[:1], verbose=0), honest, rtol=1e-5)


def test_the_prior_of_three_balanced_classes_is_uniform_and_counts_weights():
    x, y = labelled()
    bagging = bag()
    bagging.fit(x, y, verbose=0)
    np.testing.assert_allclose(bagging.train_prior, np.ones(3) / 3)
    bagging.fit(x, y, np.array([1.0, 2.0, 5.0])[y], verbose=0)
    np.testing.assert_allclose(bagging.train_prior, np.array([1, 2, 5]) / 8)
