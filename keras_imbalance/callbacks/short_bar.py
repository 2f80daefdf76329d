"""A progress bar that shows the keys it is given."""

import warnings
from collections.abc import Mapping

from keras_imbalance._core import check_key_text, invalid, nearest, shown
from keras_imbalance._keras import bar_arguments, keras
from keras_imbalance.callbacks.off_the_bar import keys_of_metrics


class ShortBar(keras.callbacks.ProgbarLogger):
    """Keras's own progress bar, shorter and with a few of the logs, so that an epoch is one line of a terminal.

    It takes the place of the bar of fit and evaluate, whose `verbose` it follows. History and all other callbacks see every
    key. Put it after what adds its keys to the logs, such as PerClassLogger, and after PerClassTable.

    Args:
        *keys: what is shown, in this order, such as "loss" and "val_f1". Keys of validation appear when an epoch ends. Evaluate
            shows "f1" where "val_f1" is given. Without keys the loss alone is shown.

    Raises:
        ValueError: for keys that are no text.

    Warns:
        UserWarning: at the end of the first epoch, for a key that its logs lack. Keys of validation wait for an epoch with it.

    Example:
    >>> import keras, numpy as np
    >>> from keras_imbalance import PerClassF1
    >>> x, y = np.repeat([0.0, 1.0], [30, 10])[:, None], np.repeat([0, 1], [30, 10])
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> model.compile("sgd", loss, metrics=[PerClassF1(2)])
    >>> bar = ShortBar("loss", "val_f1")
    >>> _ = model.fit(x, y, validation_data=(x, y), callbacks=[bar], verbose=2)  # doctest: +ELLIPSIS
    2/2 - ...s - ...s/step - loss: ... - val_f1: ...
    """

    WIDTH = 6  # signs of the bar itself

    def __init__(self, *keys: str):
        self.keys = [_check_one(key) for key in keys] or ["loss"]
        super().__init__(**bar_arguments(self.keys))
        self._told: set[str] = set()  # of which keys a warning was given

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self.progbar.width = self.WIDTH

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        super().on_train_batch_end(batch, self._short(logs))

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        super().on_epoch_end(epoch, self._short(logs))
        self._warn_of_missing(logs or {})

    def on_test_begin(self, logs: Mapping | None = None) -> None:
        super().on_test_begin(logs)
        if self.progbar is not None:
            self.progbar.width = self.WIDTH

    def on_test_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        super().on_test_batch_end(batch, self._short(logs, "val_"))

    def on_test_end(self, logs: Mapping | None = None) -> None:
        super().on_test_end(self._short(logs, "val_"))

    def _short(self, logs, prefix=""):
        wanted = dict.fromkeys(key.removeprefix(prefix) for key in self.keys)
        return {key: logs[key] for key in wanted if key in (logs or {})}

    def _warn_of_missing(self, logs):
        validated = any(key.startswith("val_") for key in logs)
        missing = [key for key in self.keys if key not in logs and (validated or not key.startswith("val_"))]
        for key in missing:
            if key not in self._told:
                self._told.add(key)
                warnings.warn(
                    f"ShortBar shows no {key!r}: the logs hold {shown(keys_of_metrics(logs))}. {nearest(key, logs)} Put "
                    "ShortBar after the callback that adds the key.",
                    stacklevel=3,
                )


def _check_one(key):
    """A key of the logs; a list of keys is an error that shows how they are given."""
    if isinstance(key, (list, tuple, set)):
        remedy = f"Pass them one by one: ShortBar({', '.join(map(repr, key))})." if key else ""
        raise invalid("keys", "be text, each a key of the logs", received=shown(key), remedy=remedy)
    return check_key_text(key, "keys")
