"""RFM measures, thresholds, scores and their stored form."""

import json
from datetime import timedelta

import numpy as np
import pytest

from relmark import CustomerBase, EventLog
from relmark.core.money import exact_sums
from relmark.errors import DefinitionError, InputError, NotEnoughDataError
from relmark.segmentation import Rfm, RfmGrid, RfmMeasures, RfmModel, RfmScores, migration, rfm_measures

AS_OF = "2026-11-01"


def base_of(rows, tz="UTC", **properties):
    """Rows of (customer, time, value)."""
    who, when, value = zip(*rows, strict=True)
    log = EventLog.from_columns(
        customer_id=list(who), type="purchase", time=list(when), value=list(value), properties=properties or None
    )
    return CustomerBase(events=log, tz=tz)


def many(n=200, seed=7):
    rng = np.random.default_rng(seed)
    columns = {
        "u": rng.integers(0, n, 10 * n),
        "t": np.datetime64("2026-01-01", "us") + rng.integers(0, 303 * 86_400, 10 * n).astype("m8[s]"),
        "v": rng.integers(1, 10_000, 10 * n) / 100,
    }
    return CustomerBase.from_orders(columns, customer_id="u", time="t", value="v")


SMALL = [
    ("a", "2026-10-01T09:00Z", 10.0),
    ("a", "2026-10-30T21:00Z", 5.0),
    ("b", "2026-10-02T10:00Z", 7.0),
    ("c", "2026-11-20T10:00Z", 9.0),
]


# ---- measures


def test_nothing_after_as_of_is_seen_and_its_customers_are_prospects():
    scores = Rfm().score(base_of(SMALL), as_of=AS_OF)
    assert scores.customer_id.tolist() == ["a", "b", "c"]
    assert scores.orders.tolist() == [2, 1, 0]
    assert scores.segment[2] == "Prospect"
    assert [scores.r[2], scores.f[2], scores.m[2]] == [0, 0, 0]
    assert np.isnan(scores.calendar_days_since[2])
    assert scores.counts()["Prospect"] == 1


def test_a_purchase_at_an_instant_itself_counts_and_on_the_day_of_a_date_does_not():
    base = base_of([("a", "2026-11-01T00:00Z", 1.0)])
    measures = rfm_measures(base, as_of="2026-11-01T00:00Z")
    assert measures.orders.tolist() == [1]
    assert measures.calendar_days_since.tolist() == [0.0]
    assert measures.as_of == np.datetime64("2026-11-01T00:00")
    assert rfm_measures(base, as_of=AS_OF).orders.tolist() == [0]
    assert rfm_measures(base, as_of=AS_OF).as_of == np.datetime64("2026-11-01")


def test_calendar_days_since_are_calendar_days_in_the_zone():
    rows = [("a", "2026-10-30T22:30Z", 1.0)]  # half past one on the 31st in Moscow
    assert rfm_measures(base_of(rows), as_of=AS_OF).calendar_days_since.tolist() == [2.0]
    moscow = base_of(rows, "Europe/Moscow")
    assert rfm_measures(moscow, as_of="2026-11-01T00:00Z").calendar_days_since.tolist() == [1.0]


def test_orders_are_counted_once_however_many_lines_they_have():
    rows = [("a", "2026-10-01T09:00Z", 10.0), ("a", "2026-10-01T09:00Z", 5.0), ("a", "2026-10-03T09:00Z", 5.0)]
    base = base_of(rows, order=["o1", "o1", "o2"])
    assert rfm_measures(base, as_of=AS_OF).orders.tolist() == [2]
    assert rfm_measures(base.purchases(order="day"), as_of=AS_OF).orders.tolist() == [2]
    mean = rfm_measures(base, as_of=AS_OF, monetary="mean")
    assert mean.monetary.tolist() == [10.0]
    assert mean.revenue.tolist() == [20.0]


@pytest.mark.parametrize(
    "orders", [["x", "x", None, None], [7, 7, None, None], [7.5, 7.5, None, None], [2**62, 2**62, None, None]]
)
def test_lines_without_an_order_are_an_order_of_their_own_by_instant(orders):
    rows = [("a", "2026-10-01T09:00Z", 1.0)] * 2 + [("a", "2026-10-01T10:00Z", 1.0), ("b", "2026-10-01T09:00Z", 1.0)]
    assert rfm_measures(base_of(rows, order=orders), as_of=AS_OF).orders.tolist() == [2, 1]


def test_order_numbers_of_any_size_are_told_apart():
    rows = [("a", "2026-10-01T09:00Z", 1.0)] * 3
    log = base_of(rows, order=[-(2**62), 2**62, 2**62])
    assert rfm_measures(log, as_of=AS_OF).orders.tolist() == [2]


def test_one_order_number_of_two_customers_is_two_orders():
    rows = [("a", "2026-10-01T09:00Z", 1.0), ("b", "2026-10-01T09:00Z", 1.0)]
    assert rfm_measures(base_of(rows, order=["o", "o"]), as_of=AS_OF).orders.tolist() == [1, 1]


def test_frequency_in_days_counts_each_calendar_day_once():
    rows = [("a", "2026-10-01T09:00Z", 1.0), ("a", "2026-10-01T20:00Z", 1.0), ("a", "2026-10-02T01:00Z", 1.0)]
    measures = rfm_measures(base_of(rows), as_of=AS_OF, frequency="days")
    assert measures.frequency.tolist() == [2]
    assert measures.orders.tolist() == [3]
    west = rfm_measures(base_of(rows, "America/New_York"), as_of="2026-11-01T00:00Z", frequency="days")
    assert west.frequency.tolist() == [1]


def test_a_refund_is_never_a_purchase_and_comes_off_the_purchase_before():
    rows = [("a", "2026-10-01T09:00Z", 10.0), ("a", "2026-10-30T09:00Z", -4.0), ("b", "2026-10-30T09:00Z", -1.0)]
    net = rfm_measures(base_of(rows), as_of=AS_OF)
    assert net.orders.tolist() == [1, 0]
    assert net.revenue.tolist() == [6.0, 0.0]
    assert net.calendar_days_since[0] == 31
    gross = rfm_measures(base_of(rows).purchases(refunds="drop"), as_of=AS_OF)
    assert gross.revenue.tolist() == [10.0, 0.0]


def test_a_refund_in_the_window_lowers_the_purchase_before_it_and_not_the_window():
    rows = [("a", "2026-01-01T09:00Z", 10.0), ("a", "2026-10-29T09:00Z", 7.0), ("a", "2026-10-30T09:00Z", -9.0)]
    measures = rfm_measures(base_of(rows), as_of=AS_OF, within=timedelta(days=90))
    assert (measures.orders.tolist(), measures.revenue.tolist()) == ([0], [0.0])
    assert measures.lapsed.tolist() == [True]


def test_who_bought_only_before_the_window_has_lapsed():
    rows = [("a", "2026-01-01T09:00Z", 10.0), ("b", "2026-10-30T09:00Z", 4.0), ("b", "2026-01-30T09:00Z", 100.0)]
    model = Rfm().fit(base_of(rows), as_of=AS_OF, within=timedelta(days=90))
    scores = model.score(base_of(rows), as_of=AS_OF)
    assert scores.segment[0] == "Lapsed"
    assert scores.revenue.tolist() == [0.0, 4.0]
    assert scores.counts()["Lapsed"] == 1
    assert "Prospect" not in scores.counts()
    assert model.fitted.customers == 1


def test_a_log_without_the_type_scores_everyone_as_prospects():
    model = Rfm().fit(base_of(SMALL), as_of=AS_OF)
    visits = CustomerBase(events=EventLog.from_columns(customer_id=["x"], type="visit", time=["2026-10-01T00:00Z"]))
    assert model.score(visits, as_of=AS_OF).segment.tolist() == ["Prospect"]
    mean = rfm_measures(visits, as_of=AS_OF, monetary="mean")
    assert np.isnan(mean.monetary).all()


def test_events_of_another_type_can_be_the_purchases():
    log = EventLog.from_columns(
        customer_id=["x", "x"], type=["order", "visit"], time=["2026-10-01T00:00Z"] * 2, value=[3.0, None]
    )
    scores = Rfm().score(CustomerBase(events=log).purchases(type="order"), as_of=AS_OF)
    assert scores.revenue.tolist() == [3.0]


def test_money_is_the_same_to_the_bit_whatever_the_order_of_the_rows():
    code = np.array([0, 0, 0, 1, 1, 1])
    value = np.array([0.1, 0.2, 0.3, 0.3, 0.2, 0.1])
    first, second = exact_sums(code, value, 2)
    assert first == second == 0.6


def test_large_money_is_added_in_two_parts_to_the_same_figures():
    rng = np.random.default_rng(3)
    code = rng.integers(0, 50, 5_000)
    value = rng.integers(-(10**7), 10**8, 5_000) / 100
    plain = exact_sums(code, value, 50)
    with_giant = exact_sums(np.append(code, 50), np.append(value, 4e15 + 0.5), 51)
    assert np.array_equal(plain, with_giant[:50])
    assert with_giant[50] == np.rint(4e15 + 0.5)
    middle = exact_sums(np.array([0, 0, 0]), np.array([8e9 + 0.25, 8e9 + 0.25, 0.1]), 1)
    assert middle[0] == 16e9 + 0.6


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rfm_measures([1], as_of=AS_OF), "a CustomerBase, or the Purchases of one, is needed"),
        (lambda: rfm_measures(base_of(SMALL).events, as_of=AS_OF), r"CustomerBase\(events=log"),
        (lambda: rfm_measures(base_of(SMALL), as_of=AS_OF, frequency="order"), "orders"),
        (lambda: rfm_measures(base_of(SMALL), as_of=AS_OF, monetary="max"), "monetary"),
        (lambda: rfm_measures(base_of(SMALL), as_of=AS_OF, within=timedelta(0)), "within"),
        (lambda: rfm_measures(base_of([*SMALL, ("a", "2026-10-05T00:00Z", None)]), as_of=AS_OF), "row 4"),
        (
            lambda: rfm_measures(
                CustomerBase.from_orders({"u": ["a"], "t": ["2026-10-05T00:00Z"]}, customer_id="u", time="t"),
                as_of=AS_OF,
            ),
            "have no value",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused_by_name(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_a_purchase_without_value_after_as_of_disturbs_nobody():
    rows = [("a", "2026-10-05T00:00Z", 1.0), ("a", "2026-12-05T00:00Z", None)]
    assert rfm_measures(base_of(rows), as_of=AS_OF).revenue.tolist() == [1.0]


def test_a_window_without_events_measures_nothing_where_no_event_has_a_value():
    base = CustomerBase.from_orders({"u": ["a"], "t": ["2026-12-05T00:00Z"]}, customer_id="u", time="t")
    assert rfm_measures(base, as_of=AS_OF).orders.tolist() == [0]


# ---- thresholds and scores


def test_thresholds_are_the_order_statistics_of_the_definition():
    scores = Rfm(bins=4, grid=RfmGrid.by_score(4)).score(many(), as_of=AS_OF)
    for name in ("calendar_days_since", "frequency", "monetary"):
        figures = np.sort(getattr(scores, name)[scores.orders > 0])
        n = len(figures)
        expected = tuple(figures[-(-n * q // 4) - 1] for q in (1, 2, 3))
        assert scores.model.cuts[name] == expected


def test_counting_and_sorting_give_the_same_thresholds(monkeypatch):
    from relmark.segmentation import rfm

    module = __import__("sys").modules["relmark.segmentation.rfm"]
    assert rfm is module
    rng = np.random.default_rng(1)
    x = rng.geometric(0.2, 5_000)
    slow = module._order_statistics(x, 7)
    fractions = module._order_statistics(x + 0.5, 7)
    monkeypatch.setattr(module, "_MANY", 1_000)
    assert module._order_statistics(x, 7) == slow
    assert module._order_statistics(x + 0.5, 7) == fractions == tuple(np.array(slow) + 0.5)
    assert module._order_statistics(x * 1_000, 7) == tuple(np.array(slow) * 1_000)


def test_scores_are_one_plus_the_thresholds_below():
    scores = Rfm().score(many(), as_of=AS_OF)
    cuts = scores.model.cuts
    assert np.array_equal(scores.f, 1 + np.searchsorted(cuts["frequency"], scores.frequency, side="left"))
    assert np.array_equal(scores.m, 1 + np.searchsorted(cuts["monetary"], scores.monetary, side="left"))
    assert np.array_equal(
        scores.r, 5 - np.searchsorted(cuts["calendar_days_since"], scores.calendar_days_since, side="left")
    )


def test_scoring_at_once_equals_fitting_and_scoring():
    log = many()
    at_once, model = Rfm().score(log, as_of=AS_OF), Rfm().fit(log, as_of=AS_OF)
    assert at_once.model == model
    assert at_once.to_json() == model.score(log, as_of=AS_OF).to_json()


def test_measures_that_come_from_elsewhere_fit_and_score_the_same():
    log = many()
    measures = rfm_measures(log, as_of=AS_OF)
    model = Rfm().fit_measures(measures)
    assert model == Rfm().fit(log, as_of=AS_OF)
    assert model.score_measures(measures).to_json() == model.score(log, as_of=AS_OF).to_json()


def test_given_thresholds_replace_the_fitted_ones():
    rfm = Rfm(cuts={"frequency": [1, 2, 3, 4]})
    model = rfm.fit(many(), as_of=AS_OF)
    assert model.cuts["frequency"] == (1.0, 2.0, 3.0, 4.0)
    assert model.cuts["monetary"] == Rfm().fit(many(), as_of=AS_OF).cuts["monetary"]


def test_a_score_of_equal_customers_is_equal_where_all_buy_once():
    rows = [(k, "2026-10-01T00:00Z", 1.0) for k in range(10)]
    scores = Rfm().score(base_of(rows), as_of=AS_OF)
    assert set(scores.f.tolist()) == {1}
    assert set(scores.r.tolist()) == {5}


def test_one_customer_is_enough_to_fit():
    assert Rfm().score(base_of(SMALL[:1]), as_of=AS_OF).r.tolist() == [5]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Rfm(bins=1), "bins"),
        (lambda: Rfm(bins=5.0), "bins"),
        (lambda: Rfm(bins=4), "by_score"),
        (lambda: Rfm(grid=RfmGrid.by_score(4)), "must agree"),
        (lambda: Rfm(grid="usual"), "grid"),
        (lambda: Rfm(frequency="visits"), "frequency"),
        (lambda: Rfm(cuts=[1, 2]), "mapping"),
        (lambda: Rfm(cuts={"recency": [1, 2, 3, 4]}), "calendar_days_since"),
        (lambda: Rfm(cuts={"frequency": [1, 2]}), "4 are needed"),
        (lambda: Rfm(cuts={"frequency": [4, 3, 2, 1]}), "ascend"),
        (lambda: RfmModel(cuts={"frequency": [1, 2, 3, 4]}), "calendar_days_since"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_fitting_without_a_buyer_says_which_types_there_are():
    visits = EventLog.from_columns(customer_id=["x"], type="visit", time=["2026-10-01T00:00Z"])
    with pytest.raises(
        NotEnoughDataError, match=r"nobody has a 'purchase' event by 2026-11-01: .* The log has 'visit'"
    ):
        Rfm().fit(CustomerBase(events=visits), as_of=AS_OF)
    with pytest.raises(NotEnoughDataError, match="within"):
        Rfm().fit(base_of(SMALL), as_of="2027-11-01", within=timedelta(days=1))
    with pytest.raises(NotEnoughDataError, match="at least one"):
        Rfm().fit_measures(rfm_measures(base_of(SMALL), as_of="2020-01-01"))


def test_scoring_before_the_first_purchase_says_from_when_to_when_purchases_are():
    with pytest.raises(
        NotEnoughDataError, match=r"The first purchase is of (\S+), the last of (\S+): check as_of"
    ) as found:
        Rfm().score(base_of(SMALL), as_of="2020-01-01")
    bought = base_of(SMALL).purchases().days().to_columns()["day"]
    assert f"is of {bought.min()}, the last of {bought.max()}:" in found.value.hint
    with pytest.raises(NotEnoughDataError, match="The log has no events"):
        Rfm().score(CustomerBase(), as_of=AS_OF)
    orders = {"u": [1, 1], "t": ["2026-01-05", "2026-01-06"], "v": [5.0, -5.0]}
    refunded = CustomerBase.from_orders(orders, customer_id="u", time="t", value="v")
    with pytest.raises(NotEnoughDataError, match="No 'purchase' event is left after refunds"):
        Rfm().score(refunded, as_of=AS_OF)


def test_an_as_of_of_none_is_refused_unless_the_purchases_know_theirs():
    with pytest.raises(InputError, match="as_of is None: a datetime"):
        Rfm().score(base_of(SMALL), as_of=None)
    known = base_of(SMALL).purchases().until(AS_OF)
    assert Rfm().score(known, as_of=None).as_of == Rfm().score(base_of(SMALL), as_of=AS_OF).as_of


# ---- results


def test_scores_join_a_base_and_become_columns():
    log = base_of(SMALL)
    scores = Rfm().score(log, as_of=AS_OF)
    columns = scores.to_columns()
    assert list(columns)[:5] == ["customer_id", "r", "f", "m", "segment"]
    assert columns["segment"].tolist() == scores.segment.tolist()
    base = log.with_columns(scores, names=["r", "segment"])
    assert base.column("segment").values().tolist() == scores.segment.tolist()


def test_scores_print_their_counts_and_a_table():
    scores = Rfm().score(base_of(SMALL), as_of=AS_OF)
    assert "customers=3" in repr(scores)
    assert "segment" in str(scores)
    assert "<table>" in scores._repr_html_()
    body = json.loads(scores.to_json())
    assert body["segment"] == scores.segment.tolist()
    assert body["calendar_days_since"][2] is None
    assert body["model"]["relmark"] == "rfm"
    assert len(scores) == 3
    assert isinstance(scores, RfmScores)


def test_the_arrays_of_a_result_cannot_be_written_to():
    scores = Rfm().score(base_of(SMALL), as_of=AS_OF)
    with pytest.raises(ValueError, match="read-only"):
        scores.r[0] = 3


def test_a_million_scores_do_not_overflow_when_they_are_made_one_number():
    scores = Rfm().score(base_of(SMALL), as_of=AS_OF)
    assert (scores.r * 10_000 + scores.f * 100 + scores.m).max() > 40_000


# ---- the stored form


def model_of_everything():
    return Rfm(
        bins=3,
        frequency="days",
        monetary="mean",
        grid=RfmGrid.by_score(3),
    ).fit(base_of(SMALL, order=["1", "2", "3", "4"]), as_of="2026-11-01T00:00Z", within=timedelta(days=90))


@pytest.mark.parametrize("model", [Rfm().fit(many(), as_of=AS_OF), model_of_everything()])
def test_a_model_goes_to_json_and_back_without_changing_a_bit(model):
    back = RfmModel.from_json(model.to_json())
    assert back == model
    assert back.fingerprint == model.fingerprint
    assert hash(back) == hash(model)
    assert back.cuts == model.cuts


def test_a_model_that_was_written_down_needs_only_thresholds():
    cuts = {name: [1, 2, 3, 4] for name in ("calendar_days_since", "frequency", "monetary")}
    model = RfmModel.from_dict({"relmark": "rfm", "version": 1, "cuts": cuts})
    assert model == RfmModel(cuts=cuts)
    assert model.fitted is None
    assert RfmModel.from_json(model.to_json()) == model


def stored(**changes):
    body = model_of_everything().to_dict()
    body.update(changes)
    return body


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (stored(version=2), "$.version"),
        (stored(relmark="segment"), "$.relmark"),
        (stored(bin=3), "bins"),
        (stored(bins="3"), "bins"),
        (stored(cuts=3), "$.cuts"),
        (stored(cuts={"frequency": [1, 2]}), "$.cuts"),
        (stored(cuts={"calendar_days_since": [1, 2], "frequency": [1, 2], "monetary": "ab"}), "$.cuts.monetary"),
        (stored(cuts={"calendar_days_since": [1, 2], "frequency": [1, True], "monetary": [1, 2]}), "$.cuts.frequency"),
        (stored(grid="standard"), "$.grid"),
        (stored(grid=[["a"], ["b", "c"]]), "$.grid"),
        (stored(grid=[["a", "b"], ["c", 4]]), "$.grid"),
        (stored(within="3 months"), "$.within"),
        (stored(frequency="weeks"), "frequency"),
        (stored(tz="UTC"), "tz"),
        (stored(fitted=[]), "$.fitted"),
        (stored(fitted={"as_of": AS_OF, "cells": 3, "monetary": [0, 0, 0]}), "$.fitted.cells"),
        (stored(fitted={"as_of": AS_OF, "cells": [[1, 0, 0]], "monetary": [1, 0, 0]}), "3 by 3"),
        (stored(fitted={"as_of": AS_OF, "cells": [[0, 0]], "monetary": [0, 0, 0]}), r"\$.fitted.cells\[0\]"),
        (stored(fitted={"as_of": "now", "cells": [[0] * 3] * 3, "monetary": [0, 0, 0]}), "as_of"),
        ({"relmark": "rfm", "version": 1}, "cuts"),
    ],
)
def test_a_stored_model_that_is_wrong_is_refused_with_its_path(body, path):
    with pytest.raises(DefinitionError, match=path if "\\" in path else path.replace("$", r"\$")):
        RfmModel.from_dict(body)


def test_a_grid_that_does_not_fit_is_told_apart_from_the_standard_one():
    with pytest.raises(InputError, match="grid has 4 bins"):
        Rfm(bins=3, grid=RfmGrid.by_score(4))


def test_measures_from_elsewhere_are_checked_and_may_come_in_any_order():
    given = {
        "customer_id": [3, 1, 2],
        "calendar_days_since": [1, 30, float("nan")],
        "frequency": [3, 1, 0],
        "monetary": [30.0, 5.0, float("nan")],
        "orders": [3, 1, 0],
        "revenue": [30.0, 5.0, 0.0],
        "lapsed": [False, False, False],
        "as_of": "2026-11-01",
    }
    measures = RfmMeasures(**given)
    scores = Rfm().fit_measures(measures).score_measures(measures)
    same = migration(scores, scores)
    assert (same.stayed, same.moved, same.entered.sum(), same.left.sum()) == (3, 0, 0, 0)
    for change, words in (
        ({"customer_id": [3, 1, 3]}, "customer_id has 3 twice"),
        ({"orders": [3, 1]}, "orders has 2 rows and the other columns have 3"),
        ({"frequency": [3.5, 1, 0]}, "frequency has 3.5 in row 0: whole numbers"),
        ({"lapsed": [0, 0, 0]}, "lapsed has dtype int64: booleans"),
        ({"as_of": "soon"}, "as_of is 'soon'"),
    ):
        with pytest.raises(InputError, match=words):
            RfmMeasures(**{**given, **change})


def test_the_standard_grid_goes_by_its_name():
    assert Rfm(grid="standard") == Rfm()
