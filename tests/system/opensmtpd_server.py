"""A real OpenSMTPD on the loopback, unpacked beside Postfix and in its own folder.

Its paths are compiled in: it sees its spool, socket and helpers there through a mount namespace of its own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import smtplib
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.system.gate_lab import free_port, wait_for

USERS = frozenset({"opensmtpd", "opensmtpq"})

_CONFIGURATION = """\
{settings}
table box {{ "@" = "nobody" }}
action "deliver" maildir "{folder}/mail" virtual <box>
match from any for any action "deliver"
"""

#: What is mounted over what: a folder of the server's own, and the directory in which smtpd looks.
_OVER = {"spool": "/var/spool", "lib": "/var/lib", "run": "/run"}

_SCRIPT = """
for place in "$1/spool=/var/spool" "$1/lib=/var/lib" "$1/run=/run" "$2/usr/libexec=/usr/libexec"; do
    mount --bind "${place%=*}" "${place#*=}"
done
shift 2
exec "$@"
"""


@dataclass(frozen=True)
class SmtpdServer:
    """Where it listens, and what it is."""

    port: int
    folder: Path
    root: Path
    process: subprocess.Popen[bytes]

    def reply_to(self, message: bytes, *, sender: str, recipients: tuple[str, ...] = ("reader@example.com",)) -> str:
        """One message through SMTP; the whole reply after DATA."""
        with smtplib.SMTP("127.0.0.1", self.port, "helo.example.net", timeout=60) as client:
            client.ehlo()
            client.mail(sender)
            for recipient in recipients:
                client.rcpt(recipient)
            code, reply = client.data(message)
            return f"{code} {reply.decode()}"

    def submit(self, message: bytes, *, sender: str, recipient: str) -> None:
        """One message over smtpd's own socket, as sendmail(8) does on the machine itself."""
        inside = ["nsenter", "-m", "-t", str(self.process.pid), str(self.root / "usr/sbin/sendmail")]
        arguments = [*inside, "-f", sender, recipient]
        environment = _environment(self.root)
        done = subprocess.run(  # the group is what sendmail gets from its setgid bit where it is installed
            arguments, input=message, capture_output=True, env=environment, group="opensmtpq", timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr

    def delivered(self) -> list[bytes]:
        """Messages in the Maildir."""
        return [path.read_bytes() for path in sorted((self.folder / "mail/new").glob("*"))]

    def log(self) -> str:
        """smtpd's log so far, with what the filter wrote to standard error."""
        return (self.folder / "log").read_text()

    def filter_process(self) -> int:
        """The process id of the filter, which smtpd starts through a process of its own."""
        grandchildren = [one for child in _children(self.process.pid) for one in _children(child)]
        (found,) = [one for one in grandchildren if b"smtpd-filter" in Path(f"/proc/{one}/cmdline").read_bytes()]
        return found


def _children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def lacks() -> str | None:
    """What keeps OpenSMTPD from running here, or None."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return "root and unshare(1)"
    missing = USERS - {entry.pw_name for entry in pwd.getpwall()}
    return f"the users {', '.join(sorted(missing))}" if missing else None


@contextmanager
def running_opensmtpd(program: str, folder: Path, settings: str) -> Iterator[SmtpdServer]:
    """The server while the block lasts. ``settings`` has filter and listen lines; ``{port}`` in it is where it listens.

    What is accepted is delivered into the Maildir ``mail``.
    """
    port = free_port("127.0.0.1")
    for name in _OVER:
        (folder / name).mkdir(parents=True)
    (folder / "spool/smtpd").mkdir(mode=0o711)
    (folder / "lib/opensmtpd/empty").mkdir(parents=True)
    (folder / "mail").mkdir()
    shutil.chown(folder / "mail", "nobody")
    for parent in (folder, *folder.parents[:-1]):
        parent.chmod(parent.stat().st_mode | 0o011)
    lines = settings.replace("{port}", str(port))
    (folder / "smtpd.conf").write_text(_CONFIGURATION.format(settings=lines, folder=folder))
    root = Path(program).parents[2]
    inside = ["unshare", "-m", "sh", "-euc", _SCRIPT, "sh", str(folder), str(root)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*inside, program, "-d", "-f", str(folder / "smtpd.conf")],
            stdout=log,
            stderr=log,
            env=_environment(root),
        )
    server = SmtpdServer(port, folder, root, process)
    try:
        wait_for(lambda: _listens(port) or process.poll() is not None, "OpenSMTPD")
        assert process.poll() is None, server.log()
        yield server
    finally:
        process.terminate()
        process.wait(60)


def _environment(root: Path) -> dict[str, str]:
    """Libraries unpacked beside the program are found without being installed."""
    machine = f"{os.uname().machine}-linux-gnu"
    return {**os.environ, "LD_LIBRARY_PATH": f"{root}/usr/lib/{machine}:{root}/lib/{machine}"}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
