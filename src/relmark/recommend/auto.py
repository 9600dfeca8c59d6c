"""Choose a recommender by how well its lists match what customers bought next, and give the reason."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

import attrs
import numpy as np

from relmark.core.as_of import AsOfGiven
from relmark.core.checks import shown
from relmark.core.errors import InputError
from relmark.core.results import Result
from relmark.core.time import days
from relmark.recommend.blend import Blend
from relmark.recommend.buy_again import BuyAgain
from relmark.recommend.comparison import Comparison, compare
from relmark.recommend.ease import Ease
from relmark.recommend.fitted import Fitted
from relmark.recommend.interactions import PurchaseSource, interactions_of
from relmark.recommend.neighbors import ItemNeighbors
from relmark.recommend.popular import Popular
from relmark.recommend.rules import Rules
from relmark.recommend.spec import Spec

__all__ = ["Choice", "auto"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Choice(Result):
    """The recommender that `auto` chose.

    Parameters
    ----------
    name : str
        The name of the chosen candidate.
    spec : Spec
        Its settings; `fit` fits them on all data.
    why : str
        The reason, in words and figures.
    comparison : Comparison
        The comparison of all candidates.
    """

    name: str
    spec: Spec
    why: str
    comparison: Comparison

    def fit(self, interactions: PurchaseSource, *, as_of: AsOfGiven | None = None) -> Fitted:
        """Fit the chosen settings, as `Spec.fit` does."""
        return self.spec.fit(interactions, as_of=as_of)

    def _facts(self) -> dict[str, Any]:
        return {"name": self.name, "spec": self.spec, "why": self.why}

    def _table(self) -> dict[str, Any]:
        return {"choice": ["name", "spec", "why"], "": [self.name, repr(self.spec), self.why]}


def auto(
    interactions: PurchaseSource,
    *,
    k: int = 10,
    test: timedelta = days(30),  # noqa: B008  (a timedelta never changes)
    folds: int = 1,
    items: Literal["all", "new"] = "all",
    rules: Rules | None = None,
    candidates: Mapping[str, Spec] | None = None,
    rng: np.random.Generator | int | None = 0,
) -> Choice:
    """Choose a recommender by its held-out nDCG, and give the reason.

    Parameters
    ----------
    interactions : Interactions, CustomerBase or Purchases
        The purchases, with times.
    k, test, folds, items, rules, rng
        As in `compare`.
    candidates : mapping of str to Spec, optional
        The settings to choose from, by name. The default candidates are popularity of all time and with half-lives of 7
        and 30 days, neighbors, and EASE with and without a half-life; with ``items="all"`` also buy-again, and EASE
        blended with it.

    Notes
    -----
    The figure of the winner is slightly too high, since it is the best of several on the same test period. Judge the
    winner on a later period.
    """
    if candidates is not None and not isinstance(candidates, Mapping):
        raise InputError(
            f"candidates is {shown(candidates)}: a mapping of names to settings is needed.",
            argument="candidates",
            code="wrong_type",
        )
    if candidates is None:
        candidates = standard_candidates(items)
    elif not candidates:
        raise InputError(
            "candidates is empty: give settings by name, or leave it out.", argument="candidates", code="empty"
        )
    bought = len(np.unique(interactions_of(interactions).lines.item))
    tried = {
        name: spec
        for name, spec in candidates.items()
        if bought <= max((e.max_items for e in _eases(spec)), default=bought)
    }
    comparison = compare(tried, interactions, k=k, test=test, folds=folds, items=items, rules=rules)
    best = int(np.argmax(comparison.ndcg))
    name = str(comparison.name[best])
    spec = tried.get(name) or {"popular": Popular(), "buy again": BuyAgain()}[name]
    why = _why(comparison, best, rng)
    left = [name for name in candidates if name not in tried]
    if left:
        why += f" Left out because EASE would take too long for {bought:,} items: {', '.join(left)}."
    return Choice(name=name, spec=spec, why=why, comparison=comparison)


def standard_candidates(items: str = "all") -> dict[str, Spec]:
    """Return the default candidates of `auto` by name."""
    own: dict[str, Spec] = {
        "popular": Popular(),
        "popular, 7 days": Popular(half_life=days(7)),
        "popular, 30 days": Popular(half_life=days(30)),
        "neighbors": ItemNeighbors(),
        "ease": Ease(),
        "ease, 90 days": Ease(half_life=days(90)),
    }
    if items == "all":
        own["buy again"] = BuyAgain()
        own["ease and buy again"] = Blend({Ease(half_life=days(90)): 1.0, BuyAgain(): 1.0})
    return own


def _eases(spec: Spec) -> list[Ease]:
    if isinstance(spec, Ease):
        return [spec]
    parts = getattr(spec, "models", ())
    return [ease for part in parts for ease in _eases(part[0] if isinstance(part, tuple) else part)]


def _why(comparison: Comparison, best: int, rng: Any) -> str:
    name = str(comparison.name[best])
    others = np.delete(np.arange(len(comparison.name)), best)
    text = (
        f"{name} has the best nDCG@{comparison.k} on {comparison.customers:,} held-out customers: "
        f"{comparison.ndcg[best]:.3f}"
    )
    if len(others) == 0:
        return f"{text}; it was the only candidate."
    second = int(others[np.argmax(comparison.ndcg[others])])
    gap = comparison.difference(name, str(comparison.name[second]), rng=rng)
    sure = "clearly more than" if gap.low > 0 else "not clearly more than"
    return (
        f"{text}, {sure} {comparison.name[second]} with {comparison.ndcg[second]:.3f} "
        f"(difference {gap.value:.3f}, {gap.low:.3f} to {gap.high:.3f})."
    )
