"""One row in a hundred matters: an ensemble on balanced draws, honest probabilities, and decisions by cost.

Finds the pictures among the blocks of a page layout, thinned out until they are 1 % of the rows. A missed one costs 50 times as
much as a false alarm. Five ways to decide on the test rows:

    plain net at 0.5       one net trained on all rows
    plain net, by cost     the same net, and the decision that costs least in expectation
    ensemble at 0.5        ten nets on balanced draws: many alarms, and probabilities far too high
    corrected at 0.5       the same ensemble with the probabilities put back: honest, and at 0.5 nearly blind
    corrected, by cost     the same probabilities, and the decision that costs least in expectation

The decision by cost saves most, whichever the model. Where a plain net learns from all rows without trouble, as here, it may
well rank better than members that see 54 rows each: look at its row before you prefer the ensemble.

    python examples/rare_event.py
    python examples/rare_event.py --seeds 5             the mean over five splits and initial weights
"""

from common import VERBOSE, add_seeds, page_blocks, parser_of, print_table, save, standardized

# isort: split
import keras
import numpy as np
from matplotlib import pyplot as plt
from sklearn.metrics import average_precision_score, brier_score_loss
from sklearn.model_selection import train_test_split

import keras_imbalance as ki
from keras_imbalance.plots import plot_reliability

RARE, SHARE = "picture", 0.01
MISS, FALSE_ALARM = 50.0, 1.0
COSTS = np.array([[0.0, FALSE_ALARM], [MISS, 0.0]])  # row: what it is; column: what is decided
MEMBERS = 10


def load_split(seed):
    """Training and test rows with the same share of rare ones, half of the rows each."""
    x, y, names = page_blocks()
    y = (y == names.index(RARE)).astype("int32")
    rng = np.random.default_rng(seed)
    rare = rng.permutation(np.flatnonzero(y == 1))
    kept = round(SHARE / (1 - SHARE) * (y == 0).sum())
    rows = np.sort(np.concatenate([np.flatnonzero(y == 0), rare[:kept]]))
    train, test = train_test_split(rows, test_size=0.5, stratify=y[rows], random_state=seed)
    x = standardized(x, train)
    return (x[train], y[train]), (x[test], y[test])


def build_net():
    net = keras.Sequential(
        [
            keras.Input((10,)),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    net.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
    return net


def train_plain(train, epochs, seed):
    keras.utils.set_random_seed(seed)
    net = build_net()
    net.fit(*train, batch_size=64, epochs=epochs, callbacks=[ki.ShortBar("loss")], verbose=VERBOSE)
    return net


def train_ensemble(train, epochs, seed):
    """Ten nets, each with every rare row and as many of the others."""
    ensemble = ki.BalancedBagging(build_net, num_members=MEMBERS, seed=seed)
    ensemble.fit(*train, batch_size=16, epochs=epochs)
    return ensemble


def decided(y, p, decision):
    """Recall, precision, and the cost of a thousand rows."""
    found = int((decision & y).sum())
    cost = 1000 * COSTS[y, decision].mean()
    return found / y.sum(), found / max(decision.sum(), 1), cost


def judge(train, test, epochs, seed):
    """A row of figures for each way to decide, and the probabilities behind the last ones."""
    print(f"\nSeed {seed}: {len(train[1])} training rows, {int(train[1].sum())} of them rare", flush=True)
    x, y = test
    plain = train_plain(train, epochs, seed).predict(x, verbose=0)[:, 0].astype("float64")
    ensemble = train_ensemble(train, epochs, seed)
    balanced = ensemble.predict_proba(x)[:, 1].astype("float64")
    # The members saw as many rare rows as others. The test rows, like the training rows, hold 1 % of them.
    honest = ki.correct_prior(balanced, ensemble.train_prior, ki.class_prior(ki.count_classes(train[1])))
    figures = {}
    for name, p, decision in [
        ("plain net at 0.5", plain, plain > 0.5),
        ("plain net, by cost", plain, ki.minimum_cost_decision(plain, COSTS)),
        ("ensemble at 0.5", balanced, balanced > 0.5),
        ("corrected at 0.5", honest, honest > 0.5),
        ("corrected, by cost", honest, ki.minimum_cost_decision(honest, COSTS)),
    ]:
        recall, precision, cost = decided(y, p, decision.astype("int32"))
        figures[name] = (average_precision_score(y, p), brier_score_loss(y, p), recall, precision, cost)
    return figures, {"before": balanced, "after": honest}


def draw(y, probabilities):
    figure, axes = plt.subplots(1, 2, figsize=(12, 5.5), layout="constrained")
    for ax, (when, p) in zip(axes, probabilities.items(), strict=True):
        plot_reliability(y, p, ax=ax, scale="log", num_bins=8)
        ax.set_title(f"Ensemble {when} prior correction, Brier score {brier_score_loss(y, p):.4f}")
    return figure


def main():
    parser = parser_of(__doc__, epochs=30)
    add_seeds(parser)
    arguments = parser.parse_args()
    runs = []
    for seed in range(arguments.seed, arguments.seed + arguments.seeds):
        train, test = load_split(seed)
        runs.append((*judge(train, test, arguments.epochs, seed), test[1]))
    rows = []
    for name in runs[0][0]:
        precision, brier, recall, right, cost = np.mean([figures[name] for figures, _, _ in runs], axis=0)
        rows.append([name, float(precision), f"{brier:.4f}", float(recall), float(right), f"{cost:.0f}"])
    print_table(["test rows", "average precision", "Brier score", "recall", "precision", "cost of 1000 rows"], rows)
    print(
        f"A miss costs {MISS:.0f}, a false alarm {FALSE_ALARM:.0f}: decided by cost, an alarm is raised from p = "
        f"{FALSE_ALARM / (FALSE_ALARM + MISS):.3f} on."
    )
    save(draw(runs[0][2], runs[0][1]), arguments.output, "reliability.png")


if __name__ == "__main__":
    main()
