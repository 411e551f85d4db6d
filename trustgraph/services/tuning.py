"""Choosing a policy by the recorded past: what each setting would have let in and kept out, and at what cost.

Everything here replays the same messages under changed settings (:mod:`trustgraph.services.replay`) and counts. Good
and spam are what the site's own filter took the mail for, or, where ``spam`` is given, what it truly was: one flag a
message, in order. Shares and costs are of those messages; tables are pandas frames, for notebooks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from pydantic import ValidationError

from trustgraph.errors import BadInput
from trustgraph.lab.judging import GOOD_DELAYED, GOOD_REFUSED, GOOD_TAGGED, SPAM_LET_IN, SPAM_TAGGED
from trustgraph.model import Outcome, Result
from trustgraph.policy.decision import Decision, Verdict
from trustgraph.policy.replay import Played
from trustgraph.scoring.algorithms import Scores
from trustgraph.scoring.snapshot import Floats, Ints, Texts
from trustgraph.services.replay import DEFAULT_EVERY_SECONDS, Past, fate_of, play, rules_of
from trustgraph.settings import Settings, variable_of

#: What becomes of a message: let in at once, without or with a tag (or held for a look); let in late; refused; or still
#: put off at the end.
FATES = ("delivered", "tagged", "delayed", "refused", "waiting")
KINDS = ("good", "spam", "unknown")

#: What a delay costs of what a refusal would.
DELAY_SHARE = GOOD_DELAYED / GOOD_REFUSED
TAG_SHARE = GOOD_TAGGED / GOOD_REFUSED

#: Settings to change, as ``policy replay --set`` names them; durations as the file writes them ("10d").
Changes = Mapping[str, object]


def changed(settings: Settings, changes: Changes) -> Settings:
    """The settings with some of them changed, checked as a settings file is.

    Raises :class:`BadInput` naming what is no setting, or what was expected of it.
    """
    sections: dict[str, dict[str, object]] = {}
    for name, value in changes.items():
        variable_of(name)  # says what there is if it is none
        section, _, key = name.partition(".")
        sections.setdefault(section, {})[key] = value
    for section, values in sections.items():
        model = getattr(settings, section)
        try:
            new = type(model).model_validate(_as_written(model) | values)
        except ValidationError as error:
            what = ", ".join(f"{section}.{key} = {value!r}" for key, value in values.items())
            raise BadInput(f"{what}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None
        settings = settings.model_copy(update={section: new})
    return settings


def _as_written(model: object) -> dict[str, object]:
    """A section as a settings file would have it: by the keys of the file, durations with their unit."""
    fields = type(model).model_fields  # type: ignore[attr-defined]
    values = {field.alias or name: (name, getattr(model, name)) for name, field in fields.items()}
    return {key: f"{value}s" if name.endswith("_seconds") else value for key, (name, value) in values.items()}


def kinds_of(past: Past, spam: Sequence[bool] | None = None) -> Texts:
    """``good``, ``spam`` (malware too) or ``unknown``, one a message.

    Raises ValueError when ``spam`` is of another length.
    """
    if spam is not None:
        pairs = zip(past.messages, spam, strict=True)
        return np.array(["spam" if true else "good" for _, true in pairs], dtype=object)
    words = {Outcome.GOOD: "good", Outcome.UNKNOWN: "unknown"}
    return np.array([words.get(message.outcome, "spam") for message in past.messages], dtype=object)


def try_rules(
    past: Past,
    settings: Settings,
    changes: Mapping[str, Changes],
    spam: Sequence[bool] | None = None,
    *,
    every_seconds: int = DEFAULT_EVERY_SECONDS,
) -> pd.DataFrame:
    """What became of the messages under each of several sets of changed settings, one row each, by its label.

    Columns: messages by kind (``good``, ``spam``, ``unknown``), by kind and fate (``good_delivered`` and so on, of
    :data:`FATES`); ``hosts_accepted``, how many hosts stood at the end; ``in_force``, whether nothing is changed.
    """
    kinds = kinds_of(past, spam)
    rows = {}
    for label, change in changes.items():
        tried = changed(settings, change)
        rules = rules_of(tried)
        last: list[Scores] = []
        played = play(past, rules, every_seconds=every_seconds, watch=lambda _, scores, last=last: last.append(scores))  # type: ignore[misc]
        stood = _standing(past, last[-1], rules.policy.accept)
        rows[label] = {**_counted(kinds, played), "hosts_accepted": stood, "in_force": tried == settings}
    return pd.DataFrame.from_dict(rows, orient="index")


def sweep(
    past: Past,
    settings: Settings,
    name: str,
    values: Sequence[object],
    spam: Sequence[bool] | None = None,
    *,
    every_seconds: int = DEFAULT_EVERY_SECONDS,
) -> pd.DataFrame:
    """:func:`try_rules` for several values of one setting such as ``policy.accept``; the index has the values."""
    table = try_rules(
        past, settings, {str(value): {name: value} for value in values}, spam, every_seconds=every_seconds
    )
    table.index = pd.Index(list(values), name=name)
    return table


def _counted(kinds: Texts, played: Sequence[Played]) -> dict[str, int]:
    fates = Counter((str(kind), verdict_in_a_word(one)) for kind, one in zip(kinds, played, strict=True))
    totals = {kind: sum(fates[kind, fate] for fate in FATES) for kind in KINDS}
    return totals | {f"{kind}_{fate}": fates[kind, fate] for kind in KINDS for fate in FATES}


def verdict_in_a_word(played: Played) -> str:
    """Its fate, one of :data:`FATES`."""
    fate = fate_of(played)
    return "tagged" if fate == "delivered" and untrusted(played.last) else fate


def untrusted(decision: Decision) -> bool:
    """Whether a message that is let in is marked, or held, for others to look at."""
    return decision.tagged or decision.verdict is not Verdict.ACCEPT


def _standing(past: Past, scores: Scores, accept: float) -> int:
    """Hosts with an identity that stands; identities without a host count as one each."""
    record = past.record
    stands = np.flatnonzero(scores.rating >= accept)
    return len({str(record.identity_host[i]) or str(record.identity_name[i]) for i in stands})


def ratings_at_arrival(past: Past, settings: Settings, *, every_seconds: int = DEFAULT_EVERY_SECONDS) -> Floats:
    """How each message's identity was rated when it came; NaN for mail without an identity that passed.

    That is its signer's rating if the signature passed, else the best of its other identities.
    """
    steps: list[Floats] = []
    play(past, rules_of(settings), every_seconds=every_seconds, watch=lambda _, scores: steps.append(scores.rating))
    found = np.full(len(past.messages), np.nan)
    for place, message in enumerate(past.messages):
        rating = steps[(message.at - past.start) // every_seconds]
        identities = (message.signer,) if message.result is Result.PASS else message.others
        found[place] = max((float(rating[i]) for i in identities), default=np.nan)
    return found


def precision_recall(rating: Floats, kinds: Texts) -> pd.DataFrame:
    """The rating as a judge of mail, at each threshold t in [0, 1] that makes a difference; in rising order.

    Letting in at t and above: ``good_precision``, the part of what is let in that is good, and ``good_recall``, the
    part of all good mail that is let in. Refusing below t: ``spam_precision`` and ``spam_recall`` likewise. A share of
    nothing is NaN. Mail without a rating is neither let in nor refused; of mail of unknown kind nothing is said.
    """
    good, spam = np.sort(rating[kinds == "good"]), np.sort(rating[kinds == "spam"])
    both = np.concatenate([good, spam])
    thresholds = np.unique(np.concatenate([both[~np.isnan(both)], [0.0, 1.0]]))
    rated_good, rated_spam = np.count_nonzero(~np.isnan(good)), np.count_nonzero(~np.isnan(spam))
    good_below, spam_below = (np.searchsorted(one, thresholds).astype(np.int64) for one in (good, spam))
    good_in, spam_in = rated_good - good_below, rated_spam - spam_below
    return pd.DataFrame(
        {
            "good_precision": _share(good_in, good_in + spam_in),
            "good_recall": _share(good_in, np.full_like(good_in, len(good))),
            "spam_precision": _share(spam_below, good_below + spam_below),
            "spam_recall": _share(spam_below, np.full_like(spam_below, len(spam))),
        },
        index=pd.Index(thresholds, name="threshold"),
    )


def _share(part: Ints, whole: Ints) -> Floats:
    shares = np.full(len(part), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def costs(tried: pd.DataFrame, prices: Sequence[float]) -> pd.DataFrame:
    """What mistakes cost under each of the rules tried, for each thousand messages judged, in let-in spam messages.

    ``prices``: how many let-in spam messages a refused good one is as bad as; a delayed one costs :data:`DELAY_SHARE`
    of that, a tagged one :data:`TAG_SHARE`. Index: the prices; one column a row of ``tried``. The kinds of cost are
    those of :mod:`trustgraph.lab.judging`, where the price is 10.
    """
    let_in = tried["spam_delivered"] + SPAM_TAGGED / SPAM_LET_IN * tried["spam_tagged"] + tried["spam_delayed"]
    harm = tried["good_refused"] + DELAY_SHARE * (tried["good_delayed"] + tried["good_waiting"])
    harm += TAG_SHARE * tried["good_tagged"]
    judged = (tried["good"] + tried["spam"]).clip(lower=1)
    return pd.DataFrame(
        {rules: 1_000 * (let_in[rules] + np.asarray(prices) * harm[rules]) / judged[rules] for rules in tried.index},
        index=pd.Index(list(prices), name="price"),
    )
