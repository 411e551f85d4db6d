"""What a policy would have done to the recorded past, message by message.

Time goes on in steps: at the beginning of each everything is rated by what was known then, as a schedule would, and
the messages of the step are decided on by those ratings. What is put off comes again, as a sender's queue would bring
it, until it is let in, refused, or five days old (RFC 5321 section 4.5.4.1).

The record does not know everything that the gate did. It is taken that a header signature was by the connecting host
itself, that a signature that could not be checked can be as soon as one by the same key has passed, that a message has
one recipient, and that what mail turned out to be is known of refused mail too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from trustgraph.model import Identity, Result, UnixSeconds, day_of
from trustgraph.policy.allowance import Tally, allowance_of, draw_for
from trustgraph.policy.decide import Policy, asks_for_allowance, decide
from trustgraph.policy.decision import Decision, Verdict
from trustgraph.policy.evidence import Evidence, Rated
from trustgraph.policy.recorded import RecordedMessage
from trustgraph.scoring.algorithms import Algorithm, Parameters, Scores, pose
from trustgraph.scoring.record import Record
from trustgraph.scoring.snapshot import NEVER

#: How long a sender keeps a message that is put off.
QUEUE_SECONDS = 5 * 86_400

#: The ratings of a step hold until the next.
_NEVER = UnixSeconds(NEVER)


@dataclass(frozen=True, slots=True)
class Rules:
    """All that can be changed: how hosts are rated, and what follows."""

    algorithm: type[Algorithm]
    anchors: Mapping[Identity, float]
    parameters: Parameters
    policy: Policy


@dataclass(frozen=True, slots=True)
class Played:
    """What became of one message. ``first`` is the answer it would have had when it came, ``last`` the one it was left
    with; ``settled_at`` is when that was given, and None for a message that was still put off when time ended.
    """

    message: RecordedMessage
    first: Decision
    last: Decision
    rating: float | None
    settled_at: UnixSeconds | None

    @property
    def let_in(self) -> bool:
        """Whether it was delivered in the end, tagged or not."""
        return self.settled_at is not None and self.last.verdict in (Verdict.ACCEPT, Verdict.QUARANTINE)

    @property
    def refused(self) -> bool:
        """Whether its sender was told so, or gave up."""
        return self.settled_at is not None and not self.let_in

    @property
    def waited_seconds(self) -> int:
        """From its coming to its last answer; 0 if that was the first."""
        return 0 if self.settled_at is None else int(self.settled_at - self.message.at)


#: Called with the beginning of each step and the ratings in force during it, one a position of the record.
Watch = Callable[[UnixSeconds, Scores], None]


def replay(
    record: Record,
    messages: Sequence[RecordedMessage],
    rules: Rules,
    *,
    start: UnixSeconds,
    until: UnixSeconds,
    every_seconds: int,
    watch: Watch | None = None,
) -> list[Played]:
    """Play the messages, which are in order of time and lie in ``start`` to ``until``; in the order of the messages.

    Raises what the algorithm raises, :class:`NoAnchors` among it.
    """
    door = _Door(record, rules, _passes(messages))
    played: list[Played] = []
    waiting: list[int] = []
    coming = 0
    for beginning in range(start, until, every_seconds):
        now = UnixSeconds(beginning)
        scores = rules.algorithm(pose(record.snapshot_at(now), rules.anchors, rules.parameters)).scores()
        door.rated_anew(scores)
        if watch is not None:
            watch(now, scores)
        for place in waiting:
            played[place] = door.again(played[place], now)
        while coming < len(messages) and messages[coming].at < beginning + every_seconds:
            played.append(door.at_first(messages[coming]))
            waiting += [coming] if played[coming].settled_at is None else []
            coming += 1
        waiting = [place for place in waiting if played[place].settled_at is None]
    return played


def _passes(messages: Sequence[RecordedMessage]) -> Mapping[int, Sequence[int]]:
    """When each key's signatures passed."""
    passes: dict[int, list[int]] = defaultdict(list)
    for message in messages:
        if message.result is Result.PASS:
            passes[message.signer].append(message.at)
    return passes


class _Door:
    """The gate, with the ratings in force."""

    _scores: Scores
    # Thousands of messages of a few senders wait for the same answer.
    _decided: dict[tuple[int, tuple[int, ...], str, UnixSeconds], tuple[Evidence, Decision]]

    def __init__(self, record: Record, rules: Rules, passes: Mapping[int, Sequence[int]]) -> None:
        self._record = record
        self._rules = rules
        self._passes = passes
        self._tally = Tally()

    def rated_anew(self, scores: Scores) -> None:
        """Go on with other ratings."""
        self._scores, self._decided = scores, {}

    def at_first(self, message: RecordedMessage) -> Played:
        """Decide on a message that comes."""
        decision, rating = self._decide(message, message.result, message.at)
        settled = None if decision.verdict is Verdict.TEMPFAIL else message.at
        return Played(message, decision, decision, rating, settled)

    def again(self, put_off: Played, now: UnixSeconds) -> Played:
        """Decide on a message that was put off and comes again."""
        message = put_off.message
        checkable = message.result is not Result.TEMPERROR or self._passed(message.signer, message.at, now)
        decision, rating = self._decide(message, Result.PASS if checkable else message.result, now)
        waits = decision.verdict is Verdict.TEMPFAIL and now < message.at + QUEUE_SECONDS
        return Played(message, put_off.first, decision, rating, None if waits else now)

    def _passed(self, signer: int, after: UnixSeconds, until: UnixSeconds) -> bool:
        times = self._passes.get(signer, ())
        return bisect_right(times, until) > bisect_right(times, after)

    def _decide(self, message: RecordedMessage, result: Result, now: UnixSeconds) -> tuple[Decision, float | None]:
        case = message.signer, message.others, result.value, now
        known = self._decided.get(case)
        if known is None:
            evidence = self._evidence(message, result)
            known = self._decided[case] = evidence, decide(evidence, self._rules.policy, now)
        evidence, decision = known
        if asks_for_allowance(decision) and self._admits(message, evidence, now):
            decision = decide(replace(evidence, allowance_left=True), self._rules.policy, now)
        return decision, evidence.responsible.rating if evidence.responsible else None

    def _evidence(self, message: RecordedMessage, result: Result) -> Evidence:
        return Evidence(
            result=result,
            by_client=message.signer >= 0,
            responsible=self._rated(message.signer) if result is Result.PASS else None,
            others=tuple([self._rated(other) for other in message.others]),
        )

    def _rated(self, position: int) -> Rated:
        record, scores = self._record, self._scores
        return Rated(
            Identity(record.identity_name[position]),
            str(record.identity_host[position]),
            float(scores.rating[position]),
            float(scores.confidence[position]),
            int(scores.sample_size[position]),
            int(scores.endorsers[position]),
            _NEVER,
        )

    def _admits(self, message: RecordedMessage, evidence: Evidence, now: UnixSeconds) -> bool:
        payer = message.signer if evidence.responsible else message.sender
        name = str(self._record.identity_operator[payer] or self._record.identity_name[payer])
        return self._tally.admit(draw_for(allowance_of(evidence, self._rules.policy), [name], day_of(now)))
