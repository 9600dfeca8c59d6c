"""The picture that fits a result, found by its type."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING

from relmark.attribution.credit import Credit, CreditComparison
from relmark.attribution.markov import MarkovModel
from relmark.attribution.reports import PathLengths, TimeLags
from relmark.attribution.returns import ChannelReturns
from relmark.campaigns.allocation import Allocation
from relmark.campaigns.contact_plan import ContactPlan
from relmark.campaigns.replay import Replay
from relmark.core.errors import InputError
from relmark.experiments.effect_table import EffectTable
from relmark.experiments.learned_uplift import LearnedUplift
from relmark.experiments.planning import SampleSize
from relmark.experiments.policy import PolicyValue
from relmark.experiments.sequential import SpendingPlan
from relmark.experiments.uplift import UpliftCurve, UpliftGroups
from relmark.ltv.alive_history import AliveHistory
from relmark.ltv.auto import ModelChoice
from relmark.ltv.diagnostics import FrequencyTable, RecencyFrequencyMatrix
from relmark.ltv.equity import CustomerEquity
from relmark.ltv.holdout import CalibrationTable, HoldoutReport
from relmark.ltv.tracking import CohortTracking
from relmark.ltv.value import LifetimeValue
from relmark.metrics.cohort_tables import CohortRetention, CohortValue
from relmark.metrics.commerce import CommerceMetrics, Pareto
from relmark.metrics.contact_pressure import ContactPressure
from relmark.metrics.funnel_table import Funnel
from relmark.metrics.marketing_report import MarketingReport
from relmark.metrics.messages import MessageMetrics
from relmark.metrics.paths import JourneyMap, Paths
from relmark.metrics.pipeline import Pipeline
from relmark.metrics.response_profile import ResponseProfile
from relmark.metrics.surveys import SurveyScores
from relmark.plots import channels, lifetimes, measures, policies, recommenders, scores, segments, trials
from relmark.recommend.comparison import Comparison
from relmark.scoring.calibration import Calibration
from relmark.scoring.lift import LiftTable
from relmark.scoring.scores import LeadScores
from relmark.segmentation.by_clause import ClauseCounts
from relmark.segmentation.migration import Migration
from relmark.segmentation.rfm_scores import RfmScores
from relmark.segmentation.segment_report import SegmentReport
from relmark.segmentation.set_members import SegmentSetMembers, Waterfall

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]


@singledispatch
def draw(result: object, *, ax: Axes | None = None) -> Axes:  # noqa: ARG001  (the pictures take it)
    """Draw the picture that fits a result.

    Parameters
    ----------
    result : a result of any package for which there is a picture
    ax : matplotlib Axes, optional
        The Axes to draw on. By default, new Axes on a new figure (``draw(result).figure``).

    Returns
    -------
    Axes

    Raises
    ------
    InputError
        If there is no picture of such a result.

    Examples
    --------
    >>> from relmark.attribution import Journeys, LastTouch
    >>> journeys = Journeys.from_paths(["mail > shop", "shop"], conversions=[2, 1])
    >>> ax = draw(LastTouch().attribute(journeys))
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['shop', 'mail']
    """
    known = sorted(one.__name__ for one in draw.registry if one is not object)
    raise InputError(
        f"there is no picture of {type(result).__name__}; there are pictures of {', '.join(known)}.",
        argument="result",
        code="wrong_type",
    )


for _result, _picture in (
    (RfmScores, segments.rfm_grid), (SegmentReport, segments.segment_sizes), (Waterfall, segments.segment_sizes),
    (SegmentSetMembers, segments.overlap), (ClauseCounts, segments.segment_funnel), (Migration, segments.migration),
    (LeadScores, scores.score_distribution), (Calibration, scores.calibration), (LiftTable, scores.lift),
    (CohortTracking, lifetimes.tracking), (FrequencyTable, lifetimes.frequency), (HoldoutReport, lifetimes.holdout),
    (RecencyFrequencyMatrix, lifetimes.recency_frequency), (CalibrationTable, lifetimes.value_by_tenth),
    (LifetimeValue, lifetimes.value_by_tenth),
    (AliveHistory, lifetimes.alive_history), (CustomerEquity, lifetimes.equity), (ModelChoice, lifetimes.model_choice),
    (Comparison, recommenders.quality),
    (Credit, channels.credit), (CreditComparison, channels.credit), (PathLengths, channels.path_lengths),
    (TimeLags, channels.time_lags), (MarkovModel, channels.removal_effects), (ChannelReturns, channels.returns),
    (EffectTable, trials.effects), (SampleSize, trials.power_curve), (SpendingPlan, trials.sequential_bounds),
    (UpliftCurve, trials.uplift), (LearnedUplift, trials.uplift),
    (UpliftGroups, trials.uplift_groups), (PolicyValue, trials.policy_value),
    (CohortRetention, measures.retention), (CohortValue, measures.cohort_value), (Funnel, measures.funnel),
    (Paths, measures.paths), (JourneyMap, measures.journey_map), (MessageMetrics, measures.messages),
    (ResponseProfile, measures.response_profile), (Pipeline, measures.pipeline), (Pareto, measures.pareto),
    (MarketingReport, measures.marketing_report), (CommerceMetrics, measures.commerce), (SurveyScores, measures.survey),
    (ContactPressure, measures.contact_pressure),
    (Replay, policies.load), (ContactPlan, policies.held), (Allocation, policies.allocation),
):  # fmt: skip
    draw.register(_result, _picture)
