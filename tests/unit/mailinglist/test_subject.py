"""The subject that is shown and the one that is signed: the same in whatever encoding, or not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgraph.mailinglist.subject import same_subject


@pytest.mark.parametrize(
    ("shown", "signed", "same"),
    [
        ("Swifts", b"Swifts", True),
        ("Swifts", b"Swallows", False),
        ("Swifts", b"swifts", False),
        ("Swifts", b"", False),
        ("", b"", True),
        ("=?utf-8?q?Mauersegler_=C3=BC?=", "Mauersegler ü".encode(), True),
        ("=?utf-8?b?w7w=?=", b"=?iso-8859-1?q?=FC?=", True),
        ("=?utf-8?b?w7w=?=", b"=?iso-8859-1?q?=FD?=", False),
        ("=?utf-8?q?one?= =?utf-8?q?two?=", b"onetwo", True),
        ("Swifts  are back", b"Swifts are back", True),
        ("\\xff", b"\xff", True),
        ("x" * 998, b"x" * 1_200, True),
        ("x" * 997 + "y", b"x" * 1_200, False),
    ],
)
def test_the_table(shown: str, signed: bytes, same: bool) -> None:
    assert same_subject(shown, signed) is same


@given(st.text(), st.binary())
def test_it_never_raises_and_equal_octets_are_equal(shown: str, signed: bytes) -> None:
    same_subject(shown, signed)
    assert same_subject(signed[:998].decode("utf-8", "backslashreplace"), signed)
