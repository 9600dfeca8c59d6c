"""Who is written to now, on which channel, with which offer.

A `ContactPolicy` holds campaigns and chains in the order of priority, channels, caps, quiet hours and control; asked
about a base it plans one row per message, asked about one person it says why and when to ask again. Nothing is sent
here: the caller appends ``due.to_events()`` to the log, and that log is the only state.

`allocate` says which offer for whom under capacities, minimums and a budget.

Data flow: a `CustomerBase` and a policy to a `ContactPlan`, whose events go back into the base; columns of values and
limits to an `Allocation`.
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
