"""How far the members of an ensemble agree."""

from typing import Any

import numpy as np

KINDS = ("std", "vote_entropy")


def disagreement(probabilities: Any, kind: str = "std") -> np.ndarray:
    """How far the members disagree about each row; 0 where all say the same.

    - "std": the standard deviation between the members of the probability of a class, averaged over the classes
    - "vote_entropy": -sum_c v_c log v_c / log C, with v_c the share of the members whose most probable class is c, in [0, 1]

    Args:
        probabilities: what `predict_members` gives, `(M, N, C)`, or any `(M, ..., C)`; one channel is the probability of
            the second of two classes.
        kind: one of the names above. Defaults to "std".

    Returns:
        float64 `(N,)`, the shape of the predictions without members and channels.

    Raises:
        ValueError: for another kind or rank, or values outside [0, 1].

    Example:
    >>> members = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.9, 0.1], [0.6, 0.4]]])
    >>> disagreement(members), disagreement(members, "vote_entropy")
    (array([0. , 0.2]), array([0., 1.]))

    Reference: Dagan and Engelson, Committee-based sampling for training probabilistic classifiers, ICML 1995 (vote entropy).
    """
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {KINDS}. Received: kind={kind!r}.")
    members = np.asarray(probabilities, dtype=np.float64)
    if members.ndim < 3 or 0 in members.shape:
        raise ValueError(
            "`probabilities` must have the shape (members, rows, channels), as `predict_members` gives them. "
            f"Received: shape {members.shape}."
        )
    if not ((members >= 0) & (members <= 1)).all():
        raise ValueError(
            f"`probabilities` must lie in [0, 1]. Received: values from {members.min()} to {members.max()}. "
            "For members that give logits build the ensemble with from_logits=True."
        )
    if kind == "std":
        return members.std(axis=0).mean(axis=-1)
    if members.shape[-1] == 1:
        members = np.concatenate([1 - members, members], axis=-1)
    classes = members.shape[-1]
    votes = (members.argmax(axis=-1)[..., None] == np.arange(classes)).mean(axis=0)
    logs = np.log(votes, out=np.zeros_like(votes), where=votes > 0)
    return np.abs((votes * logs).sum(axis=-1)) / np.log(classes)
