"""Mail servers vouch for each other; trustgraph reads who vouched for whom and how their mail behaved, and rates them.

The pipeline, in order:

1. :mod:`trustgraph.ingest` reads verification logs and keyrings,
2. :mod:`trustgraph.store` keeps what they say,
3. :mod:`trustgraph.scoring` rates every identity from endorsements and good-mail history,
4. :mod:`trustgraph.reports` shows people what follows from it,
5. :mod:`trustgraph.verifier` decides on each message at accept time: :mod:`trustgraph.headersig` checks its signature,
   :mod:`trustgraph.keyserver` finds the key, :mod:`trustgraph.policy` has the rules, :mod:`trustgraph.milter` speaks to
   the MTA,
6. :mod:`trustgraph.endorsement` says which hosts have earned our own endorsement,
7. :mod:`trustgraph.mailinglist` compares posts to mailing lists with the keys of their subscribers;
   :mod:`trustgraph.mailman` is a plugin for GNU Mailman.

:mod:`trustgraph.model` has the words, :mod:`trustgraph.errors` the exceptions, :mod:`trustgraph.settings` the
configuration. :mod:`trustgraph.lab` makes whole mail worlds with a known truth.
"""

__version__ = "0.1.0"
