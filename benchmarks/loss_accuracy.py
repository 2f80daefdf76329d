"""Worst relative error of losses and gradients against float64, and those of Keras and tensorflow-addons.

Run: python -m benchmarks.loss_accuracy
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "losses"))

from benchmarks.peers import tensorflow_addons

tfa = tensorflow_addons()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import reference  # noqa: E402
import tensorflow as tf  # noqa: E402

import keras_imbalance as ki  # noqa: E402
from benchmarks.timing import table, versions  # noqa: E402

C = 10
GAMMAS = (0, 0.5, 1, 2, 5)
COUNTS = np.array([5000, 2000, 1000, 500, 300, 100, 50, 20, 10, 5.0])
COSTS = np.random.default_rng(5).uniform(0, 10, (C, C)) * (1 - np.eye(C))
RAW = {"from_logits": True, "reduction": None}


def errors(loss, formula, labels, logits, one_hot=False):
    """Worst relative errors of value and gradient, and the share of rows whose gradient is 0 and should not be."""
    targets = tf.one_hot(labels, C) if one_hot else tf.constant(labels)
    if logits.ndim == 1:
        targets, predictions = tf.constant(labels[:, None].astype("float32")), tf.constant(logits[:, None])
    else:
        predictions = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(predictions)
        values = loss(targets, predictions)
    gradients = tape.gradient(values, predictions).numpy().reshape(logits.shape)
    wide = logits.astype("float64")
    expected = reference.gradient(formula, wide)
    dead = (np.abs(gradients).reshape(len(logits), -1).max(1) == 0) & (
        np.abs(expected).reshape(len(logits), -1).max(1) > 1e-3
    )
    return (
        reference.worst_relative_error(values.numpy().reshape(len(logits)), formula(wide)),
        reference.worst_relative_error(gradients, expected),
        float(dead.mean()),
    )


def row(case, name, found):
    shown = ["not finite" if np.isinf(error) else f"{error:.1e}" for error in found[:2]]
    return (case, name, *shown, f"{found[2]:.1%}")


def softmax_rows(labels, logits):
    ours = {f"FocalLoss({g})": (ki.FocalLoss(g, **RAW), lambda z, g=g: reference.focal(z, labels, g)) for g in GAMMAS}
    ours["ClassBalancedLoss"] = (
        ki.ClassBalancedLoss(COUNTS, scheme="inverse_frequency", **RAW),
        lambda z: (COUNTS.sum() / COUNTS)[labels] * reference.cross_entropy(z, labels),
    )
    ours["LogitAdjustedLoss"] = (
        ki.LogitAdjustedLoss(COUNTS, **RAW),
        lambda z: reference.logit_adjusted(z, labels, COUNTS, 1.0),
    )
    ours["LDAMLoss"] = (ki.LDAMLoss(COUNTS, reduction=None), lambda z: reference.ldam(z, labels, COUNTS, 0.5, 30.0))
    for formulation, formula in {
        "expected_cost": lambda z: reference.expected_cost(z, labels, COSTS),
        "regularized": lambda z: reference.cross_entropy(z, labels) + reference.expected_cost(z, labels, COSTS),
        "softmax_margin": lambda z: reference.softmax_margin(z, labels, COSTS),
    }.items():
        ours[f"CostMatrixLoss {formulation}"] = (ki.CostMatrixLoss(COSTS, formulation=formulation, **RAW), formula)
    for name, (loss, formula) in ours.items():
        yield row("softmax, ids", name, errors(loss, formula, labels, logits))
        yield row("softmax, one-hot", name, errors(loss, formula, labels, logits, one_hot=True))
    for g in GAMMAS:
        theirs = keras.losses.CategoricalFocalCrossentropy(alpha=1, gamma=g, **RAW)
        found = errors(theirs, lambda z, g=g: reference.focal(z, labels, g), labels, logits, one_hot=True)
        yield row("softmax, one-hot", f"Keras focal({g})", found)
    theirs = keras.losses.SparseCategoricalCrossentropy(**RAW)
    found = errors(theirs, lambda z: reference.cross_entropy(z, labels), labels, logits)
    yield row("softmax, ids", "Keras cross-entropy", found)


def binary_rows():
    logits = np.linspace(-100, 100, 4001).astype("float32")
    for label in (0, 1):
        labels = np.full(len(logits), label)
        for g in GAMMAS:
            losses = {
                f"FocalLoss({g})": ki.FocalLoss(g, **RAW),
                f"Keras focal({g})": keras.losses.BinaryFocalCrossentropy(gamma=g, **RAW),
            }
            if tfa is not None:
                losses[f"tensorflow-addons focal({g})"] = lambda y, z, g=g: tfa.losses.sigmoid_focal_crossentropy(
                    y, z, alpha=None, gamma=g, from_logits=True
                )
            for name, loss in losses.items():
                found = errors(loss, lambda z, g=g: reference.binary_focal(z, labels, g), labels, logits)  # noqa: B023
                yield row(f"sigmoid, label {label}", name, found)


def main():
    rng = np.random.default_rng(0)
    logits = rng.uniform(-100, 100, (8000, C)).astype("float32")
    labels = rng.integers(0, C, 8000)
    print(versions("keras", "tensorflow", "tensorflow-addons"))
    print(
        "Logits in [-100, 100], float32; errors count where |reference| >= 1e-30. 'Dead': rows whose gradient is 0 and"
    )
    print("should exceed 1e-3. The gradient of a cost crosses 0, where any float32 has a large relative error.\n")
    rows = [*softmax_rows(labels, logits), *binary_rows()]
    print(table(("case", "loss", "worst error, value", "worst error, gradient", "dead"), rows))


if __name__ == "__main__":
    main()
