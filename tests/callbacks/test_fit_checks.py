"""What callbacks say when training begins: of epochs that are never reached, keys that nothing logs, an order that fails."""

import warnings

import pytest
from kerases import keras_3_only
from phase_runs import COUNTS, Recorder, data, fit, make_model, make_sampler

import keras_imbalance as ki
from keras_imbalance._keras import _training, keras
from keras_imbalance.callbacks.fit_checks import warn_of_late_epoch


def begin(model, callbacks, epochs=4):
    """What fit does before its first epoch."""
    listed = keras.callbacks.CallbackList(callbacks, add_history=True, model=model, epochs=epochs, steps=4)
    listed.on_train_begin()
    return listed


def said(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(warning.message) for warning in caught if "this fit ends before" in str(warning.message)]


# --- epochs

LATE = {
    "start_epoch=7 of PhasedTraining": lambda s: ki.PhasedTraining(
        [ki.Phase(1, freeze="head"), ki.Phase(7, unfreeze=True)]
    ),
    "switch_epoch=7 of TwoPhaseLearning": lambda s: ki.TwoPhaseLearning(s, switch_epoch=7),
    "switch_epoch=7 of ClassifierRetraining": lambda s: ki.ClassifierRetraining(s, switch_epoch=7, head="head"),
    "start_epoch=7 of DynamicSampling": lambda s: ki.DynamicSampling(s, start_epoch=7),
    "end_epoch=9 of ProgressiveSampling": lambda s: ki.ProgressiveSampling(s, end_epoch=9),
    "start_epoch=7 of DeferredReweighting": lambda s: ki.DeferredReweighting(7),
}


@pytest.mark.parametrize("received", LATE)
def test_an_epoch_that_the_fit_does_not_reach_is_warned_of_before_the_first(received):
    model, sampler = make_model(metrics=[ki.PerClassF1(3)]), make_sampler()
    model.compile("sgd", ki.ClassBalancedLoss(COUNTS, from_logits=True), metrics=[ki.PerClassF1(3)])
    for epochs, expected in ((2, 1), (7, 1), (10, 0)):
        callback = LATE[received](sampler)
        messages = said(lambda callback=callback, epochs=epochs: begin(model, [callback], epochs).on_train_end())
        assert len(messages) == expected
        assert all(f"Received: {received}" in message and f"epochs={epochs} of fit" in message for message in messages)


def test_the_last_epoch_is_not_too_late():
    class Told:
        params = {"epochs": 3}  # noqa: RUF012

    for epoch, count in ((2, 0), (3, 1)):
        assert len(said(lambda epoch=epoch: warn_of_late_epoch(Told(), "start_epoch", epoch, "Nothing"))) == count
    Told.params = None
    assert not said(lambda: warn_of_late_epoch(Told(), "start_epoch", 9, "Nothing"))


# --- keys


class Adds(keras.callbacks.Callback):
    """Might log any key."""


class Own(keras.metrics.Mean):
    """Might log any key, as a dict."""


def dynamic(**arguments):
    return ki.DynamicSampling(make_sampler(class_names=["ok", "worn", "gone"]), **arguments)


NAMED = {"class_names": ["ok", "worn", "gone"]}
QUIET = {**NAMED, "log_classes": False}
MISSING = {
    "another name": (
        lambda: [ki.PerClassF1(3, **NAMED)],
        lambda: [dynamic(monitor="val_f2")],
        "Did you mean 'val_f1/ok'",
    ),
    "a training key": (lambda: [ki.PerClassF1(3, **NAMED)], lambda: [dynamic(monitor="recall")], "'recall/ok'"),
    "no names": (lambda: [ki.PerClassF1(3)], lambda: [dynamic()], "'val_f1/ok'.*'val_f1/0'"),
    "no metric of classes": (lambda: ["accuracy"], lambda: [dynamic()], "PerClassLogger before DynamicSampling"),
    "classes that are not logged": (lambda: [ki.PerClassF1(3, **QUIET)], lambda: [dynamic()], "PerClassLogger before"),
    "a logger that comes after": (
        lambda: [ki.PerClassF1(3, **QUIET)],
        lambda: [dynamic(), ki.PerClassLogger()],
        "PerClassLogger before",
    ),
}
FOUND = {
    "the name": (lambda: [ki.PerClassF1(3, **NAMED), "accuracy"], lambda: [dynamic()]),
    "a report": (lambda: [ki.PerClassReport(3, prefix="r_", **NAMED)], lambda: [dynamic(monitor="val_r_recall")]),
    "a logger": (lambda: [ki.PerClassF1(3, **QUIET)], lambda: [ki.PerClassLogger(), dynamic()]),
    "a callback of the user": (lambda: ["accuracy"], lambda: [Adds(), dynamic()]),
    "a metric of the user": (lambda: [Own(name="mine")], lambda: [dynamic()]),
    "data of its own": (lambda: ["accuracy"], lambda: [dynamic(validation_data=data(1))]),
}


@pytest.mark.parametrize("case", MISSING)
def test_a_key_that_nothing_logs_is_named_before_the_first_epoch(case):
    metrics, callbacks, message = MISSING[case]
    with pytest.raises(ValueError, match=f"`monitor` must name a metric.*{message}"):
        begin(make_model(metrics=metrics()), callbacks())


def test_names_in_another_order_in_the_metric_are_refused():
    """The scores of a class would set the share of another."""
    with pytest.raises(ValueError, match=r"`class_names` must be in one order.*class_names=sampler.class_names"):
        begin(make_model(metrics=[ki.PerClassF1(3, class_names=["worn", "ok", "gone"])]), [dynamic()])


@pytest.mark.parametrize("case", FOUND)
def test_a_key_that_is_or_may_be_logged_is_no_error(case):
    metrics, callbacks = FOUND[case]
    begin(make_model(metrics=metrics()), callbacks())


def test_where_the_other_callbacks_cannot_be_seen_the_end_of_the_epoch_tells(monkeypatch):
    monkeypatch.setattr(_training, "_calling_list", lambda callback: None)
    begin(make_model(metrics=["accuracy"]), [dynamic()])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (ki.PerClassLogger, r"`metrics` must hold a per-class metric for PerClassLogger.*\['accuracy'\]"),
        (ki.PerClassTable, "`metrics` must hold one that counts decisions"),
        (lambda: ki.PerClassTable(metric="f2"), "`metrics` must hold one that counts"),
    ],
)
def test_loggers_miss_their_metric_before_the_first_epoch(make, message):
    with pytest.raises(ValueError, match=message):
        begin(make_model(metrics=["accuracy"]), [make()])
    begin(make_model(metrics=[Own(name="mine")]), [make()])


def test_the_metric_of_a_table_is_looked_for_before_the_first_epoch():
    with pytest.raises(ValueError, match=r"`metric` must name a metric that counts decisions.*Did you mean 'f1"):
        begin(make_model(metrics=[ki.PerClassF1(3)]), [ki.PerClassTable(metric="f2")])
    begin(make_model(metrics=[ki.PerClassF1(3)]), [ki.PerClassTable(metric="f1/2")])


# --- Keras's callbacks that set what ours set


@pytest.mark.parametrize("step", [1, -1])
def test_a_scheduler_of_the_rate_and_phases_that_set_it_are_refused_in_either_order(step):
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.01)
    for phase in (ki.Phase(0, learning_rate=0.1), ki.Phase(1, learning_rate_factor=0.1)):
        with pytest.raises(
            ValueError, match=r"LearningRateScheduler sets the rate.*PhasedTraining.*as a function of the epoch"
        ):
            begin(make_model(), [scheduler, ki.PhasedTraining([phase])][::step])
    begin(make_model(), [scheduler, ki.PhasedTraining([ki.Phase(1, freeze="head")])][::step])


@keras_3_only("has no SwapEMAWeights")
def test_averages_that_stay_in_the_model_between_epochs_come_before_what_reads_weights(tmp_path):
    def swap():
        return keras.callbacks.SwapEMAWeights(swap_on_epoch=True)

    for make in (
        lambda swaps: ki.PhasedTraining([ki.Phase(1, freeze="head")]),
        lambda swaps: ki.DynamicSampling(make_sampler(), validation_data=data(1)),
        lambda swaps: ki.BackupAndRestore(tmp_path, state=[swaps]),
    ):
        swaps = swap()
        begin(make_model(), [swaps, make(swaps)])
        swaps = swap()
        with pytest.raises(ValueError, match="must come"):
            begin(make_model(), [make(swaps), swaps])
    for step in (1, -1):  # it swaps around validation alone
        begin(make_model(), [keras.callbacks.SwapEMAWeights(), ki.PhasedTraining([ki.Phase(1, freeze="head")])][::step])
    for order in (1, -1):
        with pytest.raises(ValueError, match=r"which a backup must know of.*into `state`"):
            begin(make_model(), [swap(), ki.BackupAndRestore(tmp_path)][::order])


# --- nothing is left behind


class Fails(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        raise KeyboardInterrupt


def test_an_error_of_another_callback_leaves_nothing_for_the_next_fit(tmp_path):
    """The backup of an interrupted run has told the fit where to begin; the one after it was not told anything."""
    sampler, recorder = make_sampler(), Recorder()
    model = make_model(run_eagerly=True)
    backup = ki.BackupAndRestore(tmp_path, state=[sampler], delete_checkpoint=False)
    fit(model, sampler, [backup], 1)
    with pytest.raises(KeyboardInterrupt):
        fit(model, sampler, [ki.TwoPhaseLearning(sampler, switch_epoch=1), Fails()], 2)
    with pytest.raises(KeyboardInterrupt):
        fit(model, sampler, [ki.BackupAndRestore(tmp_path, state=[sampler]), Fails()], 2)
    fit(model, sampler, [recorder], 2)
    assert recorder.epochs == [0, 1]
    assert recorder.rates == pytest.approx([0.1, 0.1])
