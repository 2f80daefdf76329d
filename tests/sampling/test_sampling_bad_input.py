"""Every argument of the samplers, SMOTE and the Tomek links is checked where it enters, by an error that names it."""

import numpy as np
import pytest
import tensorflow as tf
from kerases import keras_3_only
from scipy import sparse

from keras_imbalance import SMOTE, ArraySampler, StreamSampler, count_classes, tomek_keep_indices, tomek_links
from keras_imbalance._keras import keras

NAN, INF = float("nan"), float("inf")
X, Y = np.arange(16, dtype="float32").reshape(8, 2), np.array([0, 0, 0, 0, 1, 1, 2, 2])
COUNTS = [4, 2, 2]
ROWS = tf.data.Dataset.from_tensor_slices((X, Y))


def stream(dataset=ROWS, **arguments):
    arguments = {"batch_size": 4, "class_counts": COUNTS, **arguments}
    return StreamSampler(dataset, **arguments)


def learnt(**arguments):
    return stream(class_counts=None, num_classes=3, **arguments)


def arrays():
    return ArraySampler(X, Y)


def weights(last):
    return np.array([1.0] * 7 + [last])


def with_smote(x=X, **arguments):
    return ArraySampler(x, Y, smote=SMOTE(**arguments))


def set_target(target, sampler):
    sampler().target = target


def holed(value):
    x = X.copy()
    x[5, 1] = value
    return x


def ragged(*lengths):
    return [[0] * length for length in lengths]


NAMES = ["ok", "worn", "broken"]
ONE_HOT_ROWS = ROWS.map(lambda x, y: (x, tf.one_hot(y, 3)))
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
    *[(lambda b=b: stream(block_bytes=b), "`block_bytes` must") for b in (0, -1, 2.5, None, True, "8")],
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
    *[(lambda t=t, s=s: set_target(t, s), "`target`") for t in BAD_TARGETS for s in (stream, learnt, arrays)],
    *[(lambda n=n: stream(class_names=n), "`class_names` must") for n in (["a", "a", "b"], "abc", ["a", "", "b"], [])],
    *[(lambda n=n: stream(class_names=n), "`class_names` must") for n in (["a", "b"], list("abcd"))],
    *[(lambda f=f: stream(label_fn=f), "`label_fn` must") for f in (1, "y", Y)],
    *[(lambda b=b: stream(batched=b), "`batched` must") for b in ("yes", 2)],
    *[(lambda s=s: stream(seed=1).load_state_dict(s), "`state` must") for s in BAD_STATES],
    (
        lambda: stream(seed=1).load_state_dict(stream(seed=2).state_dict()),
        "`state` must be of a sampler of 3 .* seed 1.*with seed=2",
    ),
    (
        lambda: stream(seed=1).load_state_dict(stream(class_counts=[4, 4], seed=1).state_dict()),
        "`state` must be of a sampler of 3",
    ),
    *[
        (lambda k=k, v=v: stream(seed=1).load_state_dict({**stream(seed=1).state_dict(), k: v}), "`(state|target)`")
        for k, v in [("epoch", -1), ("counts", [1, -1, 1]), ("owed", [0, 0]), ("target", [1, NAN, 0])]
    ],
    (lambda: stream((X, Y)), r"Arrays are rebalanced by ArraySampler"),
    (lambda: stream(ROWS.map(lambda x, y: {"x": x, "y": y})), r"Map it to that form first, .*row\['x'\], row\['y'\]"),
    (
        lambda: stream(class_counts={0: 4, 1: 2, 2: 2}),
        "`class_counts` must .* order of the class ids.*count_classes",
    ),
    *[
        (lambda n=n: stream(class_names=n), "`class_names` must be a list")
        for n in (dict(enumerate(NAMES)), set(NAMES))
    ],
    *[(lambda n=n: stream(class_names=n), "`class_names` must be a list") for n in (5, b"abc")],
    (lambda: stream(batched=True), "`batched` must be False for a dataset of rows"),
    (lambda: stream(ROWS.map(lambda x, y: (x, tf.gather(NAMES, y)))), "`y` must be numbers.*StringLookup"),
    (lambda: stream(ROWS.batch(8, drop_remainder=True), batched=False), "`y` must .* of 3 classes.*batched=False"),
    (lambda: stream(ONE_HOT_ROWS, class_counts=[4, 4]), r"`y` must .* of 2 classes.*shape=\(3,\)"),
    (lambda: stream(ONE_HOT_ROWS.batch(4), class_counts=[4, 4]), "`y` must .* of 2 classes.*`label_fn`"),
    # ArraySampler
    (lambda: ArraySampler(ROWS, None), "`x` must be an array.*StreamSampler"),
    (lambda: ArraySampler(ROWS, Y), "`x` must be an array.*StreamSampler"),
    *[(lambda s=s: ArraySampler(s(X), Y), r"`x` must.*x\.toarray\(\)") for s in (sparse.csr_matrix, sparse.csc_array)],
    (lambda: ArraySampler([[1, None]] * 8, Y), "`x` must hold no missing values.*8 missing of 16.*fill them first"),
    (lambda: ArraySampler(Y.astype("datetime64[s]"), Y), r"`x` must.*dtype datetime64\[s\]"),
    (lambda: ArraySampler(np.zeros(8, dtype=[("a", float)]), Y), "`x` must.*dtype .*'a'"),
    (lambda: ArraySampler(X, [None, *Y[1:]]), "`y` must.*missing values"),
    (lambda: ArraySampler(X, ragged(1, 2, 1, 1, 1, 1, 1, 1)), "`y` must have rows of one length"),
    (lambda: ArraySampler(list(X), Y), r"x of \[2\] rows.*list of 8 arrays is 8 inputs: numpy.stack\(x\)"),
    (lambda: ArraySampler(Y, X + 0.5), "`y` must be one-hot.*Features come first, labels second"),
    (lambda: ArraySampler(X, X + 0.5), "`y` must be one-hot.*`classes`"),
    (lambda: ArraySampler(X, Y, classes=NAMES), r"`classes` must hold the class of each of 8 rows.*`class_names`"),
    (lambda: ArraySampler(X, Y, 32), "`sample_weight` must.*batch_size=32"),
    (lambda: ArraySampler(X, Y, "balanced"), "`sample_weight` must.*by name"),
    (lambda: ArraySampler(X, Y, {0: 1, 1: 2.0, 2: 2}), "`sample_weight` must hold weights of rows.*`class_weight`"),
    *[(lambda v=v: ArraySampler(X, Y, weights(v)), "`sample_weight` must hold finite weights") for v in (-1, NAN, INF)],
    (lambda: ArraySampler(X, Y, (weights(1), weights(-1))), "`sample_weight` must hold finite weights"),
    (
        lambda: ArraySampler(X, Y, np.ones((8, 2))),
        r"`sample_weight` must .*a position.*\(8, 2\) for labels of shape \(8,\)",
    ),
    (lambda: ArraySampler(X, Y, np.full(8, "a")), "`sample_weight` must hold finite weights"),
    *[
        (lambda n=n: ArraySampler(X, Y, class_names=n), "`class_names` must be a list")
        for n in ({0: "a"}, set(NAMES), 5)
    ],
    (lambda: ArraySampler(X, Y, epoch_size=None), "`epoch_size` must be a whole number.*undersample"),
    (lambda: ArraySampler(X, Y, target=None), "`target` must be one of .*'sqrt'"),
    (lambda: ArraySampler(X, Y, target={0: "a"}), "`target` must map classes to finite shares"),
    (lambda: ArraySampler(X, Y, target={0: None}), "`target` must map classes to finite shares"),
    (
        lambda: count_classes(ArraySampler(X, Y)),
        r"`labels` must be an array\. Received: .*ArraySampler.*sampler\.class_counts",
    ),
    # SMOTE
    *[(lambda k=k: SMOTE(k), "`k_neighbors` must") for k in (0, -1, 2.5, None, True, "5")],
    *[(lambda s=s: SMOTE(seed=s), "`seed` must") for s in (-1, 0.5, "a", True)],
    *[
        (lambda c=c: SMOTE(categorical=c), "`categorical` must")
        for c in ([0.5], [0, "a"], [True, False], [NAN], [1, 1], ["a", "a"])
    ],
    *[
        (lambda c=c: with_smote(categorical=c), "`categorical` must be columns of x, 0 to 1")
        for c in ([2], [-1], [0, 9])
    ],
    *[(lambda t=t: SMOTE(targets=t), "`targets` must be one of None, 'interpolate'") for t in (True, "mean", 1)],
    (lambda: with_smote(X[:, :, None], categorical=[0]), "`categorical` must be None.*one array"),
    (lambda: with_smote((X, X), categorical=[0]), "`categorical` must be None.*one array"),
    *[
        (lambda d=d: with_smote(X.astype(d)), "`x` must hold floats, for `smote`.*float32")
        for d in ("int32", "uint8", bool, str)
    ],
    (lambda: with_smote({"a": X, "b": X.astype(int)}), r"`x\['b'\]` must hold floats, for `smote`.*float32"),
    *[(lambda v=v: with_smote(holed(v)), "`x` must be finite.* row 5") for v in (NAN, INF, -INF)],
    (lambda: with_smote((X, holed(NAN))), r"`x\[1\]` must be finite.* row 5"),
    *[(lambda s=s: ArraySampler(X, Y, smote=s), "`smote` must be a SMOTE or None") for s in (5, True, "smote", SMOTE)],
    (lambda: ArraySampler(X, [*Y[:7], 1], smote=SMOTE()), r"`smote` must be None .* one row.*\['2'\].*smote=None"),
    # Tomek links
    *[(lambda x=x: tomek_links(x, Y), f"`x` must be.*{m}") for x, m in BAD_X],
    *[(lambda y=y: tomek_links(X, y), "`y`") for y in BAD_Y],
    *[(lambda x=x: tomek_keep_indices(x, Y), f"`x` must be.*{m}") for x, m in BAD_X],
    *[(lambda y=y: tomek_keep_indices(X, y), "`y`") for y in BAD_Y],
    (lambda: tomek_links(Y, X), "`x` must.*Features come first, labels second"),
    (lambda: tomek_links(sparse.csr_array(X), Y), r"`x` must.*x\.toarray\(\)"),
    (lambda: tomek_links([[1, None]] * 8, Y), r"`x` must.*x\.astype\('float32'\)"),
    (lambda: tomek_links(ragged(*range(8)), Y), "`x` must have rows of one length"),
    (lambda: tomek_links(X, X + 0.5), r"`y` must be one-hot.* y\.argmax\(axis=1\)"),
    (lambda: tomek_links(X, Y[:7]), "`x` must have as many rows as `y`. Received: 8 and 7"),
    *[
        (lambda r=r: tomek_keep_indices(X, Y, remove=r), "`remove` must be one of")
        for r in ("all", None, "minority", 1, ["both"])
    ],
]


@pytest.mark.parametrize(
    ("call", "message"), TABLE, ids=[f"{i}-{message[:30]}" for i, (_, message) in enumerate(TABLE)]
)
def test_bad_input_raises_an_error_that_names_it(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("call", [tomek_links, tomek_keep_indices])
def test_no_rows_at_all(call):
    with pytest.raises(ValueError, match="`x`"):
        call(X[:0], Y[:0])


def test_a_bad_distribution_leaves_the_one_before():
    for sampler in (stream(), learnt()):
        sampler.target = [0.5, 0.25, 0.25]
        with pytest.raises(ValueError, match="`target` must"):
            sampler.target = [1, NAN, 0]
        with pytest.raises(ValueError, match="`target`"):
            sampler.target = "equal"
        np.testing.assert_allclose(sampler.distribution, [0.5, 0.25, 0.25])


@pytest.mark.parametrize(
    "make", [lambda: ArraySampler(X, Y, seed=0), stream, learnt], ids=["arrays", "stream", "learnt"]
)
def test_a_sampler_in_the_place_of_its_batches_says_where_they_are(make):
    with pytest.raises(TypeError, match=r"sampler\.dataset\(\)"):
        list(make())
    assert repr(make()) == f"<{type(make()).__name__} of 3 classes: pass its .dataset() to fit>"


@keras_3_only("tf-keras names the type alone")
def test_fit_on_a_sampler_says_what_to_pass():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    for call in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ValueError, match=r"<ArraySampler of 3 classes: pass its \.dataset\(\) to fit>"):
            call(ArraySampler(X, Y))


@pytest.mark.parametrize("weight", [-1.0, NAN, INF])
def test_weights_of_a_stream_are_checked_as_those_of_arrays(weight):
    weighted = tf.data.Dataset.from_tensor_slices((X, Y, weights(weight)))
    with pytest.raises(tf.errors.OpError, match="`sample_weight` must hold finite weights"):
        list(stream(weighted).dataset())


def test_a_pass_without_rows_is_an_error():
    with pytest.raises(tf.errors.OpError, match="`dataset` must give rows in every epoch"):
        list(stream(ROWS.take(0)).dataset())
    once = iter(zip(X, Y, strict=True))
    signature = (tf.TensorSpec((2,)), tf.TensorSpec((), tf.int64))
    sampler = stream(tf.data.Dataset.from_generator(lambda: once, output_signature=signature), seed=0)
    assert sum(len(y) for _, y in sampler.dataset()) == sampler.exposure.sum() > 0
    with pytest.raises(tf.errors.OpError, match=r"generator is used up.*begins anew"):
        list(sampler.dataset())


def test_what_a_label_fn_gives_is_named_as_its_own():
    with pytest.raises(
        tf.errors.OpError, match=r"`label_fn\(\.\.\.\)` must hold class ids from 0 below 3. Received: 5"
    ):
        list(stream(label_fn=lambda x, y: y + 3 * tf.cast(y == 2, y.dtype)).dataset())


def test_the_names_of_the_classes_tell_their_number():
    sampler = stream(class_counts=None, class_names=NAMES)
    assert sampler.num_classes == 3
    assert sampler.class_names == NAMES


@pytest.mark.parametrize("batched", [True, False])
def test_the_way_from_names_to_numbers_works(batched):
    """What the error for names says to do."""
    named = ROWS.map(lambda x, y: (x, tf.gather(NAMES, y)))
    lookup = keras.layers.StringLookup(vocabulary=NAMES, num_oov_indices=0)
    sampler = stream((named.batch(3) if batched else named).map(lambda x, y: (x, lookup(y))), seed=0)
    rows = np.concatenate([np.column_stack([x, y]) for x, y in sampler.dataset().as_numpy_iterator()])
    assert len(rows)
    assert {tuple(row) for row in rows.tolist()} <= {tuple(row) for row in np.column_stack([X, Y]).tolist()}
