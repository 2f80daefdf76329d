"""Time that `import keras_imbalance` takes once Keras is imported, and what it imports, on every backend that is installed.

Each import runs in a process of its own; the times are medians. Run: python -m benchmarks.import_time
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np

from benchmarks.timing import table, versions

LIMIT_MS = 50
# Whoever imports a package a second time has its bytecode.
REPLACED = ("KERAS_BACKEND", "TF_USE_LEGACY_KERAS", "PYTHONDONTWRITEBYTECODE")
BACKENDS = {
    "tensorflow": ("tensorflow", {"KERAS_BACKEND": "tensorflow"}),
    "jax": ("jax", {"KERAS_BACKEND": "jax"}),
    "torch": ("torch", {"KERAS_BACKEND": "torch"}),
    "tf-keras": ("tf_keras", {"TF_USE_LEGACY_KERAS": "1"}),
}
# `keras_imbalance` takes from tf-keras its classes and from Keras 3 its ops: both count as Keras there.
MEASURE = """
import json, os, sys, time
if os.environ.get("TF_USE_LEGACY_KERAS"):
    import tf_keras
import keras
before = set(sys.modules)
start = time.perf_counter()
import keras_imbalance
seconds = time.perf_counter() - start
new = set(sys.modules) - before
print(json.dumps({
    "ms": 1e3 * seconds,
    "own": sum(name.split(".")[0] == "keras_imbalance" for name in new),
    "others": sorted({name.split(".")[0] for name in new} - {"keras_imbalance"}),
    "tensorflow": "tensorflow" in sys.modules,
}))
"""


def imported(environment, runs):
    """What `runs` processes found, the first left out: it may have to read the files from the disk."""
    found = []
    for _ in range(runs + 1):
        kept = {key: value for key, value in os.environ.items() if key not in REPLACED}
        done = subprocess.run(
            [sys.executable, "-c", MEASURE], env=kept | environment, capture_output=True, text=True, check=True
        )
        found.append(json.loads(done.stdout.strip().splitlines()[-1]))
    return found[1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    rows, broken = [], []
    for backend, (module, environment) in BACKENDS.items():
        if importlib.util.find_spec(module) is None:
            rows.append((backend, "not installed", "", "", ""))
            continue
        found = imported(environment, runs)
        times, last = [each["ms"] for each in found], found[-1]
        rows.append(
            (
                backend,
                f"{np.median(times):.0f} ({min(times):.0f} to {max(times):.0f})",
                last["own"],
                ", ".join(last["others"]) or "none",
                "yes" if last["tensorflow"] else "no",
            )
        )
        if np.median(times) > LIMIT_MS:
            broken.append(f"{backend} takes more than {LIMIT_MS} ms")
        if last["tensorflow"] and backend in ("jax", "torch"):
            broken.append(f"{backend} imports TensorFlow")
    print(versions("keras", "numpy"))
    print(f"Import of keras_imbalance after keras: median of {runs} processes, at most {LIMIT_MS} ms.\n")
    print(table(("backend", "ms", "modules of its own", "others it imports", "TensorFlow imported"), rows))
    if broken:
        sys.exit("Missed: " + "; ".join(broken) + ".")


if __name__ == "__main__":
    main()
