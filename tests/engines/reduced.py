"""Every state that engines add up, and what numpy makes of the whole log: what the tests hold each engine against."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from relmark import days, engines, event, field, prop
from relmark.attribution import Journeys, Markov
from relmark.experiments import Experiment, Mean, Moments, analyze
from relmark.ltv import BgNbd, purchase_summary
from relmark.metrics import MessageCounts, cohort_retention, funnel
from relmark.recommend import ItemNeighbors, also_bought
from relmark.segmentation import Rfm, RfmGrid, Segment

TOUCHES = {"touch": event("visit"), "conversion": event("purchase"), "channel": prop("page").fill("none"),
           "order": "instant"}  # fmt: skip
NAMED = {"sent": "visit", "opened": "seen"}
FIGURES = {"spend": event("purchase").sum(), "visits": event("visit").count()}
TEST = Experiment("spring", arms={"control": 0.3, "mail": 0.7})
SETTINGS = (Rfm(bins=3, grid=RfmGrid.by_score(3)), Rfm(frequency="days", monetary="mean"))
OMSK = Segment("of Omsk", field("city") == "Omsk")
COHORTS = (
    {}, {"period": days(30), "kind": "rolling", "by": ["city", "vip"]},
    {"period": "week", "by": OMSK, "since": "2026-03-01"},
    {"start": event("visit"), "back": event("purchase", where=prop("item") == "a"), "by": "page", "period": "quarter"},
)  # fmt: skip
STEPS = [event("seen"), event("visit", where=prop("page") == "mail"), event("purchase")]
FUNNELS = (
    {"within": days(20)}, {"by": ["page", "month"], "exclude": [event("purchase", where=prop("item") == "e")]},
    {"order": "any", "by": "page", "within": days(9)},
    {"order": "strict", "count": "attempts", "by": field("age") > 18},
    {"by": {"of Omsk": OMSK, "all": field("age") > 0}, "same": "page", "within": days(50)},
)  # fmt: skip


def plain(value):
    """Return a result as plain values, to compare."""
    if attrs.has(type(value)):
        return {one.name: plain(getattr(value, one.name)) for one in attrs.fields(type(value))}
    if isinstance(value, np.ndarray):
        return [None if one is None or one != one else one for one in value.ravel().tolist()]  # noqa: PLR0124
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return value


def near(values, digits=12):
    return pytest.approx(values, rel=10.0**-digits)


def check_purchases(base, happened, as_of, **more):
    cells, everyone = (
        engines.purchase_cells(happened, as_of=as_of, **more), purchase_summary(base, as_of=as_of).cells(),
    )  # fmt: skip
    for name in ("frequency", "recency", "T", "weights"):
        assert getattr(cells, name).tolist() == getattr(everyone, name).tolist()
    found, expected = BgNbd.fit(cells), BgNbd.fit(everyone)
    assert [found.r, found.alpha, found.a, found.b] == near([expected.r, expected.alpha, expected.a, expected.b], 9)
    for settings in SETTINGS:
        assert engines.rfm(happened, settings, as_of=as_of, **more).cuts == settings.fit(base, as_of=as_of).cuts


def check_pairs(base, happened, as_of, **more):
    for by in ("order", "customer"):
        counts = engines.cooccurrence(happened, as_of=as_of, by=by, **more)
        assert plain(counts.pairs(min_count=1)) == plain(also_bought(base, by=by, min_count=1, as_of=as_of))
        spec = ItemNeighbors(measure="llr", by=by)
        found, expected = spec.fit_counts(counts), spec.fit(base, as_of=as_of)
        assert plain(found.neighbors) == plain(expected.neighbors)


def check_tables(base, happened, as_of, people, **more):
    for how in COHORTS:
        counts = engines.cohorts(happened, customers=people, as_of=as_of, **more, **how)
        assert plain(counts.retention()) == plain(cohort_retention(base, as_of=as_of, **how)), how
    for how in FUNNELS:
        counts = engines.funnel(happened, STEPS, customers=people, as_of=as_of, **more, **how)
        assert plain(counts.funnel()) == plain(funnel(base, STEPS, as_of=as_of, **how)), how


def check_messages(base, happened, as_of, people, **more):
    given = [Markov(order=1).attribute(one) for one in (
        engines.journeys(happened, as_of=as_of, **more, **TOUCHES), Journeys.from_events(base, as_of=as_of, **TOUCHES),
    )]  # fmt: skip
    found, expected = (dict(zip(one.channels, one.conversions, strict=True)) for one in given)
    assert found == near(expected)
    counts = engines.message_counts(happened, as_of=as_of, **more, named=NAMED)
    everything = MessageCounts.of(base, as_of=as_of, events=NAMED)
    assert plain(counts.to_columns()) == plain(everything.to_columns())
    moments = engines.moments(happened, FIGURES, experiment=TEST, customers=people, as_of=as_of, **more)
    measured = base.measure(FIGURES, as_of=as_of)
    whole = Moments.from_columns({name: measured[name] for name in FIGURES}, TEST.assign(base.customer_id))
    for name in FIGURES:
        one, other = (analyze(m, metrics=[Mean(name)], control="control").effect(name, arm="mail")
                      for m in (moments, whole))  # fmt: skip
        assert one.difference.value == near(other.difference.value)
        assert one.difference.interval.low == near(other.difference.interval.low)
