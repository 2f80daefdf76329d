"""Photographs of parts in a folder for each class, 1,886 of the most frequent class and 38 of the rarest.

The photographs are made up: 3,000 small JPEG files of clean surfaces, scratches, stains, dents and cracks, in a temporary
folder. A small CNN is trained twice for as many steps: on the files as they come, and on batches in which each class comes as
often, of which `ArraySampler.from_directory` decodes only the files that are drawn. A file that comes again is turned and
mirrored. Test images are 100 of each class; precision is that of the class shares in the folder.

    python examples/image_folder.py
    python examples/image_folder.py --folder parts      makes the files there, and keeps them
"""

import tempfile
from itertools import pairwise
from pathlib import Path

from common import VERBOSE, at_least, folder, parser_of, print_table, save

# isort: split
import keras
import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt
from PIL import Image

import keras_imbalance as ki

NAMES = ["clean", "scratch", "stain", "dent", "crack"]  # most files first
SHARES = 50.0 ** (-np.arange(5) / 4)
SIDE = 48  # pixels
TEST = 100  # images of each class
HOW = ("as they come", "balanced")
COLOURS = ("#8c96a3", "#c44e52")


def line(points):
    """How near each pixel is to a line through the points: 1 on it, 0 from a pixel and a half on."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    distance = np.full((SIDE, SIDE), np.inf)
    for start, end in pairwise(points):
        along = end - start
        t = np.clip(((x - start[0]) * along[0] + (y - start[1]) * along[1]) / (along @ along), 0, 1)
        distance = np.minimum(distance, np.hypot(x - start[0] - t * along[0], y - start[1] - t * along[1]))
    return np.clip(1.5 - distance, 0, 1)


def spot(rng):
    """A round spot, 1 in its middle, and how far each pixel is to one side of it."""
    centre, radius = rng.uniform(0.25, 0.75, size=2) * SIDE, rng.uniform(0.12, 0.22) * SIDE
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    right, down = (x - centre[0]) / radius, (y - centre[1]) / radius
    return np.exp(-(right**2) - down**2), rng.choice([-1, 1]) * right + rng.choice([-1, 1]) * down


def photograph(name, rng):
    """RGB `(SIDE, SIDE, 3)`, uint8: a brushed surface and a defect, clear or faint."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE - 0.5
    slope, strength, tint = rng.normal(scale=0.15, size=2), rng.uniform(0.3, 1.0), np.ones(3)
    light = rng.uniform(0.4, 0.65) + slope[0] * x + slope[1] * y + rng.normal(scale=0.03, size=(SIDE, 1))
    light = light + rng.normal(scale=0.03, size=(SIDE, SIDE))
    if name in ("scratch", "crack"):
        angle, middle = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 0.65, size=2) * SIDE
        along, across = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        steps = np.linspace(-1, 1, 7)[:, None] * rng.uniform(0.25, 0.45) * SIDE
        jags = rng.normal(scale=1.8 if name == "crack" else 0.2, size=(7, 1))
        light = light - 0.3 * strength * line(middle + steps * along + jags * across)
    elif name == "dent":  # one side is bright, the other dark
        bump, side = spot(rng)
        light = light + 0.35 * strength * bump * side
    elif name == "stain":
        bump, _ = spot(rng)
        light = light - 0.2 * strength * bump
        tint = 1 - 0.25 * strength * bump[..., None] * np.array([0.0, 0.3, 1.0])
    picture = light[..., None] * tint * rng.uniform(0.92, 1.08, size=3)
    return (255 * np.clip(picture, 0, 1)).astype("uint8")


def make_files(root, images, seed):
    """`train`, with a long tail, and `test`, with as many of each class: one folder a class in both."""
    sizes = np.round(images * SHARES / SHARES.sum()).astype(int)
    for subset, counts in (("train", sizes), ("test", [TEST] * len(NAMES))):
        for i, (name, count) in enumerate(zip(NAMES, counts, strict=True)):
            here, rng = root / subset / name, np.random.default_rng([seed, i, subset == "test"])
            here.mkdir(parents=True, exist_ok=True)
            for j in range(count):
                Image.fromarray(photograph(name, rng)).save(here / f"{j:04d}.jpg", quality=92)


def build_net(seed):
    keras.utils.set_random_seed(seed)
    net = keras.Sequential([keras.Input((SIDE, SIDE, 3)), keras.layers.Rescaling(1 / 127.5, offset=-1)])
    for filters in (16, 32, 48):
        net.add(keras.layers.Conv2D(filters, 3, padding="same", use_bias=False))
        net.add(keras.layers.BatchNormalization(momentum=0.9))
        net.add(keras.layers.ReLU())
        net.add(keras.layers.MaxPooling2D())
    net.add(keras.layers.GlobalMaxPooling2D())
    net.add(keras.layers.Dense(len(NAMES)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.Adam(2e-3), loss, metrics=[ki.PerClassRecall(len(NAMES), class_names=NAMES)])
    return net


def changed(image):
    """A photograph of the same part, held another way."""
    image = tf.image.rot90(image, tf.random.uniform((), 0, 4, tf.int32))
    return tf.image.random_brightness(tf.image.random_flip_left_right(image), 20)


def train(files, target, epochs, seed):
    """A trained net, after batches of which the target is one of the sampler."""
    training, validation = ki.ArraySampler.from_directory(
        files,
        class_names=NAMES,
        image_size=SIDE,
        validation_split=0.2,
        subset="both",
        target=target,
        batch_size=32,
        seed=seed,
    )

    def augment(image, label, repeats):
        return tf.cond(repeats > 0, lambda: changed(image), lambda: image), label

    def tell(epoch, logs):
        if epoch == 0:
            drawn, opened = (
                sum(row[key] for row in training.exposure_report().values()) for key in ("drawn", "distinct")
            )
            print(f"The first epoch decoded {drawn:,} images of {opened:,} of {len(training.file_paths):,} files.")

    print(training.summary(), "\n")
    net = build_net(seed)
    net.fit(
        training.dataset(map_fn=augment, pass_repeats=True),
        epochs=epochs,
        shuffle=False,
        validation_data=validation.dataset(),
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=tell), ki.ShortBar("loss", "val_recall")],
        verbose=VERBOSE,
    )
    return net


def scores(net, test):
    """Recall and precision of each class `(2, C)`; weights give the classes of the test images their shares in the folder."""
    labels = np.concatenate([labels for _, labels in test])
    report = ki.classification_report(
        labels, net.predict(test, verbose=0), class_names=NAMES, sample_weight=SHARES[labels] / SHARES.mean()
    ).to_dict()
    return np.array([[report["classes"][name][score] for name in NAMES] for score in ("recall", "precision")])


def draw(files, recalls):
    """Eight photographs of each class, and its recall before and after."""
    figure, (sheet, bars) = plt.subplots(1, 2, figsize=(11, 4.4), width_ratios=(1.55, 1), layout="constrained")
    rows = []
    for name in NAMES:
        paths = sorted((files / name).glob("*.jpg"))[:8]
        images = np.array([np.asarray(Image.open(path)) for path in paths])
        rows.append(np.pad(images, ((0, 8 - len(images)), (2, 2), (2, 2), (0, 0)), constant_values=255))
    sheet.imshow(np.concatenate([np.concatenate(row, axis=1) for row in rows]), interpolation="nearest")
    counts = [len(list((files / name).glob("*.jpg"))) for name in NAMES]
    step = SIDE + 4
    labels = [f"{name}\n{count:,} files" for name, count in zip(NAMES, counts, strict=True)]
    sheet.set_yticks(step * (np.arange(5) + 0.5), labels)
    sheet.set_xticks([])
    sheet.tick_params(length=0)
    sheet.spines[:].set_visible(False)
    for i, (name, recall) in enumerate(recalls.items()):
        bars.barh(np.arange(5) + 0.38 * i - 0.19, recall, 0.36, color=COLOURS[i], label=name)
        for j, value in enumerate(recall):
            bars.text(value + 0.01, j + 0.38 * i - 0.19, f"{value:.2f}", va="center", fontsize=9)
    bars.set(xlim=(0, 1.1), yticks=[], ylim=(4.55, -0.45), title="recall of each class on test images")
    bars.spines[["top", "right"]].set_visible(False)
    bars.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, frameon=False)
    return figure


def run(root, arguments):
    make_files(root, arguments.images, arguments.seed)
    options = {"class_names": NAMES, "image_size": (SIDE, SIDE), "verbose": False}
    test = keras.utils.image_dataset_from_directory(root / "test", shuffle=False, **options)
    found = []
    for name, target in zip(HOW, ("natural", "balanced"), strict=True):
        print(f"\n{name}: {arguments.epochs} epochs\n", flush=True)
        found.append(scores(train(root / "train", target, arguments.epochs, arguments.seed), test))
    columns = np.concatenate(found).T  # recall, precision of one, then of the other
    rows = [[name, *map(float, row)] for name, row in zip(NAMES, columns, strict=True)]
    rows += [[name, *map(float, row)] for name, row in (("mean", columns.mean(axis=0)), ("worst", columns.min(axis=0)))]
    print_table(["test images", "as they come: recall", "precision", "balanced: recall", "precision"], rows)
    recalls = {name: recall for name, (recall, _) in zip(HOW, found, strict=True)}
    save(draw(root / "train", recalls), arguments.output, "image_folder.png")


def main():
    parser = parser_of(__doc__, epochs=7)
    parser.add_argument("--images", type=at_least(500), default=3000, help="files to train and validate on")
    parser.add_argument("--folder", type=folder, help="where the files are made, and kept")
    arguments = parser.parse_args()
    if arguments.folder:
        if arguments.folder.exists() and any(arguments.folder.iterdir()):
            parser.error(f"argument --folder: Expected an empty folder. Received: {arguments.folder}")
        run(arguments.folder, arguments)
        return
    with tempfile.TemporaryDirectory() as root:
        run(Path(root), arguments)


if __name__ == "__main__":
    main()
