"""What `import keras_imbalance` gives: every public name, and no more than a saved model needs until the rest is used."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from kerases import IS_TF_KERAS

import keras_imbalance as ki

LAZY = {"callbacks", "comparison", "estimators", "plots", "sampling"}


def test_each_name_is_that_of_its_room():
    for name, room in ki.ROOM_OF.items():
        assert getattr(ki, name) is getattr(sys.modules[f"keras_imbalance.{room}"], name)
    for room in ki.ROOMS:
        assert getattr(ki, room) is sys.modules[f"keras_imbalance.{room}"]


def test_the_table_says_what_type_checkers_and_editors_are_told():
    tree = ast.parse(Path(ki.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {
        alias.name: node.module.rpartition(".")[2] for node in block.body for alias in node.names if "." in node.module
    }
    assert told == ki.ROOM_OF
    assert list(ki.ROOM_OF) == sorted(ki.ROOM_OF, key=lambda name: (not name.isupper(), not name[0].isupper(), name))


def test_every_room_is_listed_and_public_names_are_listed_by_their_room():
    folder = Path(ki.__file__).parent
    rooms = {path.parent.name for path in folder.glob("[a-z]*/__init__.py")}
    assert set(ki.ROOMS) == rooms
    for name, room in ki.ROOM_OF.items():
        assert name in sys.modules[f"keras_imbalance.{room}"].__all__


def test_dir_holds_all_names_and_rooms():
    assert dir(ki) == sorted({*ki.ROOM_OF, *ki.ROOMS, "__version__"})


def test_an_unknown_name_is_the_usual_error():
    with pytest.raises(AttributeError, match="no attribute 'FocalLos'"):
        ki.FocalLos  # noqa: B018


@pytest.mark.slow
def test_importing_loads_what_a_saved_model_needs_and_the_rest_on_first_use():
    code = f"""if True:
        import keras, sys
        outside = ("tensorflow", "matplotlib")
        before = [name in sys.modules for name in outside]
        import keras_imbalance as ki
        loaded = {LAZY} & {{name.split(".")[1] for name in sys.modules if name.startswith("keras_imbalance.")}}
        assert not loaded, loaded
        assert keras.saving.get_registered_object("keras_imbalance>FocalLoss") is ki.FocalLoss
        assert keras.saving.get_registered_object("keras_imbalance>PriorCorrection") is ki.PriorCorrection
        ki.plots.plot_reliability, ki.DynamicSampling, ki.BalancedBagging
        ki.SMOTE(), ki.tomek_keep_indices([[0.0], [1.0]], [0, 1]), ki.ArraySampler([[0.0], [1.0]], [0, 1])
        assert before == [name in sys.modules for name in outside]
        ki.ArraySampler([[0.0], [1.0]], [0, 1]).dataset()
        assert "tensorflow" in sys.modules
        print("done")"""
    if IS_TF_KERAS:
        code = code.replace("import keras,", "import tf_keras as keras,", 1)
        code = code.replace(
            '("tensorflow", "matplotlib")', '("tensorflow",)'
        )  # Keras 3, for its `ops`, loads matplotlib
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(ki.__file__).parents[1])},
    )
    assert done.stdout == "done\n", done.stderr[-2000:]
