"""Decisions on new rows: thresholds tuned on few validation rows, and the macro F1 decision, against argmax.

Run: python -m benchmarks.decisions [--mnist FILE.npz] [--sylva FILE.npz] [--only thresholds macro_f1] [--splits 50]

Probabilities are those of a logistic regression, of generated data the true ones.

Thresholds: rows to validate on are drawn so that the rarest class has 5, 20 or 100 of them; classes with too few rows for that
are left out. Gains are points of the score of argmax on the same new rows: median, and the share of splits with a loss.

Macro F1: half of the rows train, the others are new, and all that the decision sees of them are their probabilities. "natural":
they come in the shares of training; else they are drawn anew, with replacement, in shares of n^0.5, which the decision is told
("shifted") or not ("unknown"). Gains are points of macro F1 over argmax of the same probabilities, moved to the shares that are
told or estimated, and over argmax of them as they are.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import keras_imbalance as ki
from benchmarks import data
from benchmarks.timing import table

ROWS = (5, 20, 100)
SETS = {"page blocks": data.page_blocks, "wine": data.wine, "skillcraft": data.skillcraft}  # of thresholds
PRIOR = np.array([0.8, 0.14, 0.04, 0.02])
SHIFT = 0.5  # new rows come in shares of n^0.5
SCORES = {
    "f1": lambda y, d: f1_score(y, d, average="macro", zero_division=0),
    "balanced_accuracy": balanced_accuracy_score,
}


def generated(rows, seed):
    """Labels and true probabilities of four Gaussian classes: of rows to validate on, and of new rows."""
    counts = np.ceil(PRIOR * rows / PRIOR.min()).astype(int)
    return [mixture(part, seed, PRIOR) for part in (counts, (PRIOR * 5000).astype(int))]


def mixture(counts, seed, speaks_for):
    """Labels of four Gaussian classes and their true probabilities, under the prior that they are to speak for."""
    centres, rng = 1.5 * np.array([[0, 0], [1, 0], [0, 1], [1, 1]]), np.random.default_rng([seed, *counts])
    labels = np.repeat(np.arange(4), counts)
    x = centres[labels] + rng.normal(size=(len(labels), 2))
    density = np.exp(-0.5 * ((x[:, None] - centres) ** 2).sum(axis=2)) * speaks_for
    return labels, density / density.sum(axis=1, keepdims=True)


def filled(x, labels, names):
    """Features whose gaps have taken the median of the column, and class ids."""
    return np.where(np.isnan(x), np.nanmedian(x, axis=0), x).astype(float), labels


def regression():
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))


def trained(x, labels, rows, seed):
    """Labels and probabilities of rows to validate on and of new rows, of a regression on the others."""
    counts = np.bincount(labels)
    kept = np.isin(labels, np.flatnonzero(counts >= max(25, 1.6 * rows)))
    x, labels = x[kept], np.unique(labels[kept], return_inverse=True)[1]
    part, rng, role = rows / np.bincount(labels).min(), np.random.default_rng(seed), np.empty(len(labels), int)
    for k in range(labels.max() + 1):
        members = rng.permutation(np.flatnonzero(labels == k))
        validation = round(part * len(members))
        role[members] = np.where(np.arange(len(members)) < validation, 1, np.arange(len(members)) % 2 * 2)
    model = regression().fit(x[role == 0], labels[role == 0])
    return [(labels[role == r], model.predict_proba(x[role == r])) for r in (1, 2)]


def halved(x, labels, seed):
    """Class counts of half of the rows, and labels and probabilities of the others, by a regression on that half."""
    rng, half = np.random.default_rng(seed), np.empty(len(labels), int)
    for k in range(labels.max() + 1):
        members = rng.permutation(np.flatnonzero(labels == k))
        half[members] = np.arange(len(members)) % 2
    model = regression().fit(x[half == 0], labels[half == 0])
    return np.bincount(labels[half == 0]), labels[half == 1], model.predict_proba(x[half == 1])


def long_tailed(path, seed):
    """The same for MNIST, 3,000 rows down to 30 a digit, as means of 2 x 2 pixels; new rows in the same mix."""
    rng, parts = np.random.default_rng(seed), []
    for (images, digits), most in zip(data.mnist(path), (data.MOST_ROWS, 850), strict=True):
        counts = data.exponential_profile(10, most, data.IMBALANCE)
        rows = np.concatenate([rng.permutation(np.flatnonzero(digits == k))[:n] for k, n in enumerate(counts)])
        pixels = images[rows].reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(len(rows), -1)
        parts.append((pixels, digits[rows]))
    (x, labels), (new_x, new_labels) = parts
    return np.bincount(labels), new_labels, regression().fit(x, labels).predict_proba(new_x)


def thresholds(sources, splits):
    columns = ["data", "rows of the rarest class", "score", "argmax", "tuned, median gain", "splits that lose"]
    print(table([*columns, "tuned on the new rows, median gain"], []), flush=True)
    for name, draw in sources.items():
        for rows in ROWS:
            found = {objective: [] for objective in SCORES}
            for seed in range(splits):
                (labels, p), (new_labels, new_p) = draw(rows, seed)
                for objective, score in SCORES.items():
                    plain = score(new_labels, new_p.argmax(axis=1))
                    tuned = ki.tune_thresholds(labels, p, objective=objective)(new_p)
                    oracle = ki.tune_thresholds(new_labels, new_p, objective=objective).score
                    found[objective].append((plain, score(new_labels, tuned) - plain, oracle - plain))
            for objective, values in found.items():
                plain, gain, oracle = np.array(values).T
                cells = f"{plain.mean():.3f}", points(gain), f"{(gain < 0).mean():.0%}", points(oracle)
                print(line((name, rows, objective, *cells)), flush=True)


def line(cells):
    """A row of a Markdown table, printed as soon as it is known."""
    return "| " + " | ".join(map(str, cells)) + " |"


def points(gains):
    return f"{100 * np.median(gains):+.1f}"


def macro_f1(sources, splits):
    columns = ["data", "shares of the new rows", "argmax", "median gain", "splits that lose", "lowest"]
    print(table([*columns, "over argmax of what the model gives"], []), flush=True)
    for name, draw in sources.items():
        found = {}
        for seed in range(splits):
            for shares, values in gains(*draw(seed), seed).items():
                found.setdefault(shares, []).append(values)
        for shares, values in found.items():
            plain, gain, as_is = np.array(values).T
            cells = f"{plain.mean():.3f}", points(gain), f"{(gain < 0).mean():.0%}", f"{100 * gain.min():+.1f}"
            print(line((name, shares, *cells, points(as_is))), flush=True)


def gains(class_counts, labels, p, seed):
    """Of each kind of shares: macro F1 of argmax of moved probabilities, the gain over it, and over argmax of given ones."""
    score, train = SCORES["f1"], ki.class_prior(class_counts)
    shifted, rng = ki.target_distribution(class_counts, SHIFT), np.random.default_rng(seed)
    drawn = rng.choice(len(labels), len(labels), p=(shifted / np.bincount(labels))[labels] / shifted.sum())
    found = {}
    for shares, rows, known in (
        ("natural", np.arange(len(labels)), None),
        ("shifted", drawn, shifted),
        ("unknown", drawn, None),
    ):
        y, given, moved = labels[rows], p[rows], p[rows]
        if shares == "natural":
            decision = ki.tune_macro_f1(given)
        else:
            true = ki.estimate_prior(given, train) if known is None else known
            moved = ki.correct_prior(given, train, true)
            decision = ki.tune_macro_f1(given, train_prior=train, true_prior=known)
        plain, as_is, decided = (
            score(y, moved.argmax(axis=1)),
            score(y, given.argmax(axis=1)),
            score(y, decision(given)),
        )
        found[shares] = plain, decided - plain, decided - as_is
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mnist", type=Path, metavar="FILE", help="mnist.npz; without it MNIST is left out")
    parser.add_argument("--sylva", type=Path, metavar="FILE", help="sylva.npz; without it that set is left out")
    parser.add_argument("--only", nargs="+", choices=("thresholds", "macro_f1"), default=["thresholds", "macro_f1"])
    parser.add_argument("--splits", type=int, help="by default 50 of thresholds and 20 of macro F1")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    sets = {name: filled(*load()) for name, load in SETS.items()}
    if "thresholds" in arguments.only:
        of_rows = {"generated": generated}
        for name, rows_and_labels in sets.items():
            of_rows[name] = lambda rows, seed, given=rows_and_labels: trained(*given, rows, seed)
        thresholds(of_rows, arguments.splits or 50)
        print()
    if "macro_f1" in arguments.only:
        sets["hypothyroid"] = filled(*data.hypothyroid())
        if arguments.sylva:
            sets["sylva"] = filled(*data.sylva(arguments.sylva))
        counts = (PRIOR * 5000).astype(int)
        of_splits = {"generated": lambda seed: (counts, *mixture(counts, seed, PRIOR))}
        for name, rows_and_labels in sets.items():
            of_splits[name] = lambda seed, given=rows_and_labels: halved(*given, seed)
        if arguments.mnist:
            of_splits["long-tailed MNIST"] = lambda seed: long_tailed(arguments.mnist, seed)
        macro_f1(of_splits, arguments.splits or 20)


if __name__ == "__main__":
    main()
