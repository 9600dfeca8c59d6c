"""Ready rules for the common triggers, each one expression; event names and windows are arguments.

A preset is a starting point: combine it with `&`, put it into a `Segment`, print it, store it.
"""

from __future__ import annotations

from datetime import timedelta

from relmark.core.checks import number, whole
from relmark.core.errors import InputError
from relmark.core.time import days, hours
from relmark.expressions.builders import event, field, prop
from relmark.expressions.operators import Expression

__all__ = [
    "abandoned_basket",
    "abandoned_browse",
    "about_to_lapse",
    "birthday",
    "double_opt_in_pending",
    "engaged_visitor",
    "frequency_cap",
    "inactive_subscriber",
    "post_purchase",
    "replenishment",
    "subscription_ending",
    "welcome",
    "win_back",
]

_HOUR, _HOURS_4 = hours(1), hours(4)
_DAY, _DAYS_3, _WEEK, _MONTH, _DAYS_90, _DAYS_180 = days(1), days(3), days(7), days(30), days(90), days(180)


def abandoned_basket(
    wait: timedelta = _HOUR, recent: timedelta = _DAYS_3, *, cart: str = "cart", purchase: str = "purchase"
) -> Expression:
    """Return who put something into the basket, waited, and did not buy.

    Parameters
    ----------
    wait : timedelta
        How long after the latest `cart` event without a `purchase`.
    recent : timedelta
        How old that event may be.
    cart, purchase : str
        Event types.

    Examples
    --------
    >>> abandoned_basket()
    event("cart").not_followed_by(event("purchase"), within=hours(1), recent=days(3))
    """
    return event(cart).not_followed_by(event(purchase), within=wait, recent=recent)


def abandoned_browse(
    wait: timedelta = _HOURS_4,
    recent: timedelta = _DAYS_3,
    *,
    views: int = 2,
    view: str = "view",
    cart: str = "cart",
    purchase: str = "purchase",
) -> Expression:
    """Return who looked at products several times, put nothing into the basket and bought nothing since.

    Parameters
    ----------
    wait : timedelta
        How long after the latest view.
    recent : timedelta
        The window in which the views count, and how old the latest may be.
    views : int
        How many there have to be.
    view, cart, purchase : str
        Event types.
    """
    looked = event(view).count(within=recent) >= whole("views", views, low=1)
    return looked & event(view).not_followed_by(event(cart, purchase), within=wait, recent=recent)


def welcome(within: timedelta = _DAY, *, signup: str = "signup", unsubscribe: str = "unsubscribe") -> Expression:
    """Return who signed up for the first time within so long, and has not unsubscribed since."""
    return event(signup).first_time(within) & ~event(unsubscribe).exists(within=within)


def birthday(upcoming: timedelta = _DAY, *, born: str = "birthday") -> Expression:
    """Return whose birthday comes within so many days, today included; the first day is today.

    Parameters
    ----------
    upcoming : timedelta
        In whole days: ``days(1)`` is today, ``days(7)`` today to the sixth day after.
    born : str
        The field with the date of birth.
    """
    return field(born).anniversary(upcoming)


def win_back(
    silent: timedelta = _DAYS_180, *, purchase: str = "purchase", unsubscribe: str = "unsubscribe"
) -> Expression:
    """Return who bought once, has not bought for so long, and has not unsubscribed."""
    bought = event(purchase).exists(ago=silent) & ~event(purchase).exists(within=silent)
    return bought & ~event(unsubscribe).exists()


def post_purchase(
    after: timedelta = _WEEK, window: timedelta = _DAY, *, where: Expression | None = None, purchase: str = "purchase"
) -> Expression:
    """Return whose purchase was so long ago, give or take a window: care tips, a question, a refill.

    Parameters
    ----------
    after : timedelta
        How long after the purchase.
    window : timedelta
        For how long it stays true, so that a daily run meets everyone once.
    where : Expression, optional
        Which purchases, as in ``prop("category") == "records"``.
    purchase : str
        The event type.
    """
    return event(purchase, where=where).exists(within=window, ago=after)


def engaged_visitor(
    minutes: float = 3,
    pages: int = 3,
    within: timedelta = _DAY,
    *,
    visit: str = "visit",
    contact: str = "signup",
    duration: str = "duration",
    viewed: str = "pages",
) -> Expression:
    """Return who stayed long and saw several pages in one visit, and has left no contact.

    Parameters
    ----------
    minutes : float
        The shortest visit.
    pages : int
        The fewest pages.
    within : timedelta
        How recent the visit has to be.
    visit, contact : str
        Event types; the visits of ``log.sessions()`` have what this asks.
    duration, viewed : str
        The visit's properties: seconds, and pages.
    """
    long = prop(duration) >= 60 * number("minutes", minutes, low=0)
    looked = event(visit, where=long & (prop(viewed) >= whole("pages", pages, low=1)))
    return looked.exists(within=within) & ~event(contact).exists()


def inactive_subscriber(
    silent: timedelta = _DAYS_90,
    sent: int = 5,
    *,
    message: str = "message_sent",
    reaction: tuple[str, ...] = ("message_opened", "message_clicked"),
    unsubscribe: str = "unsubscribe",
) -> Expression:
    """Return who got several messages in a window, reacted to none, and is still subscribed."""
    written = event(message).count(within=silent) >= whole("sent", sent, low=1)
    return written & ~event(*reaction).exists(within=silent) & ~event(unsubscribe).exists()


def frequency_cap(n: int = 3, within: timedelta = _WEEK, *, message: str = "message_sent") -> Expression:
    """Return who may still be written to: fewer than n messages within the window.

    Examples
    --------
    >>> frequency_cap(3, days(7))
    event("message_sent").count(within=days(7)) < 3
    """
    return event(message).count(within=within) < whole("n", n, low=1)


def about_to_lapse(
    times: float = 2.0, purchases: int = 3, within: timedelta | None = None, *, purchase: str = "purchase"
) -> Expression:
    """Return who is silent for longer than usual: several times the mean gap between their own purchases.

    The mean gap is the time from the first purchase to the last, divided by one less than the days with a purchase.

    Parameters
    ----------
    times : float
        How many mean gaps of silence.
    purchases : int
        On how many days they must have bought, at least 2.
    within : timedelta, optional
        The longest silence that still counts as about to lapse, not as lost.
    purchase : str
        The event type.
    """
    bought = event(purchase)
    enough = bought.active_days() >= whole("purchases", purchases, low=2)
    span = bought.days_since_first() - bought.days_since_last()
    silent = bought.days_since_last() * (bought.active_days() - 1) > span * number("times", times, above=0)
    rule = enough & silent
    return rule if within is None else rule & bought.exists(within=within)


def double_opt_in_pending(
    wait: timedelta = _DAY, recent: timedelta = _WEEK, *, signup: str = "signup", confirmed: str = "opt_in_confirmed"
) -> Expression:
    """Return who signed up, and has not confirmed the address for so long: a reminder is due."""
    return event(signup).not_followed_by(event(confirmed), within=wait, recent=recent)


def replenishment(
    after: timedelta = _MONTH,
    early: timedelta = _DAYS_3,
    *,
    where: Expression | None = None,
    purchase: str = "purchase",
) -> Expression:
    """Return who has bought something that lasts a known time and is about to run out of it.

    Parameters
    ----------
    after : timedelta
        How long one purchase lasts.
    early : timedelta
        How long before its end to say so; the rule holds for as long after the end.
    where : Expression, optional
        Which purchases.
    purchase : str
        The event type.
    """
    if early >= after:
        raise InputError(f"early is {early}, not below after {after}: it would hold from the purchase on.")
    bought = event(purchase, where=where)
    return bought.exists(within=early + early, ago=after - early) & ~bought.exists(within=after - early)


def subscription_ending(within: timedelta = _WEEK, *, ends: str = "subscription_ends") -> Expression:
    """Return whose subscription ends within so long, by a field with its date."""
    return field(ends).upcoming(within)
