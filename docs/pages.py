"""What the site makes of sources that are not pages yet: docstrings, example scripts and lists of links."""

import ast
import re
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

SHOWN = Path(__file__).parent / "examples"  # what each example prints and draws; written by docs/examples.py
NAME = re.compile(r"[A-Za-z_][\w.]*")
MARKED = re.compile(r"(``.+?``|`[^`]+`)", flags=re.DOTALL)
SECTION = re.compile(r"[A-Z][a-z ]+:$")
ENTRY = re.compile(r"^- \[(.+?)\]\(([\w/.-]+)\.md\)(?:: (.+))?$", flags=re.MULTILINE)
HEADING = re.compile(r"^(References?|Reference of the intervals|Examples?):(?: |$)", flags=re.MULTILINE)


def docstring_in_rst(lines: list[str]) -> list[str]:
    """A docstring whose code stands in single backticks, and whose other signs mean themselves, as reStructuredText."""
    told = []
    for kind, pairs in groupby(_with_kind(lines), key=lambda pair: pair[0]):
        text = "\n".join(line for _, line in pairs)
        told.append({"prose": _prose(text), "formula": f"::\n\n{text}", "example": text}[kind])
    return "\n".join(told).splitlines()


def _with_kind(lines):
    """Each line, and what it belongs to: an example in Python, a formula on lines of its own, or prose."""
    kind, before, in_section = "prose", "", False
    for line in lines:
        in_section |= bool(SECTION.match(line))
        if line.lstrip().startswith(">>> "):
            kind = "example"
        elif line.startswith("    ") and not before.strip() and not in_section:
            kind = "formula"
        elif not line.strip() or (kind == "formula" and not line.startswith("    ")):
            kind = "prose"
        yield kind, line
        before = line


def _prose(text):
    parts = MARKED.split(HEADING.sub(r".. rubric:: \1\n\n", text))
    pairs = zip(parts[::2], [*parts[1::2], ""], strict=True)  # what stands between code, and the code behind it
    joined = "".join(_plain(text) + (_marked(code) if code else "") for text, code in pairs)
    return re.sub(r"\0(?=\w)", r"\\ ", joined).replace("\0", "")  # letters after code: `Phase`s


def _marked(code):
    """Names link to what they name, where the site has it. A NUL stands where code ends."""
    inner = code.strip("`")
    if code.startswith("``") or not NAME.fullmatch(inner):
        return f"``{' '.join(inner.split())}``\0"
    anywhere = "." if inner[0].isupper() and "." not in inner else ""  # a class, in whichever room it is
    return f":py:obj:`{anywhere}{inner}`\0"


def _plain(text):
    """No emphasis, no substitutions, no references by a trailing underscore."""
    return re.sub(r"([\\*|]|_(?!\w))", r"\\\1", text)


def hidden_toctrees(text: str) -> str:
    """The menu at the side of a page that lists others: a part for each of its headings."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    sections = zip(parts[1::2], parts[2::2], strict=True)
    return "".join(toctree(title, re.findall(r"\]\(([\w/.-]+)\.md\)", part)) for title, part in sections)


def toctree(title: str, pages: Iterable[str]) -> str:
    """A part of the menu at the side, of pages relative to the one that it stands in."""
    pages = list(pages)
    return "\n".join(["", "```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```", ""]) if pages else ""


def example_page(script: Path) -> str:
    """An example as a page: what it is for, what it prints and draws, and its code."""
    source = script.read_text(encoding="utf-8")
    module = ast.parse(source)
    first, _, rest = (ast.get_docstring(module) or "").partition("\n")
    parts = [f"# {script.name}", first, rest.strip("\n")]
    printed = SHOWN / f"{script.stem}.txt"
    if printed.exists():
        parts += ["## What it prints", "In one run; times depend on the machine."]
        parts.append(_fenced(printed.read_text(encoding="utf-8"), "text"))
    parts += [f"![What {script.name} draws](/{_in_root(picture, script)})" for picture in pictures_of(script)]
    code = "\n".join(source.splitlines()[module.body[0].end_lineno :]).strip("\n")
    return "\n\n".join([*parts, "## Code", _fenced(code, "python")]) + "\n"


def pictures_of(script: Path) -> list[Path]:
    """What an example has drawn."""
    return [*SHOWN.glob(f"{script.stem}.png"), *sorted(SHOWN.glob(f"{script.stem}-*.png"))]


def _in_root(path, script):
    return path.relative_to(script.parents[1]).as_posix()


def _fenced(text, language):
    return f"````{language}\n{text.rstrip()}\n````"


def scripts(folder: Path) -> Iterable[Path]:
    """The examples in a folder; what they share is none."""
    return (path for path in sorted(folder.glob("*.py")) if path.stem != "common")


def cards(text: str) -> str:
    """A card for each `- [title](page.md): words` of a list of guides, under its headings."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    lists = zip(parts[1::2], (ENTRY.findall(part) for part in parts[2::2]), strict=True)
    return "\n".join(
        _grid(title, [_card(name, f"guides/{page}", words) for name, page, words in found]) for title, found in lists
    )


def gallery(folder: Path) -> str:
    """A card for each example that draws: its picture, its name and its first sentence."""
    made = []
    for script in scripts(folder):
        first = (ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        for picture in pictures_of(script)[:1]:
            made.append(_card(script.name, script.stem, first, f":img-top: /{_in_root(picture, script)}\n"))
    return _grid("Pictures", made) if made else ""


def _card(title, page, words, options=""):
    return f":::{{grid-item-card}} {title}\n{options}:link: {page}\n:link-type: doc\n\n{words}\n:::\n"


def _grid(title, made):
    return "\n".join(["", f"## {title}", "", "::::{grid} 1 2 3 3", ":gutter: 3", "", *made, "::::", ""])
