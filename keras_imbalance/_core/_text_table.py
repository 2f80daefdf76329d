"""Tables of text for a terminal: names to the left, numbers to the right, in columns of equal width."""

import unicodedata
from collections.abc import Sequence

GAP = "  "


def columns_of(text: str) -> int:
    """How many columns of a terminal a text takes: two for each wide letter, such as a Chinese one.

    Example:
    >>> columns_of("cat"), columns_of("猫")
    (3, 2)
    """
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def cut(text: str, most: int) -> str:
    """`text`, with its middle left out where it takes more than `most` columns: names often differ at their ends.

    Example:
    >>> cut("American Staffordshire terrier", 16), cut("short", 16)
    ('American…terrier', 'short')
    """
    head, tail = (len(text) + 1) // 2, len(text) // 2
    shorter = text
    while columns_of(shorter) > most and tail:
        head, tail = (head - 1, tail) if head > tail else (head, tail - 1)
        shorter = f"{text[:head]}…{text[len(text) - tail :]}"
    return shorter


def wrapped(text: str, width: int, indent: str = "  ") -> str:
    """`text` in lines of at most `width` columns, all but the first with an indent; a word longer than a line is broken.

    Example:
    >>> print(wrapped("one two three", 8))
    one two
      three
    """
    lines, empty = [""], ("", indent)
    for word in text.split():
        if lines[-1] not in empty and columns_of(f"{lines[-1]} {word}") <= width:
            lines[-1] += " "
        elif lines[-1] not in empty:
            lines.append(indent)
        for letter in word:
            if columns_of(lines[-1] + letter) > width:
                lines.append(indent)
            lines[-1] += letter
    return "\n".join(lines)


def text_table(blocks: Sequence[Sequence[Sequence[str]]], *, most: int = 24) -> str:
    """Rows of cells in columns, a blank line between two blocks.

    Args:
        blocks: lists of rows; a row is a name and its cells, and may end before the last column.
        most: columns that a name may take. Defaults to 24.

    Example:
    >>> print(text_table([[("class", "rows"), ("ok", "90")], [("all", "95")]]))
    class  rows
    ok       90
    <BLANKLINE>
    all      95
    """
    cells = [[(cut(row[0], most), *row[1:]) for row in block] for block in blocks]
    rows = [row for block in cells for row in block]
    sizes = [max(columns_of(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]

    def line(row):
        padded = [" " * (size - columns_of(cell)) for cell, size in zip(row, sizes, strict=False)]
        return GAP.join([row[0] + padded[0], *(pad + cell for pad, cell in zip(padded[1:], row[1:], strict=True))])

    return "\n\n".join("\n".join(line(row).rstrip() for row in block) for block in cells)


def number_text(value: float, digits: int) -> str:
    """A number with so many digits after the point, "-" where it is not defined.

    Example:
    >>> number_text(0.5, 3), number_text(float("nan"), 3)
    ('0.500', '-')
    """
    return "-" if value != value else f"{value:.{digits}f}"  # noqa: PLR0124, NaN alone differs from itself


def rows_text(value: float) -> str:
    """A number of rows: whole, or with two digits where weights make it a part.

    Example:
    >>> rows_text(95.0), rows_text(53.3333)
    ('95', '53.33')
    """
    return f"{value:.2f}".removesuffix(".00")
