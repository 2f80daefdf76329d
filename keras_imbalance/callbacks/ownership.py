"""Who may set a sampler's distribution, and when: two callbacks that both did would undo each other in silence."""

from typing import Any


def check_sampler(sampler: Any) -> None:
    """Raises unless `sampler` has a live distribution."""
    if not all(hasattr(sampler, name) for name in ("distribution", "set_target", "class_counts", "class_names")):
        raise ValueError(
            f"`sampler` must be a sampler such as ArraySampler, not the dataset it makes. Received: {type(sampler)}."
        )


def claim(sampler: Any, owner: Any, start_epoch: int, stop_epoch: int | None, fit: Any) -> None:
    """Enters `owner` as the one that sets the distribution of the epochs from `start_epoch` until before `stop_epoch`.

    Args:
        sampler: whose distribution it is.
        owner: the callback.
        start_epoch: first epoch whose distribution the owner sets.
        stop_epoch: first epoch that it leaves alone; None for no end.
        fit: something that all callbacks of one fit share; claims of other fits, which may have been broken off, are dropped.

    Raises:
        ValueError: when another callback of the same fit sets the distribution in some of these epochs.
    """
    claims = [entry for entry in sampler.owners if entry[0] is not owner and entry[3] is fit]
    for other, start, stop, _ in claims:
        if (stop_epoch is None or start < stop_epoch) and (stop is None or start_epoch < stop):
            raise ValueError(
                "Two callbacks set the class distribution of one sampler in the same epochs. Received: "
                f"{_named(other, start, stop)} and {_named(owner, start_epoch, stop_epoch)}. Let one stop where the other "
                "starts: DynamicSampling(stop_epoch=k) with TwoPhaseLearning(switch_epoch=k)."
            )
    sampler.owners = [*claims, (owner, start_epoch, stop_epoch, fit)]


def claimed(sampler: Any, epoch: int, fit: Any) -> bool:
    """Whether a callback of this fit sets the distribution of this epoch."""
    owners = [entry for entry in sampler.owners if entry[3] is fit]
    return any((start is None or start <= epoch) and (stop is None or epoch < stop) for _, start, stop, _ in owners)


def release(sampler: Any, owner: Any) -> None:
    """Withdraws the claim of `owner`."""
    sampler.owners = [entry for entry in sampler.owners if entry[0] is not owner]


def _named(owner, start, stop):
    return f"{type(owner).__name__} from epoch {start} " + ("on" if stop is None else f"until before {stop}")
