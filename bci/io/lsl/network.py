"""The Lab Streaming Layer network of a process is the laboratory's, or one of this machine alone."""

import os
import tempfile
from pathlib import Path


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


def isolate(session_id: str) -> None:
    """Keep this process and every program it spawns on a network of this machine alone.

    Must run before the first use of LSL in this process. A configuration the user chose with `LSLAPICFG`
    is left in force.
    """
    if "LSLAPICFG" in os.environ:
        return
    folder = Path(tempfile.mkdtemp(prefix="bci-lsl-"))
    path = folder / "lsl_api.cfg"
    path.write_text(isolated_config(session_id))
    os.environ["LSLAPICFG"] = str(path)
