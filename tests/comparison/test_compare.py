"""What is best by construction is found, nothing sees test rows, failures are rows, and a rerun goes on.

Most nets here are planted: the right probabilities, without training.
"""

import time

import numpy as np
import pytest
from kerases import keras_3_only
from planted import COUNTS, MEANS, PLAIN, bayes, deciding, drawn, net, posterior, two_class_net
from sklearn.model_selection import ShuffleSplit

from keras_imbalance import Comparison, Method, compare_methods
from keras_imbalance._keras import keras
from keras_imbalance.comparison.catalogue import DEFAULT
from keras_imbalance.comparison.scores import METRICS, Scored

pytestmark = keras_3_only("compare_methods needs Keras 3")
DEFAULTS = {method.name: method for method in DEFAULT}
DECISIONS = [
    "plain, adjusted afterwards",
    "plain, macro-F1 decision",
    "plain, tuned thresholds",
    "plain, minimum cost",
]


def planted(x, y, names=DECISIONS, build_model=net, **options):
    """A comparison of decisions on nets that give the right probabilities."""
    methods = [PLAIN, *(deciding(name, DEFAULTS[name]) for name in names)]
    return compare_methods(build_model, x, y, **{"epochs": 1, "methods": methods, "verbose": 0, **options})


def test_a_shifted_prior_is_recognised():
    """Test rows hold equally many of each class: what is adjusted to that wins."""
    x, y = drawn((6000, 600, 400), 0)
    rng = np.random.default_rng(1)
    splits = []
    for _ in range(5):
        rows = rng.permutation(len(y))
        test = np.concatenate([rows[y[rows] == c][:100] for c in range(3)])
        splits.append((np.setdiff1d(rows, test), test))
    found = planted(x, y, splits=splits)
    assert found.best().name == "plain, adjusted afterwards"
    assert found.compare_to("plain")["plain, adjusted afterwards"].p < 0.01
    assert "plain" not in found.equal_to_best()


def test_decisions_are_tuned_for_the_shares_of_use():
    """Test rows hold equally many of each class: told so, the decision by macro F1 is as good as that of balanced shares."""
    x, y = drawn((6000, 600, 400), 0)
    rows = np.random.default_rng(1).permutation(len(y))
    test = np.concatenate([rows[y[rows] == c][:100] for c in range(3)])
    name = "plain, macro-F1 decision"
    options = {"names": [name, "plain, adjusted afterwards"], "splits": [(np.setdiff1d(rows, test), test)]}
    told, untold = (planted(x, y, prior=prior, **options) for prior in ("balanced", None))
    ours, best = (told.test[method]["macro_f1"][0] for method in (name, "plain, adjusted afterwards"))
    assert ours > best - 0.02
    assert ours > untold.test[name]["macro_f1"][0]
    assert told.test["plain"]["log_loss"][0] < untold.test["plain"]["log_loss"][0]


def test_costs_are_recognised():
    x, y = drawn((6000, 600, 400), 0)
    costs = np.array([[0, 1, 1], [30, 0, 30], [0.5, 0.5, 0]])
    found = planted(x, y, metric="cost", cost_matrix=costs)
    assert found.best().name == "plain, minimum cost"
    assert found.compare_to("plain")["plain, minimum cost"].above == 5
    assert found.table().splitlines()[2].startswith("plain, minimum cost")


def test_a_class_that_is_noise_is_recognised():
    """Rows of class 2 look like those of class 0: to find them costs all precision, and the prior is best kept."""
    means = np.array([0.0, 4.0, 0.0])
    x, y = drawn((6000, 600, 400), 0, means)

    def right(run):
        prior = run.prior
        return lambda rows: posterior(rows, prior, means), prior

    name = "plain, adjusted afterwards"
    methods = [Method("plain", train=right), deciding(name, DEFAULTS[name], right)]
    found = compare_methods(net, x, y, methods=methods, metric="macro_f1", epochs=1, verbose=0)
    assert found.best().name == "plain"
    assert found.compare_to("plain")[name].above == 0


def test_without_imbalance_nothing_can_be_told_apart_from_plain():
    x, y = drawn((1000, 1000), 0)
    found = planted(x, y, DECISIONS[:3], two_class_net)
    assert "No method can be told apart from plain on 5 splits" in found.table()
    assert all(difference.p > 0.05 for difference in found.compare_to("plain").values())
    assert set(found.equal_to_best()) == set(found.test)


def value_rows(*arrays):
    return {float(value) for array in arrays for value in np.ravel(array)}


def test_no_test_row_reaches_a_net_before_it_is_trained_and_then_once():
    x, y = drawn(COUNTS, 0)
    seen, order = set(), []

    def build_model(x_train):
        seen.update(value_rows(x_train))
        return net(x_train)

    def spying(run):
        seen.update(value_rows(run.x, run.validation[0]))
        predict, prior = bayes(run)

        def noted(rows):
            order.append(value_rows(rows))
            return predict(rows)

        return noted, prior

    splits = ShuffleSplit(1, test_size=0.3, random_state=0)
    methods = [Method("plain", train=spying), deciding("thresholds", DEFAULTS["plain, tuned thresholds"], spying)]
    compare_methods(build_model, x, y, methods=methods, splits=splits, epochs=1, verbose=0)
    _, test = next(splits.split(x))
    assert not seen & value_rows(x[test])
    assert [rows == value_rows(x[test]) for rows in order] == [False, True]  # one training, shared
    assert order[0] <= seen


def test_other_test_labels_change_no_setting():
    x, y = drawn(COUNTS, 0)
    pairs = list(ShuffleSplit(3, test_size=0.3, random_state=0).split(x))
    test = np.unique(np.concatenate([held_out for _, held_out in pairs[:1]]))
    changed = y.copy()
    changed[test] = np.random.default_rng(5).permutation(y[test])
    one, other = (planted(x, labels, DECISIONS[:3], splits=pairs[:1]) for labels in (y, changed))
    for name, scores in one.validation.items():
        for score, values in scores.items():
            np.testing.assert_array_equal(values, other.validation[name][score])
    assert one.best().name == other.best().name
    assert one.test["plain"]["macro_recall"] != other.test["plain"]["macro_recall"]


def test_a_method_that_fails_is_a_row_and_the_others_go_on():
    x, y = drawn(COUNTS, 0)

    def breaks_in_split_3(run):
        if run.seed == 2:
            raise RuntimeError("no memory")
        return bayes(run)

    def gives_nan(run):
        return lambda rows: np.full((len(rows), 3), np.nan), run.prior

    def undecided(run, probabilities, labels):
        raise ValueError("no rule")

    methods = [
        PLAIN,
        Method("breaks", train=breaks_in_split_3),
        Method("nan", train=gives_nan),
        Method("undecided", train=bayes, decide=undecided),
        "plain, minimum cost",
    ]
    found = compare_methods(net, x, y, methods=methods, splits=4, epochs=1, verbose=0)
    assert list(found.test) == ["plain"]
    assert found.reasons == {
        "breaks": "failed in split 3: RuntimeError: no memory",
        "nan": "failed in split 1: ValueError: the outputs of the trained net are NaN or infinite",
        "undecided": "failed in split 1: ValueError: no rule",
        "plain, minimum cost": "left out: no cost_matrix was given",
    }
    assert "breaks: failed in split 3: RuntimeError: no memory." in found.table()
    assert found.to_frame().loc["breaks", "reason"] == found.reasons["breaks"]


def counting(calls, until=None):
    """A planted training that counts itself, and is interrupted at the `until`-th."""

    def train(run):
        calls.append(run.seed)
        if len(calls) == until:
            raise KeyboardInterrupt
        return bayes(run)

    return train


def test_an_interrupted_comparison_goes_on_and_gives_the_same_table(tmp_path):
    x, y = drawn(COUNTS, 0)

    def run(calls, directory, until=None, **options):
        train = counting(calls, until)
        methods = [Method("plain", train=train), deciding("thresholds", DEFAULTS["plain, tuned thresholds"], train)]
        return compare_methods(
            net, x, y, **{"methods": methods, "splits": 4, "epochs": 1, "verbose": 0, "directory": directory, **options}
        )

    whole = run([], None)
    with pytest.raises(KeyboardInterrupt):
        run([], tmp_path, until=3)
    calls = []
    resumed = run(calls, tmp_path)
    assert calls == [2, 3]  # what was finished is read
    again = run(calls, tmp_path)
    assert calls == [2, 3]
    assert resumed.table() == again.table()
    for one, other in ((whole, resumed), (whole, again)):
        for name, scores in one.test.items():
            for score, values in scores.items():
                np.testing.assert_array_equal(values, other.test[name][score])
    with pytest.raises(
        ValueError, match=r"`directory` must hold trainings of this comparison.*differs in \['epochs'\]"
    ):
        run([], tmp_path, epochs=2)
    with pytest.raises(ValueError, match=r"differs in \['head'\]"):
        run([], tmp_path, head="scores")
    for name, value in (
        ("cost_matrix", 1 - np.eye(3)),
        ("prior", "balanced"),
    ):  # which a training of one's own may read
        with pytest.raises(ValueError, match=rf"differs in \['{name}"):
            run([], tmp_path, **{name: value})
    file = sorted(tmp_path.iterdir())[0]
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match="damaged or something else"):
        run([], tmp_path)


def test_what_failed_is_kept_with_its_reason_and_tried_again_when_something_changes(tmp_path, capsys):
    x, y = drawn(COUNTS, 0)

    def breaking(run):
        raise RuntimeError("no memory")

    def mended(run):
        return bayes(run)

    def compared(train, **options):
        methods = [PLAIN, Method("other", train=train)]
        found = compare_methods(net, x, y, methods=methods, splits=2, epochs=1, directory=tmp_path, **options)
        return found, capsys.readouterr().out

    first, said = compared(breaking)
    assert first.reasons == {"other": "failed in split 1: RuntimeError: no memory"}
    assert "earlier run" not in said
    again, said = compared(breaking)
    assert again.reasons == first.reasons
    assert "no memory (of an earlier run; retry_failed=True trains it again)" in said
    assert again.table() == first.table()
    kept = sorted(path.name for path in tmp_path.glob("*.json"))
    assert len(kept) == 1  # the second split was not begun
    _, said = compared(breaking, retry_failed=True)
    assert "earlier run" not in said
    solved, _ = compared(mended)  # other code, so that it is tried again
    assert not solved.reasons
    assert solved.seconds["other"].shape == (2,)
    assert not list(tmp_path.glob("*.json"))


def test_a_time_limit_drops_the_worse_half_and_says_when(capsys):
    x, y = drawn(COUNTS, 0)

    def training(quality):
        def train(run):
            time.sleep(0.1)
            predict, prior = bayes(run)
            return lambda rows: quality * predict(rows) + (1 - quality) * prior, prior

        return train

    qualities = {"plain": 1.0, "good": 0.99, "bad": 0.0, "worse": 0.01}
    methods = [Method(name, train=training(quality)) for name, quality in qualities.items()]
    found = compare_methods(net, x, y, methods=methods, splits=6, epochs=1, time_limit=1.9)
    assert "after split 1 dropped: bad, worse" in capsys.readouterr().out
    assert "dropped after split" in found.reasons["bad"]
    assert "dropped after split" in found.reasons["worse"]
    assert set(found.reasons) == {"bad", "worse"}
    assert np.isnan(found.test["bad"]["macro_recall"][-1])
    assert not np.isnan(found.test["plain"]["macro_recall"][0])
    assert found.best().name in ("plain", "good")
    assert "bad" in found.table()
    spent = np.nansum(list(found.seconds.values()))
    assert spent < 1.9 + 0.3


def test_a_split_that_the_time_ended_counts_for_nobody():
    """Of a split that some methods lack, those that have it would be judged on other rows."""
    found = Comparison([Method("plain"), Method("other"), Method("dropped")], "macro_recall", 3, 0.3)
    scores = {"plain": (0.6, 0.9), "other": (0.7,), "dropped": (0.5,)}
    for method in found.methods:
        for split, value in enumerate(scores[method.name]):
            found.add(method, split, Scored({"macro_recall": value}, {"macro_recall": value}), 1.0)
    found.reasons["dropped"] = "dropped after split 1"
    found.end(["plain", "other"])
    assert found.best().name == "other"
    assert np.isnan(found.test["plain"]["macro_recall"][1])
    assert "compared on 1 of 3 splits" in found.table()
    assert "=" not in found.table().splitlines()[2]


def test_the_seeds_of_given_parts_are_no_splits():
    """They say nothing of other test rows: no test, no mark."""
    x, y = drawn((300, 60), 0)
    parts = {name: (x[i::3], y[i::3]) for i, name in enumerate(("train", "validation", "test"))}
    methods = [PLAIN, Method("flipped", train=bayes, decide=lambda run, p, y: lambda p: 1 - p.argmax(axis=1))]
    found = compare_methods(two_class_net, **parts, splits=3, epochs=1, methods=methods, verbose=0)
    assert np.isnan(found.compare_to("plain")["flipped"].p)
    assert "over seeds" in found.table()
    assert "in seeds" in found.table()


def test_nothing_begins_after_the_limit():
    def train(run):
        time.sleep(0.2)
        return bayes(run)

    def other(run):
        return train(run)

    x, y = drawn(COUNTS, 0)
    methods = [Method("plain", train=train), Method("late", train=other)]
    found = compare_methods(net, x, y, methods=methods, splits=1, epochs=1, time_limit=0.1, verbose=0)
    assert list(found.test) == ["plain"]
    assert found.reasons == {"late": "not trained: the time was over"}


def test_the_validation_rows_choose_and_the_test_rows_only_show():
    found = Comparison([Method("plain"), Method("other")], "macro_recall", 2, 0.3)
    for name, validation, test in (("plain", 0.7, 0.5), ("other", 0.6, 0.9)):
        for split in range(2):
            values = ({"macro_recall": score + split / 100, "log_loss": 1 - score} for score in (validation, test))
            found.add(Method(name), split, Scored(*values), 1.0)
    assert found.best().name == "plain"
    assert found.best("log_loss").name == "plain"
    assert found.table().splitlines()[2].startswith("other")


RECORDS: list = []


class Recorder(keras.callbacks.Callback):
    """Keeps the weights that a fit begins with, and how many steps it took."""

    def on_train_begin(self, logs=None):
        self.start = self.model.get_weights()

    def on_train_end(self, logs=None):
        RECORDS.append((self.start, int(self.model.optimizer.iterations), self.model.optimizer.use_ema))


@pytest.fixture(scope="module")
def trained():
    """Two nets that are really trained, and what the table makes of them."""
    RECORDS.clear()
    x, y = drawn(COUNTS, 0)
    pair, cost = DEFAULTS["matched pair"], DEFAULTS["plain, minimum cost"]

    def recording(run):
        return [Recorder()]

    methods = [
        Method("plain", callbacks=recording),
        Method("matched pair", sampler=pair.sampler, loss=pair.loss, callbacks=recording, settings=pair.code),
        Method(cost.name, callbacks=recording, decide=cost.decide),
    ]
    found = compare_methods(
        net, x, y, methods=methods, splits=1, epochs=6, batch_size=64, cost_matrix=1 - np.eye(3), verbose=0
    )
    return found, list(RECORDS)


def test_every_method_trains_the_same_net_for_as_many_steps(trained):
    found, records = trained
    assert len(records) == 2  # the decision by cost shares the training of plain
    for one, other in zip(records[0][0], records[1][0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert [steps for _, steps, _ in records] == [6 * -(-630 // 64)] * 2
    assert all(use_ema for *_, use_ema in records)
    assert not found.reasons


def test_the_table_the_frame_and_the_page_say_the_same(trained):
    found, _ = trained
    text, frame, page = found.table(), found.to_frame(), found._repr_html_()
    heads = " ".join(line for line in text.splitlines() if line.startswith("method"))
    for title in ("macro recall", "macro F1", "worst recall", "log loss", "calibr. error", "cost", "above plain"):
        assert heads.count(title) == page.count(f"<th>{title}") == 1
    assert max(map(len, text.splitlines())) <= 100
    assert max(map(len, found.table(width=60).splitlines())) <= 60
    assert len(found.table(width=1000).split("\n\n")) == 2  # the head, and the rows
    for name in found.test:
        line = next(line for line in text.splitlines() if line.startswith(f"{name}  "))
        assert f"{frame.loc[name, 'macro_recall']:.3f}" in line
        assert name in page
    assert frame.loc["matched pair", "above_plain"] == pytest.approx(
        frame.loc["matched pair", "macro_recall"] - frame.loc["plain", "macro_recall"]
    )
    assert found.best().name in found.test
    assert [found.best(metric).name in found.test for metric in METRICS] == [True] * len(METRICS)
    assert "LogitAdjustedLoss(sampler" in found.settings("matched pair")
    with pytest.raises(ValueError, match="Did you mean 'plain'"):
        found.compare_to("plan")


def test_the_picture_has_a_point_a_method(trained):
    found, _ = trained
    axes = found.plot().axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [*found._rows()]
    assert axes.get_xlabel() == "macro recall"


def test_probabilities_are_scored_at_the_prior_of_the_data(trained):
    """The matched pair speaks for balanced classes; moved back it is about as good as plain training."""
    found, _ = trained
    ours, plain = (found.test[name]["log_loss"][0] for name in ("matched pair", "plain"))
    assert ours < plain + 0.1


def test_rows_of_the_right_probabilities_are_calibrated():
    x, y = drawn((6000, 600, 400), 0)
    found = planted(x, y, [], splits=2)
    assert (found.test["plain"]["calibration_error"] < 0.02).all()
    assert MEANS.shape == (3,)


def test_gaps_in_the_features_are_named_where_a_net_gives_nan():
    x, y = drawn(COUNTS, 0)
    x[-50:] = np.nan

    def gives_nan(run):
        return lambda rows: np.full((len(rows), 3), np.nan), run.prior

    def of_columns(columns, fill=keras.ops.nan_to_num):
        inputs = {name: keras.Input((1,), name=name) for name in columns}
        joined = fill(keras.layers.Concatenate()(list(inputs.values())))
        return keras.Model(inputs, keras.layers.Dense(3)(joined))

    columns = {"age": x, "sex": np.ones_like(x)}
    options = {"methods": [Method("plain", train=gives_nan)], "splits": 1, "epochs": 1, "verbose": 0}
    found = compare_methods(of_columns, columns, y, **options)
    assert "NaN or infinite; x holds NaN in ['age'], which the net must fill" in found.reasons["plain"]
    with pytest.raises(
        ValueError, match=r"NaN, before any training; x holds NaN in \['age'\], which the net must fill"
    ):
        compare_methods(lambda rows: of_columns(rows, lambda joined: joined), columns, y, **options)
