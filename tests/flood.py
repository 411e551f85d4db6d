"""Signatures that prove nothing, by the hundred thousand, as anybody can hang them on a key."""

from __future__ import annotations

import random
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence

from tests.sks import SksNode
from trustgraph.lab.quick_keys import QuickKey
from trustgraph.openpgp.framing import Packet, Tag, serialise
from trustgraph.openpgp.transferable import enarmor

#: SKS resets a submission of more than 5 MiB.
SLICE_SIGNATURES = 25_000


def bogus_certifications(count: int, made_at: int, issuers: Sequence[str] = (), seed: int = 0) -> list[bytes]:
    """Well-formed version 4 packets, Ed25519 and SHA-256, by issuers that nobody has, or as if by ``issuers`` in turn.

    They are made one a second from ``made_at`` on.
    """
    dice = random.Random(seed)
    packets = []
    for number in range(count):
        claimed = bytes.fromhex(issuers[number % len(issuers)]) if issuers else dice.randbytes(20)
        area = b"\x05\x02" + (made_at + number).to_bytes(4) + b"\x16\x21\x04" + claimed
        body = b"\x04\x10\x16\x08" + len(area).to_bytes(2) + area + b"\x00\x0a\x09\x10" + claimed[-8:]
        integers = b"".join(b"\x01\x00\x80" + dice.randbytes(31) for _ in range(2))
        packets.append(serialise(Packet(Tag.SIGNATURE, body + dice.randbytes(2) + integers)))
    return packets


def with_certifications(key: QuickKey, packets: Sequence[bytes]) -> bytes:
    """The certificate with these packets over its first User ID, among those that are there."""
    certificate = key.certificate()
    start = certificate.index(b"smtp://")
    end = certificate.index(b"\xc2", start)  # the first signature over it
    return certificate[:end] + b"".join(packets) + certificate[end:]


def submit(node: SksNode, certificate: bytes) -> None:
    """Hand a certificate in, and see that it was taken."""
    form = urllib.parse.urlencode({"keytext": enarmor(certificate).decode()}).encode()
    with urllib.request.urlopen(f"http://{node.address}:{node.port}/pks/add", form, timeout=60) as response:
        assert response.status == 200


def slices(packets: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """In pieces that SKS takes."""
    for at in range(0, len(packets), SLICE_SIGNATURES):
        yield packets[at : at + SLICE_SIGNATURES]


def days_ago(days: float) -> int:
    """Unix seconds; keys in these tests are as old as real ones, whatever the clock says."""
    return int(time.time() - days * 86_400)
