"""Small trust graphs in the formats of the real ones."""

from __future__ import annotations

from pathlib import Path

HOSTS = 60


def write_graphs(directory: Path) -> Path:
    """Two graphs: hosts 0 to 2 endorse everybody, each host the next four; in the second only every third stands."""
    directory.mkdir(parents=True, exist_ok=True)
    pairs = {(u, v) for u in range(3) for v in range(HOSTS)}
    pairs |= {(u, (u + step) % HOSTS) for u in range(HOSTS) for step in range(1, 5)}
    kept = sorted((u, v) for u, v in pairs if u != v)
    lines = [f"{u:016x},{v:016x},0x10,1" for u, v in kept]
    head = "signer_keyid,subject_keyid,sigtype,signer_in_ring"
    (directory / "archlinux_wot.csv").write_text("\n".join([head, *lines, ""]), encoding="utf-8")
    rated = [f"{u},{v},{10 if v % 3 == 0 or u < 3 else -1},1400000000" for u, v in kept]
    (directory / "alpha_network.csv").write_text("\n".join([*rated, ""]), encoding="utf-8")
    return directory
