"""3 rate: who is trusted, by whom, and how much, at a reference time. Pure: no I/O, no clock, no randomness.

In order: :mod:`snapshot` holds what the store knows as arrays; :mod:`network` keeps the endorsements that count;
:mod:`mass` lets trust flow from the anchors along them; :mod:`gate` closes over who is vouched for by enough of those
who are; :mod:`history` weighs good and bad mail; :mod:`algorithms` has them behind one interface, of which
:mod:`trustgraph` is the default; :mod:`explanation` says where a rating comes from. :mod:`reference` does the same in
plain networkx, slowly: the oracle that the fast path is tested against, and the graph for notebooks.
"""
