"""The gate of a list: signed posts a second in one process, and one post from a cold start."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from tests.benchmarks.measure import measure, print_table
from tests.signed_posts import DAY, LIST, PostKey, header, inline, make_key, pgp_mime
from trustgraph.mailinglist.model import MailingList, PostVerdict, Rules
from trustgraph.model import UnixSeconds
from trustgraph.services.list_deposits import deposit
from trustgraph.services.list_gate import PostGate
from trustgraph.services.list_stash import open_stash
from trustgraph.services.list_subscribers import subscribe
from trustgraph.settings import Settings
from trustgraph.store import open_store
from trustgraph.store.lists import create_list

POSTS, SUBSCRIBERS, COLD_STARTS = 2_000, 100, 5
_TEXT = "A line of a post of some kilobytes, as most of them are.\n" * 60


def make_site(database: str, now: int) -> list[PostKey]:
    """A list and its subscribers, one in two with a signing subkey."""
    settings = Settings()
    keys = [make_key(f"one{n}@example.org", subkey_flags=2 if n % 2 else None) for n in range(SUBSCRIBERS)]
    store = open_store(f"sqlite:///{database}", create=True)
    long_ago = UnixSeconds(now - 30 * DAY)
    create_list(store, MailingList(0, LIST, "birds.lists.example", Rules(), "", (), long_ago))
    stash = open_stash(store, LIST, settings)
    for key in keys:
        subscribe(stash, key.address, long_ago)
        deposit(stash, key.address, key.public, long_ago, fingerprint_vouched=key.fingerprint)
    store.close()
    return keys


def make_posts(keys: list[PostKey], now: int) -> list[bytes]:
    """Posts that differ, signed in each of the three ways in turn."""
    signing = [key.signing(at=now - 60) for key in keys]
    makers = (pgp_mime, inline, header)
    return [makers[n % 3](signing[n % len(signing)], f"Post {n}.\n{_TEXT}") for n in range(POSTS)]


def judge_all(database: str, posts: list[bytes], now: int) -> float:
    """Seconds for all of them; none may be refused."""
    store = open_store(f"sqlite:///{database}")
    gate = PostGate(open_stash(store, LIST, Settings()), lambda: UnixSeconds(now))
    began = time.perf_counter()
    verdicts = [gate.check(post).decision.verdict for post in posts]
    seconds = time.perf_counter() - began
    store.close()
    assert set(verdicts) == {PostVerdict.ACCEPT}
    return seconds


def cold_start(database: str, post: Path) -> float:
    """Seconds of one `trustgraph list check`, the interpreter's own start included."""
    command = [sys.executable, "-m", "trustgraph", "--database", f"sqlite:///{database}", "list", "check", LIST]
    began = time.perf_counter()
    subprocess.run([*command, str(post)], check=True, stdout=subprocess.DEVNULL, env={**os.environ})
    return time.perf_counter() - began


def run(directory: Path) -> None:
    """Print the table."""
    now = int(time.time())
    database = str(directory / "lists.db")
    keys = make_site(database, now)
    posts = make_posts(keys, now)
    measured = measure(judge_all, database, posts[:-COLD_STARTS], now)
    cold = []
    for number, octets in enumerate(posts[-COLD_STARTS:]):
        path = directory / f"{number}.eml"
        path.write_bytes(octets)
        cold.append(cold_start(database, path))
    rows: list[tuple[object, ...]] = [
        ("posts/s, one process", f"{(POSTS - COLD_STARTS) / measured.result:,.0f}", "300"),
        ("seconds from a cold start", f"{median(cold):.2f}", "1.00"),
        ("peak memory", f"{measured.peak_bytes / 1e6:.0f} MB", ""),
    ]
    title = f"{POSTS:,} posts by {SUBSCRIBERS} subscribers, a third each PGP/MIME, inline and by header signature"
    print_table(title, ("", "measured", "wanted"), rows)
