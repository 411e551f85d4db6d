"""What mail turned out to be, said after it was judged.

A piece of feedback is read (:mod:`~trustgraph.feedback.reading`, with :mod:`~trustgraph.feedback.reports`,
:mod:`~trustgraph.feedback.verdicts` and :mod:`~trustgraph.feedback.rows`), matched with what was seen of the message
(:mod:`~trustgraph.feedback.copies`, :mod:`~trustgraph.feedback.joining`) and combined with what others say
(:mod:`~trustgraph.feedback.votes`).

All of it is pure: octets and rows in, facts out, time an argument.
"""
