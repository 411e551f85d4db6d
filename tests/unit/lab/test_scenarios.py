"""What holds in the world of every scenario, and what happens to wrong settings."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from trustgraph.errors import UsageError
from trustgraph.lab.scenarios import FULL, QUICK, SCENARIOS, Scenario, make_scenario, settings_of
from trustgraph.lab.truth import DAY_COLUMNS, ENDORSEMENT_COLUMNS, MESSAGE_COLUMNS
from trustgraph.lab.world import Kind, Parameters
from trustgraph.lab.writing import (
    LOGS,
    TRUTH,
    TRUTH_OF_DAYS,
    TRUTH_OF_ENDORSEMENTS,
    TRUTH_OF_MESSAGES,
    SimulatedWorld,
    WrittenWorld,
    play,
    simulate,
    write,
)

ROOT = Path(__file__).parents[3]
ATTACKS = [name for name in SCENARIOS if name != "baseline"]


PARAMETERS = replace(QUICK, seed=2)


@pytest.fixture(scope="module", params=ATTACKS)
def played(request: pytest.FixtureRequest) -> tuple[Scenario, SimulatedWorld]:
    scenario = make_scenario(request.param, {})
    return scenario, play(scenario, PARAMETERS)


@pytest.fixture(scope="module")
def world(played: tuple[Scenario, SimulatedWorld], tmp_path_factory: pytest.TempPathFactory) -> WrittenWorld:
    scenario, simulated = played
    return write(simulated, scenario, tmp_path_factory.mktemp(scenario.name))


@pytest.fixture(scope="module")
def lone() -> SimulatedWorld:
    return play(make_scenario("lone-relay", {}), PARAMETERS)


def table(world: WrittenWorld, name: str) -> list[dict[str, str]]:
    octets = (world.directory / name).read_bytes()
    text = gzip.decompress(octets) if name.endswith(".gz") else octets
    return list(csv.DictReader(text.decode().splitlines()))


def test_the_same_seed_writes_the_same_octets(world: WrittenWorld, tmp_path: Path) -> None:
    simulate(world.scenario, world.parameters, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in world.directory.iterdir()
    }


def test_the_truth_of_messages_matches_our_log_line_by_line(world: WrittenWorld) -> None:
    entries: dict[str, dict[str, str]] = {}
    order = []
    for line in gzip.decompress((world.directory / LOGS[0]).read_bytes()).splitlines():
        entry = json.loads(line)
        order += [entry["message_id"]] if entry["message_id"] not in entries else []
        entries.setdefault(entry["message_id"], entry)  # its OpenPGP line comes first
    rows = table(world, TRUTH_OF_MESSAGES)
    assert tuple(rows[0]) == MESSAGE_COLUMNS
    assert [row["message_id"] for row in rows] == order
    for row in rows:
        entry = entries[row["message_id"]]
        assert (row["observed_at"], row["identity"]) == (entry["at"], entry["identity"])
        assert row["host"] == entry["host"] or entry["host"].endswith(".access.example")
    mistaken = Counter((row["truth"], entries[row["message_id"]]["outcome"]) for row in rows)
    good, spam = (sum(n for (truth, _), n in mistaken.items() if truth == each) for each in ("good", "spam"))
    assert good + spam == len(rows)
    assert mistaken["good", "spam"] <= max(3, 0.002 * good)
    assert mistaken["spam", "good"] + mistaken["spam", "unknown"] <= max(6, 0.06 * spam)


def test_the_truth_of_days_adds_up_the_messages(world: WrittenWorld) -> None:
    rows = table(world, TRUTH_OF_DAYS)
    assert tuple(rows[0]) == DAY_COLUMNS
    by_day = {
        (row["identity"], row["host"], row["day"], truth): int(row[truth]) for row in rows for truth in ("good", "spam")
    }
    counted = Counter(
        (row["identity"], row["host"], row["observed_at"][:10], row["truth"]) for row in table(world, TRUTH_OF_MESSAGES)
    )
    assert {key: number for key, number in by_day.items() if number} == counted


def test_the_truth_of_endorsements_is_complete(world: WrittenWorld) -> None:
    rows = table(world, TRUTH_OF_ENDORSEMENTS)
    hosts = {row["identity"] for row in table(world, TRUTH)}
    assert tuple(rows[0]) == ENDORSEMENT_COLUMNS
    assert len(rows) == world.counts["certifications"]
    assert sum(row["revoked_at"] != "" for row in rows) == world.counts["revoked certifications"]
    assert all(row["endorser"] in hosts and row["subject"] in hosts for row in rows)
    assert [row["made_at"] for row in rows] == sorted(row["made_at"] for row in rows)


def test_what_a_scenario_adds_leaves_the_rest_alone(
    played: tuple[Scenario, SimulatedWorld], lone: SimulatedWorld
) -> None:
    """The same mail and the same endorsements among the population as in any other world of these parameters."""
    _, this = played
    size = lone.world.population
    assert this.world.population == size
    for one, other in zip(lone.inboxes[1:], this.inboxes[1:], strict=True):
        assert [m for m in one if m.sender < size] == [m for m in other if m.sender < size]
    among = [
        {v for v in each.vouches if v.cause == "earned" and v.subject < each.world.population} for each in (lone, this)
    ]
    assert among[0] == among[1] != set()


def test_spam_begins_when_the_truth_says(world: WrittenWorld) -> None:
    rows = {row["identity"]: row for row in table(world, TRUTH)}
    bad = {identity for identity, row in rows.items() if Kind(row["kind"]).is_bad}
    first: dict[str, str] = {}
    for row in table(world, TRUTH_OF_MESSAGES):
        if row["identity"] in bad and row["truth"] == "spam":
            first.setdefault(row["identity"], row["observed_at"][:10])
    for identity, day in first.items():
        assert day >= max(rows[identity]["first_day"], "2026-10-22")
        assert rows[identity]["kind"] == "traitor" or rows[identity]["first_day"] >= "2026-10-22"
    assert bad == set() or first
    assert bad != set() or world.scenario == "slander"


def test_newcomers_write_from_early_on(world: WrittenWorld) -> None:
    newcomers = [row for row in table(world, TRUTH) if row["kind"] == "newcomer"]
    assert len(newcomers) == QUICK.newcomers
    assert all("2026-10-13" <= row["first_day"] <= "2026-10-16" for row in newcomers)


def test_the_readme_tells_how_to_make_and_read_it(world: WrittenWorld) -> None:
    readme = (world.directory / "README.md").read_text()
    assert f"`trustgraph simulate {world.scenario} --seed 2 --hosts 45 " in readme
    assert all(f"| `{path.name}` |" in readme for path in world.directory.iterdir() if path.name != "README.md")
    assert all(log.file in readme and log.observer in readme for log in world.logs)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_is_documented_with_its_settings(name: str) -> None:
    document = (ROOT / "docs" / "lab.md").read_text()
    scenario = SCENARIOS[name]
    assert f"| {name} | {scenario.summary} |" in document
    rows = re.findall(rf"^\| {name} \| (\w+) \| ([^|]+) \| ([^|]+) \|$", document, re.MULTILINE)
    assert rows == [
        (each.name, f"{each.default:g}" if each.least is not None else str(each.default).lower(), each.help)
        for each in settings_of(scenario)
    ]


def test_nothing_else_is_documented_as_a_scenario() -> None:
    _, _, scenarios = (ROOT / "docs" / "lab.md").read_text().partition("\n## Scenarios\n")
    named = set(re.findall(r"^\| ([a-z-]+) \| [^|]+ \|", scenarios.partition("\n## ")[0], re.MULTILINE))
    assert named - {"scenario"} == set(SCENARIOS)


def test_the_usual_worlds_have_the_size_that_they_are_meant_to() -> None:
    for parameters, least, most in ((FULL, 11_000, 17_000), (QUICK, 2_000, 4_500)):
        simulated = play(make_scenario("lone-relay", {}), parameters)
        assert least <= sum(map(len, simulated.inboxes)) <= most


@pytest.mark.parametrize(
    ("scenario", "given", "said"),
    [
        ("paradise", {}, "expected one of baseline, lone-relay, bought, "),
        ("ring", {"sise": "3"}, "no setting 'sise': expected one of begins, size, volume, camouflage"),
        ("baseline", {"size": "3"}, "no setting 'size': expected one of none"),
        ("ring", {"size": "many"}, "size must be a whole number, not 'many'"),
        ("ring", {"size": "1"}, "size must be 2 to 200, not 1"),
        ("ring", {"volume": "much"}, "volume must be a number, not 'much'"),
        ("ring", {"volume": "nan"}, "volume must be 0.1 to 200, not nan"),
        ("ring-attack-edges", {"targeted": "perhaps"}, "targeted must be true or false, not 'perhaps'"),
    ],
)
def test_wrong_settings_are_usage_errors(scenario: str, given: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        make_scenario(scenario, given)


@pytest.mark.parametrize(
    ("scenario", "given", "changes", "said"),
    [
        ("ring", {"begins": "20"}, {}, "begins must be below the 20 days"),
        ("ring", {}, {"relays": 1}, "only the baseline has relays"),
        ("ring-attack-edges", {"edges": "400"}, {}, "12 members with 3 edges each cannot take 400"),
        ("traitor", {"months": "8"}, {}, "no 8 months before day 210"),
        ("outage", {"hours": "241"}, {}, "must end within the 20 days"),
        ("slander", {"victims": "60"}, {}, "signing operators"),
    ],
)
def test_settings_that_do_not_fit_the_world_are_usage_errors(
    scenario: str, given: dict[str, str], changes: dict[str, int], said: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        play(make_scenario(scenario, given), replace(QUICK, **changes))  # type: ignore[arg-type]


def test_settings_are_read_from_text() -> None:
    assert make_scenario("ring-attack-edges", {"targeted": "No", "edges": "20", "volume": "2.5"}) == SCENARIOS[
        "ring-attack-edges"
    ](targeted=False, edges=20, volume=2.5)  # type: ignore[call-arg]


def test_the_baseline_is_what_it_was() -> None:
    assert SCENARIOS["baseline"].parameters == Parameters()
