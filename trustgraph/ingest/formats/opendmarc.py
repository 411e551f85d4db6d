"""What OpenDMARC 1.x says in syslog about a message.

Its verdict line ``QID: example.org pass`` is about alignment with the author's domain, which rests on DKIM and SPF and
is no identity of its own; only what it found when it evaluates SPF itself (``SPFSelfValidate``) is an observation::

    QID: SPF(mailfrom): example.org pass
"""

from __future__ import annotations

import re

from trustgraph.errors import BadInput
from trustgraph.ingest.formats.mail_facts import MessageFacts
from trustgraph.model import Identity, Result

_SPF = re.compile(rb"([0-9A-Za-z]{5,32}): SPF\((mailfrom|helo)\): (\S{0,255}) (\S{1,16})")

_RESULTS = {
    b"pass": Result.PASS,
    b"fail": Result.FAIL,
    b"none": Result.NONE,
    b"tempfail": Result.TEMPERROR,
    b"permerror": Result.PERMERROR,
}


def read(text: bytes) -> MessageFacts | None:
    """What the text of one of OpenDMARC's syslog lines tells, None if nothing about SPF.

    Raises :class:`BadInput` when an SPF line is not as expected.
    """
    if b": SPF(" not in text:
        return None
    line = _SPF.fullmatch(text)
    if line is None or line[4] not in _RESULTS:
        raise BadInput(f"expected QID: SPF(mailfrom|helo): DOMAIN RESULT, with one of {', '.join(sorted(_words()))}")
    name = line[3].decode("utf-8", "replace")
    if not name or name.startswith("["):
        return None  # no MAIL FROM domain, or an address instead of a HELO name: nobody to hold responsible
    identity = Identity.spf(name) if line[2] == b"mailfrom" else Identity.helo(name)
    return MessageFacts(line[1].decode("ascii"), ((identity, _RESULTS[line[4]]),))


def _words() -> list[str]:
    return [word.decode("ascii") for word in _RESULTS]
