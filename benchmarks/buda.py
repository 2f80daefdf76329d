"""The step-imbalance experiment of Buda, Maki and Mazurowski (2018) on MNIST, small enough for two cores.

Some of the ten classes are minority classes and have `ratio` times fewer rows than the others. The same small CNN is trained on
every such data set in seven ways; what is compared is the multi-class ROC AUC on MNIST's test rows, and the accuracy on them,
which thresholding by priors is about.

Shortened against the paper: 1,000 rows of each majority class (there 5,000), three fractions and two ratios (there nine and up
to ten), two seeds, one CNN of two convolutions, 600 steps for every method (there a fixed number of epochs and a validation
set), and the last fifth of the steps is the second phase, at a tenth of the learning rate. Undersampled runs draw the few rows
that they have as often as that takes.

Run: python -m benchmarks.buda [--seeds 2] [--figure FILE.png]

Reference: Buda, Maki, Mazurowski, A systematic study of the class imbalance problem in convolutional neural networks, 2018,
https://arxiv.org/abs/1710.05381
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.metrics import roc_auc_score

import keras_imbalance as ki
from benchmarks.data import mnist
from benchmarks.timing import table, versions

CLASSES, MAJORITY_ROWS, BATCH, STEPS = 10, 1000, 64, 600
FRACTIONS, RATIOS = (0.2, 0.5, 0.8), (10, 50)
SECOND_PHASE = 0.2  # of the epochs
LEARNING_RATE, SECOND_RATE = 1e-3, 0.1  # the second phase has so much of the first one's
EPOCHS = 10
METHODS = {
    # name: what is drawn first, what from the second phase on, whether the decision is put right by the priors
    "baseline": ("natural", "natural", False),
    "oversampling": ("balanced", "balanced", False),
    "undersampling": ("undersample", "undersample", False),
    "two-phase, oversampling": ("balanced", "natural", False),
    "two-phase, undersampling": ("undersample", "natural", False),
    "baseline, thresholding": ("natural", "natural", True),
    "oversampling, thresholding": ("balanced", "balanced", True),
}


def step_imbalance(x, y, fraction, ratio, seed):
    """Rows in which `fraction` of the classes, drawn by the seed, have `ratio` times fewer rows than the others."""
    rng = np.random.default_rng(seed)
    sizes = np.full(CLASSES, MAJORITY_ROWS)
    sizes[rng.permutation(CLASSES)[: round(fraction * CLASSES)]] = MAJORITY_ROWS // ratio
    rows = [rng.permutation(np.flatnonzero(y == j))[:size] for j, size in enumerate(sizes)]
    rows = rng.permutation(np.concatenate(rows))
    return x[rows], y[rows]


def undersampled(x, y, seed):
    """As many rows of every class as the rarest has."""
    rng = np.random.default_rng(seed)
    least = np.bincount(y).min()
    rows = np.concatenate([rng.permutation(np.flatnonzero(y == j))[:least] for j in range(CLASSES)])
    return x[rows], y[rows]


def build_net(seed):
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    net = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(8, 5, strides=2, activation="relu"),
            layers.Conv2D(16, 5, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(CLASSES),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.Adam(LEARNING_RATE), loss, jit_compile=False)
    return net


def train(first, second, rows, seed):
    """The net after `EPOCHS` epochs of the same number of steps, the last of them on what `second` draws."""
    net = build_net(seed)
    size = STEPS // EPOCHS * BATCH
    switch = round((1 - SECOND_PHASE) * EPOCHS)
    few = undersampled(*rows, seed) if first == "undersample" else rows
    target = "natural" if first == "natural" else "balanced"
    sampler = ki.ArraySampler(*few, batch_size=BATCH, target=target, epoch_size=size, seed=seed)
    if first == second:
        net.fit(sampler.dataset(), shuffle=False, epochs=EPOCHS, verbose=0, callbacks=[slower(switch)])
    elif first == "balanced":
        phases = ki.TwoPhaseLearning(sampler, switch_epoch=switch)
        net.fit(sampler.dataset(), shuffle=False, epochs=EPOCHS, verbose=0, callbacks=[phases])
    else:  # the second phase draws from rows that the first one never sees
        net.fit(sampler.dataset(), shuffle=False, epochs=switch, verbose=0)
        everything = ki.ArraySampler(*rows, batch_size=BATCH, target="natural", epoch_size=size, seed=seed)
        net.optimizer.learning_rate = SECOND_RATE * LEARNING_RATE
        net.fit(everything.dataset(), shuffle=False, epochs=EPOCHS - switch, verbose=0)
    return net


def slower(switch):
    return ki.PhasedTraining([ki.Phase(switch, learning_rate_factor=SECOND_RATE)])


def measure(seed, fraction, ratio, data):
    """ROC AUC and accuracy of each method, `{name: (auc, accuracy)}`."""
    (x, y), (x_test, y_test) = data
    rows = step_imbalance(x, y, fraction, ratio, seed)
    counts = ki.count_classes(rows[1], num_classes=CLASSES)
    nets, found = {}, {}
    for name, (first, second, thresholded) in METHODS.items():
        if (first, second) not in nets:
            net = train(first, second, rows, seed)
            logits = net.predict(x_test, batch_size=1000, verbose=0)
            nets[first, second] = keras.ops.convert_to_numpy(keras.ops.softmax(logits)).astype("float64")
        p = nets[first, second]
        if thresholded:
            # What the net learnt from, put back to the test rows, whose classes are about equally frequent.
            learnt_from = counts if second == "natural" else np.ones(CLASSES)
            p = ki.correct_prior(p / p.sum(axis=1, keepdims=True), learnt_from, np.bincount(y_test))
        p = p / p.sum(axis=1, keepdims=True)
        found[name] = roc_auc_score(y_test, p, multi_class="ovr"), float((p.argmax(axis=1) == y_test).mean())
    return found


def draw(results, path):
    """ROC AUC over the fraction of minority classes, a panel a ratio."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5 * len(RATIOS), 5.5), layout="constrained")
    for ax, ratio in zip(np.atleast_1d(figure.subplots(1, len(RATIOS))), RATIOS, strict=True):
        for name in METHODS:
            auc = [100 * results[fraction, ratio][name][0] for fraction in FRACTIONS]
            dashes = "--" if "thresholding" in name else "-"
            ax.plot([100 * f for f in FRACTIONS], auc, dashes, marker="o", label=name)
        ax.set(title=f"imbalance ratio {ratio}", xlabel="% of classes that are minority classes", ylabel="ROC AUC, %")
        ax.grid(alpha=0.3)
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    figure.suptitle("MNIST with step imbalance")
    figure.savefig(path, dpi=120)


def measure_all(seeds, data):
    """What `measure` finds, mean of the seeds, by fraction of minority classes and imbalance ratio."""
    results, start = {}, time.perf_counter()
    for ratio in RATIOS:
        for fraction in FRACTIONS:
            runs = [measure(seed, fraction, ratio, data) for seed in range(seeds)]
            results[fraction, ratio] = {name: np.mean([run[name] for run in runs], axis=0) for name in METHODS}
            took = time.perf_counter() - start
            print(
                f"ratio {ratio}, {fraction:.0%} minority classes: done after {took:.0f} s", file=sys.stderr, flush=True
            )
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--mnist", type=Path, default=None, help="file with x_train, y_train, x_test, y_test")
    parser.add_argument("--figure", type=Path, default=None, help="where to draw the ROC AUC")
    arguments = parser.parse_args()
    print(versions("keras", "tensorflow", "scikit-learn", "numpy") + f"; mean of {arguments.seeds} seeds", flush=True)
    results = measure_all(arguments.seeds, mnist(arguments.mnist))
    for title, column in (("ROC AUC, %", 0), ("accuracy, %", 1)):
        header = [title, *(f"{fraction:.0%}, ratio {ratio}" for fraction, ratio in results)]
        rows = [[name, *(f"{100 * found[name][column]:.2f}" for found in results.values())] for name in METHODS]
        print("\n" + table(header, rows))
    if arguments.figure:
        arguments.figure.parent.mkdir(parents=True, exist_ok=True)
        draw(results, arguments.figure)
        print(f"Wrote {arguments.figure}", file=sys.stderr)


if __name__ == "__main__":
    main()
