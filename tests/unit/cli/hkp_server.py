"""A keyserver for as long as a test: it keeps what is added, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from trustgraph.openpgp.making import export_public, read_certificate


class HkpServer:
    """``keys`` by fingerprint, armored. ``status`` other than 200 is what everybody gets; ``forgets`` what is added."""

    def __init__(self) -> None:
        self.keys: dict[str, bytes] = {}
        self.status = 200
        self.forgets = False
        self.url = ""

    def add(self, armored: bytes) -> None:
        if not self.forgets:
            certificate = read_certificate(armored)
            self.keys[certificate.fingerprint] = export_public(certificate, armored=True)


def _handler(keyserver: HkpServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = parse_qs(urlsplit(self.path).query)["search"][0].removeprefix("0x")
            found = keyserver.keys.get(wanted)
            self._answer(keyserver.status if keyserver.status != 200 or found else 404, found or b"")

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            if keyserver.status == 200:
                keyserver.add(form["keytext"][0].encode())
            self._answer(keyserver.status, b"")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return Handler


@contextmanager
def hkp_server(keyserver: HkpServer | None = None) -> Iterator[HkpServer]:
    keyserver = keyserver or HkpServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(keyserver))
    keyserver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield keyserver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
