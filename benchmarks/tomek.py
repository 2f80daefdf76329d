"""Tomek links here and in imbalanced-learn: the same links, and the time.

Run: python -m benchmarks.tomek
"""

import os
import resource
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from imblearn.under_sampling import TomekLinks

from benchmarks.timing import measuring, parser_of, quartiles, table
from keras_imbalance import tomek_links

CASES = {
    "20k x 30, 1 %": (20_000, (0.99, 0.01)),
    "20k x 30, 9 % + 1 %": (20_000, (0.90, 0.09, 0.01)),
    "100k x 30, 1 %": (100_000, (0.99, 0.01)),
}


def seconds(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def imblearn_links(x, y):
    """Rows in links, as imbalanced-learn finds them: those that it would remove."""
    sampler = TomekLinks(sampling_strategy="all")
    sampler.fit_resample(x, y)
    return np.setdiff1d(np.arange(len(y)), sampler.sample_indices_)


def main():
    parser = parser_of(__doc__, rounds=7)
    parser.add_argument("--large-rounds", type=int, default=1, help="rounds at 100k rows, a minute each for the peer")
    arguments = parser.parse_args()
    with measuring(arguments, "imbalanced-learn", "scikit-learn", "numpy"):
        measure(arguments)


def measure(arguments):
    rows = []
    for case, (number, shares) in CASES.items():
        rng = np.random.default_rng(0)
        y = rng.choice(len(shares), number, p=shares)
        x = rng.normal(size=(number, 30))
        x[y > 0] *= 0.9
        tomek_links(x[:1000], y[:1000])
        ours, theirs, same = [], [], True
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        tomek_links(x, y)
        memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        for _ in range(arguments.large_rounds if number > 50_000 else arguments.rounds):
            spent, links = seconds(lambda: tomek_links(x, y))  # noqa: B023
            ours.append(spent)
            spent, removed = seconds(lambda: imblearn_links(x, y))  # noqa: B023
            theirs.append(spent)
            same &= np.array_equal(np.unique(links), removed)
        rows.append(
            (
                case,
                len(links),
                "yes" if same else "NO",
                f"{np.median(ours):.3f} s",
                quartiles(np.array(theirs) / np.array(ours)),
                f"{memory:.0f} MB",
            )
        )
    print(table(("case", "links", "same rows", "ours", "imbalanced-learn takes, times", "memory, first call"), rows))


if __name__ == "__main__":
    main()
