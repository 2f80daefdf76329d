"""Data whose best decision is known, and methods that know it: comparisons of them train nothing."""

import numpy as np
from scipy.stats import norm

from keras_imbalance import Method
from keras_imbalance._keras import keras

COUNTS = (900, 90, 60)
MEANS = np.array([0.0, 1.5, 3.0])


def drawn(counts, seed, means=MEANS):
    """Rows (N, 1) of normal distributions with variance 1, one a class, in random order, and their classes."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    return rng.normal(means[y])[:, None].astype("float32"), y


def posterior(x, prior, means=MEANS):
    """The probabilities of the classes, (N, C)."""
    density = norm.pdf(np.asarray(x, float) - means) * prior
    return density / density.sum(axis=1, keepdims=True)


def bayes(run):
    """Trains nothing: gives the probabilities that are right under the class shares of the training rows."""
    prior = run.prior
    return lambda x: posterior(x, prior, MEANS[: run.num_classes]), prior


def net(x_train):
    return keras.Sequential([keras.Input(x_train.shape[1:]), keras.layers.Dense(3, name="scores")])


def two_class_net(x_train):
    return keras.Sequential([keras.Input(x_train.shape[1:]), keras.layers.Dense(2)])


PLAIN = Method("plain", train=bayes)


def deciding(name, like, train=bayes):
    """The method `name` of the planted net that decides as `like` does."""
    return Method(name, train=train, decide=like.decide)
