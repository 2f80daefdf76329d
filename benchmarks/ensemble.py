"""BalancedBagging against imbalanced-learn's BalancedBaggingClassifier: the same net on the same data, scores and time.

Both see page_blocks with one class against the rest, ten members, the same epochs and batches. The peer trains Keras's own
scikit-learn wrapper; two things of it are mended here, in the peer's favour: a clone keeps its arguments of fit, and
probabilities are averaged, not votes.

Run: python -m benchmarks.ensemble
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from imblearn.ensemble import BalancedBaggingClassifier
from sklearn.metrics import average_precision_score, balanced_accuracy_score
from sklearn.model_selection import train_test_split

import keras_imbalance as ki
from benchmarks.data import read_page_blocks, standardized
from benchmarks.timing import ratios, table, versions

RARE = "picture"
PEER = "imbalanced-learn"
BATCH_SIZE, LEARNING_RATE = 32, 3e-3


def data(seed):
    """Training and test rows, `RARE` being class 1; half of the rows each."""
    x, names = read_page_blocks()
    y = (names == RARE).astype("int32")
    train, test = train_test_split(np.arange(len(y)), test_size=0.5, stratify=y, random_state=seed)
    x = standardized(x, train)
    return x[train], y[train], x[test], y[test]


def build_net():
    net = keras.Sequential(
        [
            keras.Input((10,)),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    net.compile(keras.optimizers.Adam(LEARNING_RATE), "categorical_crossentropy")
    return net


class Wrapped(keras.wrappers.SKLearnClassifier):
    """Keras's wrapper, which forgets its arguments of fit when it is cloned and has no `predict_proba`."""

    def __sklearn_clone__(self):
        return type(self)(self.model, fit_kwargs=dict(self.fit_kwargs))

    def predict_proba(self, x):
        return self.model_.predict(x, verbose=0)


def peer(x, y, seed, members, epochs, **options):
    keras.utils.set_random_seed(seed)
    net = Wrapped(lambda X, y: build_net(), fit_kwargs={"epochs": epochs, "batch_size": BATCH_SIZE, "verbose": 0})
    bagging = BalancedBaggingClassifier(net, n_estimators=members, random_state=seed, **options).fit(x, y)
    return lambda rows: bagging.predict_proba(rows)[:, 1]


def ours(x, y, seed, members, epochs, **options):
    bagging = ki.BalancedBagging(build_net, num_members=members, seed=seed, **options)
    bagging.fit(x, np.eye(2, dtype="float32")[y], batch_size=BATCH_SIZE, epochs=epochs, verbose=0)
    return lambda rows: bagging.model.predict(rows, verbose=0)[:, 1]


ENSEMBLES = {
    PEER: lambda *args: peer(*args),
    "imbalanced-learn, bootstrap=False": lambda *args: peer(*args, bootstrap=False),
    "BalancedBagging": lambda *args: ours(*args),
    "BalancedBagging, joint": lambda *args: ours(*args, joint=True),
}


def measure(seeds, members, epochs):
    """Scores `{name: (seeds, 2)}` (balanced accuracy at 0.5, average precision) and seconds of fit `{name: (seeds,)}`."""
    scores, seconds = {name: [] for name in ENSEMBLES}, {name: [] for name in ENSEMBLES}
    for fit in ENSEMBLES.values():  # what is made once a process counts for none
        fit(*data(0)[:2], 0, 2, 1)
    for seed in range(seeds):
        x, y, test_x, test_y = data(seed)
        for name, fit in ENSEMBLES.items():
            keras.backend.clear_session()
            start = time.perf_counter()
            predict = fit(x, y, seed, members, epochs)
            seconds[name].append(time.perf_counter() - start)
            probabilities = predict(test_x)
            scores[name].append(
                (balanced_accuracy_score(test_y, probabilities > 0.5), average_precision_score(test_y, probabilities))
            )
    return ({name: np.array(values) for name, values in found.items()} for found in (scores, seconds))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    print(versions("tensorflow", "keras", "imbalanced-learn", "scikit-learn", "numpy"))
    _, y, _, test_y = data(0)
    print(f"{len(y)} rows to train, {y.sum()} of them {RARE}; {len(test_y)} to test, {test_y.sum()} of them {RARE}")
    print(f"{options.members} members, {options.epochs} epochs, {options.seeds} seeds\n")
    scores, seconds = measure(options.seeds, options.members, options.epochs)
    relative = ratios(seconds, PEER)
    rows = []
    for name, values in scores.items():
        differences = values - scores[PEER]
        cells = [
            f"{mean:.4f} +- {spread:.4f}" for mean, spread in zip(values.mean(0), values.std(0, ddof=1), strict=True)
        ]
        paired = [f"{difference:+.4f}" for difference in differences.mean(0)]
        rows.append((name, *cells, *paired, f"{np.median(seconds[name]):.1f}", relative[name]))
    head = (
        "ensemble",
        "balanced accuracy",
        "average precision",
        "accuracy, difference",
        "precision, difference",
        "seconds of fit",
        "ratio",
    )
    print(table(head, rows))


if __name__ == "__main__":
    main()
