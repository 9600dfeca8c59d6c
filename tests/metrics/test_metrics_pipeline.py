"""The stages of sales: against an independent package, deals whose truth is known, and a slow reading."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.duration.survfunc import CumIncidenceRight, SurvfuncRight

from relmark import CustomerBase, CustomerTable, EventLog, days, field
from relmark.core.errors import InputError, MissingColumnError
from relmark.metrics import pipeline
from relmark.metrics._survival import incidence

DAY_US = 86_400_000_000
ORIGIN = np.datetime64("2025-01-01T00:00:00", "us")


def at(day):
    return ORIGIN + np.rint(np.asarray(day, dtype=float) * DAY_US).astype(np.int64).astype("m8[us]")


def frame(rows, **more):
    deal, stage, day = zip(*rows, strict=True)
    return {"deal": list(deal), "stage": list(stage), "time": at(np.array(day)), **more}


def one_stage(rng, n, span):
    """Return deals of which half are won, slowly, and half are lost, soon; and many of which are young."""
    start = np.where(rng.random(n) < 0.3, rng.uniform(0, span, n), span - rng.exponential(30, n))
    wins = rng.random(n) < 0.5
    wait = np.where(wins, rng.exponential(60, n), rng.exponential(12, n))
    return np.maximum(start, 0), wins, wait


def as_columns(start, wins, wait):
    ids = np.arange(len(start))
    return {
        "deal": np.concatenate([ids, ids]),
        "stage": np.concatenate([np.full(len(ids), "offer"), np.where(wins, "won", "lost")]),
        "time": at(np.concatenate([start, start + wait])),
    }


def test_the_share_of_closed_deals_is_wrong_by_ten_points_where_the_incidence_is_right():
    rng = np.random.default_rng(1)
    plain, right = [], []
    for _ in range(10):
        told = pipeline(as_columns(*one_stage(rng, 4_000, 400)), stages=["offer"], as_of=at(400), horizon=days(240))
        plain.append(told.closed_share[0].value)
        right.append(told.win_probability[0].value)
    truth = 0.5 * (1 - np.exp(-240 / 60))
    assert np.mean(plain) < truth - 0.1
    assert np.mean(right) == pytest.approx(truth, abs=0.01)


def test_curves_are_those_of_statsmodels():
    rng = np.random.default_rng(2)
    for _ in range(5):
        age = rng.integers(1, 60, 400)
        cause = rng.integers(-1, 2, 400)
        age[0], cause[0] = 60, -1  # statsmodels divides by 0 where the last one ends
        ours = incidence(age, cause, 2)
        theirs = CumIncidenceRight(age, cause + 1)
        ended = ours.ends.sum(axis=1) > 0
        for k in range(2):
            assert np.allclose(ours.of[np.isin(ours.age, theirs.times), k], theirs.cinc[k], rtol=1e-12)
        km = SurvfuncRight(age, (cause >= 0).astype(int))
        assert np.allclose(ours.survival[ended], km.surv_prob, rtol=1e-12)
        assert ours.quantile(0.5) == km.quantile(0.5)


def test_median_days_are_those_of_statsmodels():
    rng = np.random.default_rng(3)
    start, wins, wait = one_stage(rng, 500, 100)
    told = pipeline(as_columns(start, wins, wait), stages=["offer"], as_of=at(100))
    seen = start <= 100
    theirs = SurvfuncRight(np.minimum(wait, 100 - start)[seen], (start + wait <= 100)[seen].astype(int))
    assert told.median_days[0] == pytest.approx(theirs.quantile(0.5), rel=1e-9)


def test_the_interval_of_the_incidence_covers():
    rng = np.random.default_rng(4)
    truth, hits = 0.5 * (1 - np.exp(-1.0)), 0
    for _ in range(400):
        told = pipeline(as_columns(*one_stage(rng, 300, 200)), stages=["offer"], as_of=at(200), horizon=days(60))
        hits += told.win_probability[0].low <= truth <= told.win_probability[0].high
    assert 0.92 <= hits / 400 <= 0.98


def many_stages(rng, n, span):
    """Return deals through three stages, when each is won, and what it is worth; everything that will ever happen."""
    names, means, goes = ["lead", "demo", "offer"], [10, 15, 20], [0.5, 0.6, 0.55]
    rows, won_at = [], np.full(n, np.inf)
    for deal, start in enumerate(rng.uniform(0, span, n)):
        t = start
        for stage in range(3):
            rows.append((deal, names[stage], t))
            t += rng.weibull(1.3) * means[stage]
            if rng.random() >= goes[stage]:
                rows.append((deal, "lost", t))
                break
        else:
            rows.append((deal, "won", t))
            won_at[deal] = t
    return rows, won_at, rng.gamma(2, 50, n)


def hits_of_forecast(seed, months, resamples):
    rng = np.random.default_rng(seed)
    hits, real, said = 0, 0.0, 0.0
    for _ in range(months):
        rows, won_at, worth = many_stages(rng, 400, 120)
        data = frame([row for row in rows if row[2] <= 120])
        data["amount"] = worth[np.array(data["deal"])]
        told = pipeline(data, stages=["lead", "demo", "offer"], as_of=at(120), amount="amount")
        f = told.forecast(days(30), resamples=resamples, rng=rng)
        judged = told.open_deals.deal[~np.isnan(f.probability)]
        came = float((worth[judged] * (won_at[judged] <= 150)).sum())
        hits += f.total.low <= came <= f.total.high
        real, said = real + came, said + f.total.value
    return hits / months, said / real


@pytest.mark.long
def test_the_forecast_is_right_on_average_and_its_interval_covers_months():
    share, bias = hits_of_forecast(5, 60, 200)
    assert share >= 0.88
    assert bias == pytest.approx(1, abs=0.08)


@pytest.mark.slow
def test_the_interval_of_the_forecast_covers_95_of_100_simulated_months():
    share, bias = hits_of_forecast(6, 600, 300)
    assert 0.93 <= share <= 0.97
    assert bias == pytest.approx(1, abs=0.03)


def slow_stays(rows, stages, now):
    """Return (deal, spell, stage, age, next) of each stay, read one deal after the other."""
    rank = {name: k for k, name in enumerate([*stages, "won", "lost"])}
    out = []
    for deal in sorted({row[0] for row in rows}):
        mine = sorted((t, rank[s]) for d, s, t in rows if d == deal and t <= now)
        spell, here, since = 0, None, None
        for t, r in mine:
            if r == here:
                continue
            if here is not None and here < len(stages):
                out.append((deal, spell, here, t - since, r))
            elif here is not None:
                spell += 1
            here, since = r, t
        if here is not None and here < len(stages):
            out.append((deal, spell, here, now - since, -1))
    return out


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from(["a", "b", "c", "won", "lost"]), st.integers(0, 30)),
        min_size=1, max_size=30,
    )
)  # fmt: skip
def test_stays_and_counts_are_those_of_a_slow_reading(rows):
    both = {(d, t) for d, s, t in rows if s == "won"} & {(d, t) for d, s, t in rows if s == "lost"}
    rows = [row for row in rows if (row[0], row[2]) not in both]
    if not any(t <= 20 for _, _, t in rows):
        return
    told = pipeline(frame(rows), stages=["a", "b", "c"], as_of=at(20))
    stays = slow_stays(rows, ["a", "b", "c"], 20)
    deals = told._deals_of
    found = zip(
        deals.names[deals.stay_deal].tolist(), deals.spell_number[deals.stay_spell].tolist(), deals.stay_rank.tolist(),
        (deals.stay_age // DAY_US).tolist(), deals.stay_cause.tolist(), strict=True,
    )  # fmt: skip
    assert sorted(found) == sorted(stays)
    for k in range(3):
        assert told.deals[k] == len({s[:2] for s in stays if s[2] == k})
        assert told.open[k] == sum(s[2] == k and s[4] == -1 for s in stays)
        assert told.moved_back[k] == sum(s[2] == k and 0 <= s[4] < k for s in stays)
        assert told.reopened[k] == len({s[:2] for s in stays if s[2] == k and s[1] > 0})
    again = pipeline(frame(rows[::-1]), stages=["a", "b", "c"], as_of=at(20))
    assert again.to_json() == told.to_json()
    f = told.forecast(days(5), resamples=20)
    assert f.open.sum() == told.open.sum()
    known = f.probability[~np.isnan(f.probability)]
    assert ((known >= -1e-9) & (known <= 1 + 1e-9)).all()


def test_skipped_reopened_moved_back_and_reowned_deals_are_counted():
    rows = [
        ("a", "lead", 0), ("a", "offer", 2), ("a", "won", 4),  # skips demo
        ("b", "lead", 0), ("b", "lost", 3), ("b", "demo", 10), ("b", "lead", 12),  # again, and back
        ("c", "won", 5),  # all skipped
    ]  # fmt: skip
    owner = ["x", "y", None, "x", None, None, None, "x"]
    told = pipeline(frame(rows, owner=owner), stages=["lead", "demo", "offer"], as_of=at(20))
    assert told.skipped.tolist() == [1, 2, 1]
    assert told.reopened.tolist() == [1, 1, 0]
    assert told.moved_back.tolist() == [0, 1, 0]
    assert told.reowned.tolist() == [1, 0, 1]
    assert (told.won.tolist(), told.lost.tolist(), told.open.tolist()) == ([1, 0, 1], [1, 0, 0], [1, 0, 0])
    assert told.open_deals.days_open.tolist() == [10]
    assert told.open_deals.days_in_stage.tolist() == [8]
    by = pipeline(frame(rows, owner=owner), stages=["lead", "demo", "offer"], as_of=at(20), by="owner")
    rows_of = {(o, s): n for o, s, n in zip(by["owner"], by["stage"], by["deals"], strict=True)}
    assert rows_of["x", "lead"] == 3  # a, b, and b again: the owner is known from the event before
    assert rows_of["y", "offer"] == 1


def test_a_change_of_owner_moves_nothing():
    rows = [("a", "lead", 0), ("a", None, 5), ("a", "lead", 6), ("a", "won", 10)]
    told = pipeline(frame(rows, owner=["x", "y", "y", "y"]), stages=["lead"], as_of=at(20))
    assert (told.deals.tolist(), told.median_days.tolist(), told.reowned.tolist()) == ([1], [10], [1])


def test_beyond_the_last_observed_age_nothing_is_said():
    rows = [("a", "offer", 0), ("a", "won", 4), ("b", "offer", 0), ("c", "offer", 8)]
    told = pipeline(frame(rows), stages=["offer"], as_of=at(10), horizon=days(11))
    assert np.isnan(told.win_probability[0].value)
    assert told.win_probability[0].reason == "nothing was observed beyond 10 days"
    f = told.forecast(days(9))
    assert (f.beyond.tolist(), f.open.tolist()) == ([2], [2])
    near = told.forecast(days(2))
    assert np.isnan(near.probability).tolist() == [True, False]  # b, at 10 days, is the oldest
    assert near.probability[1] == pytest.approx(1 / 2)  # a was won at 4, where only b was there as long
    assert "1 of 2 open deals" in str(near)


def test_an_age_changes_the_chance():
    rows = []
    for deal in range(20):  # ten are lost on day 1, ten are won on day 10
        rows += [(deal, "offer", 0), (deal, "lost" if deal < 10 else "won", 1 if deal < 10 else 10)]
    rows += [(20, "offer", 95), (21, "offer", 100)]
    told = pipeline(frame(rows), stages={"offer": 0.3}, as_of=at(100))
    f = told.forecast(days(6))
    assert f.probability[0] == pytest.approx(1)  # five days old: those like it were all won by day 10
    assert f.probability[1] == pytest.approx(0)
    assert f.fixed_amount.tolist() == [pytest.approx(0.6)]
    assert told.fixed_probability.tolist() == [0.3]


def test_a_base_gives_what_columns_give_and_groups_by_fields():
    rows = [("a", "offer", 0), ("a", "won", 4), ("b", "offer", 0), ("b", "lost", 6), ("c", "offer", 5)]
    data = frame(rows, amount=[10.0, 12.0, 5.0, 5.0, 7.0])
    log = EventLog.from_columns(
        customer_id=[{"a": 1, "b": 2, "c": 1}[deal] for deal in data["deal"]], type="deal", time=data["time"],
        properties={name: data[name] for name in ("deal", "stage", "amount")},
    )  # fmt: skip
    table = CustomerTable.from_columns(customer_id=[1, 2], region=["north", "south"])
    base = CustomerBase(customers=table, events=log)
    told = pipeline(base, stages=["offer"], as_of=at(10), amount="amount", by="region")
    assert told["region"].tolist() == ["north", "south"]
    assert (told.won.tolist(), told.lost.tolist(), told.amount.tolist()) == ([1, 0], [0, 1], [7, 0])
    both = pipeline(
        base, stages=["offer"], as_of=at(10), by={"all": field("region").not_null(), "n": field("region") == "north"}
    )
    assert both.deals.tolist() == [3, 2]
    f = both.forecast(days(1))
    assert f.open.tolist() == [1, 1]
    json.loads(told.to_json())
    assert pickle.loads(pickle.dumps(told)).forecast(days(1)).to_json() == told.forecast(days(1)).to_json()
    assert told.describe("win_probability").source.startswith("Aalen")
    assert told._repr_html_().startswith("<")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stages": []}, "stages is empty"),
        ({"stages": "offer"}, "a list of names"),
        ({"stages": ["offer", "won"]}, "'won' twice"),
        ({"stages": {"offer": 2.0}}, "at most 1"),
        ({"stages": ["offr"]}, "offer"),
        ({"amount": "worth"}, "not a property of the deals"),
        ({"amount": "stage"}, "kind 'text'"),
    ],
)
def test_what_does_not_fit_is_refused(change, words):
    data = frame([("a", "offer", 0), ("a", "won", 4)], amount=[1.0, 2.0])
    with pytest.raises(InputError, match=words):
        pipeline(data, **{"stages": ["offer"], "as_of": at(10), **change})


def test_deals_that_cannot_be_are_refused_with_the_row():
    with pytest.raises(InputError, match="at one instant"):
        pipeline(frame([("a", "won", 0), ("a", "lost", 0)]), stages=["offer"], as_of=at(10))
    with pytest.raises(InputError, match="two customers"):
        pipeline(frame([("a", "offer", 0), ("a", "won", 1)], customer_id=[1, 2]), stages=["offer"], as_of=at(10))
    with pytest.raises(InputError, match="amount has -1"):
        pipeline(frame([("a", "offer", 0)], amount=[-1.0]), stages=["offer"], as_of=at(10), amount="amount")
    with pytest.raises(InputError, match="each event needs the name of its deal"):
        pipeline(frame([(None, "offer", 0), ("a", "offer", 0)], customer_id=[1, 2]), stages=["offer"], as_of=at(10))
    with pytest.raises(MissingColumnError, match="'time'"):
        pipeline({"deal": [1], "stage": ["offer"]}, stages=["offer"], as_of=at(10))
    with pytest.raises(InputError, match="no events of type 'deal'"):
        pipeline(CustomerBase(), stages=["offer"], as_of=at(10))
