"""Analysis: reports, effects, refusals, undefined figures with their reasons, segments and multiplicity."""

import json
import math
import pickle

import attrs
import numpy as np
import pandas as pd
import polars as pl
import pytest

from relmark.errors import InputError, MissingColumnError
from relmark.experiments import (
    Assignment,
    ConfidenceSequence,
    Experiment,
    Mean,
    Moments,
    Proportion,
    Ratio,
    analyze,
    complier_effect,
)
from relmark.experiments.heterogeneity import interaction_tests, post_stratified
from relmark.experiments.proportions import boschloo_test


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(11)
    n = 3000
    arm = rng.integers(0, 3, n)
    before = rng.gamma(2.0, 5.0, n)
    orders = rng.poisson(1.0 + 0.2 * (arm == 2), n)
    return {
        "arm": np.array(["control", "mail", "call"])[arm],
        "bought": orders > 0,
        "orders": orders.astype(float),
        "spend": orders * 10.0 + before + rng.normal(0, 3, n),
        "before": before,
        "city": np.array(["Omsk", "Kazan"])[rng.integers(0, 2, n)],
        "vip": rng.random(n) < 0.2,
    }


METRICS = [Proportion("bought"), Mean("spend", covariates=["before"]), Ratio("spend", "orders")]


def test_a_report_has_a_row_for_each_metric_arm_and_segment(people):
    report = analyze(people, people["arm"], metrics=METRICS, segments={"city": people["city"], "vip": people["vip"]})
    assert len(report) == 3 * 2 * (1 + 2 + 2)
    assert report.metrics == ("bought", "spend", "spend / orders")
    assert report.arms == ("call", "mail")
    here = people["arm"] == "call"
    effect = report.effect("bought", arm="call")
    assert effect.treatment == pytest.approx(people["bought"][here].mean())
    assert effect.n_treatment == here.sum()
    vip = report.effect("bought", arm="call", segment="yes")
    assert vip.segment == "vip=yes"
    assert vip.n_treatment == (here & people["vip"]).sum()
    assert report.effect("bought", arm="call", segment="Omsk", dimension="city").n_treatment < effect.n_treatment


def test_a_report_prints_exports_and_becomes_json(people):
    report = analyze(people, people["arm"], metrics=METRICS, segments=people["city"])
    assert "effects=18" in repr(report)
    text = str(report)
    assert "95 % interval" in text
    assert "Omsk" in text
    assert "<table>" in report._repr_html_()
    assert report.to_frame("pandas").shape[0] == 18
    body = json.loads(report.to_json())
    assert body["control_arm"] == "control"
    effect = report.effect("spend", "mail")
    assert json.loads(effect.to_json())["difference"]["interval"]["level"] == 0.95
    assert repr(effect).startswith("Effect(spend: mail against control")
    assert "relative" in str(effect)
    assert "difference" in effect._repr_html_()
    with pytest.raises(ValueError, match="read-only"):
        report.difference[0] = 1.0


def test_frames_and_mappings_give_the_same_report(people):
    columns = {name: values for name, values in people.items() if name != "arm"}
    plain = analyze(columns, people["arm"], metrics=METRICS)
    for frame in (pd.DataFrame(columns), pl.DataFrame(columns)):
        again = analyze(frame, people["arm"], metrics=METRICS)
        np.testing.assert_array_equal(again.difference_low, plain.difference_low)
    named = analyze(columns, pd.Series(people["arm"]), metrics=METRICS)
    np.testing.assert_array_equal(named.p_value, plain.p_value)


def test_moments_and_rows_give_the_same_report(people):
    columns = {name: people[name] for name in ("bought", "spend", "orders", "before")}
    rows = analyze(columns, people["arm"], metrics=METRICS, segments=people["city"])
    half = len(people["arm"]) // 2
    parts = [
        Moments.from_columns({k: v[cut] for k, v in columns.items()}, people["arm"][cut], segment=people["city"][cut])
        for cut in (slice(0, half), slice(half, None))
    ]
    moments = analyze(parts[0] + parts[1], metrics=METRICS)
    assert moments.metric.tolist() == rows.metric.tolist()
    for name in ("difference", "difference_low", "relative_high", "p_value"):
        np.testing.assert_allclose(getattr(moments, name), getattr(rows, name), rtol=1e-8)


def test_moments_of_another_engine_give_the_same_effect(people):
    frame = pd.DataFrame({"arm": people["arm"], "spend": people["spend"], "before": people["before"]})
    arms = sorted(set(people["arm"]))
    groups = [frame[frame.arm == arm][["spend", "before"]] for arm in arms]
    moments = Moments.from_aggregates(
        [len(g) for g in groups],
        [g.mean().to_numpy() for g in groups],
        [g.cov().to_numpy() for g in groups],
        columns=["spend", "before"],
        arms=arms,
    )
    mine = analyze(moments, metrics=[METRICS[1]]).effect("spend", "mail")
    rows = analyze(people, people["arm"], metrics=[METRICS[1]]).effect("spend", "mail")
    assert mine.difference.low == pytest.approx(rows.difference.low, rel=1e-9)
    population = Moments.from_aggregates(
        [len(g) for g in groups],
        [g.mean().to_numpy() for g in groups],
        [g.cov(ddof=0).to_numpy() for g in groups],
        columns=["spend", "before"],
        arms=arms,
        ddof=0,
    )
    np.testing.assert_allclose(population.scatter, moments.scatter, rtol=1e-9)


def test_people_outside_are_dropped_and_counted(people):
    arm = people["arm"].copy()
    arm[:100] = ""
    report = analyze(people, arm, metrics=METRICS[:1])
    assert report.excluded == {"outside": 100}
    assert int(report.n_control[0] + report.n_treatment.sum()) == len(arm) - 100
    code = np.array([{"control": 0, "mail": 1, "call": 3}[name] for name in people["arm"]])
    code[:50] = -1
    report = analyze({"bought": people["bought"]}, code, metrics=METRICS[:1], control=0)
    assert report.excluded == {"outside": 50}
    assert report.arms == ("1", "3")
    spoiled = people["spend"].copy()
    spoiled[:50] = np.nan  # outside anyway
    assert analyze({"spend": spoiled}, code, metrics=[Mean("spend")], control=0).effect("spend", "3").p_value < 1


def test_an_assignment_brings_its_names_its_shares_and_who_is_outside():
    test = Experiment("spring", arms={"control": 0.2, "mail": 0.8}, coverage=0.5)
    a = test.assign(np.arange(4000))
    report = analyze({"y": np.arange(4000) % 2}, a, metrics=[Proportion("y")])
    assert report.excluded == {"coverage": 4000 - sum(a.counts.values())}
    assert report.checks[0].name == "sample ratio"
    assert report.checks[0].passed
    lopsided = np.where(a.arm == "control", np.where(np.arange(4000) % 3 == 0, "", "control"), a.arm)
    recorded = Assignment.recorded(np.arange(4000), lopsided, test.arms)
    failed = analyze({"y": np.arange(4000) % 2}, recorded, metrics=[Proportion("y")])
    assert not failed.checks[0].passed
    assert failed.effect("y").notes
    assert failed.decide(metric="y").action == "go on"
    assert "FAILED" in str(failed)


@pytest.mark.parametrize(
    ("metric", "values", "reason"),
    [
        (Mean("y"), {"y": [1.0] * 6}, "no variation"),
        (Ratio("y", "x"), {"y": [1.0, 2, 3, 4, 5, 7], "x": [0.0, 1, 0, 1, 0, 1]}, "mean of x is zero"),
        (Proportion("y"), {"y": [0] * 6}, "the same for everybody"),
        (Mean("y", covariates=["x"]), {"y": [1.0, 2, 3, 4, 5, 7, 8, 9], "x": [2.0, 3, 4, 5, 6, 8, 9, 10]}, "exactly"),
        (Ratio("y", "x"), {"y": [0.1, 0.2, 0.3, 0.4, 0.5, 0.7], "x": [0.3, 0.6, 0.9, 1.2, 1.5, 2.1]}, "no variation"),
    ],
)
def test_what_cannot_be_estimated_is_nan_with_the_reason(metric, values, reason):
    n = len(values["y"])
    effect = analyze(values, ["control", "mail"] * (n // 2), metrics=[metric]).effect(metric.name)
    assert reason in effect.difference.reason
    assert math.isnan(effect.p_value)
    if not isinstance(metric, Proportion):
        assert effect.difference.interval is None
    assert json.loads(effect.to_json())["p_value"] is None


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ({"y": [1.0, 2, 3, 4, 5, 7], "x": [1.0] * 6}, "constant"),
        ({"y": [1.0, 2, 3, 4], "x": [1.0, 2, 4, 9]}, "too few people"),
        ({"y": [1.0, 2, 3, 4, 5, 7], "x": [0.0, 1, 0, 2, 0, 5]}, "constant"),
    ],
)
def test_a_covariate_that_cannot_be_estimated_is_left_out_and_said(values, note):
    arms = ["control", "mail"] * (len(values["y"]) // 2)
    effect = analyze(values, arms, metrics=[Mean("y", covariates=["x"])]).effect("y")
    plain = analyze(values, arms, metrics=[Mean("y")]).effect("y")
    assert effect.difference.interval.low == pytest.approx(plain.difference.low)
    assert (effect.treatment, effect.p_value) == pytest.approx((plain.treatment, plain.p_value))
    assert any(note in one and "'x'" in one and "nothing is adjusted" in one for one in effect.notes)


@pytest.mark.parametrize("useless", ["constant", "copy", "sum", "offset"])
def test_useless_covariates_change_nothing_beside_a_good_one_overall_and_in_segments(people, useless):
    x, n = np.asarray(people["before"], dtype=float), len(people["before"])
    other = np.arange(n) % 7.0
    extra = {"constant": np.zeros(n), "copy": 3 * x + 1e6, "sum": x - 2 * other, "offset": np.full(n, 1e9)}[useless]
    data = {"y": people["spend"], "x": x, "w": other, "zero": extra}
    segment = np.where(np.arange(n) % 3 == 0, "a", "b")
    names = [("x", "w", "zero"), ("x", "w")]
    found = [analyze(data, people["arm"], metrics=[Mean("y", covariates=c)], segments=segment) for c in names]
    for column in ("control", "treatment", "difference_low", "difference_high", "p_value", "relative_low"):
        np.testing.assert_allclose(getattr(found[0], column), getattr(found[1], column), rtol=1e-7)
    assert all("'zero'" in note for note in found[0].note)
    assert not any(found[1].note)
    ratio = [
        analyze(data, people["arm"], metrics=[Ratio("y", "w", covariates=c)]).effect("y / w", "mail")
        for c in (("x", "zero"), ("x",))
    ]
    if useless != "sum":
        assert ratio[0].difference.low == pytest.approx(ratio[1].difference.low, rel=1e-7)


def test_collinear_covariates_are_left_out_whatever_their_units(people):
    data = {"y": people["spend"], "x": people["before"], "z": people["before"] * 1e-9 + 5}
    effect = analyze(data, people["arm"], metrics=[Mean("y", covariates=["x", "z"])]).effect("y", "mail")
    assert any("left out of the adjustment: 'z'" in note for note in effect.notes)
    alone = analyze(data, people["arm"], metrics=[Mean("y", covariates=["z"])]).effect("y", "mail")
    other = analyze(data, people["arm"], metrics=[Mean("y", covariates=["x"])]).effect("y", "mail")
    assert alone.standard_error == pytest.approx(other.standard_error, rel=1e-4)


def test_empty_and_single_arms_say_so_and_spoil_only_their_segment():
    data = {"y": [1.0, 2.0, 3.0, 4.0, 5.0], "b": [0, 1, 0, 1, 1]}
    arm = ["control", "mail", "control", "mail", "mail"]
    segment = ["a", "a", "a", "a", "b"]
    report = analyze(data, arm, metrics=[Mean("y"), Proportion("b")], segments=segment)
    assert report.effect("y", segment="b").difference.reason == "arm 'control' is empty"
    assert "one person" in analyze({"y": [1.0, 2, 3]}, ["control", "mail", "mail"], metrics=[Mean("y")]).reason[0]
    assert report.effect("b", segment="b").difference.reason == "arm 'control' is empty"
    assert math.isnan(report.effect("b", segment="b").control)
    assert not math.isnan(report.effect("b").difference.low)


def test_a_control_mean_near_zero_gives_an_unbounded_relative_effect_and_says_so():
    rng = np.random.default_rng(0)
    y = rng.normal(0.01, 1.0, 400)
    effect = analyze({"y": y}, ["control", "mail"] * 200, metrics=[Mean("y")]).effect("y")
    assert effect.relative.interval.low == -math.inf
    assert effect.relative.interval.high == math.inf
    assert "the control mean may be zero" in effect.relative.reason
    assert effect.difference.reason == ""
    zero = analyze({"y": [1.0, 5.0, -1.0, 3.0]}, ["control", "mail"] * 2, metrics=[Mean("y")]).effect("y")
    assert math.isnan(zero.relative.value)
    assert "control mean is zero" in zero.relative.reason
    negative = analyze({"y": -10.0 + y}, ["control", "mail"] * 200, metrics=[Mean("y", relative="delta")]).effect("y")
    assert "negative" in negative.relative.reason
    log = analyze({"y": -10.0 + y}, ["control", "mail"] * 200, metrics=[Mean("y", relative="log")]).effect("y")
    assert "logarithm" in log.relative.reason
    assert log.relative.interval is None


def test_shares_with_nobody_on_one_side_still_say_what_they_can():
    y = [0] * 50 + [1] * 5 + [0] * 45
    arm = ["control"] * 50 + ["mail"] * 50
    up = analyze({"y": y}, arm, metrics=[Proportion("y")]).effect("y")
    assert up.relative.interval is None
    assert "nobody in control" in up.relative.reason
    assert up.difference.low > 0
    down = analyze({"y": y[::-1]}, arm, metrics=[Proportion("y")]).effect("y")
    assert down.relative.value == -1
    assert down.relative.low == -1
    assert down.relative.high > -1
    delta = analyze({"y": y}, arm, metrics=[Proportion("y", relative="delta")]).effect("y")
    assert math.isnan(delta.relative.value)


@pytest.mark.parametrize("interval", ["newcombe", "miettinen-nurminen", "agresti-caffo"])
@pytest.mark.parametrize("test", ["z", "fisher", "boschloo"])
def test_every_interval_and_test_of_a_share_is_named(interval, test):
    arm = ["control"] * 20 + ["mail"] * 20
    y = [1] * 4 + [0] * 16 + [1] * 9 + [0] * 11
    effect = analyze({"y": y}, arm, metrics=[Proportion("y", interval=interval, test=test)]).effect("y")
    assert interval.split("-")[0].capitalize() in effect.difference.interval.method
    assert 0.05 < effect.p_value < 0.35
    assert effect.difference.low < 0.25 < effect.difference.high
    assert math.isnan(effect.df) == (test != "z")


def test_small_samples_are_noted():
    arm = ["control"] * 10 + ["mail"] * 10
    y = [1] + [0] * 12 + [1] * 7
    report = analyze({"y": y, "z": np.arange(20.0)}, arm, metrics=[Proportion("y"), Mean("z")])
    assert any("boschloo" in note for note in report.effect("y").notes)
    assert any("10 people" in note for note in report.effect("z").notes)


def test_groups_that_were_not_randomized_differ_but_show_no_effect(people):
    report = analyze(people, people["vip"].astype(int), metrics=[Mean("spend")], control=0, observed=True)
    effect = report.effect("spend")
    assert repr(effect).startswith("Difference(")
    assert str(effect).startswith("difference on spend")
    assert "not randomized" in effect.notes[0]
    assert "differences=1" in repr(report)
    assert "not randomized" in str(report)
    assert effect.word == report.word == "difference"
    with pytest.raises(InputError, match="not randomized"):
        report.impact(revenue="spend")
    with pytest.raises(InputError, match="not randomized"):
        report.decide()


def test_holm_and_benjamini_hochberg_widen_intervals_and_p_values(people):
    report = analyze(people, people["arm"], metrics=METRICS, segments=people["city"])
    holm, fdr = report.adjust(), report.adjust(method="benjamini-hochberg")
    m = len(report)
    assert (holm.adjusted_p_value >= report.p_value).all()
    assert (fdr.adjusted_p_value <= holm.adjusted_p_value + 1e-15).all()
    assert holm.effect("spend", "mail").difference.interval.level == pytest.approx(1 - 0.05 / m)
    at = analyze(people, people["arm"], metrics=METRICS, segments=people["city"], level=1 - 0.05 / m)
    np.testing.assert_allclose(holm.difference_low, at.difference_low, rtol=1e-12)
    selected = int((fdr.adjusted_p_value <= 0.05).sum())
    assert fdr.row_level[0] == pytest.approx(1 - 0.05 * max(selected, 1) / m)
    assert "p (holm)" in str(holm)
    assert len(holm.to_frame("polars")) == m
    assert "18 comparisons" in holm.notes[-1]


def test_an_effect_in_one_segment_alone_shows_in_the_interaction_test():
    rng = np.random.default_rng(3)
    n = 8000
    arm, segment = rng.integers(0, 2, n), rng.integers(0, 2, n)
    y = rng.normal(0, 1, n) + 0.3 * arm * segment
    report = analyze(
        {"y": y, "z": rng.normal(0, 1, n)}, arm, metrics=[Mean("y"), Mean("z")], control=0, segments=segment
    )
    tests = report.interactions()
    assert tests.p_value[0] < 1e-6
    assert tests.p_value[1] > 0.001
    assert tests.df.tolist() == [1, 1]
    # Q of two segments is the square of the z of the difference of their effects.
    a, b = (report.effect("y", segment=s) for s in "01")
    z = (b.difference.value - a.difference.value) / math.hypot(a.standard_error, b.standard_error)
    assert tests.statistic[0] == pytest.approx(z**2)
    with pytest.raises(InputError, match="no segments"):
        interaction_tests(analyze({"y": y}, arm, metrics=[Mean("y")], control=0))


def test_post_stratification_narrows_and_keeps_the_effect():
    rng = np.random.default_rng(9)
    n = 4000
    arm, stratum = rng.integers(0, 2, n), rng.integers(0, 6, n)
    y = 5.0 * stratum + rng.normal(0, 1, n) + 0.5 * arm
    moments = Moments.from_columns({"y": y, "b": y > 15}, arm, segment=stratum)
    effect = post_stratified(moments, Mean("y"), control=0)
    plain = analyze(moments, metrics=[Mean("y")], control=0).effect("y")
    assert effect.standard_error < 0.2 * plain.standard_error
    assert 0.5 in effect.difference.interval
    assert effect.relative.interval.method == "Fieller"
    assert post_stratified(moments, Proportion("b"), arm="1", control="0").standard_error > 0
    lone = Moments.from_columns({"y": y}, arm, segment=np.where(np.arange(n) == 0, 9, stratum))
    assert "fewer than two people" in post_stratified(lone, Mean("y"), control=0).difference.reason
    flat = Moments.from_columns({"y": y, "x": np.where(stratum == 2, 1.0, y)}, arm, segment=stratum)
    kept = post_stratified(flat, Mean("y", covariates=["x"]), control=0)
    assert kept.difference.interval is not None


def test_the_effect_on_those_who_open_is_the_effect_over_the_share_who_open():
    rng = np.random.default_rng(2)
    n = 20_000
    arm = rng.integers(0, 2, n)
    keen = rng.random(n) < 0.3
    opened = keen & (arm == 1)
    y = rng.normal(10, 3, n) + 2.0 * keen + 1.0 * opened
    found = complier_effect({"y": y, "opened": opened}, arm, outcome="y", received="opened", control=0)
    assert found.effect.value == pytest.approx(found.intention_to_treat.value / found.compliance.value)
    assert 1.0 in found.effect.interval
    naive = y[opened].mean() - y[arm == 0].mean()
    assert naive > found.effect.high
    assert found.notes[0].startswith("this holds if")
    assert len(found.notes) == 1
    moments = Moments.from_columns({"y": y, "opened": opened}, arm)
    assert complier_effect(moments, outcome="y", received="opened", control=0).effect == found.effect
    leak = complier_effect({"y": y, "opened": opened | keen}, arm, outcome="y", received="opened", control=0)
    assert "unbounded" in leak.effect.reason
    assert "of control received" in leak.notes[1]
    same = complier_effect({"y": y, "opened": np.ones(n)}, arm, outcome="y", received="opened", control=0)
    assert "equally frequent in both arms" in same.effect.reason
    few = complier_effect({"y": [1.0, 2, 3], "opened": [0, 1, 1]}, [0, 1, 1], outcome="y", received="opened", control=0)
    assert math.isnan(few.effect.value)
    assert "fewer than two" in few.compliance.reason


def test_a_confidence_sequence_is_wider_and_its_p_value_agrees_with_it(people):
    sequence = ConfidenceSequence(expected=3000)
    for metric in (METRICS[0], METRICS[1], METRICS[2]):
        once = analyze(people, people["arm"], metrics=[metric])
        always = analyze(people, people["arm"], metrics=[metric], level=sequence)
        assert (
            always.difference_high - always.difference_low > 1.3 * (once.difference_high - once.difference_low)
        ).all()
        inside = (always.difference_low <= 0) & (always.difference_high >= 0)
        assert (inside == (always.p_value >= 0.05)).all()
        assert "confidence sequence" in always.effect(metric.name, "mail").difference.interval.method


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda d: analyze(d, d["arm"], metrics=[Mean("spent")]), MissingColumnError, "Did you mean 'spend'"),
        (lambda d: analyze(d, d["arm"], metrics=[]), InputError, "empty"),
        (lambda d: analyze(d, d["arm"], metrics=["spend"]), InputError, "Proportion, a Mean or a Ratio"),
        (lambda d: analyze(d, d["arm"], metrics=[Mean("spend"), Mean("spend")]), InputError, "twice"),
        (lambda d: analyze(d, d["arm"], metrics=[Proportion("orders")]), InputError, "1 and 0"),
        (lambda d: analyze(d, d["arm"], metrics=[Mean("spend")], control="contol"), InputError, "Did you mean"),
        (lambda d: analyze(d, d["city"], metrics=[Mean("spend")]), InputError, "no arm is called 'control'"),
        (lambda d: analyze(d, ["control"] * 3000, metrics=[Mean("spend")]), InputError, "at least two arms"),
        (lambda d: analyze(d, d["arm"][:5], metrics=[Mean("spend")]), InputError, "3,000 rows"),
        (lambda d: analyze(d, None, metrics=[Mean("spend")]), InputError, "arms is None"),
        (lambda d: analyze(d, d["spend"], metrics=[Mean("spend")]), InputError, "names or whole numbers"),
        (lambda d: analyze(d, np.full(3000, 99_999), metrics=[Mean("spend")]), InputError, "too large for an arm"),
        (lambda d: analyze(d, np.full(3000, -2), metrics=[Mean("spend")]), InputError, "-1 for customers outside"),
        (lambda d: analyze(d, d["arm"][:, None], metrics=[Mean("spend")]), InputError, "one arm per row"),
        (lambda d: analyze(d, d["arm"], metrics=[Mean("city")]), InputError, "numbers"),
        (lambda d: analyze({"spend": np.inf + d["spend"]}, d["arm"], metrics=[Mean("spend")]), InputError, "row 0"),
        (lambda d: analyze({"spend": 1e308 + d["spend"]}, d["arm"], metrics=[Mean("spend")]), InputError, "so large"),
        (lambda d: analyze(d, d["arm"], metrics=[Mean("spend")], segments=d["city"][:, None]), InputError, "segment"),
        (lambda d: analyze(d, d["arm"], metrics=[Mean("spend")], level=1.5), InputError, "level"),
        (lambda _: Mean("spend", covariates="before"), InputError, "list of column names"),
        (lambda _: Mean("spend", covariates=["a", "a"]), InputError, "twice"),
        (lambda _: Mean("spend", relative="bayes"), InputError, "fieller"),
        (lambda _: Mean("spend", sd=-1), InputError, "sd"),
        (lambda _: Mean("spend", before=3), InputError, "before"),
        (lambda _: Proportion("spend", baseline=2), InputError, "baseline"),
        (lambda _: Ratio("spend", "spend"), InputError, "always 1"),
    ],
)
def test_what_makes_no_sense_is_refused(people, call, error, message):
    with pytest.raises(error, match=message):
        call(people)


def test_a_missing_value_is_refused_with_its_row(people):
    spoiled = people["spend"].copy()
    spoiled[17] = np.nan
    with pytest.raises(InputError, match=r"spend has nan in row 17.*Fill these rows"):
        analyze({"spend": spoiled}, people["arm"], metrics=[Mean("spend")])
    with pytest.raises(InputError, match="row 17"):
        analyze({"spend": spoiled}, people["arm"], metrics=[Mean("spend")], segments=np.arange(3000) % 40)
    with pytest.raises(InputError, match="row 3"):
        analyze({"y": [1, 0, 1, None]}, ["control", "mail"] * 2, metrics=[Proportion("y")])


def test_a_report_is_asked_clearly_or_answers_what_it_has(people):
    report = analyze(people, people["arm"], metrics=METRICS, segments={"city": people["city"], "town": people["city"]})
    with pytest.raises(InputError, match="Did you mean 'spend'"):
        report.effect("spent", "mail")
    with pytest.raises(InputError, match="choose one of"):
        report.effect("spend")
    with pytest.raises(InputError, match="Did you mean 'mail'"):
        report.effect("spend", "mial")
    with pytest.raises(InputError, match="Did you mean 'Omsk'"):
        report.effect("spend", "mail", segment="Omk")
    with pytest.raises(InputError, match="say which with dimension"):
        report.effect("spend", "mail", segment="Omsk")


def test_moments_refuse_what_does_not_fit():
    one = Moments.from_columns({"x": [1.0, 2, 3]}, [0, 1, 1])
    with pytest.raises(InputError, match="cannot be added"):
        one + Moments.from_columns({"y": [1.0, 2, 3]}, [0, 1, 1])
    with pytest.raises(TypeError):
        one + 3
    with pytest.raises(InputError, match="already in the Moments"):
        analyze(one, [0, 1, 1], metrics=[Mean("x")])
    with pytest.raises(InputError, match="does not consist of zeros and ones"):
        analyze(one, metrics=[Proportion("x")], control=0)
    with pytest.raises(MissingColumnError, match="Did you mean 'x'"):
        analyze(Moments.from_columns({"xx": [1.0, 2, 3], "x": [1.0, 2, 3]}, [0, 1, 1]), metrics=[Mean("X")], control=0)
    aggregates = {"columns": ["x"], "arms": ["a", "b"]}
    good = ([2, 2], [[1.0], [2.0]], [[[1.0]], [[1.0]]])
    assert Moments.from_aggregates(*good, **aggregates).count.tolist() == [[2.0], [2.0]]
    for bad, message in (
        (([2, -2], *good[1:]), "counts of 0 or more"),
        ((good[0], [[1.0]], good[2]), "shape"),
        ((good[0], [[np.nan], [1.0]], good[2]), "not finite"),
        ((*good[:2], [[[-1.0]], [[1.0]]]), "negative variance"),
    ):
        with pytest.raises(InputError, match=message):
            Moments.from_aggregates(*bad, **aggregates)
    with pytest.raises(InputError, match="a name is given twice"):
        Moments.from_aggregates(*good, columns=["x"], arms=["a", "a"])
    with pytest.raises(InputError, match="not symmetric"):
        Moments.from_aggregates([2], [[1.0, 2.0]], [[[1.0, 0.5], [0.1, 1.0]]], columns=["x", "y"], arms=["a"])
    assert "rows=3" in repr(one)
    assert "sd" in str(one)
    assert "segments=2" in repr(Moments.from_columns({"x": [1.0, 2, 3]}, [0, 1, 1], segment=[0, 1, 1]))
    assert Moments.from_columns({"x": np.empty(0)}, np.empty(0, dtype="U1")).arms == ()


def test_many_segments_and_few_give_the_same_moments():
    rng = np.random.default_rng(8)
    n = 600_000  # more than one piece of the kernel for many cells
    x, arm, segment = rng.normal(1e6, 1.0, n), rng.integers(0, 2, n), rng.integers(0, 40, n)
    arm[:1000] = -1
    many = Moments.from_columns({"x": x, "y": -2 * x}, arm, segment=segment)
    few = Moments.from_columns({"x": x, "y": -2 * x}, arm)
    np.testing.assert_allclose(many.total().scatter, few.scatter, rtol=1e-9)
    np.testing.assert_allclose(many.total().mean, few.mean, rtol=1e-14)
    assert many.excluded == few.excluded == 1000


def test_a_segment_that_is_missing_is_one_of_its_own():
    report = analyze(
        {"y": np.arange(8.0)},
        ["control", "mail"] * 4,
        metrics=[Mean("y")],
        segments=["a", "a", None, None, "", "", "a", "a"],
    )
    assert report.segment.tolist() == ["", "a", "unknown"]
    assert report.effect("y", segment="unknown").n_control == 2


def test_an_arm_that_is_missing_is_outside():
    report = analyze({"y": np.arange(6.0)}, ["control", "mail", None, "", "control", "mail"], metrics=[Mean("y")])
    assert report.excluded == {"outside": 2}


@pytest.mark.parametrize(
    "case",
    [
        "plain",
        "sorted",
        "lopsided",
        "constant",
        "constant in one arm",
        "whole numbers",
        "single precision",
        "tiny",
        "offset",
    ],
)
def test_two_arms_have_the_moments_of_numpy_whatever_their_order_and_scale(case):
    rng = np.random.default_rng(12)
    n = 20_000
    arm = rng.integers(0, 2, n)
    x, y = rng.normal(3.0, 2.0, n), rng.gamma(1.0, 1.0, n)
    if case == "sorted":
        arm = np.sort(arm)
        x = x + 1e9 * (arm == 0)
    elif case == "lopsided":
        arm = (np.arange(n) >= 5).astype(int)
    elif case == "constant":
        x = np.full(n, 0.1)
    elif case == "constant in one arm":
        x = np.where(arm == 1, 0.1, x)
    elif case == "whole numbers":
        x, y = rng.integers(0, 9, n), rng.random(n) < 0.2
    elif case == "single precision":
        x, y = (x + 1e5).astype(np.float32), y.astype(np.float32)
    elif case == "tiny":
        x, y, arm = x[:3], y[:3], np.array([0, 1, 1])
    elif case == "offset":
        x, y = x + 1e9, y - 1e9
    moments = Moments.from_columns({"x": x, "y": y}, arm)
    for a in (0, 1):
        part = np.array([x[arm == a], y[arm == a]], dtype=float)
        np.testing.assert_allclose(moments.mean[a, 0], part.mean(axis=1), rtol=1e-13)
        away = part - part.mean(axis=1)[:, None]
        np.testing.assert_allclose(moments.scatter[a, 0], away @ away.T, rtol=1e-8, atol=1e-9 * np.abs(away).max() ** 2)
    both = analyze({"x": x, "y": y}, arm, metrics=[Mean("x"), Mean("y")], control=0)
    if case == "constant":
        assert "no variation" in both.effect("x").difference.reason


def test_arms_may_be_booleans_and_reports_pickle(people):
    mailed = people["arm"] == "mail"
    report = analyze(people, mailed, metrics=[Mean("spend")], control=False)
    again = pickle.loads(pickle.dumps(report))
    assert again.effect("spend").difference == report.effect("spend").difference
    assert "choose one" not in str(again)


def test_objects_that_are_no_numbers_are_refused_as_arms():
    with pytest.raises(InputError, match="a string is needed"):
        analyze({"y": [1.0, 2, 3]}, np.array(["a", 3, "b"], dtype=object), metrics=[Mean("y")])
    with pytest.raises(InputError, match="one column of numbers"):
        analyze({"y": np.ones((4, 2))}, [0, 1, 0, 1], metrics=[Mean("y")], control=0)
    with pytest.raises(InputError, match="make it with analyze"):
        attrs.evolve(analyze({"y": [1.0, 2, 3]}, [0, 1, 1], metrics=[Mean("y")], control=0), source=None).source


def test_a_report_prints_reasons_and_empty_segments_have_no_notes():
    data = {"y": [1.0, 2.0, 3.0, 4.0, 5.0], "b": [0, 1, 0, 1, 1]}
    report = analyze(data, ["control", "mail", "control", "mail", "mail"], metrics=[Mean("y")], segments=list("aaaab"))
    assert "reason: arm 'control' is empty" in str(report)
    assert report.effect("y", segment="b").notes == ()


def test_an_exact_test_of_an_empty_arm_is_undefined():
    assert math.isnan(boschloo_test(0, 0, 1, 4))
    assert boschloo_test(0, 4, 0, 4) == 1.0
