"""Stands in for Elasticsearch on the loopback: answers what rspamd asks at start, keeps the rows that it is sent."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from threading import Thread
from types import TracebackType

_NODES = b'{"nodes": {"one": {"plugins": [{"name": "ingest-geoip"}]}}}'


class BulkCatcher:
    """``lines`` gets each line of each bulk request."""

    def __init__(self) -> None:
        self.lines: SimpleQueue[bytes] = SimpleQueue()
        lines = self.lines

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                self.send_response(200)
                self.send_header("Content-Length", str(len(_NODES)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(_NODES)
                if self.path.endswith("/_bulk"):
                    for line in body.splitlines():
                        lines.put(line)

            do_GET = do_HEAD = do_PUT = do_POST = _answer  # noqa: N815  the base class prescribes them

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]

    def __enter__(self) -> BulkCatcher:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
