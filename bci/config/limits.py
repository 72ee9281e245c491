"""Limits are what a rig must keep to be certified: the ``[limits]`` section of a session file.

`bci certify` measures every figure named here and compares; a session itself runs whatever they are.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bci.config.numbers import Allowed

_Share = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class Limits(BaseModel):
    """The ``[limits]`` section of a session file; each key has a default."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    transport_p99_ms: Allowed = 50.0
    """From a sample's own stamp to its arrival in shared memory, 99th percentile."""

    window_p99_ms: Allowed = 30.0
    """From the arrival of a window's newest sample to the window in the decoder's hands, 99th percentile."""

    decode_p99_ms: Allowed = 50.0
    """From the window to its picture, 99th percentile."""

    publish_p99_ms: Allowed = 5.0
    """From the picture to the ring that the display reads, 99th percentile."""

    handover_p99_ms: Allowed | None = None
    """From that ring to the display's hands, 99th percentile; none means two refreshes of the display."""

    flip_p99_ms: Allowed | None = None
    """From the display's hands to the flip that shows it, 99th percentile; none means two refreshes."""

    total_p99_ms: Allowed = 150.0
    """From a sample's own stamp to the flip that shows its picture, 99th percentile."""

    lost_samples: Annotated[int, Field(ge=0)] = 0
    """Samples missing in the stream, never seen by the decoder, or not recorded."""

    skipped_windows_percent: _Share = 1.0
    """Windows passed over because decoding was late, of all windows."""

    neutral_percent: _Share = 1.0
    """Time for which the neutral picture was shown without any fault, of that from the first picture to the last."""

    late_flips_percent: _Share = 1.0
    """Refreshes that passed without a flip, of all refreshes."""

    flip_interval_p99_frames: Allowed = 1.5
    """Time between two flips, 99th percentile, in refreshes of the display."""

    clock_step_ms: Allowed = 5.0
    """Largest change of the sender's clock against ours between two looks at it."""

    neutral_margin_ms: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 0.0
    """By how much the neutral picture may come later, after a fault, than the display's own limits and one flip."""

    screen_back_s: Allowed = 2.0
    """How long the participant may see no picture of ours when the display has died, seconds."""

    decoding_again_s: Allowed = 10.0
    """From the moment that a program died, or was found to hang, to the next valid reconstruction: the program's
    loading, and the settling of its filters, included."""

    programs_exit_s: Allowed = 5.0
    """How long programs may live on when the supervisor has died, seconds."""

    wrong_reproductions: Annotated[int, Field(ge=0)] = 0
    """Reconstructions that, decoded again from the recording, are not the same within the stated tolerance."""
