"""A fit with every callback that knows more than the epoch, in a process that kills itself where it is told to.

Usage: python resumed_run.py FOLDER JIT KEEPER PLACE. Writes FOLDER/weights.npz at the end. PLACE is "nowhere", or the word
"step", "epoch" (at its begin, after all callbacks), "writing" (halfway through the state's file) or "written" with a number.
"""

import os
import signal
import sys
from types import SimpleNamespace

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np

import keras_imbalance as ki
from keras_imbalance.backend import keras, ops
from keras_imbalance.callbacks import state as state_module

EPOCHS, STEPS = 10, 8


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class Killer(keras.callbacks.Callback):
    def __init__(self, place, number):
        super().__init__()
        self.place, self.number = place, number
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        if self.place == "epoch" and epoch == self.number:
            die()

    def on_train_batch_end(self, batch, logs=None):
        if self.place == "step" and self.epoch * STEPS + batch == self.number:
            die()


def kill_while_writing(killer):
    write = np.savez

    def torn(file, **arrays):
        if killer.place == "writing" and killer.epoch == killer.number:
            write(file, **arrays)
            file.flush()
            file.truncate(file.tell() // 2)
            die()
        write(file, **arrays)

    def write_state(path, state, arrays, plain=state_module.write_state):
        plain(path, state, arrays)
        if killer.place == "written" and killer.epoch == killer.number:
            die()

    state_module.np = SimpleNamespace(**{**vars(np), "savez": torn})
    state_module.write_state = write_state


def main(folder, jit, keeper, place, number="0"):
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
    killer = Killer(place, int(number))
    kill_while_writing(killer)
    backup = {
        "own": [ki.BackupAndRestore(f"{folder}/backup")],
        "keras": [ki.TrainingState(f"{folder}/state"), keras.callbacks.BackupAndRestore(f"{folder}/backup")],
    }
    callbacks = [
        ki.DynamicSampling(sampler, stop_epoch=6),
        ki.PhasedTraining(
            [
                ki.Phase(2, frozen="backbone", learning_rate_factor=0.5),
                ki.Phase(4, trainable=True, reinitialize="head"),
                ki.Phase(6, target="natural", trainable="head", learning_rate_factor=0.1),
            ],
            sampler,
        ),
        ki.DeferredReweighting(5),
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=10.0),
        keras.callbacks.EarlyStopping("val_loss", patience=3, start_from_epoch=5, min_delta=10.0),
        *backup[keeper],
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
