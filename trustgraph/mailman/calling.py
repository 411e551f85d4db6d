"""How the parts of the plugin put questions to the command, within Mailman's processes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from mailman.config import config
from mailman.interfaces.runner import RunnerInterrupt

from trustgraph.mailman.asking import Configuration, Done, ask, read_configuration

PLUGIN = "trustgraph.mailman.plugin.Plugin"
POSTING_CHAIN = "trustgraph-posting-chain"
GATED_CHAIN = "trustgraph-gated-chain"

_ATTEMPTS = 3


def takes_part(mlist: Any) -> bool:
    """Whether the list has its posts compared with a stash, here or in front of Mailman."""
    return mlist.posting_chain in (POSTING_CHAIN, GATED_CHAIN)


@lru_cache(maxsize=1)
def configuration() -> Configuration:
    """What the file says that ``[plugin.trustgraph] configuration`` names. Raises ValueError and OSError."""
    for _name, section in config.plugin_configs:
        if section["class"].strip() == PLUGIN:
            return read_configuration(section["configuration"].strip())
    raise ValueError(f"there is no section [plugin.…] with the class {PLUGIN}")


def ask_command(arguments: Sequence[str], octets: bytes = b"") -> Done:
    """Put a question to the command; a runner that is told to stop meanwhile asks again, and stops when it is done.

    Mailman tells it by an exception out of a signal handler, and would put the message aside for that. Asking again is
    harmless: the same post is the same delivery.
    """
    for _ in range(_ATTEMPTS):
        try:
            return ask(configuration(), arguments, octets)
        except RunnerInterrupt:
            continue
        except (OSError, ValueError) as error:
            return Done(None, said=str(error))
    return Done(None, said="interrupted")
