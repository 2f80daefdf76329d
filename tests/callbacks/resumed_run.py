"""A fit with every callback that knows more than the epoch, in a process that kills itself where it is told to.

Usage: python resumed_run.py FOLDER JIT MOMENT [NUMBER]. Writes FOLDER/weights.npz at the end. MOMENT is "nowhere", or the word
"step", "epoch" (at its begin, after all callbacks), "writing" (halfway through the backup) or "written", with a number.
"""

import os
import signal
import sys
from types import SimpleNamespace

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np

import keras_imbalance as ki
from keras_imbalance._keras import keras, ops
from keras_imbalance.callbacks import backup_and_restore, backup_file

EPOCHS, STEPS = 10, 8


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class Killer(keras.callbacks.Callback):
    def __init__(self, moment, number):
        super().__init__()
        self.moment, self.number = moment, number
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        if self.moment == "epoch" and epoch == self.number:
            die()

    def on_train_batch_end(self, batch, logs=None):
        if self.moment == "step" and self.epoch * STEPS + batch == self.number:
            die()


def kill_while_writing(killer):
    write = np.savez

    def torn(file, **arrays):
        if killer.moment == "writing" and killer.epoch == killer.number:
            write(file, **dict(list(arrays.items())[: len(arrays) // 2]))
            die()
        write(file, **arrays)

    def write_backup(path, header, arrays, plain=backup_file.write_backup):
        plain(path, header, arrays)
        if killer.moment == "written" and killer.epoch == killer.number:
            die()

    backup_file.np = SimpleNamespace(**{**vars(np), "savez": torn})
    backup_and_restore.write_backup = write_backup


def main(folder, jit, moment, number="0"):
    keras.utils.set_random_seed(7)
    if keras.backend.backend() == "tensorflow":  # the others are deterministic on a CPU
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat([0, 1, 2], [180, 60, 16]))
    x = (rng.normal(size=(256, 5)) + 0.7 * y[:, None]).astype("float32")
    sampler = ki.ArraySampler(x, y, batch_size=32, smote=ki.SMOTE(k_neighbors=3), seed=3)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(8, activation="relu", name="backbone"),
            layers.BatchNormalization(name="norm"),
            # tf-keras does not tell where a random layer is in its sequence.
            layers.Dropout(0.3 if hasattr(keras, "ops") else 0.0, seed=11),
            layers.Dense(3, name="head"),
        ]
    )
    loss = ki.LDAMLoss(sampler.class_counts, scale=4.0)
    model.compile(keras.optimizers.AdamW(0.02), loss, metrics=[ki.PerClassF1(3)], jit_compile=jit == "jit")
    killer = Killer(moment, int(number))
    kill_while_writing(killer)
    plateau = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=10.0)
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=3, start_from_epoch=5, min_delta=10.0)
    callbacks = [
        ki.DynamicSampling(sampler, end_epoch=6),
        ki.PhasedTraining(
            [
                ki.Phase(2, freeze="backbone", learning_rate_factor=0.5),
                ki.Phase(4, unfreeze=True, reinitialize="head"),
                ki.Phase(6, target="natural", freeze=True, unfreeze="head", learning_rate_factor=0.1),
            ],
            sampler,
        ),
        ki.DeferredReweighting(5),
        plateau,
        stopping,
        ki.BackupAndRestore(f"{folder}/backup", state=[plateau, stopping]),
        killer,
    ]
    fitted = model.fit(
        sampler.dataset(), shuffle=False, validation_data=(x, y), epochs=EPOCHS, callbacks=callbacks, verbose=0
    )
    slots = model.optimizer.variables
    slots = slots() if callable(slots) else slots
    variables = [ops.convert_to_numpy(v) for v in (*model.weights, *slots)]
    np.savez(f"{folder}/unfinished.npz", *variables, exposure=sampler.exposure, epochs=fitted.epoch[-1:] or [-1])
    os.replace(f"{folder}/unfinished.npz", f"{folder}/weights.npz")


if __name__ == "__main__":
    main(*sys.argv[1:])
