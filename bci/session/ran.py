"""What of a session's configuration and environment is one decoder's: a session runs one decoder, or several by name.

::

    config.json        [decoder] or a list of them, each with a name; so with [stream]
    environment.json   bundle and decoder: the first one's; decoders: each one's, by its name, where there are several
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bci.errors import RecordingError
from bci.session.swaps import LoadedBundle


@dataclass(frozen=True)
class RanDecoder:
    """One decoder as its session ran it.

    Attributes
    ----------
    bundle : Path
        Where its bundle was.
    hash : str
        The bundle's.
    provider : str
        Where it computed: ``"cpu"`` or ``"cuda"``.
    unlike : str
        What became of input unlike the training data: ``"refuse"`` or ``"keep"``.
    stream : str or None
        Name of the stream that it decoded; None for the first.
    environment : mapping
        The session's ``environment.json``, ``bundle`` and ``decoder`` being this decoder's.
    events : mapping of str to str
        Which markers of the session stood for those that the bundle was trained on (`bci.decoder.marker_names`); empty
        where they were called alike.
    physiology : str or None
        Name of the stream on which it heard a pulse or a belt, empty for the first; None for none.
    precision : str
        How it computed: ``"float32"``, ``"tf32"`` or ``"float16"``.
    repeats : str
        What became of repeats of a stimulus: ``"single"`` or ``"mean"``.
    """

    bundle: Path
    hash: str
    provider: str
    unlike: str
    stream: str | None
    environment: Mapping[str, Any]
    events: Mapping[str, str] = field(default_factory=dict)
    physiology: str | None = None
    precision: str = "float32"
    repeats: str = "single"

    def after(self, loaded: LoadedBundle) -> "RanDecoder":
        """Return the same decoder as it ran with a bundle that it loaded later."""
        environment = {
            **self.environment,
            "bundle": {"folder": Path(loaded.path).name, "hash": loaded.hash},
            "decoder": loaded.environment,
        }
        return replace(self, bundle=Path(loaded.path), hash=loaded.hash, environment=environment)

    @classmethod
    def of(
        cls, folder: Path, config: Mapping[str, Any], environment: Mapping[str, Any], name: str | None
    ) -> "RanDecoder":
        """Find a decoder in what a session in `folder` wrote; the first one when no name is given.

        Raises
        ------
        RecordingError
            If there was none of that name, or something is not said of it.
        """
        decoders = sections(config, "decoder")
        settings = next((one for one in decoders if name in (None, one.get("name"))), None)
        own = environment
        if settings is not None and settings is not decoders[0]:
            own = environment | (environment.get("decoders") or {}).get(name, {"bundle": {}})
        bundle = (settings or {}).get("bundle")
        ran = (own.get("bundle") or {}).get("hash")
        if settings is None or not bundle or not ran:
            names = ", ".join(str(one["name"]) for one in decoders if one.get("name"))
            which = "its decoder" if name is None else f"decoder {name!r}"
            missing = "environment.json the hash" if settings and bundle else "config.json the folder"
            raise RecordingError(
                f"{folder} is not a whole session: in {missing} of the bundle of {which} was expected, none came; "
                f"it ran {names or 'a decoder without a name'}. Name one that it ran, or the folder that `bci run` or "
                "`bci demo` printed."
            )
        first = first_name(config, "stream")
        stream, heard = settings.get("stream"), settings.get("physiology")
        return cls(
            Path(bundle),
            ran,
            settings.get("provider", "cpu"),
            settings.get("unlike", "refuse"),
            None if stream == first else stream,
            own,
            settings.get("events") or {},
            "" if heard is not None and heard == first else heard,
            settings.get("precision", "float32"),
            settings.get("repeats", "single"),
        )


def sections(config: Mapping[str, Any], kind: str) -> Sequence[Mapping[str, Any]]:
    """Return the sections of a kind in a session file; one alone is written without a list.

    >>> sections({"decoder": {"bundle": "a"}}, "decoder"), sections({"source": None}, "source")
    ([{'bundle': 'a'}], [])
    """
    given = config.get(kind)
    return given if isinstance(given, list) else [given] if given else []


def first_name(config: Mapping[str, Any], kind: str) -> str | None:
    """Return the name of the first section of a kind; None where it has none.

    >>> first_name({"decoder": [{"name": "left"}, {"name": "right"}]}, "decoder")
    'left'
    """
    name: str | None = next(iter(sections(config, kind)), {}).get("name")
    return name
