"""What the README shows runs as it stands, from top to bottom: later blocks go on from earlier ones."""

import contextlib
import importlib.util
import io
import re
from pathlib import Path

import pytest
from kerases import IS_TF_KERAS, keras_3_only

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"^```python(.*?)\n(.*?)^```$", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def run(kind, folder, monkeypatch):
    """Runs the blocks of a kind in one scope and gives their number."""
    monkeypatch.chdir(folder)  # what a block saves goes there
    scope, ran = {"__name__": "readme"}, 0
    for number, (mark, block) in enumerate(BLOCKS, 1):
        if mark.strip() == kind:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(block, f"{README.name}, block {number}", "exec"), scope)
            ran += 1
    return ran


@keras_3_only("the README imports Keras 3")
def test_the_blocks_run_one_after_another(tmp_path, monkeypatch):
    assert run("", tmp_path, monkeypatch) >= 10


@pytest.mark.skipif(
    not IS_TF_KERAS or importlib.util.find_spec("tensorflow_addons") is None,
    reason="needs TF_USE_LEGACY_KERAS=1 and tensorflow-addons",
)
def test_the_blocks_for_tf_keras_run(tmp_path, monkeypatch):
    assert run("tf-keras", tmp_path, monkeypatch) == 1


def test_every_block_is_of_a_kind_that_runs():
    assert {mark.strip() for mark, _ in BLOCKS} == {"", "tf-keras"}
