"""The messages of a Maildir."""

from __future__ import annotations

from pathlib import Path

import pytest

from trustgraph.errors import NoInput
from trustgraph.ingest.formats.mailbox import maildir_messages


def maildir(path: Path) -> Path:
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True)
    return path


def test_cur_and_new_sorted(tmp_path: Path) -> None:
    box = maildir(tmp_path / "box")
    for name in ("cur/2.b:2,S", "new/1.a", "tmp/3.c", "cur/.hidden"):
        (box / name).write_text("x")
    (box / "cur" / "folder").mkdir()
    assert list(maildir_messages(box)) == [box / "new" / "1.a", box / "cur" / "2.b:2,S"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    box = maildir(tmp_path / "box")
    (box / "cur" / "1.link").symlink_to(secret)
    assert list(maildir_messages(box)) == []
    (box / "new").rmdir()
    (box / "new").symlink_to(tmp_path)
    with pytest.raises(NoInput, match="no Maildir"):
        list(maildir_messages(box))


def test_no_maildir(tmp_path: Path) -> None:
    with pytest.raises(NoInput, match="cur and new"):
        list(maildir_messages(tmp_path))
