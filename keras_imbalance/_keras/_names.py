"""Names as Keras makes them."""

import re

OWN_REDUCTIONS = ("mean_with_class_weight", "sum_over_positives")  # of losses, beside those of Keras


def snake_case(name: str) -> str:
    """The name of a class as Keras names its objects.

    Example:
    >>> snake_case("LDAMLoss")
    'ldam_loss'
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
