"""A log as rspamd 3.4 writes it with its default ``log_format``: one task line a message, weightiest symbols first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5

from trustgraph.lab.messages import Message
from trustgraph.lab.world import Host, World
from trustgraph.model import Outcome, Result


@dataclass(frozen=True, slots=True)
class _Symbol:
    name: str
    score: float
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({self.score:.2f}){{{''.join(option + ';' for option in self.options)}}}"


#: What rspamd calls the outcomes: whether it is spam, and what it does about it at the default thresholds.
_ACTIONS = {
    Outcome.GOOD: ("F", "no action"),
    Outcome.UNKNOWN: ("F", "greylist"),
    Outcome.SPAM: ("T", "reject"),
    Outcome.MALWARE: ("T", "reject"),
}
_CONTENT = {
    Outcome.GOOD: (_Symbol("BAYES_HAM", -2.9, ("99.61%",)), _Symbol("MIME_GOOD", -0.1, ("text/plain",))),
    Outcome.UNKNOWN: (_Symbol("MIME_HTML_ONLY", 0.2), _Symbol("NEURAL_SPAM", 4.7, ("0.912",))),
    Outcome.SPAM: (_Symbol("BAYES_SPAM", 5.1, ("100.00%",)), _Symbol("FUZZY_DENIED", 12.0, ("1:0b6f5f4a7d:0.97:txt",))),
    Outcome.MALWARE: (
        _Symbol("BAYES_SPAM", 5.1, ("100.00%",)),
        _Symbol("MIME_DOUBLE_BAD_EXTENSION", 12.0, (".pdf.scr",)),
    ),
}
_DKIM = {
    Result.PASS: ("R_DKIM_ALLOW", -0.2, "+"),
    Result.FAIL: ("R_DKIM_REJECT", 1.0, "-"),
    Result.TEMPERROR: ("R_DKIM_TEMPFAIL", 0.0, "?"),
}


def rspamd_lines(world: World, observer: int, messages: Iterable[Message]) -> Iterator[str]:
    """The task line of each message."""
    site = world.hosts[observer].operator
    for message in messages:
        host = world.hosts[message.sender]
        symbols = sorted(_symbols(host, message), key=lambda symbol: (-abs(symbol.score), symbol.name))
        score = sum(symbol.score for symbol in symbols)
        flag, action = _ACTIONS[message.outcome]
        digest = md5(message.token.encode(), usedforsecurity=False).hexdigest()
        recipient = f"team@{site}"
        milliseconds = f"{100 + message.size % 400}.{message.size % 1000:03}"
        yield (
            f"{datetime.fromtimestamp(message.at, UTC):%Y-%m-%d %H:%M:%S} #2201(normal) <{digest[:6]}>; task; "
            f"rspamd_task_write_log: id: {message.message_id(host)}, qid: <{message.queue_id}>, ip: {host.address}, "
            f"from: <{message.mail_from(host)}>, (default: {flag} ({action}): [{score:.2f}/15.00] "
            f"[{','.join(map(str, symbols))}]), len: {message.size}, time: {milliseconds}ms, "
            f"dns req: 21, digest: <{digest}>, rcpts: <{recipient}>, mime_rcpts: <{recipient}>"
        )


def _symbols(host: Host, message: Message) -> Iterator[_Symbol]:
    name, score, trace = _DKIM[message.dkim]
    yield from _CONTENT[message.outcome]
    yield _Symbol(name, score, (f"{host.dkim_domain}:s=mail",))
    yield _Symbol("DKIM_TRACE", 0.0, (f"{host.dkim_domain}:{trace}",))
    if host.is_impersonator:
        yield _Symbol("R_SPF_FAIL", 1.0, ("-all",))
    else:
        yield _Symbol("R_SPF_ALLOW", -0.2, (f"+ip{6 if ':' in host.address else 4}:{host.address}",))
    yield _Symbol("FROM_EQ_ENVFROM", 0.0)
    yield _Symbol("RCPT_COUNT_ONE", 0.0, ("1",))
