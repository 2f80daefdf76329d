"""Forward and gradient of every loss against plain cross-entropy of Keras, in a graph and under XLA.

Run: python -m benchmarks.losses
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks.peers import tensorflow_addons

tfa = tensorflow_addons()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import keras_imbalance as ki  # noqa: E402
from benchmarks.timing import interleaved, measuring, parser_of, ratios, table  # noqa: E402

try:
    import focal_loss
except ImportError:
    focal_loss = None

ROWS, CLASSES, BINARY_ROWS = 4096, 100, 65536
MASKS, CHANNELS = (8, 256, 256), 21
PLAIN = "Keras cross-entropy"
FLOOR = "cross-entropy in single ops, unchecked"
HALF = (PLAIN, FLOOR, "FocalLoss(2)", "ClassBalancedLoss", "LogitAdjustedLoss")


def softmax_losses(one_hot):
    counts = np.maximum(1, 5000 * np.exp(-np.arange(CLASSES) / 20)).astype(int)
    costs = np.random.default_rng(1).uniform(size=(CLASSES, CLASSES))
    plain = keras.losses.CategoricalCrossentropy if one_hot else keras.losses.SparseCategoricalCrossentropy
    peers = {"Keras focal": keras.losses.CategoricalFocalCrossentropy(from_logits=True)} if one_hot else {}
    if focal_loss is not None and not one_hot:
        sparse = focal_loss.sparse_categorical_focal_loss
        peers["focal-loss from PyPI"] = lambda y, z: tf.reduce_mean(sparse(y, z, 2.0, from_logits=True))
    return {
        PLAIN: plain(from_logits=True),
        FLOOR: one_hot_floor if one_hot else ids_floor,
        **peers,
        "FocalLoss(2)": ki.FocalLoss(2, from_logits=True),
        "FocalLoss(0.5)": ki.FocalLoss(0.5, from_logits=True),
        "ClassBalancedLoss": ki.ClassBalancedLoss(counts, from_logits=True),
        "LogitAdjustedLoss": ki.LogitAdjustedLoss(counts, from_logits=True),
        "LDAMLoss": ki.LDAMLoss(counts),
        "CostMatrixLoss expected_cost": ki.CostMatrixLoss(costs, from_logits=True),
        "CostMatrixLoss regularized": ki.CostMatrixLoss(costs, formulation="regularized", from_logits=True),
        "CostMatrixLoss softmax_margin": ki.CostMatrixLoss(costs, formulation="softmax_margin", from_logits=True),
    }


def one_hot_floor(y, z):
    """What a loss costs that is no kernel of its own, whatever it computes: each op reads and writes once."""
    z = tf.cast(z, tf.float32)
    return tf.reduce_mean(tf.reduce_logsumexp(z, -1) - tf.reduce_sum(y * z, -1))


def ids_floor(y, z):
    return one_hot_floor(tf.one_hot(y, z.shape[-1]), z)


def binary_floor(y, z):
    return tf.reduce_mean(tf.maximum(z, 0) - z * y + tf.math.log1p(tf.exp(-tf.abs(z))))


def mask_losses():
    return {
        PLAIN: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        FLOOR: ids_floor,
        "FocalLoss(2)": ki.FocalLoss(2, from_logits=True),
        "TverskyLoss": ki.TverskyLoss(from_logits=True),
        "TverskyLoss(gamma=0.75)": ki.TverskyLoss(0.3, beta=0.7, gamma=0.75, from_logits=True),
        "TverskyLoss(per_image=True)": ki.TverskyLoss(per_image=True, from_logits=True),
    }


def binary_losses():
    peers = {"Keras focal": keras.losses.BinaryFocalCrossentropy(from_logits=True)}
    if tfa is not None:
        focal = tfa.losses.sigmoid_focal_crossentropy
        peers["tensorflow-addons focal"] = lambda y, z: tf.reduce_mean(focal(y, z, from_logits=True))
    if focal_loss is not None:
        binary = focal_loss.binary_focal_loss
        peers["focal-loss from PyPI"] = lambda y, z: tf.reduce_mean(binary(y, z, 2.0, from_logits=True))
    return {
        PLAIN: keras.losses.BinaryCrossentropy(from_logits=True),
        FLOOR: binary_floor,
        **peers,
        "FocalLoss(2)": ki.FocalLoss(2, from_logits=True),
        "FocalLoss(0.5)": ki.FocalLoss(0.5, from_logits=True),
        "ClassBalancedLoss": ki.ClassBalancedLoss([9, 1], from_logits=True),
        "LogitAdjustedLoss": ki.LogitAdjustedLoss([9, 1], from_logits=True),
        "LDAMLoss": ki.LDAMLoss([9, 1]),
        "CostMatrixLoss regularized": ki.CostMatrixLoss([[0, 1], [5, 0]], formulation="regularized", from_logits=True),
        "AsymmetricLoss": ki.AsymmetricLoss(from_logits=True),
    }


def step(loss, labels, logits, jit_compile):
    @tf.function(jit_compile=jit_compile)
    def forward_and_gradient(labels, logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(labels, logits)
        return value, tape.gradient(value, logits)

    def run():
        forward_and_gradient(labels, logits)[0].numpy()

    return run


def measure(losses, labels, logits, rounds, repeats):
    """`{name: [graph ratio, XLA ratio]}` and the milliseconds of plain cross-entropy."""
    found, plain = {name: [] for name in losses}, []
    for jit_compile in (False, True):
        steps = {name: step(loss, labels, logits, jit_compile) for name, loss in losses.items()}
        seconds = interleaved(steps, rounds, repeats, warmup=min(repeats, 5))
        plain.append(1e3 * float(np.median(seconds[PLAIN])))
        for name, ratio in ratios(seconds, PLAIN).items():
            found[name].append(ratio)
    return found, plain


def main():
    arguments = parser_of(__doc__, rounds=30).parse_args()
    with measuring(arguments, "keras", "tensorflow", "tensorflow-addons", "focal-loss"):
        measure_all(arguments.rounds)


def measure_all(rounds):
    rng = np.random.default_rng(0)
    logits = tf.constant(rng.normal(scale=3, size=(ROWS, CLASSES)).astype("float32"))
    ids = rng.integers(0, CLASSES, ROWS)
    binary = tf.constant(rng.normal(scale=3, size=(BINARY_ROWS, 1)).astype("float32"))
    cases = {
        f"[{ROWS}, {CLASSES}] ids": (softmax_losses(False), tf.constant(ids), logits),
        f"[{ROWS}, {CLASSES}] one-hot": (softmax_losses(True), tf.one_hot(ids, CLASSES), logits),
        f"[{BINARY_ROWS}, 1]": (
            binary_losses(),
            tf.constant((rng.random((BINARY_ROWS, 1)) < 0.1).astype("float32")),
            binary,
        ),
    }
    for dtype in ("float16", "bfloat16"):
        some = {name: loss for name, loss in softmax_losses(False).items() if name in HALF}
        cases[f"[{ROWS}, {CLASSES}] ids, {dtype}"] = (some, tf.constant(ids), tf.cast(logits, dtype))
    masks = rng.integers(0, CHANNELS, MASKS)
    cases[f"masks {[*MASKS, CHANNELS]}"] = (
        mask_losses(),
        tf.constant(masks),
        tf.constant(rng.normal(scale=3, size=(*MASKS, CHANNELS)).astype("float32")),
    )
    print(f"Forward and gradient, time divided by that of {PLAIN}: median of the rounds (quartiles).\n")
    for case, (losses, labels, predictions) in cases.items():
        big = case.startswith("masks")
        found, plain = measure(losses, labels, predictions, max(rounds // 6, 3) if big else rounds, 1 if big else 8)
        rows = [(name, *pair) for name, pair in found.items() if name != PLAIN]
        print(table((f"{case} (plain: {plain[0]:.2f} ms, {plain[1]:.2f} ms)", "graph", "XLA"), rows) + "\n", flush=True)


if __name__ == "__main__":
    main()
