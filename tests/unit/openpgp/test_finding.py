"""A certificate of any length: short ones whole, long ones by their own words, whatever was hung on them."""

from __future__ import annotations

import gc
import io
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from tests.unit.openpgp import openpgp_maker as maker
from tests.unit.openpgp.openpgp_maker import BORN, bind, certify, key_flags, packet, revoke_key, subkey_packet, user_id
from trustgraph.model import UnixSeconds
from trustgraph.openpgp.finding import MAX_GATHERED_BYTES, CertificateFinder, Gathered
from trustgraph.openpgp.framing import Packet, read_packets
from trustgraph.openpgp.ownparts import MAX_SIGNATURES_EACH, MAX_USER_IDS, OwnParts, read_host_certificate
from trustgraph.openpgp.transferable import enarmor, find_certificate, says_all, statements

KEY, SUBKEY, BERT = (maker.ed25519_key(name) for name in ("primary", "subkey", "bert"))
SMTP = "smtp://mx.example.org"
NOW = UnixSeconds(BORN + 1_000_000)
CAN_SIGN = key_flags(3)

CLAIM = certify(KEY, KEY, SMTP, type=0x13, at=BORN, extra=CAN_SIGN)
BINDING = subkey_packet(SUBKEY) + bind(KEY, SUBKEY, at=BORN)
OWN = KEY.packet + user_id(SMTP) + CLAIM
ENDORSEMENT = certify(BERT, KEY, SMTP, at=BORN + 5)


def forged(count: int, issuer: maker.Key = BERT, *, type: int = 0x10, size: int = 64) -> bytes:
    """Signatures that say they are the issuer's, newer than any real one."""
    good = certify(issuer, KEY, SMTP, type=type, at=BORN + 900_000, extra=CAN_SIGN)
    return b"".join(good[: -size - 8] + number.to_bytes(8) + b"f" * size for number in range(count))


FLOOD = forged(MAX_GATHERED_BYTES // 100)


def gathered(answer: bytes, piece: int = 50_000) -> Gathered:
    finder = CertificateFinder(KEY.fingerprint, lambda: Gathered(KEY.fingerprint, NOW, tempfile.TemporaryFile))
    for at in range(0, len(answer), piece):
        finder.feed(answer[at : at + piece])
    found = finder.finish()
    assert found is not None
    return found


def test_a_short_one_is_held_whole_whoever_signed_it() -> None:
    found = gathered(OWN + ENDORSEMENT + forged(500))
    assert found.long is None
    assert found.octets() == find_certificate(OWN + ENDORSEMENT + forged(500), KEY.fingerprint)


@pytest.mark.parametrize("wrap", [bytes, enarmor])
def test_a_long_one_comes_to_its_own_words_and_a_file_with_everything(wrap: object) -> None:
    assert callable(wrap)
    answer = OWN + FLOOD + ENDORSEMENT + BINDING
    found = gathered(wrap(answer))
    assert found.octets() == read_host_certificate([OWN + BINDING], KEY.fingerprint, NOW).octets
    assert found.long is not None
    assert found.long.open().read() == find_certificate(answer, KEY.fingerprint)
    copy = io.BytesIO()
    found.long.copy_to(copy)
    assert copy.getvalue() == found.long.open().read()


def test_forged_words_of_the_key_itself_hide_none_of_its_own() -> None:
    revocation = revoke_key(KEY, at=BORN + 10)
    hidden = KEY.packet + forged(4_000, KEY, type=0x20) + revocation + user_id(SMTP) + forged(8_000, KEY) + CLAIM
    found = gathered(hidden + forged(4_000, KEY))
    assert found.long is not None
    certificate = read_host_certificate([found.octets()], KEY.fingerprint, NOW)
    assert (certificate.revoked, set(certificate.hosts)) == (True, {"mx.example.org"})


def test_user_ids_that_the_key_never_signed_hide_none_that_it_did() -> None:
    bogus = [user_id(f"smtp://bogus{number}.example") for number in range(10_000)]
    crowd = b"".join(bogus[:6_000]) + user_id(SMTP) + CLAIM + b"".join(bogus[6_000:]) + FLOOD
    found = gathered(KEY.packet + crowd)
    assert found.long is not None
    assert found.octets() == read_host_certificate([OWN], KEY.fingerprint, NOW).octets


def test_what_is_gathered_of_own_parts_is_bounded_and_comes_to_the_same() -> None:
    parts = OwnParts(KEY.fingerprint, NOW)
    texts = [f"smtp://mx{number:03}.example" for number in range(6 * MAX_USER_IDS)]
    copy = KEY.packet
    for text in reversed(texts):
        copy += user_id(text) + certify(KEY, KEY, text, type=0x13, at=BORN, extra=CAN_SIGN)
    for at in range(10 * MAX_SIGNATURES_EACH):
        copy += certify(KEY, KEY, texts[0], type=0x13, at=BORN + at, extra=CAN_SIGN)
    for part in _packets(copy):
        parts.add(part)
        assert len(parts._user_ids) <= 4 * MAX_USER_IDS
        assert all(len(owns) <= 4 * MAX_SIGNATURES_EACH + 1 for owns in parts._user_ids.values())
    expected = {text.removeprefix("smtp://") for text in texts[:MAX_USER_IDS]}
    assert set(parts.certificate().hosts) == expected
    assert parts.certificate().hosts["mx000.example"] == BORN + 9 * MAX_SIGNATURES_EACH


def _packets(octets: bytes) -> Iterator[Packet]:
    return read_packets(io.BytesIO(octets), lambda _problem: None, with_subkeys=True)


def test_tiny_packets_do_not_fill_the_memory() -> None:
    """Each costs an object, whatever its length."""
    crowd = KEY.packet + user_id("") * (MAX_GATHERED_BYTES // 60)
    found = gathered(crowd)
    assert found.long is not None


def test_the_file_goes_with_what_holds_it() -> None:
    files: list[BinaryIO] = []

    def open_file() -> BinaryIO:
        files.append(tempfile.TemporaryFile())  # noqa: SIM115 - who asked for it closes it
        return files[-1]

    def cut_off() -> None:
        finder = CertificateFinder(KEY.fingerprint, lambda: Gathered(KEY.fingerprint, NOW, open_file))
        finder.feed(enarmor(OWN + FLOOD)[:-100])

    cut_off()
    gc.collect()
    assert [file.closed for file in files] == [True]


def test_a_long_certificate_is_compared_without_being_held() -> None:
    found = gathered(OWN + FLOOD + ENDORSEMENT)
    assert found.long is not None
    ours = find_certificate(OWN + ENDORSEMENT, KEY.fingerprint) or b""
    theirs = find_certificate(OWN + certify(BERT, KEY, SMTP, at=BORN + 6), KEY.fingerprint) or b""
    assert says_all(found.long.open(), statements(ours))
    assert not says_all(found.long.open(), statements(theirs))
    moved = find_certificate(OWN + user_id("other") + ENDORSEMENT, KEY.fingerprint) or b""
    assert not says_all(found.long.open(), statements(moved)), "beside what it stands on"


def test_a_long_one_that_is_damaged_is_not_there() -> None:
    finder = CertificateFinder(KEY.fingerprint, lambda: Gathered(KEY.fingerprint, NOW, tempfile.TemporaryFile))
    finder.feed(OWN + FLOOD + b"\x00" + packet(2, b"\x04"))
    with pytest.raises(Exception, match="not an OpenPGP packet"):
        finder.finish()
