"""``trustgraph key``: the host key, and others'."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trustgraph.cli.context import JsonOption, Shared, now, shared
from trustgraph.cli.output import note, print_json, say
from trustgraph.errors import NoInput, ServiceUnavailable, UsageError
from trustgraph.model import UnixSeconds, parse_fingerprint, to_rfc3339

if TYPE_CHECKING:
    from trustgraph.keyserver.publish import Published
    from trustgraph.openpgp.hostcert import HostCertificate

app = typer.Typer(help="Make, show, publish, fetch, rotate and revoke host keys.", no_args_is_help=True)


class RevocationReason(StrEnum):
    """Why a key is revoked (RFC 9580 section 5.2.3.31)."""

    COMPROMISED = "compromised"
    SUPERSEDED = "superseded"
    RETIRED = "retired"
    UNSPECIFIED = "unspecified"


PublishOption = Annotated[bool, typer.Option("--publish", help="Send it to every configured keyserver at once.")]
ExpiresOption = Annotated[
    str, typer.Option(metavar="DATE", help="When the key ends (RFC 3339, or a date); never by default.")
]


@app.command()
def new(
    context: typer.Context,
    rsa: Annotated[int | None, typer.Option(min=2048, max=8192, help="RSA of so many bits, not Ed25519.")] = None,
    expires: ExpiresOption = "",
    import_: Annotated[
        Path | None, typer.Option("--import", help="Take this OpenPGP secret key (such as GnuPG's export) instead.")
    ] = None,
    publish: PublishOption = False,
    json: JsonOption = False,
) -> None:
    """Make this host's key (Ed25519), and beside it the revocation for the day on which the key is lost."""
    _make(shared(context), rsa or 0, expires, import_, publish, json, rotate=False)


@app.command()
def rotate(
    context: typer.Context,
    rsa: Annotated[int | None, typer.Option(min=2048, max=8192, help="RSA of so many bits, not Ed25519.")] = None,
    expires: ExpiresOption = "",
    publish: PublishOption = False,
    finish: Annotated[bool, typer.Option("--finish", help="Put the new key in the place of the old one.")] = False,
    json: JsonOption = False,
) -> None:
    """Make the key that takes over: published now, signing after hostkey.switch_after; until then the old one signs.

    Both verify as long as both live. Revoke the old one (`key revoke --file`) when no signature of it is under way any
    more: two weeks after the switch.
    """
    common = shared(context)
    if not finish:
        _make(common, rsa or 0, expires, None, publish, json, rotate=True)
        return
    from trustgraph.services.keymaking import finish_rotation

    old, current = finish_rotation(common.settings)
    if json:
        print_json({"current": str(current), "old": str(old)})
    else:
        say(f"{current} is the new key; the old one is in {old}")


@app.command()
def show(
    context: typer.Context,
    fingerprint: Annotated[str, typer.Argument(help="Another host's key, out of the cache; default our own.")] = "",
    armor: Annotated[bool, typer.Option("--armor", help="Print the certificate itself.")] = False,
    json: JsonOption = False,
) -> None:
    """Show our own host key, or a certificate in the cache."""
    common = shared(context)
    certificate = _cached(common, fingerprint) if fingerprint else _own(common)
    if armor:
        from trustgraph.openpgp.transferable import enarmor

        typer.echo(enarmor(certificate.octets).decode("ascii"), nl=False)
        return
    _print_certificate(certificate, json)


@app.command()
def publish(context: typer.Context, json: JsonOption = False) -> None:
    """Send our certificate (and the next one's) to every configured keyserver and read it back from each.

    Exits 69 unless each has it.
    """
    from trustgraph.openpgp.making import export_public
    from trustgraph.services.hostkeys import KeyFiles
    from trustgraph.services.keymaking import open_key

    common = shared(context)
    files = KeyFiles(common.settings.hostkey.path)
    keys = [open_key(common.settings, path) for path in (files.current, files.next) if path.exists()]
    if not keys:
        raise NoInput(f"{files.current}: there is no such file; `trustgraph key new` makes a host key")
    for key in keys:
        _publish(common, export_public(key.certificate()), key.fingerprint, json)


@app.command()
def fetch(
    context: typer.Context,
    fingerprint: Annotated[str, typer.Argument(help="Full fingerprint; key IDs are not enough.")],
    json: JsonOption = False,
) -> None:
    """Fetch a host's certificate from the keyservers, as the gate does, keep it, and show it.

    Exits 66 if there is none, 75 if no keyserver could say.
    """
    from trustgraph.services.gate import open_gate
    from trustgraph.verifier.keys import NoKey

    common = shared(context)
    wanted = parse_fingerprint(fingerprint)

    async def ask() -> object:
        async with open_gate(common.settings, recording=False) as gate:
            return (await gate.keys.refetch(wanted)).key

    found: Any = asyncio.run(ask())
    if found is NoKey.ABSENT:
        raise NoInput(f"{wanted}: no keyserver has it ({', '.join(common.settings.keyservers.urls)})")
    if found is NoKey.UNREACHABLE:
        note(f"error: {wanted}: no keyserver could say; configured are: {_servers(common)}")
        raise typer.Exit(75)
    _print_certificate(found, json)


@app.command()
def approve(
    context: typer.Context,
    issuers: Annotated[
        list[str] | None, typer.Argument(metavar="[ISSUER…]", help="Hosts or fingerprints whose endorsements we want.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Approve of every one that verifies.")] = False,
    publish: PublishOption = False,
    json: JsonOption = False,
) -> None:
    """Say which endorsements on our key we approve of; without arguments, show what is there.

    What is named here replaces what was approved before. Receivers then count only those endorsements of our key: what
    a stranger hangs on it counts nothing. Exits 66 if no keyserver has our key, 69 if none could say.
    """
    from trustgraph.openpgp.transferable import enarmor
    from trustgraph.services import approving

    common = shared(context)
    if issuers and all_:
        raise UsageError("--all leaves nothing to name")
    with common.store() as store:
        if issuers or all_:
            done = approving.approve(store, common.settings, now(), None if all_ else issuers)
        else:
            done = approving.offered(store, common.settings, now())
    for one in done.offered:
        if json:
            ends = to_rfc3339(one.expires_at) if one.expires_at else None
            facts = {"issuer": one.issuer, "name": one.label, "user_id": one.user_id, "approved": one.approved}
            print_json(facts | {"made_at": to_rfc3339(one.made_at), "expires_at": ends})
        else:
            say(f"{'approved' if one.approved else 'not approved':12}  {one.issuer}  {one.label}  over {one.user_id}")
    if not done.offered:
        note("nobody whose key is in the store has endorsed our key; `trustgraph ingest keys` reads keys")
    if done.certificate is None:
        return
    if publish:
        _publish(common, done.certificate, done.fingerprint, json, "run it again with --publish")
    elif json:
        print_json({"fingerprint": done.fingerprint, "certificate": enarmor(done.certificate).decode("ascii")})
    else:
        typer.echo(enarmor(done.certificate).decode("ascii"), nl=False)
        note("to have it count, publish the certificate above, or run again with --publish")


@app.command()
def revoke(
    context: typer.Context,
    reason: Annotated[RevocationReason, typer.Option(help="Why; retired and superseded are soft.")],
    comment: Annotated[str, typer.Option(help="Goes into the revocation for people to read.")] = "",
    file: Annotated[Path | None, typer.Option(help="The key's file; default hostkey.path.")] = None,
    publish: PublishOption = False,
    json: JsonOption = False,
) -> None:
    """Revoke a host key by itself, for good: it signs no more, and no receiver takes its signatures any more.

    With the secret key lost, publish the .revocation.asc that lies beside it instead, on any keyserver.
    """
    from trustgraph.openpgp.making import Reason
    from trustgraph.openpgp.transferable import enarmor
    from trustgraph.services.keymaking import open_key
    from trustgraph.services.keymaking import revoke as run_revoke

    common = shared(context)
    path = file or common.settings.hostkey.path
    fingerprint = open_key(common.settings, path).fingerprint
    octets = run_revoke(common.settings, path, now(), Reason[reason.name], comment)
    if publish:
        _publish(common, octets, fingerprint, json, "revoke it again with --publish")
    elif json:
        print_json({"fingerprint": fingerprint, "certificate": enarmor(octets).decode("ascii")})
    else:
        typer.echo(enarmor(octets).decode("ascii"), nl=False)
        note(f"{fingerprint} is revoked here; publish the certificate above, or run again with --publish")


def _make(
    common: Shared, rsa: int, expires: str, imported: Path | None, publish: bool, json: bool, *, rotate: bool
) -> None:
    from trustgraph.openpgp.making import export_public
    from trustgraph.services.hostkeys import KeyFiles, read_secret
    from trustgraph.services.keymaking import create_key

    files = KeyFiles(common.settings.hostkey.path)
    if imported and (rsa or expires):
        raise UsageError("--import takes the key as it is: --rsa and --expires are for a new one")
    blob = read_secret(imported) if imported else None
    expires_at = _expiry(expires) if expires else None
    key = create_key(common.settings, now(), rsa_bits=rsa, expires_at=expires_at, imported=blob, rotate=rotate)
    path = files.next if rotate else files.current
    if json and not publish:
        print_json({"fingerprint": key.fingerprint, "user_ids": list(key.user_ids), "path": str(path)})
    elif not json:
        say(f"{key.fingerprint}  {', '.join(key.user_ids)}")
        say(f"secret key in {path}; its revocation in {path}.revocation.asc: keep a copy of both elsewhere")
        if not publish:
            say("next: `trustgraph key publish`")
    if publish:
        _publish(common, export_public(key.certificate()), key.fingerprint, json)


def _expiry(text: str) -> UnixSeconds:
    from trustgraph.model import from_rfc3339

    moment = from_rfc3339(text)
    if moment <= now():
        raise UsageError(f"--expires {text}: lies in the past")
    return moment


def _publish(
    common: Shared, certificate: bytes, fingerprint: str, json: bool, again: str = "run `trustgraph key publish` again"
) -> None:
    from trustgraph.keyserver.pool import Pool

    async def run() -> list[Published]:
        pool = Pool(common.settings.keyservers.urls)
        try:
            return await pool.publish(certificate, fingerprint)
        finally:
            await pool.aclose()

    if not common.settings.keyservers.urls:
        raise UsageError("keyservers.urls: no keyserver is configured")
    results = asyncio.run(run())
    for one in results:
        if json:
            print_json({"fingerprint": fingerprint, "server": one.server, "ok": one.ok, "reason": one.reason})
        else:
            say(f"{one.server}: {'has it' if one.ok else f'does not have it: {one.reason}'}")
    if not all(one.ok for one in results):
        raise ServiceUnavailable(f"{fingerprint}: not on every keyserver; {again}")


def _own(common: Shared) -> HostCertificate:
    from trustgraph.openpgp.making import export_public
    from trustgraph.openpgp.ownparts import read_host_certificate
    from trustgraph.services.keymaking import open_key

    key = open_key(common.settings)
    return read_host_certificate([export_public(key.certificate())], key.fingerprint, now())


def _cached(common: Shared, text: str) -> HostCertificate:
    from trustgraph.openpgp.ownparts import read_host_certificate
    from trustgraph.store.accepting import read_certificate

    fingerprint = parse_fingerprint(text)
    with common.store() as store:
        row = read_certificate(store, fingerprint)
    if row is None:
        raise NoInput(f"{fingerprint}: not in the cache; `trustgraph key fetch` asks the keyservers")
    return read_host_certificate([row.octets], fingerprint, now())


def _print_certificate(certificate: HostCertificate, json: bool) -> None:
    ends = to_rfc3339(certificate.expires_at) if certificate.expires_at else None
    facts = {
        "fingerprint": certificate.fingerprint,
        "hosts": sorted(certificate.hosts),
        "expires_at": ends,
        "revoked": certificate.revoked,
        "signing_keys": sorted(certificate.signing_keys),
    }
    if json:
        print_json(facts)
        return
    say(certificate.fingerprint)
    say(f"  host of   {', '.join(sorted(certificate.hosts)) or 'nothing: it has no live smtp:// User ID'}")
    say(f"  expires   {ends or 'never'}")
    say(f"  revoked   {'yes' if certificate.revoked else 'no'}")
    for one in sorted(certificate.signing_keys.values(), key=lambda one: one.key.fingerprint):
        made = datetime.fromtimestamp(one.key.created_at, UTC).date()
        say(f"  signs by  {one.key.fingerprint} ({one.key.algorithm.name}, made {made})")


def _servers(common: Shared) -> str:
    return ", ".join(common.settings.keyservers.urls) or "none (keyservers.urls)"
