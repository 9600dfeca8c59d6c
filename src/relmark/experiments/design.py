"""What decides, in addition to the metric, how many people a test needs: arms, level, covariates, clusters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypedDict

import attrs

from relmark.core import shapes
from relmark.core.assignment import check_arms
from relmark.core.documents import Definition, Limits, built, check_keys, pairs_of, settings
from relmark.core.errors import InputError
from relmark.core.shapes import Shape
from relmark.experiments import _validators
from relmark.experiments.assignment import control_among

__all__ = ["Design", "DesignArgs"]

_EVEN = {"control": 0.5, "treatment": 0.5}


class DesignArgs(TypedDict, total=False):
    """The keyword arguments of a `Design`."""

    arms: Mapping[str, float]
    control: str | None
    level: float
    explained: float
    cluster_size: float
    intraclass_correlation: float


@attrs.frozen(kw_only=True)
class Design(Definition):
    """What decides, in addition to the metric, how many people a test needs.

    Parameters
    ----------
    arms : mapping of str to float
        The arms' shares; by default two equal arms, "control" and "treatment".
    control : str, optional
        The control arm. The default is "control" if there is such an arm, otherwise the first.
    level : float
        The confidence level of the interval. If the metric has an alternative, the error of 1 - level is all on one
        side.
    explained : float
        The share of the variance that covariates explain (the squared correlation of outcome and CUPED covariate).
    cluster_size, intraclass_correlation : float
        If shops or households are drawn instead of people: the number of people per cluster, and the correlation
        within a cluster.
    """

    kind: ClassVar[str] = "design"

    arms: Mapping[str, float] = attrs.field(factory=lambda: dict(_EVEN))
    control: str | None = None
    level: float = attrs.field(default=0.95, validator=_validators.share)
    explained: float = attrs.field(default=0.0, validator=_validators.within(low=0.0, below=1.0))
    cluster_size: float = attrs.field(default=1.0, validator=_validators.within(low=1.0))
    intraclass_correlation: float = attrs.field(default=0.0, validator=_validators.within(low=0.0, high=1.0))

    def __attrs_post_init__(self) -> None:
        """Check the arms, and that control is one of them."""
        check_arms(self.arms)
        if self.control is not None and self.control not in self.arms:
            raise InputError(
                f"control is {self.control!r}: the arms are {', '.join(map(repr, self.arms))}.",
                argument="control",
                code="unknown_name",
            )

    @property
    def control_arm(self) -> str:
        """The control arm's name."""
        return control_among(self.arms, self.control)

    @property
    def shares(self) -> tuple[float, float]:
        """The shares of control and of the smallest other arm, whose comparison needs the most people."""
        rest = [share for name, share in self.arms.items() if name != self.control_arm]
        return self.arms[self.control_arm], min(rest)

    @property
    def inflation(self) -> float:
        """The design effect: the factor by which clusters raise, and covariates lower, the number of people."""
        return (1 + (self.cluster_size - 1) * self.intraclass_correlation) * (1 - self.explained)

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        arm = shapes.pair(shapes.name(limits.string), shapes.number(above=0.0, below=1.0))
        return {
            "arms": shapes.array(arm, least=2),
            "control": shapes.maybe(shapes.name(limits.string)),
            "level": shapes.number(above=0.0, below=1.0),
            "explained": shapes.number(low=0.0, below=1.0),
            "cluster_size": shapes.number(low=1.0),
            "intraclass_correlation": shapes.number(low=0.0, high=1.0),
        }, ()

    def _body(self) -> dict[str, Any]:
        body = {field.name: getattr(self, field.name) for field in settings(type(self))}
        return {**body, "arms": [[arm, share] for arm, share in self.arms.items()]}  # a list keeps their order

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        check_keys(body, required=(), optional=[field.name for field in settings(cls)], what=cls.kind)
        arms = {"arms": pairs_of(body["arms"], "$.arms")} if "arms" in body else {}
        return built(cls, {**body, **arms})
