"""The report of a test: every metric, arm and segment in one table, and the conclusions from it."""

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
    """Every comparison of a test, one row for each metric, each arm, and everybody or a segment.

    Its columns and `effect` are those of `EffectTable`; its other methods draw conclusions from them.
    """

    def adjust(self, *, method: str = "holm") -> Report:
        """Return the report with p-values and intervals that allow for the number of comparisons.

        Parameters
        ----------
        method : {"holm", "benjamini-hochberg"}
            With Holm's method all intervals hold together (at Bonferroni's level, 1 - alpha / m). With Benjamini and
            Hochberg's they are false-coverage-rate intervals: the expected share of selected intervals that miss is at
            most alpha.

        References
        ----------
        S. Holm (1979), Scandinavian Journal of Statistics 6, 65-70. Y. Benjamini and Y. Hochberg (1995), Journal of the
        Royal Statistical Society B 57, 289-300. Y. Benjamini and D. Yekutieli (2005), Journal of the American
        Statistical Association 100, 71-81.
        """
        return adjust(self, method=method)

    def within(self, segment: str, *, dimension: str | None = None) -> Report:
        """Return the report of one segment, as if there were nobody else, to decide about it and compute its impact.

        Parameters
        ----------
        segment : str
            The segment's name.
        dimension : str, optional
            The division that the segment belongs to, if several have a segment of this name.
        """
        self.effect(self.metrics[0], self.arms[0], segment, dimension)  # raises if a name is wrong
        here = (self.segment == segment) & ((self.dimension == dimension) if dimension is not None else True)
        moments = dict(self.source.blocks)[str(self.dimension[here][0])]
        found = self.rows(here)
        everybody = np.full(len(found.metric), "")
        source = attrs.evolve(self.source, blocks=(("", moments.of_segment(segment)),))
        return attrs.evolve(found, dimension=everybody, segment=everybody, source=source)

    def interactions(self) -> InteractionTests:
        """Return, for each division into segments, a test of whether the effect is the same in all segments.

        An effect that is significant in one segment and not in another is no evidence that the two differ. This test
        looks for such evidence.

        References
        ----------
        W. G. Cochran (1954), Biometrics 10, 101-129.
        """
        return interaction_tests(self)

    def post_stratified(self, metric: str, arm: str | None = None, *, dimension: str | None = None) -> Effect:
        """Return the effect with each segment weighted by its share of all people, whatever its share of an arm.

        This removes the luck of the draw between segments, and narrows the interval if segments differ in the outcome.
        A Proportion is treated as the mean of zeros and ones.

        Parameters
        ----------
        metric : str
            The metric's name.
        arm : str, optional
            The arm; required if there are several.
        dimension : str, optional
            The division into segments; required if there are several.

        Notes
        -----
        mu_a = sum_s W_s mu_as with W_s = n_s / n. The variance is sum_s W_s^2 v_as. Because the shares W are random
        themselves, sum_s W_s (mu_as - mu_a)(mu_bs - mu_b) / n is added to cov(mu_a, mu_b).

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
        """Return what an arm brought in people, orders and money; use `within(segment)` first for one segment.

        Parameters
        ----------
        arm : str, optional
            The arm; required if there are several.
        revenue, orders, customers : str, optional
            The names of the metrics for a person's revenue, a person's number of orders, and whether a person bought.
        margin : float, optional
            With `revenue`, the share of it that is kept after the cost of goods, 1 by default. Without `revenue`, the
            money that one order (or, without `orders`, one customer) is worth, above 0.
        cost : float
            The cost per person in the arm, such as postage, a discount or a call.
        fixed_cost : float
            The cost for the arm as a whole.

        Notes
        -----
        Each figure is the effect per person times the number of people in the arm, with the interval of the effect
        scaled in the same way. The interval of the cost per order follows from that of orders; if that contains zero,
        the cost per order has no upper bound.
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
            The arm; required if there are several.
        metric : str, optional
            The metric to decide by. The default is the report's first mean or ratio, or else its first metric.
        margin : float
            The money that one unit of the metric is worth: for revenue, the share that is kept; for a share of people
            who bought, the worth of one buyer; for a mean number of orders, the worth of one order.
        cost, fixed_cost : float
            As for `impact`.
        orders, customers : str, optional
            The names of metrics that the impact shows in addition to the one decided by.
        guardrails : mapping of str to float, optional
            Metrics that must not get worse than control by more than a given amount. A negative number is a fall that
            is still acceptable, a positive one a rise (``{"unsubscribed": .001}``).
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
        """Return whether an arm is surely not worse than control by more than a margin.

        The two-sided interval at level 1 - alpha gives a one-sided test at alpha / 2.

        Parameters
        ----------
        metric : str
            The metric's name.
        margin : float
            The acceptable loss, above zero, in the metric's unit.
        arm, segment, dimension : str, optional
            As for `effect`.
        larger_is_better : bool
            False for metrics such as unsubscribes, complaints or costs.
        """
        effect = self.effect(metric, arm, segment, dimension)
        return non_inferiority(effect, margin, larger_is_better=larger_is_better)

    def posterior(self, metric: str, arm: str | None = None, *, prior: tuple[float, float] | None = None) -> Posterior:
        """Return what is believed about an arm: its chance to beat control, and the expected loss of choosing it.

        Parameters
        ----------
        metric : str
            The metric's name.
        arm : str, optional
            The arm; required if there are several.
        prior : pair of float, optional
            For a Proportion, the Beta prior of each share; otherwise mean and standard deviation of a normal prior of
            the difference. The default is flat.
        """
        return posterior_of(self, metric, arm, prior)
