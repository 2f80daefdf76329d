"""Rows a second of rebalanced batches, of Keras, tf.data and imbalanced-learn; then a fit, and a folder of images.

Run: python -m benchmarks.sampling
"""

import os
import subprocess
import sys
import tempfile
import time
from itertools import islice

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

import keras_imbalance as ki
from benchmarks.memory import peak
from benchmarks.timing import interleaved, measuring, parser_of, quartiles, ratios, table

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
        (name, f"{np.median(values) / 1e6:.3f}", quartiles(np.array(values) / base)) for name, values in speeds.items()
    ]
    print(table((f"{ROWS} x {FEATURES}, 90/9/1 %, batch {BATCH}", "million rows a second", "against Keras"), shown))


SHAPES = ((200_000, (4,)), (200_000, (32,)), (50_000, (362,)), (20_000, (3_072,)), (1_000, (224, 224, 3)))
CONSTANT = "one constant batch"


def small_net(shape):
    pool = [keras.layers.GlobalAveragePooling2D()] if len(shape) == 3 else []
    model = keras.Sequential(
        [keras.Input(shape), *pool, keras.layers.Dense(64, activation="relu"), keras.layers.Dense(3)]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def without_a_copy(sampler):
    """A sampler as it delivers what is larger than it holds as tensors."""
    sampler._feed.on_disk = True
    return sampler


def fits_of(rows, shape):
    """`{name: a function that fits an epoch}` of one small network each, on rows of this shape."""
    rng = np.random.default_rng(0)
    batch = BATCH if len(shape) == 1 else 32
    x, y = rng.random((rows, *shape), dtype="float32"), rng.choice(3, rows, p=SHARES).astype("int32")
    same = tf.data.Dataset.from_tensors((x[:batch], y[:batch])).repeat(-(-rows // batch))

    def sampler(**arguments):
        return ki.ArraySampler(x, y, batch_size=batch, seed=0, **arguments)

    sources = {
        CONSTANT: same,
        "sampler": sampler().dataset(),
        "sampler without a copy of x": without_a_copy(sampler()).dataset(),
        "sampler with SMOTE": sampler(smote=ki.SMOTE()).dataset(),
    }
    if len(shape) == 3:
        del sources["sampler with SMOTE"]
    models = {name: small_net(shape) for name in ("fit(x, y)", *sources)}
    fits = {"fit(x, y)": lambda: models["fit(x, y)"].fit(x, y, batch_size=batch, verbose=0)}
    for name, source in sources.items():
        fits[name] = lambda name=name, source=source: models[name].fit(source, shuffle=False, verbose=0)
    return fits


def measure_fits(rounds, shapes):
    shown = []
    for rows, shape in shapes:
        seconds = interleaved(fits_of(rows, shape), rounds, repeats=1, warmup=1)
        constant, arrays = ratios(seconds, CONSTANT), ratios(seconds, "fit(x, y)")
        size = f"{rows} x {' x '.join(map(str, shape))}"
        shown += [
            (size, name, f"{np.median(values):.3f}", constant[name], arrays[name]) for name, values in seconds.items()
        ]
    print("\n" + table(("rows", "an epoch of fit on", "seconds", f"of {CONSTANT}", "of fit(x, y)"), shown))


FOLDER = {"image_size": (224, 224), "batch_size": 32, "seed": 0}


def write_images(folder, images=2_000):
    """JPEG files of 400 x 300 in the shares of the other rows."""
    rng = np.random.default_rng(0)
    small = rng.random((images, 10, 8, 3), dtype="float32")
    for i, name in enumerate(rng.choice(["common", "less", "rare"], images, p=SHARES)):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
        image = tf.cast(255 * tf.image.resize(small[i], (400, 300), "bicubic"), tf.uint8)
        tf.io.write_file(os.path.join(folder, name, f"{i}.jpg"), tf.io.encode_jpeg(image))


def folder_dataset(name, folder):
    if name == "image_dataset_from_directory":
        return keras.utils.image_dataset_from_directory(folder, verbose=False, **FOLDER)
    target = "natural" if name.endswith("natural") else "balanced"
    return ki.ArraySampler.from_directory(folder, target=target, **FOLDER).dataset()


FOLDERS = ("image_dataset_from_directory", "from_directory, natural", "from_directory, balanced")


def folder_memory(name, folder):
    """Peak MiB of an epoch, in a process of its own."""
    before = peak()
    for _ in folder_dataset(name, folder):
        pass
    print((peak() - before) / 2**20)


def measure_folder(rounds):
    with tempfile.TemporaryDirectory() as folder:
        write_images(folder)
        datasets = {name: folder_dataset(name, folder) for name in FOLDERS}
        spent = {name: [] for name in FOLDERS}
        for number in range(rounds + 1):
            for name, dataset in datasets.items():
                cpu, start, images = time.process_time(), time.perf_counter(), 0
                for x, _ in dataset:
                    images += len(x)
                if number:
                    measured = time.perf_counter() - start, time.process_time() - cpu
                    spent[name].append([1e3 * value / images for value in measured])
        base = np.array(spent[FOLDERS[0]])
        shown = []
        for name in FOLDERS:
            command = [sys.executable, "-m", "benchmarks.sampling", "--folder", name, folder]
            memory = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]
            values = np.array(spent[name])
            wall, cpu = np.median(values, axis=0)
            of_wall, of_cpu = map(quartiles, (values / base).T)
            shown.append((name, f"{wall:.2f}", of_wall, f"{cpu:.2f}", of_cpu, f"{float(memory):.0f}"))
    header = (
        "400 x 300 to 224 x 224",
        "ms a decoded image",
        "against Keras",
        "CPU ms",
        "against Keras",
        "MiB at the peak",
    )
    print("\n" + table(header, shown))


def _shape(text):
    rows, *shape = map(int, text.split("x"))
    return rows, tuple(shape)


def main():
    parser = parser_of(__doc__, rounds=7)
    parser.add_argument(
        "--folder", nargs=2, metavar=("NAME", "FOLDER"), help="memory of one reader of a folder, and stop"
    )
    parser.add_argument(
        "--shapes", type=_shape, nargs="+", default=SHAPES, metavar="ROWSxFEATURES", help="rows of a fit"
    )
    parser.add_argument("--only", choices=("pipelines", "fits", "folder"), help="one table")
    arguments = parser.parse_args()
    if arguments.folder:
        folder_memory(*arguments.folder)
        return
    tables = {
        "pipelines": lambda: measure_pipelines(arguments.rounds),
        "fits": lambda: measure_fits(arguments.rounds, arguments.shapes),
        "folder": lambda: measure_folder(arguments.rounds),
    }
    with measuring(arguments, "keras", "tensorflow", "imbalanced-learn", "torch", "numpy"):
        for name, measure in tables.items():
            if arguments.only in (None, name):
                measure()


if __name__ == "__main__":
    main()
