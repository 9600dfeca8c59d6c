"""The calls on which users rely, room by room, with the names and shapes of their answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

import relmark
from relmark import (
    Customer,
    CustomerBase,
    CustomerTable,
    Event,
    EventLog,
    ItemTable,
    Purchase,
    Schema,
    all_of,
    any_of,
    at_least,
    days,
    event,
    everyone,
    field,
    hours,
    ids,
    minutes,
    none_of,
    parse,
    prop,
    resolve_identities,
    sample,
    sequence,
)

AS_OF = "2026-11-01"


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(4)
    n = 600
    times = np.datetime64("2026-01-01", "us") + rng.integers(0, 300 * 86_400, n) * np.timedelta64(1, "s")
    customers = np.array([f"c{k}" for k in rng.integers(0, 40, n)])
    return EventLog.from_columns(
        customer_id=customers,
        type=rng.choice(["purchase", "visit"], n, p=[0.7, 0.3]),
        time=times,
        value=rng.gamma(2.0, 10.0, n),
        properties={
            "sku": rng.choice(list("abcdef"), n),
            "order": np.array([f"o{k}" for k in range(n)]),
            "channel": rng.choice(["mail", "search", "direct"], n),
        },
    )


@pytest.fixture(scope="module")
def base(log):
    table = CustomerTable.from_columns(
        customer_id=["c1", "c2", "c3"], city=["Omsk", None, "Kazan"], age=[30, 41, None], country=["RU", "KZ", None]
    )
    return CustomerBase(customers=table, events=log)


def test_core(log, base):
    assert len(log) == 600
    assert log.n_customers == len(log.customer_id) == 40
    assert log.types == ("purchase", "visit")
    assert list(log.to_columns())[:4] == ["customer_id", "type", "time", "value"]
    assert len(log.of_type("purchase")) + len(log.of_type("visit")) == 600
    assert len(log.until(AS_OF)) == 600
    assert len(log.take(np.arange(600) < 10)) == 10
    assert len(log.without(["c1"])) < 600
    assert len(log.append(log)) == len(EventLog.concat([log, log])) == 1200
    assert base.customer_id[:3].tolist() == ["c1", "c2", "c3"]
    views = EventLog.from_events([Event(customer_id="c1", type="page_view", time=datetime(2026, 1, 1, tzinfo=UTC))])
    assert views.sessions(gap=minutes(30)).types == ("visit",)
    measured = base.measure(
        {"spend": event("purchase").sum(within=days(30)), "omsk": field("city") == "Omsk"}, as_of=AS_OF
    )
    assert measured["spend"].shape == measured["customer_id"].shape == (len(base.customer_id),)
    each = np.full(len(base.customer_id), np.datetime64("2026-11-01T00:00", "us"))
    assert np.array_equal(
        base.measure({"spend": event("purchase").sum(within=days(30))}, as_of=each)["spend"], measured["spend"]
    )
    joined = base.with_column("p_alive", np.linspace(0, 1, len(base.customer_id))).with_columns(
        measured, names=["spend"]
    )
    assert {"p_alive", "spend"} <= set(joined.fields)
    people = resolve_identities({"email": ["a@x.org", "A@x.org "], "phone": [None, None]}, keys=["email", "phone"])
    assert people.customer_id.tolist() == [0, 0]
    assert people.groups == ((0, 1),)
    assert people.refused == ()
    assert people.explain(0)
    assert Schema.from_json(base.schema().to_json()) == base.schema()
    assert Schema(fields={"age": float, "city": str}, events={"purchase": {"sku": str}}).fields["age"] == "number"


def test_segmentation(log, base):
    from relmark.segmentation import Rfm, RfmModel, Segment, SegmentSet, migration, presets

    seg = Segment(
        "win back", (field("age") >= 18) & (event("purchase", where=prop("sku") == "a").count(within=days(90)) >= 1)
    )
    r = seg.evaluate(base, as_of=AS_OF)
    assert r.mask.shape == base.customer_id.shape
    assert r.size == r.mask.sum() == len(r.ids)
    assert r.unknown == r.unknown_mask.sum()
    assert r.share == r.size / len(base.customer_id)
    assert seg.problems(base.schema()) == ()
    checked = Segment.check(seg.to_dict(), base.schema())
    assert checked.segment.fingerprint == seg.fingerprint
    assert checked.problems == ()
    broken = Segment.check({"relmark": "segment", "version": 1, "name": "x", "rule": {"op": "??"}}, base.schema())
    assert broken.segment is None
    assert {"path", "code", "message", "hint"} <= set(dir(broken.problems[0]))
    one = seg.one(Customer("c1", {"age": 30}), [Purchase("c1", "2026-10-30T10:00Z", 5.0)], as_of=AS_OF)
    assert isinstance(one.member, bool)
    assert one.next_change is None or one.next_change.tzinfo is not None
    assert str(one)
    assert one.to_dict()["member"] == one.member
    assert seg.explain(base, "c1", as_of=AS_OF).member == bool(r.mask[base.find(["c1"])[0]])
    assert Segment.from_json(seg.to_json()).fingerprint == seg.fingerprint
    assert parse(seg.rule.to_text()).fingerprint == seg.rule.fingerprint
    rules = [all_of(everyone), any_of(ids({"c1"})), none_of(sample(10, salt="s")), at_least(1, everyone)]
    found = SegmentSet([seg, *(Segment(f"r{k}", rule) for k, rule in enumerate(rules))]).evaluate(base, as_of=AS_OF)
    assert set(found.masks) == {"win back", "r0", "r1", "r2", "r3"}
    assert found.overlap.shape == (5, 5)
    assert found.sizes["r0"] == len(base.customer_id)
    assert len(found.waterfall) == 5
    assert (
        Segment("s", sequence([event("visit"), event("purchase")], within=hours(48))).evaluate(base, as_of=AS_OF).size
        >= 0
    )
    assert presets.__all__
    model = Rfm(bins=5).fit(log, as_of=AS_OF)
    assert (
        RfmModel.from_json(model.to_json()).score(log, as_of=AS_OF).counts() == model.score(log, as_of=AS_OF).counts()
    )
    s = model.score(log, as_of=AS_OF)
    assert s.r.max() == s.f.max() == s.m.max() == 5
    assert len(s.segment) == len(s.customer_id)
    assert migration(s, s).moved == 0


def test_scoring(base):
    from relmark.scoring import Grade, Group, LeadScore, Rule, calibrate, half_life, presets, suggest_points

    score = LeadScore(
        name="b2b",
        groups=[Group("fit", cap=100), Group("engagement", cap=50)],
        rules=[
            Rule("in territory", when=field("country").is_in(["RU", "KZ"]), points=8, group="fit"),
            Rule("visit", each=event("visit"), points=3, cap=30, group="engagement", decay=half_life(days(30))),
            Rule("purchase", each=event("purchase"), points=2, group="engagement"),
        ],
        bands={"sales": 40, "marketing": 20},
        grades=Grade(fit={"A": 5, "C": 0}, engagement={1: 30, 3: 0}),
    )
    r = score.evaluate(base, as_of=AS_OF)
    n = len(base.customer_id)
    assert r.total.shape == r.band.shape == r.grade.shape == (n,)
    assert r.by_rule.shape == (n, 3)
    assert r.by_group.shape == (n, 2)
    explained = score.explain(base, "c1", as_of=AS_OF)
    assert sum(line.points for line in explained.lines) == explained.total == r.total[base.find(["c1"])[0]]
    assert {"rule", "points", "lost_to_cap", "events"} <= set(dir(explained.lines[0]))
    one = score.one(Customer("x", {"country": "RU"}), [Purchase("x", "2026-10-30T10:00Z", 5.0)], as_of=AS_OF)
    assert one.total == 10
    assert one.band == ""
    assert one.crossed(since="2026-10-01") is not None
    assert one.next_change is None or one.next_change.tzinfo is not None
    assert LeadScore.from_json(score.to_json()).fingerprint == score.fingerprint
    converted = np.arange(n) % 3 == 0
    c = calibrate(r.total, converted)
    assert 0 <= c.auc <= 1
    assert 0 <= c.ks <= 1
    assert len(c.deciles) <= 10
    assert c.threshold_for(precision=0.2) is not None
    assert c.threshold_for_capacity(5) is not None
    assert isinstance(suggest_points(score, base, converted, as_of=AS_OF), LeadScore)
    assert presets.__all__


def test_ltv(log):
    from relmark.ltv import (
        BgBb,
        BgNbd,
        GammaGamma,
        MbgNbd,
        Nbd,
        ParetoNbd,
        PurchaseSummary,
        ShiftedBetaGeometric,
        cohort_tracking,
        lifetime_value,
        purchase_summary,
    )

    s = purchase_summary(log, as_of="2026-10-28", unit="week")
    assert len(s.frequency) == len(s.recency) == len(s.T) == len(s.monetary_value) == len(s.customer_id)
    assert s.unit == "week"
    own = PurchaseSummary(frequency=[2], recency=[30.43], T=[38.86], monetary_value=[22.35], unit="week")
    assert own.cells().frequency.tolist() == [2]
    m = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)
    assert m.expected_purchases(own, 39.0)[0] == pytest.approx(1.226028, abs=1e-6)
    assert m.probability_alive(own, at=0.0)[0] == pytest.approx(0.726579, abs=1e-6)
    assert m.expected_purchases_new(52.0) > 0
    assert m.residual_transactions(own, discount_rate=0.0027)[0] > 0
    assert m.purchase_probabilities(own, t=39.0, n=range(5)).shape == (1, 5)
    for model in (BgNbd, MbgNbd, ParetoNbd, Nbd):
        fitted = model.fit(s)
        assert np.isfinite(fitted.fit_report.log_likelihood)
        assert fitted.fit_report.converged in {True, False}
        assert fitted.fit_report.covariance.shape[0] == len(fitted.fit_report.standard_errors)
    assert ShiftedBetaGeometric.fit([1000, 869, 743, 653]).alpha > 0
    assert BgBb(alpha=1.2, beta=0.75, gamma=0.66, delta=2.78).alpha == 1.2
    g = GammaGamma.fit(s)
    assert g.expected_spend(s).shape == s.frequency.shape
    value = lifetime_value(BgNbd.fit(s), g, s, horizon=days(365), annual_rate=0.15, margin=0.3)
    for name in ("customer_id", "p_alive", "purchases", "spend", "value"):
        assert getattr(value, name).shape == s.frequency.shape
    assert callable(cohort_tracking)


def test_recommend(log):
    from relmark.recommend import (
        AfterPurchase,
        Als,
        Blend,
        Bpr,
        BuyAgain,
        Category,
        Ease,
        Fallback,
        Interactions,
        ItemNeighbors,
        NewArrivals,
        Popular,
        Rules,
        also_bought,
        auto,
        compare,
        look_alike,
        split_by_time,
    )

    items = ItemTable.from_columns(item=list("abcdef"), category=["x", "x", "y", "y", "z", "z"], price=[1.0] * 6)
    x = Interactions.from_log(log, item="sku", order="order", catalogue=items)
    m = Ease(regularization=20.0).fit(x)
    recs = m.recommend(customers=["c1", "c2"], k=3, rules=Rules(exclude_bought="never", deny=["a"]), as_of=AS_OF)
    assert recs.customer_id.tolist() == ["c1", "c2"]
    assert recs.offsets.tolist() == [0, 3, 6]
    assert len(recs.item) == len(recs.score) == 6
    assert recs.for_customer("c1")[0].rank == 1
    assert {"item", "score", "rank", "reason"} <= set(dir(recs.for_customer("c1")[0]))
    assert recs.dropped["deny"] == 2
    assert all(other.item != "a" for other in m.similar_items("a", 3))
    assert all(other.item not in {"a", "b"} for other in m.for_basket(["a", "b"], 2, customer=None, rules=None))
    told = m.explain("c1", "b")
    assert told.contributions.sum() == pytest.approx(told.score)
    pairs = also_bought(x, by="customer", min_count=3)
    for name in ("item", "other", "count", "support", "confidence", "lift", "leverage", "llr"):
        assert len(getattr(pairs, name)) == len(pairs.item)
    assert isinstance(pairs.top("a", 2), tuple)
    table = compare({"ease": Ease(), "popular": Popular()}, x, k=3, test=timedelta(days=30))
    assert "ndcg" in table.to_columns()
    alike = look_alike(x, seed=[f"c{k}" for k in range(12)], size=5)
    assert len(alike.customer_id) == len(alike.score) == 5
    assert {"auc", "baseline_auc", "lift"} <= set(dir(alike))
    rules = Rules(after_purchase=[AfterPurchase(of=Category("x"), within=days(30), block=Category("x"))])
    specs = [Popular(), BuyAgain(), ItemNeighbors(k=3), Blend({Popular(): 1.0}), Fallback([BuyAgain(), Popular()])]
    for spec in specs:
        assert len(spec.fit(x).recommend(customers=["c1"], k=1, rules=rules, as_of=AS_OF).offsets) == 2
    assert {Als, Bpr, NewArrivals, auto, split_by_time}


def test_attribution(base):
    from relmark.attribution import (
        CustomRule,
        FirstTouch,
        Journeys,
        LastNonDirect,
        LastTouch,
        Linear,
        Markov,
        Participation,
        PositionBased,
        Shapley,
        TimeDecay,
        compare,
    )

    j = Journeys.from_events(
        base,
        touch=event("visit"),
        conversion=event("purchase"),
        order="order",
        channel="channel",
        as_of=AS_OF,
        lookback=days(30),
    )
    models = [
        FirstTouch(), LastTouch(), LastNonDirect(["direct"]), Linear(), Participation(), PositionBased(0.4, 0.2, 0.4),
        TimeDecay(days(7)), Shapley(), Markov(order=1),
    ]  # fmt: skip
    for model in models:
        credit = model.attribute(j)
        total = credit.conversions.sum() + credit.unattributed_conversions
        assert total == pytest.approx(j.conversions.sum(), rel=1e-12)
        assert credit.value.sum() + credit.unattributed_value == pytest.approx(j.value.sum(), rel=1e-12)
    assert CustomRule
    m = Markov(order=2).fit(
        Journeys.from_paths(["a > b", "a"], conversions=[3, 1], value=[3.0, 1.0], nulls=[1, 4], sep=" > ")
    )
    assert m.channels.tolist() == ["a", "b"]
    assert m.removal_effects.shape == (2,)
    assert 0 < m.conversion_probability < 1
    assert m.transition_matrix() is not None
    assert m.removal_of({"a", "b"}) == pytest.approx(1.0)
    credit = Markov(order=1).attribute(j)
    assert credit.with_cost(dict.fromkeys(credit.channels.tolist(), 10.0)) is not None
    assert Markov(order=1).bootstrap(j, n=20, rng=0) is not None
    assert compare(credit, LastTouch().attribute(j)) is not None
    for report in (j.path_lengths(), j.assists(), j.top_paths(10), j.overlap()):
        assert str(report)


def test_experiments(base):
    from relmark.experiments import (
        Experiment,
        Holdout,
        Layer,
        Mean,
        Moments,
        Proportion,
        Ratio,
        analyze,
        hash_fraction,
        newcombe_interval,
        sample_ratio_test,
        sample_size,
    )

    assert hash_fraction(["a", "b"], seed="seed").tolist() == [0.0505, 0.2696]
    test = Experiment("spring", arms={"control": 0.3, "mail": 0.7}, salt="s")
    a = test.assign(base.customer_id)
    assert a.arm.shape == a.code.shape == base.customer_id.shape
    assert sum(a.counts.values()) == len(base.customer_id)
    assert test.arm_of(str(base.customer_id[0])) == a.arm[0]
    rng = np.random.default_rng(0)
    n = 2_000
    columns = {"visit": rng.random(n) < 0.2, "spend": rng.gamma(2, 2, n), "before": rng.gamma(2, 2, n)}
    arm = np.where(np.arange(n) % 2, "mail", "none")
    metrics = [Proportion("visit"), Mean("spend", covariates=["before"]), Ratio("spend", "before")]
    rep = analyze(columns, arm, metrics=metrics, control="none")
    e = rep.effect("visit", arm="mail")
    for name in ("control", "treatment", "difference", "relative", "p_value", "statistic", "method", "notes"):
        assert hasattr(e, name)
    assert e.difference.interval.method
    assert rep.to_dict()
    halves = [
        Moments.from_columns({k: v[part] for k, v in columns.items()}, arm[part])
        for part in (slice(0, 900), slice(900, n))
    ]
    both = analyze(halves[0] + halves[1], metrics=metrics, control="none").effect("spend", arm="mail")
    assert both.difference.value == pytest.approx(rep.effect("spend", arm="mail").difference.value, rel=1e-9)
    read = test.read(
        base, start="2026-10-01", window=days(14), metrics=[Mean("spend", of=event("purchase").sum(), before=days(60))]
    )
    assert read.effect("spend", arm="mail").control > 0
    interval = newcombe_interval(56, 70, 48, 80)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.0524, 0.3339)
    check = sample_ratio_test({"a": 821588, "b": 815482}, {"a": 0.5, "b": 0.5})
    assert check.p_value == pytest.approx(1.8218e-06, rel=1e-4)
    assert {Holdout, Layer, sample_size}


def test_engines(log):
    import polars as pl

    from relmark import engines
    from relmark.segmentation import Segment

    seg = Segment("x", event("purchase").count(within=days(60)) >= 2)
    assert engines.unsupported(seg.rule) == ()
    frame = pl.DataFrame(
        {name: column.tolist() for name, column in log.to_columns().items() if name != "time"}
    ).with_columns(ts=pl.Series(log.to_columns()["time"]))
    found = engines.evaluate(
        seg, events=frame.lazy(), columns={"customer_id": "customer_id", "time": "ts", "type": "type"}, as_of=AS_OF
    ).collect()
    assert sorted(found.filter(pl.col("member"))["customer_id"].to_list()) == sorted(
        seg.evaluate(CustomerBase(events=log), as_of=AS_OF).ids.tolist()
    )


def test_the_errors_are_where_users_look_for_them():
    assert issubclass(relmark.errors.MissingColumnError, KeyError)
    assert issubclass(relmark.errors.InputError, ValueError)
    assert issubclass(relmark.errors.ConvergenceError, RuntimeError)
