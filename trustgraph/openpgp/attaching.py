"""Our signatures put under a User ID of somebody else's certificate, the rest of it left as it came, octet for octet.

What comes from a keyserver carries whatever anybody put there. Only the parts and the self-signatures that were
verified go back, each as it came: a self-signature with another unhashed area is another packet to a keyserver, which
would keep both for ever.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from trustgraph.errors import BadInput
from trustgraph.openpgp.framing import Packet, Tag, read_packets, serialise
from trustgraph.openpgp.signature import parse_signature

#: What a signature covers, and itself; copies that agree in this are the same signature.
_Name: TypeAlias = tuple[bytes, bytes]


def attach(certificate: bytes, verified: bytes, signatures: Mapping[str, Sequence[bytes]]) -> bytes:
    """The packets of ``certificate`` that ``verified`` has too, with ``signatures`` under the User IDs they are over.

    ``verified`` is what was read out of copies of the same certificate
    (:attr:`trustgraph.openpgp.hostcert.HostCertificate.octets`). Raises :class:`BadInput` when a User ID is in one of
    the two only.
    """
    parts = {packet for packet in _packets(verified) if packet.tag is not Tag.SIGNATURE}
    known: set[_Name | None] = {name for packet in _packets(verified) if (name := _name(packet))}
    waiting = {Packet(Tag.USER_ID, user_id.encode()): packets for user_id, packets in signatures.items()}
    pieces: list[bytes] = []
    kept = False
    added: Sequence[bytes] = ()
    for packet in _packets(certificate):
        if packet.tag is Tag.SIGNATURE:
            name = _name(packet)
            if kept and name in known:
                pieces.append(serialise(packet))
                known.discard(name)
            continue
        pieces += added
        kept = packet in parts
        parts.discard(packet)
        added = waiting.pop(packet, ()) if kept else ()
        if kept:
            pieces.append(serialise(packet))
    if waiting:
        raise BadInput(f"the certificate has no User ID {', '.join(signatures)}")
    return b"".join([*pieces, *added])


def _packets(certificate: bytes) -> Iterator[Packet]:
    return read_packets(io.BytesIO(certificate), lambda _problem: None, with_subkeys=True)


def _name(packet: Packet) -> _Name | None:
    if packet.tag is not Tag.SIGNATURE or packet.body is None:
        return None
    try:
        signature = parse_signature(packet.body)
    except BadInput:
        return None
    return signature.hashed, signature.material
