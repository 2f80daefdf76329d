"""Sets of classes that hold the true one nine times in ten: on average over all rows, or in each class.

A net learns the blocks of a page layout, other rows say how strange the true class may look to it, and the test rows tell how
often the true class is in the set. One limit for all classes keeps the promise on average and breaks it for rare classes; a
limit for each class keeps it for all of them, with larger sets.

    python examples/prediction_sets.py
    python examples/prediction_sets.py --seeds 20         the mean over twenty splits and initial weights
"""

from common import add_seeds, page_blocks, parser_of, print_table, save, standardized

# isort: split
import keras
import numpy as np
from matplotlib import pyplot as plt
from sklearn.model_selection import train_test_split

COVERAGE = 0.9


def build_net(features, classes):
    net = keras.Sequential(
        [
            keras.Input((features,)),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )
    net.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    return net


def limit(scores, coverage):
    """The score that a new row stays at or below with this probability: the k-th smallest, k = ceil((n + 1) coverage)."""
    k = int(np.ceil((len(scores) + 1) * coverage))
    return np.sort(scores)[k - 1] if k <= len(scores) else np.inf


def limits_of(p, y):
    """One limit for all classes, and one for each, from rows that were not trained on."""
    scores = 1 - p[np.arange(len(p)), y]
    of_all = np.full(p.shape[1], limit(scores, COVERAGE))
    return {"one limit": of_all, "a limit for each class": [limit(scores[y == k], COVERAGE) for k in range(p.shape[1])]}


def measure(x, y, classes, epochs, seed):
    """Of each class, for both kinds of limits: how often the true class is in the set, and how many classes are."""
    fit, rest = train_test_split(np.arange(len(y)), train_size=0.4, stratify=y, random_state=seed)
    calibration, test = train_test_split(rest, test_size=0.4, stratify=y[rest], random_state=seed)
    x = standardized(x, fit)
    keras.utils.set_random_seed(seed)
    net = build_net(x.shape[1], classes)
    net.fit(x[fit], y[fit], batch_size=64, epochs=epochs, verbose=0)
    p_calibration, p = (keras.ops.convert_to_numpy(net(x[part])) for part in (calibration, test))
    table = []
    for limits in limits_of(p_calibration, y[calibration]).values():
        sets = 1 - p <= limits
        held, size = sets[np.arange(len(p)), y[test]], sets.sum(axis=1)
        table.append([(held[y[test] == k].mean(), size[y[test] == k].mean()) for k in range(classes)])
        table[-1].append((held.mean(), size.mean()))
    return np.array(table), np.bincount(y[calibration])


def draw(covered, names):
    figure, ax = plt.subplots(figsize=(9, 4.2), layout="constrained")
    places = np.arange(len(names))
    for shift, values, colour, label in (
        (-0.2, covered[0], "#b0bec5", "one limit for all classes"),
        (0.2, covered[1], "#1f6f8b", "a limit for each class"),
    ):
        bars = ax.bar(places + shift, values, width=0.38, color=colour, label=label)
        ax.bar_label(bars, fmt="%.2f", fontsize=9)
    ax.axhline(COVERAGE, color="0.3", linestyle="--", linewidth=1)
    ax.text(1.01, COVERAGE, "promised", transform=ax.get_yaxis_transform(), va="center", color="0.3")
    ax.set(ylabel="true class in the set, share of test rows", ylim=(0, 1.22), xlim=(-0.6, len(names) - 0.4))
    ax.set_xticks(places, names)
    ax.set_yticks(np.arange(0, 1.01, 0.2))
    ax.legend(loc="upper center", ncols=2, frameon=False)
    return figure


def main():
    parser = parser_of(__doc__, epochs=20)
    add_seeds(parser)
    parser.set_defaults(seeds=5)
    arguments = parser.parse_args()
    x, y, names = page_blocks()
    tables = []
    for seed in range(arguments.seed, arguments.seed + arguments.seeds):
        table, calibrated = measure(x, y, len(names), arguments.epochs, seed)
        tables.append(table)
        print(f"Split {seed}: {', '.join(f'{share:.2f}' for share in table[0, :-1, 0])} with one limit", flush=True)
    mean = np.mean(tables, axis=0)
    rows = []
    for k, name in enumerate([*names, "all rows"]):
        count = calibrated[k] if k < len(names) else calibrated.sum()
        rows.append([name, count, *mean[:, k, 0].tolist(), *(f"{size:.2f}" for size in mean[:, k, 1])])
    kinds = ["one limit", "one a class"]
    header = [f"{COVERAGE:.0%} promised", "calibrated on", *(f"held, {kind}" for kind in kinds)]
    header += [f"size, {kind}" for kind in kinds]
    print_table(header, rows)
    print("held: the true class is in the set; size: how many classes a set holds.")
    labels = [f"{name.replace('_', ' ')}\n{count} rows" for name, count in zip(names, calibrated, strict=True)]
    save(draw(mean[:, :-1, 0], labels), arguments.output, "prediction_sets.png")


if __name__ == "__main__":
    main()
