"""What each customer responds to: against customers whose rates are known, and against a slow reading of events."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom

from relmark import CustomerBase, CustomerTable, EventLog, days, event, field, hours
from relmark.core.beta_binomial import likelihood_of_counts
from relmark.core.errors import InputError, MissingColumnError, NotEnoughDataError
from relmark.metrics import response_profile
from relmark.segmentation import Segment

CHANNELS = np.array(["chat", "email", "push"])
START = np.datetime64("2026-01-01T00:00", "us")
HOUR = np.timedelta64(3_600_000_000, "us")


def shop(rng, rates, messages, fields=None):
    """Return a base of customers with known rates by channel, each with so many messages; a message a day at most."""
    n, k = rates.shape
    who = np.repeat(np.arange(n), messages)
    channel = rng.integers(0, k, len(who))
    sent = START + (np.arange(len(who)) - np.repeat(np.cumsum(messages) - messages, messages)) * 24 * HOUR
    hit = rng.random(len(who)) < rates[who, channel]
    log = EventLog.from_columns(
        customer_id=np.concatenate([who, who[hit]]),
        type=np.array(["message_sent", "message_clicked"])[np.repeat([0, 1], [len(who), hit.sum()])],
        time=np.concatenate([sent, sent[hit] + HOUR]),
        properties={"channel": CHANNELS[np.concatenate([channel, channel[hit]])]},
    )  # fmt: skip
    table = CustomerTable.from_columns(customer_id=np.arange(n), **(fields or {}))
    return CustomerBase(customers=table, events=log), who, channel, hit


def known_rates(rng, n, alpha=1.5, beta=(20, 14, 17)):
    return rng.beta(alpha, np.array(beta), (n, 3))


@pytest.mark.long
def test_the_probability_to_be_best_is_calibrated_in_tenths():
    rng = np.random.default_rng(1)
    rates = known_rates(rng, 60_000)
    base, *_ = shop(rng, rates, rng.integers(0, 60, len(rates)))
    told = response_profile(base, as_of="2026-06-01")
    right = CHANNELS[rates.argmax(axis=1)] == told["best_channel"]
    tenth = np.minimum((told.probability_best * 10).astype(int), 9)
    judged = 0
    for one in range(10):
        rows = tenth == one
        if rows.sum() >= 400:
            said = told.probability_best[rows].mean()
            noise = 3.5 * np.sqrt(said * (1 - said) / rows.sum()) + 0.005
            assert right[rows].mean() == pytest.approx(said, abs=noise)
            judged += 1
    assert judged >= 6


@pytest.mark.long
def test_the_probability_to_be_best_is_that_of_draws():
    rng = np.random.default_rng(2)
    base, *_ = shop(rng, known_rates(rng, 300), rng.integers(0, 40, 300))
    told = response_profile(base, as_of="2026-06-01")
    strength, mean = told.arms.prior_strength, told.arms.prior_mean
    trials, hits = counts(base, 300)
    draws = rng.beta(strength * mean + hits, strength * (1 - mean) + trials - hits, (40_000, 300, 3))
    best = told.rates.argmax(axis=1)
    assert np.abs((draws.argmax(axis=2) == best).mean(axis=0) - told.probability_best).max() < 0.015


def counts(base, n):
    sent = base.events.of_type("message_sent").to_columns()
    came = base.events.of_type("message_clicked").to_columns()
    out = []
    for one in (sent, came):
        key = one["customer_id"] * 3 + np.searchsorted(CHANNELS, one["channel"])
        out.append(np.bincount(key, minlength=3 * n).reshape(n, 3))
    return out


@pytest.mark.parametrize("messages", [0, 3, 10, 50])
def test_following_the_best_channel_beats_everybodys_and_raw_rates(messages):
    rng = np.random.default_rng(3)
    n = 20_000
    rates = known_rates(rng, 2 * n)
    size = np.concatenate([np.full(n, messages), np.full(n, 20)])  # as many others teach what is usual
    base, *_ = shop(rng, rates, size)
    told = response_profile(base, as_of="2026-06-01")
    trials, hits = counts(base, 2 * n)
    raw = np.divide(hits, trials, out=np.zeros(trials.shape), where=trials > 0).argmax(axis=1)
    rows = np.arange(n)
    top = rates[rows].max(axis=1)

    def regret(choice):
        return (top - rates[rows, choice[:n]]).mean()

    ours = regret(np.searchsorted(CHANNELS, told["best_channel"]))
    everybody = regret(np.full(2 * n, int(np.argmax(told.arms.prior_mean))))
    assert ours < regret(raw)
    assert ours < everybody if messages else ours == everybody


def test_a_second_level_helps_people_without_history():
    rng = np.random.default_rng(4)
    n = 12_000
    age = rng.integers(0, 4, n)
    means = np.array([[0.02, 0.10, 0.05], [0.12, 0.04, 0.05], [0.03, 0.05, 0.11], [0.05, 0.06, 0.05]])[age]
    rates = rng.beta(15 * means, 15 * (1 - means))
    messages = np.where(np.arange(n) < 4_000, 0, 12)
    bands = np.array(["18 to 29", "30 to 44", "45 to 59", "60 and over"])
    base, *_ = shop(rng, rates, messages, {"age_band": bands[age]})
    flat = response_profile(base, as_of="2026-06-01")
    two = response_profile(base, as_of="2026-06-01", prior_by=field("age_band"))
    new = np.arange(4_000)

    def earned(told):
        return rates[new, np.searchsorted(CHANNELS, told["best_channel"][new])].mean()

    assert earned(two) > earned(flat) + 0.02
    for row in range(len(two.arms)):
        band, channel = two.arms["age_band"][row], two.arms["channel"][row]
        mine = np.array([[0.02, 0.10, 0.05], [0.12, 0.04, 0.05], [0.03, 0.05, 0.11], [0.05, 0.06, 0.05]])
        truth = mine[np.searchsorted(bands, band), np.searchsorted(CHANNELS, channel)]
        assert two.arms.prior_mean[row] == pytest.approx(truth, abs=0.012)
    assert two.arms.prior_strength == pytest.approx(15, rel=0.35)
    old = np.arange(4_000, n)
    assert np.square(two.rates[old] - rates[old]).mean() < np.square(flat.rates[old] - rates[old]).mean()


def test_the_prior_is_that_of_known_customers():
    rng = np.random.default_rng(5)
    rates = known_rates(rng, 40_000)
    base, *_ = shop(rng, rates, rng.integers(0, 40, 40_000))
    arms = response_profile(base, as_of="2026-06-01").arms
    assert arms.prior_mean == pytest.approx(1.5 / (1.5 + np.array([20, 14, 17])), rel=0.03)
    assert arms.prior_strength == pytest.approx(1.5 + np.array([20, 14, 17]), rel=0.12)


@given(st.floats(0.05, 50), st.floats(0.05, 50), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1))
def test_the_likelihood_is_scipys_and_its_derivatives_are_differences(alpha, beta, pairs):
    x, n = np.array([min(pair) for pair in pairs]), np.array([max(pair) for pair in pairs])
    w = np.ones(len(x))
    value, gradient, hessian = likelihood_of_counts(np.array([alpha, beta]), x, n, w)
    other, *_ = likelihood_of_counts(np.array([1.0, 1.0]), x, n, w)
    theirs = betabinom.logpmf(x, n, alpha, beta).sum() - betabinom.logpmf(x, n, 1, 1).sum()
    assert value - other == pytest.approx(theirs, rel=1e-8, abs=1e-8)
    for k, step in enumerate(np.eye(2) * 1e-5 * np.array([alpha, beta])):
        up = likelihood_of_counts(np.array([alpha, beta]) + step, x, n, w)
        down = likelihood_of_counts(np.array([alpha, beta]) - step, x, n, w)
        assert gradient[k] == pytest.approx((up[0] - down[0]) / (2 * step[k]), rel=1e-4, abs=1e-4)
        assert hessian[k] == pytest.approx((up[1] - down[1]) / (2 * step[k]), rel=1e-4, abs=1e-4)


EVENTS = st.lists(
    st.tuples(
        st.booleans(), st.integers(1, 2), st.integers(0, 12), st.sampled_from(["a", "b", None]),
        st.sampled_from(["x", "y", None]), st.sampled_from(["k", "l", "another", None]),
    ),
    min_size=1, max_size=20,
)  # fmt: skip


def test_a_coupon_of_the_earlier_of_two_letters_is_not_of_the_later():
    log = EventLog.from_columns(
        customer_id=[1] * 4, type=["message_sent", "message_sent", "message_clicked", "purchase"],
        time=START + np.array([0, 1, 2, 3]) * HOUR,
        properties={"kind": ["A", "B", None, None], "campaign": ["spring", "summer", "spring", "search engine"]},
    )  # fmt: skip
    base = CustomerBase(events=log)
    told = response_profile(base, as_of=START + 30 * HOUR, by="kind", within=hours(4))
    assert dict(zip(told.arms["kind"].tolist(), told.arms.responses.tolist(), strict=True)) == {"A": 1, "B": 0}
    bought = response_profile(base, as_of=START + 30 * HOUR, by="kind", within=hours(4), reward=event("purchase"))
    assert bought.arms.responses.tolist() == [0, 1]  # a source that no message has says nothing of messages


@settings(deadline=None)
@given(EVENTS)
def test_responses_belong_to_messages_as_a_slow_reading_says(rows):
    rows = [(kind, w, h, c, i, None if kind and g == "another" else g) for kind, w, h, c, i, g in rows]
    rows = [(True, 9, 0, "a", "z", "m"), (False, 9, 1, "a", "z", "m"), *rows]
    kinds, who, hour, channel, name, campaign = zip(*rows, strict=True)
    log = EventLog.from_columns(
        customer_id=list(who), type=["message_sent" if kind else "message_clicked" for kind in kinds],
        time=START + np.array(hour) * HOUR,
        properties={"channel": list(channel), "message_id": list(name), "campaign": list(campaign)},
    )  # fmt: skip
    told = response_profile(CustomerBase(events=log), as_of=START + 30 * HOUR, within=hours(4))
    sent = [row for row in rows if row[0]]
    known = {s[5] for s in sent} - {None}
    hits = {"a": 0, "b": 0}
    marked = []
    for kind, w, h, c, i, g in rows:
        if kind:
            continue
        fits = [
            s for s in sent
            if s[1] == w and h - s[2] <= 4
            and (s[2] <= h if i else s[2] < h)
            and ((s[4] == i) if i else (c is None or s[3] == c) and (g not in known or s[5] == g))
        ]  # fmt: skip
        if fits:
            latest = max(s[2] for s in fits)
            marked.append([s for s in fits if s[2] == latest])
    if any(len(set(group)) > 1 or len(group) > 1 for group in marked):
        return  # two messages of one instant: either may be meant
    for s in {group[0] for group in marked}:
        if s[3] is not None:
            hits[s[3]] += 1
    found = dict(zip(told.arms["channel"].tolist(), told.arms.responses.tolist(), strict=True))
    assert found == {name: hits[name] for name in found}
    assert told.arms.messages.sum() == sum(s[3] is not None for s in sent)


def test_messages_sent_too_lately_are_in_no_rate():
    log = EventLog.from_columns(
        customer_id=[1, 1, 1, 1], type=["message_sent", "message_sent", "message_clicked", "message_sent"],
        time=["2026-01-01T00:00Z", "2026-01-08T00:00Z", "2026-01-08T01:00Z", "2026-01-03T00:00Z"],
        properties={"channel": ["push", "push", "push", None]},
    )  # fmt: skip
    told = response_profile(CustomerBase(events=log), as_of="2026-01-09T00:00Z", within=days(2))
    assert (told.arms.messages.tolist(), told.arms.responses.tolist(), told.evidence.tolist()) == ([1], [0], [1])
    assert any("too recently" in note for note in told.notes)
    assert any("without channel" in note for note in told.notes)
    assert told.probability_best.tolist() == [1]


def test_hours_weekdays_and_combinations_are_arms_and_join_the_base():
    log = EventLog.from_columns(
        customer_id=[1, 1, 1, 1, 2], type=["message_sent", "message_clicked", "message_sent", "message_sent", "visit"],
        time=["2026-01-05T08:30Z", "2026-01-05T08:40Z", "2026-01-06T18:30Z", "2026-01-07T18:30Z", "2026-01-07T18:30Z"],
        properties={"channel": ["push", "push", "email", "push", None]},
    )  # fmt: skip
    base = CustomerBase(events=log, tz="Europe/Berlin")
    told = response_profile(base, as_of="2026-02-01", by=["channel", "hour"])
    assert told["best_channel"].tolist() == ["push", "push"]
    assert told["best_hour"].tolist() == [9, 9]
    assert told.arms["hour"].tolist() == [19, 9, 19]
    weekday = response_profile(base, as_of="2026-02-01", by="weekday", reward=event("message_clicked"))
    assert weekday.arms["weekday"].tolist() == [1, 2, 3]
    joined = base.with_columns(told, {"best_hour": "hour"})
    rule = Segment("mornings", rule=field("hour") < 12)
    assert rule.evaluate(joined, as_of="2026-02-01").ids.tolist() == [1, 2]
    assert told.describe("rate").unit == "share"
    assert "only an experiment shows" in str(told)


def test_a_mapping_of_rules_is_a_second_level_too():
    rng = np.random.default_rng(6)
    base, *_ = shop(rng, known_rates(rng, 200), np.full(200, 5), {"age": rng.integers(18, 80, 200)})
    told = response_profile(base, as_of="2026-06-01", prior_by={"young": field("age") < 30, "old": field("age") > 60})
    assert set(told.arms["segment"].tolist()) == {"young", "old", "the rest"}
    assert told.arms.messages.sum() == 1_000


def test_what_does_not_fit_is_refused():
    rng = np.random.default_rng(7)
    base, *_ = shop(rng, known_rates(rng, 20), np.full(20, 5))
    with pytest.raises(MissingColumnError, match="not a property of the messages"):
        response_profile(base, as_of="2026-06-01", by="chanel")
    with pytest.raises(InputError, match="names of properties"):
        response_profile(base, as_of="2026-06-01", by=[])
    with pytest.raises(NotEnoughDataError, match="nothing can be learned"):
        response_profile(base, as_of="2025-06-01")
    with pytest.raises(InputError, match="it must select events"):
        response_profile(base, as_of="2026-06-01", reward="click")
