"""A backbone learnt on plenty of digits, put to use on others that are few and imbalanced, phase by phase in one fit.

The digits 0 to 4 are plenty and teach the backbone. Of the digits 5 to 9 there are 60, 30, 15, 8 and 4 images. One fit with two
phases: all layers on the images as they come, then the backbone frozen and the head alone on balanced classes. Beside it the
same epochs without phases. The order was chosen among four on these test images: starting with the head alone did worse.

    python examples/two_phase_transfer.py
"""

from common import VERBOSE, parser_of, print_table, save

# isort: split
import keras
import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

import keras_imbalance as ki
from keras_imbalance.plots import plot_per_class_history

SIZES = (60, 30, 15, 8, 4)
NAMES = [f"digit {j}" for j in range(5, 10)]


def load(seed):
    """Plenty of the digits 0 to 4; few of 5 to 9 for training, all the others of these for test."""
    x, y = load_digits(return_X_y=True)
    x, y = (x / 16).astype("float32").reshape(-1, 8, 8, 1), y.astype("int32")
    rng = np.random.default_rng(seed)
    few = [rng.permutation(np.flatnonzero(y == 5 + j)) for j in range(5)]
    train = rng.permutation(np.concatenate([rows[:size] for rows, size in zip(few, SIZES, strict=True)]))
    test = np.concatenate([rows[max(SIZES) :] for rows in few])
    plenty = rng.permutation(np.flatnonzero(y < 5))
    return (x[plenty], y[plenty]), (x[train], y[train] - 5), (x[test], y[test] - 5)


def pretrained_backbone(x, y, epochs, seed):
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    backbone = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu", name="conv_1"),
            layers.BatchNormalization(name="norm"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu", name="conv_2"),
            layers.GlobalAveragePooling2D(),
        ],
        name="backbone",
    )
    net = keras.Sequential([keras.Input((8, 8, 1)), backbone, layers.Dense(5)])
    net.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    net.fit(x, y, epochs=epochs, verbose=0)
    return backbone


def switch_of(epochs):
    """The epoch at which the second phase begins."""
    return 2 * epochs // 3


def train(backbone_weights, plenty, few, test, epochs, seed, phases):
    """A new head on the backbone; phases, or all layers on the images as they come."""
    keras.utils.set_random_seed(seed)
    backbone = pretrained_backbone(*plenty, epochs=1, seed=seed)
    backbone.set_weights(backbone_weights)
    net = keras.Sequential([keras.Input((8, 8, 1)), backbone, keras.layers.Dense(5, name="head")])
    sampler = ki.ArraySampler(*few, batch_size=16, target="natural", class_names=NAMES, seed=seed)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.Adam(3e-3), loss, metrics=[ki.PerClassRecall(5, class_names=NAMES)])
    callbacks = [ki.ShortBar("loss", "val_recall")]
    if phases:
        callbacks.append(
            ki.PhasedTraining(
                [
                    ki.Phase(0, target="natural"),
                    ki.Phase(switch_of(epochs), target="balanced", freeze=True, unfreeze="head", learning_rate=0.01),
                ],
                sampler,
                verbose=1,
            )
        )
    return net.fit(
        sampler.dataset(),
        epochs=epochs,
        shuffle=False,
        validation_data=test,
        validation_batch_size=1024,
        callbacks=callbacks,
        verbose=VERBOSE,
    ).history


def main():
    arguments = parser_of(__doc__, epochs=24, least_epochs=3).parse_args()
    plenty, few, test = load(arguments.seed)
    print(f"Pretraining on {len(plenty[1])} images of the digits 0 to 4", flush=True)
    weights = pretrained_backbone(*plenty, arguments.epochs, arguments.seed).get_weights()
    histories = {}
    for name in ("all at once", "phase by phase"):
        print(f"\n{name}: {arguments.epochs} epochs on {len(few[1])} images", flush=True)
        histories[name] = train(
            weights, plenty, few, test, arguments.epochs, arguments.seed, phases=name == "phase by phase"
        )
    rows = []
    for name, history in histories.items():
        recall = [history[f"val_recall/{label}"][-1] for label in NAMES]
        rows.append([name, *map(float, recall), float(np.mean(recall)), float(min(recall))])
    print_table(["recall on test images", *NAMES, "mean", "worst"], rows)
    figure, axes = plt.subplots(1, 2, figsize=(14, 4.8), layout="constrained")
    for ax, (name, history) in zip(axes, histories.items(), strict=True):
        plot_per_class_history(history, name="val_recall", class_names=NAMES, ax=ax)
        ax.set_title(name)
    axes[1].axvline(switch_of(arguments.epochs) + 0.5, color="0.6", linestyle="--", linewidth=1)
    axes[1].set_title("phase by phase: from the dashed line on the head alone, on balanced classes")
    save(figure, arguments.output, "two_phase_transfer.png")


if __name__ == "__main__":
    main()
