"""Draw the arms so that they are similar in what is already known."""

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
    """An experiment whose salt draws similar arms, and how it was found.

    Attributes
    ----------
    experiment : Experiment
        The experiment with the salt that was found.
    salt : str
        The salt.
    tries : int
        How many salts were tried.
    threshold : float
        The largest standardized difference that was accepted.
    balance : Balance
        How similar the arms are.
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
    """Find a salt with which the arms are similar in what is already known, before anything is sent.

    Parameters
    ----------
    experiment : Experiment
        The experiment.
    ids : array_like, shape (n,)
        The customers.
    columns : mapping of str to array_like, shape (n,)
        What is known about them, such as age, or spend and orders before.
    threshold : float
        The largest standardized difference that is accepted.
    tries : int
        How many salts to try; each is the experiment's own with a number appended.

    Raises
    ------
    NotEnoughDataError
        No salt was good enough; the message says how close the best one came.

    Notes
    -----
    Choosing among draws by balance is rerandomization. If the outcome depends on the columns, intervals then cover more
    than they promise, unless the columns are covariates of the analysis. So make them covariates.

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
        hint="Allow a larger difference (threshold=), try more salts (tries=), or use stratified_assignment.",
    )
