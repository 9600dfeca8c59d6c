"""RFM measures, thresholds, scores and their stored form."""

import json
from datetime import timedelta

import numpy as np
import pytest

from relmark import EventLog
from relmark.errors import DefinitionError, InputError, MissingColumnError, NotEnoughDataError
from relmark.segmentation import Rfm, RfmGrid, RfmModel, RfmScores, rfm_measures
from relmark.segmentation.rfm_measures import exact_sums

AS_OF = "2026-11-01"


def log_of(rows, **properties):
    """Rows of (customer, time, value)."""
    who, when, value = zip(*rows, strict=True)
    return EventLog.from_columns(
        customer_id=list(who), type="purchase", time=list(when), value=list(value), properties=properties or None
    )


def many(n=200, seed=7):
    rng = np.random.default_rng(seed)
    return EventLog.from_columns(
        customer_id=rng.integers(0, n, 10 * n),
        type="purchase",
        time=np.datetime64("2026-01-01", "us") + rng.integers(0, 303 * 86_400, 10 * n).astype("m8[s]"),
        value=rng.integers(1, 10_000, 10 * n) / 100,
    )


SMALL = [
    ("a", "2026-10-01T09:00Z", 10.0),
    ("a", "2026-10-30T21:00Z", 5.0),
    ("b", "2026-10-02T10:00Z", 7.0),
    ("c", "2026-11-20T10:00Z", 9.0),
]


# ---- measures


def test_nothing_after_as_of_is_seen_and_its_customers_are_prospects():
    scores = Rfm().score(log_of(SMALL), as_of=AS_OF)
    assert scores.customer_id.tolist() == ["a", "b", "c"]
    assert scores.orders.tolist() == [2, 1, 0]
    assert scores.segment[2] == "Prospect"
    assert [scores.r[2], scores.f[2], scores.m[2]] == [0, 0, 0]
    assert np.isnan(scores.days_since_last[2])
    assert scores.counts()["Prospect"] == 1


def test_a_purchase_at_as_of_itself_counts():
    measures = rfm_measures(log_of([("a", "2026-11-01T00:00Z", 1.0)]), as_of=AS_OF)
    assert measures.orders.tolist() == [1]
    assert measures.days_since_last.tolist() == [0.0]


def test_days_since_last_are_calendar_days_in_the_zone():
    log = log_of([("a", "2026-10-30T22:30Z", 1.0)])  # half past one on the 31st in Moscow
    assert rfm_measures(log, as_of=AS_OF).days_since_last.tolist() == [2.0]
    assert rfm_measures(log, as_of="2026-11-01T00:00Z", tz="Europe/Moscow").days_since_last.tolist() == [1.0]


def test_orders_are_counted_once_however_many_lines_they_have():
    rows = [("a", "2026-10-01T09:00Z", 10.0), ("a", "2026-10-01T09:00Z", 5.0), ("a", "2026-10-03T09:00Z", 5.0)]
    log = log_of(rows, order=["o1", "o1", "o2"])
    assert rfm_measures(log, as_of=AS_OF).orders.tolist() == [3]
    assert rfm_measures(log, as_of=AS_OF, order="order").orders.tolist() == [2]
    mean = rfm_measures(log, as_of=AS_OF, order="order", monetary="mean")
    assert mean.monetary.tolist() == [10.0]
    assert mean.revenue.tolist() == [20.0]


@pytest.mark.parametrize(
    "orders", [["x", "x", None, None], [7, 7, None, None], [7.5, 7.5, None, None], [2**62, 2**62, None, None]]
)
def test_an_event_without_an_order_is_an_order_of_its_own(orders):
    rows = [("a", "2026-10-01T09:00Z", 1.0)] * 3 + [("b", "2026-10-01T09:00Z", 1.0)]
    assert rfm_measures(log_of(rows, order=orders), as_of=AS_OF, order="order").orders.tolist() == [2, 1]


def test_order_numbers_of_any_size_are_told_apart():
    rows = [("a", "2026-10-01T09:00Z", 1.0)] * 3
    log = log_of(rows, order=[-(2**62), 2**62, 2**62])
    assert rfm_measures(log, as_of=AS_OF, order="order").orders.tolist() == [2]


def test_one_order_number_of_two_customers_is_two_orders():
    rows = [("a", "2026-10-01T09:00Z", 1.0), ("b", "2026-10-01T09:00Z", 1.0)]
    assert rfm_measures(log_of(rows, order=["o", "o"]), as_of=AS_OF, order="order").orders.tolist() == [1, 1]


def test_frequency_in_days_counts_each_calendar_day_once():
    rows = [("a", "2026-10-01T09:00Z", 1.0), ("a", "2026-10-01T20:00Z", 1.0), ("a", "2026-10-02T01:00Z", 1.0)]
    measures = rfm_measures(log_of(rows), as_of=AS_OF, frequency="days")
    assert measures.frequency.tolist() == [2]
    assert measures.orders.tolist() == [3]
    west = rfm_measures(log_of(rows), as_of="2026-11-01T00:00Z", frequency="days", tz="America/New_York")
    assert west.frequency.tolist() == [1]


def test_a_refund_is_never_a_purchase_and_net_takes_it_off_the_money():
    rows = [("a", "2026-10-01T09:00Z", 10.0), ("a", "2026-10-30T09:00Z", -4.0), ("b", "2026-10-30T09:00Z", -1.0)]
    net = rfm_measures(log_of(rows), as_of=AS_OF)
    assert net.orders.tolist() == [1, 0]
    assert net.revenue.tolist() == [6.0, -1.0]
    assert net.days_since_last[0] == 31
    gross = rfm_measures(log_of(rows), as_of=AS_OF, refunds="gross")
    assert gross.revenue.tolist() == [10.0, 0.0]


def test_refunds_leave_the_lines_of_their_order_to_the_order():
    rows = [("a", "2026-10-01T09:00Z", 10.0), ("a", "2026-10-01T09:00Z", -4.0), ("a", "2026-10-02T09:00Z", -1.0)]
    net = rfm_measures(log_of(rows, order=["o", "o", "p"]), as_of=AS_OF, order="order")
    assert net.orders.tolist() == [1]
    assert net.revenue.tolist() == [5.0]


def test_who_bought_only_before_the_window_has_lapsed():
    rows = [("a", "2026-01-01T09:00Z", 10.0), ("b", "2026-10-30T09:00Z", 4.0), ("b", "2026-01-30T09:00Z", 100.0)]
    model = Rfm().fit(log_of(rows), as_of=AS_OF, within=timedelta(days=90))
    scores = model.score(log_of(rows), as_of=AS_OF)
    assert scores.segment[0] == "Lapsed"
    assert scores.revenue.tolist() == [0.0, 4.0]
    assert scores.counts()["Lapsed"] == 1
    assert "Prospect" not in scores.counts()
    assert model.fitted.customers == 1


def test_a_log_without_the_type_scores_everyone_as_prospects():
    model = Rfm().fit(log_of(SMALL), as_of=AS_OF)
    visits = EventLog.from_columns(customer_id=["x"], type="visit", time=["2026-10-01T00:00Z"])
    assert model.score(visits, as_of=AS_OF).segment.tolist() == ["Prospect"]
    mean = rfm_measures(visits, as_of=AS_OF, monetary="mean")
    assert np.isnan(mean.monetary).all()


def test_events_of_another_type_can_be_the_purchases():
    log = EventLog.from_columns(
        customer_id=["x", "x"], type=["order", "visit"], time=["2026-10-01T00:00Z"] * 2, value=[3.0, None]
    )
    scores = Rfm().score(log, as_of=AS_OF, type="order")
    assert scores.revenue.tolist() == [3.0]
    assert scores.model.type == "order"


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
        (lambda: rfm_measures([1], as_of=AS_OF), "EventLog"),
        (lambda: rfm_measures(log_of(SMALL), as_of=AS_OF, frequency="order"), "orders"),
        (lambda: rfm_measures(log_of(SMALL), as_of=AS_OF, monetary="max"), "monetary"),
        (lambda: rfm_measures(log_of(SMALL), as_of=AS_OF, refunds="off"), "refunds"),
        (lambda: rfm_measures(log_of(SMALL), as_of=AS_OF, within=timedelta(0)), "within"),
        (lambda: rfm_measures(log_of([*SMALL, ("a", "2026-10-05T00:00Z", None)]), as_of=AS_OF), "row 4"),
        (
            lambda: rfm_measures(
                EventLog.from_columns(customer_id=["a"], type="purchase", time=["2026-10-05T00:00Z"]), as_of=AS_OF
            ),
            "no value",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused_by_name(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_a_base_in_place_of_its_log_is_refused_with_the_remedy():
    from relmark import CustomerBase

    with pytest.raises(InputError, match=r"base\.events"):
        rfm_measures(CustomerBase(events=log_of(SMALL)), as_of=AS_OF)


def test_an_unknown_order_property_is_named_with_the_nearest():
    with pytest.raises(MissingColumnError, match="Did you mean 'invoice'"):
        rfm_measures(log_of(SMALL, invoice=["x"] * 4), as_of=AS_OF, order="invoise")


def test_a_purchase_without_value_after_as_of_disturbs_nobody():
    rows = [("a", "2026-10-05T00:00Z", 1.0), ("a", "2026-12-05T00:00Z", None)]
    assert rfm_measures(log_of(rows), as_of=AS_OF).revenue.tolist() == [1.0]


def test_a_window_without_events_measures_nothing_where_no_event_has_a_value():
    log = EventLog.from_columns(customer_id=["a"], type="purchase", time=["2026-12-05T00:00Z"])
    assert rfm_measures(log, as_of=AS_OF).orders.tolist() == [0]


# ---- thresholds and scores


def test_thresholds_are_the_order_statistics_of_the_definition():
    scores = Rfm(bins=4, grid=RfmGrid.by_score(4)).score(many(), as_of=AS_OF)
    for name in ("days_since_last", "frequency", "monetary"):
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
    assert np.array_equal(scores.r, 5 - np.searchsorted(cuts["days_since_last"], scores.days_since_last, side="left"))


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
    scores = Rfm().score(log_of(rows), as_of=AS_OF)
    assert set(scores.f.tolist()) == {1}
    assert set(scores.r.tolist()) == {5}


def test_one_customer_is_enough_to_fit():
    assert Rfm().score(log_of(SMALL[:1]), as_of=AS_OF).r.tolist() == [5]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Rfm(bins=1), "bins"),
        (lambda: Rfm(bins=5.0), "bins"),
        (lambda: Rfm(bins=4), "by_score"),
        (lambda: Rfm(grid=RfmGrid.by_score(4)), "must agree"),
        (lambda: Rfm(grid="usual"), "grid"),
        (lambda: Rfm(frequency="visits"), "frequency"),
        (lambda: Rfm(order=""), "order"),
        (lambda: Rfm(tz="Mars/Olympus"), "Mars"),
        (lambda: Rfm(cuts=[1, 2]), "mapping"),
        (lambda: Rfm(cuts={"recency": [1, 2, 3, 4]}), "days_since_last"),
        (lambda: Rfm(cuts={"frequency": [1, 2]}), "4 are needed"),
        (lambda: Rfm(cuts={"frequency": [4, 3, 2, 1]}), "ascend"),
        (lambda: RfmModel(cuts={"frequency": [1, 2, 3, 4]}), "days_since_last"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_fitting_without_a_buyer_says_which_types_there_are():
    with pytest.raises(NotEnoughDataError, match="'purchase'"):
        Rfm().fit(log_of(SMALL), as_of=AS_OF, type="purchas")
    with pytest.raises(NotEnoughDataError, match="within"):
        Rfm().fit(log_of(SMALL), as_of="2027-11-01", within=timedelta(days=1))
    with pytest.raises(NotEnoughDataError, match="at least one"):
        Rfm().fit_measures(rfm_measures(log_of(SMALL), as_of="2020-01-01"))


# ---- results


def test_scores_join_a_base_and_become_columns():
    from relmark import CustomerBase

    log = log_of(SMALL)
    scores = Rfm().score(log, as_of=AS_OF)
    columns = scores.to_columns()
    assert list(columns)[:5] == ["customer_id", "r", "f", "m", "segment"]
    assert columns["segment"].tolist() == scores.segment.tolist()
    base = CustomerBase(events=log).with_columns(scores, names=["r", "segment"])
    assert base.column("segment").values().tolist() == scores.segment.tolist()


def test_scores_print_their_counts_and_a_table():
    scores = Rfm().score(log_of(SMALL), as_of=AS_OF)
    assert "customers=3" in repr(scores)
    assert "segment" in str(scores)
    assert "<table>" in scores._repr_html_()
    body = json.loads(scores.to_json())
    assert body["segment"] == scores.segment.tolist()
    assert body["days_since_last"][2] is None
    assert body["model"]["relmark"] == "rfm"
    assert len(scores) == 3
    assert isinstance(scores, RfmScores)


def test_the_arrays_of_a_result_cannot_be_written_to():
    scores = Rfm().score(log_of(SMALL), as_of=AS_OF)
    with pytest.raises(ValueError, match="read-only"):
        scores.r[0] = 3


def test_a_million_scores_do_not_overflow_when_they_are_made_one_number():
    scores = Rfm().score(log_of(SMALL), as_of=AS_OF)
    assert (scores.r * 10_000 + scores.f * 100 + scores.m).max() > 40_000


# ---- the stored form


def model_of_everything():
    return Rfm(
        bins=3,
        frequency="days",
        order="order",
        monetary="mean",
        refunds="gross",
        tz="Europe/Moscow",
        grid=RfmGrid.by_score(3),
    ).fit(log_of(SMALL, order=["1", "2", "3", "4"]), as_of="2026-11-01T00:00Z", within=timedelta(days=90))


@pytest.mark.parametrize("model", [Rfm().fit(many(), as_of=AS_OF), model_of_everything()])
def test_a_model_goes_to_json_and_back_without_changing_a_bit(model):
    back = RfmModel.from_json(model.to_json())
    assert back == model
    assert back.fingerprint == model.fingerprint
    assert hash(back) == hash(model)
    assert back.cuts == model.cuts


def test_a_model_that_was_written_down_needs_only_thresholds():
    cuts = {name: [1, 2, 3, 4] for name in ("days_since_last", "frequency", "monetary")}
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
        (stored(cuts={"days_since_last": [1, 2], "frequency": [1, 2], "monetary": "ab"}), "$.cuts.monetary"),
        (stored(cuts={"days_since_last": [1, 2], "frequency": [1, True], "monetary": [1, 2]}), "$.cuts.frequency"),
        (stored(grid="standard"), "$.grid"),
        (stored(grid=[["a"], ["b", "c"]]), "$.grid"),
        (stored(grid=[["a", "b"], ["c", 4]]), "$.grid"),
        (stored(within="3 months"), "$.within"),
        (stored(frequency="weeks"), "frequency"),
        (stored(tz="Mars/Olympus"), "Mars"),
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


def test_sets_of_tags_are_no_order_numbers(monkeypatch):
    from relmark.core.columns import Column

    log = log_of(SMALL, order=["1", "2", "3", "4"])
    partition = log.partition("purchase")
    tags = Column.of("order", [{"a"}, {"b"}, {"c"}, {"d"}])
    monkeypatch.setitem(partition.properties, "order", tags)
    with pytest.raises(InputError, match="sets of tags"):
        rfm_measures(log, as_of=AS_OF, order="order")


def test_the_standard_grid_goes_by_its_name():
    assert Rfm(grid="standard") == Rfm()
