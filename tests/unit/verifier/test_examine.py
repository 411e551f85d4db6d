"""Which signature counts, what it takes to find out, and what follows; never by a name that nobody proved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.headersig.signed import DAY, host_certificate, host_packets
from tests.unit.openpgp.openpgp_maker import revoke_key
from tests.unit.verifier.letters import (
    AT,
    BODY_HASH,
    ENVELOPE,
    IP,
    LIST,
    MESSAGE_FIELDS,
    NOW,
    PEER,
    RECIPIENT,
    RELAY,
    SENDER,
    World,
    altered,
    bound,
    certificate_of,
    key_of,
    said,
    signed_by,
)
from tests.unit.verifier.scripted import play
from trustgraph.headersig.signing import Envelope
from trustgraph.model import Identity, Result, day_of
from trustgraph.policy.decide import Policy
from trustgraph.policy.overrides import Override
from trustgraph.verifier.examine import Client, Incoming, responsible_signature

OTHER = Envelope(b"carl@other.example", (b"dora@example.net",))


def rated_world(*hosts: str, **more: Any) -> World:
    world = World(*hosts, **more)
    for host in hosts:
        world.rate(host, 0.9)
    return world


def judge(world: World, *given: Any, **more: Any) -> str:
    return said(play(lambda: world.judge(*given, **more)))


def test_the_clients_own_signature_counts() -> None:
    world = rated_world(PEER)
    judged = play(lambda: world.judge(signed_by(PEER), PEER))
    assert said(judged) == "pass by client: accept accepted"
    assert judged.evidence.responsible is not None
    assert judged.evidence.responsible.host == PEER
    assert world.keys.asked == [key_of(PEER).fingerprint]
    assert world.helo_asked == []


def test_the_clients_own_signature_needs_no_envelope() -> None:
    assert judge(rated_world(PEER), signed_by(PEER), PEER, OTHER) == "pass by client: accept accepted"
    assert judge(rated_world(PEER), signed_by(PEER, envelope={}), PEER) == "pass by client: accept accepted"


def test_through_a_relay_it_needs_its_envelope() -> None:
    assert judge(rated_world(PEER), signed_by(PEER), RELAY) == "pass: accept accepted"
    assert judge(rated_world(PEER), signed_by(PEER), RELAY, OTHER).startswith("policy envelope-differs: ")
    assert judge(rated_world(PEER), signed_by(PEER, envelope={}), RELAY).startswith("policy envelope-differs: ")
    assert judge(rated_world(PEER), signed_by(PEER), RELAY, Envelope()).startswith("policy envelope-differs: ")
    two = replace(ENVELOPE, recipients=(RECIPIENT, b"another@example.net"))
    assert judge(rated_world(PEER), signed_by(PEER), RELAY, two).startswith("policy envelope-differs: ")
    strict = rated_world(PEER, policy=Policy("strict"))
    assert judge(strict, signed_by(PEER), RELAY, OTHER) == "policy envelope-differs: reject unsigned"


def test_a_signature_of_the_client_that_does_not_hold_is_not_healed_by_an_inner_one() -> None:
    fields = signed_by(RELAY, signed_by(PEER), **{"h": "From:To"})
    world = rated_world(PEER, RELAY)
    world.keys.at_hand = {key_of(PEER).fingerprint, key_of(RELAY).fingerprint}
    assert judge(world, fields, RELAY) == "permerror too-little-signed by client: reject forged"
    altered_outside = [(name, value) for name, value in signed_by(RELAY, altered(signed_by(PEER), b" one"))]
    healthy_inside = altered(altered_outside, MESSAGE_FIELDS[3][1])
    judged = play(lambda: world.judge(healthy_inside, RELAY))
    assert [one.finding.result for one in judged.checked] == [Result.FAIL, Result.PASS]
    assert said(judged).endswith("by client: reject forged")


def test_another_hops_broken_signature_is_no_worse_and_no_better_than_none() -> None:
    world = rated_world(PEER)
    broken = judge(world, altered(signed_by(PEER)), RELAY)
    assert broken == "fail signature-does-not-verify: accept unsigned-unrated"
    world.standings.signing = {RELAY}
    assert judge(world, altered(signed_by(PEER)), RELAY).endswith("reject signature-expected")


def test_the_newest_that_passes_in_its_envelope_counts() -> None:
    world = rated_world(PEER, LIST)
    world.keys.at_hand = {key_of(PEER).fingerprint, key_of(LIST).fingerprint}
    fields = signed_by(LIST, signed_by(PEER), envelope=bound(OTHER.mail_from, OTHER.recipients[0]))
    for envelope, host in ((ENVELOPE, PEER), (OTHER, LIST)):
        judged = play(lambda envelope=envelope: world.judge(fields, RELAY, envelope))
        assert judged.evidence.responsible is not None
        assert (judged.evidence.responsible.host, judged.evidence.result) == (host, Result.PASS)
    both = signed_by(LIST, signed_by(PEER))
    judged = play(lambda: world.judge(both, RELAY))
    assert judged.evidence.responsible is not None
    assert judged.evidence.responsible.host == LIST


def test_a_key_that_could_not_be_looked_up_may_be_the_one_that_passes() -> None:
    """So it is not skipped for one that passes without counting."""
    world = rated_world(PEER, LIST)
    world.keys.unreachable(LIST)
    world.keys.at_hand = {key_of(PEER).fingerprint}
    fields = signed_by(LIST, signed_by(PEER, envelope={}))
    assert judge(world, fields, RELAY) == "temperror keyservers-unreachable: tempfail keyservers-unreachable"


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], None),
        (["neutral"], None),
        (["fail", "temperror", "permerror"], "temperror"),
        (["permerror", "fail"], "fail"),
        (["permerror", "neutral"], "permerror"),
        (["pass without", "temperror"], "temperror"),
        (["pass without", "fail"], "policy"),
        (["pass in envelope", "temperror"], "pass"),
        (["fail", "pass in envelope"], "pass"),
        (["own fail", "pass in envelope"], "fail"),
        (["own fail", "own pass"], "pass"),
        (["own temperror", "pass in envelope"], "temperror"),
        (["own neutral", "pass in envelope"], "neutral"),
        (["pass in envelope", "own permerror"], "permerror"),
    ],
)
def test_which_signature_counts(results: list[str], expected: str | None) -> None:
    world = World(PEER)
    (one,) = play(lambda: world.examine(signed_by(PEER))).checked
    checked = []
    for text in results:
        word = text.removeprefix("own ").split()[0]
        finding = replace(one.finding, result=Result(word))
        envelope = text.endswith("in envelope")
        checked.append(replace(one, finding=finding, by_client=text.startswith("own"), envelope=envelope))
    found = responsible_signature(checked)
    assert (found and found.finding.result.value) == expected


def test_one_key_a_message_is_asked_for_and_the_clients_comes_first() -> None:
    world = rated_world(PEER, RELAY, LIST)
    fields = signed_by(LIST, signed_by(RELAY, signed_by(PEER)))
    judged = play(lambda: world.judge(fields, PEER))
    assert world.keys.asked == [key_of(PEER).fingerprint]
    assert [one.finding.reason for one in judged.checked] == ["key-not-looked-up", "key-not-looked-up", ""]
    assert said(judged) == "pass by client: accept accepted"
    world.keys.asked.clear()
    play(lambda: world.judge(fields, "mx.unknown.example"))
    assert world.keys.asked == [key_of(LIST).fingerprint]


def test_keys_at_hand_cost_no_question() -> None:
    world = rated_world(PEER, LIST)
    world.keys.at_hand = {key_of(LIST).fingerprint}
    judged = play(lambda: world.judge(signed_by(LIST, signed_by(PEER)), RELAY))
    assert [one.finding.result for one in judged.checked] == [Result.PASS, Result.PASS]
    assert world.keys.asked == [key_of(PEER).fingerprint]


def test_what_no_key_could_mend_is_not_asked_for() -> None:
    for wrong in ({"x": str(AT + 1)}, {"t": str(NOW + DAY), "x": str(NOW + 2 * DAY)}, {"v": "2"}, {"fp": "abc"}):
        world = rated_world(PEER)
        assert judge(world, signed_by(PEER, **wrong), RELAY).startswith("permerror ")
        assert world.keys.looked_up == []


def test_three_signatures_are_looked_at_and_no_more() -> None:
    world = rated_world(PEER)
    fields = signed_by(PEER)
    for number in range(3):
        fields = signed_by(f"mx{number}.decoy.example", fields)
    judged = play(lambda: world.judge(fields, PEER))
    assert len(judged.checked) == 3
    assert judged.evidence.result is not Result.PASS
    assert len(world.keys.looked_up) == 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"d": "mx.bank.example"}, "host-not-on-key"),
        ({"x": str(AT + 60)}, "expired"),
        ({"v": "2"}, "malformed-signature"),
    ],
)
def test_a_wrong_signature_in_the_clients_name_is_refused(changes: dict[str, str], reason: str) -> None:
    world = rated_world(PEER)
    client = changes.get("d", PEER)
    judged = play(lambda: world.judge(signed_by(PEER, **changes), client))
    if reason == "malformed-signature":  # whose it claims to be cannot be read
        assert said(judged) == "permerror malformed-signature: accept unsigned-unrated"
    else:
        assert said(judged) == f"permerror {reason} by client: reject forged"


def test_a_body_that_was_changed_is_a_failure() -> None:
    assert (
        judge(rated_world(PEER), signed_by(PEER), PEER, digest=b"x" * 32)
        == "fail body-altered by client: reject forged"
    )
    assert judge(rated_world(PEER), signed_by(PEER), PEER, digest=None) == "fail body-altered by client: reject forged"
    assert judge(rated_world(PEER), signed_by(PEER, bh=None), PEER, digest=None) == "pass by client: accept accepted"


def test_a_revoked_key_is_refused() -> None:
    world = rated_world(PEER)
    key = key_of(PEER)
    packets = host_packets(key, f"smtp://{PEER}")
    revoked = key.packet + revoke_key(key, at=AT) + packets[len(key.packet) :]
    world.keys.answers[key.fingerprint] = host_certificate(revoked, key)
    assert judge(world, signed_by(PEER), PEER) == "permerror key-revoked by client: reject forged"


def test_absent_is_as_none_and_unreachable_waits() -> None:
    world = World()
    assert judge(world, signed_by(PEER), PEER) == "permerror key-absent by client: accept unsigned-unrated"
    world.keys.unreachable(PEER)
    waits = "temperror keyservers-unreachable by client: tempfail keyservers-unreachable"
    assert judge(world, signed_by(PEER), PEER) == waits
    strict = World(policy=Policy("strict"))
    assert judge(strict, signed_by(PEER), PEER) == "permerror key-absent by client: reject key-absent"
    assert judge(strict, MESSAGE_FIELDS, PEER) == "none: reject unsigned"


def test_a_fold_that_is_none_makes_the_header_unreadable() -> None:
    world = rated_world(PEER)
    broken = [*signed_by(PEER), (b"X-Two", b" one\nX-Hidden: two")]
    assert judge(world, broken, PEER) == "permerror malformed-header: accept unsigned-unrated"
    assert (
        judge(rated_world(PEER, policy=Policy("strict")), broken, PEER) == "permerror malformed-header: reject forged"
    )
    assert judge(world, [*MESSAGE_FIELDS, (b"X-Two", b" one\nX-Hidden: two")], PEER).startswith("none: ")
    assert world.keys.looked_up == []


# HELO


def test_a_helo_name_is_proved_by_its_address_only() -> None:
    world = rated_world(PEER)
    world.helo[PEER, IP] = True
    assert judge(world, signed_by(PEER), "", OTHER, helo=PEER) == "pass by client: accept accepted"
    assert world.helo_asked == [(PEER, IP)]
    assert judge(rated_world(PEER), signed_by(PEER), "", OTHER, helo=PEER).startswith("policy envelope-differs: ")


def test_a_helo_name_is_looked_up_only_where_it_matters() -> None:
    for fields, client in (
        (MESSAGE_FIELDS, {"helo": PEER}),
        (signed_by(PEER), {"helo": "mx.other.example"}),
        (signed_by(PEER), {"helo": PEER, "host": PEER}),
        (signed_by(PEER), {"helo": PEER, "ip": ""}),
        (signed_by(RELAY), {"helo": RELAY}),  # its key is on no keyserver
    ):
        world = World(PEER)
        play(lambda world=world, fields=fields, client=client: world.judge(fields, **client))
        assert world.helo_asked == []


def test_a_forged_signature_in_the_name_of_a_proved_helo_is_refused() -> None:
    world = rated_world(PEER)
    world.helo[PEER, IP] = True
    assert judge(world, altered(signed_by(PEER)), "", helo=PEER).endswith("by client: reject forged")


def test_an_unproved_name_moves_nothing() -> None:
    world = World(PEER)
    world.standings.ratings = {f"helo:{PEER}": 0.9}
    world.standings.signing = {PEER}
    judged = play(lambda: world.judge(MESSAGE_FIELDS, helo=PEER))
    assert said(judged) == "none: accept unsigned-unrated"
    assert [one.identity for one in judged.evidence.others] == [Identity.ip(IP)]
    assert judged.evidence.client_host == ""
    assert said(play(lambda: world.judge(MESSAGE_FIELDS, PEER))) == "none: reject signature-expected"


def test_client_names() -> None:
    assert Client("a.example", IP, "b.example").names == {"a.example"}
    assert Client("a.example", IP, "b.example", helo_confirmed=True).names == {"a.example", "b.example"}
    assert Client("", IP, "", helo_confirmed=True).names == frozenset()


# Replays


def test_a_signature_to_many_recipients_is_a_replay_beyond_the_limit() -> None:
    world = rated_world(PEER, policy=Policy(signature_recipients=3))
    fields = signed_by(PEER, envelope=bound(recipient=None))

    def send(name: bytes) -> str:
        return judge(world, fields, RELAY, Envelope(SENDER, (name,)))

    assert [send(name) for name in (b"a@x", b"b@x", b"c@x", b"a@x")] == ["pass: accept accepted"] * 4
    assert send(b"d@x") == "pass: reject replayed"
    other = signed_by(PEER, envelope=bound(recipient=None), n="fedcba9876543210")
    assert judge(world, other, RELAY, Envelope(SENDER, (b"d@x",))) == "pass: accept accepted"


def test_what_cannot_be_a_replay_is_not_counted() -> None:
    world = rated_world(PEER)
    judge(world, signed_by(PEER), RELAY)  # bound to one recipient
    judge(world, signed_by(PEER, envelope=bound(recipient=None)), PEER)  # delivered by its own maker
    judge(world, altered(signed_by(PEER, envelope=bound(recipient=None))), RELAY)  # does not pass
    judge(world, signed_by(PEER, envelope=bound(recipient=None)), RELAY, OTHER)  # another envelope
    assert world.counters.recipients == {}


# Newcomers


def test_newcomers_are_let_in_by_the_name_that_is_proved() -> None:
    world = World(PEER)
    world.counters.admits = 2
    assert judge(world, signed_by(PEER), PEER) == "pass by client: accept newcomer"
    assert judge(world, signed_by(PEER), RELAY) == "pass: accept newcomer"
    assert judge(world, signed_by(PEER), PEER) == "pass by client: tempfail newcomer-allowance-used"
    assert payers(world) == [["peer.example", f"ip:{IP}"], ["relay.example", f"ip:{IP}"], ["peer.example", f"ip:{IP}"]]
    assert {draw.day for draw in world.counters.draws} == {day_of(NOW)}


def payers(world: World) -> list[list[str]]:
    return [[name for name in draw.limits if not name.startswith("all ")] for draw in world.counters.draws]


def test_a_network_of_addresses_is_one_newcomer() -> None:
    world = World(PEER)
    for ip in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1", "192.0.2.7"):
        judge(world, signed_by(PEER), "", ip=ip)
    assert payers(world) == [
        *[["ip:2001:db8:1:2::/64"]] * 2,
        *(["ip:2001:db8:1:3::/64"], ["ip:192.0.2.7"]),
    ]


def test_names_that_are_free_share_the_allowance_of_their_address() -> None:
    """Below dyndns.org anybody takes as many names as he likes; each is a registrable domain of its own."""
    names = ["a1.dyndns.org", "a2.dyndns.org"]
    world = World(*names)
    for name in names:
        world.helo[name, IP] = True
        judge(world, signed_by(name), "", helo=name)
    assert payers(world) == [["a1.dyndns.org", f"ip:{IP}"], ["a2.dyndns.org", f"ip:{IP}"]]


def test_a_newcomer_is_told_by_the_name_it_signs_by_and_not_by_its_providers() -> None:
    world = World(PEER)
    world.helo[PEER, IP] = True
    judge(world, signed_by(PEER), "static-7.customers.provider.example", helo=PEER)
    assert payers(world) == [["peer.example", f"ip:{IP}"]]


def test_every_recipient_counts() -> None:
    world = World(PEER)
    world.counters.admits = 9
    for recipients in ((b"a@x", b"b@x", b"c@x"), (b"a@x",), ()):
        judge(world, signed_by(PEER), PEER, Envelope(SENDER, recipients))
    assert [draw.recipients for draw in world.counters.draws] == [3, 1, 1]


def test_a_key_whose_allowance_has_grown_has_it_once_wherever_it_sends_from() -> None:
    world = World(PEER)
    world.rate(PEER, 0.3)
    world.counters.admits = 9
    for relay in (RELAY, LIST):
        judged = play(lambda relay=relay: world.judge(signed_by(PEER), relay))
        assert said(judged) == "pass: accept newcomer"
        assert judged.drawn is world.counters.draws[-1]
    judge(world, signed_by(PEER), PEER)
    key = f"openpgp:{key_of(PEER).fingerprint}"
    # What others deliver again costs it nothing of its own.
    through_others = [[name, f"ip:{IP}", f"{key} elsewhere"] for name in ("relay.example", "list.example")]
    assert [sorted(names) for names in payers(world)] == [
        sorted(one) for one in (*through_others, ["peer.example", f"ip:{IP}", key])
    ]
    assert world.counters.draws[2].limits[key] == 50 * 5.5


def test_who_begins_to_sign_while_its_domain_stands_does_not_wait() -> None:
    world = World(PEER)
    world.standings.ratings = {f"helo:{PEER}": 0.9}
    assert judge(world, signed_by(PEER), PEER) == "pass by client: accept known-otherwise"
    assert world.counters.draws == []


def test_unsigned_newcomers_draw_on_an_allowance_where_the_site_says_so() -> None:
    world = World(policy=Policy(on_unsigned_newcomer="allowance"))
    world.counters.admits = 1
    assert judge(world, MESSAGE_FIELDS, PEER) == "none: accept unsigned-unrated"
    assert judge(world, MESSAGE_FIELDS, PEER) == "none: tempfail unsigned-allowance-used"
    assert payers(world) == [["peer.example", f"ip:{IP}"]] * 2
    world.standings.ratings = {f"ip:{IP}": 0.9}
    assert judge(world, MESSAGE_FIELDS, PEER) == "none: accept unsigned-accepted"
    assert len(world.counters.draws) == 2


@pytest.mark.parametrize(
    ("identity", "payer"),
    [
        ("dkim:news.peer.example", "dkim:news.peer.example"),
        ("dkim:other.example", "dkim:other.example elsewhere"),  # its mail can be delivered again by anybody
        ("spf:other.example", "spf:other.example"),
        (f"ip:{IP}", f"ip:{IP}"),
    ],
)
def test_who_earned_the_allowance_of_unsigned_mail_pays_too(identity: str, payer: str) -> None:
    world = World(policy=Policy(on_unsigned_newcomer="allowance"))
    world.counters.admits = 1
    world.standings.ratings = {identity: 0.3}
    incoming = Incoming(MESSAGE_FIELDS, ENVELOPE, Client(PEER, IP), (Identity.parse(identity),))

    async def run() -> str:
        return said(await world.verifier.conclude(await world.verifier.examine(incoming), None))

    assert play(run) == "none: accept unsigned-unrated"
    assert set(payers(world)[0]) == {"peer.example", f"ip:{IP}", payer}


def test_only_newcomers_draw_on_the_allowance() -> None:
    for world, fields in (
        (rated_world(PEER), signed_by(PEER)),
        (World(PEER), MESSAGE_FIELDS),
        (World(PEER), altered(signed_by(PEER))),
        (World(), signed_by(PEER)),
        (World(PEER, policy=Policy("strict")), signed_by(PEER)),
        (World(PEER, policy=Policy(overrides=(Override("peer.example", "allow", "friends"),))), signed_by(PEER)),
    ):
        world.counters.admits = 9
        play(lambda world=world, fields=fields: world.judge(fields, PEER))
        assert world.counters.draws == []


def test_a_bad_rating_is_not_let_in_as_a_newcomer() -> None:
    world = World(PEER)
    world.rate(PEER, 0.05)
    world.counters.admits = 9
    assert judge(world, signed_by(PEER), PEER) == "pass by client: reject refused"


# The end of the header


async def early(world: World, *given: Any, **more: Any) -> str | None:
    judged = await world.verifier.conclude_early(await world.examine(*given, **more))
    return said(judged) if judged else None


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("the body may yet be wrong", lambda: signed_by(PEER), None),
        ("nothing is wrong", lambda: signed_by(PEER, bh=None), None),
        ("not signed", lambda: MESSAGE_FIELDS, None),
        (
            "the header is wrong",
            lambda: altered(signed_by(PEER)),
            "fail signature-does-not-verify by client: reject forged",
        ),
        ("expired", lambda: signed_by(PEER, x=str(AT + 1)), "permerror expired by client: reject forged"),
    ],
)
def test_a_conclusion_before_the_body(name: str, fields: Callable[[], Any], expected: str | None) -> None:
    assert play(lambda: early(rated_world(PEER), fields(), PEER)) == expected


def test_no_early_conclusion_while_another_signature_needs_the_body() -> None:
    world = rated_world(PEER, RELAY)
    world.keys.at_hand = {key_of(PEER).fingerprint, key_of(RELAY).fingerprint}
    outer_broken = altered(signed_by(RELAY, altered(signed_by(PEER), b" one")), MESSAGE_FIELDS[3][1])
    assert play(lambda: early(world, outer_broken, RELAY)) is None


def test_waiting_for_a_keyserver_needs_no_body_and_a_newcomer_is_not_counted_early() -> None:
    world = World(PEER)
    assert play(lambda: early(world, signed_by(PEER, bh=None), PEER)) is None
    assert world.counters.draws == []
    world.keys.unreachable(PEER)
    waits = "temperror keyservers-unreachable by client: tempfail keyservers-unreachable"
    assert play(lambda: early(world, signed_by(PEER), PEER)) == waits


def test_monitor_concludes_nothing_early() -> None:
    world = rated_world(PEER, policy=Policy("monitor"))
    assert play(lambda: early(world, altered(signed_by(PEER)), PEER)) is None


# The rest


def test_a_signature_without_the_body_never_fares_better_than_none_where_the_body_is_asked_for() -> None:
    world = rated_world(PEER, policy=Policy(headers_suffice=False))
    world.standings.signing = {RELAY, PEER}
    inner = signed_by(PEER, bh=None)
    assert judge(world, MESSAGE_FIELDS, RELAY) == "none: reject signature-expected"
    assert judge(world, inner, RELAY) == "pass: reject signature-expected"
    # Its own way to sign, for bodies that transit changes, is no missing signature.
    assert judge(world, inner, PEER) == "pass by client: accept unsigned-unrated"


def test_one_key_may_be_of_several_hosts() -> None:
    both = host_packets(key_of(PEER), f"smtp://{PEER}", "smtp://mx2.peer.example")
    world = World(PEER)
    world.keys.answers[key_of(PEER).fingerprint] = host_certificate(both, key_of(PEER))
    judged = play(lambda: world.judge(signed_by(PEER, d="mx2.peer.example"), "mx2.peer.example"))
    assert judged.evidence.responsible is not None
    assert judged.evidence.responsible.host == "mx2.peer.example"


def test_identities_that_another_filter_found_are_rated_too() -> None:
    world = World()
    world.standings.ratings = {"dkim:peer.example": 0.9}
    incoming = Incoming(MESSAGE_FIELDS, ENVELOPE, Client("", IP), (Identity.dkim("peer.example"),))

    async def run() -> str:
        examined = await world.verifier.examine(incoming)
        return said(await world.verifier.conclude(examined, None))

    assert play(run) == "none: accept unsigned-accepted"


class Broken(Exception):
    """Something that nobody foresaw."""


COLLABORATORS = ["keys.get", "standings.rated", "standings.is_expected_to_sign", "counters.delivered", "counters.admit"]


@pytest.mark.parametrize("name", COLLABORATORS)
def test_whatever_a_collaborator_raises_is_raised(name: str) -> None:
    world = World(PEER)
    part, method = name.split(".")
    collaborator = getattr(world, part)

    async def fail_later(*_: object, **__: object) -> None:
        raise Broken

    def fail(*_: object, **__: object) -> None:
        raise Broken

    setattr(collaborator, method, fail if part == "counters" else fail_later)
    fields = MESSAGE_FIELDS if method == "is_expected_to_sign" else signed_by(PEER, envelope=bound(recipient=None))
    client = RELAY if method == "delivered" else PEER
    with pytest.raises(Broken):
        play(lambda: world.judge(fields, client))


def test_an_answer_that_is_none_is_no_key() -> None:
    """A key source with a bug is no reason to believe a signature."""
    world = rated_world(PEER)

    async def nothing(_fingerprint: str, *, may_ask: bool = True) -> tuple[None, bool]:
        return None, False

    world.keys.get = nothing  # type: ignore[assignment]
    judged = play(lambda: world.judge(signed_by(PEER), PEER))
    assert judged.evidence.result is Result.NEUTRAL
    assert play(lambda: rated_world(PEER).judge(signed_by(PEER), PEER)).evidence.result is Result.PASS


def test_a_key_of_another_fingerprint_is_no_key() -> None:
    world = rated_world(PEER)
    world.keys.answers[key_of(PEER).fingerprint] = certificate_of(RELAY)
    assert judge(world, signed_by(PEER), PEER) == "permerror other-key-named by client: reject forged"


def test_the_verdict_is_of_the_moment_of_the_header() -> None:
    """A signature that runs out, or a day that ends, while the body comes changes nothing."""
    world = rated_world(PEER)

    async def run() -> Awaitable[Any]:
        examined = await world.examine(signed_by(PEER), PEER)
        world.verifier._clock = lambda: NOW + 100 * DAY  # type: ignore[assignment, return-value]
        return await world.verifier.conclude(examined, BODY_HASH)

    assert said(play(run)) == "pass by client: accept accepted"  # type: ignore[arg-type]
