"""Reading from raw events: windows, starts, segments, chains, and uplift by rank."""

from datetime import timedelta

import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, EventLog, days, event, field, hours
from relmark.errors import InputError, NotEnoughDataError
from relmark.experiments import (
    ConfidenceSequence,
    Experiment,
    Holdout,
    Mean,
    Proportion,
    Ratio,
    TriggerChain,
    policy_value,
    uplift_curve,
    uplift_groups,
)

DAY = np.timedelta64(1, "D")
SPEND = event("purchase").sum()


@pytest.fixture(scope="module")
def base():
    rng = np.random.default_rng(1)
    people, events = 400, 6000
    ids = rng.integers(0, people, events)
    times = np.datetime64("2026-01-01", "us") + rng.integers(0, 120 * 86_400, events).astype("m8[s]")
    log = EventLog.from_columns(customer_id=ids, type="purchase", time=times, value=rng.integers(1, 50, events) * 1.0)
    visits = EventLog.from_columns(customer_id=ids[:500], type="visit", time=times[:500])
    table = CustomerTable.from_columns(customer_id=np.arange(people), age=rng.integers(20, 70, people) * 1.0)
    return CustomerBase(customers=table, events=log.append(visits))


TEST = Experiment("spring", arms={"control": 0.3, "mail": 0.7}, salt="s")


def sums(base, low, high):
    """Return each customer's spend with low <= time < high, by a plain loop."""
    columns = base.events.to_columns()
    out = dict.fromkeys(base.customer_id.tolist(), 0.0)
    rows = zip(columns["customer_id"], columns["type"], columns["time"], columns["value"], strict=True)
    for customer, kind, time, value in rows:
        at = np.datetime64(time, "us")
        if kind == "purchase" and low[customer] <= at < high[customer]:
            out[int(customer)] += value
    return np.array([out[int(c)] for c in base.customer_id])


def test_outcomes_are_those_of_the_window_after_the_start(base):
    start = np.datetime64("2026-03-01", "us")
    report = TEST.read(base, start="2026-03-01", window=days(14), metrics=[Mean("spend", of=SPEND)])
    spend = sums(base, [start] * 400, [start + 14 * DAY] * 400)
    code = TEST.assign(base.customer_id).code
    effect = report.effect("spend")
    assert effect.control == pytest.approx(spend[code == 0].mean())
    assert effect.treatment == pytest.approx(spend[code == 1].mean())
    assert all(check.passed for check in report.checks)
    assert {check.name for check in report.checks} == {"sample ratio", "window"}


def test_each_customer_may_start_at_another_time_or_never(base):
    rng = np.random.default_rng(2)
    start = np.datetime64("2026-02-01", "us") + rng.integers(0, 40, 400) * DAY
    start[:60] = np.datetime64("NaT", "us")
    metrics = [Mean("spend", of=SPEND, before=days(20))]
    report = TEST.read(base, start=start, window=days(10), metrics=metrics)
    assert report.excluded == {"not started": 60}
    known = ~np.isnat(start)
    begins = np.where(known, start, np.datetime64("2026-02-01", "us"))
    spend, before = sums(base, begins, begins + 10 * DAY), sums(base, begins - 20 * DAY, begins)
    code = TEST.assign(base.customer_id).code
    from relmark.experiments import analyze

    arm = np.where(known, code, -1)
    plain = analyze({"spend": spend, "b": before}, arm, metrics=[Mean("spend", covariates=["b"])], control=0)
    effect = report.effect("spend")
    assert effect.difference.value == pytest.approx(plain.effect("spend").difference.value)
    assert effect.difference.low == pytest.approx(plain.effect("spend").difference.low)
    assert "balance" in {check.name for check in report.checks}
    by_id = {int(c): t.astype("M8[us]") for c, t in zip(base.customer_id[known], start[known], strict=True)}
    again = TEST.read(base, start=by_id, window=days(10), metrics=metrics)
    assert again.effect("spend").difference == effect.difference


def test_shares_ratios_covariates_and_received_are_read(base):
    metrics = [
        Proportion("bought", of=event("purchase").exists()),
        Ratio("spend", "orders", of=(SPEND, event("purchase").count()), before=days(30)),
        Mean("visits", of=event("visit").count(), covariates=["age"]),
    ]
    report = TEST.read(
        base,
        start="2026-03-01",
        window=timedelta(days=20),
        metrics=metrics,
        received=event("visit").exists(),
        segments={"older": field("age") > 45, "label": np.where(np.arange(400) < 200, "a", "b")},
        level=ConfidenceSequence(expected=400),
    )
    assert report.metrics == ("bought", "spend / orders", "visits")
    names = [check.name for check in report.checks]
    assert names == ["sample ratio", "window", "balance", "contamination"]
    assert not report.checks[-1].passed
    assert set(report.dimension.tolist()) == {"", "older", "label"}
    older = (base.column("age").numbers() > 45) & (TEST.assign(base.customer_id).code == 1)
    assert report.effect("bought", segment="yes").n_treatment == older.sum()


def test_a_segment_is_taken_as_it_was_at_the_start(base):
    class Vip:
        name = "vip"

        def evaluate(self, base, as_of):
            assert as_of == np.datetime64("2026-02-01")
            assert as_of.dtype == np.dtype("M8[D]")
            return type("Result", (), {"mask": base.measure({"x": SPEND}, as_of=as_of)["x"] > 200})

    report = TEST.read(base, start="2026-02-01", window=days(9), metrics=[Mean("spend", of=SPEND)], segments=[Vip()])
    rule = TEST.read(
        base, start="2026-02-01", window=days(9), metrics=[Mean("spend", of=SPEND)], segments={"vip": SPEND > 200}
    )
    assert report.dimension.tolist() == ["", "vip", "vip"]
    np.testing.assert_array_equal(report.n_treatment, rule.n_treatment)
    with pytest.raises(InputError, match="no name"):
        TEST.read(base, start="2026-02-01", window=days(9), metrics=[Mean("spend", of=SPEND)], segments=[SPEND > 3])


def test_a_segment_of_words_or_unknowns_has_labels_for_them(base):
    short = CustomerBase(
        customers=CustomerTable.from_columns(
            customer_id=[0, 1, 2, 3], city=["a", None, "b", "a"], age=[1.0, None, 3.0, 4.0]
        ),
        events=base.events,
    )
    report = TEST.read(
        short,
        start="2026-03-01",
        window=days(9),
        metrics=[Mean("spend", of=SPEND)],
        segments={"city": field("city"), "old": field("age") > 2},
    )
    assert set(report.segment[report.dimension == "city"]) == {"a", "b", "unknown"}
    assert set(report.segment[report.dimension == "old"]) == {"yes", "no", "unknown"}


def test_recorded_arms_stand_in_for_the_hash(base):
    arms = np.where(np.arange(400) % 2 == 0, "control", "mail")
    arms[:10] = ""
    report = TEST.read(base, start="2026-03-01", window=days(9), metrics=[Mean("spend", of=SPEND)], arms=arms)
    assert report.effect("spend").n_control == 195
    assert report.excluded == {"not recorded": 10}
    assert not report.checks[0].passed  # half and half, where three to seven was planned
    with pytest.raises(InputError, match="'post'"):
        TEST.read(
            base, start="2026-03-01", window=days(9), metrics=[Mean("spend", of=SPEND)], arms=np.full(400, "post")
        )


def test_a_window_that_the_log_does_not_reach_fails_the_check(base):
    report = TEST.read(base, start="2026-04-25", window=days(30), metrics=[Mean("spend", of=SPEND)])
    check = next(check for check in report.checks if check.name == "window")
    assert not check.passed
    assert "the windows of 400 people" in check.message
    assert report.decide().action == "go on"


def test_a_rotating_holdout_is_taken_at_each_customers_start(base):
    holdout = Holdout(0.5, salt="u", period="month")
    test = Experiment("x", arms={"control": 0.5, "mail": 0.5}, holdout=holdout)
    start = np.where(np.arange(400) < 200, np.datetime64("2026-02-10"), np.datetime64("2026-03-10")).astype("M8[us]")
    report = test.read(base, start=start, window=days(9), metrics=[Mean("spend", of=SPEND)])
    assert report.excluded == {"holdout": int(holdout.members(base.customer_id, at=start).sum())}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": [Mean("spend")]}, "has no of="),
        ({"metrics": [Ratio("a", "b", of=SPEND)]}, "a pair of expressions"),
        ({"metrics": [Mean("spend", of=3)]}, "an expression is needed"),
        ({"metrics": [Mean("mean", of=event("purchase").mean())]}, r"fill\(0\)"),
        ({"metrics": [Mean("word", of=field("word"))]}, "consists of words"),
        ({"start": np.full(400, np.datetime64("NaT", "us"), dtype="M8[us]")}, "missing for everybody"),
        ({"start": {99999: np.datetime64("2026-03-01")}}, "whom the base does not have"),
        ({"start": np.full(3, np.datetime64("2026-03-01"))}, "3 rows"),
        ({"window": 14}, "window"),
        ({"window": -days(1)}, "above zero"),
    ],
)
def test_reading_refuses_what_makes_no_sense(base, options, message):
    named = base.with_column("word", np.full(400, "a"))
    rest = {"start": "2026-03-01", "window": hours(48), "metrics": [Mean("spend", of=SPEND)]} | options
    with pytest.raises(InputError, match=message):
        TEST.read(named, **rest)


def test_a_log_without_events_gives_zeros_and_an_open_window():
    base = CustomerBase(customers=CustomerTable.from_columns(customer_id=np.arange(50), age=np.arange(50.0)))
    report = TEST.read(base, start="2026-03-01", window=days(1), metrics=[Mean("spend", of=SPEND)])
    assert report.effect("spend").control == 0
    assert "has no events" in report.checks[1].message


CHAIN = TriggerChain("welcome", steps=["hello", "tips"], chain_control=0.3, step_control=0.4, salt="w")


def test_a_chain_draws_who_gets_it_and_each_step_anew(base):
    drawn = CHAIN.assign(base.customer_id)
    chain = drawn.chain.arm == "chain"
    for step in CHAIN.steps:
        assert (drawn.steps[step].code[~chain] == -1).all()
        assert set(drawn.steps[step].reason[~chain]) == {"chain control"}
        assert drawn.sends(step).sum() == pytest.approx(0.6 * chain.sum(), abs=25)
    assert (drawn.sends("hello") != drawn.sends("tips")).any()
    assert "steps" in repr(drawn)
    held = TriggerChain("w", steps=["a"], chain_control=0.3, step_control=0.4, holdout=Holdout(0.5, salt="h"))
    assert "holdout" in held.assign(base.customer_id).steps["a"].excluded


def test_a_chain_is_read_as_a_whole_and_step_by_step(base):
    hello = np.full(400, np.datetime64("2026-02-01", "us"))
    tips = hello + 5 * DAY
    tips[::3] = np.datetime64("NaT", "us")
    report = CHAIN.read(
        base, reached={"hello": hello, "tips": tips}, window=days(14), metrics=[Mean("spend", of=SPEND)]
    )
    drawn = CHAIN.assign(base.customer_id)
    spend = sums(base, hello, hello + 14 * DAY)
    assert report.chain.effect("spend").treatment == pytest.approx(spend[drawn.chain.code == 1].mean())
    assert report.chain.effect("spend").control == pytest.approx(spend[drawn.chain.code == 0].mean())
    came = ~np.isnat(tips)
    begins = np.where(came, tips, hello)
    later = sums(base, begins, begins + 14 * DAY)
    step = report.steps["tips"].effect("spend")
    assert step.treatment == pytest.approx(later[came & drawn.sends("tips")].mean())
    left_out = came & (drawn.steps["tips"].arm == "control")
    assert step.control == pytest.approx(later[left_out].mean())
    assert report.steps["tips"].excluded["chain control"] > 0
    assert "step tips" in str(report)
    assert "chain" in repr(report)
    assert set(report.to_dict()["steps"]) == {"hello", "tips"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda _: CHAIN.step("tip"), "Did you mean 'tips'"),
        (lambda _: CHAIN.assign([1]).sends("x"), "must be one of"),
        (lambda base: CHAIN.read(base, reached={"hello": None}, window=days(1), metrics=[]), "needs exactly the steps"),
        (lambda _: TriggerChain("w", steps="ab", chain_control=0.1, step_control=0.1), "list of names"),
        (lambda _: TriggerChain("w", steps=["a", "a"], chain_control=0.1, step_control=0.1), "each name once"),
        (lambda _: TriggerChain("w", steps=["a"], chain_control=1.0, step_control=0.1), "chain_control"),
    ],
)
def test_a_chain_that_makes_no_sense_is_refused(base, call, message):
    with pytest.raises(InputError, match=message):
        call(base)


@pytest.fixture(scope="module")
def ranking():
    rng = np.random.default_rng(5)
    n = 4000
    uplift = rng.random(n)
    treated = rng.random(n) < 0.5
    outcome = (rng.random(n) < 0.1 + 0.3 * uplift * treated).astype(float)
    return uplift, outcome, treated


def slow_curve(score, outcome, treated):
    """Return share, gain and qini by a plain loop over people, best first."""
    order = np.argsort(-score, kind="stable")
    n1 = n0 = y1 = y0 = 0.0
    rows = [(0.0, 0.0, 0.0)]
    for k, i in enumerate(order, start=1):
        if treated[i]:
            n1, y1 = n1 + 1, y1 + outcome[i]
        else:
            n0, y0 = n0 + 1, y0 + outcome[i]
        ready = n1 > 0 and n0 > 0
        gain = (y1 / n1 - y0 / n0) * k / len(score) if ready else 0.0
        rows.append((k / len(score), gain, (y1 - y0 * n1 / n0) / treated.sum() if ready else 0.0))
    return np.array(rows).T


def test_the_uplift_curve_is_that_of_a_plain_loop(ranking):
    curve = uplift_curve(*ranking, points=4001, resamples=0)
    share, gain, qini = slow_curve(*ranking)
    np.testing.assert_allclose(curve.gain, gain, atol=1e-12)
    np.testing.assert_allclose(curve.qini, qini, atol=1e-12)
    assert curve.auuc.value == pytest.approx(np.trapezoid(gain, share) - gain[-1] / 2)
    assert curve.qini_coefficient.value == pytest.approx(np.trapezoid(qini, share) - qini[-1] / 2)
    assert curve.auuc.interval is None
    assert curve.effect == pytest.approx(ranking[1][ranking[2]].mean() - ranking[1][~ranking[2]].mean())
    assert "auuc" in repr(curve)


def test_a_good_score_has_an_area_above_zero_and_a_random_one_none(ranking):
    uplift, outcome, treated = ranking
    good = uplift_curve(uplift, outcome, treated, rng=1)
    assert good.auuc.low > 0
    blind = uplift_curve(np.random.default_rng(0).random(len(uplift)), outcome, treated, rng=1)
    assert 0.0 in blind.auuc.interval
    assert uplift_curve(-uplift, outcome, treated, rng=1).auuc.high < 0
    # Expected: the area between gain(s) = int_0^s .3 (1 - u) du and its chord, .3 * (1/2 - 1/6) - .15 / 2 = .025
    assert 0.025 in good.auuc.interval


def test_people_of_one_score_are_targeted_together():
    outcome, treated = np.array([1.0, 0, 1, 0, 0, 0, 1, 1]), np.array([1, 0] * 4)
    curve = uplift_curve(np.ones(8), outcome, treated, resamples=0)
    assert curve.auuc.value == pytest.approx(0.0)
    shuffled = np.random.default_rng(0).permutation(8)
    again = uplift_curve(np.ones(8), outcome[shuffled], treated[shuffled], resamples=0)
    np.testing.assert_allclose(curve.gain, again.gain)


def test_deciles_hold_the_effect_of_their_people(ranking):
    uplift, outcome, treated = ranking
    groups = uplift_groups(uplift, outcome, treated)
    assert groups.people.tolist() == [400] * 10
    best = np.argsort(-uplift, kind="stable")[:400]
    mine = outcome[best][treated[best]].mean() - outcome[best][~treated[best]].mean()
    assert groups.difference[0] == pytest.approx(mine)
    assert (groups.difference_low < groups.difference).all()
    assert groups.score_low[0] == pytest.approx(np.sort(uplift)[-400])
    ties = uplift_groups(np.repeat([2.0, 1.0], 2000), outcome, treated)
    assert ties.group.tolist() == [1, 6]
    lonely = uplift_groups(np.arange(8.0), np.arange(8.0), [1, 1, 1, 1, 0, 0, 0, 0], groups=2)
    assert np.isnan(lonely.difference).all()


def test_the_value_of_a_policy_is_what_it_would_have_brought(ranking):
    uplift, outcome, treated = ranking
    target = uplift > 0.5
    found = policy_value(target, outcome, treated, cost=0.1)
    sent, not_sent = outcome[target & treated].mean() - 0.1, outcome[~target & ~treated].mean()
    assert found.value.value == pytest.approx(target.mean() * sent + (~target).mean() * not_sent)
    # Truth: half the people at an uplift of .225 on average, less the cost: .5 * (.225 - .1).
    assert 0.0625 in found.over_nobody.interval
    assert found.over_everybody.value > -0.1
    half = policy_value(target, outcome, treated, propensity=0.5, cost=0.1)
    assert half.value.value == pytest.approx(found.value.value, abs=1e-9)
    nobody = policy_value(np.zeros(len(uplift)), outcome, treated)
    assert nobody.over_nobody.value == 0
    assert nobody.targeted == 0


def test_the_interval_of_a_policy_covers_its_value():
    rng = np.random.default_rng(8)
    hits = 0
    for _ in range(300):
        u, treated = rng.random(400), rng.random(400) < 0.4
        y = rng.exponential(1.0, 400) + 2.0 * u * treated
        hits += 0.75 in policy_value(u > 0.5, y, treated).over_nobody.interval  # E[2u | u > .5] / 2
    assert 0.91 < hits / 300 < 0.985


def test_a_policy_that_the_test_never_tried_has_no_value():
    found = policy_value([1, 1, 0, 0, 0, 0], [1.0] * 6, [0, 0, 1, 1, 0, 1])
    assert "no person who is targeted and was sent to" in found.value.reason
    other = policy_value([1, 1, 1, 0, 0, 1], [1.0] * 6, [1, 0, 0, 1, 1, 1])
    assert "not targeted and was left out" in other.value.reason
    with pytest.raises(NotEnoughDataError, match="both arms"):
        uplift_curve([1.0, 2.0], [1.0, 2.0], [1, 1])
    with pytest.raises(InputError, match="arms has 3"):
        uplift_curve([1.0, 2.0], [1.0, 2.0], [1, 3])
    with pytest.raises(InputError, match="without the ends"):
        policy_value([1, 0, 1, 0], [1.0] * 4, [1, 0, 1, 0], propensity=[1.0, 0.5, 0.5, 0.5])


def test_a_real_segment_divides_the_report(base):
    segmentation = pytest.importorskip("relmark.segmentation")
    vip = segmentation.Segment("vip", SPEND > 200)
    start = np.datetime64("2026-02-01", "us") + (np.arange(400) % 20) * DAY
    report = TEST.read(base, start=start, window=days(9), metrics=[Mean("spend", of=SPEND)], segments=[vip])
    rule = TEST.read(
        base, start=start, window=days(9), metrics=[Mean("spend", of=SPEND)], segments={"vip": SPEND > 200}
    )
    np.testing.assert_array_equal(report.n_treatment, rule.n_treatment)


def test_a_rule_that_is_plainly_true_or_false_is_yes_and_no(base):
    class Rule:
        def measure(self, *_):
            return np.arange(400) < 100

    labels = {"first": Rule(), "all": event("purchase").exists()}
    report = TEST.read(base, start="2026-03-01", window=days(9), metrics=[Mean("spend", of=SPEND)], segments=labels)
    assert set(report.segment[report.dimension == "first"]) == {"yes", "no"}


def test_several_metrics_share_one_window_before(base):
    metrics = [Mean("spend", of=SPEND, before=days(30)), Mean("orders", of=event("purchase").count(), before=days(30))]
    report = TEST.read(base, start="2026-03-01", window=days(9), metrics=metrics)
    assert "regression within arms on orders before" in report.method[1]
    assert "2 comparisons" in report.checks[-1].message


def test_a_window_may_be_as_long_as_a_duration_can():
    log = EventLog.from_columns(
        customer_id=np.arange(40),
        type="purchase",
        time=np.full(40, np.datetime64("2026-05-02", "us")),
        value=np.ones(40),
    )
    test = Experiment("x", arms={"control": 0.5, "mail": 0.5})
    metric = Mean("spend", of=event("purchase").sum().fill(0), before=timedelta.max)
    report = test.read(CustomerBase(events=log), start="2026-05-01", window=timedelta.max, metrics=[metric])
    assert report.effect("spend").control == 1
    assert not next(check for check in report.checks if check.name == "window").passed
