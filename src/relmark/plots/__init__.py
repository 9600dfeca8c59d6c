"""Pictures of results on matplotlib Axes: one function each, and `draw`, which chooses one by the type of the result.

Each function takes a result and, optionally, the Axes to draw on, and returns the Axes. Nothing global changes, and no
window opens. In a notebook, ``plots.draw(result).figure`` shows the picture; in a script,
``.figure.savefig("picture.png")`` saves it. The pictures need matplotlib, which the extra `plots` installs.
"""

from relmark.plots.channels import credit, path_lengths, removal_effects, returns, time_lags
from relmark.plots.lifetimes import (
    alive_history,
    equity,
    frequency,
    holdout,
    model_choice,
    recency_frequency,
    survival,
    tracking,
    value_by_tenth,
)
from relmark.plots.measures import (
    cohort_value,
    commerce,
    contact_pressure,
    funnel,
    journey_map,
    marketing_report,
    messages,
    pareto,
    paths,
    pipeline,
    response_profile,
    retention,
    survey,
)
from relmark.plots.pictures import draw
from relmark.plots.policies import allocation, contacts, held, load
from relmark.plots.recommenders import quality
from relmark.plots.scores import calibration, gains, lift, score_distribution
from relmark.plots.segments import migration, overlap, rfm_grid, segment_funnel, segment_sizes
from relmark.plots.trials import effects, policy_value, power_curve, sequential_bounds, uplift, uplift_groups

__all__ = [
    "alive_history",
    "allocation",
    "calibration",
    "cohort_value",
    "commerce",
    "contact_pressure",
    "contacts",
    "credit",
    "draw",
    "effects",
    "equity",
    "frequency",
    "funnel",
    "gains",
    "held",
    "holdout",
    "journey_map",
    "lift",
    "load",
    "marketing_report",
    "messages",
    "migration",
    "model_choice",
    "overlap",
    "pareto",
    "path_lengths",
    "paths",
    "pipeline",
    "policy_value",
    "power_curve",
    "quality",
    "recency_frequency",
    "removal_effects",
    "response_profile",
    "retention",
    "returns",
    "rfm_grid",
    "score_distribution",
    "segment_funnel",
    "segment_sizes",
    "sequential_bounds",
    "survey",
    "survival",
    "time_lags",
    "tracking",
    "uplift",
    "uplift_groups",
    "value_by_tenth",
]
