"""What rspamd found out about one message, and the observations that follow from it.

rspamd says what authentication found in *symbols* with *options*, the same in its text log and in its JSON. What
they mean here:

===================  =========  ======================================================================
symbol               result     the identity is in
===================  =========  ======================================================================
R_DKIM_ALLOW         pass       each option, ``<d=>:s=<selector>``
R_DKIM_REJECT        fail       each option
R_DKIM_TEMPFAIL      temperror  each option
R_DKIM_PERMFAIL      permerror  each option
R_SPF_ALLOW          pass       the envelope sender; so too for the rest of SPF
R_SPF_FAIL           fail
R_SPF_SOFTFAIL       policy     RFC 8601 section 2.7.2 has softfail, which this project's results have not: the
                                domain does not authorise the client and asks for a local decision, not refusal
R_SPF_NEUTRAL        neutral
R_SPF_DNSFAIL        temperror
R_SPF_PERMFAIL       permerror
R_SPF_PLUSALL        pass
R_SPF_NA             none
RDNS_NONE            permerror  the client's address (iprev, RFC 8601 section 2.7.3: no PTR record)
RDNS_DNSFAIL         temperror  the client's address
===================  =========  ======================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

from trustgraph.errors import BadInput
from trustgraph.ingest.formats.base import Reject, make_observation
from trustgraph.model import Identity, Observation, Outcome, Result, UnixSeconds

DKIM_RESULTS = {
    "R_DKIM_ALLOW": Result.PASS,
    "R_DKIM_REJECT": Result.FAIL,
    "R_DKIM_TEMPFAIL": Result.TEMPERROR,
    "R_DKIM_PERMFAIL": Result.PERMERROR,
}
DKIM_NA = "R_DKIM_NA"
#: Repeats the domain of every signature with a mark for its result.
DKIM_TRACE = "DKIM_TRACE"
_TRACE_MARKS = {"R_DKIM_ALLOW": ":+", "R_DKIM_REJECT": ":-", "R_DKIM_TEMPFAIL": ":?", "R_DKIM_PERMFAIL": ":~"}
#: Stands for the options beyond the number that rspamd logs.
_CUT = "..."
SPF_RESULTS = {
    "R_SPF_ALLOW": Result.PASS,
    "R_SPF_FAIL": Result.FAIL,
    "R_SPF_SOFTFAIL": Result.POLICY,
    "R_SPF_NEUTRAL": Result.NEUTRAL,
    "R_SPF_DNSFAIL": Result.TEMPERROR,
    "R_SPF_PERMFAIL": Result.PERMERROR,
    "R_SPF_PLUSALL": Result.PASS,
    "R_SPF_NA": Result.NONE,
}
IPREV_RESULTS = {"RDNS_NONE": Result.PERMERROR, "RDNS_DNSFAIL": Result.TEMPERROR}

_OUTCOMES = {
    "reject": Outcome.SPAM,
    "discard": Outcome.SPAM,
    "quarantine": Outcome.SPAM,
    "add header": Outcome.SPAM,
    "rewrite subject": Outcome.SPAM,
    "no action": Outcome.GOOD,
}

#: The options of each watched symbol that fired.
Symbols = Mapping[str, Sequence[str]]


class Authentication(NamedTuple):
    """What the symbols of one message come to.

    ``spf`` is None when SPF was not checked; ``dkim`` has each signer once, or why its name is none.
    """

    iprev: Result
    spf: Result | None
    dkim: tuple[tuple[Identity | BadInput, Result], ...]


class Task(NamedTuple):
    """One scanned message. ``sender`` is the envelope's, empty for ``<>``."""

    at: UnixSeconds
    observer: str
    message: str
    outcome: Outcome
    authentication: Authentication
    client_ip: str = ""
    sender: str = ""
    host: str = ""


#: A task of the tuple of its fields, without a call of Python's own.
make_task: Callable[[tuple[int, str, str, Outcome, Authentication, str, str, str]], Task] = partial(tuple.__new__, Task)


def observations_of(task: Task, line_number: int, line: bytes) -> list[Observation | Reject]:
    """Observations of the client, the SPF domain and each DKIM domain; a reject for a name that is none.

    Of the client only where rspamd says what its look-up came to: ``none`` would be a row for every message that
    counts for nothing.
    """
    at, observer, message, outcome, found, client_ip, sender, host = task
    findings = found.dkim
    if found.spf is not None and (domain := sender.rpartition("@")[2]):
        findings = ((_named("spf:" + domain), found.spf), *findings)
    if client_ip and (found.iprev is not Result.NONE or type(_named("ip:" + client_ip)) is BadInput):
        findings = ((_named("ip:" + client_ip), found.iprev), *findings)
    return [
        Reject(line_number, str(name), line)
        if isinstance(name, BadInput)
        else make_observation((at, observer, name, result, outcome, message, host, client_ip))
        for name, result in findings
    ]


@lru_cache(maxsize=1 << 14)
def _named(text: str) -> Identity | BadInput:
    """An identity, or why it is none."""
    try:
        return Identity.parse(text)
    except BadInput as error:
        return error


def outcome_of(action: str, *, virus: bool) -> Outcome:
    """What rspamd took the message for; greylisting and soft rejects put the judgement off, so: unknown."""
    outcome = _OUTCOMES.get(action, Outcome.UNKNOWN)
    return Outcome.MALWARE if virus and outcome is Outcome.SPAM else outcome


def authentication(symbols: Symbols) -> Authentication:
    """What the symbols come to. Raises :class:`BadInput` when they cannot all be rspamd's own.

    Options quote the sender, unescaped: ``"x;},R_DKIM_ALLOW(0){bank.example:s=s"@evil.example`` in From: looks like a
    symbol once it is in the log. rspamd repeats each DKIM domain in DKIM_TRACE, says R_DKIM_NA only when there was no
    signature, and gives one SPF result, so a forged symbol beside the true ones shows.
    """
    if DKIM_NA in symbols and (DKIM_TRACE in symbols or not symbols.keys().isdisjoint(DKIM_RESULTS)):
        raise BadInput(f"{DKIM_NA} beside the result of a DKIM signature: some of it is forged")
    spf = [result for name, result in SPF_RESULTS.items() if name in symbols]
    if len(spf) > 1:
        raise BadInput("more than one SPF result: some of them are forged")
    signers = _signers(symbols).items()
    iprev = next((result for name, result in IPREV_RESULTS.items() if name in symbols), Result.NONE)
    dkim = tuple((_named("dkim:" + domain), result) for domain, result in signers)
    return Authentication(iprev, spf[0] if spf else None, dkim)


def _signers(symbols: Symbols) -> dict[str, Result]:
    """Each signing domain's best result: a signature that failed is no worse than none (RFC 6376 section 6.1)."""
    trace = symbols.get(DKIM_TRACE, ())
    signers: dict[str, Result] = {}
    for name, result in DKIM_RESULTS.items():
        for option in symbols.get(name, ()):
            domain = option.partition(":")[0]  # no domain name has a colon
            if domain + _TRACE_MARKS[name] in trace:
                signers.setdefault(domain, result)
            elif _CUT not in (*trace, option):
                raise BadInput(f"{name} names {option[:80]!r}, which {DKIM_TRACE} does not confirm")
    return signers
