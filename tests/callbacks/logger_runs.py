"""What the tests of PerClassLogger and PerClassTensorBoard share: rows and models."""

import numpy as np

from keras_imbalance._keras import keras


def make_rows():
    """Features and labels of three classes that overlap, 57 rows to 15: whole batches of 32 are traced once."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [57, 24, 15])
    order = rng.permutation(96)
    return (rng.normal(size=(96, 4)).astype("float32") + labels[:, None])[order], labels[order]


def model_with(metrics, outputs=1, **compiled):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    heads = [keras.layers.Dense(3, activation="softmax", name=f"head{i}")(inputs) for i in range(outputs)]
    model = keras.Model(inputs, heads[0] if outputs == 1 else {f"head{i}": head for i, head in enumerate(heads)})
    model.compile(keras.optimizers.SGD(0.2), "sparse_categorical_crossentropy", metrics=metrics, **compiled)
    return model
