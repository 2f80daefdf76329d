"""How time and memory grow with rows, classes, features and epochs, each size in a process of its own.

Run: python -m benchmarks.growth [--only tomek_links estimate_prior ...]
"""

import argparse
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks.memory import peak
from benchmarks.timing import in_own_process, table, versions

MIB = 2**20


def table_of(rows, features=30, rare=0.01):
    rng = np.random.default_rng(0)
    y = (rng.random(rows) < rare).astype(int)
    x = rng.normal(size=(rows, features)).astype("float32")
    x[y > 0] *= 0.9
    return x, y


def probabilities_of(rows, classes=10):
    """Labels and calibrated probabilities of classes whose shares are halved from one to the next."""
    rng = np.random.default_rng(0)
    shares = 0.5 ** np.arange(classes)
    shares /= shares.sum()
    y = rng.choice(classes, rows, p=shares)
    logits = rng.normal(size=(rows, classes)) + 2 * np.eye(classes)[y]
    p = np.exp(2 * logits) * shares
    return y, p / p.sum(axis=1, keepdims=True), shares


def epoch_of(sampler):
    for _ in sampler.dataset():
        pass


def sampler_of_rows(rows, classes=10, features=4, **arguments):
    import keras_imbalance as ki

    y = np.random.default_rng(0).permutation(np.arange(rows) % classes)
    x = np.zeros((rows, features), dtype="float32")
    return lambda: epoch_of(ki.ArraySampler(x, y, batch_size=1024, seed=0, **arguments))


def stream_of_rows(rows):
    import tensorflow as tf

    import keras_imbalance as ki

    x, y = table_of(rows)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(1024)
    return lambda: epoch_of(ki.StreamSampler(dataset, batch_size=1024, class_counts=np.bincount(y), seed=0))


def smote_of_rows(rows):
    import keras_imbalance as ki

    x, y = table_of(rows)
    return lambda: epoch_of(ki.ArraySampler(x, y, batch_size=1024, smote=ki.SMOTE(), seed=0))


def links_of_rows(rows):
    import keras_imbalance as ki

    x, y = table_of(rows)
    return lambda: ki.tomek_links(x, y)


def prior_of_rows(rows, shifted=True):
    import keras_imbalance as ki

    y, p, shares = probabilities_of(rows)
    if shifted:  # every row of the majority but the tenth is left out
        kept = (y > 0) | (np.arange(rows) % 10 == 0)
        p = np.resize(p[kept], p.shape)
    return lambda: ki.estimate_prior(p, shares)


def thresholds_of_rows(rows):
    import keras_imbalance as ki

    y, p, _ = probabilities_of(rows)
    return lambda: ki.tune_thresholds(y, p)


def cost_of_rows(rows):
    import keras_imbalance as ki

    _, p, _ = probabilities_of(rows)
    costs = 1.0 - np.eye(10)
    return lambda: ki.minimum_cost_decision(p, costs)


def macro_f1_of_rows(rows):
    import keras_imbalance as ki

    _, p, _ = probabilities_of(rows)
    return lambda: ki.tune_macro_f1(p)


def report_of_rows(rows):
    import keras_imbalance as ki

    y, p, _ = probabilities_of(rows)
    return lambda: ki.classification_report(y, p)


def metric_of_classes(classes):
    import keras_imbalance as ki

    rng = np.random.default_rng(0)
    y, scores = rng.integers(0, classes, 256), rng.random((256, classes), dtype="float32")
    metric = ki.PerClassF1(classes, log_classes=False)

    def run():
        for _ in range(100):
            metric.update_state(y, scores)
        metric.result()

    return run


def sampler_of_epochs(epochs):
    """An epoch of ten batches, each with a target of its own, read from one dataset."""
    import keras_imbalance as ki

    x, y = table_of(320, 4, rare=0.2)
    sampler = ki.ArraySampler(x, y, batch_size=32, seed=0)
    dataset = sampler.dataset()

    def run():
        for epoch in range(epochs):
            sampler.target = [0.5 + 0.4 * np.sin(epoch), 0.5 - 0.4 * np.sin(epoch)]
            for _ in dataset:
                pass

    return run


def fit_of_epochs(epochs):
    """Fit with DynamicSampling, whose validation scores change the target each epoch."""
    import keras

    import keras_imbalance as ki

    x, y = table_of(320, 4, rare=0.2)
    sampler = ki.ArraySampler(x, y, batch_size=32, seed=0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    dynamic = ki.DynamicSampling(sampler, validation_data=(x, y))
    return lambda: model.fit(sampler.dataset(), shuffle=False, epochs=epochs, callbacks=[dynamic], verbose=0)


# Name: (what is made of a size, sizes, the unit of a size)
CASES = {
    "ArraySampler, built and an epoch": (sampler_of_rows, (10**5, 10**6, 10**7), "row"),
    "ArraySampler of classes (10^6 rows)": (
        lambda classes: sampler_of_rows(10**6, classes),
        (2, 1000, 20_000),
        "class",
    ),
    "ArraySampler of features (2 x 10^4 rows)": (
        lambda features: sampler_of_rows(20_000, 3, features),
        (100, 1000, 10_000),
        "feature",
    ),
    "StreamSampler, an epoch": (stream_of_rows, (10**4, 10**5, 10**6), "row"),
    "SMOTE, an epoch": (smote_of_rows, (10**4, 10**5, 10**6), "row"),
    "tomek_links": (links_of_rows, (10**4, 10**5, 10**6), "row"),
    "estimate_prior, shifted": (prior_of_rows, (10**4, 10**5, 10**6), "row"),
    "estimate_prior, not shifted": (lambda rows: prior_of_rows(rows, False), (10**4, 10**5, 10**6), "row"),
    "tune_thresholds": (thresholds_of_rows, (10**4, 10**5, 10**6), "row"),
    "minimum_cost_decision": (cost_of_rows, (10**4, 10**5, 10**6), "row"),
    "tune_macro_f1": (macro_f1_of_rows, (10**4, 10**5, 10**6), "row"),
    "classification_report": (report_of_rows, (10**4, 10**5, 10**6), "row"),
    "PerClassF1, 100 updates of 256 rows": (metric_of_classes, (100, 1000, 20_000), "class"),
    "ArraySampler, targets that change": (sampler_of_epochs, (100, 1000, 10_000), "epoch"),
    "fit with DynamicSampling": (fit_of_epochs, (10, 100, 1000), "epoch"),
}


def measure(name, size):
    """Prints the seconds of one call, and by how many bytes it raised what the process holds at most."""
    run = CASES[name][0](size)
    before, start = peak(), time.perf_counter()
    run()
    print(time.perf_counter() - start, peak() - before)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="NAME", help="some of them")
    parser.add_argument("--one", nargs=2, metavar=("NAME", "SIZE"), help="measure one size in this process")
    arguments = parser.parse_args()
    if arguments.one:
        measure(arguments.one[0], int(arguments.one[1]))
        return
    print(versions("keras", "tensorflow", "numpy") + "; one call a process\n")
    shown = []
    for name in arguments.only:
        _, sizes, unit = CASES[name]
        for size in sizes:
            seconds, held = in_own_process("growth", name, size)
            plural = "classes" if unit == "class" else f"{unit}s"
            each = f"{1e6 * seconds / size:.3g}"
            shown.append((name, f"{size:,} {plural}", f"{seconds:.2f}", each, f"{held / MIB:.0f}"))
            print(*shown[-1], sep=", ", file=sys.stderr, flush=True)
    print(table(("what", "of", "seconds", "microseconds of each", "MiB at the peak, data apart"), shown))


if __name__ == "__main__":
    main()
