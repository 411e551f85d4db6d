"""The three files: hostile names stay text, equal input gives equal octets, nothing is half written."""

from __future__ import annotations

import csv
import io
import json
import re
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.reports.small_world import LIMITS, NOW, by_anchors, everybody, scene
from trustgraph.model import Identity
from trustgraph.reports.bursts import EndorsementTimes
from trustgraph.reports.evidence import Evidence
from trustgraph.reports.files import findings_csv, findings_json, write_relay_report
from trustgraph.reports.findings import Finding, FindingKind, Group, Member, grouped, ranked
from trustgraph.reports.host_keys import HostClaims
from trustgraph.reports.page import relay_page
from trustgraph.reports.pictures import pictures
from trustgraph.reports.relays import find_relays
from trustgraph.reports.shown import csv_cell, drawn, shown

RING = [f"r{i}" for i in range(5)]
NONE = np.empty(0, dtype=np.int64)
NO_TIMES, NO_CLAIMS = EndorsementTimes(NONE, NONE, NONE), HostClaims(NONE, np.empty(0, dtype=object))

HOSTILE = [
    "<script>alert(1)</script>.example",
    "\"onmouseover='alert(1)'.example",
    "good.example\u202eelpmaxe.live",
    "a\x00b\x1b[31mc.example",
    "{{ 7 * 7 }}.example",
    "$\\frac{1}{0}$.example",
    "_" + "x" * 3000,
    "\u4f8b\u3048.example\udcff",
]


def world(host: str = "relay.example") -> Evidence:
    spam = [(name, 9, 0, 0, 6, 0) for name in [*RING, "relay"]]
    evidence = scene([*everybody(RING), ("a1", "relay"), *by_anchors("good")], [*spam, ("good", 30, 0, 5, 0, 0)])
    hosts = evidence.snapshot.identity_host.copy()
    hosts[hosts == "relay.example"] = host
    snapshot = replace(evidence.snapshot, identity_host=hosts)
    return replace(evidence, problem=replace(evidence.problem, snapshot=snapshot))


def found(evidence: Evidence) -> list[Finding]:
    return find_relays(evidence, NO_TIMES, NO_CLAIMS, LIMITS)


def page(evidence: Evidence) -> str:
    findings = found(evidence)
    return relay_page(findings, pictures(evidence, findings), evidence, NOW)


def finding(kind: FindingKind, identity: str, host: str, severity: float, members: tuple[Member, ...] = ()) -> Finding:
    return Finding(kind, Identity(identity), host, severity, "why", "what to do", members=members)


@pytest.mark.parametrize("host", HOSTILE)
def test_a_hostile_host_name_stays_text(host: str) -> None:
    text = page(world(host))
    assert "<script" not in text
    assert not re.search(r"<[^>]*onmouseover", text)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f\x7f]", text)
    assert "49.example" not in text
    assert max(map(len, re.sub(r'src="[^"]*"', "", text).splitlines())) < 3000


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    text = page(world())
    assert not re.search(r"<(script|link|iframe|object)|url\(|https?:", text)
    assert set(re.findall(r'src="([^",]*)', text)) == {"data:image/png;base64"}
    assert "default-src 'none'" in text
    assert len(re.findall("<figcaption>", text)) == 4


def test_the_page_says_what_was_found_and_what_to_do() -> None:
    text = page(world())
    assert "<strong>13 findings about 6 hosts</strong>" in text
    assert "ask a1.example to revoke; refuse dkim:relay.example at your gateway until then" in text
    assert "5 hosts endorse each other 20 times" in text
    # Told in full once, and by reference under the other four.
    assert text.count("member of the ring of 5 hosts told under") == 4


def test_an_empty_report_says_so() -> None:
    evidence = scene(by_anchors("good"), [("good", 9, 0, 5, 0, 0)])
    assert "Nothing found" in page(evidence)
    assert json.loads(findings_json([], evidence, NOW))["summary"]["findings"] == 0


@pytest.mark.parametrize("start", list("=+-@\t\r"))
def test_no_csv_cell_starts_a_formula(start: str) -> None:
    evil = replace(found(world())[0], host=start + "cmd|' /C calc'!A1")
    (row,) = csv.DictReader(io.StringIO(findings_csv([evil]), newline=""))
    assert row["host"] == "'" + start + "cmd|' /C calc'!A1"


def test_csv_and_json_say_the_same() -> None:
    evidence = world()
    findings = found(evidence)
    rows = list(csv.DictReader(io.StringIO(findings_csv(findings), newline="")))
    report = json.loads(findings_json(findings, evidence, NOW))
    assert [row["identity"] for row in rows] == [item["identity"] for item in report["findings"]]
    assert [json.loads(row["facts"]) for row in rows] == [item["facts"] for item in report["findings"]]
    assert report["summary"]["kinds"] == {
        "endorsed-with-bad-mail": 6,
        "ring": 1,
        "sudden-turn": 0,
        "endorsement-burst": 0,
        "several-keys": 0,
        "volume-without-standing": 6,
    }
    assert report["reference_time"] == "2026-11-01T00:00:00Z"


def test_equal_input_gives_equal_octets(tmp_path: Path) -> None:
    for out in ("one", "two"):
        evidence = world()
        write_relay_report(found(evidence), evidence, NOW, tmp_path / out)
    for name in ("relays.html", "relays.csv", "relays.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_only_the_three_files_are_left_and_they_can_be_read(tmp_path: Path) -> None:
    evidence = world()
    paths = write_relay_report(found(evidence), evidence, NOW, tmp_path / "new" / "report")
    names = sorted(path.name for path in (tmp_path / "new" / "report").iterdir())
    assert names == ["relays.csv", "relays.html", "relays.json"]
    assert stat.S_IMODE(paths.html.stat().st_mode) == 0o644


def test_what_was_there_survives_a_failed_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = world()
    paths = write_relay_report(found(evidence), evidence, NOW, tmp_path)
    before = paths.html.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fchmod", fail)
    with pytest.raises(OSError, match="no space left"):
        write_relay_report([], evidence, NOW, tmp_path)
    assert paths.html.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 3


def test_findings_are_ranked_by_severity_then_kind_and_identity() -> None:
    a = finding(FindingKind.RING, "dkim:b.example", "b.example", 0.5)
    b = finding(FindingKind.RING, "dkim:a.example", "a.example", 0.5)
    c = finding(FindingKind.SUDDEN_TURN, "dkim:c.example", "c.example", 0.9)
    assert ranked([a, b, c]) == [c, b, a]


def test_one_host_is_one_group_whatever_it_is_known_by() -> None:
    key = finding(FindingKind.ENDORSED_WITH_BAD_MAIL, "openpgp:" + "a" * 40, "mx.example.net", 0.9)
    name = finding(FindingKind.VOLUME_WITHOUT_STANDING, "dkim:example.net", "mx.example.net", 0.4)
    lone = finding(FindingKind.VOLUME_WITHOUT_STANDING, "ip:192.0.2.1", "", 0.5)
    assert grouped([lone, name, key]) == [Group("mx.example.net", (key, name)), Group("ip:192.0.2.1", (lone,))]


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("mx.example.org", "mx.example.org"),
        ("a\u202eb\n", "a\\u{202e}b\\u{a}"),
        ("x" * 101, "x" * 100 + "…"),
        ("\udcff", "\\u{dcff}"),
    ],
)
def test_what_is_shown(text: str, safe: str) -> None:
    assert shown(text) == safe


def test_figures_draw_ascii_alone_and_cells_without_formula_stay() -> None:
    assert drawn("é") == "\\xe9"
    assert csv_cell("mx-1.example.org") == "mx-1.example.org"
