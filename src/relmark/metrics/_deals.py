"""Read deals from their events: spells from opening to won or lost, and the stays in stages that make up a spell.

An event with a stage moves its deal there. An event that repeats the stage, or has none, only updates what is known
about the deal. An event after won or lost begins a new spell. Events of one instant are ordered by their stages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, IntArray, refuse_rows, shown, text
from relmark.core.columns import Column
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.frames import columns_of
from relmark.core.log import EventLog
from relmark.core.names import did_you_mean
from relmark.core.ordering import order_by
from relmark.expressions.builders import event
from relmark.expressions.event_rows import EventRows
from relmark.metrics.grouping import column_of
from relmark.metrics.windows import Stretch, events_of

__all__ = ["Deals", "Places", "read_deals"]


@attrs.frozen
class Places:
    """The stages in their order, and the names of the two ends."""

    stages: tuple[str, ...]
    won: str
    lost: str

    @property
    def k(self) -> int:
        """The number of stages. This is also the rank of won, and lost has the next rank."""
        return len(self.stages)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, by rank."""
        return (*self.stages, self.won, self.lost)

    @classmethod
    def of(cls, stages: Any, won: Any, lost: Any) -> Places:
        """Return the places that the arguments describe, or raise an error."""
        if isinstance(stages, str) or not hasattr(stages, "__iter__"):
            raise InputError(
                f"stages is {shown(stages)}; it must be a list of names in order, or a mapping of names to fixed "
                "probabilities.",
                argument="stages",
                code="wrong_type",
            )
        named = tuple(text("stages", name) for name in stages)
        if not named:
            raise InputError("stages is empty: name at least one stage.", argument="stages", code="empty")
        every = (*named, text("won", won), text("lost", lost))
        twice = next((name for place, name in enumerate(every) if name in every[:place]), None)
        if twice is not None:
            raise InputError(
                f"stages, won and lost contain {twice!r} twice: each name must occur once.",
                argument="stages",
                code="duplicate",
            )
        return cls(named, every[-2], every[-1])


@attrs.frozen(eq=False)
class Known:
    """What was known about a deal at each of its events: the last value of a property by then."""

    events: EventRows
    order: IntArray  # by deal, time, stage
    begin: IntArray  # where the deal of each row begins

    def __call__(self, name: str, rows: IntArray) -> Column | None:
        """Return the values of a property that were known at some rows; None if no event has it."""
        if name != "value" and not any(name in scope.part.properties for scope in self.events.scopes):
            return None
        column = self.events.column(name).take(self.order)
        if not len(rows):
            return column.take(rows)
        last = np.maximum.accumulate(np.where(column.missing, -1, np.arange(len(self.order))))[rows]
        good = last >= self.begin[rows]
        return column.take(last[good]).spread(np.flatnonzero(good), len(rows))


@attrs.frozen(eq=False)
class Deals:
    """Stays and spells, sorted by deal and time.

    Parameters
    ----------
    places : Places
    stretch : Stretch
    names : ndarray, shape (deals,)
        The names of the deals.
    owner_of : ndarray of int64, shape (deals,)
        The customer of each deal, as a row of the base.
    reowned : ndarray of bool, shape (deals,)
        Which deals had more than one owner.
    spell_deal, spell_number, spell_end, spell_close : ndarray of int64, shape (spells,)
        The deal, how many spells it had before, how the spell ended (0 won, 1 lost, -1 open) and when; for an open
        spell this is the clock.
    spell_amount : ndarray of float64, shape (spells,)
        The last known amount; NaN if there is none.
    change_rank, change_time, change_spell, change_row : ndarray of int64, shape (changes,)
        Every change of stage: to which rank, when, in which spell, and by which row of the events.
    stay : ndarray of int64, shape (stays,)
        Which of the changes begin a stay in a stage.
    stay_age, stay_cause : ndarray of int64, shape (stays,)
        How long the stay took in microseconds, and the rank that came next; -1 if the stay goes on.
    property_of : callable
        Maps the name of a property and rows of the events to the values that were known by then.
    notes : tuple of str
    """

    places: Places
    stretch: Stretch
    names: npt.NDArray[Any]
    owner_of: IntArray
    reowned: npt.NDArray[np.bool_]
    spell_deal: IntArray
    spell_number: IntArray
    spell_end: IntArray
    spell_close: IntArray
    spell_amount: FloatArray
    change_rank: IntArray
    change_time: IntArray
    change_spell: IntArray
    change_row: IntArray
    stay: IntArray
    stay_age: IntArray
    stay_cause: IntArray
    property_of: Callable[[str, IntArray], Column | None]
    notes: tuple[str, ...]

    @property
    def clock(self) -> int:
        """The instant up to which the deals were observed."""
        return int(self.stretch.as_of.clock)

    @property
    def stay_rank(self) -> IntArray:
        """The stage of each stay."""
        return self.change_rank[self.stay]

    @property
    def stay_spell(self) -> IntArray:
        """The spell of each stay."""
        return self.change_spell[self.stay]

    @property
    def stay_deal(self) -> IntArray:
        """The deal of each stay."""
        return self.spell_deal[self.stay_spell]

    @property
    def going(self) -> IntArray:
        """The stays that go on: one for each open deal."""
        return np.flatnonzero(self.stay_cause < 0)


def base_of_deals(data: Any) -> CustomerBase:
    """Return the base that was given, or make one from columns of deals."""
    if isinstance(data, CustomerBase):
        return data
    columns = columns_of(data)
    for name in ("deal", "stage", "time"):
        if name not in columns:
            raise MissingColumnError(
                f"data has no column {name!r}: it needs deal, stage and time, and has "
                f"{', '.join(map(repr, columns)) or 'no columns'}.{did_you_mean(name, columns)}",
                argument="data",
            )
    log = EventLog.from_columns(
        customer_id=columns.get("customer_id", columns["deal"]),
        time=columns["time"],
        type="deal",
        value=columns.get("value"),
        properties={name: one for name, one in columns.items() if name not in ("customer_id", "time", "value", "type")},
    )
    return CustomerBase(events=log)


def read_deals(base: CustomerBase, places: Places, as_of: AsOfGiven, amount: str | None) -> Deals:
    """Return the deals of a base as they were known at a moment."""
    stretch = Stretch.of(base, as_of, None)
    base.events.required("deal")
    customer, time, found = events_of(base, event("deal"), None, stretch.high)
    for name in ("deal", "stage"):
        if name not in base.events.required("deal").properties and len(base.events.required("deal")):
            raise MissingColumnError(
                f"events of type 'deal' have no property {name!r}: each event needs the property deal, and those that "
                "move a deal need the property stage.",
                argument="data",
            )
    rank = _ranks(found, places)
    code, names = _deal_codes(found)
    order = order_by(code, time, np.where(rank < 0, places.k + 2, rank))
    code, rank, time, customer = code[order], rank[order], time[order], customer[order].astype(np.int64)
    first = np.ones(len(code), dtype=np.bool_)
    first[1:] = code[1:] != code[:-1]
    begins = np.flatnonzero(first)
    owner_of = customer[begins]
    if (customer != owner_of[code]).any():
        row = int(np.argmax(customer != owner_of[code]))
        raise InputError(
            f"deal {shown(names[code[row]])} has events of two customers, "
            f"{shown(base.customer_id[owner_of[code[row]]])} and {shown(base.customer_id[customer[row]])}: "
            "a deal belongs to one customer, so give each deal a different name.",
            argument="data",
            code="duplicate",
        )
    _refuse_both_ends(code, time, rank, names, places)

    known_at = Known(found, order, begins[code])
    moves = np.flatnonzero(rank >= 0)
    change = np.ones(len(moves), dtype=np.bool_)
    change[1:] = (code[moves][1:] != code[moves][:-1]) | (rank[moves][1:] != rank[moves][:-1])
    moves = moves[change]
    deal, where = code[moves], rank[moves]
    new = np.ones(len(moves), dtype=np.bool_)
    new[1:] = (deal[1:] != deal[:-1]) | (where[:-1] >= places.k)
    spell = np.cumsum(new) - 1
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:], len(moves)) - 1 if len(starts) else starts
    spell_deal = deal[starts]
    first_spell = np.searchsorted(spell_deal, spell_deal, side="left")
    closed = where[ends] >= places.k
    last_row = np.where(closed, moves[ends], np.append(begins[1:], len(code))[spell_deal] - 1)
    stay = np.flatnonzero(where < places.k)
    following = np.minimum(stay + 1, max(len(moves) - 1, 0))
    goes_on = (stay + 1 >= len(moves)) | (spell[following] != spell[stay])
    clock = int(stretch.as_of.clock)
    owners = known_at("owner", np.arange(len(code)))
    notes = []
    unstaged = len(names) - len(np.unique(deal))
    if unstaged:
        notes.append(f"{unstaged:,} deal{'s' if unstaged > 1 else ''} never had a stage: left out")
    return Deals(
        places=places, stretch=stretch, names=names, owner_of=owner_of,
        reowned=_reowned(owners, code, len(names)),
        spell_deal=spell_deal, spell_number=np.arange(len(starts)) - first_spell,
        spell_end=np.where(closed, where[ends] - places.k, -1),
        spell_close=np.where(closed, time[moves[ends]], clock),
        spell_amount=_amounts(known_at, amount, last_row, base),
        change_rank=where, change_time=time[moves], change_spell=spell, change_row=moves,
        stay=stay, stay_age=np.where(goes_on, clock, time[moves[following]]) - time[moves[stay]],
        stay_cause=np.where(goes_on, -1, where[following]),
        property_of=known_at, notes=tuple(notes),
    )  # fmt: skip


def _ranks(found: EventRows, places: Places) -> IntArray:
    """Return the rank of each event's stage, -1 where it has none."""
    column = found.column("stage")
    if column.kind == "empty":
        return np.full(len(found), -1, dtype=np.int64)
    code, values = column_of(column, "stage")
    ranks = {name: place for place, name in enumerate(places.names)}
    table = np.array([-1 if value is None else ranks.get(str(value), -2) for value in values.tolist()], dtype=np.int64)
    rank = table[code] if len(code) else code
    unknown = rank == -2
    if unknown.any():
        named = str(values[code[int(np.argmax(unknown))]])
        refuse_rows(
            "stage", unknown, column.values(), f"it must be one of {', '.join(map(repr, places.names))}",
            f"Add it to stages=, or leave these events out.{did_you_mean(named, places.names)}",
        )  # fmt: skip
    return rank


def _deal_codes(found: EventRows) -> tuple[IntArray, npt.NDArray[Any]]:
    column = found.column("deal")
    if column.missing.any():
        refuse_rows("deal", column.missing, column.values(), "each event needs the name of its deal")
    if not len(found):
        return np.zeros(0, dtype=np.int64), np.empty(0, dtype=np.str_)
    return column_of(column, "deal")


def _refuse_both_ends(code: IntArray, time: IntArray, rank: IntArray, names: npt.NDArray[Any], places: Places) -> None:
    both = (code[1:] == code[:-1]) & (time[1:] == time[:-1]) & (rank[:-1] == places.k) & (rank[1:] == places.k + 1)
    if both.any():
        row = int(np.argmax(both))
        raise InputError(
            f"deal {shown(names[code[row]])} is {places.won!r} and {places.lost!r} at one instant: keep only one of "
            "the two events.",
            argument="data",
            code="conflicting_arguments",
        )


def _reowned(owners: Column | None, code: IntArray, n: int) -> npt.NDArray[np.bool_]:
    if owners is None or not len(code):
        return np.zeros(n, dtype=np.bool_)
    one, _ = column_of(owners, "owner")
    known = ~owners.missing
    changed = np.zeros(len(code), dtype=np.bool_)
    changed[1:] = (code[1:] == code[:-1]) & (one[1:] != one[:-1]) & known[:-1] & known[1:]
    return np.bincount(code[changed], minlength=n) > 0


def _amounts(
    known_at: Callable[[str, IntArray], Column | None], amount: str | None, rows: IntArray, base: CustomerBase
) -> FloatArray:
    if amount is None:
        return np.ones(len(rows))
    column = known_at(text("amount", amount), rows)
    if column is None:
        known: Mapping[str, Any] = base.events.required("deal").properties
        raise MissingColumnError(
            f"amount={amount!r} is not a property of the deals: they have {', '.join(map(repr, known))}."
            f"{did_you_mean(amount, known)}",
            argument="amount",
        )
    if column.kind not in {"number", "empty"}:
        raise InputError(
            f"amount={amount!r} is a property of kind {column.kind!r}; it must hold numbers.",
            argument="amount",
            code="wrong_type",
        )
    found = column.numbers()
    refuse_rows(
        "amount",
        np.isinf(found) | (found < 0),
        found,
        "amounts must be finite and not negative",
        "Correct the deal or leave it out.",
    )
    return found
