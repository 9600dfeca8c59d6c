"""One shop, every kind of definition, and what numpy says of it: what the tests of engines hold others against."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import attrs
import numpy as np
import polars as pl

from relmark import (
    CustomerBase,
    CustomerTable,
    EventLog,
    calendar_days,
    days,
    engines,
    event,
    field,
    period,
    prop,
    sample,
    sequence,
)
from relmark.experiments import Experiment, Holdout
from relmark.ltv import BgNbd, GammaGamma, lifetime_value, purchase_summary
from relmark.recommend import Ease, Interactions, Rules
from relmark.scoring import Grade, Group, LeadScore, Rule, half_life, step_decay
from relmark.segmentation import Rfm, Segment, SegmentSet

AS_OF = "2026-11-09T12:00Z"
COLUMNS = {"customer_id": "user", "time": "ts", "type": "event", "value": "amount", "item": "sku"}


def shop(seed=0, n=60, most=0.0):
    """Return customers and events as polars frames; one customer may have a share `most` of all events."""
    rng = random.Random(seed)
    ids = [f"c{k}" for k in range(n)]
    people = pl.DataFrame(
        {
            "user": ids[: n - 5],
            "age": [rng.choice([None, 17.0, 30.0, 55.5]) for _ in ids[5:]],
            "city": [rng.choice([None, "Omsk", "Kazan"]) for _ in ids[5:]],
            "born": [rng.choice([None, date(1990, 11, 12), date(2000, 2, 29)]) for _ in ids[5:]],
            "vip": [rng.choice([None, True, False]) for _ in ids[5:]],
        },
        schema_overrides={"born": pl.Date, "vip": pl.Boolean},
    )
    end = datetime(2026, 11, 10, tzinfo=UTC)
    rows = []
    for _ in range(12 * n):
        kind = rng.choice(["purchase", "purchase", "visit", "visit", "seen"])
        who = ids[7] if rng.random() < most else rng.choice(ids[3:])
        when = end - timedelta(seconds=rng.randrange(0, 400 * 86_400))
        amount = rng.choice([5.0, 9.99, 20.0, 33.3]) if kind == "purchase" else None
        rows.append((who, kind, when, amount, rng.choice("abcde") if kind == "purchase" else None,
                     rng.choice(["mail", "site", None])))  # fmt: skip
    happened = pl.DataFrame(
        rows, orient="row",
        schema={"user": pl.String, "event": pl.String, "ts": pl.Datetime("us", "UTC"), "amount": pl.Float64,
                "sku": pl.String, "page": pl.String},
    )  # fmt: skip
    return people, happened


def base_of(people, happened, tz="UTC"):
    named = happened.rename({"sku": "item"})
    return CustomerBase(
        customers=CustomerTable.from_frame(people, customer_id="user"),
        events=EventLog.from_frame(
            named, customer_id="user", type="event", time="ts", value="amount", properties=["item", "page"]
        ),
        tz=tz,
    )


def spenders(base):
    """Return how much each customer spent: a function as a user writes one."""
    found = base.measure({"spent": event("purchase").sum()}, as_of=AS_OF)
    return {"customer_id": found["customer_id"], "double": 2 * found["spent"], "city": base.column("city").values()}


@attrs.frozen
class Policy:
    """Something with `evaluate` that the engines do not know."""

    name: str = "shop"

    def evaluate(self, base, *, as_of):
        return base.measure({"seen": event("seen").count(within=days(60))}, as_of=as_of)


class Broken:
    """Raises where a customer has bought."""

    name = "broken"

    def evaluate(self, base, *, as_of):  # noqa: ARG002
        if len(base.events):
            raise ZeroDivisionError("nothing to divide")
        return {"customer_id": base.customer_id}


def definitions(base):
    """Return every kind of definition, and what numpy says by its columns."""
    lovers = Segment("lovers", sequence([event("visit"), event("purchase", where=prop("item") == "a")], within=days(9)))
    both = SegmentSet([lovers, Segment("drawn", sample(40, salt="s") & (field("age") >= 18)),
                       Segment("soon", field("born").anniversary(upcoming=days(7)))])  # fmt: skip
    score = LeadScore(
        name="warm",
        rules=[Rule("visits", each=event("visit"), points=3, decay=half_life(days(14)), expires=days(90), group="web"),
               Rule("buys", each=event("purchase"), points=5, decay=step_decay({days(30): 0.5})),
               Rule("adult", when=field("age") >= 18, points=8, group="fit")],
        groups=[Group("web", cap=9), Group("fit")], bands={"hot": 20, "warm": 5}, grades=Grade(fit={"A": 8, "B": 0}),
    )  # fmt: skip
    model = Rfm(bins=3, grid=_grid()).fit(base, as_of=AS_OF)
    test = Experiment("spring", arms={"control": 0.3, "mail": 0.7}, holdout=Holdout(0.2, salt="all", period="month"))
    counts, spend = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426, unit="week"), GammaGamma(p=6.25, q=3.74, v=15.44)
    recommender = Ease(regularization=10.0).fit(Interactions.of(base, as_of=AS_OF))
    figures = {"spend": event("purchase").sum(within=days(90)), "last": event("purchase").last("item"),
               "vip": field("vip"), "born": field("born"), "ago": event("seen").days_since_last()}  # fmt: skip
    rules = Rules(exclude_bought="always")
    value = engines.Values(model=counts, spend=spend, horizon=days(100), annual_rate=0.1, margin=0.3)
    worth = lifetime_value(counts, spend, purchase_summary(base, as_of=AS_OF), horizon=days(100), annual_rate=0.1,
                           margin=0.3)  # fmt: skip
    lists = recommender.recommend(base.customer_id, 3, rules=rules, as_of=AS_OF, history=base)
    found = lovers.evaluate(base, as_of=AS_OF)
    assigned = test.assign(base.customer_id, at=AS_OF)
    return {
        "segment": (lovers, {"customer_id": found.customer_id, "member": found.mask, "unknown": found.unknown_mask}),
        "set": (both, both.evaluate(base, as_of=AS_OF).to_columns()),
        "score": (score, score.evaluate(base, as_of=AS_OF).to_columns()),
        "rfm": (model, model.score(base, as_of=AS_OF).to_columns()),
        "experiment": (test, {name: getattr(assigned, name) for name in ("customer_id", "arm", "code", "reason")}),
        "value": (value, {name: getattr(worth, name) for name in ("customer_id", "p_alive", "purchases", "spend",
                                                                  "value")}),
        "lists": (engines.Lists(model=recommender, k=3, rules=rules), {
            "customer_id": lists.customer_id,
            "item": [lists.item[low:high].tolist() for low, high in _edges(lists)],
            "score": [lists.score[low:high].tolist() for low, high in _edges(lists)],
            "source": [lists.source[low:high].tolist() for low, high in _edges(lists)]}),
        "measures": (figures, dict(base.measure(figures, as_of=AS_OF).items())),
        "policy": (Policy(), Policy().evaluate(base, as_of=AS_OF).to_columns()),
        "function": (spenders, spenders(base)),
    }  # fmt: skip


RETURNS = {"function": {"city": "string"}}


def _grid():
    from relmark.segmentation import RfmGrid

    return RfmGrid.by_score(3)


def _edges(lists):
    return zip(lists.offsets[:-1].tolist(), lists.offsets[1:].tolist(), strict=True)


def plain(value):
    """Return a value as rows are compared: NaN and None are alike, numbers to twelve digits."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return tuple(plain(one) for one in value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return None if np.isnan(value) else float(f"{value:.12g}")
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def expected_rows(columns):
    names = list(columns)
    listed = [column.tolist() if isinstance(column, np.ndarray) else list(column) for column in columns.values()]
    return {row[0]: dict(zip(names[1:], map(plain, row[1:]), strict=True)) for row in zip(*listed, strict=True)}


def found_rows(rows):
    return {row["customer_id"]: {name: plain(one) for name, one in row.items() if name != "customer_id"}
            for row in rows}  # fmt: skip


ZONES = ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin", "America/New_York", None]


def zoned_shop(seed):
    """Return the shop of people in many time zones, with events about all of their midnights, and its base."""
    rng = random.Random(seed)
    people, happened = shop(seed)
    people = people.with_columns(home=pl.Series([rng.choice(ZONES) for _ in range(len(people))], dtype=pl.String))
    late = [datetime(2026, 11, rng.choice([1, 2, 8, 9]), rng.randrange(24), rng.randrange(60), tzinfo=UTC)
            for _ in range(len(happened))]  # fmt: skip
    some = pl.Series([rng.random() < 0.5 for _ in late])
    times = pl.Series(late, dtype=pl.Datetime("us", "UTC"))
    happened = happened.with_columns(ts=pl.when(some).then(times).otherwise(pl.col("ts")))
    base = base_of(people, happened, tz="Europe/Berlin")
    return people, happened, attrs.evolve(base, zone="home")


def zoned_definitions(base, as_of):
    """Return definitions that see everyone at their own local time, and what numpy says of them."""
    week = Segment("week", event("purchase").count(within=calendar_days(7)) >= 2)
    today = Segment("today", event("visit").exists(during=period("day", -1)))
    score = LeadScore(
        name="warm",
        bands={"hot": 9},
        rules=[
            Rule("visits", each=event("visit"), points=3, expires=days(7)),
            Rule("age", when=field("age") > 18, points=1),
        ],
    )
    found = {}
    for name, one in (("week", week), ("today", today), ("score", score)):
        result = one.evaluate(base, as_of=as_of)
        if one is score:
            found[name] = (one, result.to_columns())
        else:
            found[name] = (
                one,
                {"customer_id": result.customer_id, "member": result.mask, "unknown": result.unknown_mask},
            )
    figures = {"n": event("visit").count(within=days(1)), "spent": event("purchase").sum(within=days(30))}
    found["measures"] = (figures, dict(base.measure(figures, as_of=as_of).items()))
    return found
