"""Every benchmark, one after another, as one Markdown page.

Run: python -m benchmarks [--only losses sampling ...] [--output docs/benchmarks.md]

Half an hour on two cores; the page is the one that the README's figures come from. Its first part, down to the line KEPT, says
what the tables show and is kept. A peer that is not installed is left out: the extra `benchmarks` brings all but PyTorch.
"""

import argparse
import platform
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.timing import machine

KEPT = "<!-- What follows is written by python -m benchmarks; what stands above is kept. -->"
TIMED = ("losses", "sampling", "py_dataset", "tomek", "callbacks", "metrics")  # those that take --busy
CLAIMS = {
    "losses": "A loss costs little more than plain cross-entropy",
    "loss_accuracy": "Losses and gradients are right at every logit",
    "sampling": "Rebalanced batches come as fast as Keras's own",
    "py_dataset": "On JAX and PyTorch rebalanced batches make fit no slower",
    "tomek": "Tomek links are found fast, and they are the right ones",
    "peaks": "Samplers, losses and metrics hold little beyond what Keras's own hold",
    "growth": "Time and memory grow in proportion to the data",
    "callbacks": "Callbacks cost little in an epoch, and a backup about what one of Keras costs",
    "metrics": "Per-class metrics cost little in fit",
    "import_time": "Importing the package costs little",
    "ensemble": "Balanced bagging is as good as imbalanced-learn's around Keras, and faster",
    "decisions": "Thresholds tuned on few rows, and the macro F1 decision, do no harm on new ones",
    "effect": "What each method does for rare classes",
    "buda": "Oversampling, undersampling, two-phase learning and thresholding on MNIST with step imbalance",
}


def first_part(page):
    """What a person wrote on top of the page, or its title alone."""
    written, mark, _ = (page.read_text(encoding="utf-8") if page.exists() else "").partition(KEPT)
    return written + mark if mark else "# Benchmarks"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=CLAIMS, default=list(CLAIMS), metavar="NAME", help="some of them")
    parser.add_argument(
        "--busy", action="store_true", help="beside a process a core: losses, samplers, callbacks, metrics"
    )
    parser.add_argument("--output", type=Path, default=Path("docs/benchmarks.md"), help="the page")
    parser.add_argument("--mnist", type=Path, metavar="FILE", help="mnist.npz; by default Keras downloads it")
    parser.add_argument("--sylva", type=Path, metavar="FILE", help="sylva.npz; without it that set is left out")
    arguments = parser.parse_args()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    page, failed = [first_part(arguments.output), f"Python {platform.python_version()} on {machine()}."], []
    for name in arguments.only:
        print(f"{name} ...", flush=True)
        start = time.perf_counter()
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        if name in ("buda", "effect", "decisions") and arguments.mnist:
            command += ["--mnist", str(arguments.mnist)]
        if name in ("effect", "decisions") and arguments.sylva:
            command += ["--sylva", str(arguments.sylva)]
        if name in TIMED and arguments.busy:
            command.append("--busy")
        if name == "buda":
            command += ["--figure", str(arguments.output.parent / "images" / "buda.png")]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        took = time.perf_counter() - start
        print(f"{name}: {took:.0f} s, exit status {done.returncode}", flush=True)
        page += [f"## {CLAIMS[name]}", f"`python {' '.join(command[1:])}`, {took:.0f} s", done.stdout.strip()]
        if name == "buda":
            page.append("![ROC AUC over the share of minority classes](images/buda.png)")
        if done.returncode:
            failed.append(name)
            page.append(f"Failed with exit status {done.returncode}.")
        arguments.output.write_text("\n\n".join(page) + "\n", encoding="utf-8")
    print(f"Wrote {arguments.output}")
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
