"""Every argument of the samplers, SMOTE and the Tomek links is checked where it enters, by an error that names it."""

import numpy as np
import pytest
import tensorflow as tf

from keras_imbalance import SMOTE, ArraySampler, StreamSampler, remove_tomek_links, tomek_links

NAN, INF = float("nan"), float("inf")
X, Y = np.arange(16, dtype="float32").reshape(8, 2), np.array([0, 0, 0, 0, 1, 1, 2, 2])
COUNTS = [4, 2, 2]
ROWS = tf.data.Dataset.from_tensor_slices((X, Y))


def stream(dataset=ROWS, **arguments):
    arguments = {"batch_size": 4, "class_counts": COUNTS, **arguments}
    return StreamSampler(dataset, **arguments)


def learnt(**arguments):
    return stream(class_counts=None, num_classes=3, **arguments)


def with_smote(x=X, **arguments):
    return ArraySampler(x, Y, smote=SMOTE(**arguments))


def set_distribution(shares, sampler=stream):
    sampler().distribution = shares


def holed(value):
    x = X.copy()
    x[5, 1] = value
    return x


BAD_SHARES = [[0.5, NAN, 0.5], [1.5, -0.5, 0], [0, 0, 0], [0.5, 0.5], [INF, 0, 0], [[1, 1, 1]]]
BAD_TARGETS = [*BAD_SHARES, "equal", None, True, -1, NAN, {7: 0.1}, {"a": 0.1}, {0: NAN}, {0: -0.1}, {0: 1.5}]
BAD_STATES = [None, {}, {"seed": 1}, [1, 2], "state"]
BAD_X = [(holed(NAN), "finite.* row 5"), (holed(INF), "finite.* row 5"), (X.astype(str), "numbers"), (X[:, 0], "shape")]
BAD_Y = [Y + 0.5, Y - 1, [*Y[:7], NAN], Y.astype(str), [[0.5, 0.5]] * 8, np.zeros((8, 2, 2)), 3]
FEATURES_AND_PLAIN_LABELS = tf.data.Dataset.from_tensor_slices(X)

TABLE = [
    # StreamSampler
    *[(lambda d=d: stream(d), "`dataset` must be a tf.data.Dataset") for d in (None, X, (X, Y), [ROWS])],
    (lambda: stream(FEATURES_AND_PLAIN_LABELS), r"`dataset` must yield \(x, y\)"),
    (lambda: stream(ROWS.map(lambda x, y: {"x": x, "y": y})), r"`dataset` must yield \(x, y\)"),
    (lambda: stream(ROWS.map(lambda x, y: (x, y, y, y))), r"`dataset` must yield \(x, y\)"),
    (lambda: stream(ROWS.map(lambda x, y: (x, {"a": y}))), "`label_fn` must"),
    *[(lambda b=b: stream(batch_size=b), "`batch_size` must") for b in (0, -1, 2.5, None, True, "8")],
    *[(lambda b=b: stream(block_size=b), "`block_size` must") for b in (0, -1, 2.5, None, True, "8")],
    *[(lambda s=s: stream(seed=s), "`seed` must") for s in (-1, 0.5, "a", True)],
    *[
        (lambda c=c: stream(class_counts=c), "`class_counts` must")
        for c in ([4, 2, 0], [4, 2, -1], [4, 2, NAN], [4, INF], [], [[4, 2]], 5, ["4", "2"])
    ],
    (lambda: stream(num_classes=4), "`class_counts` must hold 4 counts. Received: 3"),
    (lambda: stream(class_counts=None), "`num_classes` must be given where `class_counts` is not"),
    *[(lambda n=n: stream(class_counts=None, num_classes=n), "`num_classes` must") for n in (1, 0, -2, 2.5, True, "3")],
    *[(lambda t=t: stream(target=t), "`target`") for t in BAD_TARGETS],
    *[(lambda t=t: learnt(target=t), "`target`") for t in BAD_TARGETS],
    *[(lambda t=t: stream().set_target(t), "`target`") for t in BAD_TARGETS],
    *[(lambda s=s: set_distribution(s), "`distribution` must") for s in (*BAD_SHARES, "balanced", None, {0: 1.0}, 0.5)],
    *[(lambda s=s: set_distribution(s, learnt), "`distribution` must") for s in (*BAD_SHARES, "balanced", None)],
    *[(lambda n=n: stream(class_names=n), "`class_names` must") for n in (["a", "a", "b"], "abc", ["a", "", "b"], [])],
    *[(lambda n=n: stream(class_names=n), "`class_names` must") for n in (["a", "b"], list("abcd"))],
    *[(lambda f=f: stream(label_fn=f), "`label_fn` must") for f in (1, "y", Y)],
    *[(lambda b=b: stream(batched=b), "`batched` must") for b in ("yes", 2)],
    *[(lambda s=s: stream(seed=1).load_state_dict(s), "`state` must") for s in BAD_STATES],
    (
        lambda: stream(seed=1).load_state_dict(stream(seed=2).state_dict()),
        "`state` must be of a sampler of 3 .* seed 1",
    ),
    (
        lambda: stream(seed=1).load_state_dict(stream(class_counts=[4, 4], seed=1).state_dict()),
        "`state` must be of a sampler of 3",
    ),
    *[
        (lambda k=k, v=v: stream(seed=1).load_state_dict({**stream(seed=1).state_dict(), k: v}), "`(state|target)`")
        for k, v in [("epoch", -1), ("counts", [1, -1, 1]), ("drawn", [0, 0]), ("distribution", [1, NAN, 0])]
    ],
    # SMOTE
    *[(lambda k=k: SMOTE(k), "`k_neighbors` must") for k in (0, -1, 2.5, None, True, "5")],
    *[(lambda s=s: SMOTE(seed=s), "`seed` must") for s in (-1, 0.5, "a", True)],
    *[
        (lambda c=c: SMOTE(categorical=c), "`categorical` must")
        for c in ([0.5], ["a"], [True, False], "a", [NAN], [1, 1])
    ],
    *[
        (lambda c=c: with_smote(categorical=c), "`categorical` must be columns of x, 0 to 1")
        for c in ([2], [-1], [0, 9])
    ],
    (lambda: with_smote(X[:, :, None], categorical=[0]), "`categorical` needs one feature array"),
    (lambda: with_smote((X, X), categorical=[0]), "`categorical` needs one feature array"),
    *[
        (lambda d=d: with_smote(X.astype(d)), "`smote` needs features that are floats")
        for d in ("int32", "uint8", bool, str)
    ],
    (lambda: with_smote({"a": X, "b": X.astype(int)}), "`smote` needs features that are floats"),
    *[(lambda v=v: with_smote(holed(v)), "`x` must be finite.* row 5") for v in (NAN, INF, -INF)],
    (lambda: with_smote((X, holed(NAN))), "`x` must be finite.* row 5"),
    *[(lambda s=s: ArraySampler(X, Y, smote=s), "`smote` must be a SMOTE or None") for s in (5, True, "smote", SMOTE)],
    (lambda: ArraySampler(X, [*Y[:7], 1], smote=SMOTE()), r"`smote` makes new points .* none between: \['2'\]"),
    # Tomek links
    *[(lambda x=x: tomek_links(x, Y), f"`x` must be.*{m}") for x, m in BAD_X],
    *[(lambda y=y: tomek_links(X, y), "`y`") for y in BAD_Y],
    *[(lambda x=x: remove_tomek_links(x, Y), f"`x` must be.*{m}") for x, m in BAD_X],
    *[(lambda y=y: remove_tomek_links(X, y), "`y`") for y in BAD_Y],
    (lambda: tomek_links(X, Y[:7]), "`x` and `y` must have the same number of rows. Received: 8 and 7"),
    *[
        (lambda r=r: remove_tomek_links(X, Y, r), "`remove` must be one of")
        for r in ("all", None, "minority", 1, ["both"])
    ],
]


@pytest.mark.parametrize(
    ("call", "message"), TABLE, ids=[f"{i}-{message[:30]}" for i, (_, message) in enumerate(TABLE)]
)
def test_bad_input_raises_an_error_that_names_it(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("call", [tomek_links, remove_tomek_links])
def test_no_rows_at_all(call):
    with pytest.raises(ValueError, match="`x`"):
        call(X[:0], Y[:0])


def test_a_bad_distribution_leaves_the_one_before():
    for sampler in (stream(), learnt()):
        sampler.distribution = [0.5, 0.25, 0.25]
        with pytest.raises(ValueError, match="`distribution` must"):
            sampler.distribution = [1, NAN, 0]
        with pytest.raises(ValueError, match="`target`"):
            sampler.set_target("equal")
        np.testing.assert_allclose(sampler.distribution, [0.5, 0.25, 0.25])
