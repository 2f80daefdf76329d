"""Rows a second of rebalanced batches, beside what Keras, tf.data and imbalanced-learn offer; then a fit, and growth.

Run: python -m benchmarks.sampling
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from itertools import islice

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

import keras_imbalance as ki
from benchmarks.timing import table, versions

ROWS, FEATURES, BATCH = 200_000, 32, 256
SHARES = (0.90, 0.09, 0.01)
BASE = "Keras's own array path"


def data(rows=ROWS, classes=SHARES):
    rng = np.random.default_rng(0)
    y = rng.choice(len(classes), rows, p=classes)
    return rng.normal(size=(rows, FEATURES)).astype("float32"), y


def keras_arrays(x, y):
    """What fit(x, y) iterates over. Keras has no public name for it."""
    from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter

    return ArrayDataAdapter(x, y, batch_size=BATCH, shuffle=True).get_tf_dataset()


def by_class(x, y):
    return [tf.data.Dataset.from_tensor_slices((x[y == c], y[y == c])).shuffle(10_000).repeat() for c in np.unique(y)]


def imblearn_generator(x, y):
    from imblearn.keras import balanced_batch_generator
    from imblearn.over_sampling import RandomOverSampler

    generator, steps = balanced_batch_generator(x, y, sampler=RandomOverSampler(), batch_size=BATCH, random_state=0)
    signature = (tf.TensorSpec((None, FEATURES), tf.float32), tf.TensorSpec((None,), tf.int64))
    return tf.data.Dataset.from_generator(lambda: generator, output_signature=signature), min(steps, 200)


class TorchSampler:
    """torch's DataLoader over a WeightedRandomSampler, as something that is read like a tf.data.Dataset."""

    def __init__(self, x, y):
        import torch

        weights = (1 / np.bincount(y))[y]
        rows = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
        sampler = torch.utils.data.WeightedRandomSampler(weights, len(y))
        self.loader = torch.utils.data.DataLoader(rows, batch_size=BATCH, sampler=sampler)

    def take(self, batches):
        return islice(self.loader, batches)


def pipelines(x, y):
    """`{name: (dataset, batches to read, rows a round)}`; what is slow reads fewer batches."""
    full = -(-len(y) // BATCH)
    counts = np.bincount(y)
    rows = tf.data.Dataset.from_tensor_slices((x, y))
    balanced = [1 / len(counts)] * len(counts)
    found = {
        BASE: (keras_arrays(x, y), full),
        "ArraySampler": (ki.ArraySampler(x, y, batch_size=BATCH, seed=0).dataset(), full),
        "ArraySampler with SMOTE": (ki.ArraySampler(x, y, batch_size=BATCH, smote=ki.SMOTE(), seed=0).dataset(), full),
        "StreamSampler, batched input": (
            ki.StreamSampler(rows.batch(BATCH), batch_size=BATCH, class_counts=counts, seed=0).dataset(),
            full,
        ),
        "StreamSampler, rows as input": (
            ki.StreamSampler(rows, batch_size=BATCH, class_counts=counts, seed=0).dataset(),
            full,
        ),
        "row shuffle + batch": (rows.shuffle(len(y)).batch(BATCH), full),
        "sample_from_datasets": (tf.data.Dataset.sample_from_datasets(by_class(x, y), balanced).batch(BATCH), 40),
        "rejection_resample": (
            rows.repeat()
            .rejection_resample(lambda x, y: y, balanced, list(SHARES))
            .map(lambda _, row: row)
            .batch(BATCH),
            2,
        ),
    }
    try:
        found["imbalanced-learn generator"] = imblearn_generator(x, y)
    except ImportError:
        print("imbalanced-learn's Keras generator is left out: it does not import here.")
    try:
        found["torch WeightedRandomSampler"] = (TorchSampler(x, y), 60)
    except ImportError:
        print("torch's WeightedRandomSampler is left out: torch is not installed.")
    return found


def rows_per_second(dataset, batches):
    """Rows a second of reading `batches` batches, or all where the dataset is an epoch of that many or more."""
    start, read = time.perf_counter(), 0
    for _ in dataset if batches == -(-ROWS // BATCH) else dataset.take(batches):
        read += 1
    return read * BATCH / (time.perf_counter() - start)


def numpy_loop(x, y):
    """The limit: balanced draws and one take a batch, without tf.data."""
    rng, members = np.random.default_rng(0), [np.flatnonzero(y == c) for c in np.unique(y)]
    start = time.perf_counter()
    for _ in range(len(y) // BATCH):
        rows = np.concatenate([rng.choice(own, BATCH // len(members) + 1) for own in members])[:BATCH]
        x.take(rows, axis=0), y.take(rows)
    return len(y) // BATCH * BATCH / (time.perf_counter() - start)


def measure_pipelines(rounds):
    x, y = data()
    found = pipelines(x, y)
    speeds = {name: [] for name in (*found, "NumPy loop, no tf.data")}
    for dataset, batches in found.values():
        rows_per_second(dataset, min(batches, 2))
    for _ in range(rounds):
        for name, (dataset, batches) in found.items():
            speeds[name].append(rows_per_second(dataset, batches))
        speeds["NumPy loop, no tf.data"].append(numpy_loop(x, y))
    base = np.array(speeds[BASE])
    shown = [
        (name, f"{np.median(values) / 1e6:.3f}", f"{np.median(np.array(values) / base):.3g}")
        for name, values in speeds.items()
    ]
    print(table((f"{ROWS} x {FEATURES}, 90/9/1 %, batch {BATCH}", "million rows a second", "against Keras"), shown))


def mlp():
    model = keras.Sequential(
        [keras.Input((FEATURES,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(3)]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def measure_fit(rounds):
    x, y = data()
    model = mlp()
    sampled = ki.ArraySampler(x, y, batch_size=BATCH, seed=0).dataset()
    fits = {
        "fit(x, y)": lambda: model.fit(x, y, batch_size=BATCH, verbose=0),
        "fit(sampler.dataset())": lambda: model.fit(sampled, shuffle=False, verbose=0),
    }
    spent = {name: [] for name in fits}
    for fit in fits.values():
        fit()
    for _ in range(rounds):
        for name, fit in fits.items():
            start = time.perf_counter()
            fit()
            spent[name].append(time.perf_counter() - start)
    ratio = np.median(np.array(spent["fit(sampler.dataset())"]) / np.array(spent["fit(x, y)"]))
    print(f"\nAn epoch of a small MLP on the sampler takes {ratio:.2f} of the time on arrays.")


def grow(rows, classes):
    """Seconds and bytes a row of building a sampler and reading an epoch of `rows` rows."""
    y = np.random.default_rng(0).permutation(np.arange(rows) % classes)
    x = np.zeros((rows, 4), dtype="float32")
    list(ki.ArraySampler(x[:4096], y[:4096] % 2, batch_size=256, seed=0).dataset())
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    sampler = ki.ArraySampler(x, y, batch_size=1024, seed=0)
    built = time.perf_counter() - start
    for _ in sampler.dataset():
        pass
    total = time.perf_counter() - start
    peak = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    print(f"{built:.2f} s,{total:.2f} s,{1e9 * total / rows:.0f} ns,{peak / rows:.0f}")


def measure_growth():
    shown = []
    for rows, classes in [
        (10**4, 10),
        (10**5, 10),
        (10**6, 10),
        (10**7, 10),
        (10**6, 2),
        (10**6, 1000),
        (10**6, 10**4),
    ]:
        command = [sys.executable, "-m", "benchmarks.sampling", "--grow", str(rows), str(classes)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        shown.append((f"{rows:.0e}", classes, *printed.strip().splitlines()[-1].split(",")))
    print(
        "\n" + table(("rows", "classes", "build", "with an epoch", "a row", "peak bytes a row, x and y apart"), shown)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--grow", type=int, nargs=2, metavar=("ROWS", "CLASSES"), help="measure one size and stop")
    arguments = parser.parse_args()
    if arguments.grow:
        grow(*arguments.grow)
        return
    print(
        versions("keras", "tensorflow", "imbalanced-learn", "torch", "numpy")
        + f"; median of {arguments.rounds} rounds\n"
    )
    measure_pipelines(arguments.rounds)
    measure_fit(arguments.rounds)
    measure_growth()


if __name__ == "__main__":
    main()
