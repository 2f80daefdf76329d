"""What the README shows runs as it stands."""

import contextlib
import io
import re
from pathlib import Path

import pytest
from kerases import IS_TF_KERAS

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def test_readme_has_code():
    assert BLOCKS


@pytest.mark.parametrize("block", BLOCKS, ids=[f"block{i}" for i in range(1, len(BLOCKS) + 1)])
def test_block_runs(block, tmp_path, monkeypatch):
    if IS_TF_KERAS and re.search(r"^(import|from) keras\b", block, flags=re.MULTILINE):
        pytest.skip("tf-keras: the block imports Keras 3")
    monkeypatch.chdir(tmp_path)  # what a block saves goes there
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(block, str(README), "exec"), {"__name__": "readme"})
