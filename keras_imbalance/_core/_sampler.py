"""What callbacks and losses ask of a sampler."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from keras_imbalance._core._checks import invalid
from keras_imbalance._keras import keras


@runtime_checkable
class Sampler(Protocol):
    """Chooses which rows come next by the shares of classes that it is asked for.

    `ClassSampler`, `ArraySampler` and `StreamSampler` are samplers; so is any other object with these attributes.
    """

    target: Any
    """What is asked for: anything that `target_distribution` takes. Setting it takes effect at the next epoch."""

    @property
    def class_counts(self) -> np.ndarray:
        """Rows of every class in the data, int64 `(C,)`."""

    @property
    def num_classes(self) -> int:
        """Number of classes C."""

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, as log keys use them."""

    @property
    def distribution(self) -> np.ndarray:
        """Share of every class in what is to be drawn, float64 `(C,)`, sum 1."""

    @property
    def exposure(self) -> Any:
        """Rows drawn of every class so far, int64 `(C,)`."""

    @property
    def history(self) -> list[np.ndarray]:
        """What every epoch so far really drew: rows of every class, a list of int64 `(C,)`."""

    def state_dict(self) -> dict:
        """Everything that a run needs to go on, as plain data."""

    def load_state_dict(self, state: dict) -> None:
        """Goes on from what `state_dict` gave."""


def check_sampler(value: Any, argument: str = "sampler", *, optional: bool = False) -> Any:
    """`value`; raises unless it is a sampler, or None where it is optional."""
    if optional and value is None:
        return None
    if isinstance(value, type) or not isinstance(value, Sampler):
        raise invalid(
            argument,
            f"be {'None or ' if optional else ''}a sampler such as ArraySampler, not the dataset it makes",
            received=f"the class {value.__name__}" if isinstance(value, type) else str(type(value)),
            remedy="Make it before, sampler = ArraySampler(x, y), and pass sampler.dataset() to fit.",
        )
    return value


def check_target(sampler: Sampler, target: Any, argument: str = "target") -> None:
    """Raises for a target that the sampler cannot draw; the sampler keeps its own."""
    before = sampler.target
    try:
        sampler.target = target
    except (ValueError, TypeError) as error:
        raise invalid(argument, "be a target that the sampler can draw", target, str(error)) from error
    finally:
        sampler.target = before


def delivery_for_fit() -> str:
    """The method of an `ArraySampler` whose batches fit takes fastest: "dataset" on TensorFlow, elsewhere "py_dataset"."""
    return "dataset" if keras.backend.backend() == "tensorflow" else "py_dataset"
