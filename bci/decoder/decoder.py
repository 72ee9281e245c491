"""A Decoder makes one reconstruction of one window; the decode program, replay and evaluation accept any Decoder."""

from collections.abc import Mapping
from typing import Any, Protocol

from bci.signal.types import Reconstruction, Window


class Decoder(Protocol):
    """A Decoder turns a window into a reconstruction."""

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
        """Facts that must be equal for the same window to give the same bits."""
        ...

    def warm_up(self) -> None:
        """Decode a dummy window, so that the first real one is not slower than the others."""
        ...

    def decode(self, window: Window, stamps: Mapping[str, float] | None = None) -> Reconstruction:
        """Return the reconstruction of a window; it depends on this window alone."""
        ...
