"""Several labels a row, some of them rare: losses for many absent labels, and a threshold for every label.

Trains the same net with binary cross-entropy and with the asymmetric loss, then moves each label's threshold from 0.5 to where
F1 is largest on validation rows. The data are made up: ten labels, from one row in three to one in a hundred.

    python examples/multi_label.py
"""

from common import VERBOSE, at_least, parser_of, print_table, save

# isort: split
import keras
import numpy as np
from matplotlib import pyplot as plt
from sklearn.metrics import average_precision_score, f1_score

import keras_imbalance as ki

LABELS = 10
NAMES = [f"label {j}" for j in range(LABELS)]
SHARES = 0.33 * (0.01 / 0.33) ** (np.arange(LABELS) / (LABELS - 1))


def made_up(rows, seed):
    """Features (N, 20) from which each label can be told, though not surely."""
    rng = np.random.default_rng(12)
    directions = rng.normal(size=(20, LABELS)) / np.sqrt(20)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 20)).astype("float32")
    score = np.tanh(x) @ directions * 3 + rng.logistic(size=(rows, LABELS)) * 0.4
    cut = np.quantile(score, 1 - SHARES, axis=0).diagonal()
    return x, (score > cut).astype("int32")


def train(loss, training, validation, epochs, seed):
    keras.utils.set_random_seed(seed)
    net = keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(LABELS, activation="sigmoid"),
        ]
    )
    metrics = [ki.PerClassF1(LABELS, class_names=NAMES, multi_label=True)]
    net.compile(keras.optimizers.Adam(3e-3), loss, metrics=metrics)
    net.fit(
        *training,
        batch_size=64,
        epochs=epochs,
        validation_data=validation,
        validation_batch_size=4096,
        callbacks=[ki.ShortBar("loss", "val_loss", "val_f1")],
        verbose=VERBOSE,
    )
    return net


def draw(scores):
    figure, ax = plt.subplots(figsize=(10, 5), layout="constrained")
    width = 0.8 / len(scores)
    for i, (name, f1) in enumerate(scores.items()):
        ax.bar(np.arange(LABELS) + (i - (len(scores) - 1) / 2) * width, f1, width, label=name)
    ax.set_xticks(range(LABELS), [f"{name}\n{share:.1%}" for name, share in zip(NAMES, SHARES, strict=True)])
    ax.set(ylabel="F1 on test rows", ylim=(0, 1), title="F1 of every label, and in how many rows it is set")
    ax.legend(loc="upper right", ncols=2)
    return figure


def main():
    parser = parser_of(__doc__, epochs=20)
    parser.add_argument("--rows", type=at_least(1000), default=6000, help="training rows")
    arguments = parser.parse_args()
    training, validation, test = (
        made_up(rows, arguments.seed + i) for i, rows in enumerate((arguments.rows, 4000, 8000))
    )
    scores, rows = {}, []
    for name, loss in {
        "cross-entropy": "binary_crossentropy",
        "asymmetric loss": ki.AsymmetricLoss(),
    }.items():
        print(f"\n{name}: {arguments.epochs} epochs", flush=True)
        net = train(loss, training, validation, arguments.epochs, arguments.seed)
        seen, unseen = (net.predict(part[0], verbose=0, batch_size=4096) for part in (validation, test))
        thresholds = ki.tune_thresholds(validation[1], seen, objective="f1", multi_label=True)
        precision = average_precision_score(test[1], unseen, average="macro")
        for where, predicted in {"at 0.5": unseen > 0.5, "tuned": thresholds(unseen)}.items():
            f1 = f1_score(test[1], predicted, average=None, zero_division=0)
            scores[f"{name}, {where}"] = f1
            rows.append([f"{name}, {where}", *map(float, (precision, f1.mean(), f1[-3:].mean(), f1.min()))])
    print_table(["test rows", "average precision", "macro F1", "three rarest", "worst label"], rows)
    save(draw(scores), arguments.output, "multi_label.png")


if __name__ == "__main__":
    main()
