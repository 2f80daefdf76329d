"""A fraud desk: 2 payments in 1,000 are fraud. Plain training, decisions by cost, thresholds, and a month with more fraud.

The payments are drawn from known densities, so that the table can say what the best possible detector would reach. A payment
that is passed on to a person costs 3, fraud or not; a fraud that is missed costs 120. Ways to decide on the test payments:

    plain at 0.5              one net, trained on the payments as they come: finds little
    plain, by cost            the same net, and the decision that costs least in expectation
    plain, half right         the same net: as much fraud as can be found while half of the alarms are right
    plain, 80 % found         the same net: as few false alarms as can be while four frauds of five are found
    balanced at 0.5           a net that was trained on as much fraud as honest payments: every second payment was a repeat
    balanced, by cost         its probabilities taken for true: an alarm for a large part of all payments
    balanced, put back        by cost, after `correct_prior` has put the probabilities back to the shares of the payments
    ensemble, put back        by cost, five nets that each see all fraud and five honest payments for each of it
    true densities, by cost   the best there is

Then a month in which three times as much is fraud: `estimate_prior` reads that off the payments without a label, and
`correct_prior` moves the probabilities there.

    python examples/fraud.py
    python examples/fraud.py --seeds 5             the mean over five draws and initial weights
"""

from common import VERBOSE, add_seeds, at_least, parser_of, print_table, save

# isort: split
import keras
import numpy as np
from matplotlib import pyplot as plt
from sklearn.metrics import average_precision_score, log_loss

import keras_imbalance as ki
from keras_imbalance.plots import plot_reliability, plot_threshold

SHARE, LATER = 0.002, 0.006  # of fraud, in training and in a later month
ALARM, MISS = 3.0, 120.0
COSTS = np.array([[0.0, ALARM], [MISS, ALARM]])  # row: what it is; column: passed, or shown to a person
NAMES = ["honest", "fraud"]
COLUMNS = ["amount", "hour", "pause", "payments_today", "distance", "device_age"]
# Kinds of payments: their share among honest ones or among frauds, and the mean of each column. Logarithms, in deviations.
HONEST = {
    "everyday": (0.80, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
    "on a journey": (0.12, [0.5, 0.3, 0.0, 0.3, 2.2, -0.4]),
    "shopping spree": (0.08, [0.8, 0.0, -1.2, 1.4, 0.3, 0.0]),
}
FRAUD = {
    "card tested": (0.35, [-2.2, 0.8, -3.0, 3.0, 1.2, -1.5]),
    "card stolen": (0.40, [2.2, 1.0, -1.2, 1.2, 2.5, -1.5]),
    "account taken over": (0.25, [1.2, 1.2, -0.5, 0.2, 0.5, -3.0]),
}


def draw_payments(rows, share, rng):
    """Columns (rows, 6) and labels (rows,): 1 for fraud, a share of `share` of them."""
    y = (rng.random(rows) < share).astype("int32")
    x = rng.normal(size=(rows, len(COLUMNS)))
    for label, kinds in enumerate((HONEST, FRAUD)):
        shares, means = zip(*kinds.values(), strict=True)
        of_class = y == label
        x[of_class] += np.array(means)[rng.choice(len(kinds), of_class.sum(), p=shares)]
    return x.astype("float32"), y


def true_probability(x, share):
    """How probable fraud is, by the densities that the payments are drawn from: no detector can know more."""
    densities = []
    for kinds in (HONEST, FRAUD):
        distances = [((x - np.array(mean)) ** 2).sum(axis=1) for _, mean in kinds.values()]
        densities.append(sum(part * np.exp(-d / 2) for (part, _), d in zip(kinds.values(), distances, strict=True)))
    return share * densities[1] / ((1 - share) * densities[0] + share * densities[1])


def build_net(class_counts=None):
    """A small net; with the counts it starts at the share of fraud instead of at one half."""
    start = "zeros" if class_counts is None else ki.initial_bias(class_counts)
    net = keras.Sequential(
        [
            keras.Input((len(COLUMNS),)),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid", bias_initializer=start),
        ]
    )
    net.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy")
    return net


def probabilities_of(net, x):
    return net.predict(x, batch_size=4096, verbose=0)[:, 0].astype("float64")


def train_plain(train, epochs):
    net = build_net(ki.count_classes(train[1]))
    net.fit(*train, batch_size=512, epochs=epochs, callbacks=[ki.ShortBar("loss")], verbose=VERBOSE)
    return net


def train_balanced(train, epochs, seed):
    sampler = ki.ArraySampler(*train, batch_size=512, class_names=NAMES, seed=seed)
    print(sampler.summary())
    net = build_net()
    net.fit(sampler.dataset(), epochs=epochs, shuffle=False, callbacks=[ki.ShortBar("loss")], verbose=VERBOSE)
    return net, sampler.drawn_prior


def train_ensemble(train, epochs, seed):
    """Five nets, each with all fraud and five honest payments for each of it."""
    ensemble = ki.BalancedBagging(build_net, num_members=5, ratio=5, seed=seed)
    ensemble.fit(*train, batch_size=32, epochs=epochs)
    return ensemble


def figures_of(y, p, decided):
    """What a fraud desk asks of a way to decide."""
    found = int((decided & y).sum())
    return (
        average_precision_score(y, p),
        log_loss(y, p),
        1000 * decided.mean(),
        found / y.sum(),
        found / max(decided.sum(), 1),
        1000 * COSTS[y, decided].mean(),
    )


def by_cost(p):
    return ki.minimum_cost_decision(p, COSTS)


def judge(arguments, seed):
    """Figures of each way to decide, figures of the later month, and what the pictures show."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    train, validation, test = (draw_payments(part * arguments.rows // 2, SHARE, rng) for part in (2, 1, 3))
    print(f"\nSeed {seed}: {len(train[1])} payments to train on, {int(train[1].sum())} of them fraud", flush=True)
    true_prior = ki.class_prior(ki.count_classes(train[1]))

    net = train_plain(train, arguments.epochs)
    plain = probabilities_of(net, test[0])
    to_tune = validation[1], probabilities_of(net, validation[0])
    half_right = ki.tune_thresholds(*to_tune, objective="recall_at_precision", at=0.5)
    most_found = ki.tune_thresholds(*to_tune, objective="precision_at_recall", at=0.8)

    balanced_net, drawn_prior = train_balanced(train, arguments.epochs, seed)
    balanced = probabilities_of(balanced_net, test[0])
    put_back = ki.correct_prior(balanced, drawn_prior, true_prior)
    ensemble = train_ensemble(train, arguments.epochs, seed)
    members = ensemble.predict_proba(test[0])[:, 1]
    members_back = ki.correct_prior(members, ensemble.train_prior, true_prior)
    best = true_probability(test[0], SHARE)

    ways = {
        "plain at 0.5": (plain, (plain > 0.5).astype("int64")),
        "plain, by cost": (plain, by_cost(plain)),
        "plain, half right": (plain, half_right(plain)),
        "plain, 80 % found": (plain, most_found(plain)),
        "balanced at 0.5": (balanced, (balanced > 0.5).astype("int64")),
        "balanced, by cost": (balanced, by_cost(balanced)),
        "balanced, put back": (put_back, by_cost(put_back)),
        "ensemble, put back": (members_back, by_cost(members_back)),
        "true densities, by cost": (best, by_cost(best)),
    }
    found = {name: figures_of(test[1], *way) for name, way in ways.items()}
    drawn = {"ensemble": members, "put back": members_back}
    return found, later_month(net, true_prior, arguments.rows, rng), (test[1], plain, drawn)


def later_month(net, true_prior, rows, rng):
    """The same net in a month with more fraud: as it is, moved to what the payments show, and moved to what is true."""
    x, y = draw_payments(rows, LATER, rng)
    p = probabilities_of(net, x)
    estimated = ki.estimate_prior(p, true_prior)  # without a label
    print(f"Later month: {estimated[1]:.2%} fraud by estimate_prior, {y.mean():.2%} by the labels")
    moved = ki.correct_prior(p, true_prior, estimated)
    best = true_probability(x, LATER)
    ways = {"plain, by cost": p, "moved, by cost": moved, "true densities, by cost": best}
    return {name: figures_of(y, way, by_cost(way)) for name, way in ways.items()}


def print_ways(title, runs):
    rows = []
    for name in runs[0]:
        precision, loss, alarms, recall, right, cost = np.mean([run[name] for run in runs], axis=0).tolist()
        rows.append([name, precision, f"{loss:.4f}", f"{alarms:.1f}", recall, right, f"{cost:.0f}"])
    print_table([title, "avg prec", "log loss", "alarms/1000", "recall", "precision", "cost/1000"], rows)


def draw(y, plain, probabilities):
    figure, axes = plt.subplots(1, 2, figsize=(12.5, 5), layout="constrained", width_ratios=(1.25, 1))
    shown = {"class_names": NAMES, "scale": "log"}
    plot_threshold(y, plain, cost_matrix=COSTS, ax=axes[0], **shown)
    axes[0].axvline(0.5, color="0.5", linestyle=":", linewidth=1)
    axes[0].set_title("Plain net: at 0.5 most fraud is missed")
    for name, p in probabilities.items():
        plot_reliability(y, p, num_bins=8, ax=axes[1], label=name, **shown)
    axes[1].set_title("Ensemble on more fraud: far too high, until put back")
    return figure


def main():
    parser = parser_of(__doc__, epochs=12)
    add_seeds(parser)
    parser.add_argument("--rows", type=at_least(10_000), default=100_000, help="payments to train on")
    arguments = parser.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    runs, later, shown = zip(*(judge(arguments, seed) for seed in seeds), strict=True)
    print_ways("test payments", runs)
    print(f"An alarm costs {ALARM:.0f}, a miss {MISS:.0f}: by cost, an alarm where p is above {ALARM / MISS:.3f}.")
    print_ways(f"a month with {LATER:.1%} fraud", later)
    save(draw(*shown[0]), arguments.output, "fraud.png")


if __name__ == "__main__":
    main()
