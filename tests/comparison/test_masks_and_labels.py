"""Masks are compared by their positions, rows of several labels by label; what does not suit them says why.

Most nets here are planted: the right probabilities, without training.
"""

import numpy as np
import pytest
from kerases import keras_3_only
from planted import posterior
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    recall_score,
    roc_auc_score,
)

from keras_imbalance import ClassSampler, Method, compare_methods
from keras_imbalance._keras import keras
from keras_imbalance.comparison.catalogue import BY_POSITIONS, BY_SEVERAL_LABELS, DEFAULT, MORE
from keras_imbalance.comparison.method import Run
from keras_imbalance.comparison.rows import data_of
from keras_imbalance.comparison.scores import folds, parts_with
from keras_imbalance.comparison.splits import Split, make_splits
from keras_imbalance.comparison.training import _drawn_shares

pytestmark = keras_3_only("compare_methods needs Keras 3")
KNOWN = {method.name: method for method in (*DEFAULT, *MORE)}
VOID = 255
PRIOR = np.array([0.85, 0.1, 0.05])
MEANS = np.array([0.0, 1.5, 3.0])
LABEL_SHARES = np.array([0.4, 0.1, 0.05])
EPOCHS = {"epochs": 1, "verbose": 0}


def masks(rows=80, size=6, seed=0):
    """Images (N, 6, 6, 1) whose pixels are normal around the mean of their class, and ids, one in ten of them void."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, size=(rows, size, size), p=PRIOR)
    x = rng.normal(MEANS[y])[..., None].astype("float32")
    return x, np.where(rng.random(y.shape) < 0.1, VOID, y)


def labels(rows=600, seed=0):
    """Rows (N, 3) of which each feature is normal around 2 where its label is set, and the labels."""
    rng = np.random.default_rng(seed)
    y = (rng.random((rows, 3)) < LABEL_SHARES).astype(int)
    return rng.normal(2.0 * y).astype("float32"), y


def pixel_net(x_train):
    return keras.Sequential([keras.Input(x_train.shape[1:]), keras.layers.Dense(3)])


def of_pixels(run):
    prior = run.prior

    def predict(x):
        return posterior(x.reshape(-1, 1), prior).reshape(*x.shape[:-1], 3)

    return predict, prior


def of_labels(run):
    prior = run.prior
    return lambda x: 1 / (1 + np.exp(-(2 * x.astype(float) - 2 + np.log(prior[:, 1] / prior[:, 0])))), prior


def planted(train, names):
    """The methods of these names on a planted net."""
    return [
        Method("plain", train=train),
        *(Method(name, train=train, decide=KNOWN[name].decide, needs=KNOWN[name].needs) for name in names),
    ]


def test_scores_of_masks_are_those_of_their_positions_without_the_void():
    x, y = masks()
    pair = (np.arange(60), np.arange(60, 80))
    found = compare_methods(
        pixel_net, x, y, methods=planted(of_pixels, []), ignore_class=VOID, splits=[pair], validation=0.25, **EPOCHS
    )
    run = Run(
        data_of(x, y, ignore_class=VOID),
        make_splits(data_of(x, y, ignore_class=VOID), [pair], None, 0.25, 0.25, 0)[0],
        1,
        1,
        0,
    )
    kept = y[60:] != VOID
    p, truth = of_pixels(run)[0](x[60:])[kept], y[60:][kept]
    expected = {
        "macro_recall": balanced_accuracy_score(truth, p.argmax(1)),
        "macro_f1": f1_score(truth, p.argmax(1), average="macro"),
        "worst_recall": recall_score(truth, p.argmax(1), average=None).min(),
        "average_precision": average_precision_score(np.eye(3)[truth], p, average="macro"),
        "auc": roc_auc_score(truth, p, multi_class="ovr"),
        "log_loss": log_loss(truth, p),
    }
    for name, value in expected.items():
        assert found.test["plain"][name][0] == pytest.approx(value, abs=1e-6), name
    assert found.test["plain"]["calibration_error"][0] < 0.1


def test_scores_of_several_labels_are_means_over_the_labels():
    x, y = labels()
    pair = (np.arange(400), np.arange(400, 600))
    found = compare_methods(pixel_net, x, y, methods=planted(of_labels, []), multi_label=True, splits=[pair], **EPOCHS)
    data = data_of(x, y, multi_label=True)
    run = Run(data, make_splits(data, [pair], None, 0.2, 0.2, 0)[0], 1, 1, 0)
    p, truth = of_labels(run)[0](x[400:]), y[400:]
    decided = p > 0.5
    expected = {
        "macro_recall": np.mean([balanced_accuracy_score(truth[:, c], decided[:, c]) for c in range(3)]),
        "macro_f1": f1_score(truth, decided, average="macro"),
        "worst_recall": recall_score(truth, decided, average=None).min(),
        "average_precision": average_precision_score(truth, p, average="macro"),
        "auc": roc_auc_score(truth, p, average="macro"),
        "log_loss": np.mean([log_loss(truth[:, c], p[:, c]) for c in range(3)]),
    }
    for name, value in expected.items():
        assert found.test["plain"][name][0] == pytest.approx(value, abs=1e-6), name


@pytest.mark.parametrize(
    ("data", "train", "options"),
    [(masks(160, 10, 1), of_pixels, {"ignore_class": VOID}), (labels(6000, 1), of_labels, {"multi_label": True})],
    ids=["masks", "labels"],
)
def test_decisions_gain_on_them_what_they_are_made_for(data, train, options):
    """Adjusted to equal shares recall is higher; of tuned thresholds F1."""
    x, y = data
    methods = planted(train, ["plain, adjusted afterwards", "plain, tuned thresholds"])
    found = compare_methods(pixel_net, x, y, methods=methods, metric="macro_f1", splits=4, **options, **EPOCHS)
    assert not found.reasons
    recalls = found.compare_to("plain", "macro_recall")["plain, adjusted afterwards"]
    assert recalls.mean > 0.05
    assert recalls.above == 4
    assert found.compare_to("plain")["plain, tuned thresholds"].above == 4


def test_positions_of_one_mask_are_never_tuned_on_and_scored():
    x, y = masks()
    seen = []

    def noting(run, probabilities, truth):
        seen.append(len(truth))
        return lambda p: p.argmax(axis=1)

    methods = [Method("plain", train=of_pixels), Method("noting", train=of_pixels, decide=noting)]
    found = compare_methods(pixel_net, x, y, methods=methods, ignore_class=VOID, splits=1, **EPOCHS)
    data = data_of(x, y, ignore_class=VOID)
    rows = make_splits(data, 1, None, 0.2, 0.2, 0)[0].validation
    part = folds(data.row_classes(rows), 5, 0)
    counted = [int((y[rows[part != i]] != VOID).sum()) for i in range(5)]
    assert sorted(seen) == sorted([*counted, int((y[rows] != VOID).sum())])
    assert found.validation["noting"]["macro_recall"] == found.validation["plain"]["macro_recall"]


def test_labels_of_test_rows_choose_no_row_to_train_on():
    """Which class is the rarest of a row, for the sampler, is asked of the training rows alone."""
    rng = np.random.default_rng(0)
    x, y = rng.random((40, 4, 1)).astype("float32"), rng.integers(0, 3, (40, 4))
    seen = []

    def noting(run):
        seen.append(run.row_classes.tolist())
        return of_pixels(run)

    for label in (1, 2):
        y[30:] = label
        splits = [(np.arange(30), np.arange(30, 40))]
        methods = [Method("plain", train=noting)]
        compare_methods(pixel_net, x, y, methods=methods, splits=splits, validation=0.25, **EPOCHS)
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("name", "form", "reason"),
    [
        ("class_weight", "masks", "one class a row"),
        ("matched pair", "labels", "one class a row"),
        ("SMOTE", "masks", "one class a row"),
        ("bagging", "masks", "one class a row"),
        ("asymmetric loss", "masks", "several labels a row"),
        ("plain, macro-F1 decision", "labels", "chooses one class"),
        ("plain, tuned thresholds", "few labels", "fewer than 2 validation rows with and without label 2"),
    ],
)
def test_what_does_not_suit_them_is_left_out_and_says_why(name, form, reason):
    rows = np.split(np.arange(60), [36, 48])
    if form == "masks":
        data = data_of(*masks(60), ignore_class=VOID)
    else:
        x, y = labels(60)
        y[36:48] = (np.arange(12) % 2)[:, None] * [1, 1, form == "labels"]
        data = data_of(x, y, multi_label=True)
    assert reason in KNOWN[name].unsuited(Run(data, Split(*rows), 8, 2, 0))


def test_a_class_must_be_in_two_parts_to_be_tuned_and_scored():
    x, y = masks(40)
    y[y == 2] = 1
    y[30, 0, 0] = 2  # of the validation rows one alone holds it
    y[:5, 0, 0] = 2
    data = data_of(x, y, ignore_class=VOID)
    run = Run(data, Split(np.arange(20), np.arange(20, 40), np.arange(0)), 8, 2, 0)
    assert parts_with(run).tolist() == [5, 5, 1]


def test_the_shares_drawn_of_masks_are_those_of_the_positions_in_the_rows_drawn():
    x, y = masks(200, size=3, seed=3)
    y[(y == 2) & (np.arange(200) >= 30)[:, None, None]] = 0  # few images hold class 2
    data = data_of(x, y, ignore_class=VOID)
    run = Run(data, Split(np.arange(150), np.arange(150, 200), np.arange(0)), 10, 2, 0)
    run.sampler = ClassSampler(run.row_classes, batch_size=10, seed=0)
    counts = np.zeros(3)
    for batch in [rows for _ in range(40) for rows in run.sampler]:
        counts += np.bincount(run.y[batch][run.y[batch] != VOID], minlength=3)
    np.testing.assert_allclose(_drawn_shares(run), counts / counts.sum(), atol=0.01)
    assert _drawn_shares(run)[2] > 2 * run.prior[2]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["masks", "one logit", "labels"])
def test_all_methods_for_them_train(form):
    """Nets are really trained, by default with all that suits, and the code of each can be read."""
    x, y = labels() if form == "labels" else masks(120)
    options = {"multi_label": True} if form == "labels" else {"ignore_class": VOID}
    if form == "one logit":
        y, options = np.where(y == 2, 1, 0), {}

    def build_model(x_train):
        size = 1 if form == "one logit" else 3
        net = keras.Sequential([keras.Input(x_train.shape[1:]), keras.layers.Dense(size)])
        return net, keras.optimizers.Adam(0.05)

    costs = {} if form == "labels" else {"cost_matrix": 1 - np.eye(2 if form == "one logit" else 3)}
    found = compare_methods(
        build_model, x, y, splits=1, epochs=6, batch_size=8, validation=0.3, **options, **costs, verbose=0
    )
    assert not found.reasons
    assert list(found.test) == list(BY_SEVERAL_LABELS if form == "labels" else BY_POSITIONS)
    recall = {name: scores["macro_recall"][0] for name, scores in found.test.items()}
    assert recall["weighted loss"] > recall["plain"]
    assert recall["logit adjustment"] > recall["plain"]
    for name in found.test:
        compile(found.settings(name), name, "exec")


OF_LABELS = {**dict(zip("xy", labels(80), strict=True)), "multi_label": True, "ignore_class": None}


def two_outputs(x_train):
    inputs = keras.Input(x_train.shape[1:])
    return keras.Model(inputs, [keras.layers.Dense(3, name="a")(inputs), keras.layers.Dense(2, name="b")(inputs)])


def soft(x_train):
    return keras.Sequential([keras.Input(x_train.shape[1:]), keras.layers.Dense(3, activation="softmax")])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"y": {"a": np.zeros(80), "b": np.zeros(80)}}, r"`y` must hold the labels of one output.*get_layer\(name\).output"),
        ({"build_model": two_outputs}, r"2 outputs.*get_layer\(name\).output"),
        ({"build_model": soft}, "`build_model` must give logits"),
        ({"y": np.full((80, 6, 6), VOID)}, "`y` must hold a position that counts"),
        ({"y": masks()[1][:, :3]}, r"logits of shape \(N, 3, 6, 3\)"),
        ({"y": np.arange(80) % 2}, "`ignore_class` must be None where a row has one class"),
        ({"multi_label": True}, r"`y` must hold 0 and 1 in the shape \(N, L\)"),
        ({**OF_LABELS, "ignore_class": VOID}, "`ignore_class` must be None with multi_label"),
        ({**OF_LABELS, "prior": "balanced"}, "`prior` must be None with multi_label"),
        ({**OF_LABELS, "cost_matrix": 1 - np.eye(3)}, "`cost_matrix` must be None with multi_label"),
        ({**OF_LABELS, "multi_label": False}, "pass multi_label=True"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_says_what_to_do(options, said):
    x, y = masks()
    given = {"build_model": pixel_net, "x": x, "y": y, "ignore_class": VOID, **EPOCHS, **options}
    with pytest.raises(ValueError, match=said):
        compare_methods(**given)


def test_one_hot_masks_and_sequences_are_read_as_their_ids():
    _, y = masks(20)
    ids = np.where(y == VOID, 0, y)
    np.testing.assert_array_equal(data_of(np.zeros(20), np.eye(3)[ids]).y, ids)
    np.testing.assert_array_equal(data_of(np.zeros(20), ids[..., None]).y, ids)
    np.testing.assert_array_equal(data_of(np.zeros(20), ids[:, 0]).y, ids[:, 0])  # (N, T), with ids above 1
    assert data_of(np.zeros(20), np.eye(3)[ids[:, 0, 0]].astype(int)).one_class


def test_small_classes_of_rows_do_not_hinder_a_split():
    x, y = labels(200)
    y[:, 2] = 0
    y[:8, 2] = 1  # too few rows for a stratum of their own
    for split in make_splits(data_of(x, y, multi_label=True), 3, None, 0.2, 0.2, 0):
        parts = np.concatenate([split.train, split.validation, split.test])
        np.testing.assert_array_equal(np.sort(parts), np.arange(200))
