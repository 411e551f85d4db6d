"""A real rspamd on the loopback with its own folders, no network and no Redis, that writes its real task log."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_CONFIGURATION = """
options {{
  filters = "dkim"; control_socket = "{dir}/control.sock mode=0600"; pidfile = "{dir}/rspamd.pid";
  tempdir = "{dir}"; url_tld = "$SHAREDIR/effective_tld_names.dat"; history_file = "{dir}/history";
  hs_cache_dir = "{dir}"; cache_file = "{dir}/cache"; stats_file = "{dir}/stats"; local_addrs = [];
  gtube_patterns = "all"; task_timeout = 20s;
  dns {{ nameserver = ["127.0.0.1:{dns_port}"]; timeout = 2s; retransmits = 2; }}
}}
logging {{ type = "file"; filename = "{dir}/rspamd.log"; .include "$CONFDIR/logging.inc" }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; }}
.include "$CONFDIR/groups.conf"
.include "$CONFDIR/actions.conf"
modules {{ path = "$PLUGINSDIR/dmarc.lua"; path = "$PLUGINSDIR/spf.lua"; path = "$PLUGINSDIR/elastic.lua"; }}
dkim {{ check_local = true; }}
spf {{ check_local = true; }}
dmarc {{ }}
elastic {{ server = "127.0.0.1:{elastic_port}"; limit = 0; allow_local = true; use_gzip = false; }}
redis {{ servers = "127.0.0.1:1"; }} # The elastic module refuses to load without; nothing listens there.
"""


@dataclass(frozen=True)
class RspamdServer:
    """Where it listens and what it has written."""

    port: int
    folder: Path

    def check(self, message: bytes, **envelope: str) -> None:
        """One message through HTTP, with ``ip``, ``helo``, ``from_`` and ``rcpt`` as the MTA would give them."""
        headers = {name.strip("_").capitalize(): value for name, value in envelope.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", "/checkv2", body=message, headers=headers)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        connection.close()

    def log_lines(self) -> list[bytes]:
        """The log so far."""
        return (self.folder / "rspamd.log").read_bytes().splitlines()


@contextmanager
def running_rspamd(program: str, folder: Path, dns_port: int, elastic_port: int) -> Iterator[RspamdServer]:
    """The server while the block lasts; its log is complete after the block."""
    port = _free_port()
    configuration = folder / "rspamd.conf"
    configuration.write_text(_CONFIGURATION.format(dir=folder, dns_port=dns_port, port=port, elastic_port=elastic_port))
    arguments = [program, "-c", str(configuration), "-f", *(["-i"] if os.geteuid() == 0 else [])]
    arguments += ["--var=DBDIR=" + str(folder), "--var=RUNDIR=" + str(folder), "--var=LOGDIR=" + str(folder)]
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(arguments, stderr=stderr, stdout=stderr)
    try:
        _wait_for(port, process, folder)
        yield RspamdServer(port, folder)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, (folder / "stderr").read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("rspamd did not come up: " + (folder / "stderr").read_text())
