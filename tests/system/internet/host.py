"""One mail host of this internet: it sends to all the others and receives from all of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.system.gate_lab import MailHost
from tests.system.internet.cast import Player

#: The only client whose mail a host takes for its own users'.
CLIENT = "127.0.0.1"

_SETTINGS = """\
[site]
hostname = "{name}"
[database]
url = "sqlite:///{home}/trustgraph.db"
[hostkey]
path = "{home}/hostkey.pgp"
[keyservers]
urls = {keyservers}
positive_ttl = "2d"          # keys are fetched anew every other day, and with them what others say of them
negative_ttl = "1s"
[anchors]
{anchors}
[policy]
profile = "{profile}"
[endorsement]                # the days here are few
good_mails = 10
days = 5
max_bad_share = 0.25
[feedback]
sources = ["{home}/verdicts.csv"]
[schedule]                   # of `recompute --once` in the evening
endorse = "1d"
report = "0"
prune = "0"
[milter]
listen = "unix:{home}/milter.sock"
socket_mode = "666"
state = "{home}/state"
workers = 1
internal_hosts = ["{client}"]
[milter.known_clients]       # there is no DNS here
{known}
"""

_FOLDERS = ("box", "good", "Junk")


@dataclass
class InternetHost(MailHost):
    """``names`` are those of all hosts by address."""

    player: Player = field(kw_only=True)
    names: Mapping[str, str] = field(kw_only=True)

    @property
    def verdicts(self) -> Path:
        """Where its content filter says what mail turned out to be."""
        return self.home / "verdicts.csv"

    def turn_strict(self) -> None:
        """From now on whoever has no standing is refused."""
        self.profile = "strict"
        self.configure()
        self.reload_milter()

    def main_cf(self) -> str:
        """Its own users' client may send anywhere, everybody else only to its mailbox."""
        own = f"mynetworks = {CLIENT}\ntransport_maps = texthash:{self.home}/config/transport\n"
        return super().main_cf().replace("mynetworks = 127.0.0.0/24\n", own)

    def configure(self, **over: str) -> None:
        """Write trustgraph.toml; as soon as there is a key, its owner trusts what he signs himself."""
        known = "".join(f'"{address}" = "{name}"\n' for address, name in self.names.items())
        anchors = f'"openpgp:{self.fingerprint}" = 1.0' if self.fingerprint else ""
        values = {
            "home": self.home,
            "name": self.name,
            "profile": self.profile,
            "keyservers": json.dumps(list(self.keyservers)),
        }
        values |= {"anchors": anchors, "client": CLIENT, "known": known} | over
        (self.home / "trustgraph.toml").write_text(_SETTINGS.format(**values))

    def prepare(self) -> None:
        """As every mail host, with a folder for each kind of mail and itself as its anchor."""
        super().prepare()
        for name in _FOLDERS:
            for part in ("new", "cur", "tmp"):
                (self.home / "mail" / name / part).mkdir(parents=True, exist_ok=True)
        for folder in (self.home / "mail").rglob("*"):
            folder.chmod(0o777)
        self.configure()

    def last_reason(self, client: str) -> str:
        """Why its gate treated the last letter that came from this host as it did."""
        events = [event for event in self.events("message_judged") if event.get("client_host") == client]
        return str(events[-1]["reason"]) if events else ""

    def route(self, hosts: Iterable[MailHost]) -> None:
        """Where each other host is."""
        lines = [f"{host.name} smtp:[{host.address}]:{host.port}\n" for host in hosts if host is not self]
        (self.home / "config/transport").write_text("".join(lines))

    def mail(self, *folders: str) -> list[Path]:
        """Letters in these folders, default all of them."""
        return [path for name in folders or _FOLDERS for path in (self.home / "mail" / name / "new").iterdir()]
