"""Lines of progress."""

import sys


def short_logs(logs: dict) -> dict:
    """The logs that fit on a line: all but those of a single class."""
    return {key: value for key, value in logs.items() if "/" not in key}


def line_of(logs: dict) -> str:
    """Logs as a line shows them."""
    return " - ".join(f"{key}: {float(value):.4f}" for key, value in logs.items())


def write_line(line: str) -> None:
    """Writes a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
