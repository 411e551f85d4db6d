"""The box of an encrypted stash: what opens it, what does not."""

from __future__ import annotations

import pysequoia
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgraph.errors import BadInput
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.box import PlainBox, SealedBox, new_sealed_key, open_sealed_key
from trustgraph.openpgp.making import export_secret, new_host_key, new_list_key

KEY = bytes(range(32))
MADE = UnixSeconds(1_700_000_000)
LOCKED = new_list_key("birds@lists.example", MADE, "correct horse")
UNLOCKED = new_list_key("birds@lists.example", MADE)


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_what_was_sealed_opens_again(plain: bytes, about: bytes) -> None:
    box = SealedBox(KEY)
    assert box.open(box.seal(plain, about), about) == plain
    assert PlainBox().open(PlainBox().seal(plain, about), about) == plain


def test_nothing_is_sealed_the_same_way_twice() -> None:
    box = SealedBox(KEY)
    assert len({box.seal(b"anna", b"") for _ in range(100)}) == 100


@pytest.mark.parametrize("at", range(0, 12 + 4 + 16, 3))
def test_one_bit_changed_anywhere_is_noticed(at: int) -> None:
    box = SealedBox(KEY)
    sealed = bytearray(box.seal(b"anna", b"key 1"))
    sealed[at] ^= 1
    with pytest.raises(BadInput, match="does not open"):
        box.open(bytes(sealed), b"key 1")


@pytest.mark.parametrize("sealed", [b"", b"x", b"x" * 12, b"x" * 27])
def test_what_is_too_short_is_noticed(sealed: bytes) -> None:
    with pytest.raises(BadInput, match="does not open"):
        SealedBox(KEY).open(sealed, b"")


def test_it_opens_only_for_what_it_is_about_and_with_the_same_key() -> None:
    box = SealedBox(KEY)
    for other, about in ((box, b"key 2"), (SealedBox(bytes(32)), b"key 1")):
        with pytest.raises(BadInput, match="does not open"):
            other.open(box.seal(b"anna", b"key 1"), about)


def test_names_are_equal_for_equal_texts_under_one_key() -> None:
    box, other = SealedBox(KEY), SealedBox(bytes(32))
    assert box.name("anna@example.org") == SealedBox(KEY).name("anna@example.org")
    assert len({one.name(text) for one in (box, other) for text in ("anna@example.org", "bert@example.net")}) == 4
    assert len(box.name("anna")) == 32
    assert PlainBox().name("änna") == "änna".encode()


def test_names_and_records_are_under_keys_of_their_own() -> None:
    """Whoever learns one of them has not learnt the other, nor the stash's own."""
    box = SealedBox(KEY)
    assert box._names != KEY
    with pytest.raises(BadInput):
        box.open(SealedBox(box._names).seal(b"", b""), b"")


def test_a_stashs_key_has_32_octets() -> None:
    with pytest.raises(BadInput, match="32 octets"):
        SealedBox(b"short")


@pytest.mark.parametrize(("secret", "passphrase"), [(LOCKED, "correct horse"), (UNLOCKED, ""), (UNLOCKED, "unneeded")])
def test_the_lists_key_opens_it(secret: bytes, passphrase: str) -> None:
    key, sealed = new_sealed_key(secret, passphrase)
    assert len(key) == 32
    assert key not in sealed
    assert open_sealed_key(sealed, secret, passphrase) == key
    armored = pysequoia.armor(secret, pysequoia.ArmorKind.SecretKey).encode()
    assert open_sealed_key(sealed, armored, passphrase) == key
    assert new_sealed_key(secret, passphrase)[0] != key


@pytest.mark.parametrize("passphrase", ["", "wrong", "correct horse "])
def test_a_wrong_passphrase_opens_nothing(passphrase: str) -> None:
    _, sealed = new_sealed_key(LOCKED, "correct horse")
    with pytest.raises(BadInput, match=r"passphrase does not open it|it is locked|not encrypted to this key"):
        open_sealed_key(sealed, LOCKED, passphrase)
    with pytest.raises(BadInput):
        new_sealed_key(LOCKED, passphrase)


def test_another_key_opens_nothing() -> None:
    _, sealed = new_sealed_key(UNLOCKED)
    with pytest.raises(BadInput, match="not encrypted to this key"):
        open_sealed_key(sealed, new_list_key("bees@lists.example", MADE))


@pytest.mark.parametrize("secret", [b"", b"no key", bytes(pysequoia.Tsk.from_bytes(UNLOCKED).extract_certificate())])
def test_what_is_no_secret_key_is_refused(secret: bytes) -> None:
    with pytest.raises(BadInput):
        new_sealed_key(secret)


def test_a_key_that_only_signs_is_refused() -> None:
    with pytest.raises(BadInput, match="cannot encrypt"):
        new_sealed_key(export_secret(new_host_key("mx.example.net", MADE)))


def test_a_key_that_expires_would_take_the_stash_with_it() -> None:
    expiring = bytes(pysequoia.Tsk.generate("Birds <birds@lists.example>", validity_seconds=86_400))
    with pytest.raises(BadInput, match="expiry date"):
        new_sealed_key(expiring)
    assert new_sealed_key(bytes(pysequoia.Tsk.generate("Birds <birds@lists.example>")))


@pytest.mark.parametrize("plain", [b"", b"short", bytes(31), bytes(33)])
def test_what_is_sealed_to_the_key_has_to_be_a_key(plain: bytes) -> None:
    certificate = pysequoia.Tsk.from_bytes(UNLOCKED).extract_certificate()
    with pytest.raises(BadInput, match="32 octets"):
        open_sealed_key(bytes(pysequoia.encrypt(plain, [certificate], armor=False)), UNLOCKED)


def test_anything_else_in_its_place_is_refused() -> None:
    with pytest.raises(BadInput, match="not encrypted to this key"):
        open_sealed_key(b"anything", UNLOCKED)
