"""What a library says through its logger while it reads a file, kept from the terminal and handed over."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class _Collect(logging.Handler):
    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        self._into.append(record.getMessage())


@contextmanager
def collected(name: str) -> Iterator[list[str]]:
    """Give the list that fills with what the logger `name` warns of; nothing of it goes elsewhere meanwhile."""
    logger = logging.getLogger(name)
    before = logger.handlers[:], logger.propagate, logger.level
    said: list[str] = []
    logger.handlers[:] = [_Collect(said)]
    logger.propagate = False
    try:
        yield said
    finally:
        logger.handlers[:], logger.propagate = before[:2]
        logger.setLevel(before[2])
