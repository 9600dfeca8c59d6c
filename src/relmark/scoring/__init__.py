"""Lead scores: which leads sales should call first, by rules that a team can read, change and explain.

A `LeadScore` is made of rules over the same expressions as segments: conditions that count once (``when``) and events
that each count (``each``), with decay, caps and expiry. `LeadScore.evaluate` scores a whole base, and `LeadScore.one`
scores one lead and explains the score, with one line per rule; the lines add up exactly. `calibrate` compares scores
with what the leads did afterwards, and `suggest_points` learns points from it.
"""

from relmark.scoring import presets
from relmark.scoring.calibration import Calibration, Cut, calibrate
from relmark.scoring.check import CheckedScore
from relmark.scoring.decay import HalfLife, LinearDecay, StepDecay, half_life, linear_decay, step_decay
from relmark.scoring.explanation import EventPoints, LeadExplanation, Line
from relmark.scoring.lead_score import LeadScore
from relmark.scoring.learning import LearnedScore, PointsLearning, suggest_points
from relmark.scoring.lift import BandTable, LiftTable
from relmark.scoring.points import ByValue, Points, Tiers
from relmark.scoring.rules import Grade, Group, Rule
from relmark.scoring.scores import BandMoves, LeadScores, ScoreHistory

__all__ = [
    "BandMoves",
    "BandTable",
    "ByValue",
    "Calibration",
    "CheckedScore",
    "Cut",
    "EventPoints",
    "Grade",
    "Group",
    "HalfLife",
    "LeadExplanation",
    "LeadScore",
    "LeadScores",
    "LearnedScore",
    "LiftTable",
    "Line",
    "LinearDecay",
    "Points",
    "PointsLearning",
    "Rule",
    "ScoreHistory",
    "StepDecay",
    "Tiers",
    "calibrate",
    "half_life",
    "linear_decay",
    "presets",
    "step_decay",
    "suggest_points",
]
