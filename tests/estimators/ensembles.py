"""Small data and models for the tests of ensembles."""

import numpy as np

from keras_imbalance import BalancedBagging
from keras_imbalance._keras import keras

COUNTS = (60, 22, 10)
JIT = False if keras.backend.backend() == "tensorflow" else "auto"  # XLA takes a second a net


def labelled(counts=COUNTS, features=4, seed=0):
    """Rows of as many classes as there are counts, in mixed order; each class lies around a corner of its own."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    return (rng.normal(size=(len(y), features)) + np.eye(features)[y]).astype("float32"), y


def softmax_net(
    member=None,
    channels=3,
    activation="softmax",
    metrics=("accuracy",),
    optimizer=None,
    loss=None,
    run_eagerly=True,
    **options,
):
    net = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, activation="relu"),
            keras.layers.Dense(channels, activation=activation),
        ]
    )
    binary = channels == 1
    loss = loss or ("binary_crossentropy" if binary else "sparse_categorical_crossentropy")
    # A graph costs more to make than so small a net to train; the tests that compare ways of training make it.
    optimizer = optimizer or keras.optimizers.Adam(0.02)
    net.compile(optimizer, loss, metrics=list(metrics), run_eagerly=run_eagerly, jit_compile=JIT, **options)
    return net


def in_graph(**options):
    return softmax_net(run_eagerly=False, **options)


def sigmoid_net():
    return softmax_net(channels=1, activation="sigmoid")


def bag(build=softmax_net, members=2, **options):
    return BalancedBagging(build, num_members=members, **options)


def weights_of(bagging):
    return [member.get_weights() for member in bagging.members]


def assert_same_weights(got, expected, **tolerance):
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, **tolerance) if tolerance else np.testing.assert_array_equal(a, b)


def backbone_and_head():
    backbone = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
        ]
    )

    def head():
        net = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, activation="softmax")])
        optimizer = keras.optimizers.Adam(0.05)
        net.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
        return net

    return backbone, head
