"""Arguments and parts of methods that cannot work say so, before any training or as a row of the table."""

import numpy as np
import pytest
from kerases import keras_3_only
from planted import PLAIN, bayes, drawn, net

from keras_imbalance import Comparison, Method, compare_methods
from keras_imbalance._core import columns_of
from keras_imbalance._keras import keras
from keras_imbalance.comparison.schedule import jobs_of
from keras_imbalance.comparison.training import head_of, position_of

pytestmark = keras_3_only("compare_methods needs Keras 3")


def compared(*methods, **options):
    x, y = drawn((90, 60, 30), 0)
    options = {"methods": [PLAIN, *methods], "splits": 1, "epochs": 1, "verbose": 0, **options}
    return compare_methods(net, x, y, **options)


@pytest.mark.parametrize("n_jobs", [0, "2", 1.5, None, True])
def test_what_is_no_number_of_processes_is_refused(n_jobs):
    with pytest.raises(ValueError, match="`n_jobs` must be a whole number"):
        jobs_of(n_jobs)


def test_a_head_is_the_layer_in_its_place_in_every_net():
    """Keras numbers the names of layers anew in each net."""

    def build():
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(4), keras.layers.Dense(3), keras.layers.ReLU()])

    one, other = build(), build()
    assert one.layers[0].name != other.layers[0].name
    for layer in (0, 1):
        assert head_of(other, position_of(one, one.layers[layer].name)) == other.layers[layer].name
    assert head_of(other, position_of(one, None)) == other.layers[1].name
    with pytest.raises(ValueError, match=r"`head` must be one of .*Give the layer a name"):
        position_of(other, one.layers[0].name)


RULES = {
    "(N, 1)": lambda p: p.argmax(axis=1)[:, None],
    "one row": lambda p: p.argmax(axis=1)[:1],
    "a share": lambda p: p[:, 1],
    "class 3": lambda p: np.full(len(p), 3),
}


def test_parts_of_methods_that_fail_are_rows_with_a_reason():
    methods = [Method(name, train=bayes, decide=lambda run, p, y, rule=rule: rule) for name, rule in RULES.items()]
    found = compared(
        *methods,
        Method("no rule", train=bayes, decide=lambda run, p, y: p),
        Method("raises", train=bayes, needs=lambda run: run.foo),
    )
    assert list(found.test) == ["plain"]
    reasons = found.reasons
    assert "left out: its `needs` failed: AttributeError" in reasons["raises"]
    for name in ("(N, 1)", "one row"):
        assert "`decide` must give a function from probabilities to class ids (N,)" in reasons[name]
        assert "Received: shape (" in reasons[name]
    assert "`decisions` must hold class ids, which are whole numbers" in reasons["a share"]
    assert "`decisions` must hold class ids from 0 below 3" in reasons["class 3"]
    assert "`decide` must give a function from probabilities to decisions" in reasons["no rule"]


def test_notes_are_wrapped_by_the_columns_of_a_terminal():
    name = "少数类重采样方法" * 9
    found = Comparison([Method(name)], "macro_recall", 1, 0.3)
    found.remove(
        Method(name), "left out: the net has no Dense layer to renew, and none of its others can take its place"
    )
    for width in (60, 100):
        lines = found.table(width=width).splitlines()
        assert width - 2 <= max(map(columns_of, lines)) <= width
        assert "".join("".join(lines).split()) == f"{name}:{found.reasons[name]}.".replace(" ", "")
