"""What every result of the package keeps to: arrays that nobody can change, and one text in print and in a notebook."""

from __future__ import annotations

import html
import runpy
from pathlib import Path

import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, days, event
from relmark.core.results import Result
from relmark.experiments import (
    Assignment,
    BootstrapSums,
    Experiment,
    Mean,
    Moments,
    Proportion,
    TriggerChain,
    alpha_spending,
    analyze,
    complier_effect,
    policy_value,
    stratified_assignment,
    uplift_curve,
    uplift_groups,
)
from relmark.experiments.checks import balance

N = 400


check_unchangeable = runpy.run_path(str(Path(__file__).parents[1] / "unchangeable.py"))["check_unchangeable"]


def columns():
    rng = np.random.default_rng(3)
    arm = np.array(["control", "mail"])[rng.integers(0, 2, N)]
    return {
        "ids": np.arange(N), "arm": arm, "y": rng.normal(size=N), "b": (rng.random(N) < 0.4).astype(float),
        "x": rng.normal(size=N), "where": np.array(["n", "s"])[rng.integers(0, 2, N)], "t": arm == "mail",
        "looks": np.array([0.2, 0.5, 1.0]),
    }  # fmt: skip


SHARES = {"control": 0.5, "mail": 0.5}
DOORS = {
    "assign": lambda c: Experiment("x", arms=SHARES).assign(c["ids"]),
    "recorded": lambda c: Assignment.recorded(c["ids"], c["arm"], SHARES),
    "constructor": lambda c: Assignment(
        customer_id=c["ids"], arm=c["arm"], code=(c["arm"] == "mail").astype(np.int64), reason=np.full(N, ""),
        arms=("control", "mail"), shares=(0.5, 0.5),
    ),
    "left out": lambda c: Experiment("x", arms=SHARES).assign(c["ids"]).leaving_out("late", c["t"]),
    "aligned": lambda c: Assignment.recorded(c["ids"][:9].copy(), c["arm"][:9], SHARES).aligned(c["ids"]),
    "strata": lambda c: stratified_assignment(c["ids"], c["where"], arms=SHARES, salt="s"),
    "chain": lambda c: TriggerChain("w", steps=["a"], chain_control=0.3, step_control=0.4).assign(c["ids"]),
    "moments": lambda c: Moments.from_columns({"y": c["y"], "x": c["x"]}, c["arm"], segment=c["where"], third=True),
    "aggregates": lambda c: Moments.from_aggregates(
        np.array([5.0, 9.0]), c["y"][:2].reshape(2, 1), np.ones((2, 1, 1)), columns=["y"], arms=["a", "b"]
    ),
    "report": lambda c: analyze(
        {"y": c["y"], "x": c["x"]}, c["arm"], metrics=[Mean("y", covariates=["x"])], segments=c["where"]
    ),
    "interactions": lambda c: analyze(c, c["arm"], metrics=[Mean("y")], segments=c["where"]).interactions(),
    "balance": lambda c: balance({"y": c["y"]}, c["arm"]),
    "complier": lambda c: complier_effect({"y": c["y"], "t": c["b"]}, c["arm"], outcome="y", received="t"),
    "uplift": lambda c: uplift_curve(c["x"], c["b"], c["t"], resamples=0),
    "groups": lambda c: uplift_groups(c["x"], c["b"], c["t"]),
    "policy": lambda c: policy_value(c["x"] > 0, c["b"], c["t"]),
    "spending": lambda c: alpha_spending(c["looks"]),
    "sums": lambda c: BootstrapSums.from_columns(c["y"], c["arm"], c["ids"], salt="s", resamples=20),
    "plan": lambda c: Experiment("x", arms=SHARES).plan(Proportion("b", baseline=float(c["b"].mean())), mde=0.1),
}  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_nobody_can_change_a_result(door):
    given = columns()
    made = DOORS[door](given)
    assert isinstance(made, Result)
    check_unchangeable(made, [array for array in given.values() if array.flags.writeable])


def told():
    c = columns()
    lopsided = Assignment.recorded(c["ids"], np.where(c["ids"] < 100, "control", "mail"), SHARES)
    data = {"b": c["b"], "y": c["y"], "zero": np.zeros(N)}
    metrics = [Proportion("b"), Mean("y"), Proportion("zero")]
    report = analyze(data, lopsided, metrics=metrics)
    fair = analyze(data, c["arm"], metrics=metrics)
    table = CustomerTable.from_columns(customer_id=c["ids"], x=c["x"])
    orders = {"user": c["ids"], "t": ["2026-05-02"] * N, "v": c["b"] + 1.0}
    base = CustomerBase.from_orders(orders, customer_id="user", time="t", value="v", customers=table)
    read = Experiment("x", arms=SHARES).read(
        base, start="2026-05-02T09:00", window=days(3), metrics=[Mean("s", of=event("purchase").sum().fill(0))]
    )
    chain = TriggerChain("w", steps=["a"], chain_control=0.3, step_control=0.4)
    return {
        "report": report,
        "observed": analyze(data, c["arm"], metrics=metrics, observed=True),
        "read": read,
        "effect": fair.effect("b"),
        "impact": fair.impact(revenue="y", customers="b", margin=0.4, cost=0.1),
        "decision": fair.decide(metric="y", cost=0.1, guardrails={"b": 0.001}),
        "check": report.checks[0],
        "plan": Experiment("x", arms=SHARES).plan(Proportion("b", baseline=0.1), mde=0.1, people_per_day=50),
        "chain": chain.read(
            base, reached={"a": "2026-05-02"}, window=days(3), metrics=[Mean("s", of=event("purchase").sum().fill(0))]
        ),
    }


def words(text):
    """Return the words of a text that are no layout."""
    return {word.strip(":") for word in text.replace("-", " ").split()} - {""}


@pytest.mark.parametrize("name", list(told()))
def test_print_and_notebook_say_the_same(name):
    result = told()[name]
    page = html.unescape(result._repr_html_()).replace("<", " <").replace(">", "> ")
    text = "".join(part.split(">")[-1] for part in page.split("<"))
    missing = words(str(result)) - words(text)
    assert missing == set()


def test_a_report_says_what_failed_what_was_left_out_and_why_a_figure_is_none():
    made = told()
    for text in (str(made["report"]), made["report"]._repr_html_()):
        assert "check: sample ratio: FAILED" in text
        assert "reason: nobody in control has a yes" in text
    for text in (str(made["read"]), made["read"]._repr_html_()):
        assert "neither side" in text
        assert "check: window: FAILED" in text
    assert "not randomized" in made["observed"]._repr_html_()
