"""Members that are heads on one trained backbone."""

import numpy as np
import pytest
from ensembles import assert_same_weights, backbone_and_head, bag, labelled, weights_of
from kerases import keras_3_only

from keras_imbalance._keras import keras

pytestmark = keras_3_only("BalancedBagging refuses it")


@pytest.mark.parametrize("joint", [False, True])
def test_a_shared_backbone_stays_as_it_is_and_runs_once(joint, tmp_path):
    x, y = labelled((200, 22, 10))
    backbone, head = backbone_and_head()
    before = [value.copy() for value in backbone.get_weights()]
    rows_seen = []
    predict = backbone.predict
    backbone.predict = lambda x, **options: rows_seen.append(len(x)) or predict(x, **options)
    bagging = bag(head, joint=joint, shared_backbone=backbone)
    history = bagging.fit(x, y, epochs=4, validation_data=(x[:30], y[:30]), verbose=0)
    assert rows_seen == [len(np.unique(bagging.rows)), 30]
    assert rows_seen[0] < len(x)
    assert_same_weights([backbone.get_weights()], [before])
    assert backbone.trainable
    features = predict(x, verbose=0)
    expected = np.mean([member.predict(features, verbose=0) for member in bagging.members], axis=0)
    np.testing.assert_allclose(bagging.model.predict(x, verbose=0), expected, atol=1e-6)
    for i, rows in enumerate(bagging.rows):
        assert np.bincount(y[rows]).tolist() == [10, 10, 10]
        assert history[i]["loss"][-1] < history[i]["loss"][0]
    # Trained on features given by hand, the heads are the same.
    by_hand = bag(head)
    by_hand.fit(features, y, epochs=4, verbose=0)
    assert_same_weights(weights_of(bagging), weights_of(by_hand), rtol=1e-4, atol=1e-5)
    bagging.model.save(tmp_path / "ensemble.keras")
    loaded = keras.models.load_model(tmp_path / "ensemble.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), bagging.model.predict(x, verbose=0))
