"""How class shares changed, in a line that a terminal shows."""

import numpy as np

from keras_imbalance._core import cut

COLUMNS = 100  # what a line of `verbose` fits in
LONGEST = 20  # columns of a name


def describe_change(epoch: int, class_names: list[str], before: np.ndarray, after: np.ndarray) -> str:
    """A line of at most 100 columns about the shares before and after: of all classes, or of those that changed most.

    Example:
    >>> describe_change(0, ["ok", "worn"], np.array([0.5, 0.5]), np.array([0.25, 0.75]))
    'Epoch 1: class shares ok .500 -> .250, worn .500 -> .750'
    """
    start = f"Epoch {epoch + 1}: class shares "
    entries = [
        f"{cut(name, LONGEST)} {_share(old)} -> {_share(new)}"
        for name, old, new in zip(class_names, before, after, strict=True)
    ]
    line = start + ", ".join(entries)
    if len(line) <= COLUMNS:
        return line
    # Python's sort keeps the order of classes among equal changes.
    order = sorted(range(len(entries)), key=lambda i: -abs(after[i] - before[i]))
    shown = len(entries)
    while shown > 1 and len(line) > COLUMNS:
        shown -= 1
        line = start + ", ".join(entries[i] for i in order[:shown]) + f", and {len(entries) - shown} that change less"
    return line


def _share(share):
    return f"{share:.3f}".removeprefix("0")
