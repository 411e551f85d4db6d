"""A real Exim on the loopback, in its own folder, that asks a loopback DNS server and writes its real main log."""

from __future__ import annotations

import os
import pwd
import shutil
import smtplib
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_CONFIGURATION = """
primary_hostname = mx1.example.org
keep_environment =
exim_user = Debian-exim
exim_path = {program}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
log_selector = +dkim_verbose
host_lookup = *
tls_advertise_hosts =
domainlist local_domains = example.com
acl_smtp_rcpt = accept
acl_smtp_dkim = accept
acl_smtp_data = judge
{settings}
begin acl
judge:
{judge}
begin routers
deliver:
  driver = {deliver}
begin transports
file:
  driver = appendfile
  directory = {folder}/mail
  maildir_format
  user = Debian-exim
"""

_CLASSIFIER = """\
  deny condition = ${if match{$message_body}{UBE}}
       log_message = spam (UBE-TEST) found
  deny condition = ${if match{$message_body}{EICAR}}
       log_message = this message contains a virus (Eicar-Test)
  accept
"""


@dataclass(frozen=True)
class EximServer:
    """Where it listens."""

    port: int

    def send(self, message: bytes, *, sender: str = "a@example.org", source: str = "127.0.0.1") -> int:
        """One message through SMTP; the reply code after DATA."""
        return int(self.reply_to(message, sender=sender, source=source)[:3])

    def reply_to(self, message: bytes, *, sender: str = "a@example.org", source: str = "127.0.0.1") -> str:
        """The whole reply after DATA."""
        client = smtplib.SMTP("127.0.0.1", self.port, "helo.example.net", timeout=30, source_address=(source, 0))
        client.ehlo()
        client.mail(sender)
        client.rcpt("reader@example.com")
        code, reply = client.data(message)
        client.quit()
        return f"{code} {reply.decode()}"


def lacks() -> str | None:
    """What keeps Exim from running here: its user, root for it and for a resolver of its own, or None."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return "root and unshare(1)"
    return None if "Debian-exim" in {entry.pw_name for entry in pwd.getpwall()} else "the user Debian-exim"


@contextmanager
def running_exim(
    program: str, folder: Path, dns_address: str, *, judge: str = _CLASSIFIER, settings: str = "", keep: bool = False
) -> Iterator[EximServer]:
    """The server while the block lasts. Its log is ``log/mainlog`` in the folder, complete after the block.

    ``judge`` is its DATA ACL. What is accepted is thrown away, or with ``keep`` delivered into the Maildir ``mail``.
    """
    port = _free_port()
    for name in ("spool", "log", "mail"):
        (folder / name).mkdir()
        shutil.chown(folder / name, "Debian-exim")
    for parent in (folder, *folder.parents[:-1]):
        parent.chmod(parent.stat().st_mode | 0o011)  # Exim gives root up before it reaches its own folders
    (folder / "resolv.conf").write_text(f"nameserver {dns_address}\n")
    (folder / "exim.conf").write_text(
        _CONFIGURATION.format(
            folder=folder,
            program=program,
            judge=judge,
            settings=settings,
            deliver="accept\n  transport = file" if keep else "redirect\n  data = :blackhole:",
        )
    )
    # Exim asks the system's resolver: it gets a resolv.conf of its own in a mount namespace of its own.
    script = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(folder / "resolv.conf"), program]
    command += ["-C", str(folder / "exim.conf"), "-bdf", "-oX", f"127.0.0.1.{port}", "-oP", str(folder / "pid")]
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(command, stderr=stderr, env=_environment(program))
    try:
        _wait_for(port, process, folder)
        yield EximServer(port)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _environment(program: str) -> dict[str, str]:
    """Libraries unpacked beside the program are found without being installed."""
    library = Path(program).parents[1] / "lib" / f"{os.uname().machine}-linux-gnu"
    return {**os.environ, "LD_LIBRARY_PATH": str(library)}


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
    raise AssertionError("Exim did not come up: " + (folder / "stderr").read_text())
