"""Every argument is checked where it enters, by an error that names it."""

import re

import numpy as np
import pytest
import tensorflow as tf

from keras_imbalance import (
    ArraySampler,
    ClassBalancedLoss,
    CostMatrixLoss,
    DynamicSampling,
    FocalLoss,
    LogitAdjustedLoss,
    PerClassF1,
    PerClassPrecision,
    PerClassRecall,
    PriorCorrection,
    TwoPhaseLearning,
    class_prior,
    class_weights,
    count_classes,
    recommend,
    target_distribution,
    tomek_links,
)
from keras_imbalance.estimators import member_rows

NAN, INF = float("nan"), float("inf")
X, Y = np.zeros((8, 2), "float32"), np.array([0, 0, 0, 0, 1, 1, 2, 2])


def sampler(**arguments):
    return ArraySampler(X, Y, **arguments)


def set_target(target):
    sampler().target = target


def update(metric, labels, predictions, weights=None):
    metric.update_state(np.asarray(labels), np.asarray(predictions, "float32"), weights)


BAD_COUNTS = [[5, 0], [5, -1], [5, NAN], [5, INF], [], [[5, 5]], 5, ["5", "x"], None]
BAD_SHARES = [[0.5, NAN, 0.5], [1.5, -0.5, 0], [0, 0, 0], [0.5, 0.5], [INF, 0, 0], [[1, 1, 1]]]
BAD_COSTS = [
    [[0, 1, 2], [1, 0, 2]],
    [0, 1],
    [[0]],
    [[0, -1], [1, 0]],
    [[0, NAN], [1, 0]],
    [[0, INF], [1, 0]],
    [["0", "1"], ["1", "0"]],
]
BAD_LABELS = [[0, -1], [0, 1.5], [0, NAN], [[0.5, 0.5], [1, 0]], [[1, 1], [1, 0]], ["1", "2"], np.zeros((2, 2, 2)), 3]

TABLE = [
    *[(lambda c=c: class_weights(c), "`class_counts` must") for c in BAD_COUNTS],
    *[(lambda c=c: class_prior(c), "`class_counts` must") for c in BAD_COUNTS],
    *[(lambda c=c: ClassBalancedLoss(c), "`class_counts` must") for c in BAD_COUNTS],
    *[
        (lambda c=c: target_distribution(c, "natural"), "`class_counts` must")
        for c in ([5, -1], [5, NAN], [0, 0], [], [[5]])
    ],
    (lambda: class_weights([5, 5], scheme="inverse"), "`scheme` must be one of"),
    (lambda: class_weights([5, 5], normalize="mean"), "`normalize` must"),
    *[
        (lambda b=b: class_weights([5, 5], scheme="effective_number", beta=b), "`beta` must")
        for b in (1.0, -0.1, 2, NAN)
    ],
    *[(lambda s=s: target_distribution([5, 5, 5], s), "`target` must") for s in BAD_SHARES],
    *[(lambda t=t: target_distribution([5, 5], t), "`target`") for t in ("equal", -1, NAN, INF, None, True)],
    *[
        (lambda t=t: target_distribution([5, 5], t), "`target` must")
        for t in ({2: 0.5}, {0: -0.1}, {0: NAN}, {"a": 0.5}, {0: 1.2})
    ],
    (lambda: target_distribution([5, 0], [0.5, 0.5]), r"`target` must give the share 0 .* class \[1\]"),
    *[(lambda y=y: count_classes(y), "`labels`") for y in (*BAD_LABELS, []) if np.ndim(y) < 3],
    (lambda: count_classes([[0, 255]], ignore_class=1.5), "`ignore_class` must be None or a whole number"),
    (lambda: count_classes([255, 255], ignore_class=255), "`labels` must hold at least one label that counts"),
    (lambda: count_classes([[0, 1], [1, 0]], axis=2), "`axis` must be an axis of labels"),
    (lambda: count_classes([[0, 2], [1, 0]], multi_label=True), r"`y_true` must hold hard labels"),
    (lambda: count_classes([0, 3], num_classes=3), "`labels` must hold class ids from 0 below 3. Received: 3"),
    (lambda: count_classes(tf.data.Dataset.from_tensor_slices((X, Y)).repeat()), "`labels` must be a finite dataset"),
    (lambda: count_classes([0, 2**40]), "`labels` must hold class ids.*numpy.unique"),
    (
        lambda: count_classes(tf.data.Dataset.from_tensor_slices((X, Y.astype(str)))),
        "`labels` must be numbers.*StringLookup",
    ),
    (lambda: count_classes(Y.astype(str)), r"`labels` must be numbers .*labels\.astype\('int64'\).*`class_names`"),
    (
        lambda: count_classes(["a", "b"], class_names=["a", "c"]),
        r"`class_names` must hold every name in `labels`, \['b'\]",
    ),
    *[
        (lambda n=n: count_classes(Y, num_classes=n), "`num_classes` must be None or")
        for n in (2.0, 0, -1, True, "3", Y)
    ],
    (lambda: count_classes({0: 5, 1: 5}), "`labels` must be an array of labels. Received: <class 'dict'>"),
    (lambda: count_classes([[0], [0, 1]]), "`labels` must have rows of one length"),
    (lambda: count_classes([0, None]), r"`labels` must be numbers.*labels\.astype\('int64'\)"),
    (lambda: count_classes([[1, 1], [0, 1]]), r"`labels` must be one-hot.*labels\.sum\(axis=0\)"),
    (lambda: class_weights({0: 5, 1: 5}), "`class_counts` must .* in the order of the class ids.*count_classes"),
    (lambda: target_distribution({"a": 5, "b": 3}, "sqrt"), "`class_counts` must .* in the order of the class ids"),
    (lambda: target_distribution(["a", "b"], "sqrt"), "`class_counts` must hold one finite count per class"),
    (
        lambda: class_weights(np.arange(100) % 2),
        r"`class_counts` must .*\[0, 1, 0.*\.\.\..*0, 1\].*count_classes\(labels\)",
    ),
    # losses
    *[(lambda c=c: CostMatrixLoss(c), "`cost_matrix` must") for c in BAD_COSTS],
    (lambda: CostMatrixLoss(np.ones((2, 2)))(Y, np.full((8, 3), 1 / 3, "float32")), "`cost_matrix` must be 3 x 3"),
    (lambda: ClassBalancedLoss([5, 5])(Y, np.full((8, 3), 1 / 3, "float32")), "`class_counts` must"),
    (lambda: FocalLoss()(Y + 1, np.full((8, 3), 1 / 3, "float32")), "`y_true` must hold class ids"),
    (lambda: FocalLoss()(Y[:4], np.full((8, 3), 1 / 3, "float32")), r"`y_true`.*\(4,\).*\(8, 3\)"),
    # metrics
    *[(lambda n=n: PerClassRecall(n), "`num_classes` must") for n in (1, 0, -2, 2.5, True, None, "3")],
    *[
        (lambda n=n: PerClassRecall(3, class_names=n), "`class_names` must")
        for n in (["a", "b"], ["a", "a", "b"], "abc", ["a", "b", ""])
    ],
    *[(lambda z=z: PerClassPrecision(3, zero_division=z), "`zero_division` must") for z in (0.5, -1, "warn", None)],
    *[(lambda t=t: PerClassPrecision(2, threshold=t), "`threshold` must") for t in (NAN, INF, None, "0.5")],
    *[(lambda b=b: PerClassF1(3, beta=b), "`beta` must") for b in (0, -1, NAN, None)],
    *[(lambda i=i: PerClassF1(3, ignore_class=i), "`ignore_class` must") for i in (1.5, "a", True)],
    (lambda: update(PerClassF1(4), [0, 1], np.eye(3)[:2]), r"`num_classes` must be 3 .*num_classes=4"),
    (lambda: update(PerClassF1(3), [0, 1], [[0.5], [0.5]]), r"`num_classes` must be 2 .*num_classes=3"),
    (lambda: update(PerClassF1(3), [0, 3], np.eye(3)[:2]), "`y_true` must hold class ids"),
    (lambda: update(PerClassF1(3), [0, 0.5], np.eye(3)[:2]), "`y_true` must hold class ids, which are whole"),
    (lambda: update(PerClassF1(3), [[0.5, 0.5, 0]] * 2, np.eye(3)[:2]), "`y_true` must name one class a row"),
    (lambda: update(PerClassF1(2), [0.5, 1], [[0.5], [0.5]]), "`y_true` must name one class a row"),
    (lambda: update(PerClassF1(2), [2, 1], [[0.5], [0.5]]), r"`y_true` must lie in \[0, 1\]"),
    (lambda: update(PerClassF1(3), [0, 1, 2], np.eye(3)[:2]), r"y_true.shape=\(3,\), y_pred.shape=\(2, 3\)"),
    (lambda: update(PerClassF1(3), [0, 1], np.eye(3)[:2], np.ones(3)), "`sample_weight` must"),
    # sampling
    *[(lambda y=y: ArraySampler(X[:2], y), "`y`") for y in BAD_LABELS],
    (lambda: ArraySampler(X, Y[:7]), r"`x` must have as many rows as.*x of \[8\].*y of \[7\]"),
    (lambda: ArraySampler((X, X[:5]), Y), r"`x` must have as many rows as.*\[5, 8\]"),
    (lambda: ArraySampler(X, Y, np.ones(9)), r"must have as many rows as.*sample_weight of \[9\]"),
    (lambda: ArraySampler(None, Y), "`x` must be an array"),
    (lambda: ArraySampler(5.0, Y), "`x` must be an array"),
    (lambda: ArraySampler({}, Y), "`x` must"),
    (lambda: ArraySampler(X, (Y, Y)), "`y` must be one array.*`classes`"),
    (lambda: ArraySampler(X[:0], Y[:0]), "`x` must hold at least one row"),
    (lambda: sampler(classes=Y[:5]), r"`classes` must hold the class of each of 8 rows.*\(5,\)"),
    (lambda: sampler(classes=Y + 0.5), "`classes` must hold class ids, which are whole"),
    (lambda: sampler(classes=Y - 1), "`classes` must hold class ids"),
    *[(lambda b=b: sampler(batch_size=b), "`batch_size` must") for b in (0, -1, 2.5, None, True, "8")],
    *[(lambda s=s: sampler(seed=s), "`seed` must") for s in (-1, 0.5, "a")],
    *[(lambda e=e: sampler(epoch_size=e), "`epoch_size` must") for e in (0, -5, 2.5, "full", None)],
    *[(lambda s=s: sampler(target=s), "`target`") for s in (*BAD_SHARES, "equal", None, {7: 0.1}, {0: NAN})],
    *[(lambda s=s: set_target(s), "`target` must") for s in (*BAD_SHARES, "equal", None)],
    (
        lambda: ArraySampler(X, np.where(Y == 1, 3, Y), target=[0.25] * 4),
        r"`target` must give the share 0 .* class \[1\]",
    ),
    *[(lambda n=n: sampler(class_names=n), "`class_names` must") for n in (["a", "a", "b"], "abc", ["a", "", "b"], [])],
    (lambda: sampler(class_names=["a", "b"]), r"`y` must hold class ids from 0 below 2.*"),
    (lambda: sampler(class_names=list("abcd"), target={"d": 0.1}), r"`target` must give the share 0 .* class \[3\]"),
    (
        lambda: sampler(classes=np.array(["a", "b"])[Y % 2], class_names=["a", "c"]),
        r"`class_names` must hold every .*\['b'\]",
    ),
    *[(lambda s=s: sampler(seed=1).load_state_dict(s), "`state` must") for s in (None, {}, {"seed": 1}, [1, 2])],
    (lambda: sampler(seed=1).load_state_dict(sampler(seed=2).state_dict()), "`state` must be of a sampler .* seed 1"),
    (
        lambda: sampler(seed=1).load_state_dict(ArraySampler(X, Y % 2, seed=1).state_dict()),
        "`state` must be of a sampler of 3",
    ),
    # callbacks
    *[(lambda s=s: DynamicSampling(s), "`sampler` must be a sampler") for s in (None, "val_f1", X)],
    (lambda: DynamicSampling(sampler().dataset()), "`sampler` must be a sampler .*not the dataset"),
    *[(lambda f=f: DynamicSampling(sampler(), floor=f), "`floor` must") for f in (-0.1, 1.1, NAN)],
    *[(lambda m=m: DynamicSampling(sampler(), momentum=m), "`momentum` must") for m in (-0.1, 1, NAN)],
    (lambda: DynamicSampling(sampler(), start_epoch=-1), "`start_epoch` must be .* at least 0"),
    (lambda: DynamicSampling(sampler(), start_epoch=3, end_epoch=3), "`end_epoch` must be .* at least 4"),
    (
        lambda: DynamicSampling(sampler(), monitor="f1").on_epoch_end(0, {"loss": 1}),
        r"`monitor` must .*`f1/<class>`.*\['loss'\].*Compile a per-class metric",
    ),
    (lambda: TwoPhaseLearning(None, switch_epoch=3), "`sampler` must be a sampler"),
    *[
        (lambda e=e: TwoPhaseLearning(sampler(), switch_epoch=e), "`switch_epoch` must")
        for e in (0, -1, 1.5, True, None)
    ],
    *[
        (lambda f=f: TwoPhaseLearning(sampler(), switch_epoch=3, learning_rate_factor=f), "`learning_rate_factor` must")
        for f in (0, -1, NAN)
    ],
]


@pytest.mark.parametrize(
    ("call", "message"), TABLE, ids=[f"{i}-{message[:30]}" for i, (_, message) in enumerate(TABLE)]
)
def test_bad_input_raises_an_error_that_names_it(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("name", "call", "given"),
    [
        ("labels", count_classes, [7, 2**40, 7]),
        ("classes", member_rows, [7, 2**40, 7]),
        ("y", lambda y: tomek_links(np.zeros((3, 1)), y), ["b", "a", "b"]),
        ("classes", member_rows, ["b", "a", "b"]),
    ],
)
def test_what_an_error_says_of_numbering_runs_and_is_taken(name, call, given):
    with pytest.raises(ValueError, match=f"`{name}`.*all rows at once") as error:
        call(given)
    code = re.search(r"names, ids = numpy.unique\(.*?\)", str(error.value)).group()
    found = {"numpy": np, name: given}
    exec(code, found)
    assert found["names"][found["ids"]].tolist() == given
    call(found["ids"])


MANY = np.full(5000, 10.0)


@pytest.mark.parametrize("wrong", [0.0, NAN])
@pytest.mark.parametrize(
    "call",
    [
        lambda values: LogitAdjustedLoss(values),
        lambda values: class_weights(values),
        lambda values: recommend(MANY, validation_counts=values - 1),
        lambda values: target_distribution(MANY, values - 1),
        lambda values: PriorCorrection(values, MANY),
        lambda values: FocalLoss(alpha=values - 1),
    ],
)
def test_of_many_classes_an_error_says_which_are_wrong(call, wrong):
    values = MANY.copy()
    values[[1234, 2345]] = wrong
    with pytest.raises(ValueError, match=r"5000 classes, .* for class 1234 and 1 more"):
        call(values)


@pytest.mark.parametrize(
    ("names", "message"),
    [([*range(4999)], "4999 names"), ([*range(4999), "17"], r"1 of them more than once: \['17'\]")],
)
def test_of_many_class_names_an_error_says_which_are_wrong(names, message):
    with pytest.raises(ValueError, match=f"`class_names`.*{message}"):
        PerClassF1(5000, class_names=names, log_classes=False)
