"""A milter that refuses messages with the words of a content filter, as named by the message's subject."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from threading import Thread
from types import TracebackType


class RefusingMilter:
    """Listens on a loopback port while the ``with`` block lasts; ``replies`` maps subjects to SMTP replies."""

    def __init__(self, replies: Mapping[bytes, bytes]) -> None:
        self._replies = replies
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.milter = f"inet:127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = Thread(target=self._accept, daemon=True)

    def __enter__(self) -> RefusingMilter:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=10)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:  # shut down: the end
                return
            Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        subject = b""
        with connection, connection.makefile("rb") as stream:
            while len(head := stream.read(5)) == 5:
                length, command = struct.unpack("!Ic", head)
                data = stream.read(length - 1)
                if command in {b"D", b"A", b"Q"}:  # macros, abort, quit: no reply
                    continue
                if command == b"L" and data.startswith(b"Subject\0"):
                    subject = data.split(b"\0")[1].strip()
                reply = b"c"
                if command == b"O":  # negotiation: version 6, no actions, nothing skipped
                    reply = b"O" + struct.pack("!III", 6, 0, 0)
                elif command == b"E" and subject in self._replies:
                    reply = b"y" + self._replies[subject] + b"\0"
                connection.sendall(struct.pack("!I", len(reply)) + reply)
