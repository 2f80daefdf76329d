"""Keys of the logs that Keras's own progress bar leaves out: a line of a terminal does not hold a value a class."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from keras_imbalance._keras import callbacks_of_fit, keras

SHARES = "sampling/"  # what keys of class shares start with
RULES = "_keras_imbalance_hides"  # attribute of a bar: what it leaves out


def is_share(key: str) -> bool:
    """Whether a key of the logs is that of a class share, as SamplerWatch enters them."""
    return key.startswith(SHARES)


def keys_of_metrics(logs: Iterable[str]) -> list[str]:
    """The keys of logs for a message, sorted: without the shares that this package adds.

    Example:
    >>> keys_of_metrics({"sampling/ok": 0.5, "sampling/worn": 0.5, "loss": 1.0})
    ['loss']
    """
    return sorted(key for key in logs if not is_share(key))


def keep_off_the_bar(callback: Any, hides: Callable[[str], bool]) -> None:
    """Lets the progress bar of the fit that is calling `callback` leave out the keys for which `hides` is true.

    A bar that the user gave, such as a ShortBar, shows what it shows. Callbacks, History and files see every key. Where the
    callbacks of a fit cannot be seen, the bar is longer and nothing else changes.

    Args:
        callback: a callback whose hook Keras is calling.
        hides: a function of a key, of a module or a method of the callback: each is entered once.
    """
    for bar in callbacks_of_fit(callback):
        if type(bar) is keras.callbacks.ProgbarLogger:
            if RULES not in bar.__dict__:
                _filter(bar)
            bar.__dict__[RULES].add(hides)


def _filter(bar):
    """Lets what the bar is told pass by its rules, none yet."""
    rules: set[Callable[[str], bool]] = set()
    bar.__dict__[RULES] = rules

    def shown(logs):
        return {key: value for key, value in (logs or {}).items() if not any(hides(key) for hides in rules)}

    def numbered(method):
        def told(number: int, logs: Mapping | None = None) -> None:
            method(number, shown(logs))

        return told

    for name in ("on_train_batch_end", "on_test_batch_end", "on_epoch_end"):
        setattr(bar, name, numbered(getattr(bar, name)))
    end_test = bar.on_test_end
    bar.on_test_end = lambda logs=None: end_test(shown(logs))
