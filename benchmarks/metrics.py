"""Metrics of 2 to 20,000 classes next to Keras and tensorflow-addons: the update alone, the step inside fit, state, tracing.

Run: python -m benchmarks.metrics [--classes 2 100 1000 5000 20000]
"""

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks.peers import tensorflow_addons

tfa = tensorflow_addons()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import keras_imbalance as ki  # noqa: E402
from benchmarks.timing import interleaved, measuring, parser_of, ratios, table  # noqa: E402

FEATURES = 32
FOUR = ("precision", "recall", "f1", "specificity")
NONE, PEER = "no metric", "Keras F1Score(average=None)"
ALL_ROWS_AT = 100  # the number of classes for which everything is compared


def four_metrics(size):
    kinds = (ki.PerClassPrecision, ki.PerClassRecall, ki.PerClassF1, ki.PerClassSpecificity)
    return [kind(size, log_classes=False) for kind in kinds]


def keras_objects(size):
    kinds = (keras.metrics.Precision, keras.metrics.Recall)
    return [kind(class_id=k, name=f"{kind.__name__}_{k}") for k in range(size) for kind in kinds]


def metric_sets(size):
    """Name -> (a function that makes the metrics, whether labels are one-hot)."""
    sets = {
        "PerClassF1": (lambda: [ki.PerClassF1(size, log_classes=False)], False),
        "PerClassReport of 4 scores": (lambda: [ki.PerClassReport(size, metrics=FOUR, log_classes=False)], False),
        "MatthewsCorrelation": (lambda: [ki.MatthewsCorrelation(size)], False),
        PEER: (lambda: [keras.metrics.F1Score()], True),
    }
    if size <= 1000:
        sets["ConfusionMatrix"] = (lambda: [ki.ConfusionMatrix(size)], False)
        sets["PerClassAveragePrecision"] = (lambda: [ki.PerClassAveragePrecision(size, log_classes=False)], False)
    if size == ALL_ROWS_AT:
        sets["4 metrics of one score each"] = (lambda: four_metrics(size), False)
        sets["PerClassF1, classes in every batch's logs"] = (lambda: [ki.PerClassF1(size)], False)
        sets[f"{2 * size} Keras Precision and Recall"] = (lambda: keras_objects(size), True)
        if tfa is not None:
            sets["tensorflow-addons F1Score(average=None)"] = (lambda: [tfa.metrics.F1Score(size)], True)
    return sets


def rows_of(size):
    return 1024 if size <= 1000 else 256


def batch(size):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, size, rows_of(size))
    scores = rng.random((len(ids), size), dtype="float32")
    one_hot = np.zeros_like(scores)
    one_hot[np.arange(len(ids)), ids] = 1
    return ids, one_hot, scores / scores.sum(axis=1, keepdims=True)


def update(make, one_hot, size):
    """The update of some metrics in one graph, the seconds until its first call is done, and the bytes of their state."""
    ids, rows, scores = batch(size)
    labels, scores = tf.constant(rows if one_hot else ids), tf.constant(scores)
    metrics = make()

    @tf.function
    def graph(labels, scores):
        for metric in metrics:
            metric.update_state(labels, scores)

    start = time.perf_counter()
    graph(labels, scores)
    seconds = time.perf_counter() - start
    state = sum(4 * int(np.prod(variable.shape)) for metric in metrics for variable in metric.variables)
    return (lambda: graph(labels, scores)), seconds, state


def step(make, one_hot, size, units, jit_compile, steps):
    """An epoch of fit of a network with these hidden layers, and the seconds of its first epoch."""
    rng = np.random.default_rng(1)
    ids, rows, _ = batch(size)
    x = tf.constant(rng.normal(size=(len(ids), FEATURES)).astype("float32"))
    y = tf.constant(rows if one_hot else ids)
    data = tf.data.Dataset.from_tensors((x, y)).repeat(steps)
    model = keras.Sequential([keras.Input((FEATURES,))])
    for width in units:
        model.add(keras.layers.Dense(width, activation="relu"))
    model.add(keras.layers.Dense(size, activation="softmax"))
    loss = "categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy"
    model.compile("sgd", loss, metrics=make(), jit_compile=jit_compile)

    def run():
        model.fit(data, epochs=1, shuffle=False, verbose=0)

    start = time.perf_counter()
    run()
    return run, time.perf_counter() - start


def compare(size, arguments):
    sets, rounds = metric_sets(size), arguments.rounds
    print(f"{size} classes, batch {rows_of(size)}; {rounds} rounds: medians of the update, the fastest epoch of fit.\n")
    updates = {name: update(*entry, size) for name, entry in sets.items()}
    seconds = interleaved({name: entry[0] for name, entry in updates.items()}, rounds)
    compared = ratios(seconds, PEER)
    rows = [
        (
            name,
            f"{1e3 * np.median(seconds[name]):.2f}",
            compared[name],
            f"{updates[name][1]:.2f}",
            f"{updates[name][2] / 1024:,.1f}",
        )
        for name in sets
    ]
    print(table(("update alone", "ms", "x Keras F1Score", "trace, s", "state, KiB"), rows) + "\n", flush=True)
    del updates
    # tensorflow-addons metrics belong to tf-keras and cannot be compiled into a model of Keras 3.
    accuracy = {"Keras SparseCategoricalAccuracy": (lambda: [keras.metrics.SparseCategoricalAccuracy()], False)}
    fitted = {NONE: (list, False), **accuracy, **{name: entry for name, entry in sets.items() if "addons" not in name}}
    steps = max(5, min(50, 50_000 // size))
    epochs = {name: step(*entry, size, arguments.units, arguments.jit, steps) for name, entry in fitted.items()}
    seconds = interleaved({name: run for name, (run, _) in epochs.items()}, rounds, repeats=1, warmup=1)
    # The fastest epoch: on shared cores fit is sometimes held up for longer than an epoch takes.
    fastest = {name: 1e3 * float(values.min()) / steps for name, values in seconds.items()}
    rows = [
        (
            name,
            f"{fastest[name]:.2f}",
            f"{fastest[name] / fastest[NONE]:.2f}",
            f"{fastest[name] / fastest[PEER]:.2f}",
            f"{epochs[name][1]:.1f}",
        )
        for name in fitted
    ]
    header = (
        f"step inside fit, hidden layers {arguments.units}",
        "ms",
        f"x {NONE}",
        "x Keras F1Score",
        "first epoch, s",
    )
    print(table(header, rows) + "\n", flush=True)


def main():
    parser = parser_of(__doc__, rounds=15)
    parser.add_argument("--classes", type=int, nargs="*", default=[2, 100, 1000, 5000, 20_000])
    parser.add_argument("--units", type=int, nargs="*", default=[128], help="hidden layers of the model in fit")
    parser.add_argument("--jit", action="store_true", help="compile the steps of fit with XLA")
    arguments = parser.parse_args()
    with measuring(arguments, "keras", "tensorflow", "tensorflow-addons"):
        for size in arguments.classes:
            compare(size, arguments)
            keras.backend.clear_session()


if __name__ == "__main__":
    main()
