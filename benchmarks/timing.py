"""Ours and the peers, interleaved in one process, as medians of ratios with their quartiles."""

import argparse
import os
import platform
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np


def parser_of(doc, rounds):
    """The parser of a benchmark that times something; `measuring` takes what it gives."""
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=rounds, help=f"how often each is timed; by default {rounds}")
    parser.add_argument("--busy", action="store_true", help="beside a process a core that takes all of it")
    return parser


@contextmanager
def measuring(arguments, *packages):
    """Prints what is measured on, and keeps every core busy meanwhile where that is asked for."""
    beside = f"beside {os.cpu_count()} busy processes" if arguments.busy else "nothing beside it"
    print(f"{versions(*packages)}; {arguments.rounds} rounds, {beside}; {machine()}\n", flush=True)
    command = [sys.executable, "-c", "while True: pass"]
    started = [subprocess.Popen(command) for _ in range(os.cpu_count() if arguments.busy else 0)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def machine():
    """The processor, its cores and the memory, in one line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc/cpuinfo") else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = (
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else float("nan")
    )
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB"


def in_own_process(module, *arguments):
    """The numbers that a benchmark prints last, run anew for one case: `python -m benchmarks.module --one *arguments`."""
    command = [sys.executable, "-m", f"benchmarks.{module}", "--one", *map(str, arguments)]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [float(number) for number in printed.splitlines()[-1].split()]


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
    """Each step's time divided by that of `base` in the same round, as `quartiles` shows it."""
    return {name: quartiles(np.array(values) / seconds[base]) for name, values in seconds.items()}


def quartiles(values):
    """The median, and in brackets the quartiles."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


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
