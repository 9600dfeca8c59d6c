"""What beside the metric decides how many people a test needs: arms, level, covariates, clusters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import attrs

from relmark.core.assignment import check_arms
from relmark.core.errors import InputError
from relmark.experiments import _validators
from relmark.experiments.assignment import control_among

__all__ = ["Design", "DesignArgs"]

_EVEN = {"control": 0.5, "treatment": 0.5}


class DesignArgs(TypedDict, total=False):
    """The words of a `Design`."""

    arms: Mapping[str, float]
    control: str | None
    level: float
    explained: float
    cluster_size: float
    intraclass_correlation: float


@attrs.frozen(kw_only=True)
class Design:
    """What beside the metric decides how many people a test needs.

    Parameters
    ----------
    arms : mapping of str to float
        The arms' shares; two equal ones without it.
    control : str, optional
        The control arm: "control" where there is one, else the first.
    level : float
        The confidence of the interval; an error of 1 - level is all on one side where the metric has an alternative.
    explained : float
        The share of the variance that covariates explain (the squared correlation of outcome and CUPED covariate).
    cluster_size, intraclass_correlation : float
        Where shops or households are drawn and not people: people a cluster, and the correlation within one.
    """

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
        """The share of control, and of the smallest other arm: the comparison that needs most people."""
        rest = [share for name, share in self.arms.items() if name != self.control_arm]
        return self.arms[self.control_arm], min(rest)

    @property
    def inflation(self) -> float:
        """By how much clusters multiply, and covariates divide, the number of people: the design effect."""
        return (1 + (self.cluster_size - 1) * self.intraclass_correlation) * (1 - self.explained)
