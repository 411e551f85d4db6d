"""Tables of who vouched for whom, read as graphs."""

from __future__ import annotations

from pathlib import Path

import pytest

from trustgraph.errors import BadInput, NoInput
from trustgraph.lab.realgraphs import Graph, read_certifications, read_trust_ratings

CERTIFICATIONS = """\
signer_keyid,subject_keyid,sigtype,created,expires_after_s,trust_depth,trust_amount,signer_in_ring
bb,aa,0x10,1300000000,,,,1
bb,aa,0x13,1400000000,,,,1
cc,aa,0x12,1300000000,86400,,,1
cc,cc,0x13,1300000000,,,,1
dd,cc,0x10,1300000000,,,,0
aa,bb,0x30,1300000000,,,,1
ee,ee,0x13,1300000000,,,,1
"""


def pairs(graph: Graph) -> list[tuple[int, int]]:
    return list(zip(graph.endorser.tolist(), graph.subject.tolist(), strict=True))


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_certifications_count_once_each_between_keys_of_the_ring(tmp_path: Path) -> None:
    # aa, bb and cc; neither self-made ones, nor revocations, nor signers from outside, nor who only signs itself.
    graph = read_certifications(written(tmp_path / "ring.csv", CERTIFICATIONS))
    assert (graph.size, pairs(graph)) == (3, [(1, 0), (2, 0)])
    assert graph.endorsements_of.tolist() == [2, 0, 0]
    assert graph.endorsements_by.tolist() == [0, 1, 1]


def test_ratings_above_nothing_are_endorsements(tmp_path: Path) -> None:
    graph = read_trust_ratings(written(tmp_path / "r.csv", "7,9,10,1\n9,7,-1,1\n9,8,1,1\n8,8,5,1\n7,8,0,1\n"))
    assert (graph.size, pairs(graph)) == (3, [(0, 2), (2, 1)])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("signer_keyid,subject_keyid\n1,2\n", "no column signer_in_ring, sigtype"), ('a\n"', "ring"), ("", "ring")],
)
def test_a_table_of_something_else_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        read_certifications(written(tmp_path / "ring.csv", text))


@pytest.mark.parametrize(("text", "complaint"), [("1,2\n", "found 2 columns"), ("1,2,3,4\n1,2,x,4\n", "row 2 ")])
def test_ratings_of_something_else_are_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        read_trust_ratings(written(tmp_path / "r.csv", text))


def test_no_file_is_no_input(tmp_path: Path) -> None:
    with pytest.raises(NoInput, match=r"absent\.csv: No such file"):
        read_certifications(tmp_path / "absent.csv")
