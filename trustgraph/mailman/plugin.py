"""The plugin: its configuration checked, and members taken to the stash as they come and go."""

from __future__ import annotations

import logging

from mailman.interfaces.member import MemberRole, SubscriptionEvent, UnsubscriptionEvent
from mailman.interfaces.plugin import IPlugin
from zope import event
from zope.interface import implementer

from trustgraph.mailman.calling import configuration, takes_part
from trustgraph.mailman.waiting import is_set_up, put_change

log = logging.getLogger("mailman.plugins")


@implementer(IPlugin)
class Plugin:
    """Mailman makes one of these in each of its processes."""

    resource = None
    name = "trustgraph"

    def pre_hook(self) -> None:
        """A configuration that is wrong is said at once. Mailman goes on, and no post is let in."""
        configuration()

    def post_hook(self) -> None:
        """From now on members are taken to the stash."""
        if not is_set_up():
            log.error("trustgraph: without a section [runner.trustgraph] members are not taken to the stash")
        if _follow_members not in event.subscribers:
            event.subscribers.append(_follow_members)


def _follow_members(happened: object) -> None:
    """Who subscribes is asked for a key by letter; until one counts, he can read and not post.

    This runs within Mailman's own transaction, so it only leaves a note: the command takes longer than others can wait.
    """
    if not isinstance(happened, SubscriptionEvent | UnsubscriptionEvent):
        return
    mlist, member = happened.mlist, happened.member
    if takes_part(mlist) and member.role is MemberRole.member:
        put_change(mlist, str(member.address.email), joins=isinstance(happened, SubscriptionEvent))
