"""The Lab Streaming Layer network of a process is the laboratory's, or one of this machine alone."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bci.errors import StreamNotFound
from bci.io.files.folder import writing
from bci.io.files.scratch import make_scratch_folder

if TYPE_CHECKING:
    from bci.io.lsl.address import Address


def isolated_config(session_id: str) -> str:
    """Return a liblsl configuration for streams that never leave this machine.

    Discovery and traffic stay on loopback, other session ids are invisible, and every stream is found at
    once. The TCP data port still listens on all interfaces, as liblsl always does.
    """
    return f"""[lab]
SessionID = {session_id}
[multicast]
ResolveScope = machine
AddressesOverride = {{239.255.172.215}}
Interfaces = {{127.0.0.1}}
TTLOverride = 0
[ports]
IPv6 = disable
[tuning]
MulticastMinRTT = 0.05
MulticastMaxRTT = 0.3
ContinuousResolveInterval = 0.1
TimeProbeInterval = 0.01
[log]
level = -2
"""


def join(network: str, session_id: str, of_others: "Sequence[Address]" = ()) -> None:
    """Join the network that a session file names, before the first use of LSL in this process.

    Parameters
    ----------
    network : "machine" or "lab"
        Its key ``network``.
    session_id : str
        What tells a network of this machine from others.
    of_others : sequence of Address
        The streams of other programs that the session needs.

    Raises
    ------
    StreamNotFound
        If it needs one and has a network of its own, in which there is no other program.
    """
    if network != "machine":
        return
    if of_others and "LSLAPICFG" not in os.environ:
        raise StreamNotFound(
            f"expected {', '.join(address.words for address in of_others)} from another program, and network = "
            '"machine" gives the session a network of its own, in which there is no other program. Set network = '
            '"lab" in the file for a stream of another program, on this machine too, or make the stream with [source].'
        )
    isolate(session_id)


def isolate(session_id: str) -> None:
    """Keep this process and every program it spawns on a network of this machine alone.

    Must run before the first use of LSL in this process. A configuration the user chose with `LSLAPICFG`
    is left in force.
    """
    if "LSLAPICFG" in os.environ:
        return
    path = make_scratch_folder("bci-lsl-") / "lsl_api.cfg"
    with writing(path):
        path.write_text(isolated_config(session_id))
    os.environ["LSLAPICFG"] = str(path)
