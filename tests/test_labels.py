"""The rule by which labels and predictions line up."""

import numpy as np
import pytest
from loss_gradients import compiled

from keras_imbalance.backend import ops
from keras_imbalance.labels import align, check_distributions, class_ids, label_form, spread_weights

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
    with pytest.raises(ValueError, match="do not line up") as error:
        label_form(true, pred, axis, multi_label)
    assert f"y_true.shape={true}" in str(error.value)
    assert f"y_pred.shape={pred}" in str(error.value)


def test_the_channel_axis_must_exist_and_have_a_size():
    with pytest.raises(ValueError, match=r"`axis` must be an axis .* axis=2, y_pred.shape=\(6, 7\)"):
        label_form((N,), (N, C), axis=2)
    with pytest.raises(ValueError, match=r"channel axis of `y_pred` must have a known size"):
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
    places = np.moveaxis(predictions, axis, -1)
    np.testing.assert_array_equal(aligned.predictions, places)
    assert aligned.form == form
    if form == "ids":
        expected = labels.reshape(places.shape[:-1])
    elif form == "distribution":
        expected = np.moveaxis(labels, axis, -1)
    else:
        expected = labels.reshape(places.shape) if channels == 1 else np.moveaxis(labels, axis, -1)
    np.testing.assert_array_equal(aligned.labels, expected)
    assert not np.asarray(aligned.wrong).any()
    assert aligned.wrong.shape == places.shape[:-1]


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
    ([0, 4], (2, 4), "`y_true` must hold class numbers from 0 below 4"),
    ([0, -1], (2, 4), "`y_true` must hold class numbers"),
    ([0.0, 1.5], (2, 4), "`y_true` must hold whole class numbers"),
    ([0.0, np.nan], (2, 4), "`y_true` must hold whole class numbers"),
    ([0.0, 2.0], (2, 1), r"`y_true` must lie in \[0, 1\]"),
    ([0.0, np.nan], (2, 1), r"`y_true` must lie in \[0, 1\]"),
    ([[0.5, 0.6], [1, 0]], (2, 2), "`y_true` .* must be one-hot or a distribution"),
    ([[1.5, -0.5], [1, 0]], (2, 2), "`y_true` .* must be one-hot or a distribution"),
    ([[np.nan, 0], [1, 0]], (2, 2), "`y_true` .* must be one-hot or a distribution"),
]


@pytest.mark.parametrize(("labels", "shape", "message"), BAD_VALUES)
def test_labels_that_are_none_raise_where_they_can_be_seen(labels, shape, message):
    with pytest.raises(ValueError, match=message):
        align(ops.convert_to_tensor(labels), ops.zeros(shape))


@pytest.mark.parametrize(("labels", "shape", "message"), BAD_VALUES)
def test_labels_that_are_none_are_marked_in_a_graph(labels, shape, message):
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
    with pytest.raises(ValueError, match=r"`labels` must hold class numbers from 0 below 3\. Received: 3"):
        class_ids([0, 3], 3)
    with pytest.raises(ValueError, match="`labels` must have 4 columns"):
        class_ids(np.eye(3), 4)


def test_a_distribution_may_be_soft():
    check_distributions(np.array([[0.2, 0.8], [1.0, 0.0]]), "y")


@pytest.mark.parametrize(
    ("weights", "places", "expected"),
    [
        ((N,), (N,), (N,)),
        ((N, 1), (N,), (N,)),
        ((N,), (N, T), (N, 1)),
        ((N, 1), (N, T), (N, 1)),
        ((N, T), (N, T), (N, T)),
        ((N, T, 1), (N, T), (N, T)),
        ((N, H), (N, H, W), (N, H, 1)),
        ((N, H, W), (N, H, W), (N, H, W)),
    ],
)
def test_weights_are_spread_over_the_places_of_their_row(weights, places, expected):
    given = np.random.default_rng(0).random(weights)
    spread = np.asarray(spread_weights(ops.convert_to_tensor(given), ops.zeros(places)))
    assert spread.shape == expected
    np.testing.assert_array_equal(spread.reshape(-1), given.reshape(-1).astype(spread.dtype))


@pytest.mark.parametrize(("weights", "places"), [((N + 1,), (N,)), ((N, T), (N,)), ((N, W), (N, H, W)), ((T,), (N, T))])
def test_weights_of_another_shape_are_refused(weights, places):
    with pytest.raises(ValueError, match=r"`sample_weight` must have one value .*sample_weight.shape="):
        spread_weights(ops.ones(weights), ops.zeros(places))
