"""Goes on after a kill as if it had not been: the model, the samplers, and what callbacks know, in one file."""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from keras_imbalance._core import check_flag
from keras_imbalance._keras import (
    Callback,
    callbacks_of_fit,
    check_built,
    is_built,
    keras,
    start_at,
    swaps_between_epochs,
    writes_files,
)
from keras_imbalance.callbacks.backup_file import read_backup, refused, write_backup
from keras_imbalance.callbacks.base import ImbalanceCallback
from keras_imbalance.callbacks.folders import check_folder, make_folder
from keras_imbalance.callbacks.resumable import registered_callbacks
from keras_imbalance.callbacks.saved_model import (
    load_model,
    of_prefix,
    optimizer_mismatch,
    save_model,
    weights_mismatch,
)
from keras_imbalance.callbacks.saved_parts import Part, check_parts, find_parts, has_keras_state
from keras_imbalance.callbacks.unlisted_samplers import UnlistedSamplers


class BackupAndRestore(ImbalanceCallback):
    """Backs up a whole fit after each epoch, and goes on from there after a kill at any point with the same result.

    Put it last in the list of callbacks, without Keras's callback of this name. Callbacks of this package and their samplers
    are found. List in `state` what it cannot see: EarlyStopping, ReduceLROnPlateau and ModelCheckpoint of Keras,
    SwapEMAWeights(swap_on_epoch=True), and a sampler that no callback acts on. The model must have its weights before fit. The
    stream of a `StreamSampler` must give the same rows in every cycle: shuffle it with a seed and
    reshuffle_each_iteration=False.

    One file, replaced whole, holds the weights, the optimizer, the states of random layers, the samplers and the callbacks. A
    run that is killed while it trains or saves, and started again with the same arguments, ends with the weights of a run that
    was not, to the bit under deterministic operations. `History` holds the epochs since the restart.

    Args:
        backup_dir: folder of the backup, of one run alone.
        state: list of what else is saved: samplers, and callbacks of Keras. Defaults to nothing.
        delete_checkpoint: whether the backup, and its folder where nothing else is in it, is deleted when the fit has ended.
            Defaults to True.

    Raises:
        ValueError: when training begins, for callbacks after it whose state it would miss, a SwapEMAWeights(swap_on_epoch=True)
            that `state` lacks, another backup in the list, a folder that cannot be written to, a model without weights, or a
            backup that is damaged or of another model or run. The backup is left as it is then.

    Warns:
        UserWarning: when training begins, for a callback of Keras with state that `state` lacks, or one in `state` that fit
            lacks; after the first epoch, for a sampler that drew rows in it and is not saved.

    Example:
    >>> import tempfile
    >>> import numpy as np
    >>> from keras_imbalance._keras import keras
    >>> from keras_imbalance import ArraySampler, BackupAndRestore
    >>> x, y, folder = np.random.rand(64, 4).astype("float32"), np.repeat([0, 1], [56, 8]), tempfile.mkdtemp()
    >>> class Kill(keras.callbacks.Callback):
    ...     def on_epoch_begin(self, epoch, logs=None):
    ...         if epoch == 2:
    ...             raise KeyboardInterrupt
    >>> def run(*more):
    ...     sampler = ArraySampler(x, y, batch_size=16, seed=0)
    ...     model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    ...     model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    ...     stopping = keras.callbacks.EarlyStopping("loss", patience=9)
    ...     backup = BackupAndRestore(folder, state=[sampler, stopping])
    ...     callbacks = [stopping, backup, *more]
    ...     return model.fit(sampler.dataset(), shuffle=False, epochs=5, callbacks=callbacks, verbose=0)
    >>> try:
    ...     history = run(Kill())
    ... except KeyboardInterrupt:
    ...     history = run()
    >>> history.epoch
    [2, 3, 4]
    """

    def __init__(self, backup_dir: str | os.PathLike, *, state: Sequence[Any] = (), delete_checkpoint: bool = True):
        super().__init__()
        self.backup_dir = check_folder(backup_dir, "backup_dir")
        self.state = check_parts(state)
        self.delete_checkpoint = check_flag(delete_checkpoint, "delete_checkpoint")
        self._file = Path(self.backup_dir) / "backup.npz"
        self._parts: list[Part] = []
        self._early: set[int] = set()  # ids of the callbacks that come before this one in the list
        self._unlisted: Any = None  # of the running fit
        self._resumed_at: int | None = None  # until the first epoch begins

    def set_params(self, params: Any) -> None:
        super().set_params(params)
        # Keras gives one and the same object to each callback, in the order of the list.
        self._early = {id(callback) for callback in self._callbacks()}

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        check_built(self.model, type(self).__name__)
        callbacks = self._callbacks()
        self._check_order(callbacks)
        self._check_others()
        self._parts = find_parts(self.state, [c for c in callbacks if hasattr(c, "load_state_dict")])
        self._unlisted = UnlistedSamplers([part.owner for part in self._parts])
        self._resumed_at = None
        if writes_files(self.model):
            make_folder(self.backup_dir, "backup_dir")
            for unfinished in self._file.parent.glob(f"{self._file.name}.*.unfinished"):  # of a run that was killed
                unfinished.unlink(missing_ok=True)
        if not is_built(self.model.optimizer):
            self.model.optimizer.build(self.model.trainable_variables)
        if self._file.exists():
            self._restore()

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        start_at(self.model, None)
        resumed_at, self._resumed_at = self._resumed_at, None
        if resumed_at not in (None, epoch):
            raise refused(
                self._file,
                f"be gone on from at epoch {resumed_at}, where it was written",
                f"a fit that begins at epoch {epoch}, as another callback says, such as BackupAndRestore of Keras",
            )

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        rates, arrays = save_model(self.model)  # by all workers: reading a variable may take all of them
        parts = []
        for i, part in enumerate(self._parts):
            state, own = part.save()
            parts.append({"type": part.name, "state": state})
            arrays.update({f"part{i}.{name}": value for name, value in own.items()})
        header = {"epoch": epoch + 1, "stopped": bool(self.model.stop_training), "rates": rates, "parts": parts}
        if writes_files(self.model):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_backup(self._file, header, arrays)
        self._unlisted.end_epoch()

    def on_train_end(self, logs: Mapping | None = None) -> None:
        super().on_train_end(logs)
        start_at(self.model, None)
        if self.delete_checkpoint and writes_files(self.model):
            self._file.unlink(missing_ok=True)
            with suppress(OSError):  # something else is in it
                self._file.parent.rmdir()

    def _restore(self):
        header, arrays = read_backup(self._file)
        names = [part.name for part in self._parts]
        saved = [part["type"] for part in header["parts"]]
        if saved != names:
            raise refused(self._file, f"be of a run with the same samplers and callbacks, {names}", f"that of {saved}")
        entries = [
            (part, entry["state"], of_prefix(arrays, f"part{i}."))
            for i, (part, entry) in enumerate(zip(self._parts, header["parts"], strict=True))
        ]
        for part, state, own in entries:
            self._refuse(part.mismatch(state, own), f"hold a state of {part.name}")
        self._refuse(weights_mismatch(self.model, arrays), "be the backup of this model")
        for part, state, own in entries:
            with self._naming_the_file(part):
                part.load(state, own)
        # A part may have given the model the optimizer of its phase.
        self._refuse(optimizer_mismatch(self.model, header["rates"], arrays), "be the backup of this model's optimizer")
        load_model(self.model, header["rates"], arrays)
        # A run that was about to stop has no further epoch.
        self._resumed_at = self.params["epochs"] if header["stopped"] else header["epoch"]
        start_at(self.model, self._resumed_at)

    def _refuse(self, mismatch, requirement):
        if mismatch is not None:
            raise refused(self._file, requirement, mismatch)

    @contextmanager
    def _naming_the_file(self, part: Part) -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            raise refused(self._file, f"hold a state that {part.name} can go on from", str(error)) from error

    def _callbacks(self):
        """Those of this fit that were given its parameters already and that a backup may hold: found, or listed."""
        candidates = {id(c): c for c in (*registered_callbacks(self.model), *self.state)}
        return [c for c in candidates.values() if getattr(c, "params", None) is self.params]

    def _check_order(self, callbacks):
        late = [type(callback).__name__ for callback in callbacks if id(callback) not in self._early]
        if late:
            raise ValueError(
                "BackupAndRestore must come last in the list of callbacks, or it would save what the others knew an epoch "
                f"before. Received: {', '.join(late)} after it."
            )

    def _check_others(self):
        """What can be said about callbacks that are not listed, where this Keras lets them be seen."""
        others = [callback for callback in callbacks_of_fit(self) if callback is not self]
        if any(isinstance(callback, (BackupAndRestore, keras.callbacks.BackupAndRestore)) for callback in others):
            raise ValueError(
                "BackupAndRestore of keras_imbalance saves all that is needed. Received: two callbacks of this name. Leave "
                "one out."
            )
        listed = set(map(id, self.state))
        for callback in others:
            if id(callback) not in listed:
                _check_unlisted(callback)
        for part in self.state:
            if isinstance(part, Callback) and getattr(part, "params", None) is not self.params:
                _warn(part, "is listed in `state` and is no callback of this fit", "Pass it to fit in `callbacks` too.")


def _check_unlisted(callback):
    """Raises or warns where a callback that is not in `state` has one."""
    if swaps_between_epochs(callback):
        raise ValueError(
            "SwapEMAWeights(swap_on_epoch=True) leaves the averages in the model between two epochs, which a backup "
            "must know of. Received: one that is not in `state`. Put it before BackupAndRestore in the list of "
            "callbacks, and into `state`."
        )
    if has_keras_state(callback):
        _warn(callback, "is not saved, so a run that is killed does not resume exactly", "List it in `state`.")


def _warn(callback, what, remedy):
    warnings.warn(f"{type(callback).__name__} {what}. {remedy}", stacklevel=4)
