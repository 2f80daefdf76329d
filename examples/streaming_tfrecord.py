"""A stream larger than memory is meant to be: TFRecord files, rebalanced while they are read, and memory that stays flat.

Writes transactions, 0.5 % of them fraud, into TFRecord files, then trains from the files. StreamSampler counts the classes on
the way and repeats or drops rows so that a batch holds as much fraud as honest rows; it holds one block of rows.

    python examples/streaming_tfrecord.py
    python examples/streaming_tfrecord.py --rows 1000000        memory grows by as little
"""

import resource
import sys
import tempfile
import warnings
from pathlib import Path

from common import VERBOSE, at_least, parser_of, print_table, save

# isort: split
import keras
import numpy as np
import tensorflow as tf

import keras_imbalance as ki
from keras_imbalance.plots import plot_precision_recall

FEATURES, SHARE, SHARDS = 12, 0.005, 8
NAMES = ["honest", "fraud"]
SPEC = {"x": tf.io.FixedLenFeature([FEATURES], tf.float32), "y": tf.io.FixedLenFeature([], tf.int64)}


def transactions(rows, rng):
    y = (rng.random(rows) < SHARE).astype("int64")
    x = rng.normal(size=(rows, FEATURES)).astype("float32")
    x[y == 1, :4] += 1.2
    return x, y


def write_shards(folder, rows, seed):
    """The rows in so many files, none of them ever in memory as a whole."""
    rng = np.random.default_rng(seed)
    for i in range(SHARDS):
        with tf.io.TFRecordWriter(str(folder / f"transactions-{i:02d}.tfrecord")) as writer:
            for start in range(0, rows // SHARDS, 1000):
                for x, y in zip(*transactions(min(1000, rows // SHARDS - start), rng), strict=True):
                    feature = {
                        "x": tf.train.Feature(float_list=tf.train.FloatList(value=x)),
                        "y": tf.train.Feature(int64_list=tf.train.Int64List(value=[y])),
                    }
                    writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


def read_shards(folder):
    """Batches of rows from all files in turn."""
    files = tf.data.Dataset.list_files(str(folder / "*.tfrecord"), shuffle=True, seed=0)
    rows = files.interleave(tf.data.TFRecordDataset, cycle_length=4)

    def parsed(batch):
        example = tf.io.parse_example(batch, SPEC)
        return example["x"], example["y"]

    return rows.batch(1024).map(parsed)


class Memory(keras.callbacks.Callback):
    """The largest size of this process so far, MB, after each epoch."""

    def __init__(self):
        super().__init__()
        self.peak = []

    def on_epoch_end(self, epoch, logs=None):
        unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux kilobytes
        self.peak.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def main():
    parser = parser_of(__doc__, epochs=5)
    parser.add_argument("--rows", type=at_least(8000), default=100_000, help="rows in the files")
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)
    # Keras says so at the end of every epoch on a dataset whose length nobody knows.
    warnings.filterwarnings("ignore", message="Your input ran out of data")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        print(f"Writing {arguments.rows} rows into {SHARDS} files", flush=True)
        write_shards(folder, arguments.rows, arguments.seed)
        sampler = ki.StreamSampler(
            read_shards(folder), batch_size=256, num_classes=2, class_names=NAMES, seed=arguments.seed
        )
        held_out = transactions(20_000, np.random.default_rng(arguments.seed + 1))
        net = keras.Sequential(
            [keras.Input((FEATURES,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(2)]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        net.compile("adam", loss, metrics=[ki.PerClassRecall(2, class_names=NAMES)])
        memory = Memory()
        net.fit(
            sampler.dataset(),
            epochs=arguments.epochs,
            shuffle=False,
            validation_data=held_out,
            validation_batch_size=4096,
            callbacks=[memory, ki.ShortBar("loss", "recall", "val_recall")],
            verbose=VERBOSE,
        )
        counts, drawn = sampler.class_counts, sampler.exposure
    x, y = held_out
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(net.predict(x, verbose=0, batch_size=4096)))
    # The net saw as much fraud as honest rows: its probabilities are put back before anybody acts on them.
    honest = ki.correct_prior(probabilities, train_prior=[0.5, 0.5], true_prior=counts / counts.sum())
    print_table(
        ["class", "rows in files", "rows drawn", "mean probability", "corrected", "in the data"],
        [
            [name, int(counts[i]), int(drawn[i])]
            + [float(shares[:, i].mean()) for shares in (probabilities, honest, np.eye(2)[y])]
            for i, name in enumerate(NAMES)
        ],
    )
    growth = memory.peak[-1] - memory.peak[0]
    print(f"Peak memory after the first epoch {memory.peak[0]:.0f} MB, after the last {growth:+.0f} MB")
    save(plot_precision_recall(y, probabilities, class_names=NAMES), arguments.output, "streaming_precision_recall.png")


if __name__ == "__main__":
    main()
