"""What docs/callbacks.md shows runs as it stands, from top to bottom."""

import re
from pathlib import Path

import pytest
from kerases import keras_3_only

PAGE = Path(__file__).parents[2] / "docs" / "callbacks.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@keras_3_only("the page imports Keras 3")
def test_the_blocks_run_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = {}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"{PAGE.name}, block {number}", "exec"), scope)
    assert len(BLOCKS) == 2
    assert [trial.status for trial in scope["tuner"].oracle.trials.values()] == ["COMPLETED"] * 2
