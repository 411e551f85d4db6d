"""A DNS server of a few fixed records on the loopback, for mail programs that insist on asking one (RFC 1035)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from threading import Thread
from types import TracebackType

TYPES = {"A": 1, "PTR": 12, "TXT": 16}

#: (owner name in lower case, type) to one value.
Records = Mapping[tuple[str, str], str]


class LoopbackDns:
    """Answers over UDP while the ``with`` block lasts; whatever it does not know is NXDOMAIN."""

    def __init__(self, records: Records, address: str = "127.0.0.1", port: int = 0) -> None:
        self._answers = {(name, TYPES[kind]): _rdata(kind, value) for (name, kind), value in records.items()}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, port))
        self.address, self.port = self._socket.getsockname()
        self._thread = Thread(target=self._serve, daemon=True)

    def __enter__(self) -> LoopbackDns:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stopper:
            stopper.sendto(b"", (self.address, self.port))
        self._thread.join(timeout=10)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(4096)
            if not query:
                return
            self._socket.sendto(self._reply(query), client)

    def _reply(self, query: bytes) -> bytes:
        labels, at = [], 12
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode("ascii").lower())
            at += 1 + length
        name, (qtype, _) = ".".join(labels), struct.unpack_from("!HH", query, at + 1)
        question = query[12 : at + 5]
        rdata = self._answers.get((name, qtype))
        known = any(owner == name for owner, _ in self._answers)
        flags = 0x8180 if known else 0x8183
        header = query[:2] + struct.pack("!HHHHH", flags, 1, int(rdata is not None), 0, 0)
        if rdata is None:
            return header + question
        return header + question + struct.pack("!HHHIH", 0xC00C, qtype, 1, 300, len(rdata)) + rdata


def _rdata(kind: str, value: str) -> bytes:
    if kind == "A":
        return socket.inet_aton(value)
    if kind == "PTR":
        return b"".join(bytes([len(label)]) + label.encode() for label in value.split(".")) + b"\0"
    text = value.encode()
    return b"".join(bytes([len(part)]) + part for part in (text[i : i + 255] for i in range(0, len(text), 255)))
