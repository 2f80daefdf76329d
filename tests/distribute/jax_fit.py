"""A fit on JAX in one or several processes, each with its part of every batch.

Usage: python jax_fit.py FOLDER NUMBER [EPOCH], with INDEX and ADDRESS in the environment. Writes FOLDER/result-INDEX.npz at the
end. Worker 1 kills itself in the middle of EPOCH, once.
"""

import os
import signal
import sys

import numpy as np

import keras_imbalance as ki
from keras_imbalance._keras import keras
from keras_imbalance._keras._training import writes_files

EPOCHS = 4


class Watch(keras.callbacks.Callback):
    def __init__(self, kill_in):
        super().__init__()
        self.kill_in, self.epochs = kill_in, []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append(epoch)

    def on_train_batch_end(self, batch, logs=None):
        if self.epochs[-1] == self.kill_in and batch == 4:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder, number, kill_in="-1"):
    number, index = int(number), int(os.environ["INDEX"])
    if number > 1:
        keras.distribution.initialize(os.environ["ADDRESS"], number, index)
        # The sampler divides the batches; Keras cannot, as it does not see their size.
        keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [300, 80, 20]))
    x = (np.random.default_rng(1).normal(size=(400, 4)) + y[:, None]).astype("float32")
    sampler = ki.ArraySampler(x, y, batch_size=32, epoch_size=12 * 32, seed=3)
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_regularizer="l2")])
    loss = ki.FocalLoss(from_logits=True)
    model.compile(keras.optimizers.Adam(0.05), loss, metrics=[ki.PerClassF1(3), ki.ConfusionMatrix(3)])
    watch = Watch(int(kill_in) if index == 1 else -1)
    backup = ki.BackupAndRestore(f"{folder}/backup", delete_checkpoint=False)
    callbacks = [ki.ProgressiveSampling(sampler, end_epoch=EPOCHS), backup, watch]
    dataset = sampler.dataset(num_shards=number, shard_index=index)
    history = model.fit(dataset, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=callbacks).history
    np.savez(
        f"{folder}/result-{index}.npz",
        *[np.asarray(weight) for weight in model.get_weights()],
        epochs=watch.epochs,
        writes=writes_files(model),
        exposure=sampler.exposure,
        **{f"log {name}": values for name, values in history.items()},
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
