"""A real Mailman 3 on loopback: its runners under its own master, SQLite, REST, LMTP in and an SMTP sink for mail out.

Mailman and the sink (aiosmtpd) live in a virtual environment of their own, made by tests/make-mailman. Posts and
letters come in over LMTP as they would from an MTA; letters of `trustgraph` go to the sink as well.
"""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import shutil
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx

from tests.signed_posts import LIST
from tests.system.gate_lab import DEADLINE, free_port, wait_for

ROOT = Path(__file__).parents[2]
BIN = Path(os.environ.get("TRUSTGRAPH_MAILMAN", ROOT / ".venv/mailman/bin"))
ADDRESS = "127.0.0.1"
REQUEST = LIST.replace("@", "-request@")
OWNER = "owner@example.net"
_PASSWORD = "only-on-loopback"

_CONFIG = """\
[mailman]
site_owner: postmaster@lists.example
layout: here_now
[paths.here_now]
var_dir: {home}/var
[mta]
incoming: mailman.mta.null.NullMTA
smtp_host: {address}
smtp_port: {sink}
lmtp_host: {address}
lmtp_port: {lmtp}
[webservice]
hostname: {address}
port: {rest}
admin_user: restadmin
admin_pass: {password}
workers: 1
[plugin.trustgraph]
class: trustgraph.mailman.plugin.Plugin
enabled: yes
component_package: trustgraph.mailman
configuration: {home}/plugin.cfg
[runner.trustgraph]
class: trustgraph.mailman.waiting.WaitingRunner
sleep_time: 1s
[runner.lmtp]
class: trustgraph.mailman.lmtp.KeepingLMTPRunner
{hurry}
[archiver.prototype]
enable: no
[runner.archive]
start: no
[runner.bounces]
start: no
[runner.digest]
start: no
[runner.retry]
start: no
[runner.task]
start: no
"""

_PLUGIN = """\
[trustgraph]
command = {home}/ask
timeout = 30s
patience = {patience}
authserv_id = lists.example
"""

_TRUSTGRAPH = """\
[site]
hostname = "lists.example"
[database]
url = "sqlite:///{home}/trustgraph.db"
[lists]
sendmail = "{home}/sendmail"
retry = "0s"  # what Mailman brings once more, it has to say so
"""

_SENDMAIL = """\
#!{python}
import smtplib, sys
letter = b"\\r\\n".join(sys.stdin.buffer.read().splitlines())
with smtplib.SMTP("{address}", {sink}) as session:
    session.sendmail(sys.argv[sys.argv.index("-f") + 1], sys.argv[sys.argv.index("--") + 1:], letter)
"""

#: What the plugin runs: the command, whose answer comes late while there is a file ``shut``.
_ASK = """\
#!/bin/sh
{command} "$@"
code=$?
if [ -e {home}/shut ]; then
    : > {home}/answers/$$
    while [ -e {home}/shut ]; do sleep 0.05; done
fi
exit $code
"""

#: Runners that look for work more often than once a second.
_IN_A_HURRY = ("command", "in", "out", "pipeline", "virgin")


@dataclass
class MailmanServer:
    """See above."""

    home: Path
    lmtp_port: int = 0
    _rest_port: int = 0
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list, repr=False)

    def start(self, *options: str) -> None:
        """The sink, the list in `trustgraph` with ``options`` of `list create`, and Mailman with the list in it."""
        self.home.mkdir(parents=True)
        sink_port, self.lmtp_port, self._rest_port = (free_port(ADDRESS) for _ in range(3))
        values = {"home": self.home, "address": ADDRESS, "sink": sink_port, "lmtp": self.lmtp_port}
        values |= {"rest": self._rest_port, "password": _PASSWORD, "python": sys.executable}
        values |= {"command": " ".join(self._command()), "patience": "1h"}
        values["hurry"] = "\n".join(f"[runner.{name}]\nsleep_time: 0.1s" for name in _IN_A_HURRY)
        texts = {"mailman.cfg": _CONFIG, "plugin.cfg": _PLUGIN, "trustgraph.toml": _TRUSTGRAPH}
        for name, text in (texts | {"sendmail": _SENDMAIL, "ask": _ASK}).items():
            (self.home / name).write_text(text.format(**values))
        for name in ("sendmail", "ask"):
            (self.home / name).chmod(0o755)
        handler = ["-c", "aiosmtpd.handlers.Mailbox", str(self.home / "sink")]
        self._run("sink", str(BIN / "python"), "-m", "aiosmtpd", "-n", "-l", f"{ADDRESS}:{sink_port}", *handler)
        wait_for(lambda: _listens(sink_port), "the sink")
        moderator = ["--moderator", OWNER, "--rule", f"keys_to={REQUEST}"]
        self.trustgraph("list", "create", LIST, *moderator, *options)
        self._run("master", str(BIN / "master"), "-C", str(self.home / "mailman.cfg"))
        wait_for(self._is_up, "Mailman")
        self.rest("domains", {"mail_host": LIST.partition("@")[2]})
        self.rest("lists", {"fqdn_listname": LIST})
        quiet = {"send_welcome_message": "False", "send_goodbye_message": "False", "admin_immed_notify": "True"}
        self.rest(f"lists/{LIST}/config", quiet, method="PATCH")
        self.join(OWNER, "owner")

    def be_patient_for(self, patience: str) -> None:
        """Change the plugin's setting, and have the runner for posts started anew."""
        path = self.home / "plugin.cfg"
        path.write_text(re.sub("patience = .*", f"patience = {patience}", path.read_text()))
        old = self.runner("in")
        os.kill(old, signal.SIGUSR1)
        self.wait(lambda: self.runners("in") - {old}, "another runner for posts")

    def stop(self) -> None:
        """End what was started, Mailman first; its master ends its runners."""
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(DEADLINE)

    def mailman(self, *arguments: str, code: int = 0) -> str:
        """Run Mailman's own command."""
        command = [str(BIN / "mailman"), "-C", str(self.home / "mailman.cfg"), "--run-as-root", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DEADLINE, check=False, env=_environment(), cwd=self.home
        )
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def trustgraph(self, *arguments: str, code: int = 0, stdin: bytes = b"") -> str:
        """Run our command as the list's owner."""
        done = subprocess.run(
            [*self._command(), *arguments], input=stdin, capture_output=True, timeout=DEADLINE, check=False
        )
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout.decode()

    def stash(self) -> list[dict[str, Any]]:
        """The keys in the stash."""
        return [json.loads(line) for line in self.trustgraph("list", "keys", LIST, "--json").splitlines()]

    def rest(self, path: str, data: Mapping[str, str] | None = None, method: str = "") -> Any:
        """A question to Mailman's REST interface: GET without ``data``, else POST, unless another is said."""
        method = method or ("GET" if data is None else "POST")
        url = f"http://{ADDRESS}:{self._rest_port}/3.1/{path}"
        reply = httpx.request(method, url, data=data, auth=("restadmin", _PASSWORD), timeout=DEADLINE)
        assert reply.is_success, (method, path, reply.status_code, reply.text)
        return reply.json() if reply.content else None

    def join(self, address: str, role: str = "member") -> None:
        """Have Mailman subscribe somebody, as Postorius does for a moderator."""
        agreed = {"pre_verified": "true", "pre_confirmed": "true", "pre_approved": "true"} if role == "member" else {}
        self.rest("members", {"list_id": LIST.replace("@", "."), "subscriber": address, "role": role, **agreed})

    def leave(self, address: str) -> None:
        """Have Mailman unsubscribe somebody."""
        self.rest(f"lists/{LIST}/member/{address}", method="DELETE")

    def held(self) -> list[dict[str, Any]]:
        """What waits for Mailman's moderators."""
        found: list[dict[str, Any]] = self.rest(f"lists/{LIST}/held").get("entries", [])
        return found

    def moderate(self, post: Mapping[str, Any], action: str) -> None:
        """``accept``, ``discard`` and the like."""
        self.rest(f"lists/{LIST}/held/{post['request_id']}", {"action": action})

    def post(self, octets: bytes, sender: str, recipient: str = LIST) -> None:
        """Hand in a message over LMTP with a trace field, as an MTA does. Raises what smtplib raises."""
        trace = b"Received: from client.example by mx.lists.example with ESMTP id %d\r\n" % time.monotonic_ns()
        with smtplib.LMTP(ADDRESS, self.lmtp_port) as session:
            session.sendmail(sender, [recipient], trace + octets, ["BODY=8BITMIME"])

    def mailbox(self, address: str) -> list[EmailMessage]:
        """What has been sent to somebody, in turn."""
        found = []
        for path in sorted((self.home / "sink/new").glob("*"), key=lambda one: one.stat().st_mtime_ns):
            letter = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            if address in str(letter["X-RcptTo"]).split(", "):
                found.append(letter)
        return found  # type: ignore[return-value]

    def wait_for_mail(self, address: str, count: int) -> list[EmailMessage]:
        """Until so many are there."""
        self.wait(lambda: len(self.mailbox(address)) >= count, f"letter {count} to {address}")
        return self.mailbox(address)

    def settled(self) -> None:
        """Until Mailman has nothing in hand, whatever waits for `trustgraph` aside."""
        self.wait(lambda: not any(self.queued(name) for name in ("in", "command", "pipeline", "virgin", "out")), "rest")

    def queued(self, name: str) -> list[Path]:
        """The files of one of Mailman's queues, those in hand included."""
        return [one for one in (self.home / "var/queue" / name).glob("*") if one.suffix in (".pck", ".bak", ".psv")]

    def wait(self, ready: Callable[[], object], what: str) -> None:
        """Until something is so; what Mailman has logged goes with the failure."""
        try:
            wait_for(ready, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None

    @contextmanager
    def answers_kept_back(self) -> Iterator[Callable[[], int]]:
        """While the plugin waits for answers that have been given; how many there are."""
        given = self.home / "answers"
        shutil.rmtree(given, ignore_errors=True)
        given.mkdir()
        (self.home / "shut").touch()
        try:
            yield lambda: len(list(given.iterdir()))
        finally:
            (self.home / "shut").unlink()

    def runner(self, name: str) -> int:
        """The process of one of Mailman's runners."""
        self.wait(lambda: self.runners(name), f"runner {name}")
        (found,) = self.runners(name)
        return found

    def runners(self, name: str) -> set[int]:
        """Its processes: none while it is started anew."""
        wanted = {f"--runner={name}:0:1".encode(), str(self.home / "mailman.cfg").encode()}
        found = set()
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if wanted <= set(entry.read_bytes().split(b"\0")):
                    found.add(int(entry.parent.name))
        return found

    def logs(self) -> str:
        """The end of each of Mailman's logs."""
        found = (one for one in (self.home / "var/logs").glob("*.log") if one.name != "smtp.log")
        paths = [*sorted(found), self.home / "master.log"]
        return "\n".join(f"== {path.name}\n{path.read_text()[-3000:]}" for path in paths if path.exists())

    def log(self, name: str) -> str:
        """One of them."""
        path = self.home / f"var/logs/{name}.log"
        return path.read_text() if path.exists() else ""

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "trustgraph", "--config", str(self.home / "trustgraph.toml")]

    def _run(self, name: str, *command: str) -> None:
        with (self.home / f"{name}.log").open("wb") as log:
            started = subprocess.Popen(
                command, stdout=log, stderr=log, env=_environment(), cwd=self.home, start_new_session=True
            )
        self._processes.append(started)

    def _is_up(self) -> bool:
        try:
            self.rest("system/versions")
        except httpx.HTTPError:
            return False
        return _listens(self.lmtp_port)


def _environment() -> dict[str, str]:
    """Of this, Mailman hands on to its runners where to find our package, and little else."""
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}


def _listens(port: int) -> bool:
    try:
        with smtplib.SMTP(ADDRESS, port, timeout=DEADLINE):
            return True
    except OSError:
        return False
