"""The report on disk: relays.html, relays.csv and relays.json, each whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trustgraph.model import UnixSeconds, to_rfc3339
from trustgraph.reports.evidence import Evidence
from trustgraph.reports.findings import Finding, FindingKind, grouped
from trustgraph.reports.page import relay_page
from trustgraph.reports.pictures import pictures
from trustgraph.reports.shown import csv_cell

CSV_COLUMNS = ("rank", "severity", "kind", "identity", "host", "evidence", "action", "members", "facts")


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """Where the three files are."""

    html: Path
    csv: Path
    json: Path


def write_relay_report(findings: Sequence[Finding], evidence: Evidence, now: UnixSeconds, out: Path) -> ReportPaths:
    """Write the three files into the directory ``out``, made if need be; findings come worst first.

    Raises :class:`OSError` when it cannot be written; what was there before is still whole then.
    """
    out.mkdir(parents=True, exist_ok=True)
    paths = ReportPaths(out / "relays.html", out / "relays.csv", out / "relays.json")
    _replace(paths.html, relay_page(findings, pictures(evidence, findings), evidence, now))
    _replace(paths.csv, findings_csv(findings))
    _replace(paths.json, findings_json(findings, evidence, now))
    return paths


def findings_csv(findings: Sequence[Finding]) -> str:
    """One row a finding, worst first; no cell starts a formula. ``facts`` is a JSON object, ``members`` are spaced."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(CSV_COLUMNS)
    for rank, f in enumerate(findings, 1):
        members = " ".join(member.identity for member in f.members)
        words = (f.kind, f.identity, f.host, f.evidence, f.action, members, json.dumps(f.facts, sort_keys=True))
        table.writerow((rank, f"{f.severity:.4f}", *map(csv_cell, words)))
    return text.getvalue()


def findings_json(findings: Sequence[Finding], evidence: Evidence, now: UnixSeconds) -> str:
    """One object: when and of what, the summary, and all findings, worst first."""
    kinds = Counter(finding.kind for finding in findings)
    report = {
        "generated_at": to_rfc3339(now),
        "reference_time": to_rfc3339(evidence.snapshot.reference_time),
        "summary": {
            "identities": evidence.network.size,
            "endorsements": len(evidence.network.endorser),
            "findings": len(findings),
            "hosts": len(grouped(findings)),
            "kinds": {kind.value: kinds[kind] for kind in FindingKind},
        },
        "findings": [finding.as_object() for finding in findings],
    }
    return json.dumps(report, indent=2) + "\n"


def _replace(path: Path, text: str) -> None:
    """Write beside and rename over, so that a reader never meets half a file."""
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            # Lone surrogates of undecodable log octets have no UTF-8 form.
            file.write(text.encode("utf-8", "backslashreplace"))
            os.fchmod(file.fileno(), 0o644)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
