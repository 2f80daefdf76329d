"""The most memory that samplers, losses and metrics hold beyond their data, beside Keras's own, each in a process of its own.

Run: python -m benchmarks.peaks [--only samplers losses metrics]
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks.losses import softmax_losses  # before Keras, as tensorflow-addons is
from benchmarks.memory import peak, restart
from benchmarks.timing import in_own_process, table, versions

MIB = 2**20
SAMPLER_ROWS, FEATURES, BATCH = 100_000, 362, 256
LOSS_ROWS, CLASSES = 65_536, 100
METRIC_ROWS, METRIC_CLASSES = 4_096, 1_000


def samplers():
    """`{name: a function of rows (x, y) that gives what an epoch of fit reads}`."""
    import keras
    import tensorflow as tf

    import keras_imbalance as ki
    from benchmarks.sampling import keras_arrays, without_a_copy

    def array(x, y, **arguments):
        return ki.ArraySampler(x, y, batch_size=BATCH, seed=0, **arguments)

    def stream(x, y):
        rows = tf.data.Dataset.from_generator(
            lambda: ((x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(x), BATCH)),
            output_signature=(tf.TensorSpec((None, x.shape[1])), tf.TensorSpec((None,), tf.int64)),
        )
        return ki.StreamSampler(rows, batch_size=BATCH, class_counts=np.bincount(y), seed=0).dataset()

    def batches(dataset: keras.utils.PyDataset):
        return (dataset[i] for i in range(len(dataset)))

    return {
        "Keras's own array path": keras_arrays,
        "ArraySampler.dataset()": lambda x, y: array(x, y).dataset(),
        "ArraySampler.dataset(), above 1 GiB": lambda x, y: without_a_copy(array(x, y)).dataset(),
        "ArraySampler.dataset(), SMOTE": lambda x, y: array(x, y, smote=ki.SMOTE()).dataset(),
        "ArraySampler.py_dataset()": lambda x, y: batches(array(x, y).py_dataset()),
        "StreamSampler.dataset(), blocks of 64 MiB": stream,
    }


def of_sampler(name):
    rng = np.random.default_rng(0)
    x, y = rng.random((SAMPLER_ROWS, FEATURES), dtype="float32"), rng.choice(3, SAMPLER_ROWS, p=(0.9, 0.09, 0.01))
    make = samplers()[name]

    def read(rows):
        for _ in make(x[:rows], y[:rows]):
            pass

    return read, (2_000, SAMPLER_ROWS)


def losses():
    import keras

    return {"no loss": None, "Keras MSE": keras.losses.MeanSquaredError(), **softmax_losses(one_hot=True)}


def of_loss(name):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(LOSS_ROWS, CLASSES)).astype("float32")
    labels = np.eye(CLASSES, dtype="float32")[rng.integers(0, CLASSES, LOSS_ROWS)]
    loss = losses()[name]

    @tf.function(input_signature=2 * [tf.TensorSpec((None, CLASSES))])
    def forward_and_gradient(y, z):
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = tf.reduce_sum(z) if loss is None else loss(y, z)
        return value, tape.gradient(value, z)

    def run(rows):
        forward_and_gradient(tf.constant(labels[:rows]), tf.constant(logits[:rows]))

    return run, (100, LOSS_ROWS)


def metrics():
    import keras

    import keras_imbalance as ki

    return {
        "Keras SparseCategoricalAccuracy": keras.metrics.SparseCategoricalAccuracy(),
        "Keras F1Score": keras.metrics.F1Score(),
        "PerClassF1": ki.PerClassF1(METRIC_CLASSES),
        "PerClassReport": ki.PerClassReport(METRIC_CLASSES),
        "PerClassIoU": ki.PerClassIoU(METRIC_CLASSES),
        "PerClassAUC": ki.PerClassAUC(METRIC_CLASSES),
        "PerClassAveragePrecision": ki.PerClassAveragePrecision(METRIC_CLASSES),
    }


def of_metric(name):
    rng = np.random.default_rng(0)
    y = rng.integers(0, METRIC_CLASSES, METRIC_ROWS)
    scores = rng.random((METRIC_ROWS, METRIC_CLASSES), dtype="float32")
    one_hot = np.eye(METRIC_CLASSES, dtype="float32")[y] if name == "Keras F1Score" else y
    metric = metrics()[name]

    def run(rows):
        metric.update_state(one_hot[:rows], scores[:rows])
        metric.result()

    return run, (16, METRIC_ROWS)


KINDS = {
    "samplers": (samplers, of_sampler, f"an epoch of {SAMPLER_ROWS:,} x {FEATURES}, batch {BATCH}"),
    "losses": (losses, of_loss, f"forward and gradient, [{LOSS_ROWS}, {CLASSES}] one-hot, in a graph"),
    "metrics": (metrics, of_metric, f"an update and a result, [{METRIC_ROWS}, {METRIC_CLASSES}] scores"),
}


def measure(kind, name):
    """Prints by how many bytes a run of full size raises what the process holds, after one of a few rows."""
    run, (few, many) = KINDS[kind][1](name)
    run(few)
    before = restart()
    run(many)
    print(peak() - before)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND", help="some of them")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "NAME"), help="measure one in this process")
    arguments = parser.parse_args()
    if arguments.one:
        measure(*arguments.one)
        return
    print(versions("keras", "tensorflow", "numpy") + "; one run a process\n")
    for kind in arguments.only:
        names, _, title = KINDS[kind]
        rows = []
        for name in names():
            (held,) = in_own_process("peaks", kind, name)
            rows.append((name, f"{held / MIB:.0f}"))
        print(table((title, "MiB at the peak, data apart"), rows) + "\n", flush=True)


if __name__ == "__main__":
    main()
