"""Metrics of 100 classes beside Keras and tensorflow-addons: the update alone, the step inside fit, the time to trace.

Run: python -m benchmarks.metrics
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks.peers import tensorflow_addons

tfa = tensorflow_addons()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import keras_imbalance as ki  # noqa: E402
from benchmarks.timing import interleaved, ratios, table, versions  # noqa: E402

CLASSES, ROWS, FEATURES, STEPS = 100, 1024, 32, 50
FOUR = ("precision", "recall", "f1", "specificity")
NONE = "no metric"


def four_metrics(**options):
    kinds = (ki.PerClassPrecision, ki.PerClassRecall, ki.PerClassF1, ki.PerClassSpecificity)
    return [kind(CLASSES, **options) for kind in kinds]


def keras_objects():
    kinds = (keras.metrics.Precision, keras.metrics.Recall)
    return [kind(class_id=k, name=f"{kind.__name__}_{k}") for k in range(CLASSES) for kind in kinds]


def metric_sets():
    """Name -> (a function that makes the metrics, whether labels are one-hot)."""
    sets = {
        "PerClassReport of 4 scores": (lambda: [ki.PerClassReport(CLASSES, FOUR, log_classes=False)], False),
        "PerClassF1": (lambda: [ki.PerClassF1(CLASSES, log_classes=False)], False),
        "4 metrics of one score each": (lambda: four_metrics(log_classes=False), False),
        "PerClassAveragePrecision": (lambda: [ki.PerClassAveragePrecision(CLASSES, log_classes=False)], False),
        "PerClassF1, classes in every batch's logs": (lambda: [ki.PerClassF1(CLASSES)], False),
        "Keras F1Score(average=None)": (lambda: [keras.metrics.F1Score()], True),
        "200 Keras Precision and Recall": (keras_objects, True),
    }
    if tfa is not None:
        sets["tensorflow-addons F1Score(average=None)"] = (lambda: [tfa.metrics.F1Score(CLASSES)], True)
    return sets


def batch():
    rng = np.random.default_rng(0)
    ids = rng.integers(0, CLASSES, ROWS)
    scores = rng.random((ROWS, CLASSES)).astype("float32")
    return ids, np.eye(CLASSES, dtype="float32")[ids], scores / scores.sum(axis=1, keepdims=True)


def update(make, one_hot):
    """The update of some metrics in one graph, and the seconds until its first call is done."""
    ids, rows, scores = batch()
    labels, scores = tf.constant(rows if one_hot else ids), tf.constant(scores)
    metrics = make()

    @tf.function
    def graph(labels, scores):
        for metric in metrics:
            metric.update_state(labels, scores)

    start = time.perf_counter()
    graph(labels, scores)
    return (lambda: graph(labels, scores)), time.perf_counter() - start


def step(make, one_hot, units, jit_compile):
    """An epoch of fit of a network with these hidden layers, and the seconds of its first epoch."""
    rng = np.random.default_rng(1)
    ids, rows, _ = batch()
    x = tf.constant(rng.normal(size=(ROWS, FEATURES)).astype("float32"))
    y = tf.constant(rows if one_hot else ids)
    data = tf.data.Dataset.from_tensors((x, y)).repeat(STEPS)
    model = keras.Sequential([keras.Input((FEATURES,))])
    for width in units:
        model.add(keras.layers.Dense(width, activation="relu"))
    model.add(keras.layers.Dense(CLASSES, activation="softmax"))
    loss = "categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy"
    callbacks = [ki.PerClassLogger()] if _ours(make) else []
    model.compile("sgd", loss, metrics=make(), jit_compile=jit_compile)

    def run():
        model.fit(data, epochs=1, shuffle=False, callbacks=callbacks, verbose=0)

    start = time.perf_counter()
    run()
    return run, time.perf_counter() - start


def _ours(make):
    return any(type(metric).__name__.startswith("PerClass") for metric in make())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--units", type=int, nargs="*", default=[128], help="hidden layers of the model in fit")
    parser.add_argument("--jit", action="store_true", help="compile the steps of fit with XLA")
    arguments = parser.parse_args()
    rounds, sets = arguments.rounds, metric_sets()
    print(versions("keras", "tensorflow", "tensorflow-addons"))
    print(f"{CLASSES} classes, batch {ROWS}; {rounds} rounds: medians of the update, the fastest epoch of fit.\n")
    updates = {name: update(*entry) for name, entry in sets.items()}
    seconds = interleaved({name: run for name, (run, _) in updates.items()}, rounds)
    compared = ratios(seconds, "PerClassReport of 4 scores")
    rows = [
        (name, f"{1e3 * np.median(seconds[name]):.2f}", f"{compared[name]:.2f}", f"{updates[name][1]:.2f}")
        for name in sets
    ]
    print(table(("update alone", "ms", "x PerClassReport", "trace, s"), rows) + "\n", flush=True)
    # tensorflow-addons metrics belong to tf-keras and cannot be compiled into a model of Keras 3.
    accuracy = {"Keras SparseCategoricalAccuracy": (lambda: [keras.metrics.SparseCategoricalAccuracy()], False)}
    fitted = {NONE: (list, False), **accuracy, **{name: entry for name, entry in sets.items() if "addons" not in name}}
    steps = {name: step(*entry, arguments.units, arguments.jit) for name, entry in fitted.items()}
    seconds = interleaved({name: run for name, (run, _) in steps.items()}, rounds, repeats=1, warmup=1)
    # The fastest epoch: on shared cores fit is sometimes held up for longer than an epoch takes.
    fastest = {name: 1e3 * float(values.min()) / STEPS for name, values in seconds.items()}
    rows = [
        (name, f"{fastest[name]:.2f}", f"{fastest[name] / fastest[NONE]:.2f}", f"{steps[name][1]:.1f}")
        for name in fitted
    ]
    header = (f"step inside fit, hidden layers {arguments.units}", "ms", f"x {NONE}", "first epoch, s")
    print(table(header, rows) + "\n")


if __name__ == "__main__":
    main()
