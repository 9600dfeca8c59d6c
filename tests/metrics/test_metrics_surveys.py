"""Surveys: doors, groups, intervals that cover, and refusals."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from scipy.special import ndtri

from relmark import CustomerBase, CustomerTable, EventLog, event, field
from relmark.errors import InputError, MissingColumnError
from relmark.metrics import (
    customer_effort_score,
    customer_loyalty_index,
    customer_satisfaction,
    describe,
    net_promoter_score,
    response_rate,
    survey_answers,
)
from relmark.metrics._net_share import net_share_interval

Z = float(ndtri(0.975))
SHARES = [(0.5, 0.2), (0.8, 0.05), (0.3, 0.3), (0.1, 0.6), (0.34, 0.33), (0.7, 0.1), (0.2, 0.7)]


@pytest.mark.parametrize("n", [5, 20, 100])
@pytest.mark.parametrize(("p", "d"), SHARES)
def test_the_interval_of_a_net_promoter_score_covers(n, p, d):
    rng = np.random.default_rng(n)
    drawn = rng.multinomial(n, [p, d, 1 - p - d], 20_000)
    low, high = net_share_interval(drawn[:, 0], drawn[:, 1], np.full(20_000, n), Z)
    covered = float(((low <= p - d) & (p - d <= high)).mean())
    # 20,000 draws know it to .0015; few answers are coarse, and a score interval is right on average over shares
    assert 0.935 < covered < 0.99


def test_the_ends_solve_tangos_equation_in_forty_digits():
    for b, c, n in ((3, 1, 5), (0, 4, 9), (7, 0, 20), (30, 10, 100)):
        low, high = (float(end[0]) for end in net_share_interval([b], [c], [n], 1.96))
        for theta, sign in ((low, 1), (high, -1)):
            with mpmath.workdps(40):
                t = mpmath.mpf(theta)
                A, B, C = 2 * n, -b - c + (2 * n - b + c) * t, -c * t * (1 - t)
                q = (mpmath.sqrt(B * B - 4 * A * C) - B) / (2 * A)
                z = (b - c - n * t) / mpmath.sqrt(n * (2 * q + t * (1 - t)))
            assert float(z) == pytest.approx(sign * 1.96, abs=1e-6)


def test_three_of_three_promoters_are_not_certain():
    found = net_promoter_score([10, 10, 10])
    assert (found.value, found.high) == (100, 100)
    assert found.low < 0
    assert net_promoter_score([0] * 50).high < -80


def test_the_standard_error_is_that_of_the_multinomial():
    found = net_promoter_score({10: 50, 8: 30, 0: 20})
    assert found.standard_error == pytest.approx(100 * math.sqrt((0.5 + 0.2 - 0.3**2) / 100))
    assert found.parts == {"promoters": 50, "passives": 30, "detractors": 20}
    assert sum(found.parts.values()) == found.answers == 100
    assert found.unit == "points"
    assert found.to_dict()["parts"]["passives"] == 30


def test_columns_counts_groups_and_events_say_the_same():
    answers, group = [9, 10, 3, 7, 10, None], ["a", "a", "a", "b", "b", "b"]
    by_column = net_promoter_score(answers, by=group)
    by_counts = net_promoter_score({"a": {9: 1, 10: 1, 3: 1}, "b": {7: 1, 10: 1}})
    by_parts = net_promoter_score({"a": {"promoters": 2, "detractors": 1, "answers": 3},
                                   "b": {"promoters": 1, "passives": 1}})  # fmt: skip
    log = EventLog.from_columns(
        customer_id=[1, 2, 3, 4, 5, 6], type="nps", time=["2026-01-05", "2026-01-06", "2026-01-07"] * 2,
        properties={"score": answers, "where": group},
    )  # fmt: skip
    table = CustomerTable.from_columns(customer_id=[1, 2, 3, 4, 5, 6], shop=group)
    base = CustomerBase(customers=table, events=log)
    by_property = net_promoter_score(survey_answers(base, event("nps"), as_of="2026-02-01", score="score", by="where"))
    by_field = net_promoter_score(
        survey_answers(base, event("nps"), as_of="2026-02-01", score="score", by=field("shop"))
    )
    for one in (by_column, by_counts, by_parts, by_property, by_field):
        assert one.score.value.tolist() == [pytest.approx(100 / 3), 50]
        assert one.answers.tolist() == [3, 2]
    assert by_column.missing.tolist() == [0, 1]
    whole = net_promoter_score(survey_answers(base, event("nps"), as_of="2026-02-01", score="score"))
    assert whole.value == net_promoter_score(answers).value == 40
    before = net_promoter_score(survey_answers(base, event("nps"), as_of="2026-01-07", score="score", by="month"))
    assert before.answers.tolist() == [4]
    assert before["month"].astype(str).tolist() == ["2026-01-01"]


def test_parts_that_do_not_add_up_are_refused():
    with pytest.raises(InputError, match="the parts must add up"):
        net_promoter_score({"promoters": 3, "detractors": 3, "answers": 5})
    with pytest.raises(InputError, match="must be one of 'promoters'"):
        net_promoter_score({"promotors": 3})


def test_loyalty_is_the_mean_of_three_questions_of_those_who_answered_all():
    found = customer_loyalty_index([6, 1, None], [6, 1, 6], [6, 1, 6])
    assert (found.value, found.answers, found.missing) == (50, 2, 1)
    assert customer_loyalty_index([1, 6], [1, 6], [1, 6], reverse=True).value == 50
    assert customer_loyalty_index([1], [1], [1], reverse=True).value == 100
    with pytest.raises(InputError, match=r"buy_again has 7.0: answers must lie between 1 and 6"):
        customer_loyalty_index([1], [7], [1])
    with pytest.raises(InputError, match="has 2 rows and the other columns have 1"):
        customer_loyalty_index([1], [1, 2], [1])


def test_shares_come_with_wilson_and_means_with_student():
    share = customer_satisfaction([5, 4, 1, 1])
    assert share.interval.method == "Wilson"
    mean = customer_satisfaction([5, 4, 1, 1], kind="mean")
    half = mean.high - mean.value
    assert half == pytest.approx(min(3.182446 * np.std([5, 4, 1, 1], ddof=1) / 2, 5 - mean.value), rel=1e-5)
    alike = customer_effort_score([7, 7, 7])
    assert alike.interval is None
    assert "all values are equal" in alike.reason


def test_the_response_rate_is_of_those_asked():
    assert response_rate(12, 100).value == pytest.approx(0.12)
    assert math.isnan(response_rate(0, 0).value)
    with pytest.raises(InputError, match="answered must not be larger than asked"):
        response_rate(3, 2)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: net_promoter_score("9"), "answers"),
        (lambda: net_promoter_score([1], scale=(10, 0)), "the lowest answer must be lower than the highest"),
        (lambda: net_promoter_score([1], scale=5), "scale is 5"),
        (lambda: net_promoter_score([1], promoters=5, detractors=6), "detractors must be lower than promoters"),
        (lambda: net_promoter_score({9: -1}), r"answers\[9\] is -1"),
        (lambda: net_promoter_score({11: 1}), "11"),
        (lambda: net_promoter_score({9: 1}, by=["a"]), "by= needs a column of answers"),
        (lambda: net_promoter_score([9], by=["a", "b"]), "by has 2 rows"),
        (lambda: net_promoter_score(CustomerBase()), "read its answers with survey_answers"),
        (lambda: net_promoter_score([9], level=1.5), "level is 1.5"),
        (lambda: customer_satisfaction([1], kind="box"), "kind is 'box'"),
        (lambda: customer_satisfaction([1], scale=(1, 2)), "use kind='mean'"),
        (lambda: customer_effort_score([1], scale=(1, 5), kind="share"), "pass easy="),
        (lambda: customer_effort_score([1], reverse=1), "reverse is 1"),
        (lambda: survey_answers([1], event("x"), as_of="2026-01-01"), "base is a list"),
        (lambda: survey_answers(CustomerBase(), "x", as_of="2026-01-01"), "answers is 'x'"),
        (lambda: describe("nps"), "name is 'nps'"),
    ],
)
def test_what_is_no_survey_is_refused(call, said):
    with pytest.raises(InputError, match=said):
        call()


def test_a_score_that_events_do_not_have_is_named():
    log = EventLog.from_columns(customer_id=[1], type="nps", time=["2026-01-05"], properties={"x": ["a"]})
    with pytest.raises(MissingColumnError, match="score is 'points'"):
        survey_answers(CustomerBase(events=log), event("nps"), as_of="2026-02-01", score="points")
    with pytest.raises(InputError, match="score is 'x', a property of kind 'text'"):
        survey_answers(CustomerBase(events=log), event("nps"), as_of="2026-02-01", score="x")


def test_few_answers_are_said():
    told = str(net_promoter_score([9, 10, 6, 7], by=["a", "a", "b", "b"]))
    assert "2 groups have fewer than 30 answers" in told
    assert "only 2 answers" in repr(net_promoter_score([9, 10]))
    assert "<table>" in net_promoter_score([9, 10], by=["a", "b"])._repr_html_()
