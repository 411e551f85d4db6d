"""Tuning on a recorded past, held against counting by hand, brute force and the lab's own judge."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.policy.test_replay import DOMAIN, HOUR, KEY, START, US, Seen, record_of
from trustgraph.errors import BadInput
from trustgraph.lab.judging import GOOD_REFUSED, Course, TrueMessage, judge
from trustgraph.lab.world import Kind
from trustgraph.model import SECONDS_PER_DAY, Outcome, Result, UnixSeconds
from trustgraph.policy.recorded import recorded_messages
from trustgraph.reports.tuning_plots import shares_of
from trustgraph.scoring.explanation import Contribution
from trustgraph.services.replay import Past, fate_of, play, rules_of
from trustgraph.services.sides import changing_sides, why
from trustgraph.services.tuning import (
    FATES,
    KINDS,
    changed,
    costs,
    kinds_of,
    precision_recall,
    ratings_at_arrival,
    sweep,
    try_rules,
)
from trustgraph.settings import Settings

SETTINGS = Settings.model_validate(
    {
        "site": {"hostname": US.value},
        "anchors": {str(US): 1.0},
        "policy": {"accept": 0.2, "newcomer_messages": 2},
        "scoring": {"half_life": "7d"},
    }
)


def past_of(*observations: Seen, days: int = 9) -> Past:
    until = UnixSeconds(START + days * SECONDS_PER_DAY)
    record = record_of(*observations)
    return Past(record, recorded_messages(record, US, START, until), START, until)


#: Good mail for a week, spam on the last days, unsigned mail, a broken signature and something nobody judged.
MAIL = [
    *(Seen(24 * day + hour, message=100 * day + hour) for day in range(7) for hour in range(6, 12)),
    *(Seen(24 * 7 + hour, message=900 + hour, outcome=Outcome.SPAM) for hour in range(20)),
    *(Seen(24 * day + 13, DOMAIN, message=2_000 + day, outcome=Outcome.MALWARE) for day in range(3)),
    Seen(30, result=Result.FAIL, message=3_000, outcome=Outcome.SPAM),
    Seen(50, message=3_001, outcome=Outcome.UNKNOWN),
]


def test_a_changed_setting_leaves_all_others_as_they_are() -> None:
    other = changed(SETTINGS, {"scoring.unknown_weight": 0.1, "policy.quorum": 2})
    assert (other.scoring.unknown_weight, other.policy.quorum) == (0.1, 2)
    assert other.scoring.half_life_seconds == 7 * 86_400
    assert (other.policy.accept, other.site, other.anchors) == (0.2, SETTINGS.site, SETTINGS.anchors)
    assert changed(other, {"scoring.unknown_weight": 0.0, "policy.quorum": 3}) == SETTINGS


@pytest.mark.parametrize("section", [name for name in Settings.model_fields if name != "anchors"])
def test_every_section_can_be_written_and_read_back(section: str) -> None:
    model = getattr(SETTINGS, section)
    name, field = next(iter(type(model).model_fields.items()))
    assert changed(SETTINGS, {f"{section}.{field.alias or name}": getattr(model, name)}) == SETTINGS


def test_durations_are_written_as_in_the_file_and_rules_are_checked_together() -> None:
    assert changed(SETTINGS, {"scoring.half_life": "36h"}).scoring.half_life_seconds == 36 * 3_600
    assert changed(SETTINGS, {"policy.accept": 0.05, "policy.refuse": 0.01}).policy.refuse == 0.01
    with pytest.raises(BadInput, match=r"policy.accept = 0.05: refuse = 0.1 must lie below accept"):
        changed(SETTINGS, {"policy.accept": 0.05})
    with pytest.raises(BadInput, match=r"scoring.half_life = 10: expected a duration"):
        changed(SETTINGS, {"scoring.half_life": 10})
    with pytest.raises(BadInput, match="not a setting"):
        changed(SETTINGS, {"policy.quorums": 1})


def test_every_message_is_counted_once_by_its_kind_and_fate() -> None:
    past = past_of(*MAIL)
    table = try_rules(past, SETTINGS, {"in force": {}, "strict": {"policy.profile": "strict"}})
    assert list(table["in_force"]) == [True, False]
    for label, change in (("in force", {}), ("strict", {"policy.profile": "strict"})):
        row = table.loc[label]
        played = play(past, rules_of(changed(SETTINGS, change)))
        fates = Counter((one.message.outcome.value, fate_of(one)) for one in played)
        assert [row[kind] for kind in KINDS] == [42, 24, 1]
        assert row["good_refused"] == fates["good", "refused"]
        assert row["spam_refused"] == fates["spam", "refused"] + fates["malware", "refused"]
        assert row["good_delivered"] + row["good_tagged"] == fates["good", "delivered"]
        assert all(row[kind] == sum(row[f"{kind}_{fate}"] for fate in FATES) for kind in KINDS)
    assert table.loc["strict", "good_tagged"] == 0 < table.loc["in force", "good_tagged"]
    assert table.loc["strict", "spam_tagged"] == 0


def test_where_the_truth_is_given_it_counts_instead_of_the_outcome() -> None:
    past = past_of(*MAIL)
    spam = [message.outcome is Outcome.GOOD for message in past.messages]
    table = try_rules(past, SETTINGS, {"in force": {}}, spam)
    assert [table.loc["in force", kind] for kind in KINDS] == [25, 42, 0]
    with pytest.raises(ValueError, match="zip"):
        kinds_of(past, spam[1:])


def test_a_sweep_is_indexed_by_the_values_and_knows_the_one_in_force() -> None:
    table = sweep(past_of(*MAIL), SETTINGS, "policy.accept", [0.15, 0.2, 0.99])
    assert (table.index.name, list(table.index)) == ("policy.accept", [0.15, 0.2, 0.99])
    assert list(table["in_force"]) == [False, True, False]
    # What stands at a higher threshold stands at a lower one.
    assert table["good_delivered"].is_monotonic_decreasing
    assert table["hosts_accepted"].is_monotonic_decreasing
    assert (table.loc[0.99, "good_delivered"], table.loc[0.99, "hosts_accepted"]) == (0, 0)


def test_costs_at_the_labs_price_are_what_the_labs_judge_says() -> None:
    past = past_of(*MAIL)
    spam = [message.outcome is not Outcome.GOOD for message in past.messages]
    rules = {"in force": {}, "none": {"policy.newcomer_messages": 0, "policy.accept": 0.99}}
    tried = try_rules(past, SETTINGS, rules, spam)
    assert tried.loc["none", "good_waiting"] > 0
    table = costs(tried, [0.0, GOOD_REFUSED, 2 * GOOD_REFUSED])
    never = Course(np.array([START]), np.zeros((1, 1), dtype=np.bool_), np.zeros((1, 1), dtype=np.bool_))
    for label, change in rules.items():
        played = play(past, rules_of(changed(SETTINGS, change)))
        judged = judge(played, [TrueMessage(one, 0) for one in spam], [Kind.HONEST], never)
        assert table.loc[GOOD_REFUSED, label] == pytest.approx(judged.cost)
        middle = (table.loc[0.0, label] + table.loc[2 * GOOD_REFUSED, label]) / 2
        assert table.loc[GOOD_REFUSED, label] == pytest.approx(middle)
    assert table["none"].nunique() > 1


def test_a_message_is_rated_by_what_was_known_when_it_came() -> None:
    past = past_of(Seen(1), Seen(7, message=1), Seen(7, DOMAIN, message=1), Seen(8, DOMAIN, message=2))
    past = replace(past, messages=[*past.messages, replace(past.messages[0], result=Result.FAIL)])
    first, second, third, failed = ratings_at_arrival(past, SETTINGS, every_seconds=6 * HOUR)
    assert first < second
    assert third == first  # nothing was known of the domain at six o'clock
    assert np.isnan(failed)


RATINGS = st.one_of(st.sampled_from([0.0, 0.1, 0.5, 0.5000001, 1.0, float("nan")]), st.floats(0, 1))


@given(st.lists(st.tuples(RATINGS, st.sampled_from(KINDS)), max_size=30))
def test_precision_and_recall_are_those_of_counting(mail: list[tuple[float, str]]) -> None:
    table = precision_recall(np.array([r for r, _ in mail]), np.array([k for _, k in mail], dtype=object))
    assert table.index.is_monotonic_increasing
    for threshold, row in table.iterrows():
        inside = Counter(kind for rating, kind in mail if rating >= threshold)
        below = Counter(kind for rating, kind in mail if rating < threshold)
        for kind, there in (("good", inside), ("spam", below)):
            judged, every = there["good"] + there["spam"], sum(k == kind for _, k in mail)
            precision, recall = row[f"{kind}_precision"], row[f"{kind}_recall"]
            assert precision == pytest.approx(there[kind] / judged) if judged else np.isnan(precision)
            assert recall == pytest.approx(there[kind] / every) if every else np.isnan(recall)


def test_shares_are_percentages_of_their_kind() -> None:
    shares = shares_of(try_rules(past_of(*MAIL), SETTINGS, {"monitor": {"policy.profile": "monitor"}}))
    spam = shares.loc["monitor", ["spam let in with a tag or late", "spam let in untagged"]]
    assert spam.sum() == pytest.approx(100.0)
    assert shares.loc["monitor", "good mail refused"] == 0.0


def test_hosts_change_sides_with_their_mail_and_the_reason() -> None:
    past = past_of(*MAIL[:42])
    stricter = changed(SETTINGS, {"policy.accept": 0.9})
    (side,) = changing_sides(past, SETTINGS, stricter, truth={str(KEY): "honest"})
    assert (side.identity, side.standing_before, side.standing_after) == (str(KEY), "accepted", "probation")
    assert (side.good, side.spam, side.unknown, side.truly, side.rises) == (42, 0, 0, "honest", False)
    assert side.why == "its rating is the same: a threshold moved past it"
    assert changing_sides(past, SETTINGS, SETTINGS) == []
    (back,) = changing_sides(past, stricter, SETTINGS)
    assert back.rises


def test_a_faster_half_life_is_told_as_the_part_it_is() -> None:
    past = past_of(*MAIL[:42])
    slow, fast = changed(SETTINGS, {"scoring.half_life": "90d"}), changed(SETTINGS, {"scoring.half_life": "1d"})
    (side,) = changing_sides(past, slow, fast)
    assert side.why.startswith("good mail -0.")
    assert side.rating_after < side.rating_before


def test_parts_are_told_by_size_and_endorsers_counted() -> None:
    before = [Contribution("endorser", name, 0.2) for name in "abc"] + [Contribution("caution", "few data", -0.1)]
    after = [Contribution("endorser", "a", 0.2), Contribution("caution", "few data", -0.05)]
    assert why(before, after) == "endorsements -0.400 (2 endorsers); caution for want of data +0.050"
    assert why(after, after) == "its rating is the same: a threshold moved past it"
