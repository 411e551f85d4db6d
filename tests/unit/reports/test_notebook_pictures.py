"""Pictures of the notebooks: titled, with units on their axes, read in one line, and safe to show."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tests.unit.reports.small_world import scene
from trustgraph.model import SECONDS_PER_DAY, Standing
from trustgraph.policy.decide import Policy
from trustgraph.reports import adoption_plots, courses, endorsing, figures, side_plots, tuning_plots
from trustgraph.reports.bursts import EndorsementTimes
from trustgraph.reports.courses import Course
from trustgraph.reports.endorsing import Endorsed, endorsed
from trustgraph.reports.pictures import Picture
from trustgraph.reports.side_plots import Side, sides_picture, sides_reading
from trustgraph.reports.tuning_plots import cost_picture, cost_reading, precision_recall_picture, sweep_picture

DAY = 20_000 * SECONDS_PER_DAY
FATES = ("delivered", "tagged", "delayed", "refused", "waiting")


def swept(*rows: tuple[int, int, int]) -> pd.DataFrame:
    """Spam tagged (of 50), good mail tagged and refused (of 100) at each value, the second of which is in force."""
    columns = {f"{kind}_{fate}": [0] * len(rows) for kind in ("good", "spam") for fate in FATES}
    table = pd.DataFrame(columns, index=pd.Index([0.1, 0.2, 0.4][: len(rows)], name="policy.refuse"))
    table["good"], table["spam"], table["hosts_accepted"] = 100, 50, 7
    table["in_force"] = [i == 1 for i in range(len(rows))]
    for column, values in zip(("spam_tagged", "good_tagged", "good_refused"), zip(*rows, strict=True), strict=True):
        table[column] = list(values)
    return table


def side(name: str, before: float, after: float, **other: object) -> Side:
    standings = [Standing.ACCEPTED if rating >= 0.5 else Standing.PROBATION for rating in (before, after)]
    return Side(
        name, f"dkim:{name}", *standings, before, after, good=3, spam=1, unknown=0, why="good mail +0.2", **other
    )  # type: ignore[arg-type]


def course(number: int) -> Course:
    at = DAY + np.arange(number) * 40_000
    flags = np.arange(number) % 2 == 0
    return Course("mx.$x^2$.example", at, flags, ~flags, flags, at, np.linspace(0, 1, number))


ADOPTED = pd.DataFrame(
    {
        "signing": [1.0, 1.0, 100.0, 100.0],
        "by": ["all", "dkim"] * 2,
        "good_on_signature": [5.0, 0.0, 80.0, 0.0],
        "good_untagged": [40.0, 35.0, 80.0, 36.0],
        "spam_refused": [88.0, 90.0, 91.0, 92.0],
        "hosts_standing": [30.0, 29.0, 70.0, 33.0],
        "bad_standing": [0.0] * 4,
    }
)
CURVE = pd.DataFrame(
    {
        "good_precision": [0.8, 0.95, 1.0],
        "good_recall": [1.0, 0.75, 0.0],
        "spam_precision": [np.nan, 0.9, 0.2],
        "spam_recall": [0.0, 0.85, 1.0],
    },
    index=pd.Index([0.0, 0.4, 1.0], name="threshold"),
)
PRICES = pd.DataFrame({"mild": [1.0, 2.0, 9.0], "strict": [3.0, 1.0, 4.0]}, index=[0.1, 1.0, 10.0])

PICTURES: dict[str, Callable[[], Picture]] = {
    "sweep": lambda: sweep_picture(swept((9, 20, 1), (5, 19, 2), (0, 10, 8)), "rating, 0 to 1"),
    "precision and recall": lambda: precision_recall_picture({"by the truth": CURVE}, 0.4, 0.4),
    "cost": lambda: cost_picture(PRICES),
    "sides": lambda: sides_picture([side("mx.a.example", 0.6, 0.3)], Policy(), Policy(accept=0.6)),
    "no sides": lambda: sides_picture([], Policy(), Policy()),
    "courses": lambda: courses.courses_picture([course(9), course(1)]),
    "no courses": lambda: courses.courses_picture([]),
    "course": lambda: courses.course_picture(course(9), 0.5, 0.1),
    "endorsing": lambda: endorsing.endorsing_picture([Endorsed("a.example", DAY + np.arange(3) * 100)]),
    "no endorsing": lambda: endorsing.endorsing_picture([]),
    "adoption": lambda: adoption_plots.adoption_picture(ADOPTED),
}


@pytest.mark.parametrize("name", PICTURES)
def test_it_has_a_title_axes_with_names_and_a_reading(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Figure] = []

    def to_png(figure: Figure) -> bytes:
        seen.append(figure)
        return figures.to_png(figure)

    for module in (tuning_plots, side_plots, courses, endorsing, adoption_plots):
        monkeypatch.setattr(module, "to_png", to_png)
    picture = PICTURES[name]()
    (figure,) = seen
    heading = figure.get_suptitle() or figure.axes[0].get_title(loc="left")
    assert heading == picture.title
    assert all(axes.get_ylabel() for axes in figure.axes)
    # Panels that share their horizontal axis name it once, at the bottom.
    assert all(axes.get_xlabel() for axes in figure.axes if axes.xaxis.get_tick_params()["labelbottom"])
    image = Image.open(io.BytesIO(picture.png))
    assert image.width >= 1_000
    assert len(set(np.asarray(image.convert("L")).ravel().tolist())) > 20
    assert picture.caption.endswith(".")


def test_a_sweep_tells_the_value_in_force_in_full_and_its_neighbours_where_they_differ() -> None:
    assert sweep_picture(swept((9, 20, 2), (5, 20, 2), (5, 20, 2))).caption == (
        "policy.refuse = 0.2 (in force): spam let in with a tag or late 10.0 %, spam let in untagged 0.0 %, good mail "
        "tagged 20.0 %, good mail delayed 0.0 %, good mail refused 2.0 %; 0.1: spam let in with a tag or late 18.0 %; "
        "0.4: all the same."
    )


def test_a_threshold_is_read_where_the_curve_has_it() -> None:
    reading = precision_recall_picture({"by the truth": CURVE}, 0.4, 0.2).caption
    assert reading == (
        "By the truth: at 0.4 and above 75.0% of good mail is let in, and 5.0% of what is let in is spam; below 0.2 "
        "85.0% of spam is refused, and 10.0% of what is refused is good."
    )


def test_the_cheapest_rules_are_told_by_price() -> None:
    assert cost_reading(PRICES) == "Cheapest of these: mild at prices from 0.1 to 0.1, strict at prices from 1 to 10."


def test_sides_are_told_by_move_and_the_largest_change_in_full() -> None:
    assert sides_reading([]) == "Nobody changes sides."
    some = [side("a.example", 0.6, 0.4), side("b.example", 0.3, 0.7), side("c.example", 0.55, 0.45)]
    assert sides_reading(some) == (
        "3 identities change sides: 2 from accepted to probation (6 good messages, 2 spam), 1 from probation to "
        "accepted (3 good messages, 1 spam). Most changed is b.example, 0.30 to 0.70: good mail +0.2."
    )
    assert [one.rises for one in some] == [False, True, False]


def test_endorsements_are_counted_by_operator_and_by_the_fullest_day() -> None:
    evidence = scene([("a1", "x"), ("a2", "x"), ("a3", "x")])
    place = {str(name): i for i, name in enumerate(evidence.snapshot.identity_name)}
    x, a1, a2, a3 = (place[f"dkim:{name}.example"] for name in ("x", "a1", "a2", "a3"))
    moments = np.array([DAY, DAY + 3_600, DAY + 9 * SECONDS_PER_DAY, DAY + 7_200])
    times = EndorsementTimes(np.array([x] * 4), np.array([a1, a2, a3, a1]), moments)
    (host,) = endorsed(evidence, times, [x])
    assert (host.name, len(host.made_at), host.fullest_day()) == ("x.example", 3, (2, DAY))
    assert Endorsed("y", np.array([], dtype=np.int64)).fullest_day() == (0, 0)


def test_the_reading_of_adoption_goes_from_the_least_to_the_most() -> None:
    assert adoption_plots.adoption_picture(ADOPTED).caption == (
        "At 1 % of hosts signing 5 % of good mail is accepted on its signature and 40 % let in untagged (35 % by DKIM "
        "alone); at 100 % of hosts signing 80 % of good mail is accepted on its signature and 80 % let in untagged "
        "(36 % by DKIM alone). Spam refused: 88 to 91 %, by DKIM alone 90 to 92 %."
    )


def test_a_notebook_shows_outside_text_escaped() -> None:
    page = Picture('"><script>', "<img src=x>\u202eevil", b"\x89PNG")._repr_html_()
    assert "<script>" not in page
    assert "<img src=x>" not in page
    assert "\u202e" not in page
    assert "&lt;img src=x&gt;\\u{202e}evil" in page
    assert "png=" not in repr(Picture("a", "b", b"c" * 10_000))
