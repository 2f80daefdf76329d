"""Several machines train one model: a loop of one's own, for Keras 3 under MultiWorkerMirroredStrategy.

`fit` of Keras 3 does not run under that strategy (keras#20585); that of tf-keras does, with `sampler.dataset()` as it is. On
real machines each runs this script with its own TF_CONFIG; without one the script starts its workers here and waits for them.

    python examples/two_workers.py
    python examples/two_workers.py --workers 3 --epochs 10

Every worker draws the same batches from the same seed and takes its own part of each, so any number of workers trains on the
rows of one process, and to the same numbers. When a worker dies, the others stop too; all of them, started again, go on from
the last epoch that was saved.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from common import at_least, folder

# isort: split
import keras
import numpy as np
import tensorflow as tf

import keras_imbalance as ki

BATCH_SIZE = 96  # rows of all workers together
STEPS = 20


def data():
    """Three overlapping clouds of 1500, 150 and 30 points."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat([0, 1, 2], [1500, 150, 30]))
    angle = 2 * np.pi / 3 * y
    x = 1.5 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + rng.normal(size=(len(y), 2))
    return x.astype("float32"), y


def train(epochs, folder):
    strategy = tf.distribute.MultiWorkerMirroredStrategy()  # before TensorFlow does anything else
    x, y = data()
    sampler = ki.ArraySampler(x, y, batch_size=BATCH_SIZE, epoch_size=STEPS * BATCH_SIZE, seed=0)
    balancing = ki.ProgressiveSampling(sampler, end_epoch=epochs)
    batches = strategy.distribute_datasets_from_function(sampler.worker_dataset)

    with strategy.scope():
        keras.utils.set_random_seed(0)  # the same weights in every worker
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(3)])
        optimizer = keras.optimizers.Adam(0.01)
        optimizer.build(model.trainable_variables)
        loss, metric = ki.FocalLoss(from_logits=True), ki.PerClassF1(3)

    @tf.function
    def step(batch):
        def on_one_replica(x, y):
            with tf.GradientTape() as tape:
                logits = model(x, training=True)
                # A mean over the replica's rows, divided by the number of replicas: the sum over replicas is the whole mean.
                value = loss(y, logits)
            optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)
            metric.update_state(y, tf.nn.softmax(logits))
            return value

        return strategy.reduce("SUM", strategy.run(on_one_replica, args=batch), axis=None)

    variables = [*model.variables, *optimizer.variables]
    saved = folder / "state.npz"
    begin = restore(saved, variables, sampler) if saved.exists() else 0
    if begin and strategy.cluster_resolver.task_id == 0:
        print(f"{saved} holds {begin} of {epochs} epochs. Delete it to begin anew.", flush=True)
    for epoch in range(begin, epochs):
        balancing.on_epoch_begin(epoch)
        metric.reset_state()
        losses = [float(step(batch)) for batch in batches]
        # What workers add up is read by all of them together, and written by the first.
        scores, values = metric.result(), [variable.numpy() for variable in variables]
        if strategy.cluster_resolver.task_id == 0:
            save(saved, values, sampler, epoch + 1)
            shown = " ".join(f"{key} {float(score):.3f}" for key, score in scores.items())
            print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f} {shown}", flush=True)


def save(path, values, sampler, epoch):
    """Writes the file whole or not at all."""
    unfinished = path.with_name("unfinished.npz")
    np.savez(unfinished, *values, epoch=epoch, sampler=json.dumps(sampler.state_dict()))
    os.replace(unfinished, path)


def restore(path, variables, sampler):
    with np.load(path) as file:
        for i, variable in enumerate(variables):
            variable.assign(file[f"arr_{i}"])
        sampler.load_state_dict(json.loads(str(file["sampler"])))
        return int(file["epoch"])


def start_workers(number):
    """Runs this script once for each worker, on ports that are free, and ends all when one has failed."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    workers = []
    try:
        for index in range(number):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            workers.append(
                subprocess.Popen([sys.executable, *sys.argv], env={**os.environ, "TF_CONFIG": json.dumps(task)})
            )
        return max(abs(worker.wait()) for worker in workers)
    finally:
        for worker in workers:
            worker.kill()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--epochs", type=at_least(1), default=6, help="epochs in all, those that are saved included")
    parser.add_argument("--workers", type=at_least(1), default=2, help="to start here, where there is no TF_CONFIG")
    parser.add_argument(
        "--output", type=folder, default=Path("output"), help="folder of the saved state, shared by all"
    )
    arguments = parser.parse_args()
    if "TF_CONFIG" not in os.environ:
        sys.exit(start_workers(arguments.workers))
    arguments.output.mkdir(parents=True, exist_ok=True)
    train(arguments.epochs, arguments.output)


if __name__ == "__main__":
    main()
