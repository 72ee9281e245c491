"""What control over MQTT needs beside the session's own packages: those of the extra ``broker``."""

import importlib.util

from bci.errors import ConfigError


def require_mqtt(*, embedded: bool) -> None:
    """Check that the packages are there; the broker's only where it is the session's own.

    Raises
    ------
    ConfigError
        If one is missing.
    """
    names = ("aiomqtt", "amqtt") if embedded else ("aiomqtt",)
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"control over MQTT needs {' and '.join(missing)}, expected beside this program. Install the extra: pip "
            "install 'closed-loop-bci[broker]', or leave --control and [control] out."
        )
