"""Days with a purchase by customer and time, from which summaries, tracking and seasons are counted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from relmark.core.as_of import AsOf, read_as_of
from relmark.core.base import CustomerBase, purchases_of
from relmark.core.checks import FloatArray, IntArray
from relmark.core.purchases import Purchases
from relmark.core.time import Instant


class Bought(NamedTuple):
    """Days with a purchase by customer and time, and the last local day that was observed."""

    code: IntArray
    day: IntArray
    value: FloatArray | None
    counts: dict[str, int]
    last: int
    purchases: Purchases


def bought_days(data: CustomerBase | Purchases, as_of: Instant | AsOf, name: str = "as_of") -> Bought:
    """Return the days on which customers bought, customer by customer and in time, as they were known by `as_of`."""
    whole = purchases_of(data)
    bought = whole.until(as_of if isinstance(as_of, AsOf) else read_as_of(as_of, tz=whole.tz, name=name))
    assert bought.as_of is not None
    groups, lines = bought.day_groups, bought.lines
    known = bought.found
    counts = {
        "events": known["events"],
        "after_as_of": whole.n_events - known["events"],
        "merged": len(lines.time) - len(groups.start),
        **{
            name: known[name]
            for name in ("refunds", "refunds_unmatched", "refunded_in_full", "dropped")
            if known.get(name)
        },
    }
    return Bought(
        code=groups.customer.astype(np.int64),
        day=groups.day,
        value=groups.value,
        counts={name: int(count) for name, count in counts.items()},
        last=bought.as_of.last_day,
        purchases=bought,
    )
