"""What a compiled step, which cannot raise, tells at the end of the epoch, and soft labels in metrics."""

import warnings

import numpy as np
import pytest
from kerases import IS_TF_KERAS
from loss_gradients import BACKEND, compiled
from sklearn.metrics import recall_score

import keras_imbalance as ki
from keras_imbalance._keras import keras, ops
from keras_imbalance.metrics.counting import KINDS
from keras_imbalance.metrics.wrong_labels import message_of

C = 3
rng = np.random.default_rng(0)
SCORES = rng.dirichlet(np.ones(C), size=8).astype("float32")
IDS = rng.integers(C, size=8)
ONE_HOT = np.eye(C, dtype="float32")[IDS]
seen_only = pytest.mark.skipif(BACKEND == "torch", reason="PyTorch sees the values in every step and raises")


def with_row(values, row):
    changed = np.array(values, dtype="float32")
    changed[3] = row
    return changed


def update_compiled(metric, *batch):
    """One compiled step, in which no value can be read."""
    batch = [ops.convert_to_tensor(part) for part in batch]
    if BACKEND == "tensorflow":
        compiled(lambda *tensors: (metric.update_state(*tensors), tensors)[1])(*batch)  # tf-keras gives an operation
        return
    state = [ops.convert_to_tensor(variable) for variable in metric.variables]
    after = compiled(metric.stateless_update_state)(state, *batch)
    for variable, value in zip(metric.variables, after, strict=True):
        variable.assign(value)


SIGMOIDS = SCORES[:, :1]
CASES = {
    "ids from 1": ((with_row(IDS, 3), SCORES), {}, "class id 3, and 3 classes have the ids 0 to 2. .*y_true - 1"),
    "a filler": ((with_row(IDS, 255), SCORES), {}, "class id 255.*ignore_class=255"),
    "a negative filler": ((with_row(IDS, -1), SCORES), {}, "class id -1.*ignore_class=-1"),
    "a fraction": ((with_row(IDS, 0.5), SCORES), {}, "class id 0.5.*whole numbers"),
    "several labels": ((with_row(ONE_HOT, [1, 1, 0]), SCORES), {}, "a row that sums to 2.*multi_label=True"),
    "no label": ((with_row(ONE_HOT, [0, 0, 0]), SCORES), {}, "a row that sums to 0.*weight of 0.*ignore_class"),
    "soft labels": ((with_row(ONE_HOT, [0.5, 0.5, 0]), SCORES), {}, 'soft labels.*soft_labels="argmax"'),
    "a mask of 255": ((with_row(IDS % 2, 255), SIGMOIDS), {}, "held 255.*y_true / 255"),
    "-1 and 1": ((with_row(IDS % 2, -1), SIGMOIDS), {}, r"held -1.*\(y_true \+ 1\) / 2"),
    "not known": ((with_row(IDS % 2, np.nan), SIGMOIDS), {}, "held nan.*weight of 0.*ignore_class=-1"),
    "1 and 2": ((with_row(IDS % 2, 2), SIGMOIDS), {}, "held 2.*y_true - 1"),
    "a negative weight": ((IDS, SCORES, with_row(np.ones(8), -2)), {}, "`sample_weight` held -2"),
    "NaN": ((IDS, with_row(SCORES, np.nan)), {}, "`y_pred` held NaN.*diverged"),
}


@seen_only
@pytest.mark.parametrize("case", CASES)
def test_a_metric_says_once_which_label_and_the_usual_reason(case):
    batch, options, message = CASES[case]
    size = C if batch[1].shape[1] > 1 else 2
    metric = ki.BalancedAccuracy(size, **options)
    update_compiled(metric, *batch)
    with pytest.warns(UserWarning, match=message):
        assert np.isnan(float(metric.result()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metric.result()
        metric.reset_state()
        metric.update_state(IDS % size, batch[1][:3].repeat(3, axis=0)[:8])
        assert np.isfinite(float(metric.result()))


@seen_only
def test_average_precision_tells_logits_from_probabilities():
    metric = ki.PerClassAveragePrecision(C)
    with pytest.raises(ValueError, match=r"`y_pred` must hold probabilities, in \[0, 1\].*from_logits=True"):
        metric.update_state(IDS, SCORES * 5 - 1)
    update_compiled(metric, IDS, SCORES * 5 - 1)
    with pytest.warns(UserWarning, match=r"outside \[0, 1\].*from_logits=True"):
        assert np.isnan([float(value) for value in metric.result().values()]).all()


BINNED = [
    ki.PerClassAveragePrecision(C),
    ki.PerClassAUC(C),
    ki.PerClassRecallAtPrecision(C, precision=0.5),
    ki.PerClassPrecisionAtRecall(C, recall=0.5),
]


@pytest.mark.parametrize("metric", BINNED, ids=lambda metric: metric.name)
def test_what_nan_spoiled_is_nan_for_every_class_too(metric):
    metric.update_state(IDS, with_row(SCORES, np.nan))
    with pytest.warns(UserWarning, match="`y_pred` held NaN"):
        assert np.isnan([float(value) for value in metric.result().values()]).all()
    assert np.isnan([*metric.class_values().values(), *metric.bounds()[0], *metric.bounds()[1]]).all()
    metric.reset_state()
    metric.update_state(IDS, SCORES)
    assert np.isfinite([float(value) for value in metric.result().values()]).all()


def test_sigmoid_scores_that_may_be_logits_are_told_and_counted_as_they_are():
    y, logits = np.array([0, 0, 1, 1, 1, 0, 1, 1]), np.array([-3, 0.2, 0.3, 2, -1, 0.7, 0.4, 5], "float32")[:, None]
    metric = ki.PerClassRecall(2)
    step = (lambda of, *batch: of.update_state(*batch)) if BACKEND == "torch" else update_compiled
    step(metric, y, logits)
    with pytest.warns(UserWarning, match=r"outside \[0, 1\].*threshold=0.0"):
        found = metric.result()
    recalls = recall_score(y, logits[:, 0] > 0.5, average=None)
    np.testing.assert_allclose([float(found[key]) for key in ("recall/0", "recall/1")], recalls)
    if BACKEND != "torch":
        update_compiled(metric, y + 1, logits)
        with pytest.warns(UserWarning, match="A metric became NaN.*held 2"):
            assert np.isnan(float(metric.result()["recall"]))
    for told, scores in ((ki.PerClassRecall(2, threshold=0), logits), (ki.MacroF1(2), 1 / (1 + np.exp(-logits)))):
        step(told, y, scores)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            told.result()


def test_logits_that_several_replicas_tell_of_are_logits():
    """What each tells is added up."""
    logits, soft = (KINDS.index(kind) for kind in ("logits", "soft"))
    assert message_of(np.array([3, 3 * logits, 0]), 2) == message_of(np.array([1, logits, 0]), 2)
    assert message_of(np.array([2, logits + soft, 0]), 2).startswith(
        "A metric became NaN: `y_true` held an invalid label"
    )


def test_a_threshold_next_to_one_softmax_is_told():
    with pytest.warns(UserWarning, match=r"`threshold`=0.2 decides nothing: of 3 channels.*multi_label=True"):
        ki.PerClassRecall(C, threshold=0.2).update_state(IDS, SCORES)
    with pytest.warns(UserWarning, match="`threshold`=0.2 decides nothing"):
        ki.classification_report(IDS, SCORES, threshold=0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for threshold in (0, 0.5):  # of logits and of probabilities, as argmax decides
            ki.PerClassRecall(C, threshold=threshold).update_state(IDS, SCORES)
        ki.PerClassRecall(C, threshold=0.2, multi_label=True).update_state(ONE_HOT, SCORES)
        ki.PerClassRecall(2, threshold=0.2).update_state(IDS % 2, SCORES[:, 1:2])


def test_infinite_logits_are_no_nan():
    """Their sum is NaN, which is what a compiled step looks at first."""
    scores = with_row(SCORES, [np.inf, -np.inf, 0])
    for metric in (ki.BalancedAccuracy(C), ki.PerClassAveragePrecision(C, from_logits=True, log_classes=False)):
        (metric.update_state if BACKEND == "torch" else lambda *batch, of=metric: update_compiled(of, *batch))(
            IDS, scores
        )
        result = metric.result()
        assert np.isfinite(float(result["average_precision"] if isinstance(result, dict) else result))


def fit(loss, y, metrics=(), callbacks=(), epochs=1):
    model = keras.Sequential([keras.Input((C,)), keras.layers.Dense(C, kernel_initializer="identity")])
    model.compile("sgd", loss, metrics=list(metrics), jit_compile=BACKEND == "jax")  # JAX is eager without
    return model.fit(SCORES * 5 - 1, y, epochs=epochs, batch_size=4, verbose=0, callbacks=list(callbacks))


@seen_only
def test_a_fit_tells_at_the_end_of_its_first_epoch():
    with pytest.warns(UserWarning, match="A metric became NaN") as told:
        fit(ki.FocalLoss(from_logits=True), IDS + 1, metrics=[ki.PerClassRecall(C), ki.MacroF1(C)])
    assert any("class id 3" in str(warning.message) and "y_true - 1" in str(warning.message) for warning in told)


@seen_only
@pytest.mark.parametrize(
    ("loss", "callback"),
    [
        (lambda: ki.WeightedSum([ki.FocalLoss(), ki.TverskyLoss()]), lambda folder: ki.PerClassLogger()),
        (ki.FocalLoss, lambda folder: ki.PerClassTable()),
        (ki.FocalLoss, lambda folder: ki.DeferredReweighting(1, class_counts=[3, 2, 1])),
        (ki.FocalLoss, lambda folder: ki.BackupAndRestore(folder)),
    ],
)
def test_a_callback_tells_what_only_the_loss_refuses_and_once(loss, callback, tmp_path):
    with pytest.warns(UserWarning, match="became NaN.*from_logits=True") as told:
        fit(loss(), IDS, metrics=[ki.PerClassRecall(C)], callbacks=[callback(tmp_path)], epochs=2)
    assert sum(f"{type(loss()).__name__} became NaN" in str(warning.message) for warning in told) == 1


@pytest.mark.parametrize("loss", [ki.FocalLoss(), ki.TverskyLoss(), ki.ClassBalancedLoss([1, 1, 1])])
def test_a_loss_of_probabilities_refuses_logits(loss):
    with pytest.raises(ValueError, match=r"`y_pred` must hold probabilities, in \[0, 1\].*from_logits=True"):
        loss(IDS, SCORES * 5 - 1)
    assert np.isfinite(float(loss(IDS, SCORES)))
    if BACKEND != "torch":
        traced = compiled(lambda y, p: loss(y, p))(ops.convert_to_tensor(IDS), ops.convert_to_tensor(SCORES * 5 - 1))
        assert np.isnan(float(traced))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("in_graph", [False, True])
def test_the_activation_suits_the_loss(activation, in_graph):
    if BACKEND == "jax" or (in_graph and BACKEND == "torch"):
        pytest.skip("Keras keeps no logits with a traced array of JAX; PyTorch is asked outside graphs")
    multi_label = activation == "softmax"
    loss, labels = ki.FocalLoss(multi_label=multi_label), ONE_HOT
    activate = keras.activations.get(activation)

    def of_logits(z):
        return loss(labels, activate(z))

    run = compiled(of_logits) if in_graph else of_logits
    other = "sigmoid" if multi_label else "softmax"
    with pytest.raises(
        ValueError, match=f"`multi_label` must be {not multi_label} for the output of a {activation}.*{other}"
    ):
        run(ops.convert_to_tensor(SCORES * 5 - 1))
    suited = ki.FocalLoss(multi_label=not multi_label)
    assert np.isfinite(float(suited(labels, activate(ops.convert_to_tensor(SCORES * 5 - 1)))))


SOFT = (0.7 * ONE_HOT + 0.3 * ONE_HOT[::-1]).astype("float32")
WEIGHTS = np.linspace(0.5, 2, 8).astype("float32")


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_soft_labels_as_argmax_are_the_likeliest_class(weights):
    for build in (ki.PerClassF1, ki.ConfusionMatrix, ki.PerClassAveragePrecision):
        soft, hard = build(C, soft_labels="argmax"), build(C)
        soft.update_state(SOFT, SCORES, weights)
        hard.update_state(SOFT.argmax(axis=1), SCORES, weights)
        assert soft.class_values("x") == hard.class_values("x")
    soft, hard = (ki.ConfusionMatrix(2, soft_labels=how) for how in ("argmax", None))
    soft.update_state(SOFT[:, 1], SIGMOIDS)
    hard.update_state((SOFT[:, 1] > 0.5) * 1.0, SIGMOIDS)
    np.testing.assert_array_equal(soft.matrix(), hard.matrix())


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_expected_soft_labels_count_a_part_of_every_class(weights):
    of_rows = np.ones(8) if weights is None else weights.astype("float64")
    metric = ki.ConfusionMatrix(C, soft_labels="expected")
    metric.update_state(SOFT, SCORES, weights)
    decided = np.eye(C)[SCORES.argmax(axis=1)]
    np.testing.assert_allclose(metric.matrix(), (of_rows[:, None] * SOFT.astype("float64")).T @ decided, rtol=1e-6)
    several = ki.ConfusionMatrix(C, multi_label=True, soft_labels="expected")
    several.update_state(SOFT, SCORES, weights)
    labels, positive = SOFT.astype("float64"), SCORES > 0.5
    expected = [[(of_rows[:, None] * t * p).sum(axis=0) for p in (~positive, positive)] for t in (1 - labels, labels)]
    np.testing.assert_allclose(several.matrix(), np.moveaxis(expected, -1, 0), rtol=1e-6)
    ranks = ki.PerClassAveragePrecision(C, soft_labels="expected")
    ranks.update_state(SOFT, SCORES, weights)
    np.testing.assert_allclose(ranks._exact_bins()[..., 1].sum(axis=1), of_rows @ labels, rtol=1e-6)


def test_soft_labels_are_named():
    with pytest.raises(ValueError, match="soft_labels"):
        ki.PerClassF1(C).update_state(SOFT, SCORES)
    with pytest.raises(ValueError, match="`soft_labels` must be one of None, 'argmax', 'expected'"):
        ki.PerClassF1(C, soft_labels="mean")
    with pytest.raises(ValueError, match="`top_k` must be None with soft_labels"):
        ki.PerClassF1(C, soft_labels="expected", top_k=2)
    metric = ki.PerClassRecall(C, soft_labels="argmax", axis=1)
    again = type(metric).from_config(metric.get_config())
    assert (again.soft_labels, again.axis) == ("argmax", 1)
    assert (
        IS_TF_KERAS
        or keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric)).get_config()
        == metric.get_config()
    )
