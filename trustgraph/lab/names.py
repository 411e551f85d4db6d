"""Names and addresses for simulated hosts: documentation domains (RFC 2606) and addresses (RFC 5737, RFC 3849) only."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from itertools import count

_HONEST = """
acorn alder amber anchor apple aspen aster badger barley basil beacon beech birch bison bramble brook cactus canyon
castle cedar cherry citrus clover cobalt copper coral crane cricket crystal cypress daisy dolphin dune eagle elder elm
ember falcon fern fig finch fjord flint forest fountain fox garnet ginger glacier granite grove harbor hawk hazel heath
heron hickory holly indigo iris island ivory ivy jasmine juniper kelp kestrel lagoon lantern larch laurel lemon lichen
lily linden lotus lynx magnolia mallow maple marble meadow mesa mint moss myrtle nectar nettle nutmeg oak oasis olive
opal orchard orchid osprey otter palm pebble peony pepper pine plover plum poplar poppy prairie quail quartz quince
raven reed ridge river robin rowan rush saffron sage sequoia shore slate sparrow spruce stone summit swan sycamore
tamarind teal thistle thyme tulip tundra turnip umber valley violet walnut willow wren yarrow zinnia
"""

_SHADY = """
bargain bonus bulkline cashwave clickmill couponia dealmill fastoffer freegift goldrush hotprize instawin jackpotty
luckydraw megasale moneytree newsblast offerpoint pillbox prizehub promorama quickloan rebatery rewardly sweepst
topdeals ultrasave winwin xtrapay yesloan zapsale
"""

_NETWORKS = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")

#: Distinct addresses that :func:`addresses` gives before it starts over.
ADDRESSES = 3 * 254


def honest_domains() -> Iterator[str]:
    """``acorn.example``, ``alder.example``, …, then ``acorn2.example``: without end, each once."""
    return _domains(_HONEST)


def shady_domains() -> Iterator[str]:
    """The same for those who send spam."""
    return _domains(_SHADY)


def addresses() -> Iterator[str]:
    """Documentation addresses, each once: one in seven IPv6, the others IPv4."""
    hosts = (str(address) for network in _NETWORKS for address in IPv4Network(network).hosts())
    for number, address in enumerate(hosts):
        yield f"2001:db8:{number:x}::25" if number % 7 == 6 else address


def further_addresses() -> Iterator[str]:
    """More of them, which :func:`addresses` never gives: without end, each once."""
    for number in count(1):
        yield f"2001:db8:ffff:{number >> 16:x}::{number & 0xFFFF:x}"


def _domains(words: str) -> Iterator[str]:
    number = 1
    while True:
        for word in words.split():
            yield f"{word}{'' if number == 1 else number}.example"
        number += 1
