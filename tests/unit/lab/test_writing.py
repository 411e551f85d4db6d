"""The written world: the same octets every time, every line well-formed, and the truth in agreement with the logs."""

from __future__ import annotations

import csv
import gzip
import json
import re
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pysequoia
import pytest
from pysequoia import packet

from trustgraph.errors import BadInput, UsageError
from trustgraph.lab import loglist
from trustgraph.lab.documents import command
from trustgraph.lab.loglist import read_list
from trustgraph.lab.scenarios import make_scenario
from trustgraph.lab.truth import HOST_COLUMNS
from trustgraph.lab.writing import (
    KEYRING,
    LOGS,
    README,
    SETTINGS,
    TRUTH,
    TRUTH_OF_DAYS,
    TRUTH_OF_ENDORSEMENTS,
    TRUTH_OF_MESSAGES,
    WrittenWorld,
    simulate,
)
from trustgraph.model import Identity, Outcome, Result, from_rfc3339, to_rfc3339

ENTRY = ["at", "observer", "identity", "result", "outcome", "message_id", "host", "client_ip"]
RSPAMD_LINE = re.compile(
    r"2026-10-\d\d \d\d:\d\d:\d\d #2201\(normal\) <[0-9a-f]{6}>; task; rspamd_task_write_log: "
    r"id: <[a-z]{9}@[a-z0-9.-]+>, qid: <[0-9A-F]{10}>, ip: [0-9a-f.:]+, from: <[a-z]+@[a-z0-9.-]+>, "
    r"\(default: [FT] \((?:no action|greylist|reject)\): \[-?\d+\.\d\d/15\.00\] "
    r"\[(?:[A-Z_]+\(-?\d+\.\d\d\)\{[^{}]*\},?)+\]\), len: \d+, time: \d+\.\d{3}ms, dns req: \d+, "
    r"digest: <[0-9a-f]{32}>, rcpts: <team@partner-one.example>, mime_rcpts: <team@partner-one.example>"
)
SYSLOG_LINE = re.compile(
    r"Oct [ 1-3]\d \d\d:\d\d:\d\d mail (?:opendkim\[611\]|postfix/(?:smtpd|cleanup|qmgr)\[\d+\]): [0-9A-F]{10}: (.+)"
)
SYSLOG_TEXT = re.compile(
    r"client=[a-z0-9.-]+\[[0-9a-f.:]+\]|message-id=<[a-z]{9}@[a-z0-9.-]+>"
    r'|signature=[a-z]{8} domain=[a-z0-9.-]+ selector=mail result="[A-Za-z ]+"'
    r"|DKIM verification successful|bad signature data"
    r"|milter-reject: END-OF-MESSAGE from [a-z0-9.-]+\[[0-9a-f.:]+\]: 5\.7\.1 Spam message rejected; "
    r"from=<[a-z]+@[a-z0-9.-]+> to=<team@partner-two\.example> proto=ESMTP helo=<[a-z0-9.-]+>"
    r"|from=<[a-z]+@[a-z0-9.-]+>, size=\d+, nrcpt=1 \(queue active\)"
)


def log(written: WrittenWorld, name: str) -> list[str]:
    return gzip.decompress((written.directory / name).read_bytes()).decode("ascii").splitlines()


def truth(written: WrittenWorld) -> list[dict[str, str]]:
    with (written.directory / TRUTH).open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_same_seed_writes_the_same_octets_and_another_seed_does_not(written: WrittenWorld, tmp_path: Path) -> None:
    simulate("baseline", written.parameters, tmp_path / "same")
    simulate("baseline", replace(written.parameters, seed=4), tmp_path / "other")
    names = sorted(path.name for path in written.directory.iterdir())
    truths = [TRUTH, TRUTH_OF_DAYS, TRUTH_OF_ENDORSEMENTS, TRUTH_OF_MESSAGES]
    assert names == sorted([KEYRING, *LOGS, loglist.FILE, *truths, SETTINGS, README])
    for name in names:
        octets = (written.directory / name).read_bytes()
        assert (tmp_path / "same" / name).read_bytes() == octets
        assert ((tmp_path / "other" / name).read_bytes() == octets) is (name == loglist.FILE)


def test_logs_carry_no_file_name_and_no_time_in_their_gzip_header(written: WrittenWorld) -> None:
    for name in LOGS:
        assert (written.directory / name).read_bytes()[:8] == bytes.fromhex("1f8b080000000000")


def test_an_unknown_scenario_is_a_usage_error(written: WrittenWorld, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected one of baseline"):
        simulate("paradise", written.parameters, tmp_path)


def test_every_line_of_our_own_log_is_well_formed(written: WrittenWorld) -> None:
    for line in log(written, LOGS[0]):
        entry = json.loads(line)
        assert list(entry) == ENTRY
        assert to_rfc3339(from_rfc3339(entry["at"])) == entry["at"]
        assert entry["observer"] == "mx1.example.org"
        assert Identity.parse(entry["identity"]) == entry["identity"]
        Result(entry["result"])
        Outcome(entry["outcome"])
        assert re.fullmatch(r"<[a-z]{9}@[a-z0-9.-]+>", entry["message_id"])


def test_signed_mail_has_an_openpgp_and_a_dkim_line(written: WrittenWorld) -> None:
    keyed = {row["host"] for row in truth(written) if row["identity"].startswith("openpgp:")}
    kinds: dict[str, list[str]] = {}
    hosts: dict[str, str] = {}
    for line in log(written, LOGS[0]):
        entry = json.loads(line)
        kinds.setdefault(entry["message_id"], []).append(Identity(entry["identity"]).kind)
        hosts[entry["message_id"]] = entry["host"]
    for message, host in hosts.items():
        signed = host in keyed or host.endswith(".access.example")
        assert kinds[message] == (["openpgp", "dkim"] if signed else ["dkim"])


def test_every_line_of_the_rspamd_log_is_as_rspamd_writes_it(written: WrittenWorld) -> None:
    assert [line for line in log(written, LOGS[1]) if not RSPAMD_LINE.fullmatch(line)] == []


def test_every_line_of_the_mail_log_is_as_its_programs_write_it(written: WrittenWorld) -> None:
    for line in log(written, LOGS[2]):
        parts = SYSLOG_LINE.fullmatch(line)
        assert parts, line
        assert SYSLOG_TEXT.fullmatch(parts[1]), line


def test_logs_are_in_order_of_time_and_within_the_days(written: WrittenWorld) -> None:
    times = [json.loads(line)["at"] for line in log(written, LOGS[0])]
    assert times == sorted(times)
    assert times[0] >= "2026-10-02T00:00:00Z"
    assert times[-1] < "2026-11-01T00:00:00Z"
    for name, width in ((LOGS[1], 19), (LOGS[2], 15)):
        stamps = [line[:width] for line in log(written, name)]
        assert stamps == sorted(stamps)


def test_the_logs_agree_with_the_truth(written: WrittenWorld) -> None:
    """By what our own site saw: relays send mostly spam, honest hosts hardly any, the traitor only after it turned."""
    seen: dict[str, Counter[str]] = {}
    for line in log(written, LOGS[0]):
        entry = json.loads(line)
        if entry["identity"].startswith("openpgp:"):
            late = "late" if entry["at"] >= "2026-10-22" else "early"
            bad = "bad" if entry["outcome"] in ("spam", "malware") else "good"
            seen.setdefault(entry["identity"], Counter())[f"{late} {bad}"] += 1
    for row in truth(written):
        counts = seen.get(row["identity"], Counter())
        good, bad = counts["early good"] + counts["late good"], counts["early bad"] + counts["late bad"]
        if row["kind"] in ("relay", "ring", "impersonator"):
            assert bad > good or row["identity"].startswith("dkim:")
        elif row["kind"] == "traitor":
            assert counts["early bad"] <= 1 < counts["early good"]
            assert counts["late bad"] > counts["late good"]
        else:
            assert bad <= max(2, 0.03 * (good + bad))


def test_the_truth_names_every_key_of_the_keyring(written: WrittenWorld) -> None:
    rows = truth(written)
    assert tuple(rows[0]) == HOST_COLUMNS
    certificates = pysequoia.Cert.split_bytes((written.directory / KEYRING).read_bytes())
    keys = {f"openpgp:{certificate.fingerprint}" for certificate in certificates}
    assert keys == {row["identity"] for row in rows if row["identity"].startswith("openpgp:")}
    assert len(rows) == written.parameters.hosts
    assert Counter(row["kind"] for row in rows) == {
        "honest": 44,
        "newcomer": 4,
        "traitor": 1,
        "relay": 6,
        "ring": 4,
        "impersonator": 1,
    }


def test_the_keyring_holds_what_the_counts_say(written: WrittenWorld) -> None:
    types = Counter(
        str(each.signature_type)
        for each in packet.PacketPile.from_bytes((written.directory / KEYRING).read_bytes())
        if each.tag == packet.Tag.Signature
    )
    assert types == {
        str(packet.SignatureType.PositiveCertification): 2 * written.counts["host keys"],
        str(packet.SignatureType.GenericCertification): written.counts["certifications"],
        str(packet.SignatureType.CertificationRevocation): written.counts["revoked certifications"],
    }


def test_the_settings_are_anchored_on_the_observers(written: WrittenWorld) -> None:
    settings = tomllib.loads((written.directory / SETTINGS).read_text())
    observers = [row["identity"] for row in truth(written) if row["note"] == "observer"]
    assert settings["anchors"] == dict.fromkeys(observers, 1.0)
    assert settings["site"]["hostname"] == "mx1.example.org"
    assert settings["database"]["url"] == "sqlite:///trustgraph.db"
    assert settings["ingest"] == {"authserv_ids": ["mx1.example.org"], "zone": "UTC"}


def test_the_counts_are_those_of_the_files(written: WrittenWorld) -> None:
    for name in LOGS:
        assert written.counts[f"lines: {name}"] == len(log(written, name))
    text = (written.directory / README).read_text()
    assert all(f"| {what} | {number} |" in text for what, number in written.counts.items())


def test_the_readme_records_the_command(written: WrittenWorld) -> None:
    made_by = "simulate baseline --seed 3 --hosts 60 --relays 10 --ring 4 --newcomers 4 --messages 4000 --out DIR`"
    assert made_by in (written.directory / README).read_text()
    later = replace(written.parameters, until=from_rfc3339("2027-01-01T00:00:00Z"))
    assert command(make_scenario("baseline", {}), later).endswith("--until 2027-01-01T00:00:00Z --out DIR")


def test_the_list_names_the_observer_of_each_log(written: WrittenWorld) -> None:
    observers = ["mx1.example.org", "mail.partner-one.example", "mail.partner-two.example"]
    assert list(written.logs) == list(zip(LOGS, observers, strict=True))
    assert read_list(written.directory) == written.logs


@pytest.mark.parametrize("text", ["", "file;observer\n", "file,observer\nmx1.jsonl.gz\n"])
def test_a_list_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / loglist.FILE).write_text(text)
    with pytest.raises(BadInput, match="expected the columns file, observer"):
        read_list(tmp_path)
