"""Lead scores of 1 million leads from 10 million events by 12 rules, and of a single lead; Polars beside the first.

Run ``python benchmarks/scoring.py`` from the project's root. Polars computes the same totals with one lazy query a
rule, from its own columns; relmark returns every rule, group, band and grade beside the total.
"""

import timing  # isort: skip  (sets the BLAS to one thread before numpy loads)

import time
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from relmark import Customer, CustomerBase, CustomerTable, Event, EventLog, days, event, field, prop
from relmark.scoring import Grade, Group, LeadScore, Rule, Tiers, half_life, linear_decay

SEED, EVENTS, LEADS = 20_261_101, 10_000_000, 1_000_000
AS_OF = np.datetime64("2026-11-01", "us")
TYPES = ("download", "opened", "purchase", "unsubscribe", "video", "visit")
SHARES = (0.08, 0.25, 0.06, 0.01, 0.10, 0.50)
COUNTRIES, TITLES = ("DE", "KZ", "RU", "US"), ("CEO", "Chief of staff", "engineer", "vice president", "writer")


def columns():
    rng = np.random.default_rng(SEED)
    when = np.sort(rng.integers(0, 365 * 86_400, EVENTS)).astype("m8[s]") + np.datetime64("2025-11-01", "s")
    kind = rng.choice(len(TYPES), EVENTS, p=SHARES)
    events = {
        "customer_id": rng.integers(0, LEADS, EVENTS),
        "time": when.astype("M8[us]"),
        "type": np.array(TYPES)[kind],
        "value": np.where(kind == 2, np.round(rng.gamma(2.0, 12.0, EVENTS), 2), np.nan),
        "page": np.array(["blog", "docs", "pricing"])[rng.choice(3, EVENTS, p=(0.6, 0.3, 0.1))],
    }
    people = {
        "customer_id": np.arange(LEADS),
        "country": np.array(COUNTRIES)[rng.integers(0, 4, LEADS)],
        "title": np.array(TITLES)[rng.integers(0, 5, LEADS)],
        "employees": rng.integers(1, 2_000, LEADS),
    }
    return events, people


EVENT_COLUMNS, PEOPLE = columns()
LOG = EventLog.from_columns(
    **{name: EVENT_COLUMNS[name] for name in ("customer_id", "time", "type", "value")},
    properties={"page": EVENT_COLUMNS["page"]},
)
BASE = CustomerBase(customers=CustomerTable.from_columns(**PEOPLE), events=LOG)
SCORE = LeadScore(
    name="b2b",
    groups=[Group("fit", cap=100), Group("engagement", cap=100)],
    rules=[
        Rule("in territory", when=field("country").is_in(["KZ", "RU"]), points=8, group="fit"),
        Rule("gave title", when=field("title").not_null(), points=8, group="fit"),
        Rule(
            "leads",
            when=field("title").has_word(["chief", "CEO", "VP", "vice president"], casefold=True),
            points=15,
            group="fit",
        ),
        Rule("large", when=field("employees") >= 500, points=10, group="fit"),
        Rule("visit", each=event("visit"), points=3, cap=30, group="engagement", decay=half_life(days(30))),
        Rule(
            "pricing page",
            each=event("visit", where=prop("page") == "pricing"),
            points=5,
            group="engagement",
            expires=days(60),
        ),
        Rule("download or video", each=event("download", "video"), points=5, group="engagement"),
        Rule("opened", each=event("opened"), points=1, cap=10, group="engagement", decay=linear_decay(days(90))),
        Rule("opened often", each=event("opened"), points=Tiers({3: 2, 6: 5}), group="engagement", expires=days(30)),
        Rule("spent", each=event("purchase"), points=prop("value") * 0.1, cap=20, group="engagement"),
        Rule("bought lately", when=event("purchase").exists(within=days(30)), points=5, group="engagement"),
        Rule("unsubscribed", when=event("unsubscribe").exists(), points=-50),
    ],
    bands={"sales": 60, "marketing": 30},
    grades=Grade(fit={"A": 25, "B": 15, "C": 0}, engagement={1: 40, 2: 15, 3: 0}),
)
EVENTS_PL, PEOPLE_PL = pl.DataFrame(EVENT_COLUMNS), pl.DataFrame(PEOPLE)


def ours():
    return SCORE.evaluate(BASE, as_of=AS_OF)


def polars_totals():
    """The same points in Polars: conditions on the people, one grouped sum a rule of events, joined."""
    at = pl.lit(AS_OF.item())
    age = (at - pl.col("time")).dt.total_microseconds() / 86_400e6
    kind = pl.col("type")
    seen = EVENTS_PL.lazy().filter(pl.col("time") <= at)
    found = seen.group_by("customer_id").agg(
        visit=(3 * 0.5 ** (age / 30)).filter(kind == "visit").sum().clip(upper_bound=30),
        pricing=5 * ((kind == "visit") & (pl.col("page") == "pricing") & (age < 60)).sum(),
        material=5 * kind.is_in(["download", "video"]).sum(),
        opened=(1 - age / 90).clip(lower_bound=0).filter(kind == "opened").sum().clip(upper_bound=10),
        often=((kind == "opened") & (age < 30)).sum(),
        spent=(pl.col("value").filter(kind == "purchase").sum() * 0.1).clip(upper_bound=20),
        lately=5 * ((kind == "purchase") & (age < 30)).any().cast(pl.Int64),
        gone=-50 * (kind == "unsubscribe").any().cast(pl.Int64),
    )
    engagement = (
        pl.col("visit") + pl.col("pricing") + pl.col("material") + pl.col("opened") + pl.col("spent") + pl.col("lately")
        + pl.when(pl.col("often") >= 6).then(5).when(pl.col("often") >= 3).then(2).otherwise(0)
    )  # fmt: skip
    fit = (
        8 * pl.col("country").is_in(["KZ", "RU"]).cast(pl.Int64)
        + 8 * pl.col("title").is_not_null().cast(pl.Int64)
        + 15 * pl.col("title").str.to_lowercase().str.contains(r"\b(chief|ceo|vp|vice president)\b").cast(pl.Int64)
        + 10 * (pl.col("employees") >= 500).cast(pl.Int64)
    )
    people = PEOPLE_PL.lazy().join(found, on="customer_id", how="left").fill_null(0).sort("customer_id")
    return people.select(total=fit.clip(upper_bound=100) + engagement.clip(upper_bound=100) + pl.col("gone")).collect()[
        "total"
    ]


def single_lead():
    """Wall-clock microseconds of one lead with 50 events, medians, for the score and for what follows from it."""
    customer = Customer("x", {"country": "KZ", "title": "CEO", "employees": 700})
    start = datetime(2026, 9, 1, tzinfo=UTC)
    kinds = ("visit", "visit", "opened", "download", "purchase")
    events = [
        Event("x", kinds[k % 5], start + timedelta(hours=29 * k), 20.0 if k % 5 == 4 else None, {"page": "pricing"})
        for k in range(50)
    ]

    def microseconds(call, n):
        call()
        runs = []
        for _ in range(n):
            begin = time.perf_counter()
            call()
            runs.append(time.perf_counter() - begin)
        return 1e6 * float(np.median(runs))

    found = SCORE.one(customer, events, as_of="2026-11-01")
    one = microseconds(lambda: SCORE.one(customer, events, as_of="2026-11-01"), 2_000)
    following = microseconds(lambda: found.next_change, 50)
    explained = microseconds(lambda: SCORE.explain(BASE, 4711, as_of=AS_OF), 200)
    print(f"one lead, 50 events, 12 rules: {one:,.0f} us (goal: under 500)")
    print(f"its next_change, when asked for: {following:,.0f} us")
    print(f"one customer of the base of 1 million, explained: {explained:,.0f} us")


if __name__ == "__main__":
    print(timing.heading("polars"))
    print(f"{LEADS:,} leads, {EVENTS:,} events, {len(SCORE.rules)} rules, seed {SEED}; CPU seconds, median of 5 pairs")
    difference = np.abs(ours().total - polars_totals().to_numpy())
    assert difference.max() < 0.02, difference.max()  # Polars does not round each event to a thousandth
    timing.report({"12 rules, Polars": (timing.paired(ours, polars_totals), "ours under 2 s")})
    single_lead()
