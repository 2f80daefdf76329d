"""Which modules are not searched for examples, and how many processes and threads the tests take."""

import os

collect_ignore = ["keras_imbalance/_keras/_tf_keras.py"]  # imports tf-keras, which only TF_USE_LEGACY_KERAS=1 asks for

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each of several processes on one thread: pools that wait for each other's cores make all of them slower.
    for threads in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(threads, "1")


def pytest_xdist_auto_num_workers(config):
    """How many processes `-n auto` means: one more than cores, since a test often waits, as for a process it started."""
    return (os.cpu_count() or 1) + 1
