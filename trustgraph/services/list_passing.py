"""An accepted post on its way to the list program: over LMTP or SMTP, or into a program's standard input.

Returning means that the next one has taken it. A refusal for good and one for now are two errors, since the MTA that
waits for our answer bounces on the one and tries again on the other; what is neither is one for now.
"""

from __future__ import annotations

import re
import shlex
import smtplib
import subprocess
from contextlib import closing, suppress
from tempfile import TemporaryFile
from urllib.parse import SplitResult, unquote, urlsplit

from trustgraph.errors import BadInput, ConfigurationError, ServiceUnavailable, Undeliverable
from trustgraph.headersig.message import with_network_line_ends

#: Mailman takes a post in milliseconds; a program may do all its deliveries first. Postfix gives pipe(8) 1,000 s.
_SMTP_SECONDS = 120.0
_PROGRAM_SECONDS = 600.0

_MAX_SAID_OCTETS = 4 * 1024
_NO_REASON = "it gave no reason"

_ADDRESS = re.compile(r"[^\s\x00-\x20\x7f<>]{1,512}")
_PORTS = {"lmtp": 24, "smtp": 25}

#: sysexits that say that trying again helps nobody: EX_DATAERR, EX_NOUSER, EX_NOHOST, EX_NOPERM.
_FOR_GOOD = frozenset({65, 67, 68, 77})


def pass_on(target: str, octets: bytes, sender: str, recipient: str) -> None:
    """Hand a post to ``target``: ``lmtp://host:port``, ``lmtp:///path`` of a socket, ``smtp://host:port``, or a command
    line, whose words {sender} and {recipient} are filled in.

    ``smtp://host:port/address`` is for another recipient: the one that expands the list, behind the gate. ``sender`` is
    the envelope's; one that is empty, or could mean something else, becomes the null return path. Raises
    :class:`ServiceUnavailable` when it should be tried again, :class:`Undeliverable` when not, :class:`BadInput` for a
    recipient that could mean something else, and :class:`ConfigurationError` for a target that is none.
    """
    reverse_path = sender if _ADDRESS.fullmatch(sender) else ""
    forward_path = _checked(recipient)
    url = urlsplit(target) if target.startswith(("lmtp://", "smtp://")) else None
    if url is None and reverse_path.startswith("-"):
        reverse_path = ""
    if url is not None:
        _over_smtp(target, url, with_network_line_ends(octets), reverse_path, forward_path)
    else:
        _into_program(target, octets.replace(b"\r\n", b"\n"), reverse_path, forward_path)


def _checked(address: str) -> str:
    """An address that is one word, and no option of any program."""
    if not _ADDRESS.fullmatch(address) or address.startswith("-"):
        raise BadInput(f"{address[:80]!r}: expected an address without spaces that does not begin with a hyphen")
    return address


def _over_smtp(target: str, url: SplitResult, octets: bytes, sender: str, recipient: str) -> None:
    try:
        host, port = url.hostname or unquote(url.path), url.port or _PORTS[url.scheme]
        if url.hostname and url.path.strip("/"):
            recipient = _checked(unquote(url.path.strip("/")))
    except ValueError:
        raise ConfigurationError(f"{target}: expected a port from 1 to 65535") from None
    if not host:
        raise ConfigurationError(f"{target}: expected a host, as in lmtp://127.0.0.1:8024")
    try:
        with closing(_connected(url.scheme, host, port)) as peer:
            peer.ehlo_or_helo_if_needed()
            options = ["BODY=8BITMIME"] if peer.has_extn("8bitmime") else []
            if not (sender + recipient).isascii():
                options.append("SMTPUTF8")
            peer.sendmail(sender, [recipient], octets, options)
            with suppress(OSError, smtplib.SMTPException):  # it has the post, whatever it says to our farewell
                peer.quit()
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        raise _refusal(target, code, said) from None
    except smtplib.SMTPResponseException as error:
        raise _refusal(target, error.smtp_code, error.smtp_error) from None
    except smtplib.SMTPNotSupportedError as error:
        raise Undeliverable(f"{target}: {error}") from None
    except (OSError, smtplib.SMTPException) as error:  # refused, timed out, or gone in the middle
        raise ServiceUnavailable(f"{target}: {type(error).__name__}: {error}") from None


def _connected(scheme: str, host: str, port: int) -> smtplib.SMTP:
    if scheme == "lmtp":
        return smtplib.LMTP(host, port, timeout=_SMTP_SECONDS)
    return smtplib.SMTP(host, port, timeout=_SMTP_SECONDS)


def _refusal(target: str, code: int, said: bytes | str) -> ServiceUnavailable | Undeliverable:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    kind = Undeliverable if 500 <= code < 600 else ServiceUnavailable
    return kind(f"{target} answers {code} {text[:400]}")


def _into_program(command: str, octets: bytes, sender: str, recipient: str) -> None:
    filled = {"{sender}": sender, "{recipient}": recipient}
    try:
        words = [filled.get(word, word) for word in shlex.split(command)]
    except ValueError as error:
        raise ConfigurationError(f"{command[:80]!r} is no command line: {error}") from None
    if not words:
        raise ConfigurationError("expected a program to pass posts on to, found nothing")
    try:
        # Into files: a pipe would be held open by whatever the program leaves behind to do its work.
        with TemporaryFile() as post, TemporaryFile() as said:
            post.write(octets)
            post.seek(0)
            code = subprocess.run(  # noqa: S603 - no shell
                words, stdin=post, stdout=subprocess.DEVNULL, stderr=said, check=False, timeout=_PROGRAM_SECONDS
            ).returncode
            said.seek(0)
            why = (said.read(_MAX_SAID_OCTETS).decode(errors="replace").strip().splitlines() or [_NO_REASON])[0]
    except subprocess.TimeoutExpired:
        raise ServiceUnavailable(f"{words[0]} did not take a post within {_PROGRAM_SECONDS:g} s") from None
    except OSError as error:
        raise ServiceUnavailable(f"{words[0]} cannot be run: {error.strerror}") from None
    if code:
        kind = Undeliverable if code in _FOR_GOOD else ServiceUnavailable
        raise kind(f"{words[0]} ended with {code}: {why[:400]}")
