"""A mail log as Postfix 3.7 and OpenDKIM 2.11 (``LogResults yes``, ``SyslogSuccess yes``) write it through syslog.

A filter behind OpenDKIM refuses spam, which Postfix logs as a milter-reject; everything else it queues.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from trustgraph.lab.messages import Message
from trustgraph.lab.world import Host, World
from trustgraph.model import Outcome, Result

#: What libopendkim calls the results of a signature.
_SIGNATURE = {
    Result.PASS: "no signature error",
    Result.FAIL: "signature verification failed",
    Result.TEMPERROR: "key DNS query failed",
}
_REFUSED = (Outcome.SPAM, Outcome.MALWARE)


def syslog_lines(world: World, observer: int, messages: Iterable[Message]) -> Iterator[str]:
    """Four to five lines a message, joined by its queue ID."""
    site = world.hosts[observer]
    for message in messages:
        moment = datetime.fromtimestamp(message.at, UTC)
        prefix = f"{moment:%b} {moment.day:2} {moment:%H:%M:%S} {site.name.partition('.')[0]}"
        for program, text in _events(site, world.hosts[message.sender], message):
            yield f"{prefix} {program}: {message.queue_id}: {text}"


def _events(site: Host, host: Host, message: Message) -> Iterator[tuple[str, str]]:
    """Program and text of each line about one message."""
    client = f"{host.client_name}[{host.address}]"
    sender, recipient = message.mail_from(host), f"team@{site.operator}"
    yield "postfix/smtpd[4821]", f"client={client}"
    yield "postfix/cleanup[4822]", f"message-id={message.message_id(host)}"
    yield (
        "opendkim[611]",
        f'signature={message.token[:8]} domain={host.dkim_domain} selector=mail result="{_SIGNATURE[message.dkim]}"',
    )
    if message.dkim is Result.PASS:
        yield "opendkim[611]", "DKIM verification successful"
    elif message.dkim is Result.FAIL:
        yield "opendkim[611]", "bad signature data"
    if message.outcome in _REFUSED:
        yield (
            "postfix/cleanup[4822]",
            f"milter-reject: END-OF-MESSAGE from {client}: 5.7.1 Spam message rejected; from=<{sender}> "
            f"to=<{recipient}> proto=ESMTP helo=<{host.client_name}>",
        )
    else:
        yield "postfix/qmgr[702]", f"from=<{sender}>, size={message.size}, nrcpt=1 (queue active)"
