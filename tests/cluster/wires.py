"""A node's network: one address, one interface that leads outward, and nobody at its other end.

Packets to anywhere else leave by that interface and are lost, where they can be watched. IPv4
alone, so that no interface says anything by itself.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from tests.cluster.sandbox import Sandbox

ADDRESS = "10.77.0.1"
_GATEWAY = "10.77.0.254"
# Nobody's: the other end of the cable is in the node, too, and must not take the packets for its.
_NOBODY = "02:00:00:00:00:01"
_OUTWARD = "out0"
_SETTINGS = (
    "net/ipv6/conf/default/disable_ipv6=1",
    "net/ipv4/ip_forward=1",
)
_COMMANDS = (
    f"link add {_OUTWARD} type veth peer name far0",
    f"address add {ADDRESS}/32 dev {_OUTWARD}",
    f"link set {_OUTWARD} up",
    "link set far0 up",
    f"route add {_GATEWAY} dev {_OUTWARD}",
    f"neighbour add {_GATEWAY} lladdr {_NOBODY} dev {_OUTWARD} nud permanent",
    f"route add default via {_GATEWAY}",
)

_ALL_PROTOCOLS = 3
_BUFFER = 32 << 20
_SO_RCVBUFFORCE = 33
_ETHERNET = 14
_IPV4 = 0x0800
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}


@dataclass(frozen=True)
class Packet:
    """What left the node. `protocol` is "tcp", "udp" or a number; `port` is where it went, or 0."""

    source: str
    destination: str
    protocol: str
    port: int


class Capture:
    """The packets that left since it began."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._packets: list[Packet] = []

    def packets(self) -> list[Packet]:
        """All of them until now, in their order."""
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, (_, _, kind, *_) = self._listener.recvfrom(1 << 16)
                if kind == socket.PACKET_OUTGOING:
                    self._packets.append(_packet(frame))
        return list(self._packets)


def lay(sandbox: Sandbox) -> None:
    """Gives the sandbox its address and the way that leads nowhere."""
    for setting in _SETTINGS:
        name, _, value = setting.partition("=")
        sandbox.run(["sh", "-c", f"echo {value} > /proc/sys/{name}"])
    for command in _COMMANDS:
        sandbox.run(["ip", *command.split()])


@contextlib.contextmanager
def capturing(sandbox: Sandbox) -> Iterator[Capture]:
    """Watches the outward interface."""
    with sandbox.entered():
        listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        listener.bind((_OUTWARD, _ALL_PROTOCOLS))
        listener.setblocking(False)
        yield Capture(listener)


def _packet(frame: bytes) -> Packet:
    [kind] = struct.unpack_from("!H", frame, _ETHERNET - 2)
    if kind != _IPV4:
        return Packet("", "", f"{kind:#06x}", 0)
    header = frame[_ETHERNET:]
    number = header[9]
    start = (header[0] & 0x0F) * 4
    has_ports = _PROTOCOLS.get(number) in ("tcp", "udp")
    port = int(struct.unpack_from("!H", header, start + 2)[0]) if has_ports else 0
    source, destination = (str(IPv4Address(header[at : at + 4])) for at in (12, 16))
    return Packet(source, destination, _PROTOCOLS.get(number, str(number)), port)
