"""Deep copies of callbacks, as KerasTuner makes them, act on the sampler that is fitted."""

import copy

import numpy as np
import pytest
from kerases import keras_3_only
from phase_runs import data, fit, make_model, make_sampler

import keras_imbalance as ki
from keras_imbalance._keras import keras


def test_a_deep_copy_has_the_sampler_of_the_original_and_a_state_of_its_own(tmp_path):
    sampler, stopping = make_sampler(), keras.callbacks.EarlyStopping("loss")
    backup = ki.BackupAndRestore(tmp_path, state=[sampler, stopping])
    callbacks = [ki.DynamicSampling(sampler), ki.TwoPhaseLearning(sampler, switch_epoch=1), stopping, backup]
    dynamic, phases, stopped, saved = copy.deepcopy(callbacks)
    assert dynamic.sampler is phases.sampler is sampler
    assert saved.state[0] is sampler
    assert saved.state[1] is stopped
    assert stopped is not stopping
    assert dynamic.history is not callbacks[0].history
    assert phases.phases[0] is not callbacks[1].phases[0]
    assert [callback.copied for callback in (callbacks[0], dynamic)] == [False, True]


def test_what_is_copied_with_its_sampler_keeps_the_copy():
    """One call of deepcopy gives things that belong together, in either order."""
    sampler = make_sampler()
    other, dynamic = copy.deepcopy((sampler, ki.DynamicSampling(sampler)))
    assert dynamic.sampler is other is not sampler
    dynamic, other = copy.deepcopy((ki.DynamicSampling(sampler), sampler))
    assert dynamic.sampler is other


def test_a_copy_of_a_callback_that_was_used_shares_the_model():
    sampler, model = make_sampler(), make_model(run_eagerly=True)
    used = ki.TwoPhaseLearning(sampler, switch_epoch=1, freeze="backbone")
    fit(model, sampler, [used], 2)
    copied = copy.deepcopy(used)
    assert copied.model is used.model
    fit(model, sampler, [copied], 2)
    np.testing.assert_allclose(sampler.distribution, 1 / 3)


def test_a_copy_whose_sampler_is_not_fitted_is_an_error_in_the_first_epoch():
    model, fitted, drawn = make_model(run_eagerly=True), make_sampler(), []
    count = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: drawn.append(epoch))
    for original in (
        ki.DynamicSampling(make_sampler(), validation_data=data(1)),
        ki.TwoPhaseLearning(make_sampler(), switch_epoch=1),
    ):
        with pytest.raises(ValueError, match=r"is a deep copy, as KerasTuner makes.*HyperModel\.fit"):
            fit(model, fitted, [copy.deepcopy(original), count], 3)
    assert not drawn


@pytest.mark.slow
@keras_3_only("KerasTuner takes models of Keras 3")
def test_keras_tuner_searches_with_copies(tmp_path):
    """With callbacks that each trial makes for itself, docs/guides/callbacks.md does."""
    import keras_tuner

    sampler = make_sampler(batch_size=50)
    given = [ki.DynamicSampling(sampler, end_epoch=1), ki.TwoPhaseLearning(sampler, switch_epoch=1)]

    def build(hp):
        model = make_model(metrics=[ki.PerClassF1(3)])
        model.optimizer.learning_rate = hp.Choice("rate", [0.1, 0.01])
        return model

    def search(name, rows, trials):
        objective = keras_tuner.Objective("val_f1", "max")
        tuner = keras_tuner.GridSearch(
            build, objective, max_trials=trials, max_consecutive_failed_trials=1, directory=tmp_path, project_name=name
        )
        tuner.search(rows, epochs=2, validation_data=data(1), verbose=0, callbacks=given)
        return [trial.status for trial in tuner.oracle.trials.values()]

    assert search("fitted", sampler.dataset(), 2) == ["COMPLETED"] * 2
    assert sampler.exposure.sum() == 2 * 2 * 100  # two trials of two epochs drew from the one sampler
    assert sampler.target == "balanced"
    with pytest.raises(RuntimeError, match="Number of consecutive failures"):
        search("another", make_sampler(batch_size=50).dataset(), 1)
