"""The messages of a Maildir, as paths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trustgraph.errors import NoInput


def maildir_messages(path: Path) -> Iterator[Path]:
    """The message files in ``cur`` and ``new``, sorted by name; ``tmp`` holds what is still being written.

    Only regular files below ``path`` itself: whoever may write into the Maildir must not have us read elsewhere, so
    symbolic links are passed over, also for ``cur`` and ``new``. Raises :class:`NoInput` when it is no Maildir.
    """
    folders = [path / name for name in ("cur", "new")]
    if not all(folder.is_dir() and not folder.is_symlink() for folder in folders):
        raise NoInput(f"{path} is no Maildir: expected the folders cur and new in it")
    found = [file for folder in folders for file in folder.iterdir()]
    for file in sorted(found, key=lambda file: file.name):
        if not file.name.startswith(".") and not file.is_symlink() and file.is_file():
            yield file
