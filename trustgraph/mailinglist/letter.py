"""What a list host writes to subscribers: short, plain, to one address each, never answered by a machine (RFC 3834).

The text may quote what strangers wrote; nothing of it can add a header field or another recipient.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from typing import NamedTuple

from trustgraph.errors import BadInput
from trustgraph.mailinglist.model import MailingList
from trustgraph.mailinglist.token import CONSENT
from trustgraph.model import UnixSeconds, to_rfc3339

#: A mailbox that needs no quotes (RFC 5322 section 3.2.3, RFC 6532 section 3.2) and cannot be taken for several.
_MAILBOX = re.compile(r"[^\s\x00-\x20\x7f\"(),:;<>@\[\\\]]{1,64}@[A-Za-z0-9.-]{1,255}")

#: RFC 5322 section 3.6.4, without what nobody's software makes.
MESSAGE_ID = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,250}>")

_MAX_SUBJECT_CHARACTERS = 120
_MAX_TEXT_CHARACTERS = 64 * 1024
_MAX_REASON_CHARACTERS = 2000


class Stamp(NamedTuple):
    """To whom and when: ``message_id`` of the letter, ``in_reply_to`` that of what it answers, as it stands there."""

    to: str
    now: UnixSeconds
    message_id: str
    in_reply_to: str = ""


def keys_address(list_: MailingList) -> str:
    """Where a list's subscribers write about their keys: ``dev-keys@…`` for ``dev@…``, unless the list says another."""
    if list_.rules.keys_to:
        return list_.rules.keys_to
    local, _, domain = list_.address.rpartition("@")
    return f"{local}-keys@{domain}"


def compose(
    list_: MailingList,
    to: str,
    subject: str,
    text: str,
    now: UnixSeconds,
    message_id: str,
    in_reply_to: str = "",
    *,
    automatic: str = "auto-replied",
) -> EmailMessage:
    """A letter from the list's address for keys. Send it with the null return path (RFC 3834 section 3.1.1).

    ``automatic`` is ``auto-generated`` for what answers nothing (section 5). Raises :class:`BadInput` for a ``to``
    that is not one plain address.
    """
    if not _MAILBOX.fullmatch(to):
        raise BadInput(f"{to[:80]!r}: expected one plain mail address to write to")
    letter = EmailMessage(policy=EmailPolicy(utf8=not to.isascii()))
    body = "\n".join(_shown(line) for line in text[:_MAX_TEXT_CHARACTERS].splitlines()) + "\n"
    letter.set_content(body, cte="7bit" if body.isascii() else "quoted-printable")
    # A Message-ID longer than a line would be put into encoded words.
    letter.policy = letter.policy.clone(max_line_length=400)
    letter["From"] = keys_address(list_)
    letter["To"] = to
    letter["Subject"] = _shown(subject).encode("ascii", "replace").decode()[:_MAX_SUBJECT_CHARACTERS]
    letter["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    letter["Message-ID"] = message_id
    letter["Auto-Submitted"] = automatic
    if MESSAGE_ID.fullmatch(in_reply_to):
        letter["In-Reply-To"] = letter["References"] = in_reply_to
    return letter


def invitation(list_: MailingList, stamp: Stamp) -> EmailMessage:
    """To somebody whom the list's owner has subscribed: a key is wanted."""
    text = f"""{_opening(list_)}

You are subscribed to it. Posts to this list are accepted only when they are
signed with a key that you have deposited, so that nobody posts in your name.
The list keeps keys to itself: it shows them to nobody.

Send your public key to {keys_address(list_)},
with the subject Key, attached or in the text;

  gpg --armor --export {stamp.to}

prints it. The answer says how to go on.
"""
    return _compose(list_, stamp, _about(list_, "please deposit it"), text, automatic="auto-generated")


def key_request(
    list_: MailingList, stamp: Stamp, fingerprint: str, token: str, *, successor: bool = False
) -> EmailMessage:
    """Ask for the proof that a deposited key is the subscriber's. ``token`` of :func:`.token.token_text`."""
    also = f"""
You have another key on this list already. Sign with that one too, in the same
message (--local-user twice) or in a second reply, and put this line above,
not quoted, so that nobody takes another letter of yours for your consent:

  {CONSENT}

If you no longer have that key, ask the list's owner:
{_owners(list_)}.
"""
    text = f"""{_opening(list_)}

Somebody, you we hope, has deposited this key for your posts:

  {fingerprint}

It counts once you have shown that you hold it. Reply to this letter within
a day, signed with that key; most mail programs need no more than "reply" and
"sign", with the lines below quoted. Or put these lines into a file:

{_indented(token)}

and send to {keys_address(list_)},
with the subject Key, what one of these prints:

  gpg --local-user {fingerprint} --clearsign FILE
  sq sign --cleartext-signature --signer-key KEY.pgp FILE
{also if successor else ""}
If it was not you, do nothing: without your signature nothing happens.
"""
    return _compose(list_, stamp, _about(list_, "show that you hold it"), text)


def key_confirmed(
    list_: MailingList, stamp: Stamp, fingerprint: str, retired: Iterable[tuple[str, UnixSeconds]] = ()
) -> EmailMessage:
    """A key counts from now on; ``retired`` are those that it takes over from, each with its end."""
    ends = "".join(f"\n  {old}  until {to_rfc3339(until)}" for old, until in retired)
    text = f"""{_opening(list_)}

From now on your posts are accepted when this key has signed them:

  {fingerprint}
{f"{chr(10)}It takes over from{chr(10)}{ends}{chr(10)}" if ends else ""}
If it was not you who did this, write to the list's owner at once:
{_owners(list_)}.
"""
    return _compose(list_, stamp, _about(list_, "it is active"), text)


def key_waits(list_: MailingList, stamp: Stamp, fingerprint: str, missing: str) -> EmailMessage:
    """One signature of those that are needed has come; ``missing`` says whose has not."""
    text = f"""{_opening(list_)}

Thank you: one signature for this key is here.

  {fingerprint}

Still missing: {missing}.

What an older key signs counts under this line, not quoted:

  {CONSENT}
"""
    return _compose(list_, stamp, _about(list_, "one signature is missing"), text)


def key_refused(list_: MailingList, stamp: Stamp, reason: str) -> EmailMessage:
    """What was sent about a key did not do; ``reason`` says why and what would."""
    text = f"""{_opening(list_)}

Nothing was changed by what you sent:

{_indented(textwrap.fill(reason[:_MAX_REASON_CHARACTERS], 72, break_on_hyphens=False))}

To deposit a key, send it to {keys_address(list_)},
with the subject Key, attached or in the text;
`gpg --armor --export FINGERPRINT` prints it. The answer says how to go on.
"""
    return _compose(list_, stamp, _about(list_, "nothing was changed"), text)


def key_revoked(
    list_: MailingList, stamp: Stamp, fingerprint: str, ended_at: UnixSeconds | None = None
) -> EmailMessage:
    """A key is good for nothing any more, or for nothing that it signed since ``ended_at``."""
    what = "whenever it was signed" if ended_at is None else f"unless signed before {to_rfc3339(ended_at)}"
    text = f"""{_opening(list_)}

This key of yours is revoked here. No post that it signed is accepted any
more, {what}:

  {fingerprint}

To post again, send another key to {keys_address(list_)},
with the subject Key.
If it was not you who did this, write to the list's owner at once:
{_owners(list_)}.
"""
    return _compose(list_, stamp, _about(list_, "it is revoked"), text)


def expiry_reminder(list_: MailingList, stamp: Stamp, fingerprint: str, expires_at: UnixSeconds) -> EmailMessage:
    """A key ends soon, or has ended."""
    over = expires_at <= stamp.now
    means = "Your posts are not accepted any more." if over else "After that your posts are not accepted any more."
    text = f"""{_opening(list_)}

This key of yours {"has expired" if over else "expires soon"}:

  {fingerprint}  {"since" if over else "until"} {to_rfc3339(expires_at)}

{means}
Either prolong the key,

  gpg --quick-set-expire {fingerprint} 1y
  gpg --quick-set-expire {fingerprint} 1y '*'
  gpg --armor --export {fingerprint}

and send what the last line prints to {keys_address(list_)},
with the subject Key; or send another key there, which takes over from this
one.
"""
    subject = _about(list_, "it has expired" if over else "it expires soon")
    return _compose(list_, stamp, subject, text, automatic="auto-generated")


def _compose(
    list_: MailingList, stamp: Stamp, subject: str, text: str, *, automatic: str = "auto-replied"
) -> EmailMessage:
    to, now, message_id, in_reply_to = stamp
    return compose(list_, to, subject, text, now, message_id, in_reply_to, automatic=automatic)


def _about(list_: MailingList, what: str) -> str:
    """A subject whose first word tells programs that commands are mailed to what the letter is about."""
    return f"Key for {list_.address}: {what}"


def _opening(list_: MailingList) -> str:
    return f"This is about your key for the mailing list {list_.address}."


def _owners(list_: MailingList) -> str:
    return ", ".join(list_.moderators) or list_.address


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _shown(line: str) -> str:
    """Without what could end a line or change how a terminal shows it."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line.replace("\t", " "))
