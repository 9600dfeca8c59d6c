"""Ready-made rules for common triggers, each one expression; event names and windows are arguments.

A preset is a starting point: combine it with `&`, put it into a `Segment`, print it, store it.

Lengths of time are `hours(n)`, `days(n)` or `calendar_days(n)`. Most presets that count days default to
`calendar_days(n)` and read whole days given as ``days(n)`` as calendar days, too. A job that runs every day at the same
local time then finds each customer once, even on days of 23 or 25 hours. Presets for baskets, browsing, visits,
frequency caps and opt-in confirmations count elapsed hours instead.
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
    """Return whole days as calendar days, and any other length unchanged."""
    n = whole_days(span) if isinstance(span, timedelta) else None
    return span if n is None or n < 1 else calendar_days(n)


def abandoned_basket(
    wait: timedelta = _HOUR, recent: timedelta = _DAYS_3, *, cart: str = "cart", purchase: str = "purchase"
) -> Expression:
    """Return the rule for customers who put something into the basket and did not buy for some time.

    Parameters
    ----------
    wait : timedelta
        How long ago the latest `cart` event must be, with no `purchase` since.
    recent : timedelta
        How long ago that event may be at most.
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
    """Return the rule for customers who viewed products several times and have put nothing into the basket since.

    A purchase after the latest view ends it, too.

    Parameters
    ----------
    wait : timedelta
        How long ago the latest view must be.
    recent : timedelta
        The window in which views count, and how long ago the latest view may be at most.
    views : int
        How many views there must be at least.
    view, cart, purchase : str
        Event types.
    """
    looked = event(view).count(within=recent) >= whole("views", views, low=1)
    return looked & event(view).not_followed_by(event(cart, purchase), within=wait, recent=recent)


def welcome(within: Span = _LOCAL_DAY, *, signup: str = "signup", unsubscribe: str = "unsubscribe") -> Expression:
    """Return the rule for customers who first signed up at most `within` ago and did not unsubscribe in that time."""
    within = _local(within)
    return event(signup).first_time(within) & ~event(unsubscribe).exists(within=within)


def birthday(upcoming: timedelta = _DAY, *, born: str = "birthday") -> Expression:
    """Return the rule for customers whose birthday is today or in the days that follow.

    Parameters
    ----------
    upcoming : timedelta
        How many days to look at, in whole days: ``days(1)`` is today, ``days(7)`` is today and the six days after.
    born : str
        The field that holds the date of birth.
    """
    return field(born).anniversary(upcoming)


def win_back(silent: Span = _DAYS_180, *, purchase: str = "purchase", unsubscribe: str = "unsubscribe") -> Expression:
    """Return the rule for customers who bought before but not in the last `silent`, and have not unsubscribed."""
    silent = _local(silent)
    bought = event(purchase).exists(ago=silent) & ~event(purchase).exists(within=silent)
    return bought & ~event(unsubscribe).exists()


def post_purchase(
    after: Span = _LOCAL_WEEK, window: Span = _LOCAL_DAY, *, where: Expression | None = None, purchase: str = "purchase"
) -> Expression:
    """Return the rule for customers with a purchase a given time ago: for care tips, a question or a refill.

    The rule becomes true after each purchase, even if there is a newer one. `last_purchase_ago` looks only at the
    latest purchase.

    Parameters
    ----------
    after : calendar_days or timedelta
        How long after the purchase the rule becomes true.
    window : calendar_days or timedelta
        For how long the rule stays true. With one day, a daily run at the same local time finds every purchase once.
    where : Expression, optional
        Which purchases count, such as ``prop("category") == "records"``.
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
    """Return the rule for customers whose latest purchase was a given time ago: ask for a recommendation.

    Parameters
    ----------
    after : calendar_days or timedelta
        How long after the purchase the rule becomes true, if there has been no other purchase since.
    window : calendar_days or timedelta
        For how long the rule stays true. With one day, a daily run at the same local time finds each customer once.
    where : Expression, optional
        Which purchases count. A later purchase of any kind still makes the rule false.
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
    """Return the rule for customers who signed up at least `after` ago, never bought, and have not unsubscribed.

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
    """Return the rule for visitors with one long visit of several pages who have left no contact.

    Parameters
    ----------
    minutes : float
        How long the visit must be at least.
    pages : int
        The visit must have more than this number of pages.
    within : timedelta
        How long ago the visit may be at most.
    visit, contact : str
        Event types; the visits that ``log.sessions()`` makes have the properties needed.
    duration, viewed : str
        The properties of a visit that hold its length in seconds and its number of pages.
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
    """Return the rule for subscribers who got at least `sent` messages in the last `silent` and reacted to none."""
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
    """Return the rule for subscribers to stop writing to: many messages over a long time, and no sign of life.

    Messages to addresses that nobody reads anymore harm the sender's reputation with mailbox providers.

    Parameters
    ----------
    silent : calendar_days or timedelta
        For how long there has been no reaction. Customers whose first message is more recent are not selected yet.
    sent : int
        How many messages they must have got in that time at least.
    message : str
        The event type of a sent message.
    reaction : tuple of str
        Event types that are a sign of life.
    unsubscribe : str
        The event type; customers who unsubscribed get no messages anyway.
    """
    silent = _local(silent)
    return event(message).exists(ago=silent) & inactive_subscriber(
        silent, sent, message=message, reaction=reaction, unsubscribe=unsubscribe
    )


def frequency_cap(n: int = 3, within: timedelta = _WEEK, *, message: str = "message_sent") -> Expression:
    """Return the rule for customers who may still be written to: fewer than `n` messages within the window.

    Examples
    --------
    >>> frequency_cap(3, days(7))
    event("message_sent").count(within=days(7)) < 3
    """
    return event(message).count(within=within) < whole("n", n, low=1)


def about_to_lapse(
    times: float = 2.0, purchases: int = 3, within: Span | None = None, *, purchase: str = "purchase"
) -> Expression:
    """Return the rule for customers who are silent for several times the mean gap between their own purchases.

    The mean gap is the time from the first purchase to the last, divided by the number of days with a purchase minus 1.

    Parameters
    ----------
    times : float
        How many mean gaps the silence must exceed.
    purchases : int
        On how many days they must have bought; at least 2.
    within : calendar_days or timedelta, optional
        The longest silence that still counts as about to lapse rather than lost; no limit by default.
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
    """Return the rule for customers who have not confirmed their address for `wait` after signing up: remind them."""
    return event(signup).not_followed_by(event(confirmed), within=wait, recent=recent)


def opt_in_expired(
    after: timedelta = _WEEK, *, signup: str = "signup", confirmed: str = "opt_in_confirmed"
) -> Expression:
    """Return the rule for customers who have not confirmed within `after` of signing up: delete the address.

    With the default lengths it becomes true when `double_opt_in_pending` ends.
    """
    return event(signup).not_followed_by(event(confirmed), within=after)


def replenishment(
    after: Span = _MONTH,
    early: Span = _LOCAL_DAYS_3,
    *,
    where: Expression | None = None,
    purchase: str = "purchase",
) -> Expression:
    """Return the rule for customers who are about to run out of something that lasts a known time.

    Parameters
    ----------
    after : calendar_days or timedelta
        How long one purchase lasts. Give `after` and `early` both in whole days or both in hours.
    early : calendar_days or timedelta
        How long before the end the rule becomes true; it stays true for the same time after the end.
    where : Expression, optional
        Which purchases count.
    purchase : str
        The event type.
    """
    before, both = _less(after, early)
    bought = event(purchase, where=where)
    return bought.exists(within=both, ago=before) & ~bought.exists(within=before)


def _less(after: Span, early: Span) -> tuple[Span, Span]:
    """Return `after - early` and `2 * early`: as calendar days if both are whole days."""
    counts = whole_days(after), whole_days(early)
    if None not in counts:
        n, less = counts
        if less >= n:  # type: ignore[operator]
            raise InputError(
                f"early is {early} and after is {after}: early must be the shorter.",
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
            f"early is {early} and after is {after}: early must be the shorter.",
            argument="early",
            code="conflicting_arguments",
        )
    return after - early, early + early


def subscription_ending(within: timedelta = _WEEK, *, ends: str = "subscription_ends") -> Expression:
    """Return the rule for customers whose subscription ends within the given time, by a field with that date."""
    return field(ends).upcoming(within)
