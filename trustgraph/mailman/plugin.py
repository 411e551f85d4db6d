"""The plugin: its configuration, and members taken to the stash as they come and go."""

from __future__ import annotations

import logging
import subprocess
from functools import lru_cache

from mailman.config import config
from mailman.interfaces.member import MemberRole, SubscriptionEvent, UnsubscriptionEvent
from mailman.interfaces.plugin import IPlugin
from zope import event
from zope.interface import implementer

from trustgraph.mailman.asking import Configuration, ask, read_configuration

POSTING_CHAIN = "trustgraph-posting-chain"
GATED_CHAIN = "trustgraph-gated-chain"
CHAINS = frozenset({POSTING_CHAIN, GATED_CHAIN})

log = logging.getLogger("mailman.plugins")


@implementer(IPlugin)
class Plugin:
    """Mailman makes one of these in each of its processes."""

    resource = None
    name = "trustgraph"

    def pre_hook(self) -> None:
        """A configuration that is wrong is said before anything starts."""
        configuration()

    def post_hook(self) -> None:
        """From now on members are taken to the stash."""
        if _follow_members not in event.subscribers:
            event.subscribers.append(_follow_members)


@lru_cache(maxsize=1)
def configuration() -> Configuration:
    """What the file says that ``[plugin.trustgraph] configuration`` names."""
    for _name, section in config.plugin_configs:
        if section["class"].strip() == f"{Plugin.__module__}.{Plugin.__qualname__}":
            return read_configuration(section["configuration"].strip())
    raise ValueError("there is no section [plugin.…] with the class of trustgraph's plugin")


def _follow_members(happened: object) -> None:
    """Who subscribes is asked for a key by letter; until one counts, he can read and not post.

    Mailman's own subscription stands whatever comes of this: it is logged, and the rule lets no post through unasked.
    """
    if not isinstance(happened, SubscriptionEvent | UnsubscriptionEvent):
        return
    mlist, member = happened.mlist, happened.member
    if mlist.posting_chain not in CHAINS or member.role is not MemberRole.member:
        return
    task = "subscribe" if isinstance(happened, SubscriptionEvent) else "unsubscribe"
    address = str(member.address.email)
    try:
        code, _, said = ask(configuration(), ["list", task, mlist.posting_address, address])
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        code, said = -1, f"{type(error).__name__}: {error}"
    if code:
        log.error("trustgraph: list %s %s %s failed: %s", task, mlist.posting_address, address, said)
