"""GNU Mailman 3 on loopback: the real master and its runners, LMTP in, REST for its owner, a sink for what it sends.

Mailman lives in a virtual environment of its own (`make packages`), with nothing of ours in it but the plugin's source
on the path, as ``pip install --no-deps`` would put it there.
"""

from __future__ import annotations

import email
import email.policy
import json
import os
import signal
import smtplib
import subprocess
import sys
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx

from tests.signed_posts import LIST
from tests.system.gate_lab import DEADLINE, free_port, wait_for

ROOT = Path(__file__).parents[2]
MAILMAN = ROOT / ".venv" / "mailman" / "bin"
ADDRESS = "127.0.0.1"
REQUEST = LIST.replace("@", "-request@")
LIST_ID = LIST.replace("@", ".")

_MAILMAN_CFG = """\
[mailman]
layout: here
site_owner: owner@example.net
[paths.here]
var_dir: {home}/var
bin_dir: {mailman}
[mta]
incoming: mailman.mta.null.NullMTA
lmtp_host: 127.0.0.1
lmtp_port: {lmtp}
smtp_host: 127.0.0.1
smtp_port: {sink}
configuration: python:mailman.config.mail_generic
[webservice]
hostname: 127.0.0.1
port: {rest}
admin_user: tester
admin_pass: tester
workers: 1
[plugin.trustgraph]
class: trustgraph.mailman.plugin.Plugin
enabled: yes
component_package: trustgraph.mailman
configuration: {home}/trustgraph.cfg
[runner.archive]
start: no
[runner.bounces]
start: no
[runner.digest]
start: no
[runner.nntp]
start: no
[archiver.mhonarc]
enable: no
[archiver.mail_archive]
enable: no
[archiver.prototype]
enable: no
"""

_PLUGIN_CFG = """\
[trustgraph]
command: {command}
authserv_id: lists.example
"""

_TRUSTGRAPH = """\
[site]
hostname = "lists.example"
[database]
url = "sqlite:///{home}/trustgraph.db"
[lists]
sendmail = "{home}/sendmail"
"""

#: A sendmail that speaks SMTP, as msmtp does.
_SENDMAIL = """\
#!{python}
import smtplib, sys
with smtplib.SMTP("127.0.0.1", {sink}) as session:
    session.sendmail(sys.argv[sys.argv.index("-f") + 1], sys.argv[sys.argv.index("--") + 1:], sys.stdin.buffer.read())
"""


@dataclass
class MailmanServer:
    """One Mailman with one list, on both sides; ``chain`` is the list's posting chain."""

    home: Path
    chain: str = "trustgraph-posting-chain"
    lmtp: int = 0
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list, repr=False)

    def start(self, *options: str) -> None:
        """Start all of it and make the list; ``options`` are of `trustgraph list create`."""
        self.home.mkdir(parents=True)
        self.lmtp, sink, rest = (free_port(ADDRESS) for _ in range(3))
        self._rest = f"http://{ADDRESS}:{rest}/3.1"
        command = f"{sys.executable} -m trustgraph --config {self.home}/trustgraph.toml"
        values = {"home": self.home, "mailman": MAILMAN, "lmtp": self.lmtp, "sink": sink, "rest": rest}
        values |= {"command": command, "python": sys.executable}
        texts = {"mailman.cfg": _MAILMAN_CFG, "trustgraph.cfg": _PLUGIN_CFG, "trustgraph.toml": _TRUSTGRAPH}
        for name, text in (texts | {"sendmail": _SENDMAIL}).items():
            (self.home / name).write_text(text.format(**values))
        (self.home / "sendmail").chmod(0o755)
        self._run([MAILMAN / "aiosmtpd", "-n", "-l", f"{ADDRESS}:{sink}", "-c", "aiosmtpd.handlers.Mailbox", self.mail])
        self._run([MAILMAN / "master", "-C", self.home / "mailman.cfg"])
        self.trustgraph("list", "create", LIST, "--rule", f"keys_to={REQUEST}", *options)
        wait_for(self._serves, "Mailman")
        self.rest("POST", "/domains", mail_host="lists.example")
        self.rest("POST", "/lists", fqdn_listname=LIST)
        settings = {"posting_chain": self.chain, "send_welcome_message": False, "send_goodbye_message": False}
        self.rest("PATCH", f"/lists/{LIST_ID}/config", **settings, admin_immed_notify=False)

    @property
    def mail(self) -> Path:
        """The sink's Maildir."""
        return self.home / "mail"

    def stop(self) -> None:
        """Stop what was started, Mailman's runners by their master."""
        for process in reversed(self._started):
            process.send_signal(signal.SIGTERM)
        for process in self._started:
            try:
                process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)

    def trustgraph(self, *arguments: str, code: int = 0) -> str:
        """Run one command as the list's owner."""
        command = [sys.executable, "-m", "trustgraph", "--config", str(self.home / "trustgraph.toml"), *arguments]
        done = subprocess.run(command, capture_output=True, timeout=DEADLINE, check=False)
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout.decode()

    def pipe(self, octets: bytes, sender: str) -> None:
        """Through `trustgraph list pipe`, as Postfix does; the list delivers to Mailman."""
        command = [sys.executable, "-m", "trustgraph", "--config", str(self.home / "trustgraph.toml"), "list", "pipe"]
        done = subprocess.run([*command, LIST, "--sender", sender], input=octets, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr

    def rest(self, method: str, path: str, **values: Any) -> Any:
        """Ask Mailman's REST API, as Postorius does."""
        answer = httpx.request(method, self._rest + path, data=values or None, auth=("tester", "tester"), timeout=60)
        assert answer.is_success, (method, path, answer.status_code, answer.text, self.logs())
        return answer.json() if answer.content else None

    def subscribe(self, address: str) -> None:
        """Mailman's own subscription; the plugin takes it to the stash."""
        known = {"pre_verified": True, "pre_confirmed": True, "pre_approved": True}
        self.rest("POST", "/members", list_id=LIST_ID, subscriber=address, **known)

    def held(self) -> list[dict[str, Any]]:
        """What waits for Mailman's moderators."""
        found: list[dict[str, Any]] = self.rest("GET", f"/lists/{LIST_ID}/held").get("entries", [])
        return found

    def hand_in(self, octets: bytes, sender: str, recipient: str = LIST) -> None:
        """Over LMTP, as the MTA does."""
        with smtplib.LMTP(ADDRESS, self.lmtp) as session:
            session.sendmail(sender, [recipient], octets)

    def letters(self, address: str) -> list[EmailMessage]:
        """What was sent to somebody, in turn."""
        paths = sorted((self.mail / "new").glob("*"), key=lambda path: path.stat().st_mtime_ns)
        read = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]
        return [one for one in read if address in str(one.get("X-RcptTo", ""))]  # type: ignore[misc]

    def wait_for_letters(self, address: str, count: int) -> list[EmailMessage]:
        """Until so many are there."""
        try:
            wait_for(lambda: len(self.letters(address)) >= count, f"letter {count} to {address}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None
        return self.letters(address)

    def settled(self) -> None:
        """Until no runner has anything in its queue; what was shunted is an error."""
        queues = self.home / "var/queue"
        assert not list((queues / "shunt").glob("*")), self.logs()
        names = ("in", "pipeline", "out", "virgin", "command", "retry")
        wait_for(lambda: not any(list((queues / name).glob("*")) for name in names), "Mailman's queues")

    def logs(self) -> str:
        """What Mailman has logged."""
        return "\n".join(f"{p.name}: {p.read_text()[-3000:]}" for p in sorted((self.home / "var/logs").glob("*.log")))

    def _run(self, command: list[object]) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        with (self.home / "output.log").open("ab") as log:
            words = [str(word) for word in command]
            process = subprocess.Popen(words, stdout=log, stderr=log, env=environment, start_new_session=True)
        self._started.append(process)

    def _serves(self) -> bool:
        ended = [process.args for process in self._started if process.poll() is not None]
        assert not ended, (ended, (self.home / "output.log").read_text(), self.logs())
        try:
            with smtplib.LMTP(ADDRESS, self.lmtp):
                return bool(httpx.get(self._rest + "/system/versions", auth=("tester", "tester")).is_success)
        except (OSError, httpx.HTTPError):
            return False


def reasons_of(held: dict[str, Any]) -> str:
    """Why a post is held, as its moderator is shown."""
    return json.dumps(held["reason"])
