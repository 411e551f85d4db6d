"""A whole internet on one machine: the story of :mod:`tests.system.internet`, and every step of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.system.internet.__main__ import NEEDED, tell
from tests.system.internet.cast import CAST, Role, players
from tests.system.internet.claims import Claim, claims
from tests.system.internet.story import GOOD, NEWCOMERS_LETTERS, TRIES
from tests.system.internet.told import Rated, Told, View
from tests.system.internet.world import Programs

HONEST = [player.name for player in players(Role.HONEST)]
(SPARED,) = [player.name for player in CAST if player.spared]
CARELESS = [player.name for player in CAST if player.careless]
(RELAY,) = [player.name for player in players(Role.RELAY)]
RING = [player.name for player in players(Role.RING)]


@dataclass
class Telling:
    told: Told
    judged: list[Claim]
    out: Path


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory, require_for_module: Callable[[str], str]) -> Telling:
    home = tmp_path_factory.mktemp("internet")
    told, judged = tell(home, home / "out", Programs(*map(require_for_module, NEEDED)), quiet=True)
    return Telling(told, judged, home / "out")


def test_everything_comes_true(telling: Telling) -> None:
    assert [claim for claim in telling.judged if not claim.held] == []
    assert len(telling.judged) == 16


def test_the_relay_is_on_probation_while_nobody_knows_it(telling: Telling) -> None:
    before = telling.told.before
    assert {before.standing(honest, RELAY) for honest in HONEST} == {"probation"}
    assert set(telling.told.relay_at_first) == {"delivered"}


def test_good_hosts_have_endorsed_each_other_and_careless_ones_the_relay(telling: Telling) -> None:
    for observer, known in telling.told.after.endorsements.items():
        among = {(one, other) for one in HONEST for other in HONEST if other not in (one, observer)}
        assert among <= known, observer
        ring = [] if observer == SPARED else RING  # who never heard of the ring keeps nothing that it signs
        assert {pair for pair in known if pair[1] == RELAY} == {(one, RELAY) for one in (*CARELESS, *ring)}
        assert {pair for pair in known if pair[1] in RING} == set(zip(ring, reversed(ring), strict=True))


def test_honest_hosts_are_accepted_everywhere_and_the_ring_nowhere(telling: Telling) -> None:
    after = telling.told.after
    for observer in HONEST:
        assert {after.standing(observer, other) for other in HONEST if other != observer} == {"accepted"}
        assert "accepted" not in {after.standing(observer, one) for one in RING}
    assert telling.told.honest_at_last == Counter(delivered=GOOD * len(HONEST) * (len(HONEST) - 1))


def test_two_signatures_are_not_enough_and_bad_mail_outweighs_them(telling: Telling) -> None:
    after = telling.told.after
    assert {after.standing(name, RELAY) for name in HONEST if name != SPARED} == {"refused"}
    rated = after.ratings[SPARED][RELAY]
    assert (rated.standing, rated.endorsers) == ("probation", len(CARELESS))


def test_the_relay_is_refused_at_every_gate(telling: Telling) -> None:
    assert telling.told.relay_at_last == {name: Counter({"550 5.7.1": TRIES}) for name in HONEST}
    reasons = {name: "no-standing" if name == SPARED else "refused" for name in HONEST}
    assert telling.told.relay_reasons == reasons


def test_without_keyservers_an_unknown_hosts_mail_waits_and_is_delivered_afterwards(telling: Telling) -> None:
    told, letters = telling.told, NEWCOMERS_LETTERS * (len(HONEST) - 1)
    assert told.outage_newcomer == Counter({"451 4.7.5": letters})
    assert told.outage_waiting == letters
    assert told.outage_cached == Counter(delivered=len(HONEST) * (len(HONEST) - 1))
    assert told.return_newcomer == Counter(delivered=letters)
    assert set(told.queues.values()) == {0}


def test_no_letter_is_lost(telling: Telling) -> None:
    total = sum(telling.told.tally.values(), Counter())
    assert total["delivered"] + total["refused"] + total["waiting"] == telling.told.sent > 500
    assert {name for name, counts in telling.told.tally.items() if counts["refused"]} == {RELAY, *RING}


def test_a_person_finds_the_story_and_its_pictures(telling: Telling) -> None:
    story = (telling.out / "story.txt").read_text()
    assert "10. Where every letter is" in story
    assert "Ratings (0 to 1), by the host whose gate it is" in story
    assert all(claim.text in story for claim in telling.judged)
    before, after = ((telling.out / f"trust-{when}.png").read_bytes() for when in ("before", "after"))
    assert before.startswith(b"\x89PNG")
    assert after.startswith(b"\x89PNG")
    assert before != after


def _restand(view: View, observer: str, host: str, standing: str) -> View:
    ratings = {name: dict(rated) for name, rated in view.ratings.items()}
    ratings[observer][host] = Rated(0.5, standing, 3)
    return replace(view, ratings=ratings)


def _endorsed(view: View, *more: tuple[str, str], without: tuple[str, str] | None = None) -> View:
    stores = {name: (known | set(more)) - {without} for name, known in view.endorsements.items()}
    return replace(view, endorsements=stores)


def _relay_known(told: Told) -> None:
    told.before = _restand(told.before, HONEST[0], RELAY, "unrated")


def _accepted_at_first(told: Told) -> None:
    told.before = _restand(told.before, HONEST[0], HONEST[1], "accepted")


def _not_gossiped(told: Told) -> None:
    told.after = _endorsed(told.after, without=(HONEST[0], HONEST[1]))


def _third_careless(told: Told) -> None:
    told.after = _endorsed(told.after, (next(one for one in HONEST if one not in CARELESS), RELAY))


def _careless_unseen(told: Told) -> None:
    told.after = _endorsed(told.after, without=(CARELESS[0], RELAY))


def _into_the_ring(told: Told) -> None:
    told.after = _endorsed(told.after, (HONEST[0], RING[0]))


def _honest_doubted(told: Told) -> None:
    told.after = _restand(told.after, HONEST[0], HONEST[1], "probation")


def _relay_tolerated(told: Told) -> None:
    told.after = _restand(told.after, HONEST[0], RELAY, "probation")


def _two_are_enough(told: Told) -> None:
    told.after = _restand(told.after, SPARED, RELAY, "accepted")


def _signatures_unseen(told: Told) -> None:
    ratings = {name: dict(rated) for name, rated in told.after.ratings.items()}
    ratings[SPARED][RELAY] = replace(ratings[SPARED][RELAY], endorsers=1)
    told.after = replace(told.after, ratings=ratings)


def _one_gate_open(told: Told) -> None:
    told.relay_at_last[HONEST[2]]["250 2.0.0"] += 1


def _a_gate_not_tried(told: Told) -> None:
    del told.relay_at_last[HONEST[2]]


def _ring_accepted(told: Told) -> None:
    told.after = _restand(told.after, HONEST[0], RING[1], "accepted")


def _honest_as_newcomer(told: Told) -> None:
    told.honest_reasons["newcomer"] += 1


def _let_in_unchecked(told: Told) -> None:
    told.outage_newcomer["250 2.0.0"] += 1


def _one_not_waiting(told: Told) -> None:
    told.outage_waiting -= 1


def _known_put_off(told: Told) -> None:
    told.outage_cached["waiting"] += 1


def _known_as_newcomer(told: Told) -> None:
    told.outage_reasons["newcomer"] += 1


def _one_not_delivered(told: Told) -> None:
    told.return_newcomer["delivered"] -= 1


def _one_lost(told: Told) -> None:
    told.sent += 1


def _one_queued(told: Told) -> None:
    told.queues[HONEST[0]] += 1


@pytest.mark.parametrize(
    ("spoil", "claim"),
    [
        (_relay_known, "on probation"),
        (_accepted_at_first, "nobody was accepted"),
        (_not_gossiped, "endorsed each other"),
        (_third_careless, "and no third"),
        (_careless_unseen, "and no third"),
        (_into_the_ring, "nobody honest"),
        (_honest_doubted, "accepted everywhere"),
        (_relay_tolerated, "its spam was seen"),
        (_two_are_enough, "two signatures by trusted"),
        (_signatures_unseen, "two signatures by trusted"),
        (_one_gate_open, "every gate"),
        (_a_gate_not_tried, "every gate"),
        (_ring_accepted, "accepted nowhere"),
        (_honest_as_newcomer, "for their standing"),
        (_let_in_unchecked, "waited in its own queue"),
        (_one_not_waiting, "waited in its own queue"),
        (_known_put_off, "went on"),
        (_known_as_newcomer, "went on"),
        (_one_not_delivered, "all that waited"),
        (_one_lost, "every letter"),
        (_one_queued, "every queue"),
    ],
)
def test_what_does_not_come_true_is_said(telling: Telling, spoil: Callable[[Told], None], claim: str) -> None:
    told = deepcopy(telling.told)
    spoil(told)
    (failed,) = [one for one in claims(told) if not one.held]
    assert claim in failed.text


def test_nothing_comes_true_where_nothing_happened() -> None:
    assert [claim.text for claim in claims(Told()) if claim.held] == []
