"""Which rows come next, as numbers: pure NumPy, for any loop and any loader."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import (
    check_flag,
    check_names,
    check_number,
    check_one_of,
    check_whole,
    count_classes,
    invalid,
    labels_of,
    shown,
    target_distribution,
    text_table,
)
from keras_imbalance.sampling.distribution import LiveDistribution
from keras_imbalance.sampling.inputs import class_of_rows
from keras_imbalance.sampling.plan import Planner, capped_shares
from keras_imbalance.sampling.shards import one_shard

EPOCH_SIZES = ("natural", "undersample", "oversample")
STATE_KEYS = ("seed", "class_counts", "batch_size", "epoch", "drawn", "synthetic", "history", "target")
MOST_LINES = 30  # of a summary


class ClassSampler(LiveDistribution):
    """Draws batches of row numbers whose classes follow a target distribution.

    Each iteration is one epoch, and `len(sampler)` its number of batches: the sampler is a `batch_sampler` of PyTorch's
    DataLoader as it stands; with worker processes, which read ahead, pass `read_ahead`. `target` may be set at any time, by a
    callback too; it takes effect when the next epoch begins. The guide to sampling says which reads count as an epoch.

    In each full batch, and in the whole epoch, every class has its share to within one row (`exact=True`). Within a class every
    row is drawn once before any is drawn twice, across epochs and changes of the target.

    Args:
        labels: class of every row: ids `(N,)` or `(N, 1)`, one-hot `(N, C)`, or names.
        batch_size: rows a batch. Defaults to 32.
        target: the class distribution to draw: "natural", "balanced", "sqrt", a number q, a mapping from class to share, or
            shares `(C,)`; see `target_distribution`. Classes that a mapping leaves out divide what remains in proportion to
            their counts. Defaults to "balanced".
        max_repeats: how often an epoch may draw a row, on average over its class, > 0. A class that the target would draw more
            often keeps what that allows, and the others share the rest. Defaults to None, no limit.
        classes_per_batch: number of classes P that a batch holds, each with batch_size / P rows, as metric learning asks for.
            What remains of an epoch behind its last full batch is left out. Defaults to None.
        epoch_size: rows an epoch: "natural" (N), "undersample" (the most rows with none drawn twice: C * min n_i when
            balanced), "oversample" (the fewest rows with every row drawn: C * max n_i when balanced), or a number.
            Defaults to "natural".
        exact: False draws the class of each row by itself, so that batches vary. Defaults to True.
        class_names: names of the classes, for log keys. Defaults to the names in `labels`, or the class numbers.
        num_shards: number of workers that divide each batch; it divides `batch_size`. Defaults to 1.
        shard_index: which of them this worker is, from 0.
        read_ahead: batches that a loader asks for before it needs them, with worker processes `num_workers * prefetch_factor`
            of PyTorch's DataLoader. An iteration counts as an epoch only beyond them. Defaults to 0.
        seed: whole number; the same seed gives the same batches. Defaults to one from Python's `random`, which
            `keras.utils.set_random_seed` seeds.

    Raises:
        ValueError: for labels that name no class, a target that cannot be read, a positive share for a class without rows, and
            limits that no epoch can keep.

    Example:
    >>> import numpy as np
    >>> labels = np.repeat([0, 1], [90, 10])
    >>> sampler = ClassSampler(labels, batch_size=20, seed=0)
    >>> len(sampler), [int(labels[rows].sum()) for rows in sampler]
    (5, [10, 10, 10, 10, 10])
    """

    def __init__(
        self,
        labels: npt.ArrayLike,
        *,
        batch_size: int = 32,
        target: npt.ArrayLike | Mapping | str | float = "balanced",
        max_repeats: float | None = None,
        classes_per_batch: int | None = None,
        epoch_size: Literal["natural", "undersample", "oversample"] | int = "natural",
        exact: bool = True,
        class_names: Sequence[str] | None = None,
        num_shards: int = 1,
        shard_index: int = 0,
        read_ahead: int = 0,
        seed: int | None = None,
    ):
        y = labels_of(labels, "labels")
        ids, names, _ = class_of_rows(None, y, None, len(y), check_names(class_names))
        self._plan_rows(
            ids,
            names,
            batch_size=batch_size,
            target=target,
            max_repeats=max_repeats,
            classes_per_batch=classes_per_batch,
            epoch_size=epoch_size,
            exact=exact,
            seed=seed,
        )
        self._shards = one_shard(num_shards, shard_index).read_ahead(check_whole(read_ahead, "read_ahead", 0))
        self._check_shards(self._shards)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Row numbers of each batch of an epoch, int64 `(B,)`."""
        planner = self._planner
        plan = planner.plan(self._shards)
        for index in range(len(plan.ends)):
            if index == plan.counts_from:
                planner.count(plan.number, plan.drawn, plan.made)
            yield plan.rows[plan.batch(index)]

    def __len__(self) -> int:
        return self._planner.num_batches

    @property
    def epoch_rows(self) -> int:
        """Rows an epoch."""
        return self._planner.epoch_rows

    @property
    def history(self) -> list[np.ndarray]:
        """What every epoch so far really drew: rows of every class, new points among them, a list of int64 `(C,)`."""
        return [counts.copy() for counts in self._planner.history]

    @property
    def exposure(self) -> np.ndarray:
        """Rows drawn of every class so far, new points among them, int64 `(C,)`; an epoch that has begun counts whole."""
        return self._planner.drawn + self._planner.made

    def exposure_report(self) -> dict[str, dict[str, float]]:
        """What training has seen of every class so far; an epoch that has begun counts as a whole.

        Returns:
            For each class name: `rows` in the data, `drawn` positions in batches, `synthetic` new points among them,
            `distinct` rows of the data that were drawn at least once, and `repeats`, how often each row was drawn on average.

        Example:
        >>> sampler = ClassSampler([0, 0, 0, 0, 0, 1], batch_size=3, seed=0)
        >>> _ = list(sampler)
        >>> sampler.exposure_report()["1"]
        {'rows': 1, 'drawn': 3, 'synthetic': 0, 'distinct': 1, 'repeats': 3.0}
        """
        report: dict[str, dict[str, float]] = {}
        for i, name in enumerate(self._class_names):
            rows, drawn, made = int(self._counts[i]), int(self._planner.drawn[i]), int(self._planner.made[i])
            seen = {"rows": rows, "drawn": drawn + made, "synthetic": made, "distinct": min(drawn, rows)}
            report[name] = {**seen, "repeats": drawn / rows if rows else 0.0}
        return report

    def summary(self) -> str:
        """A table of what the next epoch is to draw: for each class its rows, share, share to be drawn, repeats of each row.

        Of more than 30 classes it shows those with the most and with the fewest rows.

        Example:
        >>> print(ClassSampler([0] * 90 + [1] * 10, class_names=["good", "bad"], seed=0).summary())
        class  rows  share  drawn  repeats
        good     90  90.0%  50.0%     0.56
        bad      10  10.0%  50.0%     5.00
        """
        order = np.arange(self.num_classes)
        if self.num_classes > MOST_LINES:
            by_rows = np.argsort(-self._counts, kind="stable")
            order = np.concatenate([by_rows[: MOST_LINES // 2], by_rows[-MOST_LINES // 2 :]])
        names = [self._class_names[i] for i in order]
        share = self._counts[order] / self._counts.sum()
        drawn = self._distribution[order]
        repeats = drawn * self.epoch_rows / np.maximum(self._counts[order], 1)
        lines = [("class", "rows", "share", "drawn", "repeats")]
        for name, rows, has, gets, times in zip(names, self._counts[order], share, drawn, repeats, strict=True):
            lines.append((name, f"{rows}", _percent(has), _percent(gets), f"{times:.2f}"))
        if self.num_classes > MOST_LINES:
            lines.insert(MOST_LINES // 2 + 1, ("...",) * 5)
        return text_table([lines])

    def state_dict(self) -> dict:
        """What a resumed run needs to go on with the batches that would have come, as JSON types."""
        fixed = {"seed": self.seed, "class_counts": self._counts.tolist(), "batch_size": self.batch_size}
        return {**fixed, **self._planner.state_dict(), "target": self._json_target()}

    def load_state_dict(self, state: Mapping) -> None:
        """Goes on from what `state_dict` gave, for a sampler of the same data.

        Raises:
            ValueError: when the state is of a sampler of other rows per class, batch size or seed, or no state of a sampler.
        """
        self._check_state(state, STATE_KEYS, ("drawn", "synthetic"))
        if state["class_counts"] != self._counts.tolist() or state["batch_size"] != self.batch_size:
            own, other = (
                f"{shown(counts)} a class, in batches of {size}"
                for counts, size in (
                    (self._counts.tolist(), self.batch_size),
                    (state["class_counts"], state["batch_size"]),
                )
            )
            remedy = "Build the sampler as in the run that saved it."
            raise invalid("state", f"be of a sampler of the same rows: {own}", received=other, remedy=remedy)
        self.target = state["target"]
        self._planner.load_state_dict(state)

    def _plan_rows(
        self,
        ids,
        class_names,
        *,
        batch_size,
        target,
        max_repeats,
        classes_per_batch,
        epoch_size,
        exact,
        seed,
        smote=None,
    ):
        """Sets the sampler up for rows of these classes."""
        counts = count_classes(ids, num_classes=None if class_names is None else len(class_names))
        names = [str(i) for i in range(len(counts))] if class_names is None else class_names
        self.batch_size = check_whole(batch_size, "batch_size", 1)
        self._max_repeats = check_number(max_repeats, "max_repeats", above=0, optional=True)
        self._classes_per_batch = check_whole(classes_per_batch, "classes_per_batch", 1, optional=True)
        self._take_seed(seed)
        epoch_rows = _rows_of(epoch_size, counts, target_distribution(counts, target, class_names=names))
        if self._classes_per_batch is not None:
            self._check_classes_per_batch(exact)
            epoch_rows = max(1, epoch_rows // self.batch_size) * self.batch_size
        self._planner = Planner(
            ids,
            counts,
            batch_size=self.batch_size,
            epoch_rows=epoch_rows,
            seed=self.seed,
            exact=check_flag(exact, "exact"),
            classes_per_batch=self._classes_per_batch,
            # A class of one row has no neighbour to go to: what rounding gives it beyond that row repeats it.
            most_drawn=None if smote is None else np.where(counts > 1, counts, np.iinfo(np.int64).max),
            smote_seed=self.seed if smote is None or smote.seed is None else smote.seed,
        )
        super().__init__(counts, target, names)
        self._planner.matched_losses = self.matched_losses

    def _shares_of(self, target):
        shares = super()._shares_of(target)
        if self._max_repeats is not None:
            shares = self._with_few_repeats(shares)
        most = np.inf if self._classes_per_batch is None else 1 / self._classes_per_batch
        if (shares > most + 1e-9).any():
            number = self._classes_per_batch
            names = [self._class_names[i] for i in np.flatnonzero(shares > most + 1e-9)]
            requirement = (
                f"give no class more than 1 / {number} where each batch holds `classes_per_batch` = {number} classes"
            )
            raise invalid("target", requirement, received=f"shares above that for {shown(names)}")
        return shares

    def _draw_from_now_on(self, shares):
        super()._draw_from_now_on(shares)
        self._planner.shares = shares

    def _with_few_repeats(self, shares):
        most = self._max_repeats * self._counts / self.epoch_rows
        reached = most[shares > 0].sum()
        if reached < 1:
            requirement = f"let an epoch of {self.epoch_rows} rows be filled"
            remedy = f"Raise it, or pass epoch_size={max(1, int(reached * self.epoch_rows))}."
            raise invalid("max_repeats", requirement, self._max_repeats, remedy)
        return capped_shares(shares, most)

    def _check_classes_per_batch(self, exact):
        if self.batch_size % self._classes_per_batch:
            received = f"classes_per_batch={self._classes_per_batch}, batch_size={self.batch_size}"
            raise invalid("classes_per_batch", "divide `batch_size`", received=received)
        if not exact:
            raise invalid("exact", "be True where `classes_per_batch` is given", exact)

    def _check_shards(self, shards):
        """Raises unless these shards leave every worker rows of every batch, and all processes draw alike."""
        shards.check(self.batch_size, self._seeded)
        rest = self.epoch_rows % self.batch_size
        if 0 < rest < shards.num_shards:
            requirement = f"leave a row of the last batch for each of {shards.num_shards} workers or replicas"
            received = f"{self.epoch_rows} rows, the last batch of {rest}"
            remedy = f"Pass epoch_size={self.epoch_rows - rest or self.batch_size}."
            raise invalid("epoch_size", requirement, received=received, remedy=remedy)


def _percent(share):
    """A share with at least two digits that say something, down to a hundredth of a percent."""
    return f"{share:.1%}" if share >= 0.01 or share == 0 else f"{share:.2%}"


def _rows_of(epoch_size, counts, shares):
    """The number of rows that an epoch size stands for."""
    if not isinstance(epoch_size, str):
        return check_whole(epoch_size, "epoch_size", 1, remedy=f"Or pass one of {', '.join(EPOCH_SIZES)}.")
    if check_one_of(epoch_size, "epoch_size", EPOCH_SIZES) == "natural":
        return int(counts.sum())
    per_share = counts[shares > 0] / shares[shares > 0]
    # A share like 1/3 is no float: what lies within rounding of a whole number is meant to be that number.
    if epoch_size == "undersample":
        return max(1, int(np.floor(per_share.min() * (1 + 1e-12))))
    return int(np.ceil(per_share.max() * (1 - 1e-12)))
