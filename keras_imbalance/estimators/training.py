"""The training of the members, one after another or side by side."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_imbalance._core import digest, invalid
from keras_imbalance._keras import fresh_copy, ops, optimizer_config, seeded, tree
from keras_imbalance.estimators.arrays import as_fit_takes_it, take
from keras_imbalance.estimators.batches import Batches, FirstEpoch, SameForAll
from keras_imbalance.estimators.member_callbacks import MemberBatchCallbacks, MemberCallbacks, acts_on_batches
from keras_imbalance.estimators.members import seed_of
from keras_imbalance.estimators.progress import line_of, short_logs, write_line
from keras_imbalance.estimators.saved_members import load_member, path_of, save_member
from keras_imbalance.estimators.side_by_side import SideBySide

TRIED = 7  # rows: with few of them, weights of another axis would broadcast


@dataclass
class Run:
    """What all members of one fit have in common.

    Attributes:
        data: `(x, y)` or `(x, y, sample_weight)`, nests of arrays.
        rows: the rows of each member `(M, K)`.
        validation: what is validated on after each epoch, or None.
        batch_size: rows a batch.
        epochs: epochs of each member.
        seed: the ensemble's.
        verbose: 0, 1 or 2.
    """

    data: tuple
    rows: np.ndarray
    validation: Any
    batch_size: int
    epochs: int
    seed: int
    verbose: int


def try_out(members: Sequence[Any], run: Run) -> None:
    """Computes loss and metrics of a few rows, so that what does not fit together shows before any training step."""
    x, y, *weight = take(run.data, run.rows[0, :TRIED])
    x = tree.map_structure(ops.convert_to_tensor, x)  # a model takes no tensors of text next to arrays
    sample_weight = weight[0] if weight else None
    for member in members:
        try:
            predicted = member(x, training=False)
            member.compute_loss(x=x, y=y, y_pred=predicted, sample_weight=sample_weight, training=False)
            member.compute_metrics(x, y, predicted, sample_weight)
        except Exception as error:  # every loss, metric and backend has its own
            required = "suit the models that `build_model` makes, with y and sample_weight"
            raise invalid("x", required, received=str(error)) from error
        member.reset_metrics()


def train_in_turn(members: Sequence[Any], callbacks: Sequence[list], run: Run, folder: Path | None) -> list[dict]:
    """Trains one member after another; gives the logs of each."""
    made_by: list[dict] = []
    found: list[dict | None] = [None] * len(members)
    if folder is not None:  # every file is checked before any training
        made_by = [_made_by(i, member, run) for i, member in enumerate(members)]
        found = [load_member(path_of(folder, i), member, made_by[i]) for i, member in enumerate(members)]
    histories = []
    for i, member in enumerate(members):
        began, history, took = time.perf_counter(), found[i], "from resume_dir"
        if history is None:
            with seeded(seed_of(run.seed, i)):
                history = _train_alone(i, member, callbacks[i], run)
            if folder is not None:
                save_member(path_of(folder, i), member, history, made_by[i])
            took = f"{time.perf_counter() - began:.1f}s"
        histories.append(history)
        if run.verbose:
            write_line(member_line(i, run, history, took))
    return histories


def train_side_by_side(members: Sequence[Any], callbacks: Sequence[list], run: Run) -> list[dict]:
    """Trains all members in one graph; gives the logs of each."""
    joint, first = SideBySide(members), members[0]
    joint.compile(
        fresh_copy(first.optimizer),
        run_eagerly=first.run_eagerly,
        steps_per_execution=first.steps_per_execution,
        jit_compile=first.jit_compile,
    )
    batches, options = _batches(joint, run, range(len(members)), side_by_side=True)
    validation = None if run.validation is None else SameForAll(run.validation, len(members), run.batch_size)
    on_batches = any(acts_on_batches(callback) for own in callbacks for callback in own)
    kind = MemberBatchCallbacks if on_batches else MemberCallbacks
    handed_on = kind(members, callbacks, run.epochs, batches.steps, run.verbose > 0)
    with seeded(run.seed):
        joint.fit(
            batches,
            **options,
            validation_data=validation,
            callbacks=[FirstEpoch(batches), handed_on],
            verbose=0,
        )
    if run.verbose:
        for i, history in enumerate(handed_on.histories):
            write_line(member_line(i, run, history))
    return handed_on.histories


def member_line(member: int, run: Run, history: dict, took: str | None = None) -> str:
    """What one member was trained on, how long and how far."""
    num_members, rows = run.rows.shape
    epochs = max(map(len, history.values()), default=0)
    last = short_logs({key: values[-1] for key, values in history.items()})
    parts = [f"Member {member + 1}/{num_members}", f"{rows} rows", f"{epochs} epochs", took, line_of(last)]
    return " - ".join(part for part in parts if part)


def _train_alone(i, member, callbacks, run):
    batches, options = _batches(member, run, range(i, i + 1))
    of_arrays = isinstance(run.validation, tuple)
    history = member.fit(
        batches,
        **options,
        validation_data=as_fit_takes_it(run.validation) if of_arrays else run.validation,
        validation_batch_size=run.batch_size if of_arrays else None,
        callbacks=[FirstEpoch(batches), *callbacks],
        verbose=2 if run.verbose == 2 else 0,
    )
    return {key: [float(value) for value in values] for key, values in history.history.items()}


def _batches(model, run, members, side_by_side=False):
    """The batches of `members`, and how fit is to go through them."""
    one_iteration = model.steps_per_execution == 1
    epochs = run.epochs if one_iteration else None
    rows = run.rows[members.start : members.stop]
    batches = Batches(run.data, rows, members, run.batch_size, epochs, run.seed, side_by_side)
    steps = batches.steps if one_iteration else None
    return batches, {"epochs": run.epochs, "steps_per_epoch": steps, "shuffle": False}  # they are shuffled already


def _made_by(i, member, run):
    """What the member depends on, as JSON types."""
    return {
        "member": i,
        "data": digest(take(run.data, run.rows[i])),
        "rows": digest(run.rows[i]),
        "validation": digest(run.validation) if isinstance(run.validation, tuple) else None,
        "batch_size": run.batch_size,
        "epochs": run.epochs,
        "seed": run.seed,
        "weights": [[list(weight.shape), str(weight.dtype)] for weight in member.weights],
        "optimizer": f"{type(member.optimizer).__name__} {optimizer_config(member.optimizer)}",
        "loss": _described(member.loss),
    }


def _described(loss):
    """A loss as text, the same in every process."""
    if isinstance(loss, str):
        return loss
    kind = getattr(loss, "__name__", type(loss).__name__)
    return f"{kind} {loss.get_config()}" if hasattr(loss, "get_config") else kind
