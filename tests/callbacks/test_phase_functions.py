"""What compiled train, test and predict functions see of a phase: the values of the right variables."""

import numpy as np
from phase_runs import data

from keras_imbalance import Phase, PhasedTraining
from keras_imbalance._keras import keras


def twins():
    """Two hidden layers of equal shapes."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(4, activation="tanh", name="one"),
            layers.Dense(4, activation="tanh", name="two"),
            layers.Dense(3, name="head"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def by_hand(model, x, y):
    """Cross-entropy of the model's weights, and its logits, in float64."""
    h = x.astype("float64")
    for layer in model.layers:
        kernel, bias = layer.get_weights()
        h = h @ kernel + bias
        h = h if layer.name == "head" else np.tanh(h)
    return float(np.mean(np.log(np.exp(h).sum(axis=1)) - h[np.arange(len(y)), y])), h


def test_layers_of_equal_shapes_that_freeze_in_turn_are_evaluated_with_their_own_values():
    """A function that was compiled for the flags of the phase before would give each layer the weights of the other."""
    (x, y), model, errors = data(), twins(), []

    class Compare(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            loss, logits = by_hand(self.model, x, y)
            predicted = self.model.predict(x, verbose=0)
            errors.append((abs(logs["val_loss"] - loss), np.abs(predicted - logits).max()))

    turns = [("one", "two"), ("two", "one")] * 2
    phases = PhasedTraining([Phase(i, freeze=one, unfreeze=other) for i, (one, other) in enumerate(turns)])
    model.fit(x, y, batch_size=25, epochs=4, verbose=0, validation_data=(x, y), callbacks=[phases, Compare()])
    np.testing.assert_allclose(errors, np.zeros((4, 2)), atol=1e-5)
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), by_hand(model, x, y)[0], atol=1e-5)
