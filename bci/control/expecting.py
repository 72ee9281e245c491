"""What an experiment expects to be read of pictures, before it begins: the encoding model of its bundle."""

from collections.abc import Sequence

from bci.config.session import SessionConfig
from bci.decoder.bundle import Bundle
from bci.errors import ConfigError
from bci.io.files.encoding import no_encoding


def encoding_bundle(config: SessionConfig, bundles: Sequence[Bundle]) -> Bundle | None:
    """Return the bundle whose encoding model the experiment begins with; None where it names none.

    Parameters
    ----------
    config : SessionConfig
    bundles : sequence of Bundle
        Each decoder's.

    Raises
    ------
    ConfigError
        If it has none, or is not what reads the trials.
    BundleError
        If it cannot be loaded.
    """
    path = getattr(config.experiment, "encoding", None)
    if path is None:
        return None
    bundle = Bundle.load(path)
    if bundle.spec.encoding is None:
        raise ConfigError(f"[experiment] encoding: {no_encoding(bundle.name)}")
    others = [bundles[feed].name for feed in config.feeds if bundles[feed].hash != bundle.hash]
    if others:
        raise ConfigError(
            f"[experiment] encoding: expected the bundle that reads the trials, {others[0]!r}, came {bundle.name!r}: "
            "an encoding model says what its own decoder reads. Name the same bundle in [decoder] and in encoding."
        )
    return bundle
