"""The authentication metric: each rule on a network drawn by hand, then properties and an oracle on random ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.scoring.worlds import checked
from trustgraph.errors import NotConverged
from trustgraph.model import Certification, HostKey, UnixSeconds, UserId, UserIdScope
from trustgraph.scoring import authentication
from trustgraph.scoring.authentication import FULL, Edge, Path, certification_network, network_of_edges
from trustgraph.scoring.scope import in_scope

ANN = {"ann": FULL}


def amounts(
    edges: Iterable[Edge],
    target: str = "tom",
    roots: Mapping[str, int] = ANN,
    *,
    name: str = "",
    wanted: int = 9 * FULL,
) -> list[int]:
    """Amounts of the paths to a binding; everybody claims his own name, and tom another one too."""
    edges = list(edges)
    people = {one for edge in edges for one in (edge.issuer, edge.subject)} | set(roots)
    bindings = [(one, one) for one in people] + [("tom", "tom@two")]
    paths = network_of_edges(edges, bindings).authenticate(roots, target, name or target, wanted=wanted)
    return [path.amount for path in paths]


def edge(issuer: str, subject: str, depth: int = 0, amount: int = FULL, regexes: str = "", name: str = "") -> Edge:
    return Edge(issuer, subject, name or subject, depth, amount, regexes)


def test_a_root_is_believed_as_far_as_it_is_trusted() -> None:
    #  ann --90--> tom
    assert amounts([edge("ann", "tom", amount=90)]) == [90]
    assert amounts([edge("ann", "tom", amount=90)], roots={"ann": 40}) == [40]
    assert amounts([edge("ann", "tom", amount=90)], roots={"bob": 120}) == []
    assert amounts([edge("ann", "tom", amount=255)]) == [120]
    assert amounts([edge("ann", "tom", amount=0)]) == []


def test_a_root_authenticates_its_own_names() -> None:
    assert amounts([], "ann") == [120]
    assert amounts([], "ann", roots={"ann": 40}) == [40]
    assert amounts([edge("bob", "ann", amount=60)], "ann", roots={"ann": 40, "bob": 120}) == [40, 60]


def test_only_a_binding_that_the_key_claims_can_be_authenticated() -> None:
    assert amounts([edge("ann", "tom", name="somebody else")], name="somebody else") == []


def test_a_certification_is_over_one_name() -> None:
    assert amounts([edge("ann", "tom", name="tom@two")]) == []


def test_depth_is_how_many_certifications_may_follow() -> None:
    #  ann --d--> bob --1--> cat --0--> tom
    rest = [edge("bob", "cat", 1), edge("cat", "tom")]
    assert [amounts([edge("ann", "bob", depth), *rest]) for depth in (0, 1, 2, 255)] == [[], [], [120], [120]]
    assert amounts([edge("ann", "bob", 255), edge("bob", "cat", 0), edge("cat", "tom")]) == []


def test_no_limit_is_no_limit() -> None:
    chain = [edge(f"p{i}", f"p{i + 1}", 255) for i in range(300)] + [edge("ann", "p0", 255), edge("p300", "tom")]
    assert amounts(chain) == [120]
    assert amounts([e._replace(depth=254) if e.subject == "p0" else e for e in chain]) == []


def test_the_amount_of_a_path_is_its_least() -> None:
    assert amounts([edge("ann", "bob", 2, 90), edge("bob", "cat", 1, 30), edge("cat", "tom", 0, 60)]) == [30]


def test_paths_add_up_and_stop_when_it_is_enough() -> None:
    three = [e for i in "xyz" for e in (edge("ann", i, 1, 50), edge(i, "tom"))]
    assert amounts(three) == [50, 50, 50]
    assert amounts(three, wanted=100) == [50, 50]
    assert amounts(three, wanted=101) == [50, 50, 50]


def test_what_is_shared_counts_once() -> None:
    #  ann --50--> bob --\                      the last step carries 70 in all
    #  ann --50--> cat ---> dan --70--> tom
    edges = [edge("ann", "bob", 2, 50), edge("ann", "cat", 2, 50), edge("bob", "dan", 1), edge("cat", "dan", 1)]
    assert amounts([*edges, edge("dan", "tom", 0, 70)]) == [50, 20]


def test_more_than_full_is_full() -> None:
    both = [edge("ann", "bob", 1), edge("eve", "bob", 1), edge("bob", "tom", 0, 255)]
    assert amounts(both, roots={"ann": 120, "eve": 120}) == [120]


def test_one_issuer_has_one_budget_over_a_key_whatever_the_names() -> None:
    # dan may introduce tom by either name, but says it with 120 once.
    edges = [edge("dan", "tom", 1, name="tom@two"), edge("dan", "tom", 1), edge("ann", "dan", 9)]
    assert amounts(edges) == [120]


def test_an_introducer_is_believed_about_his_own_names() -> None:
    #  ann --(tom@two) 1--> tom --self--> tom
    assert amounts([edge("ann", "tom", 1, 70, name="tom@two")]) == [70]
    assert amounts([edge("ann", "tom", 0, 70, name="tom@two")]) == []
    assert amounts([edge("ann", "bob", 1), edge("bob", "tom", 1, name="tom@two")]) == []
    assert amounts([edge("ann", "bob", 2), edge("bob", "tom", 1, name="tom@two")]) == [120]


def test_his_own_word_is_asked_first_even_where_less_is_left() -> None:
    edges = [edge("ann", "tom", 1, 50, name="tom@two"), edge("bob", "tom", 0, 120)]
    assert amounts(edges, roots={"ann": 120, "bob": 120}, wanted=50) == [50]


@pytest.mark.parametrize("where", [0, 1, 2])
def test_every_scope_on_the_way_has_to_match_the_name_at_its_end(where: int) -> None:
    chain = [edge("ann", "bob", 2), edge("bob", "cat", 1), edge("cat", "tom")]
    fits, fails = (
        [e._replace(regexes=r) if i == where else e for i, e in enumerate(chain)] for r in ("^tom$", "^cat$")
    )
    assert (amounts(fits), amounts(fails)) == ([120], [])


def test_cycles_lead_nowhere() -> None:
    ring = [edge(u, v, 255) for u, v in ("bc", "cd", "db", "bd", "dc", "cb")]
    assert amounts([*ring, edge("d", "tom")]) == []
    assert amounts([*ring, edge("d", "tom"), edge("tom", "b", 255), edge("ann", "b", 255, 60)]) == [60]


def test_the_way_through_another_root_is_a_way() -> None:
    #  bob is a root of 40; through ann's full trust he still says no more than 40 at a time.
    edges = [edge("ann", "bob", 5), edge("bob", "tom")]
    assert amounts(edges, roots={"ann": 120, "bob": 40}) == [40]


def test_the_shorter_way_is_preferred_to_the_wider_one() -> None:
    #            /--------30--------\           bob's short way leaves 70 of the step to him for the long one
    #  ann --100--> bob --> cat --> tom
    edges = [edge("ann", "bob", 2, 100), edge("bob", "tom", 0, 30), edge("bob", "cat", 1), edge("cat", "tom")]
    assert amounts(edges) == [30, 70]


def test_the_wider_of_two_short_ways_is_preferred() -> None:
    edges = [e for i, a in (("x", 30), ("y", 80), ("z", 60)) for e in (edge("bob", i, 1, a), edge(i, "tom"))]
    assert amounts([edge("ann", "bob", 2), *edges], wanted=1) == [80]


def test_of_several_roots_the_widest_way_goes_first_then_the_shortest_then_the_last_name() -> None:
    #  ann --a--> tom <--b-- bob <--120-- zed
    def roots_in_order(a: int, b: int, *more: Edge) -> str:
        edges = [edge("ann", "tom", 0, a), edge("zed", "bob", 1), edge("bob", "tom", 0, b), *more]
        network = network_of_edges(edges, [("tom", "tom")])
        roots = dict.fromkeys(("ann", "zed", "eve"), FULL)
        return " ".join(path.root for path in network.authenticate(roots, "tom", "tom", wanted=9 * FULL))

    assert roots_in_order(60, 60) == "ann zed"
    assert roots_in_order(30, 60) == "zed ann"
    assert roots_in_order(60, 60, edge("eve", "tom", 0, 60)) == "eve ann zed"


def test_his_own_word_is_spent_once() -> None:
    # The trust of ann in the word of tom leaves nothing of what tom is believed as a root.
    edges = [edge("ann", "tom", 1, name="tom@two")]
    assert amounts(edges, roots={"ann": 120, "tom": 40}) == [120]
    assert amounts([edge("ann", "tom", 1)], roots={"ann": 120, "tom": 40}) == [120, 40]


def test_of_two_that_are_as_good_the_same_is_taken_in_any_order() -> None:
    both = [edge("ann", "tom", 1), edge("ann", "tom", 1, name="tom@two")]
    taken = [network_of_edges(e, [("tom", "tom")]).authenticate(ANN, "tom", "tom") for e in (both, both[::-1])]
    assert taken == [(Path("ann", (both[0],), FULL),)] * 2


def test_flow_once_taken_is_not_given_back() -> None:
    #  ann -> a -> b -> tom is the shortest, and then neither longer way has its step to a or from b left.
    short = [edge("ann", "a", 9), edge("a", "b", 9), edge("b", "tom")]
    long = [
        edge("a", "x", 9),
        edge("x", "y", 9),
        edge("y", "tom"),
        edge("ann", "p", 9),
        edge("p", "q", 9),
        edge("q", "b", 9),
    ]
    without = [e for e in [*short, *long] if (e.issuer, e.subject) != ("a", "b")]
    assert amounts(without) == [120, 120]
    assert amounts([*short, *long]) == [120]


def test_hostile_size_is_refused_rather_than_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "MAX_STEPS", 200)
    network = network_of_edges([edge(f"p{i}", "tom") for i in range(60)], [("tom", "tom")])
    assert network.authenticate({"p0": 120}, "tom", "tom") != ()
    with pytest.raises(NotConverged, match="200"):
        network.authenticate({"p1": 120}, "tom", "tom")


# what is in force

NOW = 1_000_000


def host(name: str, *, revoked: int | None = None, **times: Any) -> HostKey:
    fields: dict[str, Any] = {"created_at": 100, "self_signed_at": 100} | times
    name_of = UserId(name, UserIdScope.OTHER, "", None if revoked is None else UnixSeconds(revoked))
    return HostKey(name, "", b"", user_ids=(name_of,), **fields)


def made(issuer: str = "ann", subject: str = "tom", at: int = 500, **fields: Any) -> Certification:
    return Certification(issuer, subject, fields.pop("name", subject), UnixSeconds(at), **fields)


def in_force(*certifications: Certification, ann: HostKey | None = None, tom: HostKey | None = None) -> int:
    """The amount to which ann authenticates tom now."""
    keys = [ann or host("ann"), tom or host("tom"), host("bob")]
    network = certification_network(keys, certifications, UnixSeconds(NOW))
    return sum(path.amount for path in network.authenticate(ANN, "tom", "tom"))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 120),
        ({"at": NOW}, 120),
        ({"at": NOW + 1}, 0),
        ({"expires_at": NOW + 1}, 120),
        ({"expires_at": NOW}, 0),
        ({"revoked_at": NOW + 1}, 120),
        ({"revoked_at": NOW}, 0),
        ({"weak": True}, 0),
        ({"at": 99}, 0),
        ({"issuer": "stranger"}, 0),
        ({"name": "tom@two"}, 0),
    ],
)
def test_a_certification_counts_while_it_is_in_force(fields: dict[str, Any], expected: int) -> None:
    assert in_force(made(**fields)) == expected


@pytest.mark.parametrize(
    ("times", "as_issuer", "as_subject"),
    [
        ({"expires_at": 501}, 120, 0),
        ({"expires_at": 500}, 0, 0),
        ({"revoked_at": 501}, 120, 0),
        ({"revoked_at": 500}, 0, 0),
        ({"revoked_at": NOW + 1}, 120, 120),
        ({"expires_at": NOW + 1}, 120, 120),
        ({"revoked_at": NOW - 1, "hard_revoked": True}, 0, 0),
        ({"created_at": 501}, 0, 0),
        ({"self_signed_at": 0}, 0, 0),
    ],
)
def test_keys_have_to_live_when_it_is_made_and_the_subject_now(
    times: dict[str, Any], as_issuer: int, as_subject: int
) -> None:
    assert in_force(made(), ann=host("ann", **times)) == as_issuer
    assert in_force(made(), tom=host("tom", **times)) == as_subject


def test_a_revoked_name_is_none_but_its_certification_still_delegates() -> None:
    assert in_force(made(), tom=host("tom", revoked=NOW)) == 0
    assert in_force(made(), tom=host("tom", revoked=NOW + 1)) == 120
    keys = [host("ann"), host("bob", revoked=NOW), host("tom")]
    chain = [made("ann", "bob", depth=1), made("bob", "tom")]
    network = certification_network(keys, chain, UnixSeconds(NOW))
    assert network.authenticate(ANN, "bob", "bob") == ()
    assert [path.amount for path in network.authenticate(ANN, "tom", "tom")] == [120]


def test_the_newest_of_an_issuer_over_a_name_stands() -> None:
    old, new = made(at=500, amount=90), made(at=600, amount=30)
    assert in_force(old, new) == in_force(new, old) == 30
    assert in_force(old, replace(new, expires_at=NOW)) == 90
    assert in_force(old, replace(new, revoked_at=NOW)) == 90
    assert in_force(old, made("bob", at=600, amount=30)) == 90
    assert in_force(old, made(at=600, amount=30, name="tom@two")) == 90


def test_two_of_the_same_second_stand_side_by_side() -> None:
    #  ann --50/2--> bob, ann --70/1--> bob: the deeper one is needed for tom, the wider one for bob.
    keys = [host(name) for name in ("ann", "bob", "cat", "tom")]
    both = [made("ann", "bob", depth=2, amount=50), made("ann", "bob", depth=1, amount=70)]
    rest = [made("bob", "cat", depth=1), made("cat", "tom")]
    for certifications in ([*both, *rest], [*reversed(both), *rest]):
        network = certification_network(keys, certifications, UnixSeconds(NOW))
        got = {name: sum(p.amount for p in network.authenticate(ANN, name, name)) for name in ("bob", "cat", "tom")}
        assert got == {"bob": 70, "cat": 70, "tom": 50}


# random networks

PEOPLE = tuple("abcdef")
_EDGES = st.lists(
    st.builds(
        Edge,
        st.sampled_from(PEOPLE),
        st.sampled_from(PEOPLE),
        st.sampled_from(["x1", "x2"]),
        st.sampled_from([0, 0, 1, 2, 3, 255]),
        st.sampled_from([0, 1, 40, 60, 120, 200]),
        st.sampled_from(["", "", "", "1", "2", "["]),
    ).filter(lambda e: e.issuer != e.subject),
    max_size=16,
)
_ROOTS = st.dictionaries(st.sampled_from(PEOPLE[:4]), st.sampled_from([1, 40, 120]), min_size=1, max_size=3)
_BINDINGS = [(person, name) for person in PEOPLE for name in ("x1", "x2")]


def paths_of(edges: Iterable[Edge], roots: Mapping[str, int]) -> tuple[Path, ...]:
    return network_of_edges(edges, _BINDINGS).authenticate(roots, "f", "x1", wanted=10**6)


@checked(150)
@given(_EDGES, _ROOTS, st.randoms(use_true_random=False))
def test_order_does_not_matter(edges: list[Edge], roots: dict[str, int], random: Any) -> None:
    shuffled = random.sample(edges, len(edges))
    backwards = dict(reversed(roots.items()))
    assert paths_of(shuffled, backwards) == paths_of(edges, roots)


@checked(150)
@given(_EDGES, _EDGES, _ROOTS)
def test_a_further_certification_never_takes_all_away(
    edges: list[Edge], more: list[Edge], roots: dict[str, int]
) -> None:
    assert bool(paths_of([*edges, *more], roots)) >= bool(paths_of(edges, roots))


@checked(150)
@given(_EDGES, _ROOTS)
def test_it_is_never_more_than_could_flow(edges: list[Edge], roots: dict[str, int]) -> None:
    graph: nx.DiGraph[str] = nx.DiGraph()
    for e in edges:
        capacity = min(e.amount, FULL, roots.get(e.issuer, FULL))
        before = graph.get_edge_data(e.issuer, e.subject, {"capacity": 0})["capacity"]
        graph.add_edge(e.issuer, e.subject, capacity=max(before, capacity))
    graph.add_edges_from(("anchors", root) for root in roots if root != "f")
    graph.add_nodes_from(["anchors", "f"])
    graph.add_edges_from([("f", "sink")])
    most = nx.maximum_flow_value(graph, "anchors", "sink")
    assert sum(path.amount for path in paths_of(edges, roots) if path.edges) <= most


@checked(250)
@given(_EDGES, _ROOTS)
def test_every_path_is_the_best_of_all_that_there_are(edges: list[Edge], roots: dict[str, int]) -> None:
    # Each root's shortest ways, of those the widest; over the roots the widest, then the shortest, then the last name.
    left = Counter(
        {(e.issuer, e.subject, i): min(e.amount, FULL, roots.get(e.issuer, FULL)) for i, e in enumerate(edges)}
    )
    own = Counter({root: amount for root, amount in roots.items() if root == "f"})
    for path in paths_of(edges, roots):
        assert (path.amount, path.length, path.root) == best_of_all(edges, roots, left, own)
        spend(edges, left, own, path)
    assert best_of_all(edges, roots, left, own) is None


Left = Counter[tuple[str, str, int]]


def best_of_all(
    edges: list[Edge], roots: Mapping[str, int], left: Left, own: Counter[str]
) -> tuple[int, int, str] | None:
    for by_own_word in (True, False):
        best = []
        for root in roots:
            ways = list(all_ways(edges, left, root, by_own_word))
            if root == "f" and by_own_word and own["f"] > 0:
                best.append((own["f"], 0, root))
            if ways and root != "f":
                shortest = min(len(way) for way in ways)
                widest = max(
                    min(left[edges[i].issuer, edges[i].subject, i] for i in way) for way in ways if len(way) == shortest
                )
                lengths = {
                    shortest + (by_own_word and edges[way[-1]].user_id != "x1")
                    for way in ways
                    if len(way) == shortest and min(left[edges[i].issuer, edges[i].subject, i] for i in way) == widest
                }
                best.append((widest, min(lengths), root))
        if best:
            return max(best, key=lambda one: (one[0], -one[1], one[2]))
    return None


def all_ways(edges: list[Edge], left: Left, start: str, by_own_word: bool) -> Iterator[list[int]]:
    """Every way from ``start`` to f, as positions of edges, that depths, scopes, names and what is left allow."""

    def onward(at: str, way: list[int]) -> Iterator[list[int]]:
        if at == "f":
            yield way
            return
        for i, e in enumerate(edges):
            visited = {edges[j].issuer for j in way}
            if e.issuer == at and e.subject not in visited and left[e.issuer, e.subject, i] > 0:
                yield from onward(e.subject, [*way, i])

    for way in onward(start, []):
        follow = len(way) - 1 + by_own_word
        deep = all(edges[i].depth >= follow - n or edges[i].depth == 255 for n, i in enumerate(way))
        named = by_own_word or edges[way[-1]].user_id == "x1"
        if way and deep and named and all(in_scope(edges[i].regexes, "x1") for i in way):
            yield way


def spend(edges: list[Edge], left: Left, own: Counter[str], path: Path) -> None:
    for used in path.edges:
        for i, e in enumerate(edges):
            if (e.issuer, e.subject) == (used.issuer, used.subject):
                left[e.issuer, e.subject, i] = max(0, left[e.issuer, e.subject, i] - path.amount)
    if path.own_word or not path.edges:
        own["f"] = max(0, own["f"] - path.amount)
