"""Simulated purchases against what the models predict, P(alive) through time, and how regular purchases are."""

import runpy
import types
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from relmark import CustomerBase, Event, EventLog, days
from relmark.core.errors import InputError, LimitError
from relmark.ltv import (
    BgBb,
    BgCnbd,
    BgNbd,
    MbgCnbd,
    MbgNbd,
    Nbd,
    ParetoNbd,
    PurchaseSummary,
    purchase_summary,
    regularity,
    simulation,
)

simulations = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "ltv_data.py")))
CONTINUOUS = [
    Nbd(r=0.8, alpha=4.0), BgNbd(r=0.8, alpha=4.0, a=0.7, b=1.5), MbgNbd(r=0.8, alpha=4.0, a=1.0, b=1.5),
    ParetoNbd(r=0.8, alpha=4.0, s=0.7, beta=9.0), MbgCnbd(k=3, r=0.9, alpha=1.2, a=0.6, b=1.5),
    BgCnbd(k=2, r=0.9, alpha=1.6, a=0.6, b=1.5),
]  # fmt: skip


def by_customer(future):
    return np.bincount(future.customer_id, minlength=future.customers)


@pytest.mark.parametrize("model", CONTINUOUS, ids=lambda m: m.kind)
def test_simulated_customers_buy_as_predicted(model):
    n = 20_000
    new = by_customer(model.simulate(n, 20.0, rng=4)) - 1
    p = model.purchase_probabilities_new(20.0, range(4))
    share = np.bincount(np.minimum(new, 4), minlength=4)[:4] / n
    assert (np.abs(share - p) < 4.5 * np.sqrt(p * (1 - p) / n)).all()
    assert abs(new.mean() - model.expected_purchases_new(20.0)) < 4.5 * new.std() / np.sqrt(n)
    for x, t_x, T in ((0, 0.0, 15.0), (2, 5.0, 9.0), (6, 14.0, 15.0)):
        s = PurchaseSummary(frequency=np.full(n, x), recency=np.full(n, t_x), T=np.full(n, T))
        future = model.simulate(s, 15.0, rng=5)
        again = by_customer(future)
        expected, none = model.expected_purchases(s, 15.0)[0], model.purchase_probabilities(s, 15.0, 0)[0]
        assert abs(again.mean() - expected) < 4.5 * again.std() / np.sqrt(n)
        assert abs((again == 0).mean() - none) < 4.5 * np.sqrt(none * (1 - none) / n)
        first = np.full(n, np.inf)
        np.minimum.at(first, future.customer_id, future.time)
        due = min(model.next_purchase_quantile(s, 0.3)[0], 15.0)
        chance = 1 - model.purchase_probabilities(s, due, 0)[0]
        assert abs((first <= due).mean() - chance) < 4.5 * np.sqrt(chance * (1 - chance) / n)


def test_simulated_donors_give_as_predicted():
    m, n = BgBb(alpha=1.2, beta=0.75, gamma=0.66, delta=2.8), 20_000
    s = PurchaseSummary(frequency=np.full(n, 2), recency=np.full(n, 3), T=np.full(n, 5), unit="period")
    future = m.simulate(s, 4, rng=1)
    assert set(np.unique(future.time)) <= {1.0, 2.0, 3.0, 4.0}
    again, p = by_customer(future), m.purchase_probabilities(s, 4, range(5))[0]
    share = np.bincount(again, minlength=5) / n
    assert (np.abs(share - p) < 4.5 * np.sqrt(p * (1 - p) / n)).all()
    new = by_customer(m.simulate(n, 4, rng=2)) - 1
    assert abs(new.mean() - m.expected_purchases_new(4)) < 4.5 * new.std() / np.sqrt(n)
    with pytest.raises(InputError, match="no length in days"):
        m.simulate(s, 4, start="2026-01-01")


def test_a_simulated_shop_is_summarized_and_fitted_like_a_real_one():
    truth = MbgCnbd(k=2, r=1.3, alpha=2.8, a=0.42, b=0.79, unit="week")
    future = truth.simulate(3_000, days(364), rng=7, start=date(2026, 1, 1))
    assert future.date.min() == np.datetime64("2026-01-01")
    assert future.date.max() <= np.datetime64("2026-12-31")
    s = purchase_summary(future.to_base(), as_of="2027-01-01")
    assert s.n_customers == 3_000
    assert (s.T == 52.0).all()
    m = MbgCnbd.fit(s)
    assert m.k == 2
    assert np.abs(np.log(m.parameters / truth.parameters)).max() < 0.35
    with pytest.raises(InputError, match="no dates"):
        truth.simulate(3, 4.0).to_base()


def test_the_doors_of_a_simulation(monkeypatch):
    m = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426, unit="week")
    s = PurchaseSummary(customer_id=["x", "y"], frequency=[40, 0], recency=[40.0, 0], T=[40.0, 40.0])
    future = m.simulate(s, [20.0, 0.0], rng=1, start="2026-11-01")
    assert set(future.customer_id) <= {"x"}
    assert (future.date > np.datetime64("2026-11-01")).all()
    assert len(m.simulate(0, 3.0)) == 0
    assert m.simulate(2, 0.0).time.tolist() == [0.0, 0.0]
    assert len(m.simulate(s, 3.0, rng=None)) >= 0
    with pytest.raises(InputError, match="several customers"):
        m.simulate(PurchaseSummary(frequency=[1], recency=[1], T=[2], weights=[3.0]), 3.0)
    with pytest.raises(InputError, match="customers"):
        m.simulate(2.5, 3.0)
    with pytest.raises(InputError, match="until"):
        m.simulate(2, [1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="until"):
        m.simulate(2, -1.0)
    monkeypatch.setattr(simulation, "_MOST", 1_000)
    with pytest.raises(LimitError, match="simulate fewer"):
        Nbd(r=1e3, alpha=1.0).simulate(30, 1e9)


ORDERS = {
    "user": ["a", "a", "a", "b"],
    "time": ["2026-01-05", "2026-02-02", "2026-03-02", "2026-01-10"],
    "amount": [5.0, 5.0, 5.0, 1.0],
}


def test_p_alive_through_time_is_what_each_day_knew():
    base = CustomerBase.from_orders(ORDERS, customer_id="user", time="time", value="amount")
    m = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426, unit="week")
    times = ["2026-01-05", "2026-01-06", "2026-02-02", "2026-02-03", "2026-06-01"]
    history = m.alive_history(base, "a", times)
    assert history.frequency.tolist()[1:] == [0, 0, 1, 2]
    assert np.isnan(history.p_alive[0])
    assert "before the first purchase" in history.reason
    for row, time in enumerate(times[1:], start=1):
        s = purchase_summary(base, as_of=time)
        a = s.take([0])
        assert (history.recency[row], history.T[row]) == (a.recency[0], a.T[0])
        assert history.p_alive[row] == m.probability_alive(a)[0]
    assert m.alive_history(base, "b", np.array(times, "M8[D]")).p_alive[2:].tolist() == [1.0, 1.0, 1.0]
    assert len(m.alive_history(base, "a", "2026-06-01")) == 1
    assert "before the first purchase" in str(history)


def test_p_alive_through_time_takes_refunds_as_they_were_known():
    rows = {**{name: [*column] for name, column in ORDERS.items()}}
    rows["user"].append("a"), rows["time"].append("2026-03-20"), rows["amount"].append(-5.0)
    base = CustomerBase.from_orders(rows, customer_id="user", time="time", value="amount")
    m = MbgNbd(r=0.5, alpha=6.0, a=0.9, b=1.6, unit="week")
    assert m.alive_history(base, "a", ["2026-03-10", "2026-04-01"]).frequency.tolist() == [2, 1]


def test_the_doors_of_a_history():
    base = CustomerBase.from_orders(ORDERS, customer_id="user", time="time", value="amount")
    m = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426, unit="week")
    with pytest.raises(InputError, match="no customer with this id"):
        m.alive_history(base, "z", ["2026-06-01"])
    with pytest.raises(InputError, match="times is empty"):
        m.alive_history(base, "a", [])
    with pytest.raises(InputError, match="a CustomerBase is needed"):
        m.alive_history(ORDERS, "a", ["2026-06-01"])
    with pytest.raises(InputError, match="no unit"):
        BgNbd(r=1, alpha=1, a=1, b=1).alive_history(base, "a", ["2026-06-01"])
    with pytest.raises(InputError, match="times"):
        m.alive_history(base, "a", ["soon"])


@pytest.mark.parametrize("k", [1, 2, 4])
def test_regularity_is_found_by_both_ways(k):
    model = MbgCnbd(k=k, r=2.0, alpha=0.15 * k, a=0.3, b=2.0, unit="day")
    base = (
        MbgCnbd(k=k, r=2.0, alpha=40.0 / k, a=0.3, b=2.0, unit="day")
        .simulate(2_500, 700.0, 3, start="2026-01-01")
        .to_base()
    )
    found = regularity(base, as_of="2027-12-02", unit="week")
    assert model.k == k
    assert found.fitted.k == k
    assert found.wheat_morrison.value == pytest.approx(k, rel=0.2)
    assert found.wheat_morrison.interval.low < found.wheat_morrison.value < found.wheat_morrison.interval.high
    assert found.worth_while == (k > 1)
    assert ("in a rhythm" in str(found)) == (k > 1)
    assert found.gain == found.log_likelihood.max() - found.log_likelihood[0]


def test_regularity_of_few_customers_says_why_it_has_no_moments():
    log = EventLog.from_events(
        [Event(who, "purchase", f"2026-{day}T12:00Z") for who, day in (("a", "01-05"), ("a", "02-02"), ("b", "01-05"))]
    )
    found = regularity(CustomerBase(events=log), as_of="2026-06-01")
    assert np.isnan(found.wheat_morrison.value)
    assert "three days" in found.wheat_morrison.reason
    assert found.customers == 0
