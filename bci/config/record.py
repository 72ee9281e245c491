"""A RecordFile is what `bci record` is told by a file instead of by options: a file of kind ``record``."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bci.config.numbers import Wait
from bci.config.session import SafeName
from bci.config.toml import load_settings
from bci.io.lsl.address import Address


def _readable(text: str) -> str:
    Address.parse(text)
    return text


class RecordFile(BaseModel):
    """A recording: which streams, how long, and what happens when the disk is full."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    kind: Literal["record"]
    name: SafeName = "recording"
    """What the recording's folder is called after its date and time: letters, digits, - and _."""
    streams: tuple[Annotated[str, Field(min_length=1), AfterValidator(_readable)], ...] = ()
    """Source ids (`bci streams` lists them), or ``name=…,type=…,host=…`` where those do not tell; none means all that
    are there when it starts."""
    seconds: Annotated[float, Field(ge=0.5, allow_inf_nan=False)] | None = None
    """How long to record; absent means until Ctrl-C."""
    timeout_s: Wait = 5.0
    """How long to look for each stream."""
    buffer_s: Annotated[float, Field(ge=2, le=600)] = 12.0
    """How long a sample stays readable in shared memory, for a disk that is slow."""
    on_disk_error: Literal["stop", "continue"] = "stop"
    """What happens when the disk refuses: "stop" ends the recording, "continue" goes on and counts what is lost."""


def load_record(path: Path) -> RecordFile:
    """Read a file of kind ``record``.

    Raises
    ------
    ConfigError
        If it is missing, no TOML, or has a wrong or unknown key; every one is named.
    """
    return load_settings(path, RecordFile, "record")
