"""relmark: turn what a business knows about its customers into marketing decisions.

Segments, RFM, lead scores, metrics, lifetime value, recommendations, attribution and campaign tests, on one columnar
event log. Arrays and typed objects in, arrays and typed objects out: no file, no socket, no clock, no global state.
Packages load when they are first used, so that ``import relmark`` takes about as long as importing numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relmark import (
        attribution,
        campaigns,
        engines,
        errors,
        experiments,
        expressions,
        ltv,
        metrics,
        plots,
        recommend,
        scoring,
        segmentation,
    )
    from relmark.core.base import CustomerBase
    from relmark.core.events import Customer, Event, Message, Purchase, Visit
    from relmark.core.identities import resolve_identities
    from relmark.core.intervals import Estimate, Interval
    from relmark.core.log import EventLog
    from relmark.core.purchases import Orders, PurchaseDays, Purchases
    from relmark.core.results import Rows
    from relmark.core.schema import Schema
    from relmark.core.spans import calendar_days, months
    from relmark.core.table import CustomerTable, ItemTable
    from relmark.core.time import days, hours, minutes
    from relmark.expressions import (
        CustomerHistory,
        Needs,
        all_of,
        any_of,
        at_least,
        event,
        everyone,
        field,
        ids,
        none_of,
        parse,
        period,
        prop,
        sample,
        sequence,
        stage,
    )

__all__ = [
    "Customer",
    "CustomerBase",
    "CustomerHistory",
    "CustomerTable",
    "Estimate",
    "Event",
    "EventLog",
    "Interval",
    "ItemTable",
    "Message",
    "Needs",
    "Orders",
    "Purchase",
    "PurchaseDays",
    "Purchases",
    "Rows",
    "Schema",
    "Visit",
    "all_of",
    "any_of",
    "at_least",
    "attribution",
    "calendar_days",
    "campaigns",
    "days",
    "engines",
    "errors",
    "event",
    "everyone",
    "experiments",
    "expressions",
    "field",
    "hour_of_day",
    "hours",
    "ids",
    "ltv",
    "metrics",
    "minutes",
    "months",
    "none_of",
    "now",
    "parse",
    "period",
    "plots",
    "prop",
    "recommend",
    "resolve_identities",
    "sample",
    "scoring",
    "segmentation",
    "sequence",
    "stage",
    "weekday",
]

__version__ = "0.2.0"

_HOME = {
    "Customer": "core.events",
    "CustomerBase": "core.base",
    "CustomerHistory": "expressions",
    "CustomerTable": "core.table",
    "Estimate": "core.intervals",
    "Event": "core.events",
    "EventLog": "core.log",
    "Interval": "core.intervals",
    "ItemTable": "core.table",
    "Message": "core.events",
    "Needs": "expressions",
    "Orders": "core.purchases",
    "Purchase": "core.events",
    "PurchaseDays": "core.purchases",
    "Purchases": "core.purchases",
    "Rows": "core.results",
    "Schema": "core.schema",
    "Visit": "core.events",
    "all_of": "expressions",
    "any_of": "expressions",
    "at_least": "expressions",
    "calendar_days": "core.spans",
    "days": "core.time",
    "event": "expressions",
    "everyone": "expressions",
    "field": "expressions",
    "hour_of_day": "expressions",
    "hours": "core.time",
    "ids": "expressions",
    "minutes": "core.time",
    "months": "core.spans",
    "none_of": "expressions",
    "now": "expressions",
    "parse": "expressions",
    "period": "expressions",
    "prop": "expressions",
    "resolve_identities": "core.identities",
    "sample": "expressions",
    "sequence": "expressions",
    "stage": "expressions",
    "weekday": "expressions",
}
_ROOMS = frozenset(
    {
        "attribution",
        "campaigns",
        "engines",
        "errors",
        "experiments",
        "expressions",
        "ltv",
        "metrics",
        "plots",
        "recommend",
        "scoring",
        "segmentation",
    }
)


def __getattr__(name: str) -> Any:
    """Load a public name or a package when it is first used (PEP 562)."""
    if name in _HOME:
        value = getattr(import_module(f"relmark.{_HOME[name]}"), name)
    elif name in _ROOMS:
        value = import_module(f"relmark.{name}")
    else:
        message = f"module 'relmark' has no attribute {name!r}"
        raise AttributeError(message)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_ROOMS})
