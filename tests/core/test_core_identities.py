"""One customer out of many records: joins, chains, hubs, and why."""

from __future__ import annotations

import json
import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark import resolve_identities
from relmark.errors import InputError, MissingColumnError


def refused(text, kind=InputError):
    return pytest.raises(kind, match=re.escape(text))


def test_a_chain_of_different_keys_is_one_customer_and_each_join_is_explained():
    people = resolve_identities(
        {
            "email": ["ann@x.org", " ANN@x.org", None, "bob@x.org", None],
            "phone": [None, "+7 900 123-45-67", "007 900 1234567", None, "12345"],
            "card": [None, None, "c1", None, "C1 "],
        },
        keys=["email", "phone", "card"],
    )
    assert people.customer_id.tolist() == [0, 0, 0, 3, 0]
    assert people.groups == ((0, 1, 2, 4), (3,))
    assert [str(join) for join in people.explain(0)] == [
        "record 1 joins record 0 by email 'ann@x.org'",
        "record 2 joins record 1 by phone '79001234567'",
        "record 4 joins record 2 by card 'c1'",
    ]
    assert people.explain(3) == ()
    assert repr(people) == "Identities(records=5, customers=2, refused=0)"
    assert str(people).startswith(repr(people))
    assert "<table>" in people._repr_html_()
    assert pickle.loads(pickle.dumps(people)).explain(0) == people.explain(0)
    for nobody in (1, "0"):
        with refused(f"there is no merged customer {nobody!r}."):
            people.explain(nobody)


def test_ids_that_records_have_already_join_and_the_smallest_names_the_group():
    records = {"id": ["b", "a", "b", "c"], "email": ["x", None, "y", "y"]}
    for given_records in (records, pd.DataFrame(records), pl.DataFrame(records)):
        people = resolve_identities(given_records, keys=["email"], customer_id="id")
        assert people.customer_id.tolist() == ["b", "a", "b", "b"]
        assert people.group.tolist() == [0, 1, 0, 0]
        assert people.explain("b")[0].key == "id"
    missing = pd.DataFrame({"id": pd.Categorical(["b", None]), "email": ["x", "y"]})
    with refused("id is missing in row 1: drop these rows."):
        resolve_identities(missing, keys=["email"], customer_id="id")


def test_a_hub_joins_nobody_and_is_reported():
    n = 30
    records = {
        "phone": ["8 800 555 0000"] * n + [None, "79001112233"],
        "email": [f"{k}@x.org" for k in range(n)] + ["a@x.org", "a@x.org"],
    }
    people = resolve_identities(records, keys=["phone", "email"])
    assert people.groups[-1] == (n, n + 1)
    assert len(people.groups) == n + 1
    hub = people.refused[0]
    assert (hub.key, hub.value, hub.records, hub.people) == ("phone", "88005550000", n, n)
    assert json.loads(people.to_json())["refused"][0]["people"] == n
    assert len(resolve_identities(records, keys=["phone", "email"], hub=n).groups) == 2
    alone = resolve_identities({"phone": records["phone"]}, keys=["phone"])
    assert alone.refused[0].people == n
    # twenty records of one person are no hub, however many there are
    loyal = resolve_identities({"phone": ["79001112233"] * 20, "email": ["a@x.org"] * 20}, keys=["phone", "email"])
    assert loyal.refused == ()
    assert loyal.groups == (tuple(range(20)),)


def test_the_order_of_keys_decides_nothing():
    n = 15
    records = {"a": ["hub"] * n, "b": [f"v{k}" for k in range(n)], "c": [f"w{k // 2}" for k in range(n)]}
    found = [
        resolve_identities(records, keys=keys, hub=5) for keys in (["a", "b", "c"], ["c", "b", "a"], ["b", "a", "c"])
    ]
    for other in found[1:]:
        assert other.group.tolist() == found[0].group.tolist()
        assert set(other.refused) == set(found[0].refused)


def test_whole_numbers_are_keys_too_and_missing_ones_join_nobody():
    people = resolve_identities({"card": np.array([5, 5, 6]), "x": [None, float("nan"), pd.NA]}, keys=["card", "x"])
    assert people.group.tolist() == [0, 0, 1]
    assert resolve_identities({"card": [np.int64(5), "5"]}, keys=["card"]).group.tolist() == [0, 0]
    categories = pd.DataFrame({"card": pd.Categorical([5, None, 5])})
    assert resolve_identities(categories, keys=["card"]).group.tolist() == [0, 1, 0]
    nobody = resolve_identities({"card": []}, keys=["card"])
    assert nobody.groups == ()
    assert nobody.to_dict() == {"customer_id": [], "group": [], "refused": []}


def test_a_caller_may_normalize_a_key():
    people = resolve_identities(
        {"phone": ["1-2", "12", "x"]}, keys=["phone"], normalize={"phone": lambda t: t.replace("-", "")}
    )
    assert people.group.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("arguments", "message", "kind"),
    [
        ({"keys": "email"}, "keys is 'email': a list of different column names", InputError),
        ({"keys": []}, "keys is []: a list", InputError),
        ({"keys": ["email", "email"]}, "keys is ['email', 'email']: a list of different", InputError),
        ({"keys": ["email"], "customer_id": "email"}, "without customer_id, is needed.", InputError),
        (
            {"keys": ["emial"]},
            "there is no column 'emial': the data have 'email', 'x'. Did you mean 'email'?",
            MissingColumnError,
        ),
        ({"keys": ["email", "x"]}, "x has 1 rows and the other columns have 2", InputError),
        ({"keys": ["email"], "hub": 0}, "hub is 0: a whole number of at least 1 is needed.", InputError),
        (
            {"keys": ["email"], "normalize": {"emial": str}},
            "normalize has 'emial', which is not one of the keys. Did you",
            InputError,
        ),
    ],
)
def test_records_that_cannot_be_resolved_are_refused(arguments, message, kind):
    with refused(message, kind):
        resolve_identities({"email": ["a", "b"], "x": ["c"]}, **arguments)
    with refused("email has 1.5 in row 0: strings or whole numbers are needed."):
        resolve_identities({"email": [1.5]}, keys=["email"])


values = st.none() | st.sampled_from("abcd")


@given(st.lists(st.tuples(values, values, values), max_size=12), st.randoms(use_true_random=False))
def test_groups_are_the_connected_components_and_explanations_reach_everyone(rows, random):
    records = {name: [row[k] for row in rows] for k, name in enumerate("xyz")}
    people = resolve_identities(records, keys=["x", "y", "z"], hub=1_000)
    group = list(range(len(rows)))  # the slow way: join until nothing changes
    for _ in rows:
        for i, a in enumerate(rows):
            for j, b in enumerate(rows):
                if any(v is not None and v == w for v, w in zip(a, b, strict=True)):
                    group[i] = group[j] = min(group[i], group[j])
    assert people.customer_id.tolist() == group
    for members in people.groups:
        joins = people.explain(int(people.customer_id[members[0]]))
        reached = {members[0]}
        for join in joins:
            assert join.record in reached
            assert records[join.key][join.record] == records[join.key][join.other] == join.value
            reached.add(join.other)
        assert reached == set(members)
    shuffled = list(range(len(rows)))
    random.shuffle(shuffled)
    again = resolve_identities(
        {k: [v[i] for i in shuffled] for k, v in records.items()}, keys=["x", "y", "z"], hub=1_000
    )
    assert {frozenset(shuffled[i] for i in g) for g in again.groups} == set(map(frozenset, people.groups))


@pytest.mark.parametrize(
    ("key", "spellings"),
    [
        ("email", ["jos\u00e9@x.org", "jose\u0301@x.org", "JOS\u00c9@X.ORG", " JOSE\u0301@x.org\u3000"]),
        ("email", ["ann@x.org", "\uff41\uff4e\uff4e\uff20x.org"]),
        ("name", ["stra\u00dfe", "STRASSE", "Stra\u00dfe "]),
        ("phone", ["0049 30 1234567", "(0049) 30 1234567", "+49 (30) 123-45-67", "\uff0b\uff14\uff19 30 1234567",
                   "\u0664\u0669\u0663\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667", "+\u06f4\u06f9 30 1234567"]),
        ("card", ["\uff11\uff12\uff13", "123", "123 "]),
    ],
)  # fmt: skip
def test_one_person_in_several_spellings_is_one(key, spellings):
    people = resolve_identities({key: spellings}, keys=[key])
    assert people.group.tolist() == [0] * len(spellings)


def test_what_only_a_country_knows_stays_apart_until_it_is_said():
    phones = ["+44 (0)20 7946 0000", "+44 20 7946 0000", "+521 55 1234 5678", "+52 55 1234 5678"]
    assert resolve_identities({"phone": phones}, keys=["phone"]).group.tolist() == [0, 1, 2, 3]
