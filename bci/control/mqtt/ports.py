"""A port is where a broker or a page listens on this machine."""

import os
import socket

from bci.errors import ProgramError


def free_port(wanted: int = 0) -> int:
    """Return a TCP port of the loopback interface that is free now, the one that is wanted if it is."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, os.name != "nt")
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return free_port()
        return int(probe.getsockname()[1])


def require_free(address: str, port: int, who: str, instead: str) -> None:
    """Refuse a place where something listens already.

    Parameters
    ----------
    address, port : str, int
        The place.
    who : str
        What is to listen there: ``"the page"``.
    instead : str
        What to do where that cannot be.

    Raises
    ------
    ProgramError
        If the place is taken, or no address of this machine.
    """
    try:
        for family, kind, number, _, place in socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[:1]:
            with socket.socket(family, kind, number) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, os.name != "nt")
                probe.bind(place)
    except OSError as error:
        raise ProgramError(
            f"{who} cannot listen on {address}:{port}: {error.strerror or error}. {instead}."
        ) from None
