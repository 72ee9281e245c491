"""What control over MQTT needs beside the session's own packages: those of the extra ``broker``."""

from bci.io.installation import require_packages


def require_mqtt(*, embedded: bool) -> None:
    """Check that the packages are there; the broker's only where it is the session's own.

    Raises
    ------
    ConfigError
        If one is missing.
    """
    packages = ("aiomqtt", "amqtt") if embedded else ("aiomqtt",)
    require_packages("control over MQTT", packages, "broker", "leave --control and [control] out")
