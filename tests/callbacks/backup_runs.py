"""A run with every callback that knows more than the epoch, as a process that starts anew would set it up."""

import functools

import pytest
from phase_runs import Break, BreakOff, Recorder, data, fit, make_model, make_sampler, optimizer_values

from keras_imbalance import BackupAndRestore, DynamicSampling, PerClassF1, Phase, PhasedTraining, layerwise_optimizer
from keras_imbalance._keras import keras

optimizers = keras.optimizers
EMA = {"use_ema": True, "ema_momentum": 0.7}
EPOCHS = 6
OPTIMIZERS = {
    "averaged": lambda model: optimizers.AdamW(0.05, weight_decay=0.1, **EMA),
    "layerwise": lambda model: layerwise_optimizer(model, optimizers.AdamW(0.05, **EMA), {"backbone": 0.5}),
    "scaled": lambda model: optimizers.LossScaleOptimizer(optimizers.SGD(0.05, momentum=0.9)),
}


class Run:
    """One run, as a process that starts anew would set it up."""

    def __init__(self, optimizer=None, seed=0, target=(0.2, 0.3, 0.5), units=3, dropout=0.0):
        self.sampler = make_sampler(seed, target=list(target), batch_size=50)
        self.model = make_model(metrics=[PerClassF1(3)], run_eagerly=True)
        if units != 3 or dropout:
            random = [keras.layers.Dropout(dropout, seed=seed) for seed in (2, None)]
            layers = [keras.Input((4,)), *random, keras.layers.Dense(units, name="head")]
            self.model = keras.Sequential(layers)
        if units != 3 or dropout or optimizer:
            made = OPTIMIZERS[optimizer](self.model) if optimizer else optimizers.SGD(0.1)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            self.model.compile(made, loss, metrics=[PerClassF1(units)], run_eagerly=True)
        self.recorder = Recorder(self.sampler)

    def callbacks(self):
        """One of each kind that knows more than the epoch."""
        phases = [
            Phase(1, freeze=True, unfreeze="head", learning_rate_factor=0.5),
            Phase(3, unfreeze=True, reinitialize="head"),
            Phase(5, target="natural", freeze=True, unfreeze="head"),
        ]
        return [
            DynamicSampling(self.sampler, end_epoch=5),
            PhasedTraining(phases, self.sampler),
        ]

    def fit(self, callbacks=None, backup=(), **arguments):
        callbacks = self.callbacks() if callbacks is None else callbacks
        arguments = {"epochs": EPOCHS, "validation_data": data(1), "validation_batch_size": 100, **arguments}
        return fit(self.model, self.sampler, [self.recorder, *callbacks, *backup], **arguments)

    def broken_off(self, at, callbacks=None, backup=(), **arguments):
        with pytest.raises(Break):
            self.fit(callbacks, [*backup, BreakOff(*at)], **arguments)
        return self

    def everything(self):
        exposure = self.sampler.exposure
        return [*self.model.get_weights(), *optimizer_values(self.model), exposure, self.sampler.distribution]


@functools.cache
def uninterrupted(optimizer=None):
    """Weights, optimizer, exposure and distribution at the end of a run that nothing broke off."""
    run = Run(optimizer)
    run.fit()
    return run.everything()


def stopping():
    return keras.callbacks.EarlyStopping(
        "val_f1", mode="max", patience=3, min_delta=10.0, start_from_epoch=1, restore_best_weights=True
    )


class BreakOffAtTheEnd(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        raise Break


def broken_off_at_the_end(folder, callbacks, epochs, optimizer=None):
    run = Run(optimizer)
    given = run.callbacks() if callbacks is None else callbacks
    backup = BackupAndRestore(folder, state=[run.sampler, *(callbacks or ())])
    with pytest.raises(Break):
        run.fit([BreakOffAtTheEnd(), *given], [backup], epochs=epochs)
