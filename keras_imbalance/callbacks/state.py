"""What a run that was killed needs to go on as if it had not been: the model, the samplers and what callbacks know."""

import json
import os
import re
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_imbalance.backend import Callback, keras, ops
from keras_imbalance.backend.training import callbacks_beside, check_built, start_at, state_variables, writes_files
from keras_imbalance.callbacks.sampling_callback import whole_epoch
from keras_imbalance.optimizer_state import is_built, learning_rates, set_learning_rates, steps_taken

FORMAT = "keras_imbalance.training_state.1"
# What callbacks of Keras know beyond the epoch. What holds weights is kept beside the rest, as arrays.
KNOWN = {
    "EarlyStopping": ("wait", "stopped_epoch", "best", "best_epoch"),
    "ReduceLROnPlateau": ("wait", "best", "cooldown_counter"),
    "ModelCheckpoint": ("best", "epochs_since_last_save"),
}


class TrainingState(Callback):
    """Keeps what Keras's BackupAndRestore and ModelCheckpoint do not, for a run that goes on from what they saved.

    After each epoch the state of every sampler (distribution, rows drawn, seed), of every callback of this package, and of
    EarlyStopping, ReduceLROnPlateau and ModelCheckpoint is written to one file of that epoch, whole or not at all. A fit that
    starts at a later epoch, by `initial_epoch` or because BackupAndRestore says so, reads the file of that epoch before it
    trains. What belongs in it is found among the callbacks of the fit.

    Put it after the callbacks whose state it keeps, and before Keras's BackupAndRestore. Whoever has no such habit yet takes
    `BackupAndRestore` of this package, which keeps the model too and needs no other: Keras's own may be killed between the
    weights and the number of the epoch, and then fits an epoch twice.

    Args:
        directory: folder of the files, of one run alone.
        sampler: a sampler, or a list of them, that no callback of the fit acts on. Defaults to none.
        keep: how many epochs' files stay. Defaults to None: all, as ModelCheckpoint may be gone back to any.

    Raises:
        ValueError: when training begins, for callbacks in the wrong order; before the first step of a resumed fit, for a file
            that is missing, damaged, of another run, or not of the epoch that the model's weights are of. Nothing is deleted.

    Example:
    ```python
    saved = [TrainingState("run/state"), keras.callbacks.BackupAndRestore("run/backup")]
    model.fit(sampler.dataset(), shuffle=False, epochs=30, callbacks=[DynamicSampling(sampler), *saved])
    ```
    """

    def __init__(self, directory: str | os.PathLike, sampler: Any = None, keep: int | None = None):
        super().__init__()
        self.directory = folder_name(directory, "directory")
        self.keep = None if keep is None else whole_epoch(keep, "keep", least=1)
        self._given = [] if sampler is None else list(sampler) if isinstance(sampler, (list, tuple)) else [sampler]
        for given in self._given:
            if not hasattr(given, "load_state_dict"):
                raise ValueError(f"`sampler` must be a sampler or a list of samplers. Received: {type(given)}.")
        self._parts: list = []
        self._restored = False
        self._from_backup = False  # whether a callback of Keras says from which epoch to go on

    def set_params(self, params: Any) -> None:
        super().set_params(params)
        beside = callbacks_beside(self)
        if beside is None:
            raise ValueError(f"{type(self).__name__} must be passed to fit in its list of callbacks. Received: none.")
        stateful = [callback for callback in beside if _has_state(callback)]
        self._check_order(beside, stateful)
        samplers = [callback.sampler for callback in stateful if getattr(callback, "sampler", None) is not None]
        self._from_backup = any(isinstance(callback, keras.callbacks.BackupAndRestore) for callback in beside)
        unique = {id(sampler): sampler for sampler in (*self._given, *samplers)}
        self._parts = [*unique.values(), *stateful]
        for callback in stateful:
            if hasattr(callback, "keeper"):
                callback.keeper = self

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self._restored = False
        self._check_folder("directory")

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        self.restore(epoch)

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        # Keras saves the weights, but not where random layers are in their sequence of numbers.
        arrays = {f"random_{i}": _array(variable) for i, variable in enumerate(self._random_states())}
        state = self.collect(epoch + 1, arrays)  # by all workers: reading a variable may take all of them
        if not writes_files(self.model):
            return
        os.makedirs(self.directory, exist_ok=True)
        write_state(self._file(epoch + 1), state, arrays)
        if self.keep is not None:
            for number in sorted(self._epochs())[: -self.keep]:
                os.remove(self._file(number))

    def restore(self, epoch: int) -> None:
        """Reads the state of the epoch that the fit starts from, once; callbacks that are asked before this one call it."""
        if self._restored:
            return
        self._restored = True
        if epoch == 0:
            return
        path = self._file(epoch)
        if not os.path.exists(path):
            raise ValueError(
                f"`directory` must hold the state of the epoch that training goes on from, {os.path.basename(path)}. "
                f"Received: {self.directory!r}, with the epochs {sorted(self._epochs())}. Start from one of those, put "
                "TrainingState before BackupAndRestore in the list of callbacks, or start anew with initial_epoch=0."
            )
        state, arrays = read_state(path)
        for i, variable in enumerate(self._random_states()):
            if f"random_{i}" in arrays:
                variable.assign(ops.cast(arrays[f"random_{i}"], variable.dtype))
        self.apply(state, arrays, path)
        taken = steps_taken(self.model.optimizer) if is_built(self.model.optimizer) else 0
        if state["steps"] != taken:
            unbuilt = (
                " Where it is a file of weights that a new model loaded, the optimizer had no place for its own: call "
                "model.optimizer.build(model.trainable_variables) before load_weights."
            )
            raise ValueError(
                f"The model must have the weights that epoch {epoch} starts from, after {state['steps']} optimizer steps. "
                f"Received: a model after {taken}. The backup is of another moment: inside an epoch, of another run, or "
                "written when the run was killed. It was left as it is; go on from a checkpoint of the end of an epoch."
                f"{'' if taken else unbuilt}"
            )
        if state["stopped"] and self._from_backup:
            raise ValueError(
                f"A callback had stopped the run after epoch {epoch}, before it was killed, and no epoch is left to train. The "
                "backup was left as it is. Take its weights, or BackupAndRestore of keras_imbalance, which ends such a run."
            )

    def collect(self, epoch: int, arrays: dict[str, np.ndarray]) -> dict:
        """The state of everything that is kept, as JSON types, for a fit that starts at `epoch`; weights go into `arrays`."""
        parts = []
        for i, part in enumerate(self._parts):
            if not hasattr(part, "state_dict"):
                best = getattr(part, "best_weights", None) or []
                arrays.update({f"best_{i}_{j}": np.asarray(value) for j, value in enumerate(best)})
            parts.append({"type": type(part).__name__, "state": part_state(part)})
        optimizer = self.model.optimizer
        return {
            "format": FORMAT,
            "epoch": epoch,
            "steps": steps_taken(optimizer) if is_built(optimizer) else 0,
            "rates": learning_rates(optimizer),
            "stopped": bool(self.model.stop_training),
            "parts": parts,
        }

    def apply(self, state: Mapping, arrays: Mapping, path: str) -> None:
        """Gives every sampler and callback back what `collect` took."""
        types = [type(part).__name__ for part in self._parts]
        saved = [part["type"] for part in state["parts"]]
        if saved != types:
            raise ValueError(
                f"{path!r} must be the state of a run with the same samplers and callbacks, {types}. Received: that of "
                f"{saved}. It was left as it is."
            )
        for i, (part, kept) in enumerate(zip(self._parts, state["parts"], strict=True)):
            if hasattr(part, "load_state_dict"):
                part.load_state_dict(kept["state"])
                continue
            for name, value in kept["state"].items():
                setattr(part, name, value)
            best = [key for key in arrays if key.startswith(f"best_{i}_")]
            if best:
                part.best_weights = [arrays[f"best_{i}_{j}"] for j in range(len(best))]

    def _check_folder(self, argument):
        """Raises before training where nothing could be written after an epoch of it."""
        if not writes_files(self.model):
            return
        try:
            os.makedirs(self.directory, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.directory):
                pass
        except OSError as error:
            raise ValueError(
                f"`{argument}` must be a folder that can be written to. Received: {self.directory!r} ({error})."
            ) from error

    def _check_order(self, beside, stateful):
        place = next(i for i, callback in enumerate(beside) if callback is self)
        late = [type(callback).__name__ for callback in beside[place + 1 :] if any(callback is s for s in stateful)]
        if late:
            raise ValueError(
                f"{type(self).__name__} must come after the callbacks whose state it keeps, or it would keep that of the epoch "
                f"before. Received: {', '.join(late)} after it in the list of callbacks."
            )
        own = isinstance(self, BackupAndRestore)
        early = [callback for callback in beside[:place] if isinstance(callback, keras.callbacks.BackupAndRestore)]
        if early and not own:
            raise ValueError(
                "TrainingState must come before BackupAndRestore in the list of callbacks, so that there is a state for every "
                "backup. Received: after it."
            )
        others = [
            c for c in beside if isinstance(c, (TrainingState, keras.callbacks.BackupAndRestore)) and c is not self
        ]
        if own and others:
            raise ValueError(
                "BackupAndRestore of keras_imbalance keeps all that is needed. Received beside it: "
                f"{', '.join(type(other).__name__ for other in others)}. Leave one out."
            )

    def _random_states(self):
        weights = {id(variable) for variable in self.model.weights}
        return [variable for variable in state_variables(self.model) if id(variable) not in weights]

    def _file(self, epoch):
        return os.path.join(self.directory, f"epoch-{epoch:05d}.npz")

    def _epochs(self):
        if not os.path.isdir(self.directory):
            return []
        found = (re.fullmatch(r"epoch-(\d+)\.npz", name) for name in os.listdir(self.directory))
        return [int(match.group(1)) for match in found if match]


class BackupAndRestore(TrainingState):
    """Backs up a whole fit after each epoch, and goes on from there after a kill at any point with the same result.

    Like Keras's callback of this name, but it keeps everything in one file that is replaced whole: the weights, the optimizer,
    the states of random layers, the samplers (distribution, rows drawn, seed), the callbacks of this package, and
    EarlyStopping, ReduceLROnPlateau and ModelCheckpoint. A run that is killed while it trains or saves, and started again with
    the same arguments, ends with the weights of a run that was not, to the bit under deterministic operations. `History` holds
    the epochs since the restart. The model must have its weights before fit.

    What a source of rows does by itself is not kept: the stream of a `StreamSampler` must give the same rows in every pass, so
    shuffle it with reshuffle_each_iteration=False and a seed, or the passes after a restart come in another order.

    Put it last in the list of callbacks. Where several workers train one model, the first of them writes and all read, from a
    folder that they share.

    Args:
        backup_dir: folder of the backup, of one run alone.
        sampler: a sampler, or a list of them, that no callback of the fit acts on. Defaults to none.
        delete_checkpoint: whether the backup is deleted when the fit has ended. Defaults to True.

    Raises:
        ValueError: when training begins, for callbacks after it whose state it would miss, a folder that cannot be written to,
            a model without weights, or a backup that is damaged or of another model or run. Nothing is deleted then.

    Example:
    ```python
    callbacks = [DynamicSampling(sampler), EarlyStopping("val_f1", mode="max"), BackupAndRestore("run/backup")]
    model.fit(sampler.dataset(), shuffle=False, validation_data=(x, y), epochs=30, callbacks=callbacks)
    ```
    """

    def __init__(self, backup_dir: str | os.PathLike, sampler: Any = None, delete_checkpoint: bool = True):
        super().__init__(folder_name(backup_dir, "backup_dir"), sampler)
        self.backup_dir = self.directory
        self.delete_checkpoint = bool(delete_checkpoint)
        self._file_of_backup = os.path.join(self.directory, "backup.npz")

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self._restored = True  # here and now: the epoch to start from stands in the backup
        check_built(self.model, type(self).__name__)
        self._check_folder("backup_dir")
        if not is_built(self.model.optimizer):
            self.model.optimizer.build(self.model.trainable_variables)
        if not os.path.exists(self._file_of_backup):
            return
        state, arrays = read_state(self._file_of_backup)
        for kind, variables in self._variables().items():
            saved = [arrays[f"{kind}_{i}"] for i in range(sum(key.startswith(f"{kind}_") for key in arrays))]
            _check_shapes(variables, saved, kind, self._file_of_backup)
        self.apply(state, arrays, self._file_of_backup)
        for kind, variables in self._variables().items():
            for i, variable in enumerate(variables):
                variable.assign(ops.cast(arrays[f"{kind}_{i}"], variable.dtype))
        if state["rates"] is not None:  # tf-keras does not count them among the variables
            set_learning_rates(self.model.optimizer, state["rates"])
        # A run that was about to stop has no further epoch.
        start_at(self.model, self.params["epochs"] if state["stopped"] else state["epoch"])

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        start_at(self.model, None)

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        arrays: dict[str, np.ndarray] = {}
        for kind, variables in self._variables().items():
            arrays.update({f"{kind}_{i}": _array(variable) for i, variable in enumerate(variables)})
        state = self.collect(epoch + 1, arrays)
        if writes_files(self.model):
            os.makedirs(self.directory, exist_ok=True)
            write_state(self._file_of_backup, state, arrays)

    def on_train_end(self, logs: Mapping | None = None) -> None:
        start_at(self.model, None)
        if self.delete_checkpoint and writes_files(self.model) and os.path.exists(self._file_of_backup):
            os.remove(self._file_of_backup)

    def _variables(self):
        optimizer = self.model.optimizer.variables
        return {"weights": state_variables(self.model), "optimizer": optimizer() if callable(optimizer) else optimizer}


def folder_name(folder: Any, argument: str) -> str:
    """`folder` as text; raises unless it names one."""
    if not isinstance(folder, (str, os.PathLike)) or not os.fspath(folder):
        raise ValueError(f"`{argument}` must name a folder. Received: {argument}={folder!r}.")
    return str(os.fspath(folder))


def part_state(part: Any) -> dict:
    """What a sampler or callback knows, as JSON types."""
    if hasattr(part, "state_dict"):
        return part.state_dict()
    names = next(names for name, names in KNOWN.items() if _is_keras(part, name))
    return {name: _json_number(getattr(part, name)) for name in names if hasattr(part, name)}


def write_state(path: str, state: Mapping, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a state to `path` so that the file is there whole, or is what it was before."""
    text = np.frombuffer(json.dumps(state).encode(), dtype=np.uint8)
    entries: dict[str, Any] = {"state": text, **arrays}
    unfinished = f"{path}.unfinished"
    try:
        with open(unfinished, "wb") as file:
            np.savez(file, **entries)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        if os.path.exists(unfinished):
            os.remove(unfinished)
        raise


def read_state(path: str) -> tuple[dict, dict[str, np.ndarray]]:
    """What `write_state` wrote.

    Raises:
        ValueError: for a file that is damaged or something else; it stays as it is.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        state = json.loads(arrays.pop("state").tobytes().decode())
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path!r} must be a state that keras_imbalance wrote. Received: a file that is damaged or something else "
            f"({error}). It was left as it is; move it away to start anew."
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(
            f"{path!r} must be a state in the format {FORMAT!r}. Received: "
            f"{state.get('format') if isinstance(state, dict) else state!r}. It was left as it is; move it away to start anew."
        )
    return state, arrays


def _has_state(callback):
    own = hasattr(callback, "state_dict") and hasattr(callback, "load_state_dict")
    return own or any(_is_keras(callback, name) for name in KNOWN)


def _is_keras(callback, name):
    return isinstance(callback, getattr(keras.callbacks, name))


def _json_number(value):
    if value is None or isinstance(value, (bool, int, str)):
        return value
    number = float(ops.convert_to_numpy(value))
    return number


def _array(variable):
    value = np.asarray(variable.numpy())  # a variable of several workers has no other way
    # What NumPy has no name for, such as bfloat16, fits into float32 without loss.
    return value if value.dtype.kind in "biufc" else value.astype(np.float32)


def _check_shapes(variables: Sequence[Any], saved: Sequence[np.ndarray], kind: str, path: str) -> None:
    wanted = [tuple(variable.shape) for variable in variables]
    received = [value.shape for value in saved]
    if wanted != received:
        differing = next((i for i, (a, b) in enumerate(zip(wanted, received, strict=False)) if a != b), None)
        where = "" if differing is None else f", of which number {differing} has the shape {received[differing]}"
        raise ValueError(
            f"{path!r} must be the backup of this model. Received: {len(received)} {kind} variables for {len(wanted)}{where}. "
            "It was left as it is. Build and compile the model as in the run that saved it, or move the file away to start "
            "anew."
        )
