"""The choice among models: by what customers did afterwards, by BIC where nothing is known of it, always with why."""

import html
import runpy
import types
from pathlib import Path

import attrs
import numpy as np
import pytest

from relmark import CustomerBase, days
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.ltv import (
    BgBb,
    BgNbd,
    GammaGamma,
    MbgCnbd,
    MbgNbd,
    Nbd,
    ParetoNbd,
    PurchaseSummary,
    auto,
    holdout_report,
    purchase_summary,
    split,
)
from relmark.ltv.auto import held_out_log_likelihood

data = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "ltv_data.py")))


def test_a_base_is_held_out_by_its_last_third_and_fitted_whole():
    base = data.cdnow_base()
    found = auto(base, as_of="1998-07-01")
    observed = (np.datetime64("1998-06-30") - np.datetime64("1997-01-01")).astype(int) + 1
    at = np.datetime64("1998-07-01") - observed // 3
    held = split(base, at=at, as_of="1998-07-01")
    assert found.holdout == pytest.approx(held.duration)
    assert found.candidate.tolist() == ["NBD", "BG/NBD", "MBG/NBD", "MBG/CNBD", "Pareto/NBD"]
    whole = purchase_summary(base, as_of="1998-07-01")
    for row, model in enumerate((Nbd, BgNbd, MbgNbd, MbgCnbd, ParetoNbd)):
        everything, before = model.fit(whole), model.fit(held.calibration)
        report = holdout_report(before, held)
        assert found.models[found.candidate[row]] == everything
        assert found.bic[row] == everything.fit_report.bic
        assert found.relative_error[row] == report.relative_error
        assert found.mean_absolute_error[row] == report.mean_absolute_error
        chances = before.purchase_probabilities(held.calibration, held.duration, range(int(held.frequency.max()) + 1))
        own = chances[np.arange(len(held.frequency)), held.frequency.astype(int)]
        assert found.held_out[row] == pytest.approx(np.log(own).sum())
    assert found.name == found.candidate[int(np.argmax(found.held_out))]
    assert found.model == found.models[found.name]
    assert "held out" in found.why
    assert "MBG/NBD" in found.why
    assert found.why in str(found)
    assert html.escape(found.why) in found._repr_html_()
    assert found.to_dict()["name"] == found.name


def test_customers_of_a_model_are_recognized():
    """MBG/NBD customers, half of whom come once: BG/NBD, which holds all of those alive, is told apart clearly."""
    rng = np.random.default_rng(5)
    days_of, who = [], []
    for customer in range(1500):
        first, rate, leaves = rng.integers(0, 60), rng.gamma(2.0, 1 / 20.0), rng.beta(0.6, 0.9)
        day = float(first)
        while day < 540:
            who.append(customer)
            days_of.append(np.datetime64("2025-01-01") + np.timedelta64(int(day), "D"))
            if rng.random() < leaves:
                break
            day += rng.exponential(1 / rate) + 1e-9
    orders = {"user": who, "day": np.array(days_of)}
    base = CustomerBase.from_orders(orders, customer_id="user", time="day", value=None)
    found = auto(base, as_of="2026-06-25", holdout=days(180), models=[Nbd, BgNbd, MbgNbd])
    assert found.name == "MBG/NBD"
    assert ", clearly higher than that of BG/NBD" in found.why
    assert found.aic[2] < found.aic[1] < found.aic[0]


def test_a_summary_is_judged_by_bic_and_said_to_be():
    found = auto(data.cdnow())
    assert found.name == found.candidate[int(np.argmin(found.bic))] == "MBG/NBD"
    assert "little more than luck" in found.why
    assert "no later purchases" in found.why
    assert np.isnan(found.held_out).all()
    assert found.holdout == 0.0
    assert "held_out" not in str(found)
    one = auto(data.cdnow(), models="bg_nbd")
    assert (one.name, "only candidate" in one.why) == ("BG/NBD", True)


def test_a_model_that_is_another_at_its_boundary_is_no_second():
    """CDNOW's customers have no rhythm: MBG/CNBD finds k = 1, which is MBG/NBD."""
    found = auto(data.cdnow_base(), as_of="1998-07-01", holdout=days(273), models=["MBG/NBD", "MBG/CNBD", "BG/NBD"])
    assert found.held_out[1] == pytest.approx(found.held_out[0], abs=1e-6)
    assert found.name == "MBG/NBD"
    assert "higher than that of BG/NBD" in found.why


def test_a_split_that_one_has_is_taken_as_it_is():
    held = split(data.cdnow_base(), at="1997-10-01", as_of="1998-07-01")
    found = auto(held, models={"with a coin": BgNbd})
    assert found.model == BgNbd.fit(held.calibration)
    assert found.candidate.tolist() == ["with a coin"]
    assert found.held_out[0] == held_out_log_likelihood(found.model, held).sum()


def test_where_rates_so_far_do_as_well_it_says_that_models_help_little():
    """Everybody buys like a clock, at a pace of their own: a model of chance can only be worse than going on."""
    pace = np.repeat([1, 2, 5, 10, 30, 60], 10)
    who = np.repeat(np.arange(60), 240 // pace + 1)
    day = np.concatenate([np.arange(0, 241, each) for each in pace])
    orders = {"user": who, "day": np.datetime64("2025-01-01") + np.asarray(day).astype("m8[D]")}
    base = CustomerBase.from_orders(orders, customer_id="user", time="day", value=None)
    found = auto(
        base, as_of=np.datetime64("2025-01-01") + np.timedelta64(241, "D"), holdout=days(120), models=["BG/NBD", "NBD"]
    )
    said = "no better than 0.000, the error if everybody went on at their own rate so far: these models help little"
    assert said in found.why
    assert any("the fit of BG/NBD did not converge" in note for note in found.notes)


def test_what_cannot_be_fitted_is_left_out_with_its_reason():
    @attrs.frozen(kw_only=True)
    class Refuses(Nbd):
        @classmethod
        def fit(cls, summary, prior=None):  # noqa: ARG003
            raise InputError("the summary has no gaps.", argument="summary", code="missing_argument")

    found = auto(data.cdnow(), models={"refuses": Refuses, "NBD": Nbd})
    assert found.candidate.tolist() == ["NBD"]
    assert found.notes == ("refuses was left out: the summary has no gaps.",)
    with pytest.raises(InputError, match="none of refuses could be fitted"):
        auto(data.cdnow(), models={"refuses": Refuses})


@pytest.mark.parametrize(("arguments", "settings", "error", "said"), [
    ((3,), {}, InputError, "a CustomerBase"), (("base",), {}, InputError, "as_of is missing"),
    (("base",), {"as_of": "1998-07-01", "holdout": days(600)}, NotEnoughDataError, "a part of them"),
    (("base",), {"as_of": "1998-07-01", "holdout": 5}, InputError, "holdout"),
    (("summary",), {"as_of": "1998-07-01"}, InputError, "as_of is given with a PurchaseSummary"),
    (("summary",), {"holdout": days(5)}, InputError, "holdout is given"),
    (("summary",), {"models": []}, InputError, "models is empty"),
    (("summary",), {"models": ["BG/NDB"]}, InputError, "Did you mean 'BG/NBD'"),
    (("summary",), {"models": [GammaGamma]}, InputError, "a class such as BgNbd"),
    (("summary",), {"models": [BgBb]}, InputError, "counts opportunities"),
    (("summary",), {"models": 3}, InputError, "names or classes"),
])  # fmt: skip
def test_other_questions_are_refused(arguments, settings, error, said):
    known = {"base": data.cdnow_base(), "summary": data.cdnow()}
    with pytest.raises(error, match=said):
        auto(*(known.get(one, one) for one in arguments), **settings)


def test_nobody_who_bought_twice_is_no_matter_of_the_model():
    once = PurchaseSummary(frequency=[0, 0], recency=[0, 0], T=[3.0, 4.0])
    with pytest.raises(NotEnoughDataError, match="bought twice"):
        auto(once)
