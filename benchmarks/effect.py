"""What the methods do for rare classes on six data sets, by `compare_methods` alone: recall and F1 on test rows, over splits.

Every method trains the same net from the same initial weights for as many steps, with Adam and moving-average weights. What a
method has to set is as in its paper or the default of the package; what it tunes, it tunes on validation rows. Tables are
split 60/20/20 by class; page blocks 50/25/25. Of MNIST 7,443 rows with a long tail train, a third as many validate, and its
own 10,000 test; decisions are told that these hold about as many of each digit. Gaps are filled with the median of the
training rows inside the net, so that SMOTE, which needs numbers, is left out where there are any.

Run: python -m benchmarks.effect                      what is shipped: page blocks, wine, skillcraft, hypothyroid
     python -m benchmarks.effect --mnist FILE.npz --sylva FILE.npz
     python -m benchmarks.effect --data wine --seeds 2 --epochs 5 --methods "matched pair"
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # 2 has TensorFlow complain of its own datasets in every fit

import keras
import numpy as np

import keras_imbalance as ki
from benchmarks import data
from benchmarks.timing import table, versions

BATCH = 64
SCORES = {"macro_recall": "macro recall", "macro_f1": "macro F1", "worst_recall": "worst-class recall"}
PAIR, DECISION = "matched pair", "matched pair, macro-F1 decision"
MNIST_ROWS = 70_000


@dataclass
class Setting:
    """What a data set is trained with."""

    body: Callable[[], list]  # the layers between the features and the last
    epochs: int
    learning_rate: float = 1e-3
    validation: float = 0.2
    test: float = 0.2
    prior: str | None = None  # class shares of the test rows, where they are not those of the data


def dense(*sizes):
    return lambda: [keras.layers.Dense(size, activation="relu") for size in sizes]


def convolutions():
    return [
        keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
        keras.layers.Conv2D(32, 3, strides=2, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation="relu"),
    ]


SETTINGS = {
    "page_blocks": Setting(dense(32, 16), 40, 3e-3, 0.25, 0.25),
    "mnist": Setting(convolutions, 15, validation=2_481 / MNIST_ROWS, prior="balanced"),
    "wine": Setting(dense(64, 64), 60),
    "skillcraft": Setting(dense(64, 64), 60),
    "hypothyroid": Setting(dense(64, 64), 60),
    "sylva": Setting(dense(64, 64), 20),
}
FILES = {"mnist": "MNIST's mnist.npz; by default Keras downloads it", "sylva": "sylva.npz of x and y"}


@dataclass
class BuildNet:
    """The net of a data set; features of a table are filled and standardised by the training rows."""

    setting: Setting
    num_classes: int

    def __call__(self, x_train):
        inputs = hidden = keras.Input(x_train.shape[1:])
        if x_train.ndim == 2:
            medians = np.nanmedian(x_train, axis=0)
            filled = np.where(np.isnan(x_train), medians, x_train)
            deviation = filled.std(axis=0)
            variance = np.where(deviation > 0, deviation, 1) ** 2
            hidden = Filled(medians.tolist())(hidden)
            hidden = keras.layers.Normalization(mean=filled.mean(axis=0), variance=variance)(hidden)
        for layer in self.setting.body():
            hidden = layer(hidden)
        model = keras.Model(inputs, keras.layers.Dense(self.num_classes, name="logits")(hidden))
        return model, keras.optimizers.Adam(self.setting.learning_rate, use_ema=True, ema_momentum=0.98)


class Filled(keras.layers.Layer):
    """The median of a column in the place of NaN."""

    def __init__(self, medians, **kwargs):
        super().__init__(**kwargs)
        self.medians = medians

    def call(self, x):
        return keras.ops.where(keras.ops.isnan(x), keras.ops.convert_to_tensor(self.medians, x.dtype), x)


def class_balanced_focal(run):
    inner = ki.FocalLoss(gamma=2.0, from_logits=True, reduction=None)
    return ki.ClassBalancedLoss(run.class_counts, scheme="effective_number", normalize="sum", loss=inner)


OWN = ki.Method("class-balanced focal loss", loss=class_balanced_focal)


def load(name, files, seeds) -> tuple[Any, np.ndarray, list, Any]:
    """Features, class ids and names of a data set, and its splits."""
    if name == "mnist":
        return data.long_tailed_mnist(range(seeds), files["mnist"])
    read = {"page_blocks": data.page_blocks, "wine": data.wine, "skillcraft": data.skillcraft}
    read |= {"hypothyroid": data.hypothyroid, "sylva": lambda: data.sylva(files["sylva"])}
    return *read[name](), seeds


def compare(name, arguments):
    """The comparison on one data set."""
    setting = SETTINGS[name]
    x, y, names, splits = load(name, vars(arguments), arguments.seeds)
    return ki.compare_methods(
        BuildNet(setting, len(names)),
        x,
        y,
        class_names=names,
        methods=arguments.methods or [*known(), OWN],
        epochs=arguments.epochs or setting.epochs,
        batch_size=BATCH,
        splits=splits,
        validation=setting.validation,
        test=setting.test,
        prior=setting.prior,
        n_jobs=arguments.jobs,
        directory=arguments.directory and arguments.directory / name,
        verbose=arguments.verbose,
    )


def known():
    """The names of all methods of the package."""
    from keras_imbalance.comparison.catalogue import DEFAULT

    return [method.name for method in DEFAULT if method.name != "plain, minimum cost"]


def show(name, found):
    """Mean and standard deviation over the splits, and what each method gains over plain training and over class_weight."""
    above = {other: found.compare_to(other) for other in ("plain", "class_weight") if other in found.test}
    equal = found.equal_to_best()
    rows = []
    for method, scores in found.test.items():
        cells = [mean_and_spread(scores[score]) for score in SCORES]
        gains = [gain(differences.get(method)) for differences in above.values()]
        rows.append((method, *cells, *gains, "=" if method in equal else ""))
    head = ("method", *SCORES.values(), *(f"macro recall above {other}, in splits" for other in above), "best")
    print(f"\n{name}: {found.splits} splits\n\n{table(head, rows)}\n")
    for method, reason in found.reasons.items():
        print(f"{method}: {reason}.")
    held_against_the_rest(found)


def held_against_the_rest(found):
    """The macro recall of the matched pair beside that of the best other method, and macro F1 with its decision."""
    for method, score in ((PAIR, "macro_recall"), (DECISION, "macro_f1")):
        if method not in found.test:
            continue
        means = {other: scores[score].mean() for other, scores in found.test.items() if other not in (PAIR, DECISION)}
        best = max(means, key=means.get)
        difference = found.compare_to(best, score)[method]
        ours = found.test[method][score].mean()
        print(
            f"{SCORES[score]}: {method} {ours:.3f}, best other ({best}) {means[best]:.3f}; difference {gain(difference)}, "
            f"p {difference.p:.2g} (corrected t-test, Holm)"
        )


def gain(difference):
    """A difference as text; nothing of a method to itself."""
    if difference is None:
        return ""
    spread = "" if np.isnan(difference.std) else f" ± {difference.std:.3f}"
    return f"{difference.mean:+.3f}{spread}, {difference.above} of {difference.splits}"


def mean_and_spread(values):
    """As text; one split has no spread."""
    spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{spread}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", nargs="+", choices=SETTINGS, metavar="NAME", help=f"some of {', '.join(SETTINGS)}")
    parser.add_argument("--seeds", type=int, default=5, help="splits of each data set")
    parser.add_argument("--epochs", type=int, help="in the place of those of each data set")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="some of the methods")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    parser.add_argument("--directory", type=Path, help="folder of the trainings, to go on with after a kill")
    parser.add_argument("--verbose", type=int, default=0, help="1 writes a line a training")
    for name, said in FILES.items():
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=said)
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error(f"There must be at least one seed. Received: {arguments.seeds}")
    given = [name for name in SETTINGS if name not in FILES or getattr(arguments, name)]
    chosen = arguments.data or given
    if "sylva" in chosen and arguments.sylva is None:
        parser.error("sylva is not shipped: pass --sylva FILE")
    print(versions("keras-imbalance", "keras", "tensorflow", "scikit-learn", "numpy"), flush=True)
    for name in chosen:
        show(name, compare(name, arguments))


if __name__ == "__main__":
    main()
