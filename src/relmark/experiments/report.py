"""The report of a test: every metric, arm and segment in one table, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from relmark.experiments.bayes import Posterior, posterior_of
from relmark.experiments.decisions import Decision, Impact, decide, impact
from relmark.experiments.effect_table import EffectTable
from relmark.experiments.effects import Effect
from relmark.experiments.heterogeneity import InteractionTests, interaction_tests, post_stratified
from relmark.experiments.multiplicity import adjust

__all__ = ["Report"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Report(EffectTable):
    """Every comparison of a test, one per row: metric, arm, everybody first and then each segment.

    Its columns and `effect` are those of `EffectTable`; its methods say what follows from them.
    """

    def adjust(self, *, method: str = "holm") -> Report:
        """Return the report with p-values and intervals that allow for the number of comparisons.

        Parameters
        ----------
        method : {"holm", "benjamini-hochberg"}
        """
        return adjust(self, method=method)

    def within(self, segment: str, *, dimension: str | None = None) -> Report:
        """Return the report of one segment, as if there were nobody else: to decide about it, and to count its money.

        Parameters
        ----------
        segment : str
        dimension : str, optional
            Which division the segment belongs to, where the name alone leaves a doubt.
        """
        self.effect(self.metrics[0], self.arms[0], segment, dimension)  # says what is wrong with the names
        here = (self.segment == segment) & ((self.dimension == dimension) if dimension is not None else True)
        moments = dict(self.source.blocks)[str(self.dimension[here][0])]
        found = self.rows(here)
        everybody = np.full(len(found.metric), "")
        source = attrs.evolve(self.source, blocks=(("", moments.of_segment(segment)),))
        return attrs.evolve(found, dimension=everybody, segment=everybody, source=source)

    def interactions(self) -> InteractionTests:
        """Return, for each division into segments, a test of whether the effect differs between them."""
        return interaction_tests(self)

    def post_stratified(self, metric: str, arm: str | None = None, *, dimension: str | None = None) -> Effect:
        """Return the effect with each segment weighed by its share of all people; see the function of that name.

        Parameters
        ----------
        metric : str
        arm : str, optional
            Which arm; needed where there are several.
        dimension : str, optional
            Which division into segments; needed where there are several.
        """
        blocks = {name: moments for name, moments in self.source.blocks if name}
        name = self.one_of_names("dimension", dimension, tuple(blocks))
        spec = next(one for one in self.source.metrics if one.name == self.one_of_names("metric", metric, self.metrics))
        return post_stratified(blocks[name], spec, arm=arm, control=self.control_arm, level=self.level)

    def impact(
        self,
        arm: str | None = None,
        *,
        revenue: str | None = None,
        orders: str | None = None,
        customers: str | None = None,
        margin: float | None = None,
        cost: float = 0.0,
        fixed_cost: float = 0.0,
    ) -> Impact:
        """Return what an arm brought in people and money; the arguments are those of `relmark.experiments.impact`."""
        return impact(
            self,
            arm,
            revenue=revenue,
            orders=orders,
            customers=customers,
            margin=margin,
            cost=cost,
            fixed_cost=fixed_cost,
        )

    def decide(
        self,
        arm: str | None = None,
        *,
        metric: str | None = None,
        margin: float = 1.0,
        cost: float = 0.0,
        fixed_cost: float = 0.0,
        orders: str | None = None,
        customers: str | None = None,
        guardrails: Mapping[str, float] | None = None,
    ) -> Decision:
        """Return what to do with an arm: ship, stop or go on; see `relmark.experiments.decide`."""
        return decide(
            self,
            arm,
            metric=metric,
            margin=margin,
            cost=cost,
            fixed_cost=fixed_cost,
            orders=orders,
            customers=customers,
            guardrails=guardrails,
        )

    def posterior(self, metric: str, arm: str | None = None, *, prior: tuple[float, float] | None = None) -> Posterior:
        """Return what is believed of an arm: its chance to beat control, and the expected loss of choosing it.

        Parameters
        ----------
        metric : str
        arm : str, optional
        prior : pair of float, optional
            For a Proportion the Beta prior of each share; else mean and standard deviation of a normal prior of the
            difference. Flat without it.
        """
        return posterior_of(self, metric, arm, prior)
