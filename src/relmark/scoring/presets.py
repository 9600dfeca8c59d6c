"""Lead scores to begin with: each returns a `LeadScore` whose rules can be read, changed and stored."""

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
    """Return the lead score of a business that sells to businesses, as a textbook table has it.

    8 points for a lead in the territory, 7 for an e-mail address, 8 for a title, 15 for a vice president or above, 3 a
    visit, 5 a download or video. Title and rank add up: a vice president has 23 for both.

    Parameters
    ----------
    territory : list of str, or Expression
        Values of `country` that are sold to, or a condition of its own.
    country, email, title : str
        Fields of the customer.
    leaders : list of str
        Whole words of a title that say vice president or above, whatever their case.
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
    """Return how engaged a shop's customers are now: what they opened, clicked, looked at, put in the basket, bought.

    Points fade by half with every `fades`. Openings count little and at most 2 a day, since mail programs open letters
    by themselves. Bands: hot from 60, warm from 25, cool from 5.

    Parameters
    ----------
    fades : timedelta
        The half-life of everything but unsubscribing and complaining.
    visit, opened, clicked, cart, purchase, unsubscribe, complaint : str
        Event types; purchases have a value or none.

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
