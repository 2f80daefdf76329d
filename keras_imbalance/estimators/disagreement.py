"""How far the members of an ensemble agree."""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import check_one_of, check_probabilities, invalid, two_channels

Kind = Literal["std", "vote_entropy"]
KINDS = get_args(Kind)


def disagreement(probabilities: npt.ArrayLike, *, kind: Kind = "std") -> np.ndarray:
    """How far the members disagree about each row; 0 where all agree.

    - "std": the standard deviation between the members of the probability of a class, averaged over the classes
    - "vote_entropy": -sum_c v_c log v_c / log C, with v_c the share of the members whose most probable class is c, in [0, 1]

    Args:
        probabilities: what `predict_members` gives, `(M, N, C)`, or any `(M, ..., C)`; one channel is the probability of
            the second of two classes.
        kind: "std" or "vote_entropy". Defaults to "std".

    Returns:
        float64 `(N,)`, the shape of the predictions without members and channels.

    Raises:
        ValueError: for another kind or rank, or values outside [0, 1].

    Example:
    >>> members = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.9, 0.1], [0.6, 0.4]]])
    >>> disagreement(members), disagreement(members, kind="vote_entropy")
    (array([0. , 0.2]), array([0., 1.]))

    Reference: Dagan and Engelson, Committee-based sampling for training probabilistic classifiers, ICML 1995 (vote entropy).
    """
    check_one_of(kind, "kind", KINDS)
    members = check_probabilities(probabilities, multi_label=True).astype(np.float64)
    if members.ndim < 3 or 0 in members.shape:
        received = f"shape {members.shape}"
        raise invalid("probabilities", "have the shape (members, rows, channels)", received=received)
    if kind == "std":
        return members.std(axis=0).mean(axis=-1)
    members = two_channels(members)
    classes = members.shape[-1]
    votes = (members.argmax(axis=-1)[..., None] == np.arange(classes)).mean(axis=0)
    logs = np.log(votes, out=np.zeros_like(votes), where=votes > 0)
    return np.abs((votes * logs).sum(axis=-1)) / np.log(classes)
