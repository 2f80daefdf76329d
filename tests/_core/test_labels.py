"""The rule by which labels and predictions line up."""

import numpy as np
import pytest
from loss_gradients import compiled

from keras_imbalance._core import align, check_distributions, class_ids, label_form, label_tensor
from keras_imbalance._keras import ops

N, T, H, W, C = 6, 5, 4, 3, 7

LINE_UP = [
    # y_true, y_pred, axis, multi_label, form
    ((N,), (N, C), -1, False, "ids"),
    ((N, 1), (N, C), -1, False, "ids"),
    ((N, C), (N, C), -1, False, "distribution"),
    ((N,), (N, 1), -1, False, "sigmoid"),
    ((N, 1), (N, 1), -1, False, "sigmoid"),
    ((N, C), (N, C), -1, True, "sigmoid"),
    ((N, 1), (N, 1), -1, True, "sigmoid"),
    ((N, T), (N, T, C), -1, False, "ids"),
    ((N, T, 1), (N, T, C), -1, False, "ids"),
    ((N, T, C), (N, T, C), -1, False, "distribution"),
    ((N, T), (N, T, 1), -1, False, "sigmoid"),
    ((N, T, C), (N, T, C), -1, True, "sigmoid"),
    ((N, H, W), (N, H, W, C), -1, False, "ids"),
    ((N, H, W, 1), (N, H, W, C), -1, False, "ids"),
    ((N, H, W, C), (N, H, W, C), -1, False, "distribution"),
    ((N, H, W), (N, H, W, 1), -1, False, "sigmoid"),
    ((N, H, W, 1), (N, H, W, 1), -1, False, "sigmoid"),
    ((N, H, W), (N, C, H, W), 1, False, "ids"),
    ((N, 1, H, W), (N, C, H, W), 1, False, "ids"),
    ((N, C, H, W), (N, C, H, W), 1, False, "distribution"),
    ((N, C, H, W), (N, C, H, W), 1, True, "sigmoid"),
    ((N, H, W), (N, 1, H, W), -3, False, "sigmoid"),
    # Sizes that agree by chance decide nothing: the rank does.
    ((4, 4, 4), (4, 4, 4, C), -1, False, "ids"),
    ((4, 4, 4), (4, 4, 4, 4), -1, False, "ids"),
    ((4, 4, 4), (4, 4, 4), -1, False, "distribution"),
    ((4,), (4, 4), -1, False, "ids"),
    ((1, 1), (1, 4), -1, False, "ids"),
    # None is a size that is not known yet.
    ((None,), (None, C), -1, False, "ids"),
    ((None, 1), (None, C), -1, False, "ids"),
    ((None, C), (N, C), -1, False, "distribution"),
    ((None, None), (None, None, C), -1, False, "ids"),
]

REFUSED = [
    ((N + 1,), (N, C), -1, False),
    ((N, 2), (N, C), -1, False),
    ((N, C + 1), (N, C), -1, False),
    ((N, C, 1), (N, C), -1, False),
    ((), (N, C), -1, False),
    ((N,), (N, C), -1, True),
    ((N, 1), (N, C), -1, True),
    ((N, 2), (N, 1), -1, False),
    ((N, 1, 1), (N, 1), -1, False),
    ((N,), (N, T, C), -1, False),
    ((T, N), (N, T, C), -1, False),
    ((N, T, 1), (N, C, T), 1, False),
    ((N, H, W, 1), (N, C, H, W), 1, False),
    ((N, W, H), (N, H, W, C), -1, False),
    ((N, H), (N, H, W, C), -1, False),
]


@pytest.mark.parametrize(("true", "pred", "axis", "multi_label", "form"), LINE_UP)
def test_shapes_that_line_up(true, pred, axis, multi_label, form):
    assert label_form(true, pred, axis, multi_label) == form


@pytest.mark.parametrize(("true", "pred", "axis", "multi_label"), REFUSED)
def test_shapes_that_do_not_line_up_are_both_named(true, pred, axis, multi_label):
    with pytest.raises(ValueError, match="`y_true` must line up with `y_pred`") as error:
        label_form(true, pred, axis, multi_label)
    assert f"y_true.shape={true}" in str(error.value)
    assert f"y_pred.shape={pred}" in str(error.value)


def test_the_channel_axis_must_exist_and_have_a_size():
    with pytest.raises(ValueError, match=r"`axis` must be an axis .* axis=2, y_pred.shape=\(6, 7\)"):
        label_form((N,), (N, C), axis=2)
    with pytest.raises(ValueError, match="`y_pred` must have a channel axis of known size"):
        label_form((None,), (None, None))


@pytest.mark.parametrize(
    ("true", "pred", "axis", "multi_label", "form"), [row for row in LINE_UP if None not in row[0]]
)
def test_align_puts_the_channels_last_and_keeps_the_labels(true, pred, axis, multi_label, form):
    rng = np.random.default_rng(0)
    channels = pred[axis]
    predictions = rng.random(pred).astype("float32")
    if form == "distribution":
        chosen = rng.integers(channels, size=np.delete(np.array(pred), axis))
        labels = np.moveaxis(np.eye(channels, dtype="float32")[chosen], -1, axis)
    else:
        labels = rng.integers(2 if form == "sigmoid" else channels, size=true)
    aligned = align(ops.convert_to_tensor(labels), ops.convert_to_tensor(predictions), axis, multi_label)
    positions = np.moveaxis(predictions, axis, -1)
    np.testing.assert_array_equal(aligned.predictions, positions)
    assert aligned.form == form
    if form == "ids":
        expected = labels.reshape(positions.shape[:-1])
    elif form == "distribution":
        expected = np.moveaxis(labels, axis, -1)
    else:
        expected = labels.reshape(positions.shape) if channels == 1 else np.moveaxis(labels, axis, -1)
    np.testing.assert_array_equal(aligned.labels, expected)
    assert not np.asarray(aligned.wrong).any()
    assert aligned.wrong.shape == positions.shape[:-1]


def test_ignored_labels_are_not_valid_and_hold_a_harmless_label():
    predictions = ops.zeros((3, 4))
    aligned = align(ops.convert_to_tensor([1, 255, 3]), predictions, ignore_class=255)
    np.testing.assert_array_equal(aligned.valid, [True, False, True])
    assert np.asarray(aligned.labels).max() < 4
    one_hot = align(ops.convert_to_tensor(np.eye(4, dtype="float32")[[1, 2, 3]]), predictions, ignore_class=2)
    np.testing.assert_array_equal(one_hot.valid, [True, False, True])
    binary = align(ops.convert_to_tensor([1.0, -1.0, 0.0]), ops.zeros((3, 1)), ignore_class=-1)
    np.testing.assert_array_equal(np.asarray(binary.valid)[:, 0], [True, False, True])


BAD_VALUES = [
    ([0, 4], (2, 4), "`y_true` must hold class ids from 0 below 4"),
    ([0, -1], (2, 4), "`y_true` must hold class ids"),
    ([0.0, 1.5], (2, 4), "`y_true` must hold class ids, which are whole"),
    ([0.0, np.nan], (2, 4), "`y_true` must hold class ids, which are whole"),
    ([0.0, 2.0], (2, 1), r"`y_true` must lie in \[0, 1\]"),
    ([0.0, np.nan], (2, 1), r"`y_true` must lie in \[0, 1\]"),
    ([[0.5, 0.6], [1, 0]], (2, 2), "`y_true` must be one-hot or a distribution"),
    ([[1.5, -0.5], [1, 0]], (2, 2), "`y_true` must be one-hot or a distribution"),
    ([[np.nan, 0], [1, 0]], (2, 2), "`y_true` must be one-hot or a distribution"),
]


@pytest.mark.parametrize(("labels", "shape", "message"), BAD_VALUES)
def test_invalid_labels_raise_where_they_can_be_seen(labels, shape, message):
    with pytest.raises(ValueError, match=message):
        align(ops.convert_to_tensor(labels), ops.zeros(shape))


@pytest.mark.parametrize(("labels", "shape", "message"), BAD_VALUES)
def test_invalid_labels_are_marked_in_a_graph(labels, shape, message):
    marked = ops.convert_to_numpy(compiled(lambda y: align(y, ops.zeros(shape)).wrong)(ops.convert_to_tensor(labels)))
    assert marked.any()
    assert not marked.all()


def test_class_ids_of_every_form():
    ids = np.array([2, 0, 1, 2])
    for labels in (ids, ids[:, None], np.eye(3)[ids], np.eye(3, dtype=bool)[ids], ids.astype("float32")):
        found = class_ids(labels)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, ids)


@pytest.mark.parametrize(
    "labels",
    [
        ["a", "b"],
        [0.5, 1],
        [np.nan, 1],
        [np.inf, 1],
        [-1, 0],
        [[0.5, 0.5]],
        [[1, 1]],
        [[0, 0]],
        [[2, -1]],
        np.zeros((2, 2, 2)),
        3,
    ],
)
def test_what_is_no_class_label_is_named(labels):
    with pytest.raises(ValueError, match="`y`"):
        class_ids(labels, name="y")


def test_class_ids_out_of_the_given_range_are_refused():
    with pytest.raises(ValueError, match=r"`labels` must hold class ids from 0 below 3\. Received: 3"):
        class_ids([0, 3], 3)
    with pytest.raises(ValueError, match="`labels` must have 4 columns"):
        class_ids(np.eye(3), 4)


def test_a_distribution_may_be_soft():
    check_distributions(np.array([[0.2, 0.8], [1.0, 0.0]]), "y")


@pytest.mark.parametrize("what", ["sample_weight", "mask"])
@pytest.mark.parametrize(
    ("given", "pred", "axis", "expected"),
    [
        ((N,), (N, C), -1, (N,)),
        ((N, 1), (N, C), -1, (N,)),
        ((N,), (N, T, C), -1, (N, 1)),
        ((N, 1), (N, T, C), -1, (N, 1)),
        ((N, T), (N, T, C), -1, (N, T)),
        ((N, T, 1), (N, T, C), -1, (N, T)),
        ((N, H), (N, H, W, C), -1, (N, H, 1)),
        ((N, H, W), (N, H, W, C), -1, (N, H, W)),
        ((N, H, W), (N, C, H, W), 1, (N, H, W)),
        ((N, 1, H, W), (N, C, H, W), 1, (N, H, W)),
    ],
)
def test_weights_and_masks_are_spread_over_the_positions_of_their_row(what, given, pred, axis, expected):
    values = np.random.default_rng(0).random(given) < 0.6
    labels = ops.zeros(tuple(np.delete(pred, axis).tolist()), dtype="int32")
    aligned = align(labels, ops.zeros(pred), axis, **{what: ops.cast(values, "float32")})
    wanted = np.broadcast_to(values.reshape(expected), labels.shape)
    np.testing.assert_array_equal(aligned.counted, wanted)
    np.testing.assert_array_equal(aligned.weights if what == "sample_weight" else aligned.valid, wanted)


def test_weights_of_labels_and_of_rows_of_labels():
    for shape, axis in (((N, C), -1), ((N, C, H), 1)):
        labels = ops.zeros(shape)
        weights = np.random.default_rng(0).random(shape).astype("float32")
        found = align(labels, labels, axis, multi_label=True, sample_weight=ops.convert_to_tensor(weights)).weights
        np.testing.assert_array_equal(found, np.moveaxis(weights, axis, -1))
        row = weights.take([0], axis)
        found = align(labels, labels, axis, multi_label=True, sample_weight=ops.convert_to_tensor(row)).weights
        np.testing.assert_array_equal(found, np.broadcast_to(np.moveaxis(row, axis, -1), np.shape(found)))


@pytest.mark.parametrize(
    ("weights", "pred"), [((N + 1,), (N, C)), ((N, T), (N, C)), ((N, W), (N, H, W, C)), ((T,), (N, T, C)), ((), (N, C))]
)
def test_weights_of_another_shape_are_refused(weights, pred):
    labels = ops.zeros(pred[:-1], dtype="int32")
    for name in ("sample_weight", "mask") if weights else ():
        with pytest.raises(ValueError, match=rf"`{name}` must have one value .*{name}.shape="):
            align(labels, ops.zeros(pred), **{name: ops.ones(weights)})
    if not weights:  # one for all
        assert np.shape(align(labels, ops.zeros(pred), sample_weight=ops.ones(())).weights) == pred[:-1]


@pytest.mark.parametrize(("labels", "shape", "message"), BAD_VALUES)
def test_invalid_labels_that_count_nowhere_are_right(labels, shape, message):
    bad = [not np.isclose(np.sum(row), 1) or np.min(row) < 0 for row in labels] if np.ndim(labels) == 2 else [0, 1]
    keep = np.logical_not(bad).astype("float32")
    given, zeros = ops.convert_to_tensor(labels), ops.zeros(shape)
    for what in ("sample_weight", "mask"):
        seen = align(given, zeros, **{what: ops.convert_to_tensor(keep)})
        traced = compiled(lambda y, w: align(y, zeros, **{what: w}).wrong)(given, ops.convert_to_tensor(keep))  # noqa: B023
        assert not np.asarray(seen.wrong).any()
        assert not ops.convert_to_numpy(traced).any()
        assert np.isfinite(np.asarray(seen.labels, dtype="float64")).all()


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_a_weight_is_finite_and_not_negative_where_it_counts(bad):
    labels, zeros = ops.zeros((3,), dtype="int32"), ops.zeros((3, C))
    weights, mask = ops.convert_to_tensor([1.0, bad, 1.0]), ops.convert_to_tensor([True, False, True])
    with pytest.raises(ValueError, match=f"`sample_weight` must hold finite weights .* {bad} in row 1"):
        align(labels, zeros, sample_weight=weights)
    marked = compiled(lambda w: align(labels, zeros, sample_weight=w).wrong)(weights)
    np.testing.assert_array_equal(ops.convert_to_numpy(marked), [False, True, False])
    hidden = align(labels, zeros, sample_weight=weights, mask=mask)
    np.testing.assert_array_equal(hidden.weights, [1, 0, 1])
    assert not np.asarray(hidden.wrong).any()


def test_an_all_zero_row_is_what_one_hot_makes_of_an_ignored_label_and_no_class():
    rows = ops.convert_to_tensor(np.eye(4, dtype="float32")[[1, 2]] * [[1], [0]])
    np.testing.assert_array_equal(align(rows, ops.zeros((2, 4)), ignore_class=255).valid, [True, False])
    for ignored in (None, 0):
        with pytest.raises(ValueError, match="a row that sums to 0"):
            align(rows, ops.zeros((2, 4)), ignore_class=ignored)


@pytest.mark.parametrize("label", [2**32, 2**32 + 1, -(2**32), 2**31])
def test_an_id_that_int32_cannot_hold_is_wrong(label):
    with pytest.raises(ValueError, match="class ids"):
        align(label_tensor(np.array([1, label])), ops.zeros((2, 4)))
    given = label_tensor(np.array([1, label]))
    marked = compiled(lambda y: align(y, ops.zeros((2, 4))).wrong)(given)
    np.testing.assert_array_equal(ops.convert_to_numpy(marked), [False, True])
    if "int64" in str(given.dtype):  # JAX has none by itself
        marked = compiled(lambda y: align(y, ops.zeros((2, 4))).wrong)(ops.convert_to_tensor(np.array([1, label])))
        np.testing.assert_array_equal(ops.convert_to_numpy(marked), [False, True])
