"""The sample data in data/world against the command that its README records."""

from __future__ import annotations

import gzip
from pathlib import Path

from trustgraph.lab.world import Parameters
from trustgraph.lab.writing import KEYRING, LOGS, README, SETTINGS, TRUTH, simulate

SAMPLE = Path(__file__).parents[2] / "data" / "world"


def test_the_sample_data_is_what_its_command_makes(tmp_path: Path) -> None:
    simulate("baseline", Parameters(), tmp_path)
    for name in (KEYRING, TRUTH, SETTINGS, README):
        assert (tmp_path / name).read_bytes() == (SAMPLE / name).read_bytes(), name
    for name in LOGS:  # what is packed: zlib's versions pack differently
        assert gzip.decompress((tmp_path / name).read_bytes()) == gzip.decompress((SAMPLE / name).read_bytes()), name


def test_the_sample_data_is_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) < 1_500_000
