"""Masks with a class of few pixels: pores cover one pixel in a thousand and come in one image of eight.

The images are made up: grains, seams and pores on a noisy ground, and dust that looks like small pores. The rims of the grains
are labelled 255, which loss and metrics ignore. The same small U-Net is trained three times for as many steps: with
cross-entropy, with Tversky loss and cross-entropy, and so on batches in which images with pores come more often. IoU and Dice
are those of test images.

    python examples/segmentation.py
"""

from common import VERBOSE, at_least, parser_of, print_table, save

# isort: split
import keras
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import ListedColormap

import keras_imbalance as ki

NAMES = ["ground", "grain", "seam", "pore"]
RIM = 255  # nobody can say where a grain ends
SIDE = 48
COLOURS = ("#e8e4da", "#7a9cc6", "#3b3b3b", "#d1495b", "#ffffff")
HOW = ("cross-entropy", "Tversky and cross-entropy", "... and images by rarest class")


def near(points, y, x):
    """Distance of each pixel from the nearest of the points."""
    return np.sqrt(((points[:, 0, None, None] - y) ** 2 + (points[:, 1, None, None] - x) ** 2).min(axis=0))


def made_up(rows, seed):
    """Images `(N, SIDE, SIDE, 1)` and masks `(N, SIDE, SIDE)` of class ids and 255."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    images, masks = np.zeros((rows, SIDE, SIDE), dtype="float32"), np.zeros((rows, SIDE, SIDE), dtype="uint8")
    for image, mask in zip(images, masks, strict=True):
        image += rng.normal(scale=0.1) + rng.normal(scale=0.12, size=(SIDE, SIDE))
        for _ in range(rng.integers(1, 4)):
            centre, radii = rng.uniform(0, SIDE, 2), rng.uniform(6, 11, 2)
            far = np.hypot((y - centre[0]) / radii[0], (x - centre[1]) / radii[1])
            image[far < 1] += 0.3
            mask[far < 1] = 1
            mask[(far >= 1) & (far < 1.15) & (mask == 0)] = RIM
        if rng.random() < 0.6:
            start, end = rng.uniform(0, SIDE, (2, 2))
            seam = near(np.linspace(start, end, 60), y, x) < 1.2
            image[seam], mask[seam] = image[seam] - 0.4, 2
        dust = near(rng.uniform(0, SIDE, (5, 2)), y, x) < 0.9
        image[dust] -= 0.4
        if rng.random() < 0.12:
            pores = near(rng.uniform(3, SIDE - 3, (rng.integers(1, 4), 2)), y, x) < rng.uniform(1.5, 2.3)
            image[pores], mask[pores] = image[pores] - 0.5, 3
    return images[..., None], masks


def build_net(seed):
    """A U-Net of two levels that ends in logits."""
    keras.utils.set_random_seed(seed)

    def convolve(tensor, filters):
        for _ in range(2):
            tensor = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(tensor)
            tensor = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.8)(tensor))
        return tensor

    images = keras.Input((SIDE, SIDE, 1))
    fine = convolve(images, 12)
    coarse = convolve(keras.layers.MaxPooling2D()(fine), 24)
    joined = keras.layers.Concatenate()([fine, keras.layers.UpSampling2D()(coarse)])
    return keras.Model(images, keras.layers.Conv2D(len(NAMES), 1)(convolve(joined, 12)))


def loss_of(how):
    cross_entropy = ki.FocalLoss(gamma=0, from_logits=True, ignore_class=RIM)
    if how == HOW[0]:
        return cross_entropy
    overlap = ki.TverskyLoss(alpha=0.3, beta=0.7, from_logits=True, ignore_class=RIM)
    return ki.WeightedSum([overlap, cross_entropy])


def train(how, training, validation, epochs, seed):
    images, masks = training
    rarest = ki.sampling.rarest_classes(masks, num_classes=len(NAMES), ignore_class=RIM)
    sampler = ki.ArraySampler(
        images,
        masks,
        classes=rarest,
        class_names=NAMES,
        target="balanced" if how == HOW[2] else "natural",
        batch_size=16,
        seed=seed,
    )
    shared = {"class_names": NAMES, "ignore_class": RIM}
    net = build_net(seed)
    net.compile(
        keras.optimizers.Adam(3e-3),
        loss_of(how),
        metrics=[ki.PerClassIoU(len(NAMES), **shared), ki.PerClassF1(len(NAMES), name="dice", **shared)],
    )
    net.fit(
        sampler.dataset(),
        epochs=epochs,
        shuffle=False,
        validation_data=validation,
        validation_batch_size=64,
        callbacks=[ki.ShortBar("loss", "val_iou", "val_iou/pore")],
        verbose=VERBOSE,
    )
    return net


def draw(images, masks, predicted):
    """Four test images with pores: what is seen, what is true, and what each net says."""
    columns = {"image": images[..., 0], "truth": np.where(masks == RIM, len(NAMES), masks), **predicted}
    figure, axes = plt.subplots(4, len(columns), figsize=(2.3 * len(columns), 9.4), layout="constrained")
    for row, line in enumerate(axes):
        for ax, (title, pictures) in zip(line, columns.items(), strict=True):
            if title == "image":
                ax.imshow(pictures[row], cmap="gray")
            else:
                ax.imshow(pictures[row], cmap=ListedColormap(COLOURS), vmin=0, vmax=len(NAMES), interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            if row == 0:
                ax.set_title(title, fontsize=10, wrap=True)
    patches = [plt.Rectangle((0, 0), 1, 1, facecolor=colour, edgecolor="0.6") for colour in COLOURS]
    figure.legend(patches, [*NAMES, "rim, ignored"], loc="outside lower center", ncols=5, frameon=False)
    return figure


def main():
    parser = parser_of(__doc__, epochs=8)
    parser.add_argument("--rows", type=at_least(100), default=480, help="training images")
    arguments = parser.parse_args()
    training, validation, test = (made_up(n, [arguments.seed, n]) for n in (arguments.rows, 121, 240))
    pixels = ki.count_classes(training[1], num_classes=len(NAMES), ignore_class=RIM)
    shares = ", ".join(f"{name} {share:.2%}" for name, share in zip(NAMES, ki.class_prior(pixels), strict=True))
    print(f"Pixels of {len(training[0])} training images: {shares}")
    predicted, rows = {}, []
    for how in HOW:
        print(f"\n{how}: {arguments.epochs} epochs", flush=True)
        net = train(how, training, validation, arguments.epochs, arguments.seed)
        found = net.evaluate(*test, batch_size=64, verbose=0, return_dict=True)
        predicted[how] = net.predict(test[0], batch_size=64, verbose=0).argmax(axis=-1)
        rows.append([how, *(found[f"iou/{name}"] for name in NAMES), found["iou"], found["dice/pore"], found["dice"]])
    print_table(["test images", *(f"IoU {name}" for name in NAMES), "mean", "Dice pore", "mean"], rows)
    some = np.flatnonzero((test[1] == 3).any(axis=(1, 2)))[:4]
    save(
        draw(test[0][some], test[1][some], {how: classes[some] for how, classes in predicted.items()}),
        arguments.output,
        "segmentation.png",
    )


if __name__ == "__main__":
    main()
