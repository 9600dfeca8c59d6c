"""Credit: how many conversions and how much value each channel gets, and what stays unattributed.

Credit always balances: the channels' conversions and the unattributed ones add up to the total of the journeys. It says
which channels were there, not what would have happened without them; `calibrate` uses what an experiment measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.attribution.returns import ChannelReturns, channel_returns
from relmark.core.checks import FloatArray, number, shown
from relmark.core.errors import InputError
from relmark.core.formats import format_number
from relmark.core.frozen import owned
from relmark.core.intervals import Estimate, Interval
from relmark.core.names import did_you_mean
from relmark.core.results import ColumnarResult

__all__ = ["Credit", "CreditComparison", "TouchCredit", "compare"]


NO_VALUE = "the journeys have no value"
NOT_INCREMENTAL = (
    "Credit says who was there, not what would have happened without them: measure that with a control group."
)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TouchCredit(ColumnarResult):
    """The credit of single touches: one row per touch, journey by journey.

    Parameters
    ----------
    journey : ndarray of int64, shape (T,)
        The row of the touch's journey.
    position : ndarray of int64, shape (T,)
        The number of touches before it in the journey.
    channel : ndarray of str, shape (T,)
        The channel of the touch.
    conversions, value : ndarray of float64, shape (T,)
        The conversions and the value that the touch gets. Value is NaN if the journeys have none.
    """

    journey: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64]
    channel: npt.NDArray[np.str_]
    conversions: FloatArray
    value: FloatArray


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Credit(ColumnarResult):
    """The conversions and value that a model gives to each channel.

    Parameters
    ----------
    channels : ndarray of str, shape (C,)
        The names of the channels.
    conversions : ndarray of float64, shape (C,)
        The conversions that each channel gets. They can be below 0 in a Shapley game in which a channel does harm.
    value : ndarray of float64, shape (C,)
        The value that each channel gets, in the journeys' currency; NaN if they have no value.
    unattributed_conversions, unattributed_value : float
        What no channel gets: conversions without any touch, and after `calibrate` those that would have happened
        anyway.
    model : str
        The name of the model.
    conversions_low, conversions_high, value_low, value_high : ndarray of float64, shape (C,), optional
        The ends of bootstrap intervals.
    level : float, optional
        The confidence level of the intervals.
    by_position : ndarray of float64, shape (C, L), optional
        Conversions by channel and by position in the journey, if the model distinguishes positions.
    per_journey : TouchCredit, optional
        The credit of each touch, if it was requested.
    notes : tuple of str
        Remarks on the journeys and the credit.
    """

    channels: npt.NDArray[np.str_] = attrs.field(converter=owned)
    conversions: FloatArray = attrs.field(converter=owned)
    value: FloatArray = attrs.field(converter=owned)
    unattributed_conversions: float
    unattributed_value: float
    model: str
    conversions_low: FloatArray | None = attrs.field(default=None, converter=attrs.converters.optional(owned))
    conversions_high: FloatArray | None = attrs.field(default=None, converter=attrs.converters.optional(owned))
    value_low: FloatArray | None = attrs.field(default=None, converter=attrs.converters.optional(owned))
    value_high: FloatArray | None = attrs.field(default=None, converter=attrs.converters.optional(owned))
    level: float | None = None
    by_position: FloatArray | None = attrs.field(default=None, converter=attrs.converters.optional(owned))
    per_journey: TouchCredit | None = None
    notes: tuple[str, ...] = ()

    @property
    def total_conversions(self) -> float:
        """All conversions, credited and unattributed."""
        return math.fsum([*self.conversions.tolist(), self.unattributed_conversions])

    @property
    def total_value(self) -> float:
        """All value, credited and unattributed."""
        return math.fsum([*self.value.tolist(), self.unattributed_value])

    @property
    def shares(self) -> FloatArray:
        """Each channel's share of the credited conversions; NaN if there are none."""
        return _shares(self.conversions)

    @property
    def value_shares(self) -> FloatArray:
        """Each channel's share of the credited value; NaN if there is none."""
        return _shares(self.value)

    def estimate(self, channel: str, *, of: str = "conversions") -> Estimate:
        """Return the conversions (or the ``"value"``) of one channel, with an interval if there is one.

        Examples
        --------
        >>> from relmark.attribution import Journeys, Linear
        >>> Linear().attribute(Journeys.from_paths(["mail > search"], [4])).estimate("mail")
        2
        """
        if of not in {"conversions", "value"}:
            raise InputError(
                f"of is {shown(of)}: it must be 'conversions' or 'value'.", argument="of", code="unknown_name"
            )
        place = self._place("channel", channel)
        low, high = getattr(self, f"{of}_low"), getattr(self, f"{of}_high")
        interval = None
        if low is not None and high is not None and self.level is not None:
            interval = Interval(float(low[place]), float(high[place]), self.level, "Poisson bootstrap")
        figure = float(getattr(self, of)[place])
        return Estimate(figure, interval, NO_VALUE if np.isnan(figure) else "")

    def _place(self, argument: str, name: str) -> int:
        found = np.flatnonzero(self.channels == str(name))
        if len(found) == 0:
            hint = did_you_mean(str(name), self.channels.tolist())
            raise InputError(
                f"{argument} names {shown(name)}, which has no credit here.",
                argument=argument,
                code="unknown_name",
                hint=hint,
            )
        return int(found[0])

    def with_cost(
        self, costs: Mapping[str, float], *, margin: float = 1.0, acquired: Mapping[str, float] | None = None
    ) -> ChannelReturns:
        """Return the cost and return of each channel: ROAS, ROI, cost per order and cost per acquisition.

        Parameters
        ----------
        costs : mapping of channel to cost
            The costs in the currency of the value. Channels without a cost have no figures. A channel that no journey
            has gets an additional row: it cost money and earned none.
        margin : float
            The share of the value that is profit before marketing costs, for the ROI.
        acquired : mapping of channel to number, optional
            The new customers of each channel, for the CPA; by default every conversion counts as one.

        Examples
        --------
        >>> from relmark.attribution import Journeys, Linear
        >>> j = Journeys.from_paths(["mail > search", "mail"], conversions=[1, 1], value=[60.0, 40.0])
        >>> print(Linear().attribute(j).with_cost({"mail": 20.0, "search": 60.0}, margin=.5))
        channel  cost  conversions  value   roas      roi    cpo    cpa
        -------  ----  -----------  -----  -----  -------  -----  -----
        mail       20        1.500     70  3.500   0.7500   13.3   13.3
        search     60        0.500     30  0.500  -0.7500  120.0  120.0
        """
        # A channel that cost money and was never met earned nothing: it gets a row rather than an error.
        new = [name for name in costs if name not in self.channels]
        for name in acquired or ():
            if name not in new:
                self._place("acquired", name)
        nothing = np.zeros(len(new))
        reasons = {name: f"no journey has a touch of it{_or_misspelt(name, self.channels.tolist())}" for name in new}
        return channel_returns(
            np.array([*self.channels.tolist(), *new], dtype=np.str_) if new else self.channels,
            np.concatenate([self.conversions, nothing]),
            np.concatenate([self.value, np.full(len(new), np.nan if np.isnan(self.value).all() else 0.0)]),
            costs,
            margin=margin,
            acquired=acquired,
            model=self.model,
            reasons=reasons,
        )

    def calibrate(self, lift: Mapping[str, float]) -> Self:
        """Return the credit with incremental shares from experiments in place of the model's figures.

        Parameters
        ----------
        lift : mapping of channel to float
            For each tested channel, the share of all conversions that would not have happened without it:
            (treated rate - control rate) / treated rate, measured on the people whose journeys these are. At most 1;
            below 0 if the channel did harm.

        Returns
        -------
        Credit
            A tested channel gets its share times all conversions (and value). The others keep their credit, and the
            rest is unattributed: it would have happened anyway. If the tested channels get so much that the credit of
            the others no longer fits, theirs is reduced in proportion, so that totals still balance.

        Raises
        ------
        InputError
            A channel is unknown, a share is above 1, or the shares add up to more than 1.

        Notes
        -----
        Intervals are left out, since those of the model do not apply to measured shares.

        Examples
        --------
        >>> from relmark.attribution import Journeys, LastTouch
        >>> credit = LastTouch().attribute(Journeys.from_paths(["mail", "search"], conversions=[60, 40]))
        >>> calibrated = credit.calibrate({"mail": .1})
        >>> calibrated.conversions.tolist(), calibrated.unattributed_conversions
        ([10.0, 40.0], 50.0)
        """
        tested = np.zeros(len(self.channels), dtype=np.bool_)
        share = np.zeros(len(self.channels))
        for name, measured in lift.items():
            place = self._place("lift", name)
            tested[place] = True
            share[place] = number(f"lift[{name!r}]", measured, high=1.0)
        if share.sum() > 1.0:
            raise InputError(
                f"lift adds up to {share.sum():g}: together channels can cause at most all conversions, a sum of 1.",
                argument="lift",
                code="too_large",
                hint="Shares from separate experiments may overlap: measure these channels in one experiment.",
            )

        def shifted(credit: FloatArray, total: float) -> tuple[FloatArray, float]:
            measured = share * total
            free = total - measured.sum()
            kept = np.where(tested, 0.0, credit)
            if kept.sum() > free:
                kept *= free / kept.sum()
            new = kept + measured
            return new, total - float(new.sum())

        conversions, rest = shifted(self.conversions, self.total_conversions)
        value, value_rest = shifted(self.value, self.total_value)
        named = ", ".join(f"{name} {share:g}" for name, share in lift.items())
        return attrs.evolve(
            self,
            conversions=conversions,
            value=value,
            unattributed_conversions=rest,
            unattributed_value=value_rest,
            conversions_low=None,
            conversions_high=None,
            value_low=None,
            value_high=None,
            level=None,
            by_position=None,
            per_journey=None,
            notes=(*self.notes, f"calibrated by measured shares of all conversions: {named}"),
        )

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns with one row per channel, without `by_position`."""
        columns = {"channel": self.channels, "conversions": self.conversions, "share": self.shares, "value": self.value}
        for name in ("conversions_low", "conversions_high", "value_low", "value_high"):
            column = getattr(self, name)
            if column is not None:
                columns[name] = column
        return columns

    def _facts(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "channels": len(self.channels),
            "conversions": float(self.conversions.sum()),
            "unattributed_conversions": self.unattributed_conversions,
            "value": float(self.value.sum()),
            "unattributed_value": self.unattributed_value,
        }

    def _table(self) -> dict[str, Any]:
        columns = self.to_columns()
        return {name: column for name, column in columns.items() if not (name == "value" and np.isnan(column).all())}

    def _lines(self) -> list[str]:
        lines = []
        if self.unattributed_conversions:
            worth = "" if np.isnan(self.unattributed_value) else f" worth {format_number(self.unattributed_value)}"
            lines.append(f"unattributed: {format_number(self.unattributed_conversions)} conversions{worth}")
        lines += [f"note: {note}" for note in self.notes]
        return [*lines, NOT_INCREMENTAL]


def _or_misspelt(name: str, known: list[str]) -> str:
    hint = did_you_mean(name, known)
    return f", or its name differs.{hint}" if hint else ""


def _shares(credit: FloatArray) -> FloatArray:
    total = credit.sum()
    return credit / total if total != 0.0 else np.full(len(credit), np.nan)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CreditComparison(ColumnarResult):
    """The credit of several models side by side.

    Parameters
    ----------
    channels : ndarray of str, shape (C,)
        The channels in the order of the first credit, then those that only other credits have.
    models : tuple of str, length M
        The names of the credits.
    conversions, shares, value : ndarray of float64, shape (C, M)
        The figures of each channel in each credit.
    """

    channels: npt.NDArray[np.str_]
    models: tuple[str, ...]
    conversions: FloatArray
    shares: FloatArray
    value: FloatArray

    @property
    def spread(self) -> FloatArray:
        """The largest minus the smallest share of each channel over the models: how much they disagree."""
        return self.shares.max(axis=1) - self.shares.min(axis=1) if self.models else np.zeros(len(self.channels))

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the channels and their conversions, with one column per model."""
        columns: dict[str, npt.NDArray[Any]] = {"channel": self.channels}
        return columns | {name: self.conversions[:, k] for k, name in enumerate(self.models)}

    def _facts(self) -> dict[str, Any]:
        return {"channels": len(self.channels), "models": " ".join(self.models)}


def compare(*credits: Credit, names: Mapping[int, str] | list[str] | tuple[str, ...] | None = None) -> CreditComparison:
    """Return credits side by side, with channels matched by name and 0 for channels that a credit lacks.

    Parameters
    ----------
    *credits : Credit
        At least one credit.
    names : sequence of str, optional
        The name of each credit; by default its model, numbered if two have the same model.

    Examples
    --------
    >>> from relmark.attribution import FirstTouch, Journeys, LastTouch
    >>> j = Journeys.from_paths(["mail > search", "search"], conversions=[3, 1])
    >>> print(compare(FirstTouch().attribute(j), LastTouch().attribute(j)))
    channel  first_touch  last_touch
    -------  -----------  ----------
    mail               3           0
    search             1           4
    """
    if not credits:
        raise InputError("compare() got no credit: give at least one.", argument="credits", code="empty")
    for number_, credit in enumerate(credits):
        if not isinstance(credit, Credit):
            raise InputError(
                f"credits has {shown(credit)} in place {number_}: Credit objects are needed.",
                argument="credits",
                code="wrong_type",
            )
    called = [credit.model for credit in credits] if names is None else list(names)
    if len(called) != len(credits):
        raise InputError(
            f"names has {len(called)} entries for {len(credits)} credits: give one each.",
            argument="names",
            code="wrong_length",
        )
    labels: list[str] = []
    for name in called:
        label, again = str(name), 2
        while label in labels:
            label, again = f"{name}_{again}", again + 1
        labels.append(label)
    channels = list(dict.fromkeys(name for credit in credits for name in credit.channels.tolist()))
    place = {name: k for k, name in enumerate(channels)}

    def table(columns: list[FloatArray]) -> FloatArray:
        out = np.zeros((len(channels), len(credits)))
        for k, (credit, column) in enumerate(zip(credits, columns, strict=True)):
            out[[place[name] for name in credit.channels.tolist()], k] = column
        return out

    return CreditComparison(
        channels=np.array(channels, dtype=np.str_),
        models=tuple(labels),
        conversions=table([credit.conversions for credit in credits]),
        shares=table([credit.shares for credit in credits]),
        value=table([credit.value for credit in credits]),
    )
