"""Members that are heads on one trained backbone."""

import numpy as np
import pytest
from ensembles import assert_same_weights, backbone_and_head, bag, labelled, weights_of
from kerases import keras_3_only

from keras_imbalance._keras import keras

pytestmark = keras_3_only("BalancedBagging refuses it")


X, Y = labelled((200, 22, 10))


def values(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


@pytest.fixture(scope="module")
def by_hand():
    """A backbone, what makes heads, and heads that were trained on features given by hand."""
    backbone, head = backbone_and_head()
    return backbone, head, weights_of(bag(head).fit(values(backbone, X), Y, epochs=4, verbose=0))


@pytest.mark.parametrize("joint", [False, True])
def test_a_shared_backbone_stays_as_it_is_and_runs_once(joint, by_hand, tmp_path, monkeypatch):
    x, y = X, Y
    backbone, head, expected_weights = by_hand
    before = [value.copy() for value in backbone.get_weights()]
    rows_seen = []
    predict = backbone.predict
    counting = lambda x, **options: rows_seen.append(len(x)) or predict(x, **options)  # noqa: E731
    monkeypatch.setattr(backbone, "predict", counting)
    bagging = bag(head, joint=joint, shared_backbone=backbone)
    history = bagging.fit(x, y, epochs=4, validation_data=(x[:30], y[:30]), verbose=0).history
    assert rows_seen == [len(np.unique(bagging.rows)), 30]
    assert rows_seen[0] < len(x)
    assert_same_weights([backbone.get_weights()], [before])
    assert backbone.trainable
    features = values(backbone, x)
    expected = np.mean([values(member, features) for member in bagging.members], axis=0)
    np.testing.assert_allclose(values(bagging.model, x), expected, atol=1e-6)
    for i, rows in enumerate(bagging.rows):
        assert np.bincount(y[rows]).tolist() == [10, 10, 10]
        assert history[i]["loss"][-1] < history[i]["loss"][0]
    assert_same_weights(weights_of(bagging), expected_weights, rtol=1e-4, atol=1e-5)
    bagging.model.save(tmp_path / "ensemble.keras")
    loaded = keras.models.load_model(tmp_path / "ensemble.keras")
    np.testing.assert_array_equal(values(loaded, x), values(bagging.model, x))
