"""What a callback says of a loss that became NaN in a compiled step, which cannot raise."""

import warnings
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_imbalance._keras import compiled_losses, with_parts
from keras_imbalance.losses import ImbalanceLoss

_told: weakref.WeakSet = weakref.WeakSet()  # models


def warn_of_nan_loss(model: Any, logs: Mapping[str, Any] | None) -> None:
    """Warns once a model when a loss of this package is NaN at the end of an epoch, with the usual reasons.

    Metrics that saw an invalid label name it; this is for models without them, and for what only the loss refuses.
    """
    value = (logs or {}).get("loss")
    if value is None or not np.isnan(value) or model in _told:
        return
    losses = [loss for _, loss, _ in compiled_losses(model)]
    ours = [type(loss).__name__ for loss in losses if any(isinstance(p, ImbalanceLoss) for p in with_parts(loss))]
    if ours:
        _told.add(model)
        warnings.warn(
            f"{ours[0]} became NaN. Unless the outputs of the model are NaN, something that counts is invalid. The usual "
            "reasons: logits without from_logits=True; class ids that start at 1; a filler label without ignore_class, such as "
            "255 or -1; masks of 0 and 255; several labels a row without multi_label=True; negative sample weights. Call the "
            "loss on one batch outside fit, or compile a PerClassRecall: both name the label.",
            stacklevel=3,
        )
