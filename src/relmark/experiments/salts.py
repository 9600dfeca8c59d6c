"""How to draw the arms so that they are alike on what is known already."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy.typing as npt

from relmark.core import checks
from relmark.core.errors import NotEnoughDataError
from relmark.core.results import Result
from relmark.experiments.balancing import Balance, balance
from relmark.experiments.experiment import Experiment

__all__ = ["BalancedSalt", "balanced_salt"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BalancedSalt(Result):
    """An experiment whose salt draws arms that are alike, and how it was found.

    Attributes
    ----------
    experiment : Experiment
        With the salt that was found.
    salt : str
    tries : int
        How many salts were looked at.
    threshold : float
    balance : Balance
    """

    experiment: Experiment
    salt: str
    tries: int
    threshold: float
    balance: Balance

    def _facts(self) -> dict[str, Any]:
        return {"salt": self.salt, "tries": self.tries, "worst difference": self.balance.worst}

    def to_dict(self) -> dict[str, Any]:
        """Return every field as JSON-ready values."""
        return {"experiment": self.experiment.to_dict(), "salt": self.salt, "tries": self.tries} | {
            "threshold": self.threshold,
            "balance": self.balance.to_dict(),
        }


def balanced_salt(
    experiment: Experiment,
    ids: npt.ArrayLike,
    columns: Mapping[str, npt.ArrayLike],
    *,
    threshold: float = 0.05,
    tries: int = 100,
) -> BalancedSalt:
    """Look for a salt with which the arms are alike on what is known already, before anything is sent.

    Parameters
    ----------
    experiment : Experiment
    ids : array_like, shape (n,)
        The customers.
    columns : mapping of str to array_like, shape (n,)
        What is known of them: spend and orders before, age.
    threshold : float
        The largest standardized difference that is accepted.
    tries : int
        How many salts are looked at; a number is put behind the experiment's own.

    Raises
    ------
    NotEnoughDataError
        No salt was good enough; the message says how close the best came.

    Notes
    -----
    Choosing among draws by balance is rerandomization: intervals then cover more than they say where the outcome goes
    with the columns, unless these are covariates of the analysis, which they should be.

    References
    ----------
    K. L. Morgan and D. B. Rubin (2012), Annals of Statistics 40, 1263-1282.
    """
    limit = checks.positive("threshold", threshold)
    most = checks.whole("tries", tries, low=1)
    best = math.inf
    for number in range(most):
        salt = f"{experiment.salt or experiment.name}/{number}"
        candidate = attrs.evolve(experiment, salt=salt)
        found = balance(columns, candidate.assign(ids), control=experiment.control_arm)
        if found.worst <= limit:
            return BalancedSalt(experiment=candidate, salt=salt, tries=number + 1, threshold=limit, balance=found)
        best = min(best, found.worst)
    raise NotEnoughDataError(
        f"none of {most} salts has every difference within {limit:g}: the best has {best:.3g}.",
        argument="threshold",
        hint="Allow more (threshold=), look at more (tries=), or use stratified_assignment.",
    )
