"""The report of a test: every metric, arm and segment in one table, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from relmark.experiments.bayes import Posterior, posterior_of
from relmark.experiments.decisions import Beside, Decision, Impact, NonInferiority, decide, impact, non_inferiority
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
            With Holm the intervals hold all together (Bonferroni's level, 1 - alpha / m). With Benjamini and Hochberg
            they are false-coverage-rate intervals: of those selected, at most a share alpha misses in expectation.

        References
        ----------
        S. Holm (1979), Scandinavian Journal of Statistics 6, 65-70. Y. Benjamini and Y. Hochberg (1995), Journal of the
        Royal Statistical Society B 57, 289-300. Y. Benjamini and D. Yekutieli (2005), Journal of the American
        Statistical Association 100, 71-81.
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
        """Return, for each division into segments, a test of whether the effect is the same in all of its segments.

        An effect that is significant in one segment and not in another is no evidence that the two differ: this is the
        test of that.

        References
        ----------
        W. G. Cochran (1954), Biometrics 10, 101-129.
        """
        return interaction_tests(self)

    def post_stratified(self, metric: str, arm: str | None = None, *, dimension: str | None = None) -> Effect:
        """Return the effect with each segment weighed by its share of all people, whatever its share of an arm.

        Stratifying afterwards takes out the luck of the draw between segments, and narrows the interval where segments
        differ in the outcome. A Proportion is treated as the mean of zeros and ones.

        Parameters
        ----------
        metric : str
        arm : str, optional
            Which arm; needed where there are several.
        dimension : str, optional
            Which division into segments; needed where there are several.

        Notes
        -----
        mu_a = sum_s W_s mu_as with W_s = n_s / n. The variance is sum_s W_s^2 v_as, and, because the shares W are
        themselves a draw, cov(mu_a, mu_b) has sum_s W_s (mu_as - mu_a)(mu_bs - mu_b) / n on top.

        References
        ----------
        L. W. Miratrix, J. S. Sekhon and B. Yu (2013), Journal of the Royal Statistical Society B 75, 369-396.
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
        """Return what an arm brought in people, orders and money; of `report.within(segment)`, what it brought there.

        Parameters
        ----------
        arm : str, optional
            Which arm; needed where there are several.
        revenue, orders, customers : str, optional
            The metrics, by name, that are a person's revenue, a person's number of orders, and whether a person bought.
        margin : float, optional
            With `revenue`, the share of it that is kept after the cost of goods; all of it without `margin`. Without
            `revenue`, the money that one order (or, without `orders`, one customer) is worth: above 0.
        cost : float
            For each person in the arm: postage, discount, a call.
        fixed_cost : float
            For the arm as a whole.

        Notes
        -----
        Each figure is the effect per person times the people in the arm, and its interval that of the effect, scaled.
        The interval of cost per order turns the interval of orders upside down; where that has zero in it, there is no
        bound.
        """
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
        """Return what to do with an arm, by the money that it brought: ship, stop or go on.

        Parameters
        ----------
        arm : str, optional
            Which arm; needed where there are several.
        metric : str, optional
            The metric to decide on. Without it, the report's first mean, or its first metric.
        margin : float
            The money that one unit of the metric is worth: of revenue, the share that is kept; of a share of people who
            bought, the worth of one buyer; of a mean number of orders, that of one order.
        cost, fixed_cost : float
            As for `impact`.
        orders, customers : str, optional
            Metrics, by name, that the impact shows beside the one that is decided on.
        guardrails : mapping of str to float, optional
            Metrics that must not get worse than control by more than this much: a negative number is a fall that is
            still acceptable, a positive one a rise (``{"unsubscribed": .001}``).
        """
        return decide(
            self,
            arm,
            metric=metric,
            margin=margin,
            cost=cost,
            fixed_cost=fixed_cost,
            beside=Beside(orders, customers),
            guardrails=guardrails,
        )

    def non_inferiority(
        self,
        metric: str,
        margin: float,
        arm: str | None = None,
        *,
        segment: str = "",
        dimension: str | None = None,
        larger_is_better: bool = True,
    ) -> NonInferiority:
        """Tell whether an arm is surely no worse than control by more than a margin.

        The two-sided interval at level 1 - alpha makes a one-sided test at alpha / 2.

        Parameters
        ----------
        metric : str
        margin : float
            The acceptable loss, above zero, in the metric's unit.
        arm, segment, dimension : str, optional
            As for `effect`.
        larger_is_better : bool
            False for unsubscribes, complaints, costs.
        """
        effect = self.effect(metric, arm, segment, dimension)
        return non_inferiority(effect, margin, larger_is_better=larger_is_better)

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
