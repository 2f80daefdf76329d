"""Ours and the peers, interleaved in one process, as medians of ratios."""

import time

import numpy as np


def interleaved(steps, rounds=30, repeats=8, warmup=5):
    """Seconds of one call of each step, `{name: (rounds,)}`; each round times every step once.

    Args:
        steps: mapping from name to a function without arguments that has done its work when it returns.
        rounds: how often every step is timed.
        repeats: calls a timing.
        warmup: calls before the first timing.
    """
    for step in steps.values():
        for _ in range(warmup):
            step()
    seconds = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(repeats):
                step()
            seconds[name].append((time.perf_counter() - start) / repeats)
    return {name: np.array(values) for name, values in seconds.items()}


def ratios(seconds, base):
    """Median over the rounds of each step's time divided by that of `base` in the same round."""
    return {name: float(np.median(values / seconds[base])) for name, values in seconds.items()}


def table(header, rows):
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def versions(*names):
    """One line of package versions."""
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join(found)
