"""``trustgraph sign`` and ``trustgraph verify``: one message."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustgraph.cli.context import JsonOption, now, shared
from trustgraph.cli.output import note, print_json, say, written
from trustgraph.errors import BadInput, NoInput, TrustgraphError
from trustgraph.model import parse_address, parse_domain

if TYPE_CHECKING:
    from trustgraph.headersig.signing import Envelope
    from trustgraph.verifier.examine import Client, Judged

#: sysexits: what a mail system makes of them is deliver, try later, bounce.
EX_OK, EX_TEMPFAIL, EX_NOPERM = 0, 75, 77

MAX_MESSAGE_BYTES = 200 * 1024 * 1024

FileArgument = Annotated[str, typer.Argument(metavar="[FILE|-]", help="The message; - is standard input.")]
MailFromOption = Annotated[
    str | None, typer.Option(help='Envelope sender, "" or "<>" for a bounce; unknown if not given.')
]
RcptOption = Annotated[list[str] | None, typer.Option("--rcpt", help="Envelope recipient; may be repeated.")]


def sign(
    context: typer.Context,
    file: FileArgument = "-",
    mail_from: MailFromOption = None,
    rcpt: RcptOption = None,
    headers: Annotated[bool, typer.Option("--headers", help="Sign the header alone, not the body.")] = False,
) -> None:
    """Sign a message with the host key and print it, the signature on top, line ends as they were.

    A missing Date or Message-ID is added first. A body that transit may change (8-bit, overlong lines, bare line ends)
    is left out of the signature, and a note says so.
    """
    from trustgraph.services.hostkeys import open_signer
    from trustgraph.services.messages import sign_message

    settings = shared(context).settings
    signer = open_signer(settings, now())
    wanted = headers or settings.milter.signature_mode == "headers"
    octets, objection = sign_message(
        *(_read(file), _envelope(mail_from, rcpt), settings, signer, now()), headers=wanted
    )
    if objection:
        note(f"signed without the body: {objection}")
    with written():
        sys.stdout.buffer.write(octets)


def verify(
    context: typer.Context,
    file: FileArgument = "-",
    mail_from: MailFromOption = None,
    rcpt: RcptOption = None,
    client_ip: Annotated[str, typer.Option(help="Address of the connecting client.")] = "",
    client_name: Annotated[str, typer.Option(help="Its name, if confirmed by address (FCrDNS).")] = "",
    helo: Annotated[str, typer.Option(help="What it said in HELO.")] = "",
    helo_confirmed: Annotated[bool, typer.Option(help="The HELO name resolves to the client's address.")] = False,
    record: Annotated[bool, typer.Option(help="Record the decision as an observation, as the milter does.")] = False,
    queue_id: Annotated[str, typer.Option(help="The MTA's name for the message, for the record.")] = "",
    results: Annotated[bool, typer.Option(help="Print the Authentication-Results field for the message.")] = False,
    json: JsonOption = False,
) -> None:
    """Check a message's signatures and print the verdict. Exits 0 to accept, 75 to try later, 77 to refuse or hold.

    Whatever goes wrong exits 75 or, where only the operator can mend it, with another code; never 0.
    """
    from trustgraph.services.gate import open_gate
    from trustgraph.services.messages import judge_message, judged_json
    from trustgraph.verifier.results import FIELD, render_results

    settings = shared(context).settings
    envelope, client = _envelope(mail_from, rcpt), _client(client_ip, client_name, helo, helo_confirmed)
    octets = _read(file)

    async def judge() -> Judged:
        async with open_gate(settings, recording=record) as gate:
            return await judge_message(gate, octets, envelope, client, queue_id)

    judged = asyncio.run(judge())
    with suppress(BrokenPipeError), written():  # who reads no further still asks for the exit code
        if results:
            name = settings.site.name_in_results or "localhost"
            value = render_results(name, judged.checked, judged.evidence, judged.decision).decode("ascii")
            typer.echo(f"{FIELD.decode()}: {value}".replace("\r\n", "\n"))
        if json:
            print_json(judged_json(judged))
        elif not results:
            _print_judged(judged)
    raise typer.Exit({"accept": EX_OK, "tempfail": EX_TEMPFAIL}.get(judged.decision.verdict.value, EX_NOPERM))


COMMANDS = (sign, verify)


def _read(file: str) -> bytes:
    try:
        if file == "-":
            octets = sys.stdin.buffer.read(MAX_MESSAGE_BYTES + 1)
        else:
            with Path(file).open("rb") as stream:
                octets = stream.read(MAX_MESSAGE_BYTES + 1)
    except OSError as error:
        raise NoInput(f"{file}: cannot be read: {error.strerror}") from None
    if len(octets) > MAX_MESSAGE_BYTES:
        raise BadInput(f"{file}: longer than {MAX_MESSAGE_BYTES:,} octets")
    return octets


def _envelope(mail_from: str | None, rcpt: list[str] | None) -> Envelope:
    from trustgraph.headersig.signing import Envelope

    sender = None if mail_from is None else _path(mail_from)
    return Envelope(sender, tuple(_path(one) for one in rcpt or ()))


def _path(address: str) -> bytes:
    return address.removeprefix("<").removesuffix(">").encode("utf-8", "surrogateescape")


def _client(ip: str, name: str, helo: str, helo_confirmed: bool) -> Client:
    from trustgraph.verifier.examine import Client

    try:
        return Client(
            host=parse_domain(name) if name else "",
            ip=parse_address(ip) if ip else "",
            helo=parse_domain(helo) if helo_confirmed else _domain(helo),
            helo_confirmed=helo_confirmed,
        )
    except TrustgraphError as error:
        raise BadInput(f"client: {error}") from None


def _domain(helo: str) -> str:
    """A HELO that is no name, such as an address in brackets, is none that could be anybody's."""
    try:
        return parse_domain(helo)
    except BadInput:
        return ""


def _print_judged(judged: Judged) -> None:
    decision, evidence = judged.decision, judged.evidence
    say(f"{decision.verdict}: {decision.reason}" + (f" ({decision.note})" if decision.note else ""))
    if decision.would_be is not None and decision.would_be != decision.verdict:
        say(f"  would be {decision.would_be} under another profile than monitor")
    if responsible := evidence.responsible:
        rating = "not rated" if responsible.rating is None else f"rated {responsible.rating:.3f}"
        say(f"  answers for it: {responsible.host} ({responsible.identity}), {rating}, {decision.standing}")
    for one in judged.checked:
        signature = one.presented.signature
        who = f"{signature.domain} {signature.fingerprint}" if signature else one.presented.problem
        say(f"  signature: {one.finding.result} {one.finding.reason} {who}")
    for other in evidence.others:
        rating = "not rated" if other.rating is None else f"rated {other.rating:.3f}"
        say(f"  also: {other.identity}, {rating}")
