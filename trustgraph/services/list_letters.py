"""Letters to subscribers and moderators on their way: through the host's own sendmail, with the null return path."""

from __future__ import annotations

import secrets
import subprocess
from email.message import EmailMessage

from trustgraph.errors import ServiceUnavailable
from trustgraph.mailinglist.letter import Stamp
from trustgraph.mailinglist.model import MailingList
from trustgraph.model import UnixSeconds
from trustgraph.settings import Settings

_SECONDS = 60.0


def stamp(list_: MailingList, to: str, now: UnixSeconds, in_reply_to: str = "") -> Stamp:
    """For a letter to ``to``, with a new Message-ID."""
    return Stamp(to, now, new_message_id(list_), in_reply_to)


def new_message_id(list_: MailingList) -> str:
    """One that nobody has had before, at the list's domain."""
    return f"<{secrets.token_hex(16)}@{list_.address.rpartition('@')[2]}>"


def send(settings: Settings, letter: EmailMessage) -> None:
    """Hand a letter to ``lists.sendmail``; with it returns, the mail system has it in its queue.

    Raises :class:`ServiceUnavailable` when the program is not there, does not end in time, or says no.
    """
    program = str(settings.lists.sendmail)
    arguments = [program, "-i", "-f", "", "--", str(letter["To"])]
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and what follows "--" is an address
            arguments, input=letter.as_bytes(), capture_output=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ServiceUnavailable(f"lists.sendmail: {program} did not take a letter within {_SECONDS:g} s") from None
    except OSError as error:
        raise ServiceUnavailable(f"lists.sendmail: {program} cannot be run: {error.strerror}") from None
    if done.returncode:
        said = (done.stderr.decode(errors="replace").strip().splitlines() or ["it gave no reason"])[0]
        raise ServiceUnavailable(f"lists.sendmail: {program} ended with {done.returncode}: {said[:200]}")
