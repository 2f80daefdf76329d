"""Digits with a long tail, 100 images of the most frequent class to one of the rarest: three ways to train the same small CNN.

    plain                  cross-entropy on the images as they come
    logit adjustment       cross-entropy of logits shifted by the logarithm of the class prior
    classifier retraining  features from the images as they come, then a new head on balanced classes

The default data are the 8 x 8 digits that scikit-learn brings along, so nothing is downloaded and the rarest class has two
images. With MNIST the tail is the same and there is more of everything.

    python examples/long_tailed_images.py
    python examples/long_tailed_images.py --data mnist          downloads MNIST, once
    python examples/long_tailed_images.py --data FILE.npz       arrays x_train, y_train, x_test, y_test
"""

from pathlib import Path

from common import VERBOSE, parser_of, print_table, save

# isort: split
import keras
import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_imbalance as ki
from keras_imbalance.plots import plot_confusion_matrix

IMBALANCE = 100
CLASSES = 10
MOST = 3000  # images of the most frequent class that are used, where there are so many
HEAD_PART = 0.7  # of the epochs come before the head is trained anew
HEAD_RATE = 0.01  # a new head has a long way to go in the epochs that are left


def load(data, seed):
    """Images in [0, 1] with a channel axis, and labels, for training and test; all classes equally frequent so far."""
    if data == "mnist":
        try:
            (x, y), (x_test, y_test) = keras.datasets.mnist.load_data()
        except Exception as error:  # urllib has many errors for no network
            print(f"MNIST cannot be fetched ({error}): these are scikit-learn's digits instead.")
            data = "digits"
    elif data != "digits":
        with np.load(Path(data)) as file:
            x, y, x_test, y_test = (file[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    if data == "digits":
        images, labels = load_digits(return_X_y=True)
        x, x_test, y, y_test = train_test_split(
            images.reshape(-1, 8, 8), labels, test_size=0.4, stratify=labels, random_state=seed
        )
    top = float(x.max())
    return ((x / top).astype("float32")[..., None], y.astype("int32")), (
        (x_test / top).astype("float32")[..., None],
        y_test.astype("int32"),
    )


def long_tail(x, y, seed):
    """Keeps n_j = n_0 / IMBALANCE^(j / (C - 1)) images of class j (Cui et al., 2019)."""
    rng = np.random.default_rng(seed)
    most = min(MOST, np.bincount(y).min())
    sizes = np.maximum(np.round(most * IMBALANCE ** (-np.arange(CLASSES) / (CLASSES - 1))).astype(int), 2)
    rows = [rng.permutation(np.flatnonzero(y == j))[:size] for j, size in enumerate(sizes)]
    rows = rng.permutation(np.concatenate(rows))
    return x[rows], y[rows]


def build_net(shape, seed):
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(CLASSES, name="head"),
        ]
    )


def train(name, rows, epochs, seed):
    net = build_net(rows[0].shape[1:], seed)
    sampler = ki.ArraySampler(*rows, batch_size=32, target="natural", seed=seed)
    loss, callbacks = keras.losses.SparseCategoricalCrossentropy(from_logits=True), [ki.ShortBar("loss", "recall")]
    if name == "logit adjustment":
        loss = ki.LogitAdjustedLoss(sampler.class_counts, from_logits=True)
    if name == "classifier retraining":
        switch = max(1, round(HEAD_PART * epochs))
        callbacks.append(
            ki.ClassifierRetraining(
                sampler, switch_epoch=switch, head="head", learning_rate=HEAD_RATE, seed=seed, verbose=1
            )
        )
    net.compile(keras.optimizers.Adam(1e-3), loss, metrics=[ki.PerClassRecall(CLASSES)])
    net.fit(sampler.dataset(), epochs=epochs, shuffle=False, callbacks=callbacks, verbose=VERBOSE)
    return net


def draw(y, predicted):
    figure, axes = plt.subplots(1, len(predicted), figsize=(6.2 * len(predicted), 5.8), layout="constrained")
    for ax, (name, classes) in zip(axes, predicted.items(), strict=True):
        matrix = np.zeros((CLASSES, CLASSES), dtype=int)
        np.add.at(matrix, (y, classes), 1)
        plot_confusion_matrix(matrix, ax=ax)
        ax.set_title(name)
    return figure


def main():
    parser = parser_of(__doc__, epochs=30)
    parser.add_argument("--data", default="digits", help="digits, mnist, or an .npz file")
    arguments = parser.parse_args()
    if arguments.data not in ("digits", "mnist") and not Path(arguments.data).is_file():
        parser.error(f"argument --data: Expected digits, mnist, or an .npz file. Received: {arguments.data}")
    training, (x_test, y_test) = load(arguments.data, arguments.seed)
    training = long_tail(*training, arguments.seed)
    print(f"Training images of each class: {ki.count_classes(training[1], num_classes=CLASSES).tolist()}")
    predicted, rows = {}, []
    for name in ("plain", "logit adjustment", "classifier retraining"):
        print(f"\n{name}: {arguments.epochs} epochs", flush=True)
        net = train(name, training, arguments.epochs, arguments.seed)
        predicted[name] = net.predict(x_test, verbose=0, batch_size=1024).argmax(axis=-1)
        recall = np.array([(predicted[name][y_test == j] == j).mean() for j in range(CLASSES)])
        groups = [recall[:3].mean(), recall[3:7].mean(), recall[7:].mean()]
        rows.append([name, *map(float, (recall.mean(), *groups, recall.min()))])
    print_table(["recall on test images", "mean", "many", "medium", "few", "worst class"], rows)
    save(draw(y_test, predicted), arguments.output, "long_tailed_images.png")


if __name__ == "__main__":
    main()
