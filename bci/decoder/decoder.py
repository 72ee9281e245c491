"""A Decoder makes one reconstruction of one window: what the decode program, replay and evaluation accept."""

from collections.abc import Mapping
from typing import Any, Protocol

from bci.signal.types import Reconstruction, Window


class Decoder(Protocol):
    """What anything that decodes offers."""

    @property
    def length(self) -> int:
        """Samples of the pipeline's output in one window."""
        ...

    @property
    def hop(self) -> int:
        """Samples of the pipeline's output between two windows."""
        ...

    @property
    def environment(self) -> Mapping[str, Any]:
        """What must be equal for the same window to give the same bits."""
        ...

    def warm_up(self) -> None:
        """Do all that would make the first window slower than the others."""
        ...

    def decode(self, window: Window, stamps: Mapping[str, float] | None = None) -> Reconstruction:
        """Return what the window shows; the result depends on this window alone."""
        ...
