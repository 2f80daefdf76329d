"""A report as a table of a notebook."""

from collections.abc import Sequence
from html import escape

MOST_LINES = 30  # classes that are shown without a bar to scroll them

# Inherited colours alone, so that it reads on light and dark pages; a page that drops styles still shows a plain table.
TABLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"
NAME = "text-align:left;padding:.15em 1em .15em .4em;max-width:24em;overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
CELL = "white-space:nowrap;padding:.15em .4em .15em 1em"
RULE = "border-top:1px solid currentColor"
HEAD = "position:sticky;top:0;background:Canvas;color:CanvasText"


def html_table(header: Sequence[str], *blocks: Sequence[Sequence[str]], align: str = "right") -> str:
    """Rows of cells as HTML: a head, and a rule before each block.

    More than 30 rows of the first block, the classes, scroll under the head, and the other blocks come before them.

    Args:
        header: the names of the columns.
        blocks: lists of rows; a row is a name and its cells, and may end before the last column.
        align: side of all columns but the first and the last, "left" or "right". Defaults to "right".

    Example:
    >>> html_table(("", "rows"), [("a<b", "9")]).count(">a&lt;b<")
    1
    """
    scrolls = len(blocks[0]) > MOST_LINES
    ordered = [*blocks[1:], blocks[0]] if scrolls else blocks
    parts = [f"<thead>{_row(header, header, align, HEAD if scrolls else '')}</thead>"]
    for block in ordered:
        rows = "".join(_row(row, header, align, RULE if i == 0 else "") for i, row in enumerate(block))
        parts.append(f"<tbody>{rows}</tbody>")
    table = f'<table style="{TABLE}">{"".join(parts)}</table>'
    return f'<div style="max-height:40em;overflow:auto;width:fit-content">{table}</div>' if scrolls else table


def _row(cells, header, align, style):
    tag = "th" if cells is header else "td"
    name, *rest = map(escape, cells)
    filled = [*rest, *[""] * (len(header) - len(cells))]
    sides = [*[align] * (len(filled) - 1), "right"]
    inner = f'<th style="{NAME};{style}" title="{name}">{name}</th>'
    for side, cell in zip(sides, filled, strict=True):
        inner += f'<{tag} style="{CELL};text-align:{side};{style}">{cell.strip()}</{tag}>'
    return f"<tr>{inner}</tr>"
