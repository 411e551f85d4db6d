"""``policy check``: what is wrong with the rules of a site, and what its operator may not have meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trustgraph.errors import TrustgraphError
from trustgraph.model import UnixSeconds, to_rfc3339
from trustgraph.policy.overrides import Override
from trustgraph.policy.shadowing import shadowed
from trustgraph.scoring.registry import algorithm_named
from trustgraph.services.scoring import anchors_of
from trustgraph.settings import Settings
from trustgraph.store import open_store
from trustgraph.store.known import is_known


@dataclass(frozen=True, slots=True)
class Finding:
    """``where`` is a setting, ``what`` says what is the matter. Not ``wrong``: it may be meant so."""

    where: str
    what: str
    wrong: bool

    def __str__(self) -> str:
        """One line."""
        return f"{self.where}: {self.what}"


def check_policy(settings: Settings, now: UnixSeconds) -> list[Finding]:
    """Findings about settings that could be read, those that are wrong first.

    Where the store cannot be asked whether it has heard of what the overrides name, that is a finding too.
    """
    overrides = [one.override() for one in settings.policy.override]
    found = [*_rating(settings), *_allowances(settings), *_overrides(overrides, now), *_unknown(settings, overrides)]
    return sorted(found, key=lambda finding: not finding.wrong)


def _rating(settings: Settings) -> Iterator[Finding]:
    if not anchors_of(settings):
        yield Finding("anchors", "none given, and no site.hostname: without an anchor nobody can be rated", wrong=True)
    try:
        algorithm_named(settings.scoring.algorithm)
    except TrustgraphError as error:
        yield Finding("scoring.algorithm", str(error), wrong=True)
    if not settings.keyservers.urls:
        yield Finding("keyservers.urls", "none given: mail signed by a key that is not at hand waits", wrong=False)


def _allowances(settings: Settings) -> Iterator[Finding]:
    policy = settings.policy
    if policy.profile == "strict":
        return
    if not policy.newcomer_messages or not policy.newcomer_messages_in_all:
        where = "policy.newcomer_messages" if not policy.newcomer_messages else "policy.newcomer_messages_in_all"
        yield Finding(where, "0: no new host can show that its mail is good", wrong=False)
    elif 2 * policy.newcomer_messages > policy.newcomer_messages_in_all:
        yield Finding(
            "policy.newcomer_messages",
            f"{policy.newcomer_messages} is more than half of newcomer_messages_in_all = "
            f"{policy.newcomer_messages_in_all}: one new operator can use up what there is for all of them",
            wrong=False,
        )


def _overrides(overrides: list[Override], now: UnixSeconds) -> Iterator[Finding]:
    for place, one in enumerate(overrides):
        if one.expires_at is not None and not one.in_force(now):
            yield Finding(_named(place, one), f"it ended at {to_rfc3339(one.expires_at)}: take it out", wrong=True)
    for place, by in shadowed(overrides, now).items():
        rival = _named(by, overrides[by])
        yield Finding(_named(place, overrides[place]), f"it has no effect: {rival} decides before it", wrong=True)


def _unknown(settings: Settings, overrides: list[Override]) -> Iterator[Finding]:
    if not overrides:
        return
    try:
        store = open_store(settings.database.url)
    except TrustgraphError as error:
        yield Finding("database.url", f"not asked whom the overrides speak of: {error}", wrong=False)
        return
    try:
        for place, one in enumerate(overrides):
            if is_known(store, one.match) is False:
                yield Finding(_named(place, one), "nothing that the store knows matches it", wrong=False)
    finally:
        store.close()


def _named(place: int, override: Override) -> str:
    return f"policy.override[{place}] ({override.action} {override.match})"
