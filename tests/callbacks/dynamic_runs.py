"""What the tests of DynamicSampling share: a sampler, rows in three overlapping classes, a model."""

import numpy as np

from keras_imbalance import ArraySampler
from keras_imbalance._keras import keras


def sampler_of(num_classes=3, **arguments):
    labels = np.repeat(np.arange(num_classes), np.arange(num_classes, 0, -1) * 4)
    return ArraySampler(np.zeros((len(labels), 1), "float32"), labels, seed=0, **arguments)


def blobs():
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([0, 1, 2], [120, 30, 10]))
    return (rng.normal(size=(160, 2)) + labels[:, None]).astype("float32"), labels


def softmax_model(metrics=(), channels=3):
    keras.utils.set_random_seed(0)
    activation, loss = "softmax", "sparse_categorical_crossentropy"
    if channels == 1:
        activation, loss = "sigmoid", "binary_crossentropy"
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(channels, activation=activation)])
    model.compile(keras.optimizers.SGD(0.3), loss, metrics=list(metrics))
    return model
