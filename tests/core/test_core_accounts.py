"""People rolled up to accounts: against a base that was built of accounts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark import CustomerBase, CustomerTable, EventLog, days, event, field, prop
from relmark.core.errors import InputError, MissingColumnError
from relmark.scoring import LeadScore, Rule
from relmark.segmentation import Segment

PEOPLE = st.lists(
    st.tuples(
        st.sampled_from(["acme", "bolt", "cog", None]), st.one_of(st.none(), st.integers(-5, 5)),
        st.one_of(st.none(), st.booleans()), st.sampled_from(["x", "y", None]),
    ),
    min_size=1, max_size=12,
)  # fmt: skip
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 13), st.sampled_from(["visit", "order"]), st.integers(0, 40), st.sampled_from(["a", "b", None])
    ),
    max_size=20,
)
START = np.datetime64("2026-01-01", "us")


def log_of(who, rows):
    return EventLog.from_columns(
        customer_id=who, type=[row[1] for row in rows], value=[float(row[2]) for row in rows],
        time=[START + np.timedelta64(row[2] * 3_600, "s") for row in rows],
        properties={"page": [row[3] for row in rows]},
    )  # fmt: skip


@given(PEOPLE, EVENTS)
def test_segments_and_scores_of_accounts_are_those_of_a_base_built_by_hand(people, rows):
    names = [f"p{k:02}" for k in range(14)]
    company, number, flag, word = zip(*people, strict=True)
    table = CustomerTable.from_columns(
        customer_id=names[: len(people)], company=list(company), number=list(number), flag=list(flag), word=list(word)
    )
    of = dict(zip(names, company, strict=False))
    log = log_of([names[row[0]] for row in rows], rows) if rows else None
    base = CustomerBase(customers=table, events=log)
    fields = {
        "people": "count", "total": ("number", "sum"), "mean": ("number", "mean"), "low": ("number", "min"),
        "high": ("number", "max"), "any": ("flag", "any"), "all": ("flag", "all"), "word": "most_common",
        "known": ("number", "count"),
    }  # fmt: skip
    rolled = base.rolled_up("company", fields)

    accounts = sorted({one for one in company if one is not None})
    made = {name: [] for name in fields}
    for account in accounts:
        mine = [row for row in people if row[0] == account]
        numbers = [row[1] for row in mine if row[1] is not None]
        flags = [row[2] for row in mine if row[2] is not None]
        words = sorted(row[3] for row in mine if row[3] is not None)
        made["people"].append(len(mine))
        made["known"].append(len(numbers))
        for name, figure in (("total", sum), ("mean", np.mean), ("low", min), ("high", max)):
            made[name].append(figure(numbers) if numbers else None)
        made["any"].append(any(flags) if flags else None)
        made["all"].append(all(flags) if flags else None)
        made["word"].append(max(words, key=words.count) if words else None)
    theirs = [row for row in rows if of.get(names[row[0]]) is not None]
    by_hand = CustomerBase(
        customers=CustomerTable.from_columns(customer_id=accounts, **made) if accounts else None,
        events=log_of([of[names[row[0]]] for row in theirs], theirs) if theirs else None,
    )  # fmt: skip
    assert rolled.customer_id.tolist() == by_hand.customer_id.tolist()
    if not accounts:
        return
    for name in fields:
        mine, hand = rolled.column(name), by_hand.column(name)
        assert [mine.value(k) for k in range(len(mine))] == [hand.value(k) for k in range(len(hand))]
    rule = (
        (event("order").sum(within=days(1)) > 20)
        | (field("high") >= 3)
        | event("visit", where=prop("page") == "a").exists()
    )
    score = LeadScore(
        name="s", rules=[Rule("r", when=rule, points=5), Rule("any", when=field("any").is_in([True]), points=1.5)]
    )
    for as_of in ("2026-01-02", START + np.timedelta64(90_000, "s")):
        ours, hands = (Segment("s", rule=rule).evaluate(one, as_of=as_of) for one in (rolled, by_hand))
        assert ours.mask.tolist() == hands.mask.tolist()
        assert ours.unknown_mask.tolist() == hands.unknown_mask.tolist()
        scores = [score.evaluate(one, as_of=as_of).to_columns() for one in (rolled, by_hand)]
        assert {k: v.tolist() for k, v in scores[0].items()} == {k: v.tolist() for k, v in scores[1].items()}
    left = sum(1 for name in base.customer_id.tolist() if of.get(name) is None)
    assert any(f"{left:,} people have no 'company'" in note for note in rolled.notes) == (left > 0)


def test_days_stay_days_and_events_may_stay_behind():
    table = CustomerTable.from_columns(customer_id=[1, 2], company=[7, 7])
    log = EventLog.from_columns(customer_id=[1, 2], type="visit", time=["2026-01-05", "2026-01-06"])
    base = CustomerBase(customers=table, events=log, tz="Europe/Berlin")
    rolled = base.rolled_up("company")
    assert rolled.customer_id.tolist() == [7]
    assert rolled.events.required("visit").day_zone == "Europe/Berlin"
    assert len(rolled.events) == 2
    assert len(base.rolled_up("company", events=False).events) == 0
    assert base.rolled_up("company", {"n": "count"}, events=False).column("n").values().tolist() == [2]


def test_the_same_value_and_dates_and_tags():
    table = CustomerTable.from_columns(
        customer_id=[1, 2, 3], company=["a", "a", "b"], country=["de", None, "fr"],
        joined=np.array(["2026-01-05", "2025-01-05", "NaT"], "M8[D]"), tags=[{"x"}, {"x"}, {"y", "z"}],
    )  # fmt: skip
    base = CustomerBase(customers=table)
    rolled = base.rolled_up("company", {"country": "same", "since": ("joined", "min"), "tags": "same"})
    assert rolled.column("country").values().tolist() == ["de", "fr"]
    assert str(rolled.column("since").values()[0]) == "2025-01-05"
    assert np.isnat(rolled.column("since").values()[1])
    assert rolled.column("tags").values().tolist() == [frozenset({"x"}), frozenset({"y", "z"})]
    other = CustomerTable.from_columns(customer_id=[1, 2], company=["a", "a"], country=["de", "fr"])
    with pytest.raises(InputError, match=r"account 'a' has 'de' and 'fr'"):
        CustomerBase(customers=other).rolled_up("company", {"country": "same"})


@pytest.mark.parametrize(
    ("account", "fields", "error", "words"),
    [
        ("firm", {}, MissingColumnError, "no field 'firm'"),
        ("size", {}, InputError, "words or whole numbers"),
        ("company", ["size"], InputError, "a mapping is needed"),
        ("company", {"size": "median"}, InputError, "must be one of"),
        ("company", {"sise": "sum"}, InputError, "must be one of"),
        ("company", {"company": "sum"}, InputError, "of kind 'text'"),
        ("company", {"size": ("size", "sum", 1)}, InputError, "a pair of a field"),
    ],
)
def test_what_does_not_fit_is_refused(account, fields, error, words):
    table = CustomerTable.from_columns(customer_id=[1, 2], company=["a", "b"], size=[1.5, 2.0])
    with pytest.raises(error, match=words):
        CustomerBase(customers=table).rolled_up(account, fields)
