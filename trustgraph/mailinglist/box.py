"""What stands between the stash and the database, so that a list may keep its subscribers to itself there too."""

from __future__ import annotations

from typing import Protocol


class Box(Protocol):
    """Names that things are looked up by, and the rest under seal."""

    def name(self, text: str) -> bytes:
        """What stands for an address, a fingerprint or a key ID; equal for equal texts."""
        ...

    def seal(self, plain: bytes, about: bytes) -> bytes:
        """What is stored. It opens only with the same ``about``, so that it cannot be put elsewhere."""
        ...

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """What was sealed. Raises :class:`BadInput` when it is not that."""
        ...
