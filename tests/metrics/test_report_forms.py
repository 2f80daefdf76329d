"""A report as intervals, as a frame, in a terminal and in a notebook."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom, binomtest
from sklearn.metrics import recall_score

from keras_imbalance import ClassificationReport, classification_report
from keras_imbalance._core import columns_of, cut, text_table
from keras_imbalance.metrics import functional

COUNTS = np.array([[900, 60, 40], [20, 70, 10], [1, 0, 6]])


@settings(max_examples=40)
@given(arrays(np.int64, (3, 3), elements=st.integers(0, 60)), st.floats(0.5, 0.999))
def test_intervals_of_recall_and_precision_are_scipys(counts, level):
    found = ClassificationReport(counts, confidence_level=level).intervals
    for name, trials in (("recall", counts.sum(axis=1)), ("precision", counts.sum(axis=0))):
        for k in range(3):
            if not trials[k]:
                assert np.isnan(found[name][k]).all()
                continue
            hits = binomtest(int(counts[k, k]), int(trials[k]))
            theirs = hits.proportion_ci(confidence_level=level, method="wilson")
            np.testing.assert_allclose(found[name][k], [theirs.low, theirs.high], rtol=1e-9, atol=1e-12)


def f1_of(resampled):
    """F1 `(B, C)` of matrices `(B, C, C)`, by its own formula."""
    hits = np.diagonal(resampled, axis1=1, axis2=2)
    return 2 * hits / (resampled.sum(axis=1) + resampled.sum(axis=2))


def test_intervals_of_f1_are_those_of_resampled_rows_where_there_are_many():
    counts = np.array([[900, 60, 40], [20, 700, 110], [100, 200, 600]])
    drawn = np.random.default_rng(0).multinomial(counts.sum(), (counts / counts.sum()).ravel(), size=20000)
    expected = np.quantile(f1_of(drawn.reshape(-1, 3, 3)), [0.05, 0.95], axis=0).T
    np.testing.assert_allclose(ClassificationReport(counts, confidence_level=0.9).intervals["f1"], expected, atol=2e-3)


@pytest.mark.parametrize("share", [0.3, 0.86, 0.97])
def test_intervals_of_f1_keep_their_confidence_for_a_class_of_few_rows(share):
    """Exact coverage: of 12 rows that are of the class or taken for it, k are hits with a known probability."""
    hits = np.arange(13)
    counts = np.zeros((13, 2, 2))
    counts[:, 0, 0], counts[:, 1, 0], counts[:, 1, 1] = 100, 12 - hits, hits
    report = ClassificationReport(counts, confidence_level=0.95)
    true_f1 = 2 * share / (1 + share)
    low, high = report.intervals["f1"].T
    coverage = binom.pmf(hits, 12, share)[(low <= true_f1) & (true_f1 <= high)].sum()
    assert coverage > 0.92  # resampling rows gives [1, 1] for 12 of 12, which at .97 are .69 of all cases
    assert (low <= report.scores["f1"] + 1e-12).all()
    assert (report.scores["f1"] <= high + 1e-12).all()


def test_seven_rows_are_no_ground_for_a_high_recall():
    report = ClassificationReport(COUNTS, class_names=["ok", "worn", "broken"], confidence_level=0.95)
    row = report.to_dict()["classes"]["broken"]
    assert row["recall"] == pytest.approx(6 / 7)
    assert row["recall_low"] < 0.5 < row["recall_high"] < 1
    assert "0.857 [0.487, 0.974]" in str(report)
    assert "recall [95 %]" in str(report)
    assert "specificity" not in str(report)
    lines = str(report).splitlines()
    assert len({len(line) for line in lines[:7] if line}) == 1
    assert len({line.index(".") for line in lines[1:4] + lines[5:7] + lines[8:12]}) == 1


def test_intervals_count_rows_and_not_weights():
    with pytest.raises(ValueError, match="`confusion` must hold whole numbers where `confidence_level` is given"):
        ClassificationReport(COUNTS * 0.3, confidence_level=0.95)
    labels, weights = np.array([0, 1, 1, 0]), np.array([1, 1, 0, 1])
    report = classification_report(labels, labels, sample_weight=weights, confidence_level=0.95)
    expected = ClassificationReport([[2, 0], [0, 1]], confidence_level=0.95)
    np.testing.assert_array_equal(report.intervals["recall"], expected.intervals["recall"])
    assert ClassificationReport(COUNTS).intervals == {}


def test_a_frame_holds_what_the_dict_does():
    report = ClassificationReport(COUNTS, class_names=["ok", "worn", "broken"], confidence_level=0.8)
    frame = report.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert frame.index.name == "class"
    assert frame.to_dict("index") == report.to_dict()["classes"]
    assert list(ClassificationReport(COUNTS).to_frame()) == [*report.scores, "support"]


class Cells(HTMLParser):
    """The text of every cell, row by row."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.open = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.rows[-1][-1] += text


@pytest.mark.parametrize("level", [None, 0.9])
@pytest.mark.parametrize("size", [2, 5, 30, 100])
def test_a_notebook_shows_the_rows_of_the_text(size, level):
    rng = np.random.default_rng(size)
    names = [f'<b>"{i}" & more</b>' for i in range(size)]
    report = ClassificationReport(
        rng.integers(1, 9, (size, size)),
        class_names=names,
        class_counts=rng.integers(1, 200, size),
        confidence_level=level,
    )
    page = Cells(report._repr_html_())
    assert page.open == []
    assert len({len(row) for row in page.rows}) == 1
    by_name = {row[0]: [cell for cell in row[1:] if cell] for row in page.rows}
    assert set(names) < by_name.keys()
    in_text = [line.split("  ") for line in str(report).splitlines() if line]
    for name, *cells in in_text:
        assert by_name[name.strip()] == [cell.strip() for cell in cells if cell.strip()]
    assert len(in_text) == len(page.rows)
    # The means of many classes are seen without scrolling.
    assert (page.rows[1][0] == "macro mean") == (size > 30)


def test_digits_are_those_of_the_report_unless_told():
    report = ClassificationReport(COUNTS, digits=1)
    assert "0.90" not in str(report)
    assert report.text(digits=2) == ClassificationReport(COUNTS, digits=2).text()
    assert "0.857" in ClassificationReport(COUNTS)._repr_html_()


@pytest.mark.parametrize("size", [2, 5, 30, 100])
def test_a_table_fits_a_terminal_whatever_its_names(size):
    names = [f"{i} 猫 a name that is longer than a column {i}" for i in range(size)]
    report = ClassificationReport(np.full((size, size), 123), class_names=names)
    lines = str(report).splitlines()
    assert max(map(columns_of, lines)) <= 80
    assert len({columns_of(line) for line in lines[: size + 1]}) == 1
    assert len(set(lines[1 : size + 1])) == size


@settings(max_examples=40)
@given(st.text("ab 猫é", max_size=60), st.integers(3, 30))
def test_a_cut_name_keeps_its_ends(text, most):
    found = cut(text, most)
    assert columns_of(found) <= most
    if found != text:
        assert columns_of(text) > most
        head, _, tail = found.partition("…")
        assert text.startswith(head)
        assert text.endswith(tail)
        assert columns_of(found) >= most - 2


def test_rows_of_a_table_may_end_early():
    assert text_table([[("", "a", "b"), ("x", "1", "2")], [("long", "3")]]) == "      a  b\nx     1  2\n\nlong  3"


def test_the_text_of_many_classes_shows_those_with_the_most_and_the_fewest_rows():
    rng = np.random.default_rng(0)
    rows = rng.permutation(150) + 1
    names = [f"class {i}" for i in range(150)]
    report = ClassificationReport(np.diag(rows), class_names=names)
    lines = str(report).splitlines()
    shown = [line[: line.index("  ")] for line in lines[1:51] + lines[52:102]]
    order = np.argsort(-rows)
    assert shown == [names[i] for i in (*order[:50], *order[-50:])]
    assert lines[51].startswith("... 50 more classes")
    assert lines[103].startswith("macro mean")
    in_notebook = {row[0] for row in Cells(report._repr_html_()).rows}
    assert in_notebook > set(names)


def test_a_report_counts_its_matrix_once(monkeypatch):
    counted, tally = [], functional.tally

    def counting(counts):
        counted.append(isinstance(counts, np.ndarray))
        return tally(counts)

    monkeypatch.setattr(functional, "tally", counting)
    report = ClassificationReport(COUNTS, class_counts=[1000, 50, 5], confidence_level=0.9)
    report.to_dict()
    assert str(report)
    assert sum(counted) == 1


@pytest.mark.parametrize("ignored", [0, 2])
def test_an_ignored_class_of_a_matrix_is_in_no_mean(ignored):
    counts = np.array([[900, 60, 40], [20, 70, 10], [1, 0, 6]])
    report = ClassificationReport(counts, ignore_class=ignored, class_counts=[1000, 1000, 1000])
    kept = [k for k in range(3) if k != ignored]
    truth, decided = (np.repeat(ids.reshape(-1), counts.reshape(-1)) for ids in np.indices((3, 3)))
    means = {average: recall_score(truth, decided, labels=kept, average=average) for average in ("macro", "weighted")}
    assert report.summary["balanced_accuracy"] == pytest.approx(means["macro"])
    assert report.macro()["recall"] == pytest.approx(means["macro"])
    assert report.weighted()["recall"] == pytest.approx(means["weighted"])
    many = report.groups()["many"]
    assert many["recall"] == pytest.approx(means["macro"])
    assert (many["classes"], many["support"]) == (2, counts[kept].sum())
