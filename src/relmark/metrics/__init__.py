"""Marketing metrics: messages, unit economics, surveys, commerce, cohorts, funnels, deals, points and reports.

Data flow one way: a base (or counts, or columns of answers) is read into the events of a window, the events are put
into groups, and the groups become tables. Shares in these tables have intervals, and undefined cells have reasons. A
rate is named after its denominator, and `describe` returns its numerator, denominator, window and source. What is still
open is never counted as lost.
"""

from relmark.metrics.base_health import BaseHealth, base_health
from relmark.metrics.cohort_counts import CohortCounts
from relmark.metrics.cohort_tables import CohortRetention, CohortValue
from relmark.metrics.cohorts import cohort_retention, cohort_value
from relmark.metrics.commerce import CommerceMetrics, Pareto, commerce_metrics, pareto
from relmark.metrics.contact_pressure import ContactPressure, contact_pressure
from relmark.metrics.conversations import ConversationMetrics, conversation_metrics
from relmark.metrics.definitions import Definition, describe
from relmark.metrics.estimates import Estimates
from relmark.metrics.funnel import funnel
from relmark.metrics.funnel_counts import FunnelCounts
from relmark.metrics.funnel_table import Funnel, TimeToConvert
from relmark.metrics.marketing_report import MarketingReport, marketing_report
from relmark.metrics.message_counts import MessageCounts
from relmark.metrics.messages import MessageMetrics, message_metrics
from relmark.metrics.paths import JourneyMap, Paths, journey_map, paths
from relmark.metrics.pipeline import OpenDeals, Pipeline, pipeline
from relmark.metrics.pipeline_forecast import PipelineForecast
from relmark.metrics.points_ledger import PointsLedger, points_ledger
from relmark.metrics.points_rules import Accrual, PointsTiers
from relmark.metrics.recommendations import RecommendationMetrics, recommendation_metrics
from relmark.metrics.response_profile import ResponseArms, ResponseProfile, response_profile
from relmark.metrics.survey_answers import SurveyAnswers, survey_answers
from relmark.metrics.surveys import (
    SurveyScore,
    SurveyScores,
    customer_effort_score,
    customer_loyalty_index,
    customer_satisfaction,
    net_promoter_score,
    response_rate,
)
from relmark.metrics.unit_economics import UnitEconomics, unit_economics
from relmark.metrics.visits import VisitMetrics, visit_metrics

__all__ = [
    "Accrual",
    "BaseHealth",
    "CohortCounts",
    "CohortRetention",
    "CohortValue",
    "CommerceMetrics",
    "ContactPressure",
    "ConversationMetrics",
    "Definition",
    "Estimates",
    "Funnel",
    "FunnelCounts",
    "JourneyMap",
    "MarketingReport",
    "MessageCounts",
    "MessageMetrics",
    "OpenDeals",
    "Pareto",
    "Paths",
    "Pipeline",
    "PipelineForecast",
    "PointsLedger",
    "PointsTiers",
    "RecommendationMetrics",
    "ResponseArms",
    "ResponseProfile",
    "SurveyAnswers",
    "SurveyScore",
    "SurveyScores",
    "TimeToConvert",
    "UnitEconomics",
    "VisitMetrics",
    "base_health",
    "cohort_retention",
    "cohort_value",
    "commerce_metrics",
    "contact_pressure",
    "conversation_metrics",
    "customer_effort_score",
    "customer_loyalty_index",
    "customer_satisfaction",
    "describe",
    "funnel",
    "journey_map",
    "marketing_report",
    "message_metrics",
    "net_promoter_score",
    "pareto",
    "paths",
    "pipeline",
    "points_ledger",
    "recommendation_metrics",
    "response_profile",
    "response_rate",
    "survey_answers",
    "unit_economics",
    "visit_metrics",
]
