"""``trustgraph endorse``: vouch for hosts by the mail that came from them."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trustgraph.cli.context import JsonOption, now, shared
from trustgraph.cli.output import note, print_json, print_table, say
from trustgraph.errors import ServiceUnavailable, UsageError
from trustgraph.model import to_rfc3339

if TYPE_CHECKING:
    from trustgraph.endorsement.plan import Entry, Plan
    from trustgraph.services.endorsing import EndorseRun

#: Of those that have not earned an endorsement so many are shown, the nearest to it; --json has all.
_SHOWN = 20


def endorse(
    context: typer.Context,
    dry_run: Annotated[
        bool | None,
        typer.Option(
            "--dry-run/--no-dry-run",
            help="Only say what would be done and why; default on a terminal.",
            show_default=False,
        ),
    ] = None,
    publish: Annotated[
        bool,
        typer.Option(
            "--publish/--no-publish", help="Bring all that is on record to every keyserver, and read it back."
        ),
    ] = False,
    pin: Annotated[
        str,
        typer.Option(
            metavar="HOST|ID", help="Vouch by hand for this host from now on, whatever its mail; needs --note."
        ),
    ] = "",
    text: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why a host is pinned.")] = "",
    unpin: Annotated[str, typer.Option(metavar="HOST|ID", help="Take a pin back: its mail decides again.")] = "",
    json: JsonOption = False,
) -> None:
    """Endorse hosts that sent enough good mail, renew, and take back what bad mail has cost.

    Exits 69 when --publish leaves a keyserver without something; the next run brings it there.
    """
    from trustgraph.services import endorsing, pinning

    common = shared(context)
    if pin and unpin:
        raise UsageError("--pin and --unpin: one at a time")
    if text and not pin:
        raise UsageError("--note: goes with --pin")
    if (pin or unpin) and dry_run:
        raise UsageError("--dry-run: --pin and --unpin are kept in the database at once; leave out one of the two")
    dry = sys.stdout.isatty() if dry_run is None else dry_run
    moment = now()
    with common.store() as store:
        if pin:
            note(f"pinned {pinning.pin(store, common.settings, pin, text, moment)}")
        if unpin:
            note(f"no longer pinned: {pinning.unpin(store, unpin)}")
        if dry:
            plan = endorsing.plan_endorsements(store, common.settings, moment)
            _print_plan(plan, json)
            return
        run = endorsing.endorse(store, common.settings, moment, publish=publish)
    _print_run(run, json)
    if publish and run.unpublished:
        raise ServiceUnavailable(f"{run.unpublished} endorsed keys are not on every keyserver; run this again")


COMMANDS = (endorse,)


def _print_plan(plan: Plan, json: bool) -> None:
    if json:
        print_json(_plan_json(plan) | {"dry_run": True})
        return
    _print_entries(plan)
    note("dry run: nothing was signed or published; --no-dry-run does it")


def _print_run(run: EndorseRun, json: bool) -> None:
    for line in run.notes:
        note(line)
    done = {entry.subject.fingerprint for entry in run.done}
    if json:
        print_json(
            _plan_json(run.plan)
            | {
                "dry_run": False,
                "done": sorted(done),
                "published": [asdict(one) for one in run.published],
                "unpublished": run.unpublished,
            }
        )
        return
    _print_entries(run.plan)
    for one in run.published:
        say(f"{one.subject}: {one.server} {'has it' if one.ok else f'does not have it: {one.reason}'}")
    say(f"{len(done)} keys spoken of; {run.unpublished} not on every keyserver yet")


def _print_entries(plan: Plan) -> None:
    from trustgraph.endorsement.plan import Action

    waiting = plan.of(Action.NOT_YET)
    shown = [entry for entry in plan.entries if entry.action is not Action.NOT_YET] + waiting[:_SHOWN]
    rows = [
        (
            e.subject.host,
            e.subject.fingerprint,
            e.mail.good,
            e.mail.bad,
            e.mail.days,
            e.shares.most,
            e.action.value,
            e.why,
        )
        for e in shown
    ]
    columns = ["host", "fingerprint", "good", "bad", "days", "bad share ≤", "action", "why"]
    print_table(f"endorsements as of {to_rfc3339(plan.now)}", columns, rows)
    if len(waiting) > _SHOWN:
        say(f"and {len(waiting) - _SHOWN} more that have not earned one; --json has all")
    if not plan.entries:
        note("no signed mail from any host yet: the gate records it, and `trustgraph ingest logs` what logs have of it")
    if not plan.issuer:
        note("there is no host key yet: `trustgraph key new` makes one")


def _plan_json(plan: Plan) -> dict[str, Any]:
    return {
        "issuer": plan.issuer,
        "at": to_rfc3339(plan.now),
        "budget_left": plan.budget_left,
        "entries": [_entry_json(entry) for entry in plan.entries],
    }


def _entry_json(entry: Entry) -> dict[str, Any]:
    subject, mail = entry.subject, entry.mail
    return {
        "host": subject.host,
        "identity": f"openpgp:{subject.fingerprint}",
        "good": mail.good,
        "bad": mail.bad,
        "unknown": mail.unknown,
        "days": mail.days,
        "bad_share_at_most": entry.shares.most,
        "action": entry.action.value,
        "why": entry.why,
        "user_id": entry.user_id,
        "pinned": subject.pin,
    }
