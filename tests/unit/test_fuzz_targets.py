"""The fuzz targets for a moment each: seeds, and seeds with pieces cut out, doubled, moved and overwritten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzzing.targets import TARGETS, seeds


@st.composite
def mutated(draw: st.DrawFn, name: str) -> bytes:
    octets = bytearray(draw(st.sampled_from(seeds(name))))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(octets)))
        end = min(len(octets), at + draw(st.integers(0, 40)))
        kind = draw(st.sampled_from(["cut", "double", "write", "insert", "flip"]))
        if kind == "cut":
            del octets[at:end]
        elif kind == "double":
            octets[at:at] = octets[at:end]
        elif kind == "write":
            octets[at:end] = draw(st.binary(min_size=end - at, max_size=end - at))
        elif kind == "insert":
            octets[at:at] = draw(st.sampled_from([b"\r\n", b"\n", b"\0", b":", b";", b"\xff" * 4, b" ", b"PGP"]))
        elif at < len(octets):
            octets[at] ^= 1 << draw(st.integers(0, 7))
    return bytes(octets)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_read(name: str) -> None:
    for seed in seeds(name):
        if name != "signature":  # which are good ones, over other texts
            TARGETS[name](seed)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_our_own_errors(name: str) -> None:
    @given(mutated(name) | st.binary(max_size=300))
    def run(octets: bytes) -> None:
        TARGETS[name](octets)

    run()
