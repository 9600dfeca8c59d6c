"""Ready rules for the common triggers, each one expression; event names and windows are arguments.

A preset is a starting point: combine it with `&`, put it into a `Segment`, print it, store it.

Lengths of time are `hours(n)`, `days(n)` or `calendar_days(n)`. Where a preset speaks of days its default is
`calendar_days(n)`, and whole days given as ``days(n)`` are read as such: a job that runs every day at the same local
time meets everybody once, on the days of 23 and 25 hours too. The baskets, the caps on letters and the confirmations
that are waited for go by the hour.
"""

from __future__ import annotations

from datetime import timedelta

from relmark.core.checks import number, whole
from relmark.core.errors import InputError
from relmark.core.spans import CalendarSpan, Span, calendar_days, whole_days
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
    "last_purchase_ago",
    "never_bought",
    "opt_in_expired",
    "post_purchase",
    "replenishment",
    "subscription_ending",
    "sunset",
    "welcome",
    "win_back",
]

_HOUR, _HOURS_4 = hours(1), hours(4)
_DAY, _DAYS_3, _WEEK = days(1), days(3), days(7)
_LOCAL_DAY, _LOCAL_DAYS_3, _LOCAL_WEEK, _TWO_WEEKS = (calendar_days(n) for n in (1, 3, 7, 14))
_MONTH, _DAYS_90, _DAYS_180 = (calendar_days(n) for n in (30, 90, 180))


def _local(span: Span) -> Span:
    """Return whole days as local days, and any other length as it is."""
    n = whole_days(span) if isinstance(span, timedelta) else None
    return span if n is None or n < 1 else calendar_days(n)


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


def welcome(within: Span = _LOCAL_DAY, *, signup: str = "signup", unsubscribe: str = "unsubscribe") -> Expression:
    """Return who signed up for the first time within so long, and has not unsubscribed since."""
    within = _local(within)
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


def win_back(silent: Span = _DAYS_180, *, purchase: str = "purchase", unsubscribe: str = "unsubscribe") -> Expression:
    """Return who bought once, has not bought for so long, and has not unsubscribed."""
    silent = _local(silent)
    bought = event(purchase).exists(ago=silent) & ~event(purchase).exists(within=silent)
    return bought & ~event(unsubscribe).exists()


def post_purchase(
    after: Span = _LOCAL_WEEK, window: Span = _LOCAL_DAY, *, where: Expression | None = None, purchase: str = "purchase"
) -> Expression:
    """Return whose purchase was so long ago, give or take a window: care tips, a question, a refill.

    It is true of each purchase in its turn, though there may be a newer one; `last_purchase_ago` looks at the latest.

    Parameters
    ----------
    after : calendar_days or timedelta
        How long after the purchase.
    window : calendar_days or timedelta
        For how long it stays true: with a day, a run at the same local time every day meets every purchase once.
    where : Expression, optional
        Which purchases, as in ``prop("category") == "records"``.
    purchase : str
        The event type.

    Examples
    --------
    >>> post_purchase(days(7))
    event("purchase").exists(within=calendar_days(1), ago=calendar_days(7))
    """
    return event(purchase, where=where).exists(within=_local(window), ago=_local(after))


def last_purchase_ago(
    after: Span = _TWO_WEEKS, window: Span = _LOCAL_DAY, *, where: Expression | None = None, purchase: str = "purchase"
) -> Expression:
    """Return whose latest purchase was so long ago, give or take a window: the letter that asks for a recommendation.

    Parameters
    ----------
    after : calendar_days or timedelta
        How long after the purchase, with none since.
    window : calendar_days or timedelta
        For how long it stays true: with a day, a run at the same local time every day meets everybody once.
    where : Expression, optional
        Which purchases; one of any other kind since then counts as newer.
    purchase : str
        The event type.

    Examples
    --------
    >>> last_purchase_ago(days(14)).args[1]
    ~event("purchase").exists(within=calendar_days(14))
    """
    after = _local(after)
    return post_purchase(after, window, where=where, purchase=purchase) & ~event(purchase).exists(within=after)


def never_bought(
    after: Span = _MONTH, *, signup: str = "signup", purchase: str = "purchase", unsubscribe: str = "unsubscribe"
) -> Expression:
    """Return who signed up so long ago or longer, has never bought, and has not unsubscribed.

    Examples
    --------
    >>> never_bought()
    event("signup").exists(ago=calendar_days(30)) & ~event("purchase").exists() & ~event("unsubscribe").exists()
    """
    return event(signup).exists(ago=_local(after)) & ~event(purchase).exists() & ~event(unsubscribe).exists()


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
    """Return who stayed long and saw more than a few pages in one visit, and has left no contact.

    Parameters
    ----------
    minutes : float
        The shortest visit.
    pages : int
        More than so many pages.
    within : timedelta
        How recent the visit has to be.
    visit, contact : str
        Event types; the visits of ``log.sessions()`` have what this asks.
    duration, viewed : str
        The visit's properties: seconds, and pages.
    """
    long = prop(duration) >= 60 * number("minutes", minutes, low=0)
    looked = event(visit, where=long & (prop(viewed) > whole("pages", pages, low=0)))
    return looked.exists(within=within) & ~event(contact).exists()


def inactive_subscriber(
    silent: Span = _DAYS_90,
    sent: int = 5,
    *,
    message: str = "message_sent",
    reaction: tuple[str, ...] = ("message_opened", "message_clicked"),
    unsubscribe: str = "unsubscribe",
) -> Expression:
    """Return who got several messages in a window, reacted to none, and is still subscribed."""
    silent = _local(silent)
    written = event(message).count(within=silent) >= whole("sent", sent, low=1)
    return written & ~event(*reaction).exists(within=silent) & ~event(unsubscribe).exists()


def sunset(
    silent: Span = _DAYS_180,
    sent: int = 10,
    *,
    message: str = "message_sent",
    reaction: tuple[str, ...] = ("message_opened", "message_clicked", "visit", "purchase"),
    unsubscribe: str = "unsubscribe",
) -> Expression:
    """Return to whom to write no more: known for so long, written to often, and not a sign of life.

    Letters to addresses that nobody reads any more cost the sender's reputation with mailbox providers.

    Parameters
    ----------
    silent : calendar_days or timedelta
        For how long there has been no reaction; whom the first letter reached later is not judged yet.
    sent : int
        How many messages in that time at least.
    message : str
        The event type of a message sent.
    reaction : tuple of str
        Event types that are a sign of life.
    unsubscribe : str
        The event type; who unsubscribed gets nothing anyhow.
    """
    silent = _local(silent)
    return event(message).exists(ago=silent) & inactive_subscriber(
        silent, sent, message=message, reaction=reaction, unsubscribe=unsubscribe
    )


def frequency_cap(n: int = 3, within: timedelta = _WEEK, *, message: str = "message_sent") -> Expression:
    """Return who may still be written to: fewer than n messages within the window.

    Examples
    --------
    >>> frequency_cap(3, days(7))
    event("message_sent").count(within=days(7)) < 3
    """
    return event(message).count(within=within) < whole("n", n, low=1)


def about_to_lapse(
    times: float = 2.0, purchases: int = 3, within: Span | None = None, *, purchase: str = "purchase"
) -> Expression:
    """Return who is silent for longer than usual: several times the mean gap between their own purchases.

    The mean gap is the time from the first purchase to the last, divided by one less than the days with a purchase.

    Parameters
    ----------
    times : float
        How many mean gaps of silence.
    purchases : int
        On how many days they must have bought, at least 2.
    within : calendar_days or timedelta, optional
        The longest silence that still counts as about to lapse, not as lost.
    purchase : str
        The event type.
    """
    bought = event(purchase)
    enough = bought.active_days() >= whole("purchases", purchases, low=2)
    span = bought.days_since_first() - bought.days_since_last()
    silent = bought.days_since_last() * (bought.active_days() - 1) > span * number("times", times, above=0)
    rule = enough & silent
    return rule if within is None else rule & bought.exists(within=_local(within))


def double_opt_in_pending(
    wait: timedelta = _DAY, recent: timedelta = _WEEK, *, signup: str = "signup", confirmed: str = "opt_in_confirmed"
) -> Expression:
    """Return who signed up, and has not confirmed the address for so long: a reminder is due."""
    return event(signup).not_followed_by(event(confirmed), within=wait, recent=recent)


def opt_in_expired(
    after: timedelta = _WEEK, *, signup: str = "signup", confirmed: str = "opt_in_confirmed"
) -> Expression:
    """Return whose confirmation has not come for so long since they signed up: the address is to be deleted.

    It begins where `double_opt_in_pending` ends.
    """
    return event(signup).not_followed_by(event(confirmed), within=after)


def replenishment(
    after: Span = _MONTH,
    early: Span = _LOCAL_DAYS_3,
    *,
    where: Expression | None = None,
    purchase: str = "purchase",
) -> Expression:
    """Return who has bought something that lasts a known time and is about to run out of it.

    Parameters
    ----------
    after : calendar_days or timedelta
        How long one purchase lasts: days, or hours of both.
    early : calendar_days or timedelta
        How long before its end to say so; the rule holds for as long after the end.
    where : Expression, optional
        Which purchases.
    purchase : str
        The event type.
    """
    before, both = _less(after, early)
    bought = event(purchase, where=where)
    return bought.exists(within=both, ago=before) & ~bought.exists(within=before)


def _less(after: Span, early: Span) -> tuple[Span, Span]:
    """Return a length without another, and the other twice: local days where both are whole days."""
    counts = whole_days(after), whole_days(early)
    if None not in counts:
        n, less = counts
        if less >= n:  # type: ignore[operator]
            raise InputError(
                f"early is {early}, not below after {after}: it would hold from the purchase on.",
                argument="early",
                code="conflicting_arguments",
            )
        return calendar_days(n - less), calendar_days(2 * less)  # type: ignore[operator]
    if isinstance(after, CalendarSpan) or isinstance(early, CalendarSpan):
        raise InputError(
            f"after is {after} and early is {early}: give both in whole days, or both as hours.",
            argument="after",
            code="mixed_types",
        )
    if early >= after:
        raise InputError(
            f"early is {early}, not below after {after}: it would hold from the purchase on.",
            argument="early",
            code="conflicting_arguments",
        )
    return after - early, early + early


def subscription_ending(within: timedelta = _WEEK, *, ends: str = "subscription_ends") -> Expression:
    """Return whose subscription ends within so long, by a field with its date."""
    return field(ends).upcoming(within)
