"""What is recorded of a decision, whose results are believed, and a gate that is not whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.services.serving import know_peer
from tests.unit.services.site import NOW, US, site_in
from tests.unit.verifier.letters import (
    LIST,
    MESSAGE_FIELDS,
    PEER,
    RELAY,
    World,
    altered,
    key_of,
    signed_by,
)
from tests.unit.verifier.scripted import FOUND, FP, PACKETS, Keyservers, play
from trustgraph.errors import ConfigurationError, ServiceUnavailable, TrustgraphError
from trustgraph.model import Identity
from trustgraph.policy.decide import Policy
from trustgraph.services import daemon
from trustgraph.services.gate import key_times, open_gate, others_in, policy_of, record_of, state_of
from trustgraph.settings import Settings
from trustgraph.store import open_store
from trustgraph.verifier.counters import Counters
from trustgraph.verifier.keys import NoKey
from trustgraph.verifier.spool import Record

PEER_KEY = f"openpgp:{key_of(PEER).fingerprint}"


def recorded(world: World, *given: Any, **more: Any) -> Record:
    async def run() -> Record:
        examined = await world.examine(*given, **more)
        judged = await world.verifier.conclude(examined, None)
        return record_of(judged, examined.incoming, "4XyZ", US, NOW)

    return play(run)


def test_a_signature_of_the_clients_own_is_about_its_key() -> None:
    record = recorded(World(PEER), signed_by(PEER, bh=None), PEER)
    assert (record.identity, record.result, record.host, record.signing_host) == (PEER_KEY, "pass", PEER, PEER)
    assert (record.client_ip, record.observer, record.message_id) == ("192.0.2.1", US, "<minutes.1@example.org>")


def test_the_host_that_forwards_is_not_put_beside_the_key() -> None:
    record = recorded(World(PEER), signed_by(PEER, bh=None), RELAY)
    assert (record.identity, record.result, record.host, record.signing_host) == (PEER_KEY, "pass", PEER, "")


def test_a_proved_helo_makes_its_own_name_expected_to_sign_and_no_other() -> None:
    world = World(PEER)
    world.helo[PEER, "192.0.2.1"] = True
    record = recorded(world, signed_by(PEER, bh=None), "shared.provider.example", helo=PEER)
    assert (record.identity, record.host, record.signing_host) == (PEER_KEY, PEER, PEER)


def test_who_forges_a_key_gets_no_name_beside_it_and_is_not_expected_to_sign() -> None:
    record = recorded(World(PEER), altered(signed_by(PEER)), "mx.forger.example")
    assert (record.identity, record.result, record.host, record.signing_host) == (PEER_KEY, "fail", "", "")


@pytest.mark.parametrize("fields", [signed_by(PEER), signed_by(PEER, x="1788220801"), signed_by(LIST, v="2")])
def test_a_fingerprint_that_nobody_has_seen_leaves_no_identity(fields: Any) -> None:
    """Else whoever makes them up would fill the store, and put names beside keys that are yet to come."""
    record = recorded(World(), fields, RELAY)
    assert (record.identity, record.host, record.result) == ("ip:192.0.2.1", RELAY, "permerror")
    world = World()
    world.keys.unreachable(PEER)
    assert recorded(world, signed_by(PEER), RELAY).identity == "ip:192.0.2.1"


def test_without_a_signature_it_is_about_the_client() -> None:
    assert recorded(World(), MESSAGE_FIELDS, PEER).identity == "ip:192.0.2.1"
    assert recorded(World(), MESSAGE_FIELDS, PEER, ip="").identity == f"helo:{PEER}"
    assert recorded(World(), MESSAGE_FIELDS, helo="mx.claimed.example", ip="").identity == "ip:127.0.0.1"


def test_a_message_without_an_id_is_known_by_its_queue_id() -> None:
    assert recorded(World(), [(b"From", b" a@x")], PEER).message_id == "4XyZ"
    assert len(recorded(World(), [(b"Message-ID", b"\xff" * 5000)], PEER).message_id) == 998


# Results of filters before this one


RESULTS = b"Authentication-Results"
PASSES = b" rspamd.example; dkim=pass header.d=peer.example; spf=pass smtp.mailfrom=anna@peer.example"
BOTH = (Identity.dkim("peer.example"), Identity.spf("peer.example"))


def test_trusted_results_are_believed() -> None:
    assert others_in([(RESULTS, PASSES)], ["Rspamd.Example"]) == BOTH


@pytest.mark.parametrize(
    ("fields", "trusted"),
    [
        ([(RESULTS, PASSES)], []),
        ([(RESULTS, PASSES)], ["mx.example.net"]),
        ([(b"Received", b" from x"), (RESULTS, PASSES)], ["rspamd.example"]),
        ([(b"RECEIVED", b" from x"), (RESULTS, PASSES)], ["rspamd.example"]),
        ([(RESULTS, PASSES.replace(b"pass", b"fail"))], ["rspamd.example"]),
        ([(RESULTS, b" rspamd.example; helo=pass; iprev=pass policy.iprev=192.0.2.1")], ["rspamd.example"]),
        ([(RESULTS, PASSES + b" (unclosed")], ["rspamd.example"]),
        ([(RESULTS, b"")], ["rspamd.example", ""]),
        ([(b"X-" + RESULTS, PASSES)], ["rspamd.example"]),
    ],
)
def test_others_are_not(fields: Any, trusted: list[str]) -> None:
    assert others_in(fields, trusted) == ()


def test_what_was_reported_first_holds() -> None:
    """A filter writes on top: a pass below its fail is older, or forged."""
    fields = [(RESULTS, PASSES.replace(b"dkim=pass", b"dkim=fail")), (RESULTS, PASSES)]
    assert others_in(fields, ["rspamd.example"]) == (Identity.spf("peer.example"),)


# The gate as a whole


def opened(settings: Settings, **how: Any) -> None:
    async def run() -> None:
        async with open_gate(settings, **{"recording": False} | how):
            pass

    play(run)


def test_what_is_recorded_needs_a_name_to_record_under(tmp_path: Path) -> None:
    nameless = site_in(tmp_path, site={"hostname": ""})
    opened(nameless)
    with pytest.raises(ConfigurationError, match=r"site\.hostname"):
        opened(nameless, recording=True)


def test_a_gate_that_is_not_whole_is_none(tmp_path: Path) -> None:
    settings = site_in(tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "counters.db").write_bytes(b"no database" * 1000)
    with pytest.raises(ServiceUnavailable, match=r"counters\.db"):
        opened(settings)
    (tmp_path / "state" / "counters.db").unlink()
    (tmp_path / "state" / "spool").write_bytes(b"")
    with pytest.raises(ServiceUnavailable, match="spool"):
        opened(settings, recording=True)
    (tmp_path / "trustgraph.db").write_bytes(b"no database" * 1000)
    with pytest.raises(TrustgraphError, match="not a database"):
        opened(settings)
    bad = site_in(tmp_path, keyservers={"urls": ["gopher://x"]})
    (tmp_path / "trustgraph.db").unlink()
    with pytest.raises(ConfigurationError):
        opened(bad)


def test_its_folders_are_closed_to_others(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        opened(site_in(tmp_path), recording=True)
    finally:
        os.umask(before)
    for path in (tmp_path / "state").rglob("*"):
        assert path.stat().st_mode & 0o007 == 0 or path.suffix == ".lock", path
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o750


def test_a_fetched_certificate_is_left_whole_for_scoring(tmp_path: Path) -> None:
    settings = site_in(tmp_path)

    async def run() -> None:
        async with open_gate(settings, recording=False, clock=lambda: NOW) as gate:
            gate.keys._keyservers = Keyservers(FOUND)
            await gate.keys.refetch(FP)

    play(run)
    (path,) = state_of(settings, "keys").iterdir()
    assert (path.name, path.read_bytes()) == (f"{FP}.pgp", PACKETS)


def test_refresh_takes_over_and_forgets(tmp_path: Path) -> None:
    settings = site_in(tmp_path)

    async def run() -> None:
        async with open_gate(settings, recording=True, clock=lambda: NOW) as gate:
            gate._counters.delivered(b"s" * 16, [b"a"], NOW)
            know_peer(settings)
            await gate.refresh()
            assert gate.standings._generation == 1
            assert (await gate.keys.get(key_of(PEER).fingerprint)).key is not NoKey.ABSENT

    play(run)
    counters = Counters(state_of(settings, "counters.db"))
    assert counters.delivered(b"s" * 16, [], NOW) == 0
    counters.close()


def test_settings_reach_the_policy(tmp_path: Path) -> None:
    settings = site_in(
        tmp_path,
        policy={"profile": "strict", "accept": 0.7, "refuse": 0.2, "headers_suffice": False, "on_forged": "discard"},
        keyservers={"positive_ttl": "2h", "negative_ttl": "0", "stale_limit": "3d"},
    )
    policy = policy_of(settings)
    assert (policy.profile, policy.accept, policy.refuse, policy.headers_suffice) == ("strict", 0.7, 0.2, False)
    assert (policy.on_forged, policy.on_unreachable, policy.on_newcomer) == ("discard", "tempfail", "tag")
    newcomers = {"newcomer_messages": 7, "newcomer_messages_in_all": 90, "newcomer_growth": 3.0}
    others = {"on_unsigned_newcomer": "allowance", "signature_recipients": 5, "on_newcomer": "quarantine"}
    assert policy_of(site_in(tmp_path, policy=newcomers | others)) == Policy(**newcomers, **others)  # type: ignore[arg-type]
    times = key_times(settings)
    assert (times.positive_seconds, times.negative_seconds, times.stale_seconds) == (7200, 0, 259_200)


def test_limits_of_the_settings_are_told_apart(tmp_path: Path) -> None:
    settings = site_in(tmp_path, policy={"signature_recipients": 20_000})

    async def run() -> int:
        async with open_gate(settings, recording=False) as gate:
            return gate._counters._told_apart

    assert play(run) > 20_000


# The process that takes it all to the store


def log_to(events: list[tuple[str, dict[str, object]]]) -> Any:
    return lambda event, /, **fields: events.append((event, fields))


def test_fetched_keys_are_ingested_and_a_pass_that_fails_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = site_in(tmp_path)
    keys = state_of(settings, "keys")
    keys.mkdir(parents=True)
    (keys / f"{FP}.pgp").write_bytes(PACKETS)
    (keys / "half.1.new").write_bytes(PACKETS[:10])
    store = open_store(settings.database.url)
    events: list[tuple[str, dict[str, object]]] = []

    def busy(*_: object) -> None:
        raise ServiceUnavailable("busy")

    with monkeypatch.context() as patch:
        patch.setattr(daemon, "ingest_keyrings", busy)
        with pytest.raises(ServiceUnavailable):
            daemon._ingest_keys(settings, store, log_to(events))
    daemon._ingest_keys(settings, store, log_to(events))
    daemon._ingest_keys(settings, store, log_to(events))
    assert events == [("keys_ingested", {"certificates": 1, "certifications": 0})]
    assert [path.name for path in keys.iterdir()] == ["half.1.new"]
    store.close()
