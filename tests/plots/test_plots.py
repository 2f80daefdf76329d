"""What the pictures show: the numbers behind the artists, at 3, 10 and 100 classes."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, precision_recall_curve

from keras_imbalance import ClassificationReport, ClassSampler, plots

SIZES = [3, 10, 100]


def data(size, rows=600):
    rng = np.random.default_rng(size)
    labels = np.concatenate([np.arange(size), rng.integers(size, size=rows - size)])
    scores = rng.random((rows, size)) + 2 * np.eye(size)[labels]
    return labels, scores / scores.sum(axis=1, keepdims=True), [f"class {k}" for k in range(size)]


def drawn(figure):
    """Pixels of a figure; everything that it holds lies inside it."""
    assert isinstance(figure, Figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.get_tightbbox(canvas.get_renderer())
    width, height = figure.get_size_inches()
    assert min(box.x0, box.y0) > -0.1
    assert box.x1 < width + 0.1
    assert box.y1 < height + 0.1
    return np.asarray(canvas.buffer_rgba())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("normalize", ["true", None])
def test_confusion_matrix(size, normalize):
    labels, scores, names = data(size)
    counts = np.zeros((size, size))
    np.add.at(counts, (labels, scores.argmax(axis=1)), 1)
    figure = plots.plot_confusion_matrix(counts, class_names=names, normalize=normalize)
    drawn(figure)
    axes = figure.axes[0]
    shown = np.ma.filled(axes.images[0].get_array(), 0)
    np.testing.assert_allclose(shown, counts / counts.sum(axis=1, keepdims=True) if normalize else counts)
    texts = [text.get_text() for text in axes.texts]
    assert len(texts) == (size * size if size <= 12 else 0)
    if size <= 12:
        assert [float(text.split("\n")[0]) for text in texts] == counts.ravel().tolist()
    ticks = [label.get_text() for label in axes.get_yticklabels()]
    assert ticks == (names if size <= 30 else names[::5])


def test_a_report_brings_its_counts_and_names():
    report = ClassificationReport([[90, 5], [2, 3]], class_names=["ok", "fraud"])
    for names in (None, ["fine", "stolen"]):
        axes = plots.plot_confusion_matrix(report, class_names=names).axes[0]
        assert [label.get_text() for label in axes.get_yticklabels()] == (names or ["ok", "fraud"])
        assert [float(text.get_text().split("\n")[0]) for text in axes.texts] == [90, 5, 2, 3]


def test_confusion_matrix_of_nothing_and_of_an_absent_class():
    drawn(plots.plot_confusion_matrix(np.zeros((3, 3))))
    drawn(plots.plot_confusion_matrix(np.zeros((3, 3)), normalize=None))
    figure = plots.plot_confusion_matrix([[3, 1], [0, 0]])
    assert [text.get_text() for text in figure.axes[0].texts] == ["3\n75%", "1\n25%", "0", "0"]


@pytest.mark.parametrize("size", SIZES)
def test_per_class_history(size):
    names = [f"class {k}" for k in range(size)]
    values = np.random.default_rng(0).random((size, 7))
    history = {f"val_f1/{name}": list(row) for name, row in zip(names, values, strict=True)}
    history |= {"val_f1": list(values.mean(axis=0)), "loss": [0.0] * 7, "f1/class 0": [0.0] * 7}
    figure = plots.plot_per_class_history(history)
    drawn(figure)
    axes = figure.axes[0]
    if size <= 12:
        lines = {line.get_label(): line.get_ydata() for line in axes.lines}
        assert list(lines) == [*names, "macro mean"]
        for name, row in zip(names, values, strict=True):
            np.testing.assert_allclose(lines[name], row)
    else:
        np.testing.assert_allclose(axes.images[0].get_array(), values)
    few = plots.plot_per_class_history(type("History", (), {"history": history})(), class_names=names[1:3])
    assert [line.get_label() for line in few.axes[0].lines] == [*names[1:3], "macro mean"]
    with pytest.raises(ValueError, match="PerClassLogger"):
        plots.plot_per_class_history(history, name="recall")


def test_a_history_is_asked_for_the_names_that_keys_do_not_take():
    history = {"val_f1/a_b": [0.1, 0.2], "val_f1/c": [0.3, 0.4]}
    for names in (["c", "a.b"], ["c", "a_b"]):
        lines = plots.plot_per_class_history(history, class_names=names).axes[0].lines
        assert {line.get_label(): line.get_ydata().tolist() for line in lines} == {
            "c": [0.3, 0.4], names[1]: [0.1, 0.2],
        }  # fmt: skip
    alike = {"val_f1/a_b_0": [0.1], "val_f1/a_b_1": [0.3]}
    lines = plots.plot_per_class_history(alike, class_names=["a.b", "a/b"]).axes[0].lines
    assert {line.get_label(): line.get_ydata().tolist() for line in lines} == {"a.b": [0.1], "a/b": [0.3]}


@pytest.mark.parametrize("size", SIZES)
def test_precision_recall(size):
    labels, scores, names = data(size)
    figure = plots.plot_precision_recall(labels, scores, class_names=names)
    drawn(figure)
    values = [average_precision_score(labels == k, scores[:, k]) for k in range(size)]
    worst = np.argsort(values, kind="stable")[:5] if size > 12 else range(size)
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    for k in worst:
        assert f"{names[k]}, AP {values[k]:.3f}" in legend
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    precision, recall, _ = precision_recall_curve(labels == worst[0], scores[:, worst[0]])
    line = lines[f"{names[worst[0]]}, AP {values[worst[0]]:.3f}"]
    np.testing.assert_allclose(np.unique(line.get_xdata()), np.unique(recall))
    assert precision.max() == line.get_ydata().max()


def test_precision_recall_of_one_channel_and_several_labels():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(2, size=50), rng.random(50)
    for given_scores in (scores, scores[:, None]):
        axes = plots.plot_precision_recall(labels, given_scores, class_names=["ok", "fraud"]).axes[0]
        expected = f"fraud, AP {average_precision_score(labels, scores):.3f}"
        assert [text.get_text() for text in axes.get_legend().get_texts()] == [expected]
    many = (rng.random((50, 3)) < 0.4).astype(int)
    axes = plots.plot_precision_recall(many, rng.random((50, 3))).axes[0]
    assert len(axes.get_legend().get_texts()) == 3


def test_reliability_equals_scikit_learn():
    rng = np.random.default_rng(0)
    scores = rng.random(2000)
    labels = (rng.random(2000) < scores**2).astype(int)
    figure = plots.plot_reliability(labels, scores)
    drawn(figure)
    line = next(line for axes in figure.axes for line in axes.lines if line.get_label().startswith("model"))
    right, sure = calibration_curve(labels, scores, n_bins=10)
    np.testing.assert_allclose(line.get_xdata(), sure)
    np.testing.assert_allclose(line.get_ydata(), right)
    share = np.histogram(scores, np.linspace(0, 1, 11))[0] / 2000
    assert line.get_label() == f"model, error {(share * np.abs(right - sure)).sum():.3f}"


def points(figure):
    line = next(line for axes in figure.axes for line in axes.lines if line.get_label().startswith("model"))
    return line.get_xdata(), line.get_ydata()


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=40),
    st.integers(1, 12),
    st.sampled_from([1, 20, 400]),
    st.sampled_from(["uniform", "quantile"]),
)
def test_bins_are_those_of_scikit_learn(rows, num_bins, parts, strategy):
    # Many rows alike, and on the edges between bins.
    scores, labels = np.array([number for number, _ in rows]) / max(parts, 20), np.array([label for _, label in rows])
    ax = Figure().subplots()
    figure = plots.plot_reliability(labels, scores, num_bins=num_bins, strategy=strategy, ax=ax)
    right, sure = calibration_curve(labels, scores, pos_label=1, n_bins=num_bins, strategy=strategy)
    np.testing.assert_allclose(points(figure), (sure, right), atol=1e-12)
    rows_of = np.array([bar.get_height() for bar in ax.patches])
    np.testing.assert_allclose(np.average(sure, weights=rows_of[rows_of > 0]), scores.mean(), atol=1e-12)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_small_probabilities_fill_the_axes(strategy):
    rng = np.random.default_rng(0)
    scores = rng.beta(0.5, 50, size=3000)  # 1 % on average
    labels = (rng.random(3000) < scores).astype(int)
    figure = plots.plot_reliability(labels, scores, strategy=strategy)
    drawn(figure)
    right, sure = calibration_curve(labels, scores, n_bins=10, strategy=strategy)
    np.testing.assert_allclose(points(figure), (sure, right))
    axes = figure.axes[0]
    assert axes.get_xlim() == axes.get_ylim()
    end = axes.get_xlim()[1]
    assert max(right.max(), sure.max()) < end < 1.1 * max(right.max(), sure.max()) or strategy == "uniform"
    assert end == pytest.approx(np.ceil(10 * scores.max()) / 10) or strategy == "quantile"
    assert plots.plot_reliability(labels, 0.9 * (scores > 0.005), strategy=strategy).axes[0].get_xlim() == (0, 1)


@pytest.mark.parametrize("size", SIZES)
def test_reliability_of_many_classes_is_that_of_the_decision(size):
    labels, scores, _ = data(size)
    figure = plots.plot_reliability(labels, scores, num_bins=5)
    drawn(figure)
    line = next(line for axes in figure.axes for line in axes.lines if line.get_label().startswith("model"))
    right, sure = calibration_curve(labels == scores.argmax(axis=1), scores.max(axis=1), n_bins=5)
    np.testing.assert_allclose(line.get_ydata(), right)
    np.testing.assert_allclose(line.get_xdata(), sure)


def test_reliability_of_several_labels_is_that_of_every_label():
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=(500, 3))
    labels = (rng.random((500, 3)) < scores**2).astype(int)
    figure = plots.plot_reliability(labels, scores, multi_label=True)
    right, sure = calibration_curve(labels.ravel(), scores.ravel(), n_bins=10)
    np.testing.assert_allclose(points(figure), (sure, right))
    assert "label" in figure.axes[0].get_xlabel()
    with pytest.raises(ValueError, match=r"`y_true` must be one-hot.*multi_label=True"):
        plots.plot_reliability(labels, scores)
    with pytest.raises(ValueError, match="`multi_label` must be True or False"):
        plots.plot_reliability(labels, scores, multi_label="yes")


@pytest.mark.parametrize("size", SIZES)
def test_sampling_distribution(size):
    shares = np.random.default_rng(0).random((6, size))
    shares /= shares.sum(axis=1, keepdims=True)
    figure = plots.plot_sampling_distribution(list(shares), class_names=[f"class {k}" for k in range(size)])
    drawn(figure)
    if size > 12:
        np.testing.assert_allclose(figure.axes[0].images[0].get_array(), shares.T)
    else:
        top = figure.axes[0].collections[-1].get_paths()[0].vertices[:, 1].max()
        np.testing.assert_allclose(top, 1)
        last = figure.axes[0].collections[0].get_paths()[0].vertices  # the last class lies at the bottom
        for epoch in range(6):
            inside = last[(np.abs(last[:, 0] - epoch - 1) <= 0.5) & (last[:, 1] > 0), 1]
            assert np.isclose(inside, shares[epoch, -1]).any()


@pytest.mark.parametrize("of", ["callback", "sampler"])
def test_sampling_distribution_of_what_drew_it(of):
    names = ["ok", "worn", "broken"]
    owner = ClassSampler(np.repeat([0, 1, 2], [60, 30, 10]), batch_size=20, class_names=names, seed=0)
    for target in ("natural", "balanced", 0.5):
        owner.target = target
        list(owner)
    shares = [counts / 100 for counts in owner.history]
    if of == "callback":
        owner = type("Callback", (), {"history": shares, "sampler": owner})()
    figures = [
        plots.plot_sampling_distribution(owner),
        plots.plot_sampling_distribution(shares, class_names=names),
    ]
    texts = [[text.get_text() for text in figure.axes[0].get_legend().get_texts()] for figure in figures]
    assert texts[0] == ["ok", "worn", "broken"]
    assert texts[0] == texts[1]
    for left, right in zip(*(figure.axes[0].collections for figure in figures), strict=True):
        np.testing.assert_allclose(left.get_paths()[0].vertices, right.get_paths()[0].vertices)


def test_given_axes_are_drawn_into():
    labels, scores, names = data(3)
    figure = Figure()
    axes = figure.subplots(1, 7)
    history = {f"val_f1/{name}": [0.1, 0.2] for name in names}
    calls = [
        lambda ax: plots.plot_confusion_matrix(np.eye(3), ax=ax),
        lambda ax: plots.plot_per_class_history(history, ax=ax),
        lambda ax: plots.plot_precision_recall(labels, scores, ax=ax),
        lambda ax: plots.plot_reliability(labels, scores, ax=ax),
        lambda ax: plots.plot_sampling_distribution([np.ones(3) / 3], ax=ax),
        lambda ax: plots.plot_roc(labels, scores, ax=ax),
        lambda ax: plots.plot_threshold(labels, scores, positive=1, ax=ax),
    ]
    for call, ax in zip(calls, axes, strict=True):
        assert call(ax) is figure
        assert ax.get_xlabel()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.plot_confusion_matrix(np.zeros((2, 3))), "`confusion`"),
        (lambda: plots.plot_confusion_matrix(np.eye(2), normalize="pred"), "`normalize`"),
        (lambda: plots.plot_confusion_matrix(np.eye(2), class_names=["a"]), "`class_names`"),
        (lambda: plots.plot_precision_recall([0, 5], np.eye(2)), "`y_true`.*5"),
        (lambda: plots.plot_precision_recall([0], np.eye(2)), "`y_true` must line up"),
        (lambda: plots.plot_precision_recall([0, 1], [np.nan, 1]), "`y_score`.*no NaN"),
        (lambda: plots.plot_reliability([0, 1], [0.5, 1.5]), "`y_prob`.*softmax or sigmoid"),
        (lambda: plots.plot_reliability([0, 1], [0.5, 0.5], num_bins=0), "`num_bins`.*at least 1"),
        (lambda: plots.plot_reliability([0, 1], [0.5, 0.5], num_bins=7.5), "`num_bins`"),
        (lambda: plots.plot_reliability([0, 1], [0.5, 0.5], num_bins=["ok", "fraud"]), "`num_bins`"),
        (lambda: plots.plot_reliability([0, 1], [0.5, 0.5], strategy="quantiles"), "`strategy`.*mean 'quantile'"),
        (lambda: plots.plot_reliability([0, 1], [0.5, 0.5], scale="logarithmic"), "`scale`"),
        (lambda: plots.plot_reliability([0, 1], [0.5, 0.5], positive="fraud"), "`positive`.*from 0 to 1"),
        (lambda: plots.plot_reliability([0, 1], np.eye(2), positive=2), "`positive`.*from 0 to 1"),
        (
            lambda: plots.plot_threshold([0, 1], np.eye(2), positive="frau", class_names=["ok", "fraud"]),
            "`positive`.*mean 'fraud'",
        ),
        (lambda: plots.plot_threshold([0, 1, 2], np.eye(3)), "`positive` must be a class.*one of 0, 1, 2"),
        (lambda: plots.plot_threshold([0, 1, 2], np.eye(3), positive=True), "`positive`"),
        (lambda: plots.plot_threshold([0, 1, 2], np.eye(3), positive=["a"]), "`positive`"),
        (lambda: plots.plot_threshold([0, 0], np.eye(2), positive=1), "`y_true` must hold rows of the class.*'1'"),
        (lambda: plots.plot_threshold([0, 1], [0.5, 1.5]), "`y_prob`.*softmax or sigmoid"),
        (
            lambda: plots.plot_threshold([0, 1], np.eye(2), cost_matrix=np.eye(3)),
            r"`cost_matrix` must be 2 x 2.*\(3, 3\)",
        ),
        (lambda: plots.plot_threshold([0, 1], np.eye(2), scale="symlog"), "`scale`"),
        (lambda: plots.plot_precision_recall([0, 0], [0.1, 0.2]), "`y_true` must hold rows of the class[.]"),
        (
            lambda: plots.plot_roc([1, 1], [0.1, 0.2]),
            r"`y_true` must hold rows of the class and rows of other classes.*\['1'\] alone",
        ),
        (lambda: plots.plot_roc([0, 0], [0.1, 0.2]), "`y_true` must hold rows of the class and rows of other classes"),
        (lambda: plots.plot_roc([2, 2], np.eye(3)[:2]), r"rows of a class and rows of other classes.*\['2'\] alone"),
        (lambda: plots.plot_roc([0, 1, 2], [0, 1, 2]), r"`y_true` must hold 0 and 1.*\[0, 1, 2\].*\(N, C\)"),
        (lambda: plots.plot_roc([-1, 1], [0, 1]), "`y_true`.*-1 and 1"),
        (lambda: plots.plot_roc(["ok", "worn"], [0.1, 0.2], class_names=["ok", "bad"]), "`class_names`.*'worn'"),
        (lambda: plots.plot_roc(np.eye(2), np.eye(2), multi_label="yes"), "`multi_label`"),
        (lambda: plots.plot_roc([0, 1], np.eye(2), multi_label=True), "`y_true` must line up"),
        (lambda: plots.plot_roc([0, 1], [0.1, 0.2], label=3), "`label`"),
        (lambda: plots.plot_roc([0, 1, 2], 3 * np.eye(3)), "`y_score`.*softmax.*multi_label=True"),
        (
            lambda: plots.plot_precision_recall([0, 1], [[0.5, -0.5], [0.1, 0.2]]),
            r"`y_score`.*\[0, 1\].*Received: -0.5",
        ),
        (lambda: plots.plot_confusion_matrix(np.eye(2), label=""), "`label`"),
        (lambda: plots.plot_per_class_history({"val_f1/ok": [1]}, label=["a"]), "`label`"),
        (lambda: plots.plot_sampling_distribution([[0.5, 0.5]], label=1), "`label`"),
        (lambda: plots.plot_reliability([], []), "`y_prob`.*at least one"),
        (lambda: plots.plot_reliability([0, 1], ["a", "b"]), "`y_prob`.*numbers"),
        (lambda: plots.plot_reliability([0, 1], [0.5, 0.5], ax=Figure()), "`ax`.*Received: Figure"),
        (lambda: plots.plot_reliability([0.3, 0.7], [0, 1]), "`y_true`.*0.3"),
        (
            lambda: plots.plot_precision_recall(["ok", "fraud"], [0.5, 0.5]),
            "`class_names` must be given where `y_true`",
        ),
        (lambda: plots.plot_precision_recall([None, 1], [0.5, 0.5]), "`y_true`"),
        (
            lambda: plots.plot_confusion_matrix([0, 1, 1], [0, 1, 0]),
            r"`confusion`.*classification_report\(y_true, y_pred\)",
        ),
        (lambda: plots.plot_confusion_matrix(np.eye(2), [0, 1]), r"`confusion`.*2 arguments"),
        (lambda: plots.plot_confusion_matrix(["a", "b"]), r"`confusion`.*shape \(2,\)"),
        (lambda: plots.plot_confusion_matrix([[np.nan, 1], [1, 1]]), "`confusion`.*finite"),
        (lambda: plots.plot_confusion_matrix([[-1, 1], [1, 1]]), "`confusion`.*negative"),
        (lambda: plots.plot_per_class_history(None), "`history`.*NoneType"),
        (lambda: plots.plot_per_class_history({"val_f1/ok": [1]}, name=["ok"]), "`name`"),
        (
            lambda: plots.plot_per_class_history({"val_f1/ok": [1, 2], "val_f1/bad": [1]}),
            r"`history` must hold one number.*shape \(1,\) of 'val_f1/bad'",
        ),
        (lambda: plots.plot_per_class_history({"val_f1/ok": [1, 2], "val_f1": [1]}), "`history`.*of 'val_f1'"),
        (lambda: plots.plot_per_class_history({"val_f1/ok": [1]}, class_names=["okk"]), "`class_names`.*mean 'ok'"),
        (lambda: plots.plot_sampling_distribution(None), "`distributions`.*NoneType"),
        (lambda: plots.plot_sampling_distribution([0.1, 0.9]), r"make a list: \[distribution\]"),
        (lambda: plots.plot_sampling_distribution("natural"), "`distributions`"),
        (lambda: plots.plot_sampling_distribution([]), "`distributions`"),
        (lambda: plots.plot_sampling_distribution(ClassSampler([0, 1])), "before its first epoch.*Fit first"),
        (lambda: plots.plot_sampling_distribution([[0.5, 0.5], [1.0]]), "`distributions`"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.slow
def test_matplotlib_loads_with_the_first_picture_only_and_pyplot_never():
    code = "import sys, keras; before = set(sys.modules); import keras_imbalance.plots; "
    code += "assert not {'matplotlib', 'sklearn'} & (set(sys.modules) - before); "
    code += "figure = keras_imbalance.plots.plot_roc([0, 1], [0.2, 0.7]); figure._repr_png_(); "
    code += "assert not {'matplotlib.pyplot', 'sklearn'} & (set(sys.modules) - before)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def lines_and_texts(figure):
    """Every point of the lines of a figure, and what its legend says."""
    axes = figure.axes[0]
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    return [np.stack(line.get_data()) for line in axes.lines], texts


OF_LABELS = [plots.plot_precision_recall, plots.plot_roc, plots.plot_reliability, plots.plot_threshold]


@pytest.mark.parametrize("plot", OF_LABELS)
@pytest.mark.parametrize("size", [2, 3])
def test_labels_may_be_names(plot, size):
    labels, scores, _ = data(3, rows=60)
    names = ["worn", "ok", "bad"][:size]  # not sorted
    if size == 2:
        labels, scores = (labels > 0) * 1, scores[:, 0]
    options = {"class_names": names, "positive": "ok"}
    expected = lines_and_texts(plot(labels, scores, **options))
    text = np.array(names)[labels]
    for given_text in (text, text[:, None], text.tolist(), text.astype(object)):
        lines, texts = lines_and_texts(plot(given_text, scores, **options))
        assert texts == expected[1]
        for line, other in zip(lines, expected[0], strict=True):
            np.testing.assert_array_equal(line, other)


@pytest.mark.parametrize("plot", OF_LABELS)
@pytest.mark.parametrize("kind", ["a filler", "several labels", "one sigmoid"])
def test_ignored_positions_are_in_no_figure_and_channels_may_lie_on_any_axis(plot, kind):
    labels, scores, _ = data(3, rows=120)
    hidden = np.arange(120) % 4 == 0
    if kind == "one sigmoid":
        labels, scores = labels > 0, scores[:, 1:].sum(axis=1, keepdims=True)
    options = {"multi_label": True} if kind == "several labels" and plot is plots.plot_reliability else {}
    if plot is plots.plot_threshold:
        options["positive"] = 1
    if kind == "several labels":
        labels = (scores > 0.3) * 1
    wanted = plot(labels[~hidden], scores[~hidden], **options)
    marked, junk = labels.astype(int), scores.copy()
    marked[hidden], junk[hidden] = 255, np.nan
    images = junk.reshape(12, 2, 5, -1)
    on_axis_1 = np.moveaxis(images, -1, 1)
    maps = marked.reshape(12, 2, 5, -1) if kind == "several labels" else marked.reshape(12, 2, 5)
    maps = np.moveaxis(maps, -1, 1) if kind == "several labels" else maps
    for y_true, y_pred, axis in ((marked, junk, -1), (maps, on_axis_1, 1)):
        found = plot(y_true, y_pred, ignore_class=255, axis=axis, **options)
        (lines, texts), (expected_lines, expected_texts) = lines_and_texts(found), lines_and_texts(wanted)
        assert texts == expected_texts
        for line, expected in zip(lines, expected_lines, strict=True):
            np.testing.assert_allclose(line, expected)
