"""Pictures show what results say, under warnings as errors, and no text lies on another."""

from __future__ import annotations

import importlib.util
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from relmark import days, period, plots
from relmark.errors import InputError
from relmark.ltv import BetaDiscreteWeibull, ShiftedBetaGeometric
from relmark.metrics import message_metrics

pytestmark = pytest.mark.long
_SPEC = importlib.util.spec_from_file_location("results_to_draw", Path(__file__).parent / "results_to_draw.py")
assert _SPEC is not None
assert _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
RESULTS = _MODULE.results()


def widths(ax):
    return [patch.get_width() for patch in ax.patches]


def heights(ax):
    return [patch.get_height() for patch in ax.patches]


def line(ax, name):
    return next(np.asarray(one.get_ydata(), dtype=float) for one in ax.lines if one.get_label() == name)


def points(ax):
    return next(np.asarray(one.get_xdata(), dtype=float) for one in ax.lines if one.get_marker() == "o")


def cells(ax):
    return np.ma.filled(ax.images[0].get_array().astype(float), np.nan)


def texts_of(ax):
    """Return the texts that are drawn, with their boxes in pixels: labels of ticks beyond the limits are not drawn."""
    renderer = FigureCanvasAgg(ax.figure).get_renderer()
    ax.figure.draw(renderer)
    axes = (ax.xaxis, ax.yaxis)
    drawn = {id(tick.label1) for axis in axes for tick in axis._update_ticks()}
    labels = {id(label) for axis in axes for tick in axis.get_major_ticks() for label in (tick.label1, tick.label2)}
    return [
        (text.get_text(), text.get_window_extent(renderer)) for text in ax.findobj(Text)
        if text.get_visible() and text.get_text().strip() and (id(text) not in labels or id(text) in drawn)
    ]  # fmt: skip


@pytest.mark.parametrize("name", RESULTS)
def test_no_text_lies_on_another_or_outside(name):
    ax = plots.draw(RESULTS[name])
    texts = texts_of(ax)
    assert ax.get_title(loc="left") or ax.get_legend() is not None
    width, height = ax.figure.get_size_inches() * ax.figure.dpi
    for text, box in texts:
        assert box.x0 >= -1, text
        assert box.x1 <= width + 1, text
        assert box.y0 >= -1, text
        assert box.y1 <= height + 1, text
    for (one, first), (two, second) in combinations(texts, 2):
        wide = min(first.x1, second.x1) - max(first.x0, second.x0)
        high = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert wide <= 1 or high <= 1, f"{one!r} lies on {two!r}"


@pytest.mark.parametrize("name", RESULTS)
def test_the_caller_s_axes_are_drawn_on_and_nothing_global_is_set(name):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    ax = Figure().subplots()
    assert plots.draw(RESULTS[name], ax=ax) is ax
    assert dict(mpl.rcParams) == before


def test_a_title_beside_long_names_of_rows_stays_in_the_figure():
    names = [f"a clause that is said in many words, number {number}" for number in range(4)]
    ax = plots.segment_funnel(evolve(RESULTS["clauses"], name="customers with a name that is long"), names=names)
    FigureCanvasAgg(ax.figure).draw()
    assert ax.get_title(loc="left").count("\n") == 1
    assert ax._left_title.get_window_extent().x1 <= ax.figure.bbox.x1


def test_the_legend_of_models_lies_beside_their_credit():
    ax = plots.draw(RESULTS["comparison"])
    FigureCanvasAgg(ax.figure).draw()
    assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1


def test_a_notebook_shows_the_figure_of_a_picture_without_pyplot():
    figure = plots.draw(RESULTS["migration"]).figure
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_segments_show_their_figures():
    scores = RESULTS["rfm_grid"]
    table = cells(plots.rfm_grid(scores))
    assert np.nansum(table) == pytest.approx(1)
    assert table[0, 4] == pytest.approx(np.mean((scores.r == 5) & (scores.f == 5)))
    money = cells(plots.rfm_grid(scores, what="money"))
    assert money[0, 4] == pytest.approx(scores.revenue[(scores.r == 5) & (scores.f == 5)].mean())
    report = RESULTS["segment_report"]
    ax = plots.segment_sizes(report)
    assert widths(ax) == pytest.approx(report.share.tolist())
    assert np.asarray(ax.lines[0].get_xdata(), dtype=float) == pytest.approx(report.revenue_share)
    percents = [text.get_text().replace("%", "").split(" / ") for text in ax.texts]
    assert np.array(percents, dtype=float) == pytest.approx(
        100 * np.column_stack([report.share, report.revenue_share]), rel=0.06
    )
    assert [f"{share:g}%" for share in 100 * ax.get_xticks()] == [one.get_text() for one in ax.get_xticklabels()]
    members = RESULTS["overlap"]
    assert cells(plots.overlap(members))[0, 1] == pytest.approx(members.overlap[0, 1] / members.overlap[0, 0])
    assert widths(plots.segment_sizes(members)) == list(members.sizes.values())
    waterfall = RESULTS["waterfall"]
    assert widths(plots.segment_sizes(waterfall))[:-1] == waterfall.exclusive.tolist()
    assert sum(widths(plots.segment_sizes(waterfall))) == waterfall.of
    clauses = RESULTS["clauses"]
    assert widths(plots.segment_funnel(clauses)) == [clauses.of, *clauses.left.tolist()]
    words = [f"step {number}" for number in range(len(clauses.clause))]
    labels = plots.segment_funnel(clauses, names=words).get_yticklabels()
    assert [one.get_text() for one in labels] == ["everybody", *words]
    moves = RESULTS["migration"]
    blocks = [one for one in plots.migration(moves).patches if hasattr(one, "get_height") and one.get_width() < 0.05]
    assert sum(one.get_height() for one in blocks) == pytest.approx(2 * moves.counts.sum())


def test_scores_show_their_figures():
    scores = RESULTS["scores"]
    assert sum(heights(plots.score_distribution(scores))) == len(scores.total)
    result = RESULTS["calibration"]
    assert heights(plots.calibration(result)) == pytest.approx(result.deciles.rate.tolist())
    assert heights(plots.lift(result)) == pytest.approx(result.deciles.lift.tolist())
    ax = plots.gains(result)
    assert line(ax, "by score")[1:] == pytest.approx(result.deciles.gain)
    assert line(ax, "random")[1:] == pytest.approx(result.deciles.share)
    assert line(plots.gains(result.deciles), "by score") == pytest.approx(line(ax, "by score"))


def test_lifetimes_show_their_figures():
    tracked = RESULTS["tracking"]
    assert line(plots.tracking(tracked), "actual") == pytest.approx(tracked.actual)
    assert line(plots.tracking(tracked, cumulative=True), "expected") == pytest.approx(tracked.expected_cumulative)
    table = RESULTS["frequency"]
    assert heights(plots.frequency(table)) == pytest.approx([*table.observed, *table.expected])
    report = RESULTS["holdout"]
    assert line(plots.holdout(report), "as before") == pytest.approx(report.as_before)
    matrix = RESULTS["recency_frequency"]
    drawn = cells(plots.recency_frequency(matrix, what="expected_purchases"))
    assert drawn[::-1] == pytest.approx(matrix.expected_purchases, nan_ok=True)
    groups = RESULTS["calibration_table"]
    assert heights(plots.value_by_tenth(groups)) == pytest.approx([*groups.actual, *groups.expected])
    value = RESULTS["value"]
    parts = heights(plots.value_by_tenth(value))
    assert sum(parts) == pytest.approx(1)
    assert parts[0] == pytest.approx(np.sort(value.value)[::-1][:60].sum() / value.value.sum())
    told = RESULTS["alive_history"]
    assert line(plots.alive_history(told), "P(alive)") == pytest.approx(told.p_alive, nan_ok=True)
    assert widths(plots.equity(RESULTS["equity"])) == pytest.approx(RESULTS["equity"].value.tolist())
    chosen = RESULTS["model_choice"]
    behind = sorted((np.nanmax(chosen.held_out) - chosen.held_out).tolist())
    assert widths(plots.model_choice(chosen)) == pytest.approx(behind)
    models = {
        "BdW": BetaDiscreteWeibull(alpha=0.26, beta=1.72, c=1.58),
        "sBG": ShiftedBetaGeometric(alpha=0.67, beta=3.8),
    }
    ax = plots.survival(models, periods=8, left=[1000, 869, 743, 653, 593])
    assert line(ax, "BdW")[1:] == pytest.approx([models["BdW"].survival(float(t)) for t in range(1, 9)])
    assert line(ax, "observed")[1] == pytest.approx(0.869)


def test_channels_and_recommenders_show_their_figures():
    credit = RESULTS["credit"]
    assert widths(plots.credit(credit)) == sorted(credit.conversions.tolist(), reverse=True)
    both = RESULTS["comparison"]
    order = np.argsort(-both.shares.mean(axis=1), kind="stable")
    ax = plots.credit(both)
    shown = next(one for one in ax.lines if one.get_label() == "markov_1").get_xdata()
    assert np.asarray(shown, dtype=float) == pytest.approx(both.shares[order, 1])
    lengths = RESULTS["path_lengths"]
    assert sum(heights(plots.path_lengths(lengths))) == pytest.approx(lengths.conversions.sum() + lengths.nulls.sum())
    lags = RESULTS["time_lags"]
    assert heights(plots.time_lags(lags)) == pytest.approx(lags.conversions.tolist())
    markov = RESULTS["markov"]
    assert widths(plots.removal_effects(markov)) == sorted(markov.removal_effects.tolist(), reverse=True)
    returns = RESULTS["returns"]
    assert widths(plots.returns(returns)) == sorted(returns.roas.tolist(), reverse=True)
    compared = RESULTS["quality"]
    assert points(plots.quality(compared)) == pytest.approx(np.sort(compared.ndcg)[::-1])
    assert points(plots.quality(compared, metric="recall")) == pytest.approx(np.sort(compared.recall)[::-1])


def test_trials_show_their_figures():
    report = RESULTS["effects"]
    assert points(plots.effects(report)) == pytest.approx(report.relative)
    assert points(plots.effects(report, relative=False)) == pytest.approx(report.difference)
    size = RESULTS["sample_size"]
    ax = plots.power_curve(size)
    assert line(ax, "power")[-1] > size.power
    assert np.interp(size.total, ax.lines[0].get_xdata(), line(ax, "power")) == pytest.approx(size.power, abs=1e-3)
    plan = RESULTS["bounds"]
    ax = plots.sequential_bounds(plan, statistics=[1.0, 2.1])
    assert line(ax, "stop for a gain") == pytest.approx(plan.bound)
    assert line(ax, "observed").tolist() == [1.0, 2.1]
    curve = RESULTS["uplift"]
    assert line(plots.uplift(curve), "by score") == pytest.approx(curve.gain)
    assert line(plots.uplift(curve, what="qini"), "by score") == pytest.approx(curve.qini)
    learned = RESULTS["learned"]
    assert line(plots.uplift(learned), "by score") == pytest.approx(learned.curve.gain)
    groups = RESULTS["uplift_groups"]
    assert points(plots.uplift_groups(groups)) == pytest.approx(groups.difference)
    value = RESULTS["policy_value"]
    assert points(plots.policy_value(value)) == pytest.approx([value.over_nobody.value, value.over_everybody.value])


def test_measures_show_their_figures():
    kept = RESULTS["retention"]
    assert cells(plots.retention(kept)) == pytest.approx(kept.table, nan_ok=True)
    money = RESULTS["cohort_value"]
    assert cells(plots.cohort_value(money)) == pytest.approx(money.per_customer, nan_ok=True)
    funnel = RESULTS["funnel"]
    sums = np.array(widths(plots.funnel(funnel))).reshape(3, -1).sum(axis=0)
    assert sums.tolist() == funnel.counts.tolist()
    paths = RESULTS["paths"]
    assert widths(plots.paths(paths, most=2)) == pytest.approx(paths.share.value[:2].tolist())
    steps = RESULTS["journey_map"]
    assert np.nansum(cells(plots.journey_map(steps))) == pytest.approx(steps.share.value.sum())
    sent = RESULTS["messages"]
    assert points(plots.messages(sent, figure="open_rate")) == pytest.approx(sent.open_rate.value)
    profile = RESULTS["profile"]
    assert points(plots.response_profile(profile)) == pytest.approx(profile.arms.response_rate.value)
    sales = RESULTS["pipeline"]
    assert points(plots.pipeline(sales)) == pytest.approx(sales.win_probability.value)
    best = RESULTS["pareto"]
    assert line(plots.pareto(best), "actual")[1:] == pytest.approx(best.cumulative_share)
    report = RESULTS["report"]
    assert widths(plots.marketing_report(report)) == pytest.approx(report.change[np.isfinite(report.change)].tolist())
    trade = RESULTS["commerce"]
    assert sum(heights(plots.commerce(trade))) == pytest.approx(trade.revenue.sum())
    survey = RESULTS["survey"]
    assert points(plots.survey(survey)) == pytest.approx(survey.score.value)
    pressure = RESULTS["pressure"]
    rate = pressure.open_rate.value
    assert line(plots.contact_pressure(pressure), "opened") == pytest.approx(rate / rate[0])


def test_policies_show_their_figures():
    run = RESULTS["replay"]
    assert sum(heights(plots.load(run))) == run.by_day["sent"].sum()
    assert heights(plots.contacts(run)) == run.contacts["people"].tolist()
    assert sum(widths(plots.held(run))) == run.held["times"].sum()
    plan = RESULTS["plan"]
    assert sorted(widths(plots.held(plan))) == sorted(plan.held.counts().values())
    found = RESULTS["allocation"]
    assert widths(plots.allocation(found)) == list(found.counts.values())


def test_messages_over_time_are_a_line():
    base = _MODULE.shop()
    told = message_metrics(base, as_of="2026-07-01", by=period("month"), within=days(180))
    ax = plots.messages(told)
    assert np.asarray(ax.lines[0].get_ydata(), dtype=float) == pytest.approx(told.ctr_delivered.value)


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda: plots.draw(3), "there is no picture of int"),
        (lambda: plots.draw(RESULTS["credit"], ax="here"), "ax is 'here'"),
        (lambda: plots.rfm_grid(RESULTS["rfm_grid"], what="monney"), "what"),
        (lambda: plots.segment_funnel(RESULTS["clauses"], names=["one"]), "1 entries; the rule has 4 clauses"),
        (lambda: plots.messages(RESULTS["messages"], figure="opne_rate"), "Did you mean 'open_rate'"),
    ],
)
def test_what_cannot_be_drawn_is_said(draw, said):
    with pytest.raises(InputError, match=said):
        draw()
