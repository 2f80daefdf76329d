"""Time of fit on `ArraySampler.py_dataset()` divided by that of fit(x, y), on each backend that is installed.

Run: python -m benchmarks.py_dataset [--rounds 7] [--backend jax]

Without --backend every backend runs in a process of its own. In a round each way trains one epoch of the same small network, in
turn; the table holds medians over the rounds of the ratio within a round, and the quartiles.
"""

import importlib.util
import os
import subprocess
import sys
import time

import numpy as np

from benchmarks.timing import measuring, parser_of, quartiles, table

BATCH = 256
SHAPES = ((200_000, 32), (50_000, 362), (20_000, 3_072))
SHARES = (0.90, 0.09, 0.01)
BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
BASE = "fit(x, y)"


def data(rows, features):
    rng = np.random.default_rng(0)
    y = rng.choice(len(SHARES), rows, p=SHARES)
    return rng.standard_normal((rows, features), dtype=np.float32), y


def ways(x, y):
    """`{name: function that trains an epoch}`; each has a model of its own."""
    import keras

    import keras_imbalance as ki

    def model():
        net = keras.Sequential(
            [keras.Input(x.shape[1:]), keras.layers.Dense(64, "relu"), keras.layers.Dense(len(SHARES), "softmax")]
        )
        net.compile("adam", "sparse_categorical_crossentropy")
        return net

    def fit(data, labels=None, **options):
        net = model()
        return lambda: net.fit(data, labels, epochs=1, verbose=0, **options)

    def sampler(**options):
        return ki.ArraySampler(x, y, batch_size=BATCH, seed=0, **options)

    return {
        BASE: fit(x, y, batch_size=BATCH),
        "py_dataset()": fit(sampler().py_dataset()),
        "py_dataset(workers=2)": fit(sampler().py_dataset(workers=2)),
        "py_dataset(workers=2), SMOTE": fit(sampler(smote=ki.SMOTE()).py_dataset(workers=2)),
        "dataset()": fit(sampler().dataset(), shuffle=False),
    }


def measured(shape, rounds):
    steps = ways(*data(*shape))
    for step in steps.values():
        step()
    seconds = {name: [] for name in steps}
    for i in range(rounds):
        for name in list(steps)[i % len(steps) :] + list(steps)[: i % len(steps)]:
            start = time.perf_counter()
            steps[name]()
            seconds[name].append(time.perf_counter() - start)
    base = np.array(seconds.pop(BASE))
    found = [f"{np.median(base):.2f} s", *(quartiles(np.array(values) / base) for values in seconds.values())]
    return [BASE, *seconds], found


def of_backend(backend, rounds):
    rows = []
    for shape in SHAPES:
        names, found = measured(shape, rounds)
        rows.append([backend, f"{shape[0]:,} x {shape[1]:,}", *found])
    return ["backend", "rows x features", *names], rows


def main():
    parser = parser_of(__doc__, rounds=7)
    parser.add_argument("--backend", choices=BACKENDS, help="this one alone, in this process")
    arguments = parser.parse_args()
    if arguments.backend:
        os.environ["KERAS_BACKEND"] = arguments.backend
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        print(table(*of_backend(arguments.backend, arguments.rounds)), flush=True)
        return
    with measuring(arguments, "keras", "tensorflow", "jax", "torch", "numpy"):
        for backend, module in BACKENDS.items():
            if importlib.util.find_spec(module) is not None:
                command = [sys.executable, "-m", "benchmarks.py_dataset", "--backend", backend]
                subprocess.run([*command, "--rounds", str(arguments.rounds)], check=True)
                print(flush=True)


if __name__ == "__main__":
    main()
