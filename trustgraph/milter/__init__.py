"""The MTA's hook: the milter protocol of Sendmail and Postfix, from the packet up to one answer a message.

In order:

1. :mod:`~trustgraph.milter.listen` reads ``unix:PATH`` and ``inet:HOST:PORT`` and binds the socket,
2. :mod:`~trustgraph.milter.workers` forks processes that share it, and replaces them when the settings change,
3. :mod:`~trustgraph.milter.server` has the connections of one process: limits, time, order of answers,
4. :mod:`~trustgraph.milter.protocol` makes events of bytes, :mod:`~trustgraph.milter.replies` bytes of answers,
5. :mod:`~trustgraph.milter.transaction` is what a handler sees of a message, and what it may answer.

OpenSMTPD has a protocol of its own, :mod:`~trustgraph.milter.smtpd`, for the same handler.

Nothing here knows of signatures, policy or the store. A message is accepted only by a handler that says so.
"""
