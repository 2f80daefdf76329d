"""Curves of ROC, of precision and recall and of thresholds, read back from the lines: scikit-learn's numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from keras_imbalance import plots

AX = Figure().subplots()


@st.composite
def rows(draw):
    """Labels with both classes, and scores of which many are alike."""
    size = draw(st.integers(2, 40))
    labels = draw(st.lists(st.integers(0, 1), min_size=size, max_size=size).filter(lambda drawn: 0 < sum(drawn) < size))
    scores = draw(st.lists(st.integers(0, 12), min_size=size, max_size=size))
    return np.array(labels), np.array(scores) / 12


def lines(plot, *data, **options):
    """The named lines of a figure `(2, points)` by what the legend calls them."""
    AX.clear()
    figure = plot(*data, ax=AX, **options)
    assert figure is AX.figure
    named = {line.get_label(): np.array(line.get_data(), float) for line in AX.lines if line.get_label()[0] != "_"}
    right = [axes for axes in AX.figure.axes if axes is not AX]
    for axes in right:
        named |= {
            line.get_label(): np.array(line.get_data(), float) for line in axes.lines if line.get_label()[0] != "_"
        }
        axes.remove()
    return named


def alike(text, expected):
    """Whether texts differ at most in the last digit of a number: half a digit is rounded either way."""
    pairs = [pair for pair in zip(text.split(), expected.split(), strict=True) if pair[0] != pair[1]]
    return all(float(found) == pytest.approx(float(right), rel=0.011, abs=0.0011) for found, right in pairs)


@settings(max_examples=25)
@given(rows())
def test_curves_of_one_channel_are_those_of_scikit_learn(data):
    labels, scores = data
    ((text, drawn),) = lines(plots.plot_roc, labels, scores).items()
    np.testing.assert_allclose(drawn, roc_curve(labels, scores)[:2], atol=1e-12)
    assert alike(text, f"1, AUC {roc_auc_score(labels, scores):.3f}")

    ((text, drawn),) = lines(plots.plot_precision_recall, labels, scores).items()
    precision, recall, _ = precision_recall_curve(labels, scores, drop_intermediate=True)
    assert AX.lines[0].get_drawstyle() == "steps-pre"  # as average precision adds it up
    found = recall > 0  # what lies before the first row that is found has no width
    np.testing.assert_allclose(drawn[:, 1:], (recall[found][::-1], precision[found][::-1]), atol=1e-12)
    assert drawn[0, 0] == 0
    assert drawn[1, 0] == drawn[1, 1]
    assert alike(text, f"1, AP {average_precision_score(labels, scores):.3f}")
    np.testing.assert_allclose(np.diff(drawn[0]) @ drawn[1, 1:], average_precision_score(labels, scores), atol=1e-12)


@settings(max_examples=25)
@given(rows(), st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=4, max_size=4))
def test_recall_precision_and_cost_over_the_threshold(data, costs):
    labels, scores = data
    costs = np.reshape(costs, (2, 2))
    drawn = lines(plots.plot_threshold, labels, scores, cost_matrix=costs)
    assert {line.get_drawstyle() for line in AX.lines} == {"steps-post"}  # from one threshold up to the next
    recall, precision, cost = drawn.values()
    right_precision, right_recall, thresholds = precision_recall_curve(labels, scores)
    for line, expected in ((recall, right_recall), (precision, right_precision)):
        np.testing.assert_array_equal(line[0], [0, *thresholds, 1])
        np.testing.assert_allclose(line[1, : len(thresholds)], expected[:-1], atol=1e-12)
    assert recall[1, -1] == 0
    assert np.isnan(precision[1, -2:]).all()  # no row is taken

    def cost_at(threshold):
        return costs[labels, (scores > threshold).astype(int)].mean()

    starts, ends = cost[0, :-1], cost[0, 1:]
    expected = [cost_at(start) for start in starts]  # each holds up to the next threshold
    np.testing.assert_allclose(cost[1, :-1][ends > starts], np.array(expected)[ends > starts], atol=1e-12)
    lowest, at = map(float, list(drawn)[2].removeprefix("cost, lowest ").split(" at "))
    everywhere = [cost_at(number / 24) for number in range(25)]  # on and between all scores
    np.testing.assert_allclose(lowest, min(everywhere), atol=1e-12, rtol=0.005)
    np.testing.assert_allclose(cost_at(at), min(everywhere), atol=1e-12)


@settings(max_examples=12)
@given(rows(), st.data())
def test_a_weight_counts_as_so_many_rows(data, draw):
    labels, scores = data
    weights = np.array(draw.draw(st.lists(st.integers(0, 3), min_size=len(labels), max_size=len(labels))))
    weights[[labels.argmin(), labels.argmax()]] = 2  # each class has rows that count
    repeated = np.repeat(labels, weights), np.repeat(scores, weights)
    costs = {"cost_matrix": [[0, 1], [5, 0]]}
    for plot, options in (
        (plots.plot_roc, {}),
        (plots.plot_precision_recall, {}),
        (plots.plot_threshold, costs),
        (plots.plot_reliability, {"num_bins": 4}),
    ):
        expected = lines(plot, *repeated, **options)
        for unit in (1, 1e-3):  # weights may sum to less than 1
            found = lines(plot, labels, scores, sample_weight=weights * unit, **options)
            for (text, line), (right_text, right) in zip(found.items(), expected.items(), strict=True):
                assert alike(text, right_text)
                np.testing.assert_allclose(line, right, atol=1e-12)
    ((text, _),) = lines(plots.plot_roc, labels, scores, sample_weight=weights).items()
    assert alike(text, f"1, AUC {roc_auc_score(labels, scores, sample_weight=weights):.3f}")
    ((text, _),) = lines(plots.plot_precision_recall, labels, scores, sample_weight=weights).items()
    assert alike(text, f"1, AP {average_precision_score(labels, scores, sample_weight=weights):.3f}")


def test_costs_that_differ_by_rounding_are_equal():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1])
    scores = np.array([3, 5, 3, 7, 10, 5, 3, 7, 11, 2, 5, 0, 0]) / 12
    weights = np.array([2, 3, 3, 3, 2, 2, 1, 3, 2, 1, 2, 3, 3])  # one cost from 0.167 to 0.25 and from there to 0.417
    costs = [[0, 1], [5, 0]]
    for unit in (1, 1e-3, 3.0):
        drawn = lines(plots.plot_threshold, labels, scores, sample_weight=weights * unit, cost_matrix=costs)
        assert list(drawn)[2].endswith(" at 0.333")  # the nearer to 0.5


def softmax_rows(size=4, number=300):
    rng = np.random.default_rng(0)
    labels = np.append(np.arange(size), rng.integers(size, size=number - size))
    scores = rng.random((number, size)) + np.eye(size)[labels]
    return labels, scores / scores.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("labels_of", [lambda y: y, lambda y: np.eye(4)[y], lambda y: y[:, None]])
def test_each_class_has_its_curve_against_the_rest(labels_of):
    labels, scores = softmax_rows()
    names = ["a", "b", "c", "d"]
    of_roc = lines(plots.plot_roc, labels_of(labels), scores, class_names=names)
    for k, (text, drawn) in enumerate(of_roc.items()):
        np.testing.assert_allclose(drawn, roc_curve(labels == k, scores[:, k])[:2])
        assert text.startswith(f"{names[k]}, AUC")
    by_name, by_id = (
        lines(plots.plot_threshold, labels_of(labels), scores, class_names=names, positive=positive)
        for positive in ("c", np.int64(2))
    )
    precision, recall, thresholds = precision_recall_curve(labels == 2, scores[:, 2])
    np.testing.assert_allclose(by_name["recall of c"][:, 1:-2], (thresholds[:-1], recall[1:-1]))
    np.testing.assert_allclose(by_name["precision of c"][1, :-2], precision[:-1])
    for name, line in by_name.items():
        np.testing.assert_array_equal(line, by_id[name])


@pytest.mark.parametrize("plot", [plots.plot_roc, plots.plot_precision_recall])
def test_one_class_alone_has_its_curve_and_its_colour(plot):
    labels, scores = softmax_rows()
    every = lines(plot, labels, scores, class_names=list("abcd"))
    colours = {line.get_label(): line.get_color() for line in AX.lines}
    for positive in ("c", 2):
        ((text, drawn),) = lines(plot, labels, scores, class_names=list("abcd"), positive=positive).items()
        np.testing.assert_array_equal(drawn, every[text])
        assert AX.lines[-1].get_color() == colours[text]
    ((text, drawn),) = lines(plot, labels == 2, scores[:, 2], positive=0).items()
    ((_, expected),) = lines(plot, labels != 2, 1 - scores[:, 2]).items()
    np.testing.assert_array_equal(drawn, expected)
    assert text.startswith("0, A")


def test_class_0_of_one_sigmoid_has_what_class_1_has_not():
    labels, scores = np.array([0, 1, 0, 1, 0]), np.array([0.2, 0.8, 0.6, 0.7, 0.1])
    two = np.stack([1 - scores, scores], axis=1)
    for positive in (0, 1):
        of_one = lines(plots.plot_threshold, labels, scores, positive=positive)
        of_two = lines(plots.plot_threshold, labels, two, positive=positive)
        for text, line in of_one.items():
            np.testing.assert_array_equal(line, of_two[text])
    assert lines(plots.plot_threshold, labels, scores).keys() == {"recall of class 1", "precision of class 1"}


def test_several_labels_a_row_are_judged_one_by_one():
    rng = np.random.default_rng(0)
    labels, scores = (rng.random((200, 3)) < 0.3).astype(int), rng.random((200, 3))
    for k, drawn in enumerate(lines(plots.plot_roc, labels, scores).values()):
        np.testing.assert_allclose(drawn, roc_curve(labels[:, k], scores[:, k])[:2])
    recall = lines(plots.plot_threshold, labels, scores, positive=2)["recall of class 2"]
    expected = precision_recall_curve(labels[:, 2], scores[:, 2])[1]
    np.testing.assert_allclose(recall[1, : len(expected) - 1], expected[:-1])


@pytest.mark.parametrize(
    ("plot", "score"), [(plots.plot_roc, roc_auc_score), (plots.plot_precision_recall, average_precision_score)]
)
def test_scores_of_any_size_are_taken_where_each_channel_stands_alone(plot, score):
    labels, scores = softmax_rows()
    margins = 5 * np.random.default_rng(3).normal(size=scores.shape) + 8 * scores
    drawn = lines(plot, np.eye(4)[labels], margins, multi_label=True)
    assert [text[-5:] for text in drawn] == [f"{score(labels == k, margins[:, k]):.3f}" for k in range(4)]
    for given_scores in (margins[:, 0], margins[:, :1]):
        ((text, _),) = lines(plot, (labels == 0).astype(int), given_scores).items()
        assert text[-5:] == f"{score(labels == 0, margins[:, 0]):.3f}"
    with pytest.raises(ValueError, match="y_score"):
        plot(labels, margins)


def test_weights_of_many_classes_and_of_several_labels():
    labels, scores = softmax_rows()
    weights = np.random.default_rng(1).integers(0, 4, len(labels))
    several = np.random.default_rng(2).integers(0, 2, scores.shape)
    for truth, rule in ((labels, {}), (labels, {"positive": 2}), (several, {"multi_label": True})):
        expected = lines(plots.plot_reliability, np.repeat(truth, weights, 0), np.repeat(scores, weights, 0), **rule)
        found = lines(plots.plot_reliability, truth, scores, sample_weight=weights, **rule)
        assert list(found) == list(expected)
        for text, line in expected.items():
            np.testing.assert_allclose(found[text], line, atol=1e-12)


def test_labels_that_look_one_hot_are_several_where_that_is_said():
    rng = np.random.default_rng(0)
    labels, scores, names = (
        np.eye(4, dtype=int)[rng.integers(4, size=90), :3],
        rng.random((90, 3)),
        ["rain", "fog", "ice"],
    )
    options = {"multi_label": True, "ignore_class": 255, "class_names": names}  # a row without a label is not ignored
    for plot, score in ((plots.plot_roc, roc_auc_score), (plots.plot_precision_recall, average_precision_score)):
        texts = list(lines(plot, labels, scores, **options))
        expected = [score(labels[:, k], scores[:, k]) for k in range(3)]
        assert [text.split(", ")[0] for text in texts] == names
        assert [text[-5:] for text in texts] == [f"{value:.3f}" for value in expected]
    drawn = lines(plots.plot_threshold, labels, scores, positive="fog", **options)
    precision, recall, thresholds = precision_recall_curve(labels[:, 1], scores[:, 1])
    for text, values in (("recall of fog", recall), ("precision of fog", precision)):
        np.testing.assert_allclose(drawn[text][1, 1 : len(thresholds)], values[1:-1])


def test_a_class_without_rows_has_no_curve():
    labels, scores = softmax_rows()
    few = labels < 3
    for plot in (plots.plot_roc, plots.plot_precision_recall):
        assert [text[0] for text in lines(plot, labels[few], scores[few])] == ["0", "1", "2"]


def test_reliability_of_one_class_has_its_rows_and_a_logarithmic_axis():
    rng = np.random.default_rng(0)
    scores = rng.beta(0.4, 40, size=20_000)
    labels = (rng.random(20_000) < scores).astype(int)
    two = np.stack([1 - scores, scores], axis=1)
    for data, options in (((labels, scores), {}), ((labels, two), {"positive": 1}), ((labels, two), {"positive": "b"})):
        options |= {"class_names": ["a", "b"], "scale": "log", "num_bins": 8}
        drawn = next(line for text, line in lines(plots.plot_reliability, *data, **options).items() if "error" in text)
        assert AX.get_xscale() == AX.get_yscale() == "log"
        edges = [bar.get_x() for bar in AX.patches] + [scores.max()]
        np.testing.assert_allclose(np.diff(np.log(edges)), np.log(edges[-1] / edges[0]) / 8)
        low = AX.get_ylim()[0]
        bin_of = np.clip(np.digitize(scores, edges, right=True) - 1, 0, 7)
        means = np.array([(scores[bin_of == k].mean(), labels[bin_of == k].mean()) for k in range(8)])
        on_axes = means[:, 1] > low
        assert 0 < on_axes.sum() < 8
        np.testing.assert_allclose(drawn[1], np.where(on_axes, means[:, 1], np.nan))
        np.testing.assert_allclose(drawn[0], np.maximum(means[:, 0], low))
        hollow = next(line for line in AX.lines if line.get_markerfacecolor() == "white")
        np.testing.assert_allclose(hollow.get_xdata(), np.maximum(means[~on_axes, 0], low))


@pytest.mark.parametrize("value", [0.0, *(pytest.param(value, marks=pytest.mark.slow) for value in (1.0, 1e-30))])
def test_probabilities_that_are_all_alike_can_be_drawn(value):
    labels, scores = np.arange(50) % 2, np.full(50, value)
    for scale in ("linear", "log"):
        for plot in (plots.plot_reliability, plots.plot_threshold):
            figure = plot(labels, scores, scale=scale)
            low, high = figure.axes[0].get_xlim()
            assert low < high
            assert figure._repr_png_()
