"""What counts as a sampler."""

import pytest

from keras_imbalance._core import Sampler, check_sampler, check_target


class Fixed:
    """All that a sampler must have, and no more."""

    target = "balanced"
    class_counts = distribution = exposure = history = num_classes = class_names = None

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        """Keeps nothing."""


def test_whatever_has_the_attributes_is_a_sampler():
    sampler = Fixed()
    assert isinstance(sampler, Sampler)
    assert check_sampler(sampler) is sampler
    assert check_sampler(None, optional=True) is None


@pytest.mark.parametrize("value", [None, "balanced", Fixed, iter([])])
def test_another_thing_is_refused_with_what_to_pass(value):
    with pytest.raises(ValueError, match=r"`rows`.*sampler = ArraySampler\(x, y\)"):
        check_sampler(value, "rows")


@pytest.mark.parametrize("name", ["target", "class_counts", "distribution", "state_dict"])
def test_each_attribute_is_asked_for(name):
    part = type("Part", (), {key: value for key, value in vars(Fixed).items() if key != name})()
    with pytest.raises(ValueError, match="`sampler` must be a sampler"):
        check_sampler(part)


class Picky(Fixed):
    """Draws balanced classes and nothing else."""

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if value not in ("balanced", 0.0):
            raise ValueError("`target` must be balanced.")


def test_trying_a_target_leaves_the_sampler_as_it_is():
    sampler = Picky()
    check_target(sampler, 0.0)
    assert sampler.target == "balanced"
    with pytest.raises(
        ValueError, match=r"`end_target` must be a target that the sampler can draw.*'sqrt'.*must be balanced"
    ):
        check_target(sampler, "sqrt", "end_target")
    assert sampler.target == "balanced"
