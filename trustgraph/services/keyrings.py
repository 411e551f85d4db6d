"""Keyrings into the store, and what came of them in words."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from trustgraph.errors import BadInput, ConfigurationError
from trustgraph.ingest.keys import KeyringCounts, Progress, ingest_keys
from trustgraph.model import UnixSeconds, from_rfc3339
from trustgraph.openpgp.selfsigned import KeyPolicy
from trustgraph.settings import Settings
from trustgraph.store import Store
from trustgraph.store.certificates import CertificateStore

#: Below this many bytes a second process costs more than it saves.
_PARALLEL_BYTES = 2 << 20


def ingest_keyrings(
    store: Store, settings: Settings, paths: Sequence[Path], now: UnixSeconds, progress: Progress | None = None
) -> KeyringCounts:
    """Verify the certifications in these files and keep the good ones, in the store's record of sources too."""
    try:
        cutoff = from_rfc3339(settings.ingest.sha1_cutoff)
    except BadInput as error:
        raise ConfigurationError(f"ingest.sha1_cutoff: {error}") from None
    size = sum(path.stat().st_size for path in paths if path.is_file())
    workers = len(os.sched_getaffinity(0)) if size > _PARALLEL_BYTES else 1
    keystore = CertificateStore(store, " ".join(map(str, paths)), now)
    counts = ingest_keys(paths, keystore, KeyPolicy(now, sha1_cutoff=cutoff, workers=workers), progress)
    keystore.record({f.name: value for f in fields(counts) if isinstance(value := getattr(counts, f.name), int)})
    return counts


#: What each count means, in the order they are said; those that are 0 are left out.
_MEANING = {
    "good": "certifications verified good",
    "expired": "of the verified ones no longer in force",
    "revocation": "revocations of certifications verified",
    "bad": "bad: the signature does not verify",
    "unverifiable": "unverifiable: the issuer's key is neither in these files nor in the store",
    "weak_sha1": "do not count: made with SHA-1 after the cut-off",
    "weak_hash": "do not count: made with MD5 or RIPEMD-160",
    "weak_key": "do not count: made by an RSA or DSA key below 2048 bits",
    "not_self_signed": "do not count: over a User ID that its key does not claim",
    "local": "do not count: marked as not for export",
    "not_understood": "do not count: critical parts that are not understood",
    "unsupported": "do not count: an algorithm or curve that cannot be computed here",
    "superfluous": "left out: beyond the newest 16 of one issuer over one User ID",
    "duplicate": "duplicates",
    "on_user_attribute": "over pictures and other user attributes, not looked at",
    "on_subkey": "over subkeys, not looked at",
    "own": "by the keys themselves, in force",
    "own_bad": "by the keys themselves, not counting",
    "old_version": "of version 3 or another old version",
    "other_type": "of types that say nothing about a User ID",
    "malformed": "malformed",
    "stray": "belonging to nothing that could be read",
}


def describe(counts: KeyringCounts) -> list[str]:
    """The counts in words, a line each; the parts of ``signatures`` add up to it."""
    head = f"{counts.certificates} certificates, {counts.user_ids} User IDs, {counts.signatures} signatures, of which"
    return [head, *(f"{n:>8}  {text}" for name, text in _MEANING.items() if (n := getattr(counts, name)))]
