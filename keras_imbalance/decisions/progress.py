"""How many cuts were tried, shown as Keras shows its steps."""

from typing import Any

from keras_imbalance.backend import progress_bar


class Progress:
    """Counts cuts; shows a bar when `verbose`.

    Args:
        verbose: 0 shows nothing, 1 a bar.
    """

    def __init__(self, verbose: Any):
        if verbose not in (0, 1, 2):
            raise ValueError(f"`verbose` must be 0, 1 or 2. Received: verbose={verbose!r}.")
        self.verbose = int(verbose)
        self.done = 0
        self.bar: Any = None
        self.expect(None)

    def expect(self, number: int | None) -> None:
        """Says how many there will be."""
        if self.verbose:
            self.bar = progress_bar(number, verbose=self.verbose, unit_name="cut")

    def add(self, number: int) -> None:
        """Notes that so many more were tried."""
        self.done += number
        if self.bar is not None:
            self.bar.update(self.done, finalize=False)

    def end(self) -> None:
        """Ends the line."""
        if self.bar is not None:
            self.bar.update(self.done, finalize=True)
