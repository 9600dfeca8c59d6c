"""Lead scores to start from: each function returns a `LeadScore` whose rules can be read, changed and stored."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from relmark.core.checks import shown
from relmark.core.errors import InputError
from relmark.core.time import days
from relmark.expressions import Expression, event, field, prop
from relmark.scoring.decay import half_life
from relmark.scoring.lead_score import LeadScore
from relmark.scoring.rules import Group, Rule

__all__ = ["b2b", "ecommerce_engagement"]

_LEADERS = ("C-level", "CEO", "CFO", "CIO", "CMO", "COO", "CTO", "Chief", "President", "SVP", "VP", "Vice President")


def b2b(
    territory: Iterable[str] | Expression,
    *,
    country: str = "country",
    email: str = "email",
    title: str = "title",
    leaders: Iterable[str] = _LEADERS,
    visit: str = "visit",
    materials: Iterable[str] = ("download", "video"),
) -> LeadScore:
    """Return a lead score for a business that sells to businesses, with the points of a textbook table.

    A lead gets 8 points for being in the territory, 7 for an e-mail address, 8 for a title, 15 for the rank of vice
    president or above, 3 for each visit, and 5 for each download or video. Title and rank add up: a vice president gets
    23 points for both.

    Parameters
    ----------
    territory : list of str, or Expression
        The values of `country` in the territory, or a condition that decides who is in the territory.
    country, email, title : str
        The names of the customer's fields.
    leaders : list of str
        Words in a title that mean vice president or above. Whole words are compared, without regard to case.
    visit : str
        The event type of visits.
    materials : list of str
        The event types of downloads and videos.

    References
    ----------
    The table of lead scoring points in the chapter on marketing automation of the LibreTexts marketing books.

    Examples
    --------
    >>> [(rule.name, rule.points) for rule in b2b(["RU", "KZ"]).rules]
    [('in territory', 8.0), ('gave e-mail', 7.0), ('gave title', 8.0), ('VP or above', 15.0), ('visit', 3.0), \
('download or video', 5.0)]
    """
    if isinstance(territory, str):
        raise InputError(
            f"territory is {shown(territory)}: a list of countries, or a condition, is needed.",
            argument="territory",
            code="wrong_type",
        )
    inside = territory if isinstance(territory, Expression) else field(country).is_in(territory)
    return LeadScore(
        name="b2b",
        rules=[
            Rule("in territory", when=inside, points=8),
            Rule("gave e-mail", when=field(email).not_null(), points=7),
            Rule("gave title", when=field(title).not_null(), points=8),
            Rule("VP or above", when=field(title).has_word(list(leaders), casefold=True), points=15),
            Rule("visit", each=event(visit), points=3),
            Rule("download or video", each=event(*materials), points=5),
        ],
    )


def ecommerce_engagement(
    *,
    fades: timedelta = timedelta(days=30),
    visit: str = "visit",
    opened: str = "message_opened",
    clicked: str = "message_clicked",
    cart: str = "cart",
    purchase: str = "purchase",
    unsubscribe: str = "unsubscribe",
    complaint: str = "complaint",
) -> LeadScore:
    """Return a score of how engaged a shop's customers are now, by messages, visits, baskets and purchases.

    Points halve with every `fades`. Opened messages give few points, at most 2 a day, since mail programs open messages
    by themselves. The bands are hot from 60, warm from 25, and cool from 5.

    Parameters
    ----------
    fades : timedelta
        The half-life of all points but those for unsubscribing and complaining.
    visit, opened, clicked, cart, purchase, unsubscribe, complaint : str
        The event types. Purchases with a value of 0 or less do not count; those without a value do.

    Examples
    --------
    >>> ecommerce_engagement().bands
    {'hot': 60.0, 'warm': 25.0, 'cool': 5.0}
    """
    fade = half_life(fades)
    day = days(1)
    return LeadScore(
        name="e-commerce engagement",
        groups=[Group("mail", cap=25), Group("site", cap=40), Group("purchases", cap=60)],
        rules=[
            Rule("opened", each=event(opened), points=1, cap=2, cap_per=day, group="mail", decay=fade),
            Rule("clicked", each=event(clicked), points=4, cap=8, cap_per=day, group="mail", decay=fade),
            Rule("visit", each=event(visit), points=3, cap=6, cap_per=day, group="site", decay=fade),
            Rule("basket", each=event(cart), points=8, cap=16, cap_per=day, group="site", decay=fade),
            Rule(
                "purchase",
                each=event(purchase, where=prop("value").fill(1) > 0),
                points=20,
                group="purchases",
                decay=fade,
            ),
            Rule("unsubscribed", when=event(unsubscribe).exists(), points=-30),
            Rule("complained", when=event(complaint).exists(), points=-60),
        ],
        bands={"hot": 60, "warm": 25, "cool": 5},
    )
