"""Log lines of a library that reads a file are collected here instead of printed to the terminal."""

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
    """Yield a list to which the logger `name` appends its warnings, which go nowhere else meanwhile."""
    logger = logging.getLogger(name)
    before = logger.handlers[:], logger.propagate, logger.level
    log_lines: list[str] = []
    logger.handlers[:] = [_Collect(log_lines)]
    logger.propagate = False
    try:
        yield log_lines
    finally:
        logger.handlers[:], logger.propagate = before[:2]
        logger.setLevel(before[2])
