"""A port is where a broker listens on this machine."""

import os
import socket


def free_port(wanted: int = 0) -> int:
    """Return a TCP port of the loopback interface that is free now, the one that is wanted if it is."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, os.name != "nt")
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return free_port()
        return int(probe.getsockname()[1])
