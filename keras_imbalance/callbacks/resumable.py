"""What callbacks that know more than the epoch have in common: a state that a resumed run goes on from."""

import warnings
import weakref
from collections.abc import Mapping
from typing import Any, ClassVar

from keras_imbalance._keras import callbacks_of_fit, keras
from keras_imbalance.callbacks.base import ImbalanceCallback
from keras_imbalance.callbacks.state_schema import Kind

REGISTERED = "_keras_imbalance_callbacks"  # attribute of a model: weak references to the callbacks that were given it


class ResumableCallback(ImbalanceCallback):
    """A callback whose state `BackupAndRestore` of this package saves.

    It registers itself on its model, weakly, which is how the backup finds it. A subclass gives what it knows beyond the epoch
    in `state_dict` and takes it back in `load_state_dict`. That is called after every `on_train_begin` and before the variables
    of the model and its optimizer get their values back. One that also keeps arrays defines `state_arrays`, which gives them by
    name, and `load_state_arrays`, which is called with them after `load_state_dict`.

    Attributes:
        state_schema: the names of the state, each with the kind of its values. Nothing else is taken from a backup.
    """

    state_schema: ClassVar[Mapping[str, Kind]] = {}

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        others = [callback for callback in registered_callbacks(self.model) if callback is not self]
        # Not by setattr, for Keras would look into it.
        self.model.__dict__[REGISTERED] = [weakref.ref(callback) for callback in (*others, self)]

    def set_params(self, params: Any) -> None:
        super().set_params(params)
        self._warn_of_keras_backup()

    def state_dict(self) -> dict:
        """What a resumed run needs, as JSON types."""
        return {}

    def load_state_dict(self, state: Mapping) -> None:
        """Goes on from what `state_dict` gave."""

    def _warn_of_keras_backup(self):
        """Keras's own backup keeps no callback: the first one of such a fit says so."""
        callbacks = callbacks_of_fit(self)
        backups = [callback for callback in callbacks if hasattr(callback, "backup_dir")]
        first = next((callback for callback in callbacks if isinstance(callback, ResumableCallback)), None)
        if first is self and backups and all(isinstance(b, keras.callbacks.BackupAndRestore) for b in backups):
            warnings.warn(
                f"BackupAndRestore of Keras does not save what {type(self).__name__} and its sampler know, so a run that is "
                "killed does not resume exactly. Use keras_imbalance.BackupAndRestore in its place.",
                stacklevel=2,
            )


def registered_callbacks(model: Any) -> list[ResumableCallback]:
    """The callbacks of this package that were given `model`, in this fit or before, in order."""
    found = [reference() for reference in getattr(model, "__dict__", {}).get(REGISTERED, ())]
    return [callback for callback in found if callback is not None]
