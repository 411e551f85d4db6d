"""The sample data in data/world against the command that its README records."""

from __future__ import annotations

import gzip
from pathlib import Path

from trustgraph.lab.world import Parameters
from trustgraph.lab.writing import simulate

SAMPLE = Path(__file__).parents[2] / "data" / "world"


def test_the_sample_data_is_what_its_command_makes(tmp_path: Path) -> None:
    simulate("baseline", Parameters(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in SAMPLE.iterdir())
    for path in SAMPLE.iterdir():
        # Of packed files what is packed: zlib's versions pack differently.
        unpack = gzip.decompress if path.suffix == ".gz" else bytes
        assert unpack((tmp_path / path.name).read_bytes()) == unpack(path.read_bytes()), path.name


def test_the_sample_data_is_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) < 1_700_000
