"""Who is calling: the one place where frames of the stack are looked at. Losing it costs a message or a short progress bar."""

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

FURTHEST = 30  # frames; Keras calls `result` within a few


def callers() -> Iterator[tuple[Any, str]]:
    """The objects whose methods are running, the innermost first, each with the name of its method."""
    for frame in _frames():
        owner = frame.f_locals.get("self")
        if owner is not None:
            yield owner, frame.f_code.co_name


def local_of_a_caller(name: str, kind: type) -> Any:
    """The local variable `name` of the innermost running function in which it is of that type, or None."""
    return next((value for frame in _frames() if isinstance(value := frame.f_locals.get(name), kind)), None)


def _frames() -> Iterator[FrameType]:
    # Not every Python has it.
    frame: FrameType | None = sys._getframe(1) if hasattr(sys, "_getframe") else None
    for _ in range(FURTHEST):
        if frame is None:
            return
        yield frame
        frame = frame.f_back
