"""Where GnuPG's classic trust model and authentication have to agree, they do: on Arch Linux's packager keys.

The classic model calls a name valid if one fully or three marginally trusted, valid keys certify it. With plain
certifications (depth 0) by keys that are trusted themselves, that is three paths of 40, or one of 120. They agree on
every name but those that only one of them has an opinion of: of the trusted keys' own (GnuPG needs somebody to certify
them, here every root vouches for itself as far as it is trusted) and of dead keys and names, which are ``e`` and ``r``
there and nothing here. They would differ on what a key certified before it expired or was retired (counts here), and on
SHA-1, so both get the same cut-off.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import need
from tests.system.test_keys_against_gnupg import ingest
from trustgraph.model import from_rfc3339
from trustgraph.scoring.authentication import FULL, PARTIAL, certification_network

ARCH = Path("/usr/share/keyrings/archlinux.gpg")
OWNERTRUST = Path("/usr/share/keyrings/archlinux-trusted")
AT = "2023-11-13T00:00:00Z"

ULTIMATE, MARGINAL = 6, 4


@pytest.fixture
def arch(request: pytest.FixtureRequest) -> Path:
    if not ARCH.exists():
        need(request.node.nodeid, f"{ARCH} (Debian package archlinux-keyring)")
    return ARCH


class GnuPG:
    """GnuPG in the classic model with a home of its own and a clock that stands."""

    def __init__(self, program: str, home: Path) -> None:
        home.mkdir(mode=0o700)
        self._home = home
        clock = f"{from_rfc3339(AT)}!"
        self._command = [program, "--homedir", str(home), "--batch", "--no-tty", "--quiet"]
        self._command += ["--trust-model", "classic", "--with-colons", "--faked-system-time", clock]

    def run(self, *arguments: str, given: str = "") -> list[list[str]]:
        command = [*self._command, *arguments]
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=100, check=True)
        return [line.split(":") for line in done.stdout.splitlines()]

    def trust(self, levels: dict[str, int]) -> None:
        self.run("--import-ownertrust", given="".join(f"{key.upper()}:{level}:\n" for key, level in levels.items()))
        self.run("--check-trustdb")

    def validity(self) -> Iterator[tuple[tuple[str, str], str]]:
        """The letter for each (fingerprint, User ID)."""
        key, primary = "", False
        for kind, *fields in self.run("--list-keys"):
            if kind == "pub":
                primary = True
            elif kind == "fpr" and primary:
                key, primary = fields[8].lower(), False
            elif kind == "uid":
                yield (key, fields[8].replace("\\x3a", ":")), fields[0]

    def stop(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self._home), "--kill", "all"], check=False, timeout=60)


@pytest.fixture
def gnupg(require: Callable[[str], str], tmp_path: Path) -> Iterator[GnuPG]:
    started = GnuPG(require("gpg"), tmp_path / "gnupg")
    yield started
    started.stop()


@pytest.mark.parametrize(("amount", "most"), [(PARTIAL, {"m", "f", "-"}), (FULL, {"f", "-"})])
def test_three_marginal_or_one_full(gnupg: GnuPG, arch: Path, amount: int, most: set[str]) -> None:
    main = [line.partition(":")[0].lower() for line in OWNERTRUST.read_text().splitlines() if line]
    gnupg.run("--import", str(arch))
    if amount == FULL:
        gnupg.trust(dict.fromkeys(main, ULTIMATE))
    else:
        # Marginal trust is worth something in a valid key only, so somebody has to vouch for them: a key made here.
        gnupg.run("--passphrase", "", "--quick-generate-key", "me@site.example", "ed25519", "cert")
        (me,) = [fields[9] for fields in gnupg.run("--list-secret-keys") if fields[0] == "fpr"]
        for key in main:
            gnupg.run("--quick-lsign-key", key.upper())
        gnupg.trust({me: ULTIMATE} | dict.fromkeys(main, MARGINAL))

    _counts, store = ingest(arch, at=AT)
    made = [certification for _, certifications in store.certificates for certification in certifications]
    network = certification_network([key for key, _ in store.certificates], made, from_rfc3339(AT))
    roots = dict.fromkeys(main, amount)
    theirs = {binding: letter.replace("q", "-") for binding, letter in gnupg.validity() if binding[0] not in main}
    theirs = {binding: letter for binding, letter in theirs.items() if letter not in ("u", "e", "r")}
    bindings = {binding for binding in network.bindings if binding[0] not in main}
    sums = {binding: sum(path.amount for path in network.authenticate(roots, *binding)) for binding in bindings}
    assert theirs == {binding: "f" if a >= FULL else "m" if a else "-" for binding, a in sums.items()}
    assert set(theirs.values()) == most
    assert len(theirs) > 300
