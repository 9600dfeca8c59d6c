"""Who gets a message now, on which channel, and with which offer.

A `ContactPolicy` holds campaigns and chains in order of priority, channels, caps, quiet hours and control groups. For a
base it plans messages, one row each. For one person it also says why, and when to ask again. Nothing is sent here: the
caller appends ``due.to_events()`` to the log, and that log is the only state.

`allocate` decides which customer gets which offer under capacities, minimums and a budget.

Data flow: a `CustomerBase` and a policy give a `ContactPlan`, whose events go back into the base; columns of values and
limits give an `Allocation`.
"""

from relmark.campaigns import presets
from relmark.campaigns.allocate import allocate
from relmark.campaigns.allocation import Allocation
from relmark.campaigns.campaign import Campaign, Chain, Step
from relmark.campaigns.caps import Cap
from relmark.campaigns.constraint import Constraint
from relmark.campaigns.contact_plan import ContactPlan, Held
from relmark.campaigns.person_plan import HeldMessage, PersonPlan, PlannedMessage
from relmark.campaigns.policy import ContactPolicy
from relmark.campaigns.quiet_hours import QuietHours
from relmark.campaigns.replay import Replay
from relmark.core.assignment import Holdout

__all__ = [
    "Allocation",
    "Campaign",
    "Cap",
    "Chain",
    "Constraint",
    "ContactPlan",
    "ContactPolicy",
    "Held",
    "HeldMessage",
    "Holdout",
    "PersonPlan",
    "PlannedMessage",
    "QuietHours",
    "Replay",
    "Step",
    "allocate",
    "presets",
]
