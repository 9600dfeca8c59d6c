"""A policy to start from: campaigns that most senders use, which you can replace or leave out by name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from relmark.campaigns.campaign import Campaign, Chain, Entry, Step
from relmark.campaigns.caps import Cap
from relmark.campaigns.policy import ContactPolicy
from relmark.campaigns.quiet_hours import QuietHours
from relmark.core.checks import shown
from relmark.core.errors import InputError
from relmark.core.names import did_you_mean
from relmark.core.time import days, hours
from relmark.expressions.builders import event, field
from relmark.expressions.operators import Expression

__all__ = ["starter_campaigns", "starter_policy"]

_CAPS = (Cap(1, per="day"), Cap(3, within=days(7)))
_QUIET = QuietHours("21:00", "09:00")
_WAIT = hours(4)


def starter_campaigns() -> dict[str, Entry]:
    """Return the eleven campaigns of the starter policy by name, in order of priority.

    They use the events purchase, signup, opt_in, cart and view, and the field `born`, a date.
    """
    bought = event("purchase")
    silent = bought.days_since_last()
    unconfirmed = ~event("opt_in").exists()
    mail = ["email"]
    found: list[Entry] = [
        Campaign("receipt", who=bought.exists(within=days(1)), trigger=bought, channels=mail, transactional=True),
        Campaign(
            "opt-in", who=event("signup").exists(within=days(1)) & unconfirmed, trigger=event("signup"), channels=mail,
            transactional=True,
        ),
        Campaign(
            "opt-in reminder", who=event("signup").days_since_last().between(1, 3) & unconfirmed, channels=mail,
            again=days(30), times=2, transactional=True,
        ),
        Chain(
            "welcome", starts=event("opt_in"), until=bought, channels=mail, late=days(2), control=0.1,
            steps=[Step("hello"), Step("what we are good at", after=days(3)), Step("first order", after=days(7))],
        ),
        Campaign(
            "basket", who=event("cart").not_followed_by(bought, within=hours(1), recent=days(3)), trigger=event("cart"),
            channels=mail, again=days(3), control=0.1,
        ),
        Campaign(
            "browse",
            who=(event("view").count(within=days(3)) >= 2)
            & ~event("cart").exists(within=days(3)) & ~bought.exists(within=days(3)),
            trigger=event("view"), channels=mail, again=days(7), control=0.1,
        ),
        Campaign("care", who=silent.between(10, 20), trigger=bought, channels=mail, control=0.1),
        Campaign(
            "replenishment", who=(bought.count() >= 2) & silent.between(30, 60), again=days(30), channels=mail,
            control=0.1,
        ),
        Campaign("birthday", who=field("born").anniversary(days(1)), channels=mail, again=days(300)),
        Campaign("win-back", who=silent.between(90, 180), again=days(60), channels=mail, control=0.1),
        Campaign("sunset", who=silent > 180, again=None, channels=mail),
    ]  # fmt: skip
    return {one.name: one for one in found}


def starter_policy(
    name: str = "starter",
    *,
    replace: Mapping[str, Entry | None] | None = None,
    channels: Mapping[str, Expression | None] | None = None,
    caps: tuple[Cap, ...] | list[Cap] = _CAPS,
    quiet: QuietHours | None = _QUIET,
    gap: timedelta | None = _WAIT,
) -> ContactPolicy:
    """Return a policy of common campaigns, with at most one marketing message a day and three in a week.

    Parameters
    ----------
    name : str
        The name of the policy.
    replace : mapping of str to Campaign, Chain or None, optional
        Replacements of campaigns of `starter_campaigns`, by their names; None leaves a campaign out.
    channels : mapping of str to rule, optional
        The channels of the policy. By default, there is one channel, "email", for people who have a value in the field
        `email` and have not unsubscribed.
    caps, quiet, gap
        As for a `ContactPolicy`.

    Examples
    --------
    >>> policy = starter_policy("shop", replace={"birthday": None, "browse": None})
    >>> [one.name for one in policy.campaigns][:4]
    ['receipt', 'opt-in', 'opt-in reminder', 'welcome']
    """
    found: dict[str, Entry | None] = dict(starter_campaigns())
    for one in replace or {}:
        if one not in found:
            raise InputError(
                f"replace names {shown(one)}, but the starter policy has {', '.join(map(repr, found))}.",
                argument="replace",
                code="unknown_name",
                hint=did_you_mean(str(one), found).strip(),
            )
    found |= replace or {}
    known = field("email").not_null()
    own = {"email": known & ~event("unsubscribe").exists()} if channels is None else channels
    return ContactPolicy(
        name,
        campaigns=[one for one in found.values() if one is not None],
        channels=own,
        transactional_channels={"email": known} if channels is None else {},
        caps=caps,
        quiet=quiet,
        gap=gap,
    )
