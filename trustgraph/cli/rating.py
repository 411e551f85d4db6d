"""``score``, ``rating``, ``explain``, ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trustgraph.cli.context import JsonOption, anchor_weights, moment, now, shared
from trustgraph.cli.output import note, print_json, print_table, say
from trustgraph.errors import UsageError
from trustgraph.model import Rating, to_rfc3339

if TYPE_CHECKING:
    from trustgraph.scoring.explanation import Explanation
    from trustgraph.settings import Policy


def score(
    context: typer.Context,
    algorithm: Annotated[
        str,
        typer.Option(
            help="trustgraph, or to compare: endorsement-count, pagerank, eigentrust, sybilrank, max-flow, "
            "authentication, history (docs/rating.md); default scoring.algorithm."
        ),
    ] = "",
    anchor: Annotated[
        list[str] | None, typer.Option(metavar="ID[=WEIGHT]", help="Trust anchor; may be repeated; over [anchors].")
    ] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="Reference time, RFC 3339; default now.")] = None,
    engine: Annotated[str, typer.Option(help="local; spark is for graphs beyond one machine's memory.")] = "local",
    json: JsonOption = False,
) -> None:
    """Rate every identity and publish the ratings as one generation."""
    from trustgraph.services.scoring import anchors_of
    from trustgraph.services.scoring import score as run_score

    if engine != "local":
        raise UsageError(f"--engine {engine}: only local is available in this version")
    common = shared(context)
    settings = common.settings
    anchors = anchors_of(settings, anchor_weights(anchor or []))
    with common.store() as store:
        run = run_score(
            *(store, settings),
            anchors=anchors,
            algorithm=algorithm or settings.scoring.algorithm,
            reference_time=moment(at),
            now=now(),
        )
    g = run.generation
    for line in run.notes:
        note(line)
    if json:
        print_json(
            {
                "generation": g.number,
                "identities": g.identities,
                "endorsements": g.endorsements,
                "iterations": g.iterations,
                "seconds": g.seconds,
                "algorithm": g.algorithm,
                "reference_time": to_rfc3339(g.reference_time),
            }
        )
        return
    say(
        f"generation {g.number}: {g.identities} identities rated by {g.algorithm} from {g.endorsements} endorsements "
        f"as of {to_rfc3339(g.reference_time)} ({g.iterations} iterations, {g.seconds:.2f} s)"
    )


def rating(
    context: typer.Context,
    ids: Annotated[list[str], typer.Argument(help="Identities (dkim:example.org), fingerprints or host names.")],
    json: JsonOption = False,
) -> None:
    """Show ratings of the latest generation."""
    from trustgraph.services.scoring import ratings

    common = shared(context)
    with common.store() as store:
        found = ratings(store, ids)
    policy = common.settings.policy
    if json:
        for r in found:
            print_json(_rating_json(r, policy))
        return
    rows = [
        (str(r.identity), r.host, r.rating, r.confidence, r.sample_size, r.endorsers, _standing(r, policy))
        for r in found
    ]
    columns = ["identity", "host", "rating", "confidence", "sample", "endorsers", "standing"]
    print_table(f"generated {to_rfc3339(found[0].generated_at)} by {found[0].algorithm}", columns, rows)


def explain(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="An identity, a fingerprint or a host name.")],
    picture: Annotated[
        Path | None, typer.Option(help="Also draw the neighbourhood that carries the rating (.png or .svg).")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Say where a rating comes from: parts that add up to it, what does not count and why, what it hangs on."""
    from trustgraph.services.scoring import explain as run_explain
    from trustgraph.services.scoring import resolve

    common = shared(context)
    with common.store() as store:
        explanations = [run_explain(store, common.settings, identity) for identity in resolve(store, id)]
        for explanation in explanations:
            if json:
                print_json(_explanation_json(explanation))
            else:
                _print_explanation(explanation)
        if picture:
            from trustgraph.services.picture import draw

            draw(store, common.settings, explanations[0], picture)
            note(f"picture of {explanations[0].identity} in {picture}")


def export(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="endorsements, history or ratings")],
    file: Annotated[Path, typer.Argument(help="Ends in .csv or .parquet.")],
    json: JsonOption = False,
) -> None:
    """Write endorsements, history or ratings as a table."""
    from trustgraph.services.export import export as run_export

    common = shared(context)
    with common.store() as store:
        rows = run_export(store, common.settings, kind, file)
    if json:
        print_json({"file": str(file), "rows": rows})
        return
    say(f"{file}: {rows} rows")


COMMANDS = (score, rating, explain, export)


def _standing(r: Rating, policy: Policy) -> str:
    from trustgraph.scoring.standing import standing_of

    return standing_of(r.rating, r.sample_size, r.endorsers, accept=policy.accept, refuse=policy.refuse).value


def _rating_json(r: Rating, policy: Policy) -> dict[str, Any]:
    return {
        "identity": str(r.identity),
        "host": r.host,
        "rating": r.rating,
        "confidence": r.confidence,
        "sample_size": r.sample_size,
        "endorsers": r.endorsers,
        "standing": _standing(r, policy),
        "generated_at": to_rfc3339(r.generated_at),
        "expires_at": to_rfc3339(r.expires_at),
        "algorithm": r.algorithm,
    }


def _explanation_json(e: Explanation) -> dict[str, Any]:
    return {
        "identity": str(e.identity),
        "host": e.host,
        "rating": e.rating,
        "standing": e.standing,
        "algorithm": e.algorithm,
        "reference_time": to_rfc3339(e.reference_time),
        "contributions": [
            {
                "kind": c.kind,
                "name": c.name,
                "host": e.labels.get(c.name, ""),
                "amount": c.amount,
                "mass_share": c.mass_share,
            }
            for c in e.contributions
        ],
        "total": e.total,
        "discarded": [{"endorser": str(d.endorser), "host": d.host, "reason": d.reason} for d in e.discarded],
        "critical": list(e.critical),
    }


def _print_explanation(e: Explanation) -> None:
    host = f" ({e.host})" if e.host else ""
    say(f"{e.identity}{host} rates {e.rating:.4f}: {e.standing}, by {e.algorithm} as of {to_rfc3339(e.reference_time)}")
    parts = sorted(e.contributions, key=lambda c: (-abs(c.amount), -c.mass_share, c.name))
    rows = [
        (c.kind, c.name, e.labels.get(c.name, ""), f"{c.amount:+.4f}", f"{c.mass_share:.1%}" if c.mass_share else "")
        for c in parts
    ]
    rows.append(("total", "", "", f"{e.total:+.4f}", f"{sum(c.mass_share for c in parts):.1%}"))
    print_table("\nwhat makes it up", ["kind", "from", "host", "adds", "share of trust"], rows)
    if e.discarded:
        print_table(
            f"\n{len(e.discarded)} certifications that do not count",
            ["endorser", "host", "because"],
            [(str(d.endorser), d.host, d.reason) for d in e.discarded],
        )
    if e.critical:
        say(f"\nit would not stand without any one of: {', '.join(e.critical)}")
