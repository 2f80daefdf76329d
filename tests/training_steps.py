"""What the training steps of a fit see, on whichever backend runs."""

import numpy as np

from keras_imbalance._keras import keras, ops


def row_numbers_and_labels(x, y):
    return np.asarray(x)[:, 0].astype(int), np.asarray(y)


class Tapped(keras.Sequential):
    """Appends the first feature of each row that a training step sees, and its label, to `tap`: one list an epoch."""

    def train_step(self, *arguments):  # JAX hands its state over first
        x, y = arguments[-1][:2]
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            tf.py_function(lambda a, b: self.tap[-1].append(row_numbers_and_labels(a, b)), [x, y], [])
        else:
            self.tap[-1].append(row_numbers_and_labels(ops.convert_to_numpy(x), ops.convert_to_numpy(y)))
        return super().train_step(*arguments)


class NewEpoch(keras.callbacks.Callback):
    def __init__(self, tap, at_end=lambda epoch: None):
        super().__init__()
        self.tap, self.at_end = tap, at_end

    def on_epoch_begin(self, epoch, logs=None):
        self.tap.append([])

    def on_epoch_end(self, epoch, logs=None):
        self.at_end(epoch)


def fitted_batches(
    sampler,
    epochs,
    built=True,
    at_end=lambda epoch: None,
    loss="sparse_categorical_crossentropy",
    data=None,
    callbacks=(),
    **kwargs,
):
    """Per epoch the batches (row numbers, labels) that the training steps of `fit` saw, of `sampler.dataset()` or `data`."""
    layers = [keras.layers.Input((1,))] if built else []
    model = Tapped([*layers, keras.layers.Dense(sampler.num_classes, activation="softmax")])
    object.__setattr__(model, "tap", [])
    model.compile("sgd", loss, jit_compile=False)  # JAX then runs the step as it is written
    data = sampler.dataset() if data is None else data
    model.fit(data, epochs=epochs, callbacks=[NewEpoch(model.tap, at_end), *callbacks], verbose=0, **kwargs)
    return model.tap
