"""What a person sees: pictures in notebooks, legends inside, one colour a class, a line style a model."""

import functools
import io
import itertools
import pickle

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread

from keras_imbalance import PerClassF1, PerClassRecall, TradeoffCurve, plots
from keras_imbalance._keras import keras
from keras_imbalance.plots._axes import colour_of


def sizes(plain, *slow):
    """Numbers of classes of the plain tests, and of those marked slow."""
    return [*plain, *(pytest.param(size, marks=pytest.mark.slow) for size in slow)]


@functools.cache
def predictions(size, noise=2.0, number=1500):
    rng = np.random.default_rng(0)
    prior = np.geomspace(1, 0.02, size)
    prior /= prior.sum()
    labels = np.append(np.arange(size), rng.choice(size, number - size, p=prior))
    logits = noise * rng.normal(size=(number, size)) + 3 * np.eye(size)[labels] + np.log(prior)
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    return labels, scores / scores.sum(axis=1, keepdims=True)


@functools.cache
def rare(number=20_000):
    """0.17 % positives."""
    rng = np.random.default_rng(0)
    labels = (rng.random(number) < 0.0017).astype(int)
    return labels, 1 / (1 + np.exp(8 - 5 * labels - 1.5 * rng.normal(size=number)))


def names_of(size):
    return [f"species number {k}" for k in range(size)]


def figure_of(kind, size, **options):
    """A figure of the kind, of so many classes; 1 stands for one rare class."""
    labels, scores = rare() if size == 1 else predictions(size)
    names = names_of(max(size, 2))
    table = np.abs(np.sin(np.arange(7 * len(names)).reshape(len(names), 7)))
    if kind == "trade-off":
        curve = TradeoffCurve(np.linspace(0, 1, len(table)), table, 0.9 * table, 0.95 * table)
        return plots.plot_tradeoff(curve, **options)
    options["class_names"] = names
    calls = {
        "history": lambda: plots.plot_per_class_history(
            {f"val_f1/{name}": row for name, row in zip(names, table, strict=True)} | {"val_f1": table.mean(axis=0)},
            **options,
        ),
        "shares": lambda: plots.plot_sampling_distribution((table / table.sum(axis=0)).T, **options),
        "precision recall": lambda: plots.plot_precision_recall(labels, scores, **options),
        "roc": lambda: plots.plot_roc(labels, scores, **options),
        "reliability": lambda: plots.plot_reliability(labels, scores, **options),
        "reliability, log": lambda: plots.plot_reliability(labels, scores, positive=1, scale="log", **options),
        "threshold": lambda: plots.plot_threshold(
            labels, scores, positive=1, cost_matrix=[[0, 1], [50, 0]], scale="log", **options
        ),
        "confusion": lambda: plots.plot_confusion_matrix(np.eye(len(names)), **options),
    }
    return calls[kind]()


CURVES = ["history", "precision recall", "roc", "reliability", "reliability, log", "threshold", "trade-off"]
KINDS = [*CURVES, "shares", "confusion"]


def is_legible(figure):
    """Whether ticks lie apart and the legend inside its axes; the boxes of the legend and its axes."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, axes = canvas.get_renderer(), figure.axes[0]
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        low, high = axes.get_window_extent(renderer).padded(2).get_points()
        boxes = [tick.get_window_extent(renderer) for tick in ticks if tick.get_text()]
        shown = [box for box in boxes if (box.x0 + box.x1) / 2 >= low[0] and (box.y0 + box.y1) / 2 <= high[1]]
        if not ticks[0].get_rotation() % 90:
            assert not any(left.overlaps(right) for left, right in itertools.pairwise(shown))
    legend, inside = axes.get_legend(), axes.get_window_extent(renderer)
    if legend is None:
        return None
    box = legend.get_window_extent(renderer)
    assert box.x0 >= inside.x0
    assert box.x1 <= inside.x1
    assert box.y0 >= inside.y0
    assert box.y1 <= inside.y1
    return box


@pytest.mark.parametrize("size", sizes([1, 5], 2, 12, 30, 100))
@pytest.mark.parametrize("kind", KINDS)
def test_the_legend_lies_inside_and_hides_no_curve(kind, size):
    figure = figure_of(kind, size)
    box = is_legible(figure)
    assert (box is None) == (kind == "confusion" or (size > 12 and kind in ("history", "shares")))
    if box is None:
        return
    for axes in figure.axes:
        for line in axes.lines:
            top = line.get_clip_box().y1  # where the axis was made longer no cost is drawn
            path = line.get_transform().transform_path(line.get_path())
            hidden = box.frozen()
            hidden.y1 = min(hidden.y1, top)
            if line.get_drawstyle() == "default" and hidden.y1 > hidden.y0:
                assert not path.intersects_bbox(hidden, filled=False), line.get_label()


def test_long_names_that_differ_at_their_ends_are_told_apart():
    names = [f"American Staffordshire terrier {k}" for k in range(5)]
    ticks = plots.plot_confusion_matrix(np.eye(5), class_names=names).axes[0].get_yticklabels()
    lines = plots.plot_roc(*predictions(5), class_names=names).axes[0].get_legend().get_texts()
    for texts in ([tick.get_text() for tick in ticks], [text.get_text().split(",")[0] for text in lines]):
        assert len(set(texts)) == len(texts) == 5
        assert all(len(text) <= 24 for text in texts)


@pytest.mark.parametrize("kind", CURVES)
def test_two_models_in_the_same_axes_are_told_apart(kind):
    figure = figure_of(kind, 5, label="plain")
    alone = len(figure.axes[0].get_legend().get_texts())
    assert figure_of(kind, 5, label="focal loss", ax=figure.axes[0]) is figure
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    shared = {"perfect", "rows", "share 0"} & set(texts)
    for model in ("plain", "focal loss"):
        assert sum(text.startswith(model) for text in texts) == alone - len(shared)
    assert len(texts) == 2 * alone - len(shared)
    named = [line for axes in figure.axes for line in axes.lines if line.get_label().startswith(("plain", "focal"))]
    looks = [(to_hex(line.get_color()), line.get_linestyle()) for line in named]
    assert len(set(looks)) == len(looks) == 2 * (alone - len(shared))
    assert len({look[0] for look in looks}) == len(looks) // 2  # a class, or a score, has one colour in both
    is_legible(figure)


def test_no_line_is_cut_where_a_second_legend_needs_other_room():
    labels, scores = predictions(5)
    ax = Figure(figsize=(4, 3)).subplots()
    for label in ("plain", "a long name of a model"):
        plots.plot_precision_recall(labels, scores, ax=ax, label=label)
    FigureCanvasAgg(ax.figure).draw()
    for line in ax.lines:
        assert line.get_clip_box().y1 >= ax.transData.transform((0, 1))[1] - 1


def test_the_cost_of_two_models_has_one_axis():
    labels, scores = rare(3000)
    costs = {"cost_matrix": [[0, 1], [50, 0]]}
    figure = plots.plot_threshold(labels, scores, label="a", **costs)
    end = figure.axes[1].get_ylim()[1]
    for label in ("b", "c"):
        plots.plot_threshold(labels, scores**0.5, label=label, ax=figure.axes[0], **costs)
    assert len(figure.axes) == 2
    assert sum(line.get_label()[0] != "_" for line in figure.axes[1].lines) == 3
    assert figure.axes[1].get_ylim()[1] < 1.5 * end
    ax = Figure().subplots(1, 2, sharex=True)
    for axes in ax:
        plots.plot_threshold(labels, scores, ax=axes, **costs)
    assert len(ax[0].figure.axes) == 4


def colours(artists, names):
    """The colour of every class whose name the label of an artist begins with."""
    found = {}
    for artist in artists:
        colour = artist.get_facecolor()[0] if hasattr(artist, "get_paths") else artist.get_color()
        found |= {name: to_hex(colour) for name in names if artist.get_label().split(",")[0] == name}
    return found


@pytest.mark.parametrize("size", sizes([5, 100], 2, 12, 30))
def test_a_class_has_one_colour_and_one_place_in_every_figure(size):
    names = names_of(size)
    found = [colours(figure_of(kind, size).axes[0].lines, names) for kind in ("precision recall", "roc")]
    if size <= 12:
        found.append(colours(figure_of("history", size).axes[0].lines, names))
        found.append(colours(figure_of("shares", size).axes[0].collections, names))
        figures = [figure_of(kind, size) for kind in ("precision recall", "roc", "history", "shares")]
        texts = [[text.get_text() for text in figure.axes[0].get_legend().get_texts()] for figure in figures]
        assert all([text.split(",")[0] for text in some][:size] == names for some in texts)
        assert all(len(some) == size == len(set(some.values())) for some in found)
        one = colours(figure_of("history", 12).axes[0].lines, names)  # whatever the number of classes
        found.append(one)
    for some in found:
        assert list(some) == sorted(some, key=names.index) or len(some) == size
        for name, colour in some.items():
            assert all(other.get(name, colour) == colour for other in found)


def test_some_classes_of_a_history_keep_their_colours():
    history = {f"val_f1/{name}": [0.1, 0.2] for name in "abcd"}
    every = colours(plots.plot_per_class_history(history).axes[0].lines, "abcd")
    some = colours(plots.plot_per_class_history(history, class_names=["d", "b"]).axes[0].lines, "abcd")
    assert some == {name: every[name] for name in "db"}
    in_order = plots.plot_per_class_history(history, class_names=list("dcba")).axes[0].lines  # all: in the order of ids
    assert list(colours(in_order, "abcd").values()) == [every[name] for name in "dcba"[::-1]]
    axes = plots.plot_reliability([0, 1, 1], [0.2, 0.4, 0.9]).axes[0]
    assert to_hex(axes.lines[-1].get_color()) == every["b"]


def test_a_history_has_the_classes_in_the_order_of_their_ids():
    names = ["worn", "ok", "broken"]  # Keras sorts the keys
    x = np.arange(6.0)[:, None]
    for given, shown in ((names, names), (None, ["0", "1", "2"])):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3, "softmax")])
        metrics = [PerClassRecall(3, class_names=given), PerClassF1(3, class_names=given)]
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=metrics)
        history = model.fit(x, np.arange(6) % 3, verbose=0)
        expected = [colour_of(k) for k in range(3)]
        for key in ("f1", "recall"):
            drawn = colours(plots.plot_per_class_history(history, name=key).axes[0].lines, shown)
            assert list(drawn.items()) == list(zip(shown, expected, strict=True))
        some = colours(plots.plot_per_class_history(history, name="f1", class_names=shown[:0:-1]).axes[0].lines, shown)
        assert list(some.items()) == [(shown[2], expected[2]), (shown[1], expected[1])]
    many = {f"f1/{k}": [int(k) / 20] for k in sorted(map(str, range(20)))}
    table = plots.plot_per_class_history(many, name="f1").axes[0].images[0].get_array()
    np.testing.assert_allclose(table[:, 0], np.arange(20) / 20)


@pytest.mark.parametrize("kind", KINDS)
def test_a_notebook_shows_a_picture(kind):
    figure = figure_of(kind, 5)
    assert isinstance(figure, Figure)
    picture = imread(io.BytesIO(figure._repr_png_()))
    assert min(picture.shape[:2]) > 300
    assert picture[..., :3].std() > 0.05


def test_a_figure_can_be_saved_and_pickled():
    figure = figure_of("history", 3)
    picture, saved = figure._repr_png_(), io.BytesIO()
    figure.savefig(saved, format="png", bbox_inches="tight")
    assert saved.getvalue() == picture == pickle.loads(pickle.dumps(figure))._repr_png_()


def test_names_are_shown_letter_by_letter():
    names = ["_hidden", "$5 to $10", "x" * 60]
    labels, scores = predictions(3)
    history = {f"val_f1/{name}": [0.1, 0.2] for name in names}
    calls = [
        lambda: plots.plot_roc(labels, scores, class_names=names, label="_a$"),
        lambda: plots.plot_per_class_history(history, label="$"),
        lambda: plots.plot_sampling_distribution([[0.2, 0.3, 0.5]], class_names=names),
        lambda: plots.plot_threshold(labels, scores, positive="$5 to $10", class_names=names, label="_b"),
        lambda: plots.plot_reliability(labels, scores, positive="_hidden", class_names=names, label="$x"),
    ]
    for call in calls:
        figure = call()
        figure._repr_png_()
        texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        assert len(texts) >= 3 - (call is calls[3])
    figure = plots.plot_confusion_matrix(np.eye(3), class_names=names)
    is_legible(figure)
    shown = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert shown[1] == r"\$5 to \$10"
    assert shown[0].endswith("_hidden")
    assert len(shown[2]) < 30


def test_labels_of_pictures_without_a_legend_are_their_titles():
    assert plots.plot_confusion_matrix(np.eye(2), label="focal").axes[0].get_title() == "focal"
    assert figure_of("shares", 5, label="sqrt").axes[0].get_title() == "sqrt"
    assert figure_of("history", 30, label="focal").axes[0].get_title() == "focal"


def test_shares_in_cells_are_never_0_or_100_percent_of_what_is_not():
    texts = [text.get_text() for text in plots.plot_confusion_matrix([[9990, 10], [0, 5]]).axes[0].texts]
    assert texts == ["9990\n99.9%", "10\n0.1%", "0\n0%", "5\n100%"]
