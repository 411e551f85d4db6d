"""Real SKS keyservers that gossip with each other, on loopback addresses of their own, stopped by their process ids."""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_CONFIGURATION = """
hostname: {address}
nodename: {address}
recon_address: {address}
recon_port: {recon_port}
hkp_address: {address}
hkp_port: {port}
gossip_interval: 0.02
disable_mailsync:
debuglevel: 3
pagesize: 16
ptree_pagesize: 16
cache: 8
ptree_cache: 4
"""

# Debian's sks keeps its tree under -basedir.
_FOLDERS = ("etc/sks", "var/log/sks", "var/run/sks", "var/lib/sks/dump", "var/lib/sks/www")
_SPOOLS = ("var/spool/sks/messages", "var/spool/sks/failed_messages")

#: A busy machine may need this long to start a node; usually it takes a second.
START_SECONDS = 60.0


@dataclass
class SksNode:
    """One keyserver: its database process, which speaks HTTP, and its gossiping process."""

    program: str
    folder: Path
    address: str
    port: int
    recon_port: int
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """As an operator would configure it."""
        return f"hkp://{self.address}:{self.port}"

    def prepare(self, peers: Sequence[SksNode]) -> None:
        """An empty database, and whom to gossip with."""
        for name in (*_FOLDERS, *_SPOOLS):
            (self.folder / name).mkdir(parents=True)
        settings = _CONFIGURATION.format(address=self.address, port=self.port, recon_port=self.recon_port)
        (self.folder / "etc/sks/sksconf").write_text(settings)
        members = "".join(f"{peer.address} {peer.recon_port}\n" for peer in peers)
        (self.folder / "etc/sks/membership").write_text(members)
        with (self.folder / "output").open("ab") as output:
            subprocess.run(
                self._command("build"), cwd=self.folder, stdout=output, stderr=output, check=True, timeout=60
            )

    def start(self) -> None:
        """Start both processes and wait until HTTP answers."""
        with (self.folder / "output").open("ab") as output:
            for part in ("db", "recon"):
                process = subprocess.Popen(self._command(part), cwd=self.folder, stdout=output, stderr=output)
                self._running.append(process)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "output").read_text(errors="replace")
            assert self._running[0].poll() is None, (self.folder / "output").read_text(errors="replace")
            time.sleep(0.02)

    def kill(self) -> None:
        """Stop it as a power cut would."""
        for process in self._running:
            process.kill()
            process.wait(timeout=30)
        self._running.clear()

    def _command(self, part: str) -> list[str]:
        return [self.program, part, "-basedir", str(self.folder)]

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(self.address, self.port, timeout=5)
        try:
            connection.request("GET", "/pks/lookup?op=stats")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


@contextmanager
def gossiping_nodes(program: str, folder: Path, count: int = 2) -> Iterator[list[SksNode]]:
    """So many empty nodes, each gossiping with all others, while the block lasts.

    Each has an address of its own, since SKS passes over peers that share its address.
    """
    addresses = [f"127.0.0.{11 + number}" for number in range(count)]
    nodes = [SksNode(program, folder / address, address, *_free_ports(address)) for address in addresses]
    try:
        for node in nodes:
            node.prepare([peer for peer in nodes if peer is not node])
        for node in nodes:
            node.start()
        yield nodes
    finally:
        for node in nodes:
            node.kill()


def _free_ports(address: str) -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind((address, 0))
        other.bind((address, 0))
        return one.getsockname()[1], other.getsockname()[1]
