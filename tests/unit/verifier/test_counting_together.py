"""Processes that count together let in what one would, and just what the simulation of the gate lets in."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.policy.evidences import NOW, rated, signed
from tests.unit.verifier import children
from trustgraph.model import Day, Identity, Result, day_of
from trustgraph.policy.allowance import Allowance, Tally, allowance_of, draw_for
from trustgraph.policy.decide import Policy, asks_for_allowance, decide
from trustgraph.policy.evidence import Evidence
from trustgraph.verifier.counters import Counters, drawn_on
from trustgraph.verifier.examine import payers_of

TODAY = day_of(NOW)

ACCOUNTS = st.sampled_from(["a.example", "b.example", "ip:192.0.2.1", "ip:192.0.2.2"])
DRAWS = st.builds(
    draw_for,
    st.builds(
        Allowance,
        st.integers(0, 6),
        st.dictionaries(st.sampled_from(["all signed", "all signed strangers", "all unsigned"]), st.integers(0, 12)),
        st.sampled_from([None, Identity.openpgp("ab" * 20)]),
    ),
    st.lists(ACCOUNTS, max_size=3),
    st.sampled_from([Day(TODAY), Day(TODAY + 1)]),
    st.integers(0, 3),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(DRAWS, max_size=40))
def test_the_simulation_counts_as_the_gate_does(draws: list[object]) -> None:
    tally = Tally()
    with TemporaryDirectory() as directory:
        counters = Counters(Path(directory) / "counters.db")
        assert [counters.admit(draw) for draw in draws] == [tally.admit(draw) for draw in draws]  # type: ignore[arg-type]
        counters.close()


POLICY = Policy(newcomer_messages=5, newcomer_messages_in_all=40, on_unsigned_newcomer="allowance")


def newcomer(number: int, domain: int, *, is_signed: bool) -> Evidence:
    """A new key, a new host and a new address each time."""
    host = f"mx{number}.d{domain}.example"
    responsible = rated(None, f"openpgp:{number:040x}", host)
    evidence = replace(signed(None), responsible=responsible, client_host=host, client_ip=f"10.0.{number % 250}.1")
    return evidence if is_signed else replace(evidence, result=Result.NONE, by_client=False, responsible=None)


@pytest.mark.parametrize("is_signed", [True, False])
@pytest.mark.parametrize(("domains", "let_in"), [(1, 5), (3, 15), (30, 20)])
def test_new_keys_hosts_and_addresses_buy_nothing_from_many_processes(
    tmp_path: Path, domains: int, let_in: int, is_signed: bool
) -> None:
    """Four workers at once; one domain has one allowance, all newcomers without any record half of the site's."""
    path = tmp_path / "counters.db"

    def work() -> None:
        mine, accepted = Counters(path), 0
        for number in range(60):
            evidence = newcomer(os.getpid() % 50 * 100 + number, number % domains, is_signed=is_signed)
            assert asks_for_allowance(decide(evidence, POLICY, NOW))
            accepted += mine.admit(draw_for(allowance_of(evidence, POLICY), payers_of(evidence), TODAY))
        (tmp_path / f"{os.getpid()}.count").write_text(str(accepted))

    assert children.in_children(work, 4) == [0] * 4
    assert sum(int(one.read_text()) for one in tmp_path.glob("*.count")) == let_in
    drawn = drawn_on(path, TODAY)
    assert drawn["all signed" if is_signed else "all unsigned"] == let_in
    assert max(number for name, number in drawn.items() if name.startswith("d")) <= 5
