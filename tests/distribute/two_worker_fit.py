"""A fit under MultiWorkerMirroredStrategy, or under none where TF_CONFIG is missing.

Usage: python two_worker_fit.py FOLDER [EPOCH]. Writes FOLDER/result-INDEX.npz at the end. Worker 1 kills itself in the
middle of EPOCH, once.
"""

import json
import os
import signal
import sys

import numpy as np
import tensorflow as tf

import keras_imbalance as ki
from keras_imbalance._keras import keras
from keras_imbalance._keras._training import writes_files

EPOCHS, BATCH = 4, 32


class Tapped(keras.Sequential):
    def train_step(self, data):
        tf.numpy_function(lambda rows: self.tap[-1].extend(rows[:, 0].astype(int).tolist()), [data[0]], [])
        return super().train_step(data)


class Watch(keras.callbacks.Callback):
    def __init__(self, tap, kill_in):
        super().__init__()
        self.tap, self.kill_in, self.epochs, self.epoch = tap, kill_in, [], 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.tap.append([])
        self.epochs.append(epoch)

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.kill_in and batch == 4:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder, kill_in="-1"):
    config = json.loads(os.environ.get("TF_CONFIG", "{}"))
    index = config.get("task", {}).get("index", 0)
    strategy = tf.distribute.MultiWorkerMirroredStrategy() if config else tf.distribute.get_strategy()
    y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [300, 80, 20]))
    x = np.concatenate([np.arange(400.0)[:, None], np.random.default_rng(1).normal(size=(400, 4)) + y[:, None]], 1)
    sampler = ki.ArraySampler(x.astype("float32"), y, batch_size=BATCH, epoch_size=12 * BATCH, seed=3)
    with strategy.scope():
        keras.utils.set_random_seed(1)
        dense = keras.layers.Dense(3, kernel_regularizer="l2")
        model = Tapped([keras.Input((5,)), keras.layers.Rescaling([0.0, 1.0, 1.0, 1.0, 1.0]), dense])
        loss = ki.FocalLoss(from_logits=True)
        model.compile(keras.optimizers.Adam(0.05), loss, metrics=[ki.PerClassF1(3), ki.ConfusionMatrix(3)])
    object.__setattr__(model, "tap", [])
    watch = Watch(model.tap, int(kill_in) if index == 1 else -1)
    backup = ki.BackupAndRestore(f"{folder}/backup", delete_checkpoint=False)
    callbacks = [ki.ProgressiveSampling(sampler, end_epoch=EPOCHS), backup, watch]
    history = model.fit(sampler.dataset(), epochs=EPOCHS, verbose=0, callbacks=callbacks).history
    np.savez(
        f"{folder}/result-{index}.npz",
        *[np.asarray(weight) for weight in model.get_weights()],
        rows=np.array(model.tap),
        labels=y,
        epochs=watch.epochs,
        writes=writes_files(model),
        exposure=sampler.exposure,
        distribution=sampler.distribution,
        **{f"log {name}": values for name, values in history.items()},
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
