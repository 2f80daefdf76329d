"""Thresholds on new rows: tuned on few validation rows against no tuning and against tuning on the new rows.

Run: python -m benchmarks.decisions [--data FOLDER] [--splits 50]

The generated data need no file. The folder holds page_blocks.csv, wine_quality.csv and skillcraft.csv: numbers, the class in
the last column. Their probabilities are those of a logistic regression. Rows to validate on are drawn so that the rarest class
has 5, 20 or 100 of them; classes with too few rows for that are left out. Gains are points of the score of argmax on the same
new rows: median, and the share of splits with a loss.
"""

import argparse
import csv
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import keras_imbalance as ki

ROWS = (5, 20, 100)
SETS = ("page_blocks", "wine_quality", "skillcraft")
PRIOR = np.array([0.8, 0.14, 0.04, 0.02])
SCORES = {"f1": lambda y, d: f1_score(y, d, average="macro"), "balanced_accuracy": balanced_accuracy_score}


def generated(rows, seed):
    """Labels and true probabilities of four Gaussian classes: of rows to validate on, and of new rows."""
    centres, rng, parts = 1.5 * np.array([[0, 0], [1, 0], [0, 1], [1, 1]]), np.random.default_rng(seed), []
    for counts in (np.ceil(PRIOR * rows / PRIOR.min()).astype(int), (PRIOR * 5000).astype(int)):
        labels = np.repeat(np.arange(4), counts)
        x = centres[labels] + rng.normal(size=(len(labels), 2))
        density = np.exp(-0.5 * ((x[:, None] - centres) ** 2).sum(axis=2)) * PRIOR
        parts.append((labels, density / density.sum(axis=1, keepdims=True)))
    return parts


def read(path):
    """Features and labels; columns that are no numbers are left out, gaps take the median."""
    with path.open(newline="") as file:
        table = np.array(list(csv.reader(file))[1:])
    columns = []
    for column in table[:, :-1].T:
        try:
            values = np.array([float(cell) if cell else np.nan for cell in column])
        except ValueError:
            continue
        columns.append(np.nan_to_num(np.where(np.isnan(values), np.nanmedian(values), values)))
    return np.stack(columns, axis=1), np.unique(table[:, -1], return_inverse=True)[1]


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
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(x[role == 0], labels[role == 0])
    return [(labels[role == r], model.predict_proba(x[role == r])) for r in (1, 2)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="where the CSV files are")
    parser.add_argument("--splits", type=int, default=50)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    sources = {"generated": generated}
    for name in SETS if arguments.data else ():
        x, labels = read(arguments.data / f"{name}.csv")
        sources[name] = lambda rows, seed, x=x, labels=labels: trained(x, labels, rows, seed)
    columns = ["data", "rows of the rarest class", "score", "argmax", "tuned, median gain", "splits that lose"]
    print("|", " | ".join([*columns, "tuned on the new rows, median gain"]), "|")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, draw in sources.items():
        for rows in ROWS:
            found = {objective: [] for objective in SCORES}
            for seed in range(arguments.splits):
                (labels, p), (new_labels, new_p) = draw(rows, seed)
                for objective, score in SCORES.items():
                    plain = score(new_labels, new_p.argmax(axis=1))
                    tuned = ki.tune_thresholds(labels, p, objective=objective)(new_p)
                    oracle = ki.tune_thresholds(new_labels, new_p, objective=objective).score
                    found[objective].append((plain, score(new_labels, tuned) - plain, oracle - plain))
            for objective, values in found.items():
                plain, gain, oracle = np.array(values).T
                print(
                    f"| {name} | {rows} | {objective} | {plain.mean():.3f} | {100 * np.median(gain):+.1f} | "
                    f"{(gain < 0).mean():.0%} | {100 * np.median(oracle):+.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
