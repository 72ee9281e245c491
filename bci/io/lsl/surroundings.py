"""Surroundings are what decides whether this machine sees a stream: interfaces, firewall, configuration.

LSL looks for streams with one UDP packet on port 16571, to a multicast group and to broadcast, on every interface; what
answers is then fetched over TCP from port 16572 on (liblsl's documentation, "Network connectivity"). So a stream is
hidden by an interface that is down or lets no multicast through, by a firewall, by a virtual private network that
takes the route, or by a configuration that names other places.

``python -m bci.io.lsl.surroundings FILE`` writes them as JSON: a session keeps that when a stream is missing.
"""

import configparser
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from bci.io.files.folder import write_json

#: LSL's multicast group for one local network, and the port where outlets listen for who is looking.
GROUP, PORT = "239.255.172.215", 16571

#: Names of interfaces that belong to virtual private networks and to containers, by how they begin.
_TUNNELS = ("tun", "tap", "utun", "wg", "ppp", "ipsec", "tailscale", "zt", "nordlynx")
_CONTAINERS = ("docker", "br-", "veth", "virbr", "vmnet", "vboxnet", "cni", "podman")

#: What is asked of each system about its firewall: a command that only reads, and what in its answer means "on".
_FIREWALLS: Mapping[str, Sequence[tuple[str, Sequence[str], str]]] = {
    "linux": (
        ("ufw", ("ufw", "status"), "status: active"),
        ("firewalld", ("firewall-cmd", "--state"), "running"),
        ("nftables", ("nft", "list", "ruleset"), "hook input"),
    ),
    "darwin": (
        (
            "the application firewall",
            ("/usr/libexec/ApplicationFirewall/socketfilterfw", "--getglobalstate"),
            "enabled",
        ),
    ),
    "win32": (("Windows Firewall", ("netsh", "advfirewall", "show", "currentprofile", "state"), "on"),),
}
_ASK_S = 3.0

Ask = Callable[[Sequence[str]], str | None]


@dataclass(frozen=True, slots=True)
class Interface:
    """An Interface is one network interface.

    Attributes
    ----------
    name : str
        As the system calls it.
    addresses : tuple of str
        Its IPv4 addresses.
    kind : str
        ``network``, ``loopback``, ``tunnel`` (a virtual private network) or ``container``.
    up : bool
        Whether it is up.
    multicast : bool or None
        Whether a packet to LSL's group can be sent on it; None where it has no address to send from.
    """

    name: str
    addresses: tuple[str, ...]
    kind: str
    up: bool
    multicast: bool | None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A Surroundings is how this machine stands in its network at one moment.

    Attributes
    ----------
    interfaces : tuple of Interface
        All that have an IPv4 address.
    firewalls : tuple of str
        Those that say that they are on.
    configuration : mapping
        What liblsl's configuration file says that decides who is found: its path, ``ResolveScope``, ``KnownPeers``,
        ``SessionID``, ``Interfaces``; empty where there is none.
    streams : tuple of str
        What is visible, in words; None where that was not asked.
    own : bool or None
        Whether this machine finds a stream of its own; None where that was not tried.
    """

    interfaces: tuple[Interface, ...]
    firewalls: tuple[str, ...]
    configuration: Mapping[str, str]
    streams: tuple[str, ...] | None = None
    own: bool | None = None

    def hints(self) -> list[str]:
        """Return in words what may hide a stream, the likeliest first; none where nothing speaks for it."""
        said = []
        networks = [i for i in self.interfaces if i.kind == "network" and i.up]
        if self.own is False:
            said.append(
                "this machine does not find a stream of its own: something on it stops LSL, most likely a firewall"
            )
        if not networks:
            said.append("no network interface is up: only streams of this machine can be found")
        deaf = [i.name for i in networks if i.multicast is False]
        if deaf:
            said.append(
                f"no multicast can be sent on {', '.join(deaf)}: allow it, or name the sender in KnownPeers"
            )
        said += [
            f"{name} is on: let Python and the sender's program in (UDP {PORT}, TCP and UDP 16572 to 16604)"
            for name in self.firewalls
        ]
        if tunnels := [i.name for i in self.interfaces if i.kind == "tunnel" and i.up]:
            said.append(
                f"{', '.join(tunnels)} is up, a virtual private network: it may take LSL's packets; switch it off"
            )
        if len(networks) > 1:
            names = ", ".join(f"{i.name} ({', '.join(i.addresses)})" for i in networks)
            said.append(f"several networks: {names}; the sender must be in one of them")
        return said + self._configured()

    def _configured(self) -> list[str]:
        """Say what the configuration narrows."""
        if not self.configuration:
            return []
        told = {key: value for key, value in self.configuration.items() if key != "file"}
        if not told:
            return []
        words = ", ".join(f"{key} = {value}" for key, value in told.items())
        return [f"{self.configuration['file']} narrows what is found: {words}"]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values, hints included."""
        return {**asdict(self), "hints": self.hints()}


def look_around(wait: float = 1.0, ask: Ask | None = None) -> Surroundings:
    """Look at this machine's surroundings; nothing is changed, and no packet leaves but LSL's own and one to its group.

    Parameters
    ----------
    wait : float
        Seconds to look for streams; 0 leaves that out, and trying a stream of this machine's own.
    ask : callable, optional
        Runs a command and returns what it prints, or None where it cannot: the boundary to the system.
    """
    streams, own = _streams(wait) if wait else (None, None)
    return Surroundings(_interfaces(), _firewalls(ask or _run), read_configuration(os.environ), streams, own)


def _interfaces() -> tuple[Interface, ...]:
    """Return every interface that has an IPv4 address."""
    stats, found = psutil.net_if_stats(), []
    for name, addresses in sorted(psutil.net_if_addrs().items()):
        own = tuple(a.address for a in addresses if a.family == socket.AF_INET)
        if own:
            up = name in stats and stats[name].isup
            multicast = _sends_multicast(own[0]) if up else None
            found.append(Interface(name, own, kind_of_interface(name, own), up, multicast))
    return tuple(found)


def kind_of_interface(name: str, addresses: Sequence[str]) -> str:
    """Return what an interface is, by its name and addresses.

    >>> kind_of_interface("lo", ["127.0.0.1"]), kind_of_interface("utun3", ["10.8.0.2"])
    ('loopback', 'tunnel')
    >>> kind_of_interface("docker0", ["172.17.0.1"]), kind_of_interface("Ethernet 2", ["192.168.1.5"])
    ('container', 'network')
    """
    low = name.lower()
    if all(address.startswith("127.") for address in addresses):
        return "loopback"
    if low.startswith(_TUNNELS) or "vpn" in low:
        return "tunnel"
    if low.startswith(_CONTAINERS) or "vethernet" in low:
        return "container"
    return "network"


def _sends_multicast(address: str) -> bool:
    """Return whether the system takes an empty packet to LSL's group from this address; no program answers one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        try:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            sender.sendto(b"", (GROUP, PORT))
        except OSError:
            return False
    return True


def _firewalls(ask: Ask) -> tuple[str, ...]:
    """Return the firewalls that say that they are on; one that does not answer is not known of."""
    on = []
    for name, command, means in _FIREWALLS.get(sys.platform, ()):
        said = ask(command)
        if said is not None and means in " ".join(said.lower().split()):
            on.append(name)
    return tuple(on)


def _run(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_S, check=False)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout if done.returncode == 0 else None


def read_configuration(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what liblsl's configuration says that decides who is found, and under ``file`` where it lies.

    liblsl takes the first of $LSLAPICFG, ``lsl_api.cfg`` here, ``~/lsl_api/lsl_api.cfg`` and
    ``/etc/lsl_api/lsl_api.cfg``.
    """
    home = Path(environment.get("HOME") or Path.home())
    places = [
        environment.get("LSLAPICFG"), "lsl_api.cfg", home / "lsl_api" / "lsl_api.cfg", "/etc/lsl_api/lsl_api.cfg",
    ]  # fmt: skip
    for place in places:
        if place and Path(place).is_file():
            return {"file": str(place), **_narrowing(Path(place))}
    return {}


def _narrowing(path: Path) -> dict[str, str]:
    """Return the entries of a configuration that decide who is found."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read(path, encoding="utf-8-sig")
    except (OSError, configparser.Error, UnicodeDecodeError):
        return {"error": "it cannot be read as a configuration"}
    wanted = (
        ("multicast", "ResolveScope"), ("multicast", "AddressesOverride"), ("multicast", "Interfaces"),
        ("lab", "KnownPeers"), ("lab", "SessionID"),
    )  # fmt: skip
    return {key: parser[section][key] for section, key in wanted if parser.has_option(section, key)}


def _streams(wait: float) -> tuple[tuple[str, ...], bool]:
    """Return what is visible within some seconds, and whether a stream made here for that is among it."""
    from bci.io.lsl.discovery import visible
    from bci.io.lsl.markers import MarkerOutlet

    own = f"bci-look-around-{os.getpid()}"
    with MarkerOutlet("looking around", own):
        seen = visible(wait)
    words = tuple(
        f"{info.kind} {info.signal.name!r} ({info.source_id!r} on {info.host}), {info.signal.rate:g} Hz"
        for info in seen
        if info.source_id != own
    )
    return words, any(info.source_id == own for info in seen)


if __name__ == "__main__":
    write_json(Path(sys.argv[1]), look_around().as_json())
