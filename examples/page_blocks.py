"""Blocks of a page layout in five classes, 4,913 rows to 28: plain training, and training with keras_imbalance.

Both nets have the same layers, initial weights, optimizer, learning rates, epochs and steps. What differs is the batches and
the loss of the second one. Its settings were chosen on validation rows, with other seeds than those it runs with by default.

    python examples/page_blocks.py                      one seed
    python examples/page_blocks.py --seeds 5            the mean over five splits and initial weights
"""

from dataclasses import dataclass

from common import VERBOSE, add_seeds, page_blocks, parser_of, save, standardized

# isort: split
import keras
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split

import keras_imbalance as ki

BATCH_SIZE = 64
LEARNING_RATE = 3e-3
BALANCED_PART = 0.6  # of the epochs are drawn by how well each class does, the rest as the data come
FALL = 0.3  # of the learning rate in the rest
SCORES = ("precision", "recall", "f1")
SHOWN = ("loss", "val_recall", "val_f1")
COLORS = ("#4c72b0", "#55a868", "#8172b3", "#dd8452", "#c44e52")  # most frequent class first, the rarest in red


@dataclass
class Split:
    """Features and labels of training, validation and test rows, and the names of the classes."""

    train: tuple
    validation: tuple
    test: tuple
    names: list


@dataclass
class Result:
    """What one trained net did: scores (C, 3) and counts (C, C) on the test rows, and its way there."""

    scores: np.ndarray
    confusion: np.ndarray
    history: dict
    distributions: list


def load_split(seed):
    """Half of the rows for training, a quarter each for validation and test, every class in proportion."""
    x, y, names = page_blocks()
    train, rest = train_test_split(np.arange(len(y)), test_size=0.5, stratify=y, random_state=seed)
    validation, test = train_test_split(rest, test_size=0.5, stratify=y[rest], random_state=seed)
    x = standardized(x, train)
    return Split(*((x[part], y[part]) for part in (train, validation, test)), names)


def build_net(split, seed):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((split.train[0].shape[1],)),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(len(split.names)),
        ]
    )


def per_class_metrics(names):
    kinds = (ki.PerClassPrecision, ki.PerClassRecall, ki.PerClassF1)
    return [kind(len(names), class_names=names) for kind in kinds]


def imbalance_loss(kind, counts):
    # The batches are rebalanced already and N / n_i on top would count twice; its square root helps once the last epochs
    # draw the classes as they come.
    if kind == "focal":
        return ki.FocalLoss(gamma=2.0, alpha=ki.class_weights(counts, scheme="sqrt", normalize="sum"), from_logits=True)
    return ki.ClassBalancedLoss(counts, scheme="sqrt", normalize="sum", from_logits=True)


def train_plain(split, epochs, seed):
    net = build_net(split, seed)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.Adam(LEARNING_RATE), loss, metrics=per_class_metrics(split.names))
    history = net.fit(
        *split.train,
        batch_size=BATCH_SIZE,
        epochs=epochs,
        validation_data=split.validation,
        validation_batch_size=len(split.validation[0]),
        callbacks=[ki.PhasedTraining([ki.Phase(switch_epoch(epochs), learning_rate_factor=FALL)]), ki.ShortBar(*SHOWN)],
        verbose=VERBOSE,
    )
    return evaluate(net, split, history.history, [])


def train_with_plugin(split, epochs, seed, loss):
    net = build_net(split, seed)
    sampler = ki.ArraySampler(*split.train, batch_size=BATCH_SIZE, class_names=split.names, seed=seed)
    switch = switch_epoch(epochs)
    dynamic = ki.DynamicSampling(sampler, floor=0.5, end_epoch=switch)
    net.compile(
        keras.optimizers.Adam(LEARNING_RATE),
        imbalance_loss(loss, sampler.class_counts),
        metrics=per_class_metrics(split.names),
    )
    history = net.fit(
        sampler.dataset(),
        epochs=epochs,
        shuffle=False,  # the sampler has shuffled
        validation_data=split.validation,
        validation_batch_size=len(split.validation[0]),
        callbacks=[
            ki.TwoPhaseLearning(sampler, switch_epoch=switch, learning_rate_factor=FALL),
            dynamic,
            ki.ShortBar(*SHOWN),
        ],
        verbose=VERBOSE,
    )
    return evaluate(net, split, history.history, dynamic.history)


def switch_epoch(epochs):
    """First epoch that draws the classes as they come."""
    return min(max(round(BALANCED_PART * epochs), 1), epochs - 1)


def evaluate(net, split, history, distributions):
    x, y = split.test
    logits = net(x, training=False)
    columns = []
    for name, metric in zip(SCORES, per_class_metrics(split.names), strict=True):
        metric.update_state(y, logits)
        result = metric.result()
        columns.append([float(result[f"{name}/{label}"]) for label in split.names])
    predicted = keras.ops.convert_to_numpy(logits).argmax(axis=-1)
    counts = confusion_matrix(y, predicted, labels=range(len(split.names)))
    return Result(np.array(columns).T, counts, history, distributions)


def score_table(names, support, plain, plugin):
    """A row a class, the macro mean and the worst class of every score, each the mean over the seeds.

    `plain` and `plugin` hold the scores of both nets (seeds, C, 3).
    """
    both = np.concatenate([plain, plugin], axis=-1)
    width = max(map(len, [*names, "worst class"]))

    def line(name, rows, cells):
        left, right = ("".join(f"{cell:>9}" for cell in part) for part in (cells[:3], cells[3:]))
        return f"{name:<{width}}{rows:>7}  {left}  {right}"

    def scores(name, rows, values):
        return line(name, rows, [f"{value:.3f}" for value in values.mean(axis=0)])

    head = line("class", "rows", SCORES * 2)
    rule = "-" * len(head)
    classes = [
        scores(name, f"{rows:.4g}", both[:, i]) for i, (name, rows) in enumerate(zip(names, support, strict=True))
    ]
    means = scores("macro mean", f"{support.sum():.4g}", both.mean(axis=1))
    worst = scores("worst class", "", both.min(axis=1))
    titles = f"{'':{width + 7}}  {'plain cross-entropy':>27}  {'keras_imbalance':>27}"
    return "\n".join([titles, head, rule, *classes, rule, means, worst])


def plot_confusion(names, results, title):
    """Counts in the cells; the colour is the share of the true class, so that rare classes show."""
    figure, axes = plt.subplots(1, 2, figsize=(13, 5.6), layout="constrained", sharey=True)
    labels = [name.replace("_", "\n") for name in names]
    for ax, (net, result) in zip(axes, results.items(), strict=True):
        shares = result.confusion / result.confusion.sum(axis=1, keepdims=True)
        image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (i, j), count in np.ndenumerate(result.confusion):
            color = "white" if shares[i, j] > 0.5 else "#999999" if count == 0 else "black"
            text = f"{count}\n{shares[i, j]:.1%}" if count else "0"
            ax.text(j, i, text, ha="center", va="center", color=color, fontsize=10)
        recall = np.diag(shares)
        ax.set_title(f"{net}\nmacro recall {recall.mean():.3f}, worst class {recall.min():.3f}", fontsize=12)
        ax.set_xticks(range(len(names)), labels)
        ax.set_yticks(range(len(names)), labels)
        ax.set_xlabel("predicted class")
    axes[0].set_ylabel("true class")
    figure.suptitle(title, fontsize=13)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.9)
    return figure


def plot_epochs(names, results, title):
    """Validation recall of every class for both nets, and what the sampler drew meanwhile."""
    figure, axes = plt.subplots(1, 3, figsize=(16, 5), layout="constrained")
    plugin = list(results.values())[-1]
    epochs = np.arange(1, len(plugin.distributions) + 1)
    for ax, (net, result) in zip(axes, results.items(), strict=False):
        for name, color in zip(names, COLORS, strict=True):
            ax.plot(epochs, result.history[f"val_recall/{name}"], color=color, label=name.replace("_", " "), lw=1.8)
        ax.set(title=f"{net}: validation recall", xlabel="epoch", ylim=(-0.02, 1.02))
        ax.grid(alpha=0.3)
    edges = np.append(epochs - 0.5, len(epochs) + 0.5)
    drawn = 100 * np.array([*plugin.distributions, plugin.distributions[-1]]).T
    axes[2].stackplot(edges, drawn, colors=COLORS, step="post", alpha=0.85)
    axes[2].set(title="keras_imbalance: what the sampler draws", xlabel="epoch", ylabel="% of the batch", ylim=(0, 100))
    for ax in axes:
        ax.set_xlim(0.5, len(epochs) + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    for ax in axes[1:]:
        ax.axvline(switch_epoch(len(epochs)) + 0.5, color="black", ls="--", lw=1.2)
    figure.suptitle(title, fontsize=13)
    handles, labels = axes[0].get_legend_handles_labels()
    handles.append(plt.Line2D([], [], color="black", ls="--", lw=1.2))
    figure.legend(
        handles,
        [*labels, "from here on classes as in the data, lower learning rate"],
        loc="outside lower center",
        ncols=6,
    )
    return figure


def parse_arguments():
    parser = parser_of(__doc__, epochs=40)
    add_seeds(parser)
    parser.add_argument(
        "--loss", choices=("class_balanced", "focal"), default="class_balanced", help="the plugin's loss"
    )
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    runs, supports = [], []
    for seed in range(arguments.seed, arguments.seed + arguments.seeds):
        split = load_split(seed)
        print(f"\nSeed {seed}, plain cross-entropy: {arguments.epochs} epochs", flush=True)
        plain = train_plain(split, arguments.epochs, seed)
        print(f"\nSeed {seed}, keras_imbalance ({arguments.loss}): {arguments.epochs} epochs", flush=True)
        plugin = train_with_plugin(split, arguments.epochs, seed, arguments.loss)
        runs.append((plain, plugin))
        supports.append(ki.count_classes(split.test[1], num_classes=len(split.names)))

    if arguments.seeds == 1:
        print(f"\nTest rows, seed {arguments.seed}\n")
    else:
        print(
            f"\nTest rows, mean of {arguments.seeds} seeds ({arguments.seed} to {arguments.seed + arguments.seeds - 1})\n"
        )
    plain, plugin = (np.array([run[i].scores for run in runs]) for i in (0, 1))
    print(score_table(split.names, np.mean(supports, axis=0), plain, plugin))

    results = dict(zip(("plain cross-entropy", "keras_imbalance"), runs[0], strict=True))
    print()
    for plot, name in ((plot_confusion, "confusion_matrices.png"), (plot_epochs, "recall_and_sampling.png")):
        save(plot(split.names, results, f"Page blocks, seed {arguments.seed}"), arguments.output, name)


if __name__ == "__main__":
    main()
