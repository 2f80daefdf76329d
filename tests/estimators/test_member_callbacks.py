"""Callbacks of the members, and what fit writes."""

import pytest
from ensembles import bag, labelled, softmax_net
from kerases import keras_3_only

from keras_imbalance._keras import keras

pytestmark = keras_3_only("BalancedBagging refuses it")


def test_each_member_has_callbacks_of_its_own():
    x, y = labelled()
    seen = {}

    class Watch(keras.callbacks.Callback):
        def __init__(self, member):
            super().__init__()
            self.member = member

        def on_train_batch_end(self, batch, logs=None):
            seen.setdefault(self.member, []).append((batch, sorted(logs)))

        def on_epoch_end(self, epoch, logs=None):
            assert self.model.count_params() == softmax_net().count_params()

    found = []
    for joint in (False, True):
        seen.clear()
        bag(joint=joint).fit(x, y, batch_size=10, epochs=2, callbacks=lambda member: Watch(member), verbose=0)
        found.append({member: list(calls) for member, calls in seen.items()})
    assert found[0] == found[1] == {i: [(batch, ["accuracy", "loss"]) for batch in (0, 1, 2)] * 2 for i in (0, 1)}


def test_verbose_writes_a_line_a_member(capsys):
    x, y = labelled()
    history = bag(members=3).fit(x, y, epochs=2, validation_data=(x, y)).history
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for i, line in enumerate(lines):
        assert line.startswith(f"Member {i + 1}/3 - 30 rows - 2 epochs - ")
        assert f"val_loss: {history[i]['val_loss'][-1]:.4f}" in line
    bag(members=3, joint=True).fit(x, y, epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0] for line in lines] == ["Epoch 1/2", "Epoch 2/2", *(f"Member {i}/3" for i in (1, 2, 3))]
    bag().fit(x, y, verbose=0)
    assert capsys.readouterr().out == ""


def test_a_changed_learning_rate_is_refused_where_members_share_an_optimizer():
    x, y = labelled()

    class Halve(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 0.5 * float(self.model.optimizer.learning_rate)

    bag().fit(x, y, callbacks=lambda: [Halve()], verbose=0)
    with pytest.raises(ValueError, match="leave the learning rate alone"):
        bag(joint=True).fit(x, y, callbacks=lambda: [Halve()], verbose=0)
