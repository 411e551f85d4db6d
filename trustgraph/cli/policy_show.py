"""``trustgraph policy check`` and ``policy show``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trustgraph.cli.context import JsonOption, Shared, now, shared
from trustgraph.cli.output import note, print_json, print_table, say
from trustgraph.errors import ConfigurationError, ServiceUnavailable
from trustgraph.model import to_rfc3339

if TYPE_CHECKING:
    from trustgraph.model import UnixSeconds
    from trustgraph.policy.evidence import Rated
    from trustgraph.policy.overrides import Override
    from trustgraph.services.policy_show import Outlook, Prospect
    from trustgraph.settings import Settings


def check(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="Settings file; by default the one in force.")] = None,
    json: JsonOption = False,
) -> None:
    """Say what is wrong with the rules. Exits 78 if anything is, 0 if there are only remarks.

    Wrong are settings that cannot be read, overrides that have ended or that have no effect, and rules by which nobody
    can be rated.
    """
    from trustgraph.services.policy_check import check_policy

    common = shared(context)
    settings = (common if file is None else Shared(file, common.database)).settings
    findings = check_policy(settings, now())
    if json:
        print_json({"findings": [{"where": f.where, "what": f.what, "wrong": f.wrong} for f in findings]})
    for finding in findings:
        if not finding.wrong and not json:
            note(str(finding))
    if wrong := [str(finding) for finding in findings if finding.wrong]:
        raise ConfigurationError("\n".join(wrong))
    if not json:
        say("nothing is wrong with these rules")


def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="[IDENTITY|HOST]", help="Whom to judge by the rules.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="Newcomers shown; --json has them all.")] = 20,
    json: JsonOption = False,
) -> None:
    """Show the rules in force and who draws on the newcomers' allowance; or how an identity stands under them.

    For an identity: its rating and standing, the overrides that speak of it, its allowance today, and what would become
    of its mail now, signed and not.
    """
    from trustgraph.services.policy_show import drawn_today, outlooks

    common, at = shared(context), now()
    settings = common.settings
    try:
        drawn = drawn_today(settings, at)
    except ServiceUnavailable as error:
        note(f"what newcomers used up today is not known: {error}")
        drawn = {}
    if not name:
        _show_rules(settings, drawn, at, limit, json)
        return
    with common.store() as store:
        found = outlooks(store, settings, name, drawn, at)
    for one in found:
        if json:
            print_json(_outlook_json(one, settings))
        else:
            _print_outlook(one, settings)


def _show_rules(settings: Settings, drawn: dict[str, int], at: UnixSeconds, limit: int, json: bool) -> None:
    policy = settings.policy
    rules = {key: value for key, value in policy.model_dump().items() if key != "override"}
    overrides = [(one.override(), place) for place, one in enumerate(policy.override)]
    shared_by_all = {account: number for account, number in drawn.items() if account.startswith("all ")}
    each = sorted(
        ((number, account) for account, number in drawn.items() if account not in shared_by_all), reverse=True
    )
    if json:
        told = [_override_json(one) | {"in_force": one.in_force(at)} for one, _ in overrides]
        newcomers = [{"account": account, "messages": number} for number, account in each]
        print_json(rules | {"overrides": told, "newcomers_today": shared_by_all, "newcomers": newcomers})
        return
    print_table("rules in force", ["policy", ""], [(key, str(value)) for key, value in rules.items()])
    if overrides:
        rows = [
            (place, one.action, one.match, _until(one) if one.in_force(at) else "has ended", one.note)
            for one, place in overrides
        ]
        print_table("\noverrides", ["", "action", "of", "until", "note"], rows)
    if not each:
        say("\nno newcomer has drawn on an allowance today")
        return
    rows_of_newcomers = [(account, number) for number, account in each[:limit]]
    pools = ", ".join(f"{account.removeprefix('all ')} {number}" for account, number in sorted(shared_by_all.items()))
    print_table(f"\nnewcomers today, in recipients ({pools})", ["drawn by", "messages"], rows_of_newcomers)
    if len(each) > limit:
        note(f"{len(each) - limit} more; --limit or --json shows them")


def _until(override: Override) -> str:
    return "" if override.expires_at is None else to_rfc3339(override.expires_at)


def _override_json(override: Override) -> dict[str, Any]:
    return {
        "match": override.match,
        "action": override.action,
        "note": override.note,
        "expires": _until(override) or None,
    }


def _outlook_json(one: Outlook, settings: Settings) -> dict[str, Any]:
    return {
        **_rated_json(one.rated),
        "standing": one.standing,
        "expires_at": None if one.rated.rating is None else to_rfc3339(one.rated.expires_at),
        "seen_to_sign": one.seen_to_sign,
        "others": [_rated_json(other) for other in one.others],
        "profile": one.profile,
        "overrides": [_override_json(override) for override in one.overrides],
        "signed_by": "itself" if one.signs else "an unknown key",
        "signed": _prospect_json(one.signed, settings),
        "unsigned": _prospect_json(one.unsigned, settings),
    }


def _rated_json(rated: Rated) -> dict[str, Any]:
    return {
        "identity": str(rated.identity),
        "host": rated.host,
        "rating": rated.rating,
        "confidence": rated.confidence,
        "sample_size": rated.sample_size,
        "endorsers": rated.endorsers,
    }


def _prospect_json(prospect: Prospect, settings: Settings) -> dict[str, Any]:
    decision = prospect.decision
    return {
        "verdict": decision.verdict,
        "reason": decision.reason,
        "standing": decision.standing,
        "tagged": decision.tagged,
        "would_be": decision.would_be,
        "note": decision.note,
        "reply": decision.reply.line(settings.site.hostname) if decision.reply else None,
        "allowance": {
            "each": prospect.allowance.each,
            "shared": dict(prospect.allowance.shared),
            "payers": list(prospect.payers),
            "left": prospect.left,
        },
    }


def _print_outlook(one: Outlook, settings: Settings) -> None:
    host = f" ({one.rated.host})" if one.rated.host else ""
    rating = "not rated" if one.rated.rating is None else f"rated {one.rated.rating:.3f}"
    say(f"{one.rated.identity}{host}: {one.standing}, {rating}; judged by {one.profile}")
    if one.seen_to_sign:
        say("  its host was seen to sign, so it is expected to")
    if one.others:
        say(f"  its mail is taken to show {', '.join(str(other.identity) for other in one.others)} too")
    for override in one.overrides:
        say(f"  override: {override.action} {override.match}, {override.note} {_until(override)}".rstrip())
    signer = "signed by it" if one.signs else "signed by an unknown key"
    print_table(
        "",
        ["mail now", "verdict", "reason", "tagged", "allowance", "left today", "drawn from"],
        [_prospect_row(signer, one.signed), _prospect_row("not signed", one.unsigned)],
    )


def _prospect_row(mail: str, prospect: Prospect) -> tuple[str, ...]:
    decision = prospect.decision
    if decision.would_be not in (None, decision.verdict):
        verdict = f"{decision.verdict} (else {decision.would_be})"
    else:
        verdict = decision.verdict.value
    tagged = "yes" if decision.tagged else "no"
    figures = str(prospect.allowance.each), str(prospect.left), ", ".join(prospect.payers)
    return mail, verdict, decision.reason, tagged, *figures
