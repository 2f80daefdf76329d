"""The figure of a trade-off curve: its lines are the means over the classes."""

import numpy as np
import pytest

from keras_imbalance import TradeoffCurve, plots


def curve(points=5):
    rng = np.random.default_rng(0)
    return TradeoffCurve(np.linspace(0, 1, points), *(rng.uniform(size=(points, 3)) for _ in range(3)))


def test_each_line_is_the_mean_over_classes_and_models_differ_in_style():
    one, other = curve(), curve(1)
    figure = plots.plot_tradeoff(one, label="net")
    assert plots.plot_tradeoff(other, ax=figure.axes[0], label="other") is figure
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    for name, values in (("recall", one.recall), ("precision", one.precision), ("F1", one.f1)):
        np.testing.assert_allclose(lines[f"net: macro {name}"].get_ydata(), values.mean(axis=1))
        np.testing.assert_array_equal(lines[f"net: macro {name}"].get_xdata(), one.q)
        assert lines[f"net: macro {name}"].get_linestyle() != lines[f"other: macro {name}"].get_linestyle()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"curve": np.ones(3)}, "`curve` must be a TradeoffCurve.*tradeoff_curve"),
        ({"label": 3}, "`label` must be text"),
        ({"ax": "here"}, "`ax` must be matplotlib axes"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_tradeoff(**{"curve": curve(), **arguments})
