"""Authentication agrees with ``sq-wot``: on the rings that Sequoia publishes, on random ones, and about every scope.

What is compared is what ``sq-wot list`` says of every binding in a ring: the amount as a percentage of 120, and the
amount of every path, in order. It knows no reference time but the clock's, hence faketime.

Known difference: a trust amount above 120 counts as 120 here, as the specification wants; ``sq-wot`` 0.2.0 counts it as
it stands. So no ring here has one.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import need
from tests.unit.openpgp.openpgp_maker import BORN, Key, certify, eddsa_key, key_flags, subpacket, user_id
from tests.unit.openpgp.openpgp_reading import read
from trustgraph.model import from_rfc3339
from trustgraph.scoring.authentication import FULL, PARTIAL, CertificationNetwork, certification_network
from trustgraph.scoring.scope import in_scope

AT = "2022-03-15T12:00:00Z"
RINGS = Path(__file__).parents[2] / ".venv" / "sequoia-wot"

#: Every ring, and every how many keys one is a root: the large ones take sq-wot long.
VECTORS = {
    **dict.fromkeys(("best-via-root", "cert-expired", "cert-revoked-hard", "cert-revoked-soft"), 1),
    **dict.fromkeys(("certification-liveness", "certification-revoked", "cycle", "isolated-root", "local-optima"), 1),
    **dict.fromkeys(("multiple-certifications-1", "multiple-userids-1", "multiple-userids-2", "multiple-userids-3"), 1),
    **dict.fromkeys(
        ("puny-code", "regex-1", "regex-2", "regex-3", "roundabout", "self-signed", "simple", "trivial"), 1
    ),
    **dict.fromkeys(("userid-revoked", "zero-trust"), 1),
    **dict.fromkeys(("cliques", "cliques-local-optima", "cliques-local-optima-2"), 6),
    "infinity-and-beyond": 260,
}

#: Percentage of 120 and, if there are several, the amount of each path, by fingerprint and User ID.
Found = dict[tuple[str, str], tuple[int, list[int]]]
_BINDING = re.compile(r"\[.\] ([0-9A-F]{40}) (.*): \w+ authenticated \((\d+)%\)")
_PATH = re.compile(r"  Path #\d+ of \d+, trust amount (\d+):")


@dataclass(frozen=True)
class Sequoia:
    """``sq-wot`` under a clock that stands."""

    faketime: str
    program: str
    gpg: str

    def list(self, ring: Path, roots: Sequence[str], wanted: int, gnupghome: Path | None = None) -> Found:
        command = [self.faketime, AT.translate(str.maketrans("TZ", "  ")), self.program, "--keyring", str(ring)]
        command += [part for root in roots for part in ("--trust-root", root.upper())]
        command += ["--gpg-ownertrust"] if gnupghome else []
        command += ["list", "--trust-amount", str(wanted)]
        environment = os.environ | {"TZ": "UTC"} | ({"GNUPGHOME": str(gnupghome)} if gnupghome else {})
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
        assert done.returncode in (0, 1), done.stderr  # 1: not every binding has the amount
        found: Found = {}
        paths: list[int] = []
        for line in done.stdout.splitlines():
            if binding := _BINDING.fullmatch(line):
                paths = []
                found[binding[1].lower(), binding[2]] = (int(binding[3]), paths)
            elif path := _PATH.fullmatch(line):
                paths.append(int(path[1]))
        return found


@pytest.fixture(scope="module")
def sequoia(require_for_module: Callable[[str], str]) -> Sequoia:
    return Sequoia(*(require_for_module(name) for name in ("faketime", "sq-wot", "gpg")))


@pytest.fixture(scope="module")
def rings(request: pytest.FixtureRequest) -> Path:
    folder = Path(os.environ.get("TRUSTGRAPH_SEQUOIA_WOT", RINGS))
    found = sorted(folder.glob("usr/share/cargo/registry/sequoia-wot-*/tests/data"))
    if not found:
        need(request.node.nodeid, "rings (by tests/system/unpack_sequoia_wot.sh; TRUSTGRAPH_SEQUOIA_WOT names them)")
    return found[-1]


def network_of(octets: bytes) -> CertificationNetwork:
    facts = read(octets, at=from_rfc3339(AT)).facts
    made = [certification for one in facts for certification in one.certifications]
    return certification_network([one.host_key for one in facts], made, from_rfc3339(AT))


def ours(network: CertificationNetwork, roots: Mapping[str, int], wanted: int) -> Found:
    found: Found = {}
    for binding in network.bindings:
        amounts = [path.amount for path in network.authenticate(roots, *binding, wanted=wanted)]
        if amounts:
            found[binding] = (sum(amounts) * 100 // FULL, amounts if len(amounts) > 1 else [])
    return found


def test_these_are_all_rings(rings: Path) -> None:
    assert {path.stem for path in rings.glob("*.pgp")} == set(VECTORS)


@pytest.mark.parametrize("ring", VECTORS)
def test_every_root_authenticates_the_same_as_far(sequoia: Sequoia, rings: Path, ring: str) -> None:
    path, step = rings / f"{ring}.pgp", VECTORS[ring]
    network = network_of(path.read_bytes())
    # The cliques hold one secret key beside the others, certified by nobody: it is not read.
    keys = sorted({subject for subject, _ in network.bindings})
    for number, root in enumerate(keys[::step]):
        for wanted in (PARTIAL, FULL, 2 * FULL) if step == 1 else (2 * FULL,):
            assert sequoia.list(path, [root], wanted) == ours(network, {root: FULL}, wanted), (root, wanted)
        pair = {root: FULL, keys[number - 1]: FULL}
        if step == 1:
            assert sequoia.list(path, list(pair), 4 * FULL) == ours(network, pair, 4 * FULL), pair


@pytest.mark.parametrize("ring", ["best-via-root", "cycle", "local-optima", "roundabout", "simple"])
def test_roots_that_are_trusted_in_part(sequoia: Sequoia, rings: Path, ring: str, tmp_path: Path) -> None:
    # sq-wot takes such roots from GnuPG's ownertrust alone, and only those that a full root authenticates.
    path = rings / f"{ring}.pgp"
    network = network_of(path.read_bytes())
    keys = sorted({subject for subject, _ in network.bindings})
    for number, full in enumerate(keys):
        home = tmp_path / str(number)
        home.mkdir(mode=0o700)
        trust = "".join(f"{key.upper()}:{6 if key == full else 4}:\n" for key in keys)
        gpg = [sequoia.gpg, "--homedir", str(home), "--batch", "--quiet", "--import-ownertrust"]
        subprocess.run(gpg, input=trust, capture_output=True, text=True, timeout=60, check=True)
        reached = {key for (key, _), (percent, _) in ours(network, {full: FULL}, FULL).items() if percent >= 100}
        roots = {key: FULL if key == full else PARTIAL for key in reached | {full}}
        assert sequoia.list(path, [], 2 * FULL, home) == ours(network, roots, 2 * FULL), full


PEOPLE = [eddsa_key(f"person {number}") for number in range(8)]
NAMES = ("one@{}.example", "two@{}.example")


def trust(depth: int, amount: int, *regexes: bytes) -> bytes:
    return subpacket(5, bytes((depth, amount))) + b"".join(subpacket(6, regex) for regex in regexes)


def certificate_of(key: Key, names: Mapping[str, bytes]) -> bytes:
    """A key with its User IDs, each followed by what others say of it."""
    own = key_flags(1)
    parts = (user_id(n) + certify(key, key, n, type=0x13, at=BORN, extra=own) + more for n, more in names.items())
    return key.packet + b"".join(parts)


def random_ring(dice: random.Random) -> Iterator[bytes]:
    said = {(n, name.format(n)): b"" for n in range(len(PEOPLE)) for name in NAMES}
    pairs = [(issuer, binding) for issuer in range(len(PEOPLE)) for binding in said if binding[0] != issuer]
    for issuer, (subject, name) in dice.sample(pairs, dice.randint(6, 26)):
        scope = dice.choice([(), (), (), (b"^one\0",), (b"@[0-4]\\.\0", b"@7\0"), (b"[\0",), (b"[\0", b"two\0")])
        extra = trust(dice.choice([0, 0, 1, 2, 3, 255]), dice.choice([0, 20, 37, 60, 90, 120, 120]), *scope)
        said[subject, name] += certify(PEOPLE[issuer], PEOPLE[subject], name, at=BORN + 5_000, extra=extra)
    for number, key in enumerate(PEOPLE):
        yield certificate_of(key, {name: more for (n, name), more in said.items() if n == number})


@pytest.mark.parametrize("seed", range(40))
def test_random_rings(sequoia: Sequoia, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    octets = b"".join(random_ring(dice))
    ring = tmp_path / "ring.pgp"
    ring.write_bytes(octets)
    roots = {key.fingerprint: FULL for key in dice.sample(PEOPLE, dice.choice([1, 1, 2, 3]))}
    assert sequoia.list(ring, list(roots), 5 * FULL) == ours(network_of(octets), roots, 5 * FULL)


TEXTS = (
    *("smtp://mx.example.org", "smtp://mx.example.com", "Ann <ann@example.org>", "Ann <ann@sub.example.org> x"),
    *("a", "b", "ab", "aab", "abc", "^", "]", "-", ".", "*", "a{2}", "a|b", "\\", "ä", "a\tb", "$ ^"),
)
REGEXES = (
    *(
        r"<[^>]+[@.]example\.org>$",
        r"^smtp://([a-z0-9-]*\.)*example\.(org|com)$",
        "a",
        "^a$",
        "^ab*$",
        "a+b",
        "^(ab|a)?b$",
    ),
    *(
        "[a-c]",
        "[c-a]",
        "[^a-c]",
        "[]a]",
        "[^]a]",
        "[a-]",
        "[-a]",
        "[a^]",
        r"[\]",
        "^.$",
        "a|b",
        "(a",
        "a)",
        "*a",
        "a**",
    ),
    *(
        "a{2}",
        r"\^",
        r"\\",
        "^(a|b)(a|b)$",
        "",
        "[",
        "[]",
        "a$|^b",
        "ä",
        "^[à-ü]$",
        "a^b",
        "a$b",
        "()",
        "^()*a$",
        "a\t",
    ),
    "^ab*$\n^]$",
)


@pytest.mark.parametrize("regexes", REGEXES)
def test_a_scope_holds_the_same_names(sequoia: Sequoia, tmp_path: Path, regexes: str) -> None:
    issuer, subject = PEOPLE[:2]
    extra = trust(0, 120, *(regex.encode() + b"\0" for regex in regexes.split("\n")))
    said = {text: certify(issuer, subject, text, at=BORN + 5_000, extra=extra) for text in TEXTS}
    octets = certificate_of(issuer, {"issuer": b""}) + certificate_of(subject, said)
    ring = tmp_path / "ring.pgp"
    ring.write_bytes(octets)
    theirs = {text for key, text in sequoia.list(ring, [issuer.fingerprint], FULL) if key == subject.fingerprint}
    assert theirs == {text for text in TEXTS if in_scope(regexes, text)}
    assert sequoia.list(ring, [issuer.fingerprint], FULL) == ours(network_of(octets), {issuer.fingerprint: FULL}, FULL)
