"""What a running milter takes up by itself, and the log it writes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.services.site import US, site_in
from tests.unit.verifier.scripted import play
from trustgraph.errors import ConfigurationError
from trustgraph.milter.server import MilterServer
from trustgraph.model import Identity, UnixSeconds
from trustgraph.openpgp.making import Reason
from trustgraph.services import daemon
from trustgraph.services.daemon import take_up_hostkey
from trustgraph.services.hostkeys import KeyFiles, open_signer
from trustgraph.services.keymaking import create_key, finish_rotation, revoke
from trustgraph.services.log import open_log
from trustgraph.services.milter import Hook
from trustgraph.settings import Settings

NOW = UnixSeconds(int(time.time()))
MADE = UnixSeconds(NOW - 1000)


class Signing:
    """A hook that signs, and what is done with its key."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.events: list[tuple[str, dict[str, object]]] = []
        self.hook = Hook(settings, None, open_signer(settings, NOW), self.log, lambda: NOW)
        self.seen: object = None
        self.look()

    def log(self, event: str, /, **fields: object) -> None:
        self.events.append((event, fields))

    def look(self, now: int = NOW) -> str:
        """Look once; returns what signs now."""

        async def run() -> None:
            self.seen = await take_up_hostkey(self.hook, self.settings, self.log, UnixSeconds(now), self.seen)

        play(run)
        return self.hook.signer.certificate.fingerprint if self.hook.signer else self.hook._unusable


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = site_in(tmp_path)
    create_key(settings, MADE)
    return settings


def test_a_key_that_stays_is_read_no_more(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    signing = Signing(settings)
    assert signing.events == []
    monkeypatch.setattr(daemon, "open_signer", lambda *_: pytest.fail("read again"))
    assert signing.look() == signing.look(NOW + 100)


def test_the_next_key_signs_without_a_restart(settings: Settings) -> None:
    signing = Signing(settings)
    old = signing.look()
    new = create_key(settings, MADE, rotate=True).fingerprint
    os.utime(KeyFiles(settings.hostkey.path).next, (NOW, NOW))
    assert [signing.look(NOW + after) for after in (0, 86_399, 86_400)] == [old, old, new]
    finish_rotation(settings)
    assert signing.look(NOW + 86_401) == new
    assert [event for event, _ in signing.events] == ["hostkey_taken_up"]


def test_a_revoked_key_signs_no_more_and_mail_waits(settings: Settings) -> None:
    signing = Signing(settings)
    revoke(settings, settings.hostkey.path, NOW, Reason.RETIRED, "")
    assert "is revoked" in signing.look()
    assert signing.hook.signer is None
    signing.look()
    assert [event for event, _ in signing.events] == ["hostkey_unusable"]


def test_a_key_that_goes_away_and_comes_back(settings: Settings) -> None:
    signing = Signing(settings)
    key = signing.look()
    settings.hostkey.path.rename(settings.hostkey.path.with_suffix(".away"))
    assert "there is no such file" in signing.look()
    signing.look()
    settings.hostkey.path.with_suffix(".away").rename(settings.hostkey.path)
    settings.hostkey.path.chmod(0o644)
    assert "has mode 0644" in signing.look()
    settings.hostkey.path.chmod(0o600)
    os.utime(settings.hostkey.path)
    assert signing.look() == key
    assert [event for event, _ in signing.events] == ["hostkey_unusable", "hostkey_unusable", "hostkey_taken_up"]


def test_a_key_that_ends_signs_no_more(tmp_path: Path) -> None:
    settings = site_in(tmp_path)
    end = 4_000_000_000
    create_key(settings, MADE, expires_at=UnixSeconds(end))
    signing = Signing(settings)
    assert signing.look(end - 1) == signing.look()
    assert "has expired" in signing.look(end)


def test_a_worker_makes_its_server_and_takes_everything_down(settings: Settings) -> None:
    async def run(given: Settings) -> list[str]:
        import asyncio  # noqa: PLC0415 - only here

        async with daemon._worker(given, daemon._milter, lambda *_, **__: None) as server:
            assert isinstance(server, MilterServer)
            names = [task.get_coro().__name__ for task in asyncio.all_tasks()]  # type: ignore[union-attr]
        assert len(asyncio.all_tasks()) == 1 + 1  # this one and who plays it
        return sorted(name for name in names if name.endswith(("_ever", "_hostkey")))

    def mode(name: str) -> Settings:
        return settings.model_copy(update={"milter": settings.milter.model_copy(update={"mode": name})})

    assert play(lambda: run(mode("both"))) == ["_follow_hostkey", "_refresh_for_ever"]
    assert play(lambda: run(mode("verify"))) == ["_refresh_for_ever"]
    assert play(lambda: run(mode("sign"))) == ["_follow_hostkey"]


def test_a_worker_without_a_name_or_a_key_does_not_start(settings: Settings) -> None:
    async def run(given: Settings) -> None:
        async with daemon._worker(given, daemon._milter, lambda *_, **__: None):
            pass

    nameless = settings.model_copy(update={"site": settings.site.model_copy(update={"hostname": ""})})
    with pytest.raises(ConfigurationError, match=r"site\.hostname"):
        play(lambda: run(nameless))
    settings.hostkey.path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        play(lambda: run(settings))


def test_a_refresh_that_fails_is_logged_and_tried_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[dict[str, object]] = []
    failures: list[Exception] = [OSError("one"), KeyError("two"), RuntimeError("three")]

    class Gate:
        async def refresh(self) -> None:
            if not failures:
                raise BaseExceptionGroup("enough", [KeyboardInterrupt()])
            raise failures.pop()

    monkeypatch.setattr(daemon, "REFRESH_SECONDS", 0)
    with pytest.raises(BaseExceptionGroup):
        play(lambda: daemon._refresh_for_ever(Gate(), lambda _event, /, **fields: events.append(fields)))  # type: ignore[arg-type]
    assert [event["why"] for event in events] == ["RuntimeError: three", "KeyError: 'two'", "OSError: one"]


def read_events(path: Path) -> list[Any]:
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def test_an_event_is_a_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as stream:
        log = open_log(stream.fileno())
        log("one", text='a"b\r\n\x1b[31m\u2028', nothing=None, identity=Identity.ip("192.0.2.1"), where=tmp_path)
        log("two", why=str(BadText("x\ny")))
    one, two = read_events(path)
    assert one["event"] == "one"
    assert "nothing" not in one
    assert (one["identity"], one["where"]) == ("ip:192.0.2.1", str(tmp_path))
    assert two["why"] == "x\ny"
    assert b"\x1b" not in path.read_bytes()
    assert one["timestamp"].endswith("Z")


class BadText(Exception):
    """Text with a line end in it."""


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    log = open_log(writer)
    log("one", host=US)
    os.close(writer)
    log("two", host=US)
