"""Rows of a stream as blocks of NumPy arrays, from one iterator that stays where it is."""

import sys
import threading
import zlib
from collections.abc import Iterator

import numpy as np

from keras_imbalance._core import invalid


class StreamSource:
    """Reads the rows of a source in order, takes back what was not used, and can skip what a saved run passed.

    Args:
        pieces: iterator over lists of arrays, each with a row for each sample.
        block_bytes: size at which a block is full.
    """

    def __init__(self, pieces: Iterator[list], block_bytes: int):
        self._pieces, self._block_bytes = pieces, block_bytes
        self._waiting: list[list] = []
        self._lock = threading.Lock()
        self.position = 0  # rows that were taken and not given back
        self._shapes: list[tuple] = []  # of a row
        self._read = 0  # pieces
        self._print = 0  # of the first row of every piece

    def take(self, most: int | None = None) -> list:
        """The next block, a list of arrays of at most `most` rows; empty at the end of the source."""
        block: list = []
        rows, size, room = 0, 0, sys.maxsize if most is None else most
        with self._lock:
            while room and size < self._block_bytes and (piece := self._waiting_or_next()) is not None:
                if not block:
                    # Filled piece by piece, so that no row is held twice.
                    room = min(room, -(-self._block_bytes * len(piece[0]) // max(1, sum(map(_bytes, piece)))))
                    block = [np.empty((room, *leaf.shape[1:]), leaf.dtype) for leaf in piece]
                piece = self._first_rows(piece, room)
                for whole, leaf in zip(block, piece, strict=True):
                    whole[rows : rows + len(leaf)] = leaf
                rows, room, size = rows + len(piece[0]), room - len(piece[0]), size + sum(map(_bytes, piece))
            self.position += rows
        return [leaf[:rows] for leaf in block] if rows else []

    def _waiting_or_next(self):
        return self._waiting.pop(0) if self._waiting else self._next()

    def _first_rows(self, piece, most):
        """At most so many rows of a piece; the rest waits."""
        if len(piece[0]) <= most:
            return piece
        self._waiting.insert(0, [leaf[most:] for leaf in piece])
        return [leaf[:most] for leaf in piece]

    def give_back(self, blocks: list[list]) -> None:
        """Takes blocks back, to give them again."""
        with self._lock:
            self._waiting[:0] = [block for block in blocks if block]
            self.position -= _rows(blocks)

    def state(self, lent: list[list]) -> list[int]:
        """Where the source stands, were these blocks given back: rows, pieces, and a fingerprint of them."""
        return [self.position - _rows(lent), self._read, self._print]

    def skip(self, state: list[int]) -> None:
        """Goes to where a saved run stood; raises where the rows on the way are others than in that run."""
        self.position, pieces, fingerprint = state
        rows = 0
        for _ in range(pieces):
            piece = self._next()
            if piece is None:
                break
            rows += len(piece[0])
            left = min(rows - self.position, len(piece[0]))
            if left > 0:
                self._waiting.append([leaf[len(leaf) - left :] for leaf in piece])
        if (self._read, self._print) != (pieces, fingerprint):
            raise invalid(
                "skip_on_resume",
                "be False where the source does not give the same rows again, in the same order",
                received=f"other rows than the {self.position} that the saved run passed",
                remedy="The resumed run then goes on with the rows that the source gives now. A shuffle repeats itself "
                "with a seed and reshuffle_each_iteration=False.",
            )

    def _next(self):
        """The next piece that has rows, or None."""
        piece = next((piece for piece in self._pieces if len(piece[0])), None)
        if piece is not None:
            self._check(piece)
            self._read += 1
            for leaf in piece:
                first = leaf[0]
                self._print = zlib.crc32(
                    first if isinstance(first, bytes) else np.asarray(first).tobytes(), self._print
                )
        return piece

    def _check(self, piece):
        shapes = [leaf.shape[1:] for leaf in piece]
        self._shapes = self._shapes or shapes
        if len(set(map(len, piece))) > 1 or shapes != self._shapes:
            received = f"a batch of {[leaf.shape for leaf in piece]} after rows of {self._shapes}"
            remedy = "Where rows differ in shape, say so: None in the `element_spec`."
            raise invalid(
                "dataset", "yield as many rows of each part, and of one shape", received=received, remedy=remedy
            )


def _rows(blocks):
    return sum(len(block[0]) for block in blocks if block)


def _bytes(leaf):
    """Bytes of an array, and of what it refers to."""
    return leaf.nbytes + (sum(map(_bytes_of, leaf.flat)) if leaf.dtype == object else 0)


def _bytes_of(item):
    return len(item) if isinstance(item, bytes) else item.nbytes
