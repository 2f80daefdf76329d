"""The site: every public name has its page, and what it makes of docstrings and scripts."""

import importlib.util
import re
from collections import Counter
from importlib import import_module
from pathlib import Path

import keras_imbalance as ki

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "pages.py")
pages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pages)


def test_every_public_name_has_a_page_of_the_api():
    listed = Counter(
        name
        for page in (ROOT / "docs" / "api").glob("*.rst")
        for name in re.findall(r"^   ([\w.]+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    rooms = {room: set(import_module(f"keras_imbalance.{room}").__all__) for room in ki.ROOMS}
    elsewhere = {f"{room}.{name}" for room, names in rooms.items() for name in names - set(ki.ROOM_OF)}
    assert set(listed) == (set(ki.ROOM_OF) | elsewhere) - {"metrics.functional"}
    assert set(listed.values()) == {1}
    assert "automodule:: keras_imbalance.metrics.functional" in (ROOT / "docs/api/functional.rst").read_text()


def test_code_of_a_docstring_is_code_and_its_other_signs_mean_themselves():
    lines = [
        "w_j / ||w_j||^tau and N * 2, of `FocalLoss` and `Phase`s of `(N, C)`; see `a",
        "b`.",
        "",
        "    sum_b P_b * T |x|",
        "",
        ">>> 2 * 3 | 0  # of `x`",
        "6",
        "",
        "Reference: Lin, https://arxiv.org/abs/1708.02002",
    ]
    assert pages.docstring_in_rst(lines) == [
        r"w_j / \|\|w_j\|\|^tau and N \* 2, of :py:obj:`.FocalLoss` and :py:obj:`.Phase`\ s of ``(N, C)``; see ``a b``.",
        "",
        "::",
        "",
        "    sum_b P_b * T |x|",
        "",
        ">>> 2 * 3 | 0  # of `x`",
        "6",
        "",
        ".. rubric:: Reference",
        "",
        "Lin, https://arxiv.org/abs/1708.02002",
    ]


def test_a_list_of_links_is_a_menu():
    text = "# Guides\n\n## By part\n\n- [Losses](losses.md)\n- [Site](https://keras.io)\n\n## Others\n\nNothing.\n"
    menu = pages.hidden_toctrees(text)
    assert re.findall(r"^(?!:|```|$).+", menu, flags=re.MULTILINE) == ["losses"]
    assert ":caption: By part" in menu


def test_the_first_page_has_a_card_for_every_guide():
    guides = ROOT / "docs" / "guides"
    made = pages.cards((guides / "index.md").read_text(encoding="utf-8"))
    linked = re.findall(r"^:link: guides/(\w+)$", made, flags=re.MULTILINE)
    assert sorted(linked) == sorted(path.stem for path in guides.glob("*.md") if path.stem != "index")
    assert "## By part" in made


def test_the_page_of_an_example_holds_all_of_the_script():
    script = ROOT / "examples" / "fraud.py"
    page = pages.example_page(script)
    source = script.read_text(encoding="utf-8")
    assert page.startswith("# fraud.py\n\nA fraud desk: 2 payments")
    assert source[source.index("from common import") :].rstrip() in page


def test_the_gallery_has_a_card_for_each_example_that_draws():
    cards = re.findall(r"^:link: (\w+)$", pages.gallery(ROOT / "examples"), flags=re.MULTILINE)
    scripts = list(pages.scripts(ROOT / "examples"))
    drawn = [picture for script in scripts for picture in pages.pictures_of(script)]
    assert cards == [script.stem for script in scripts if pages.pictures_of(script)]
    assert sorted(drawn) == sorted(pages.SHOWN.glob("*.png"))  # none is left of an example that is gone
    assert {path.stem for path in pages.SHOWN.glob("*.txt")} <= {script.stem for script in scripts}
