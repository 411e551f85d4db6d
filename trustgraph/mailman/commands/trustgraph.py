"""`mailman trustgraph LIST`: have a list take part, or no more; and have its stash know its members."""

from __future__ import annotations

from typing import Any

import click
from mailman.interfaces.command import ICLISubCommand
from mailman.interfaces.listmanager import IListManager
from mailman.utilities.options import I18nCommand
from zope.component import getUtility
from zope.interface import implementer

from trustgraph.mailman.calling import GATED_CHAIN, POSTING_CHAIN, ask_command, takes_part
from trustgraph.mailman.waiting import is_set_up, put_change

__all__ = ["TakePart"]

_CHAINS = {"posting": POSTING_CHAIN, "gated": GATED_CHAIN, "off": "default-posting-chain"}


@click.command(
    cls=I18nCommand,
    help="Compare a list's posts with its stash of keys, and take its members there. Without --chain, do the latter.",
)
@click.argument("address", metavar="LIST")
@click.option(
    "--chain",
    type=click.Choice(sorted(_CHAINS)),
    help="posting: ask trustgraph about each post. gated: believe the gate in front of Mailman. off: neither.",
)
def trustgraph(address: str, chain: str | None) -> None:
    """See the help above; notes for the runner are left, and members are subscribed as it comes to them."""
    mlist: Any = getUtility(IListManager).get(address)
    if mlist is None:
        raise click.UsageError(f"no such list: {address}")
    if chain and chain != "off":
        _there_is_a_stash(mlist)
    if chain:
        mlist.posting_chain = _CHAINS[chain]
    if not takes_part(mlist):
        click.echo(f"{address}: posting chain {mlist.posting_chain}; its posts are not compared with keys")
        return
    if not is_set_up():
        raise click.UsageError("mailman.cfg has no section [runner.trustgraph] to take members to the stash")
    addresses = [str(member.address.email) for member in mlist.members.members]
    for one in addresses:
        put_change(mlist, one, joins=True)
    click.echo(f"{address}: posting chain {mlist.posting_chain}; {len(addresses)} members on their way to the stash")


def _there_is_a_stash(mlist: Any) -> None:
    """Raises UsageError with what the command says of the list, if it does not know it."""
    done = ask_command(["list", "show", "--json", "--", mlist.posting_address])
    if done.code != 0:
        raise click.UsageError(f"`trustgraph list show {mlist.posting_address}`: {done.said or done.code}")


@implementer(ICLISubCommand)
class TakePart:
    """See :func:`trustgraph`."""

    name = "trustgraph"
    command = trustgraph
