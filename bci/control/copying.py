"""Which streams of a session are copies of what a decoder of volumes reads, and what they are called in the line."""

from bci.config.session import SessionConfig
from bci.control.line import named
from bci.decoder.bundle import Bundle
from bci.decoder.copied import copies_of, role_of
from bci.signal.types import Signal


def copied_streams(config: SessionConfig, bundle: Bundle, decoder: int) -> dict[str, tuple[str, Signal]]:
    """Return the copies that a decoder makes, by their roles in a program: name in the line, and what each carries.

    Raises
    ------
    ConfigError
        If ``[publish] volumes`` asks for some and its pipeline takes no mask.
    """
    asked = [p for p in config.publications if config.decoder_index(p.decoder) == decoder]
    if not any(publication.volumes for publication in asked):
        return {}
    name = (config.decoders[decoder].name or "") if decoder else ""
    return {role_of(copy): (named(copy, name), signal) for copy, signal in copies_of(bundle).items()}
