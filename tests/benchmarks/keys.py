"""The Debian keyring (package debian-keyring): read, verified and stored."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.measure import measure, print_table
from trustgraph.model import UnixSeconds
from trustgraph.services.keyrings import ingest_keyrings
from trustgraph.settings import Settings
from trustgraph.store import open_store

KEYRING = Path("/usr/share/keyrings/debian-keyring.gpg")
NOW = UnixSeconds(1_793_491_200)


def ingest_once(database: str) -> tuple[int, int, int]:
    """(certificates, signatures, good certifications)."""
    store = open_store(f"sqlite:///{database}", create=True)
    counts = ingest_keyrings(store, Settings(), [KEYRING], NOW)
    store.close()
    return counts.certificates, counts.signatures, counts.good


def run(directory: Path) -> None:
    """Print the table, or say that the keyring is not there."""
    if not KEYRING.exists():
        print(f"\nno {KEYRING}: install the Debian package debian-keyring")
        return
    measured = measure(ingest_once, str(directory / "keys.db"))
    certificates, signatures, good = measured.result
    rows: list[tuple[object, ...]] = [
        ("seconds", f"{measured.seconds:.1f}", "20"),
        ("peak memory", f"{measured.peak_bytes / 1e6:.0f} MB", "1000 MB"),
        ("signatures/s", f"{signatures / measured.seconds:,.0f}", ""),
    ]
    title = f"{KEYRING.name}: {certificates} certificates, {signatures:,} signatures, {good:,} good certifications"
    print_table(title, ("", "measured", "wanted"), rows)
