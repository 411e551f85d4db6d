"""Each scenario does what it is named for, in the truth and in what the observers received."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from functools import lru_cache

import pytest

from trustgraph.lab.endorsements import judge
from trustgraph.lab.messages import made_up, received
from trustgraph.lab.scenarios import QUICK, make_scenario
from trustgraph.lab.scenarios.choosing import live
from trustgraph.lab.truth import day_table
from trustgraph.lab.vouching import Cause
from trustgraph.lab.world import Kind, World
from trustgraph.lab.writing import SimulatedWorld, play
from trustgraph.model import SECONDS_PER_DAY, Outcome, Result, to_rfc3339

BEGINS = 10


@lru_cache
def world_of(name: str, *given: str) -> SimulatedWorld:
    """``world_of("ring", "size=5")``."""
    settings = dict(text.split("=") for text in given)
    return play(make_scenario(name, settings), replace(QUICK, seed=5))


def day_of(world: World, moment: int) -> int:
    return (moment - world.parameters.day_start(0)) // SECONDS_PER_DAY


def sent(simulated: SimulatedWorld, number: int, *, spam: bool) -> list[int]:
    """The logged days of the messages that a host truly sent to our own site, the first being 0."""
    first = simulated.world.parameters.history_days
    return [
        day_of(simulated.world, m.at) - first for m in simulated.inboxes[0] if m.sender == number and m.is_spam is spam
    ]


def test_lone_relays_spam_and_nobody_endorses_them() -> None:
    simulated = world_of("lone-relay", "relays=5", "volume=6")
    relays = simulated.world.numbers(Kind.RELAY)
    assert len(relays) == 5
    assert not {v.subject for v in simulated.vouches} & set(relays)
    for relay in relays:
        spam, good = sent(simulated, relay, spam=True), sent(simulated, relay, spam=False)
        assert min(spam) >= BEGINS
        assert 40 <= len(spam) + len(good) <= 80  # 6 a day for 10 days
        assert len(good) < 0.35 * len(spam)


@pytest.mark.parametrize("signatures", [1, 3, 5])
def test_bought_relays_have_exactly_so_many_honest_endorsers_when_they_begin(signatures: int) -> None:
    simulated = world_of("bought", f"signatures={signatures}")
    world = simulated.world
    pairs = live(simulated.vouches, world.parameters.day_start(world.parameters.history_days + BEGINS))
    for relay in world.numbers(Kind.RELAY):
        endorsers = [endorser for endorser, subject in pairs if subject == relay]
        assert len(endorsers) == signatures
        assert {world.hosts[endorser].kind for endorser in endorsers} == {Kind.HONEST}
        assert len({world.hosts[endorser].operator for endorser in endorsers}) == signatures
        assert not set(endorsers) & set(world.observers)
    assert len(live(simulated.vouches, world.parameters.day_start(0))) == 0


def test_a_ring_is_complete_and_nobody_outside_endorses_into_it() -> None:
    simulated = world_of("ring", "size=6", "camouflage=4")
    ring = set(simulated.world.numbers(Kind.RING))
    inside = [(v.endorser, v.subject) for v in simulated.vouches if v.subject in ring]
    assert sorted(inside) == sorted((a, b) for a in ring for b in ring if a != b)
    flattered = Counter(v.endorser for v in simulated.vouches if v.endorser in ring and v.subject not in ring)
    assert flattered == dict.fromkeys(ring, 4)


@pytest.mark.parametrize(("edges", "targeted"), [(2, "true"), (6, "true"), (8, "false")])
def test_attack_edges_are_as_many_as_asked_and_spent_on_one_member_after_the_other(edges: int, targeted: str) -> None:
    simulated = world_of("ring-attack-edges", f"edges={edges}", f"targeted={targeted}")
    world = simulated.world
    ring = world.numbers(Kind.RING)
    made = [v for v in simulated.vouches if v.subject in ring and v.endorser not in ring]
    assert {v.cause for v in made} == {Cause.EDGE}
    assert len({(v.endorser, v.subject) for v in made}) == len(made) == edges
    assert {world.hosts[v.endorser].kind for v in made} == {Kind.HONEST}
    taken = Counter(v.subject for v in made)
    assert [taken[member] for member in ring[:3]] == [min(3, max(0, edges - 3 * place)) for place in range(3)]


def test_targeted_edges_come_from_the_best_endorsed_hosts_and_others_do_not() -> None:
    means = {}
    for targeted in ("true", "false"):
        simulated = world_of("ring-attack-edges", "edges=6", f"targeted={targeted}")
        world = simulated.world
        begin = world.parameters.day_start(world.parameters.history_days + BEGINS)
        earned = [v for v in simulated.vouches if v.cause is Cause.EARNED]
        standing = Counter(subject for _, subject in live(earned, begin))
        chosen = [standing[v.endorser] for v in simulated.vouches if v.cause is Cause.EDGE]
        others = [standing[n] for n in world.numbers(Kind.HONEST) if n not in world.observers]
        means[targeted] = sum(chosen) / len(chosen)
        assert targeted == "false" or min(chosen) >= sorted(others, reverse=True)[12]  # one seller an operator
    assert means["true"] > means["false"] + 1


def test_traitors_are_good_until_they_turn_and_then_lose_what_they_had_earned() -> None:
    simulated = world_of("traitor", "grows=4")
    world = simulated.world
    turns = world.parameters.history_days + BEGINS
    for traitor in world.numbers(Kind.TRAITOR):
        assert world.hosts[traitor].first_day == turns - 180
        assert min(sent(simulated, traitor, spam=True)) >= BEGINS
        good = sent(simulated, traitor, spam=False)
        spam = sent(simulated, traitor, spam=True)
        assert len(spam) > 2 * sum(day < BEGINS for day in good)
        before = {v.endorser for v in simulated.vouches if v.subject == traitor and day_of(world, v.made_at) < turns}
        assert len(before) >= 3
        revoked = [v for v in simulated.vouches if v.subject == traitor and v.revoked_at]
        assert len(revoked) >= 3
        assert all(day_of(world, v.revoked_at or 0) > turns for v in revoked)


@pytest.mark.parametrize("same_domain", ["true", "false"])
def test_whitewashers_take_a_new_key_every_so_many_days(same_domain: str) -> None:
    simulated = world_of("whitewasher", "spammers=2", "every=3", f"same_domain={same_domain}")
    world = simulated.world
    numbers = world.numbers(Kind.WHITEWASHER)
    assert len(numbers) == 2 * 4  # ten days, three each
    for spammer in (numbers[:4], numbers[4:]):
        hosts = [world.hosts[number] for number in spammer]
        starts = [host.first_day - world.parameters.history_days for host in hosts]
        assert starts == [10, 13, 16, 19]
        assert len({host.name for host in hosts}) == len({host.key_made_at for host in hosts}) == 4
        assert len({host.operator for host in hosts}) == (1 if same_domain == "true" else 4)
        for number, host, start in zip(spammer, hosts, starts, strict=True):
            assert host.key_made_at is not None
            assert 0 < world.parameters.day_start(host.first_day) - host.key_made_at <= SECONDS_PER_DAY
            days = set(sent(simulated, number, spam=True))
            assert days
            assert days <= set(range(start, min(start + 3, 20)))


@pytest.mark.parametrize(("revoked_after", "hubs"), [(5, 1), (0, 2)])
def test_a_hub_endorses_all_relays_on_one_day_and_takes_it_back(revoked_after: int, hubs: int) -> None:
    simulated = world_of("compromised-hub", f"revoked_after={revoked_after}", f"hubs={hubs}")
    world = simulated.world
    wholesale = [v for v in simulated.vouches if v.cause is Cause.WHOLESALE]
    endorsers = {v.endorser for v in wholesale}
    assert len(endorsers) == hubs
    day = world.parameters.history_days + BEGINS - 1
    assert {day_of(world, v.made_at) for v in wholesale} == {day}
    assert sorted((v.endorser, v.subject) for v in wholesale) == sorted(
        (endorser, relay) for endorser in endorsers for relay in world.numbers(Kind.RELAY)
    )
    back = {None if v.revoked_at is None else day_of(world, v.revoked_at) - day for v in wholesale}
    assert back == {revoked_after or None}
    before = live((v for v in simulated.vouches if v.cause is Cause.EARNED), world.parameters.day_start(day))
    connected = Counter(number for pair in before for number in pair)
    honest = [n for n in world.numbers(Kind.HONEST) if n not in world.observers]
    assert min(connected[n] for n in endorsers) >= sorted((connected[n] for n in honest), reverse=True)[hubs + 3]


@pytest.mark.parametrize("trusted", ["true", "false"])
@pytest.mark.parametrize(
    ("name", "kind", "outcome"), [("slander", Kind.SLANDERER, {"spam", "malware"}), ("praise", Kind.PRAISER, {"good"})]
)
def test_false_reports_are_made_up_and_believed_only_of_whom_is_endorsed(
    name: str, kind: Kind, outcome: set[str], trusted: str
) -> None:
    simulated = world_of(name, f"trusted={trusted}", "observers=2", "a_day=4")
    world = simulated.world
    assert [witness.number for witness in world.witnesses] == world.numbers(kind)
    about = world.witnesses[0].about
    if name == "slander":
        assert {world.hosts[n].kind for n in about} == {Kind.HONEST}
        assert [n for n, host in enumerate(world.hosts) if host.note.endswith("slandered")] == list(about)
        assert all(len(sent(simulated, n, spam=True)) <= 0.1 * len(sent(simulated, n, spam=False)) + 1 for n in about)
    else:
        assert {world.hosts[n].kind for n in about} == {Kind.RELAY}
    for witness in world.witnesses:
        reports = made_up(world, witness)
        days = range(BEGINS if name == "slander" else 0, world.parameters.days)
        assert {m.outcome.value for m in reports} == outcome
        assert Counter((m.sender, day_of(world, m.at) - world.parameters.history_days) for m in reports) == {
            (number, day): 4 for number in about for day in days
        }
    endorsed = Counter(v.subject for v in simulated.vouches if v.cause is Cause.EARNED)
    for number in world.numbers(kind):
        assert endorsed[number] >= 3 if trusted == "true" else endorsed[number] == 0


def test_a_flood_is_by_throwaway_keys_within_an_hour() -> None:
    simulated = world_of("flood", "keys=40", "relays=2", "victims=2")
    world = simulated.world
    flood = [v for v in simulated.vouches if v.cause is Cause.FLOOD]
    keys = world.numbers(Kind.THROWAWAY)
    assert len(keys) == len({world.hosts[n].operator for n in keys}) == 40
    assert {v.endorser for v in flood} == set(keys)
    assert len(flood) == 40 * 4
    assert max(v.made_at for v in flood) - min(v.made_at for v in flood) < 3600
    assert Counter(world.hosts[v.subject].kind for v in flood) == {Kind.RELAY: 80, Kind.HONEST: 80}
    assert simulated.world.senders == len(world.hosts) - 40
    assert all(m.sender < world.senders for inbox in simulated.inboxes for m in inbox)


def test_impersonators_claim_the_names_of_the_largest_hosts_and_pass_by_their_own_key_only() -> None:
    simulated = world_of("impersonator", "impersonators=2")
    world = simulated.world
    numbers = world.numbers(Kind.IMPERSONATOR)
    honest = [host for host in world.hosts[3 : world.population] if host.kind is Kind.HONEST and host.key_made_at]
    largest = sorted((host.volume for host in honest), reverse=True)[5]
    for number in numbers:
        (victim,) = (n for n, host in enumerate(world.hosts) if host.name == world.hosts[number].name and n != number)
        assert world.hosts[victim].kind is Kind.HONEST
        assert world.hosts[victim].volume >= largest
        assert world.hosts[victim].key_made_at != world.hosts[number].key_made_at
        messages = [m for m in simulated.inboxes[0] if m.sender == number]
        assert {m.dkim for m in messages} == {Result.FAIL}
        assert sum(m.openpgp is Result.PASS for m in messages) > 0.9 * len(messages) > 10
    assert len(numbers) == 2
    assert not {v.subject for v in simulated.vouches} & set(numbers)


def test_snowshoe_hosts_are_many_new_and_quiet() -> None:
    simulated = world_of("snowshoe", "relays=30", "domains=3")
    world = simulated.world
    numbers = world.numbers(Kind.SNOWSHOE)
    begin = world.parameters.day_start(world.parameters.history_days + BEGINS)
    assert sorted(Counter(world.hosts[n].operator for n in numbers).values()) == [10, 10, 10]
    assert all(0 < begin - (world.hosts[n].key_made_at or 0) <= 23 * SECONDS_PER_DAY for n in numbers)
    a_day = [len(sent(simulated, n, spam=True) + sent(simulated, n, spam=False)) / 10 for n in numbers]
    assert 0.7 < sum(a_day) / len(a_day) < 1.3


def test_in_an_outage_only_keys_at_hand_can_be_checked() -> None:
    simulated = world_of("outage", "hours=48", "cache_hours=24")
    world = simulated.world
    (outage,) = world.outages
    assert outage.end - outage.start == 48 * 3600
    assert outage.start == world.parameters.day_start(world.parameters.history_days + BEGINS)
    truly = {m.token: m for m in received(world, simulated.traffic, 0)}
    at_hand: dict[int, int] = {}
    seen = Counter[tuple[bool, bool]]()
    for message in simulated.inboxes[0]:
        before = truly[message.token]
        assert message == before or replace(message, openpgp=before.openpgp) == before
        if message.openpgp is None:
            assert message == before
        elif not outage.start <= message.at < outage.end:
            at_hand[message.sender] = message.at
            assert message == before
        elif message.at - at_hand.get(message.sender, 0) <= 24 * 3600:
            seen[True, message.is_spam] += 1
            assert message == before
        else:
            seen[False, message.is_spam] += 1
            assert message.openpgp is Result.TEMPERROR
    assert seen[False, False] > 20
    assert seen[False, True] > 20
    assert seen[True, False] > 5


def test_earned_endorsements_of_whom_a_scenario_adds_meet_the_policy_too() -> None:
    simulated = world_of("slander", "trusted=true", "observers=2", "a_day=4")
    world = simulated.world
    for vouch in simulated.vouches:
        if vouch.cause is Cause.EARNED and vouch.subject >= world.population:
            judged = judge(simulated.traffic, vouch.endorser)
            assert judged.earned[vouch.subject, day_of(world, vouch.made_at)]


def test_no_two_keys_and_no_two_addresses_are_the_same() -> None:
    for simulated in (world_of("flood", "keys=40", "relays=2", "victims=2"), world_of("slander", "trusted=true")):
        hosts = simulated.world.hosts
        assert len({host.address for host in hosts}) == len(hosts)
        assert len({host.name for host in hosts}) == len(hosts)


def test_the_truth_of_days_knows_what_the_classifier_missed_or_left_undecided() -> None:
    simulated = world_of("lone-relay", "relays=5", "volume=150")
    world = simulated.world
    assert simulated.traffic.spam_in_unsure[0, :, world.parameters.history_days :].sum() > 0
    counted = Counter((world.hosts[m.sender].name, to_rfc3339(m.at)[:10], m.is_spam) for m in simulated.inboxes[0])
    table = csv.DictReader(day_table(world, simulated.traffic, {}).splitlines())
    days = {
        (row["host"], row["day"], is_spam): int(row["spam" if is_spam else "good"])
        for row in table
        for is_spam in (True, False)
    }
    assert {key: number for key, number in days.items() if number} == counted


def test_what_is_truly_spam_is_not_what_the_classifier_says() -> None:
    simulated = world_of("lone-relay", "relays=5", "volume=6")
    confused = Counter((m.is_spam, m.outcome) for m in simulated.inboxes[0])
    assert confused[True, Outcome.GOOD] > 0
    assert confused[False, Outcome.UNKNOWN] > confused[True, Outcome.UNKNOWN]
    assert confused[True, Outcome.SPAM] > 20 * confused[True, Outcome.GOOD]
