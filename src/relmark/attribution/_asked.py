"""The reports as methods of journeys: each is a function of `reports` or `overlaps`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from relmark.attribution import overlaps, reports

if TYPE_CHECKING:
    from relmark.attribution.journeys import Journeys

__all__ = ["JourneyReports"]


class JourneyReports:
    """What can be asked of journeys without a model."""

    __slots__ = ()

    @property
    def _journeys(self) -> Journeys:
        return cast("Journeys", self)

    def path_lengths(self) -> reports.PathLengths:
        """Return how many touches journeys have, those that convert and the others."""
        return reports.path_lengths(self._journeys)

    def touches_to_conversion(self) -> reports.TouchesToConversion:
        """Return how many touches come before a conversion, with running shares."""
        return reports.touches_to_conversion(self._journeys)

    def time_lags(self, edges: Iterable[timedelta] | None = None) -> reports.TimeLags:
        """Return how long journeys take from first touch to end, those that convert and the others."""
        return reports.time_lags(self._journeys, edges)

    def assists(self) -> reports.Assists:
        """Return for each channel how often it assisted, came first and came last before a conversion."""
        return reports.assists(self._journeys)

    def positions(self) -> reports.ChannelPositions:
        """Return for each channel the conversions whose journeys it opened, continued, closed or was alone in."""
        return reports.positions(self._journeys)

    def top_paths(self, n: int = 10) -> reports.TopPaths:
        """Return the n paths with most conversions."""
        return reports.top_paths(self._journeys, n)

    def overlap(self) -> overlaps.Overlap:
        """Return for each pair of channels the conversions whose journeys have both."""
        return overlaps.overlap(self._journeys)

    def first_and_last(self) -> overlaps.FirstAndLast:
        """Return the conversions by first and by last channel."""
        return overlaps.first_and_last(self._journeys)

    def channel_sets(self) -> overlaps.ChannelSets:
        """Return the sets of channels that journeys have, with their counts."""
        return overlaps.channel_sets(self._journeys)
