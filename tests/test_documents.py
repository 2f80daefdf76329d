"""What the documents show runs as it stands, each from top to bottom, and their links lead somewhere."""

import contextlib
import importlib.util
import io
import re
from pathlib import Path

import numpy as np
import pytest
from kerases import IS_TF_KERAS

from keras_imbalance._keras import keras

ROOT = Path(__file__).parents[1]
GUIDES = ROOT / "docs" / "guides"
PAGES = sorted(
    path
    for folder in (".", "docs", "docs/guides", "examples", "examples/data")
    for path in (ROOT / folder).glob("*.md")
)
BLOCK = re.compile(r"^```python(.*?)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```.*?^```$", flags=re.MULTILINE | re.DOTALL)
SHOWN = re.compile(r"^```python\n((?:(?!```).*\n)*)```\n\n```text\n((?:(?!```).*\n)*)```$", flags=re.MULTILINE)
LINK = re.compile(r"\]\(([^()\s]+)\)")


def name(path):
    return str(path.relative_to(ROOT))


def text_of(path):
    return path.read_text(encoding="utf-8")


def blocks_of(path, kind):
    return [block for mark, block in BLOCK.findall(text_of(path)) if mark.strip() == kind]


def run(path, kind, folder, monkeypatch):
    """Runs the blocks of a kind in one scope; returns it, and what each prints."""
    monkeypatch.chdir(folder)  # what a block saves goes there
    monkeypatch.setenv("MPLBACKEND", "agg")
    scope, printed = {"__name__": path.stem}, {}
    for number, block in enumerate(blocks_of(path, kind), 1):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(compile(block, f"{name(path)}, block {number}", "exec"), scope)
        printed[block] = output.getvalue()
    return scope, printed


def check_shown(path, printed):
    """Text right behind a block is what the block prints; numbers, of pages with a seed, up to what other versions draw."""
    seeded = "set_random_seed" in text_of(path)
    words, numbers = (re.compile(pattern) for pattern in (r"[a-z]+", r"-?\d+\.?\d*"))
    for block, shown in SHOWN.findall(text_of(path)):
        assert words.findall(printed[block]) == words.findall(shown)
        found, expected = (np.array(numbers.findall(text), dtype=float) for text in (printed[block], shown))
        if seeded:
            assert found.shape == expected.shape
            assert (np.abs(found - expected) <= np.maximum(0.15, 0.25 * np.abs(expected))).all()


def test_what_a_block_does_not_print_is_seen(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    for prints, seed, right in (
        ("'recall', 0.7", "", True),
        ("'precision', 0.7", "", False),
        ("'recall', 0.2", "", True),
        ("'recall', 0.2", "set_random_seed = 0", False),
        ("'recall', 0.7, 1", "set_random_seed = 0", False),
    ):
        page.write_text(f"```python\n{seed}\n```\n\n```python\nprint({prints})\n```\n\n```text\nrecall 0.71\n```\n")
        monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
        _, printed = run(page, "", tmp_path, monkeypatch)
        with contextlib.nullcontext() if right else pytest.raises(AssertionError):
            check_shown(page, printed)


on_tensorflow = pytest.mark.skipif(
    IS_TF_KERAS or keras.backend.backend() != "tensorflow",
    reason="the blocks are the same on every Keras and run once, on Keras 3 with TensorFlow",
)


@pytest.mark.documents
@on_tensorflow
@pytest.mark.parametrize("path", [path for path in PAGES if path.name != "README.md" and blocks_of(path, "")], ids=name)
def test_the_blocks_run_one_after_another(path, tmp_path, monkeypatch):
    scope, printed = run(path, "", tmp_path, monkeypatch)
    check_shown(path, printed)
    if "tuner" in scope:  # KerasTuner goes on where a trial fails
        assert {trial.status for trial in scope["tuner"].oracle.trials.values()} == {"COMPLETED"}


@pytest.mark.documents
@on_tensorflow
def test_the_readme_shows_what_it_prints(tmp_path, monkeypatch):
    _, printed = run(ROOT / "README.md", "", tmp_path, monkeypatch)
    assert len(SHOWN.findall(text_of(ROOT / "README.md"))) == 1
    check_shown(ROOT / "README.md", printed)


# Not of `documents`: it is skipped but where tf-keras runs, and the tests of tf-keras are to run it.
@pytest.mark.skipif(
    not IS_TF_KERAS or importlib.util.find_spec("tensorflow_addons") is None,
    reason="needs TF_USE_LEGACY_KERAS=1 and tensorflow-addons",
)
@pytest.mark.parametrize("path", [path for path in PAGES if blocks_of(path, "tf-keras")], ids=name)
def test_the_blocks_for_tf_keras_run(path, tmp_path, monkeypatch):
    run(path, "tf-keras", tmp_path, monkeypatch)


def test_every_guide_has_a_block_and_every_block_is_of_a_kind_that_runs():
    kinds = {path: {mark.strip() for mark, _ in BLOCK.findall(text_of(path))} for path in PAGES}
    assert {kind for of_page in kinds.values() for kind in of_page} == {"", "tf-keras"}
    assert all(kinds[path] for path in (ROOT / "README.md", *GUIDES.glob("*.md")) if path != GUIDES / "index.md")


def anchors(path):
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text_of(path)), flags=re.MULTILINE)
    titles = (re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


def broken_links(path, text):
    """Links of a page to files that are not there, and to headings that no page has."""
    for target in LINK.findall(FENCED.sub("", text)):
        if re.match(r"\w+:", target):
            continue
        file, _, heading = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists() or (heading and heading not in anchors(there)):
            yield target


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_link_leads_somewhere(path):
    assert not list(broken_links(path, text_of(path)))


def test_a_broken_link_is_seen():
    text = "[a](docs/none.md), [b](README.md#nowhere), ![c](none.png), [d](https://keras.io), [e](README.md#install)"
    assert list(broken_links(ROOT / "README.md", text)) == ["docs/none.md", "README.md#nowhere", "none.png"]


def test_every_guide_is_listed():
    listed = LINK.findall(text_of(GUIDES / "index.md"))
    assert {path.name for path in GUIDES.glob("*.md")} - {"index.md"} <= set(listed)


def test_the_readme_is_short():
    assert (ROOT / "README.md").stat().st_size <= 8000
