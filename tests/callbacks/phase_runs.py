"""Small data, models and callbacks for the tests of phases and of what a resume keeps."""

import numpy as np
import pytest
from kerases import keras_3_only, needs_multi_optimizer

from keras_imbalance import ArraySampler, layerwise_optimizer
from keras_imbalance._keras import Metric, keras, ops
from keras_imbalance.callbacks.layer_selection import walk

COUNTS = (60, 30, 10)
optimizers = keras.optimizers
ALL = {"backbone", "norm", "head"}


def data(seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([0, 1, 2], COUNTS))
    return (rng.normal(size=(100, 4)) + labels[:, None]).astype("float32"), labels


def make_sampler(seed=0, batch_size=25, **arguments):
    return ArraySampler(*data(), batch_size=batch_size, seed=seed, **arguments)


def make_model(optimizer=None, metrics=(), **arguments):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((4,)),
            layers.Dense(5, activation="relu", name="backbone"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(3, name="head"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=list(metrics), **arguments)
    return model


def fit(model, sampler, callbacks, epochs=4, **arguments):
    return model.fit(sampler.dataset(), shuffle=False, epochs=epochs, callbacks=callbacks, verbose=0, **arguments)


def weights_of(model):
    """The weights of every layer with any of its own, by path, as arrays."""
    found = {path: layer.get_weights() for path, layer in walk(model) if layer.weights}
    return {path: weights for path, weights in found.items() if not any(p.startswith(f"{path}/") for p in found)}


def optimizer_values(model):
    variables = model.optimizer.variables
    return [ops.convert_to_numpy(v) for v in (variables() if callable(variables) else variables)]


def same(one, other):
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def changed(before, after):
    """The paths of the layers whose weights differ in any bit."""
    return {path for path in before if not same(before[path], after[path])}


class Recorder(keras.callbacks.Callback):
    """Weights before each epoch and after it, rate, distribution and flags of each epoch."""

    def __init__(self, sampler=None):
        super().__init__()
        self.sampler = sampler
        self.epochs, self.before, self.after, self.rates, self.shares, self.flags = [], [], [], [], [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append(epoch)
        self.before.append(weights_of(self.model))
        self.flags.append(all_flags(self.model))
        rate = getattr(self.model.optimizer, "learning_rate", None)
        self.rates.append(None if rate is None else float(ops.convert_to_numpy(rate)))
        self.shares.append(None if self.sampler is None else self.sampler.distribution)

    def on_epoch_end(self, epoch, logs=None):
        self.after.append(weights_of(self.model))

    def changed(self):
        """For each epoch the layers that changed in it."""
        return [changed(before, after) for before, after in zip(self.before, self.after, strict=True)]


def all_flags(model):
    layers = [model] + [layer for _, layer in walk(model) if layer.weights]
    return [(layer.name, layer.trainable, [v.trainable for v in layer.weights]) for layer in layers]


class Seen(Metric):
    """How many rows of each class train steps have seen in this epoch: `seen/0`, `seen/1`, ..."""

    def __init__(self, num_classes=3, name="seen"):
        super().__init__(name=name)
        self.num_classes = num_classes
        self.rows = self.add_variable((num_classes,), "zeros", name="rows")

    def update_state(self, y_true, y_pred, sample_weight=None):
        one_hot = ops.one_hot(ops.reshape(ops.cast(y_true, "int32"), (-1,)), self.num_classes)
        self.rows.assign(self.rows + ops.cast(ops.sum(one_hot, axis=0), self.rows.dtype))

    def result(self):
        return {f"seen/{i}": self.rows[i] for i in range(self.num_classes)}


class Tap(keras.callbacks.Callback):
    """Rows of each class in every batch that was trained, from the running values of `Seen`: (epoch, counts)."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.so_far = epoch, np.zeros(3)

    def on_train_batch_end(self, batch, logs=None):
        total = np.array([float(logs[f"seen/{i}"]) for i in range(3)])
        self.batches.append((self.epoch, total - self.so_far))
        self.so_far = total

    def stale(self, shares, batch_size):
        """How many batches are not within a row of the share of each class in the epoch's distribution."""
        return sum(
            int((np.abs(counts - batch_size * np.asarray(shares[epoch])) > 1 + 1e-6).any())
            for epoch, counts in self.batches
        )


class Break(Exception):
    pass


class BreakOff(keras.callbacks.Callback):
    """Ends a fit by an exception, as an interrupted cell does: in a batch of an epoch, or at the end of one."""

    def __init__(self, epoch, batch=None):
        super().__init__()
        self.at = epoch, batch
        self.epoch = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.at == (self.epoch, batch):
            raise Break

    def on_epoch_end(self, epoch, logs=None):
        if self.at == (epoch, None):
            raise Break


EMA = {"use_ema": True, "ema_momentum": 0.7}


OPTIMIZERS = {
    "adamw": lambda model: optimizers.AdamW(0.05, weight_decay=0.1, global_clipnorm=1.0),
    "momentum": lambda model: optimizers.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
    "average": lambda model: optimizers.AdamW(0.05, weight_decay=0.1, **EMA),
    "average written": lambda model: optimizers.AdamW(0.05, ema_overwrite_frequency=3, **EMA),
    "accumulation": lambda model: optimizers.AdamW(0.05, weight_decay=0.1, gradient_accumulation_steps=3),
    "scaled": lambda model: optimizers.LossScaleOptimizer(optimizers.AdamW(0.05, weight_decay=0.1, **EMA)),
    "layerwise": lambda model: layerwise_optimizer(
        model, optimizers.AdamW(0.05, weight_decay=0.1, **EMA), {"backbone": 0.5, "head": 2.0}
    ),
}


IN_TF_KERAS = ("adamw", "momentum", "average", "average written")


def with_optimizer(name, **arguments):
    model = make_model(**arguments)
    optimizer = OPTIMIZERS[name](model)
    model.compile(optimizer, model.loss, **arguments)
    return model


def mark(name):
    if name == "layerwise":
        return pytest.param(name, marks=needs_multi_optimizer)
    return name if name in IN_TF_KERAS else pytest.param(name, marks=keras_3_only(f"no optimizer for {name!r}"))


def linear_model(optimizer):
    keras.utils.set_random_seed(1)
    layers = [keras.Input((4,)), keras.layers.Dense(5, name="backbone"), keras.layers.Dense(3, name="head")]
    model = keras.Sequential(layers)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def nested_model():
    """trunk/a, trunk/norm, trunk/block/b and head."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    block = keras.Sequential([keras.Input((3,)), layers.Dense(3, name="b")], name="block")
    trunk = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, name="a"), layers.BatchNormalization(name="norm"), block], name="trunk"
    )
    model = keras.Sequential([keras.Input((4,)), trunk, layers.Dense(3, name="head")])
    compile_eagerly(model)
    return model


def compile_eagerly(model):
    optimizer = optimizers.AdamW(0.05, weight_decay=0.1)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)


def in_trunk(model, name):
    return model.get_layer("trunk").get_layer(name)


def rate_of(model):
    return float(ops.convert_to_numpy(model.optimizer.learning_rate))


def slots(optimizer):
    """The slots by name without that of the optimizer, as arrays."""
    variables = optimizer.variables() if callable(optimizer.variables) else optimizer.variables
    names = [getattr(v, "path", v.name).split("/", 1)[-1] for v in variables]
    return {
        name: value
        for name, value in zip(names, optimizer_values_of(variables), strict=True)
        if "/" in name or "_" in name
    }


def optimizer_values_of(variables):
    return [np.array(ops.convert_to_numpy(v)) for v in variables]


A, NORM, B, HEAD = "trunk/a", "trunk/norm", "trunk/block/b", "head"
