"""Why a post cannot be judged: one word for programs, a sentence for people."""

from __future__ import annotations

from trustgraph.errors import BadInput


class PostProblem(BadInput):
    """Two mail programs could read the post differently, or it shows what nobody signed.

    ``problem`` is one word with hyphens, as :attr:`trustgraph.mailinglist.model.Post.problem` has it.
    """

    def __init__(self, problem: str, text: str) -> None:
        super().__init__(text)
        self.problem = problem


def malformed(text: str) -> PostProblem:
    """For what RFC 2045 and 2046 do not allow, so that each program makes of it what it likes."""
    return PostProblem("malformed-mime", text)
