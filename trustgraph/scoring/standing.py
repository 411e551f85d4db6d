"""How a rating stands under a policy: one pure function, used wherever a standing is shown or decided on."""

from __future__ import annotations

from trustgraph.model import Standing


def standing_of(rating: float, sample_size: int, endorsers: int, *, accept: float, refuse: float) -> Standing:
    """``accepted`` from ``accept`` on, ``refused`` below ``refuse``, else ``probation`` if anything is known of it.

    What nobody has vouched for or had mail from is ``unrated``, which is not the same as bad.
    """
    if rating >= accept:
        return Standing.ACCEPTED
    if rating < refuse:
        return Standing.REFUSED
    return Standing.PROBATION if sample_size or endorsers else Standing.UNRATED
