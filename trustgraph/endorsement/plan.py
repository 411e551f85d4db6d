"""The decision for each key, from what is known of it and nothing else: rules × history × now → a plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from trustgraph.endorsement import wilson
from trustgraph.endorsement.history import Mail
from trustgraph.endorsement.rules import Rules, Shares, bad_in_words, is_lost, percent, shortfalls
from trustgraph.endorsement.subject import Cause, Given, Subject
from trustgraph.model import UnixSeconds, to_rfc3339


class Action(StrEnum):
    """What is done about a key."""

    ISSUE = "issue"
    RENEW = "renew"
    REVOKE = "revoke"
    KEEP = "keep"
    NOT_YET = "not-yet"


@dataclass(frozen=True, slots=True)
class Entry:
    """The decision about one key, with its figures and the reason. ``user_id``: the one to certify.

    ``cause`` is that of the certification to be made. ``unknown``: the key has to be fetched before more can be said.
    """

    subject: Subject
    shares: Shares
    action: Action
    why: str
    user_id: str = ""
    cause: Cause = Cause.EARNED
    unknown: bool = False

    @property
    def mail(self) -> Mail:
        """What was received from it."""
        return self.subject.mail


@dataclass(frozen=True, slots=True)
class Plan:
    """Every key that mail, an endorsement or a pin speaks of, those first about which something is done.

    ``issuer`` is the fingerprint of this host's key, empty without one. ``budget_left`` is what the week's budget of
    new endorsements has left when this plan is carried out.
    """

    issuer: str
    now: UnixSeconds
    entries: tuple[Entry, ...]
    budget_left: int

    def of(self, *actions: Action) -> list[Entry]:
        """The entries with these actions."""
        return [entry for entry in self.entries if entry.action in actions]


@dataclass(frozen=True, slots=True)
class Self:
    """This host: its key, the operator that runs it, and the new endorsements it made in the last week."""

    issuer: str
    operator: str
    issued_this_week: int = 0


def make_plan(subjects: Sequence[Subject], own: Self, rules: Rules, now: UnixSeconds) -> Plan:
    """What to do about each key at ``now``."""
    shares = _shares([subject.mail for subject in subjects])
    judge = _Judge(own, rules, now)
    entries = [judge.entry(subject, share) for subject, share in zip(subjects, shares, strict=True)]
    budget = max(0, rules.budget_per_week - own.issued_this_week)
    entries, left = _within_budget(entries, budget, rules)
    order = list(Action)
    entries.sort(key=lambda e: (order.index(e.action), e.shares.most, -e.mail.good, e.subject.fingerprint))
    return Plan(own.issuer, now, tuple(entries), left)


@dataclass(frozen=True, slots=True)
class _Judge:
    own: Self
    rules: Rules
    now: UnixSeconds

    def entry(self, subject: Subject, shares: Shares) -> Entry:
        objection = subject.objection(self.own.operator, self.now, confirmed_hosts=self._asks_for_confirmation(subject))
        in_force = [given for given in subject.given if given.in_force(self.now)]
        if not in_force:
            return self._without(subject, shares, objection)
        if subject.key and not subject.key.is_live(self.now):
            return Entry(subject, shares, Action.KEEP, f"{objection}, so the endorsement counts for nothing anyway")
        if why := self._why_revoke(subject, shares, in_force):
            return Entry(subject, shares, Action.REVOKE, why)
        return self._endorsed(subject, shares, objection, max(in_force, key=self._standing))

    def _asks_for_confirmation(self, subject: Subject) -> bool:
        return self.rules.confirmed_hosts and subject.pin is None

    def _standing(self, given: Given) -> tuple[bool, UnixSeconds]:
        return given.issuer == self.own.issuer, given.made_at

    def _why_revoke(self, subject: Subject, shares: Shares, in_force: Sequence[Given]) -> str:
        if subject.pin is not None:
            return ""
        if is_lost(subject.mail, shares, self.rules):
            return bad_in_words(subject.mail, shares, self.rules)
        if all(given.cause is Cause.PINNED for given in in_force) and self._missing(subject, shares):
            return f"no longer pinned, and its mail has not earned it: {self._missing(subject, shares)}"
        return ""

    def _missing(self, subject: Subject, shares: Shares) -> str:
        if is_lost(subject.mail, shares, self.rules):
            return bad_in_words(subject.mail, shares, self.rules)
        return ", ".join(shortfalls(subject.mail, shares, self.rules))

    def _endorsed(self, subject: Subject, shares: Shares, objection: str, given: Given) -> Entry:
        ends = f"ends {_day(given.expires_at)}" if given.expires_at is not None else "does not end"
        due = UnixSeconds(given.made_at + self.rules.renew_after_seconds)
        ours = given.issuer == self.own.issuer
        if ours and self.now < due:
            why = f"endorsed {_day(given.made_at)}, renewed from {_day(due)} if still earned, {ends}"
            return Entry(subject, shares, Action.KEEP, why + self._warning(subject, shares))
        missing = "" if subject.pin is not None else self._missing(subject, shares)
        if objection or missing:
            return Entry(subject, shares, Action.KEEP, f"{ends}, and is not renewed: {objection or missing}")
        why = self._why(subject, shares) if ours else f"by our new key, instead of {given.issuer}"
        cause = Cause.RENEWED if subject.pin is None else Cause.PINNED
        return self._certify(subject, shares, Action.RENEW, why, cause)

    def _without(self, subject: Subject, shares: Shares, objection: str) -> Entry:
        missing = "" if subject.pin is not None else self._missing(subject, shares)
        if missing or objection:
            if subject.unknown and not missing:
                why = f"{self._why(subject, shares)}; its key is not known yet: a run asks"
                return Entry(subject, shares, Action.NOT_YET, why, unknown=True)
            why = ", ".join(filter(None, (missing, objection)))
            if subject.mail.unknown and missing:
                why += f"; {subject.mail.unknown} mails of unknown outcome do not count"
            return Entry(subject, shares, Action.NOT_YET, why)
        earned = Cause.RENEWED if subject.succeeds else Cause.EARNED
        cause = earned if subject.pin is None else Cause.PINNED
        return self._certify(subject, shares, Action.ISSUE, self._why(subject, shares), cause)

    def _certify(self, subject: Subject, shares: Shares, action: Action, why: str, cause: Cause) -> Entry:
        latest = max((max(given.made_at, given.revoked_at or 0) for given in subject.given), default=0)
        if self.now <= latest:  # of two signatures of one moment readers take either; a revocation ends all before it
            return Entry(
                subject, shares, Action.NOT_YET, f"what was last said of it is of {to_rfc3339(latest)}, not before now"
            )
        user_id = subject.certifiable(confirmed_hosts=self._asks_for_confirmation(subject))
        return Entry(subject, shares, action, why, user_id, cause)

    def _why(self, subject: Subject, shares: Shares) -> str:
        if subject.pin is not None:
            return f"pinned: {subject.pin}{self._warning(subject, shares)}"
        mail = subject.mail
        after = f", in part with {subject.succeeds}, whose key it succeeds" if subject.succeeds else ""
        beside = f" and {mail.bad} bad" if mail.bad else ""
        share = percent(shares.most)
        return f"{mail.good} good mails{beside} on {mail.days} days, a bad share of at most {share}{after}"

    def _warning(self, subject: Subject, shares: Shares) -> str:
        if subject.pin is None or not is_lost(subject.mail, shares, self.rules):
            return ""
        return f"; but take care: {bad_in_words(subject.mail, shares, self.rules)}"


def _within_budget(entries: Iterable[Entry], budget: int, rules: Rules) -> tuple[list[Entry], int]:
    """The best earned within the budget; the rest waits. What the operator pins or a successor takes over is free."""
    entries = list(entries)
    new = [e for e in entries if e.action is Action.ISSUE and e.cause is Cause.EARNED]
    new.sort(key=lambda e: (e.shares.most, -e.mail.good, e.subject.fingerprint))
    waiting = {e.subject.fingerprint for e in new[budget:]}
    why = f"earned, and waits: the budget of {rules.budget_per_week} new endorsements a week is spent"
    told = [
        replace(e, action=Action.NOT_YET, why=f"{why} ({e.why})") if e.subject.fingerprint in waiting else e
        for e in entries
    ]
    return told, max(0, budget - len(new))


def _shares(mails: Sequence[Mail]) -> list[Shares]:
    bad, good = _column(mails, "bad"), _column(mails, "good")
    recent_bad, recent_good = _column(mails, "recent_bad"), _column(mails, "recent_good")
    least, most = wilson.bounds(bad, good + bad)
    least_recent, _ = wilson.bounds(recent_bad, recent_good + recent_bad)
    return [Shares(*row) for row in zip(most.tolist(), least.tolist(), least_recent.tolist(), strict=True)]


def _column(mails: Sequence[Mail], name: str) -> wilson.Counts:
    return np.array([getattr(mail, name) for mail in mails], dtype=np.int64)


def _day(moment: UnixSeconds) -> str:
    return to_rfc3339(moment)[:10]
