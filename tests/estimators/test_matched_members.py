"""A matched pair in each member: rows of any target, and a loss that is adjusted to them."""

import warnings

import numpy as np
import pytest
from ensembles import bag
from kerases import keras_3_only

from keras_imbalance import ClassBalancedLoss, LogitAdjustedLoss, correct_prior
from keras_imbalance._keras import keras

pytestmark = keras_3_only("BalancedBagging refuses it")
Y = np.random.default_rng(0).permutation(np.repeat([0, 1], [60, 8]))
X = np.zeros((len(Y), 1))


def constant_net(loss):
    """A net whose output for rows of zeros is one number: training makes it the share of class 1 that it speaks for."""
    net = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    net.compile(keras.optimizers.SGD(4.0), loss, run_eagerly=True)
    return net


@pytest.mark.parametrize("joint", [False, True])
def test_members_of_a_matched_pair_speak_for_the_prior_asked_for(joint):
    weights, given = np.where(Y == 1, 2.0, 1.0), []

    def build(member, class_counts):
        given.append(class_counts)
        return constant_net(LogitAdjustedLoss(class_counts, output_prior=[0.7, 0.3], from_logits=True))

    bagging = bag(build, joint=joint, target=0.5, from_logits=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        bagging.fit(X, Y, weights, epochs=10, verbose=0)
    rows = np.bincount(Y[bagging.rows[0]])
    np.testing.assert_array_equal(rows, [round(8 * (60 / 8) ** 0.5), 8])
    for counts in given:
        np.testing.assert_allclose(counts / counts.sum(), [rows[0] / (rows[0] + 16), 16 / (rows[0] + 16)])
    np.testing.assert_allclose(bagging.train_prior, [0.7, 0.3])
    np.testing.assert_allclose(bagging.predict_proba(X[:1]), [[0.7, 0.3]], atol=1e-3)
    honest = correct_prior(bagging.predict_proba(X[:1]), bagging.train_prior, [60, 8])
    np.testing.assert_allclose(honest, [[60 / 68, 8 / 68]], atol=1e-3)


def test_counts_of_the_data_are_warned_of_and_the_prior_is_the_one_that_is_learnt():
    bagging = bag(lambda: constant_net(LogitAdjustedLoss([60, 8], from_logits=True)), members=1, from_logits=True)
    with pytest.warns(UserWarning, match="LogitAdjustedLoss is given class counts.*correct twice.*class_counts"):
        bagging.fit(X, Y, epochs=10, verbose=0)
    np.testing.assert_allclose(bagging.train_prior, [8 / 68, 60 / 68])  # twice: balanced rows, and once more
    np.testing.assert_allclose(bagging.predict_proba(X[:1])[0], bagging.train_prior, atol=1e-3)
    balanced = bag(lambda: constant_net(ClassBalancedLoss([60, 8], from_logits=True)), members=1, from_logits=True)
    with pytest.warns(UserWarning, match="ClassBalancedLoss is given class counts"):
        balanced.fit(X, Y, verbose=0)
