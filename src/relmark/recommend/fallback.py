"""A fallback: one model after the other, each adding what the models before it could not fill."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.checks import shown
from relmark.core.errors import InputError
from relmark.recommend._masks import Block
from relmark.recommend.composed import Composed
from relmark.recommend.fitted import Contributions
from relmark.recommend.interactions import PurchaseSource
from relmark.recommend.spec import Spec, remembered, shared_fields

__all__ = ["Fallback", "FittedFallback"]

FloatArray = npt.NDArray[np.float32]


def _flat(models: Iterable[Spec]) -> tuple[Spec, ...]:
    given: object = models
    if (
        isinstance(given, Spec)
        or not isinstance(given, Iterable)
        or (isinstance(given, np.ndarray) and given.ndim == 0)
    ):
        raise InputError(
            f"models is {shown(models)}: a list of settings such as [BuyAgain(), Ease()] is needed.",
            argument="models",
            code="wrong_type",
        )
    flat: list[Spec] = []
    for model in models:
        flat += model.models if isinstance(model, Fallback) else [model]
    return tuple(flat)


@attrs.frozen
class Fallback(Spec):
    """Models in order: first all items that the first model can recommend, then those of the next, up to k.

    Parameters
    ----------
    models : sequence of Spec
        The models, such as ``[BuyAgain(min_gap=days(20)), Ease(), Popular()]``. Each model keeps its own scores, which
        are comparable within one source only. End with `Popular` if new customers should get a list, too.

    Examples
    --------
    >>> from relmark.recommend import BuyAgain, Popular
    >>> from relmark.recommend import Interactions
    >>> x = Interactions.from_columns(customer_id=["a", "b", "b"], item=["tea", "tea", "cup"])
    >>> recs = Fallback([BuyAgain(), Popular()]).fit(x).recommend(["a", "new customer"], k=2)
    >>> list(zip(recs.item.tolist(), recs.source.tolist()))
    [('tea', 'buy again'), ('cup', 'popular'), ('tea', 'popular'), ('cup', 'popular')]
    """

    kind: ClassVar[str] = "fallback"

    models: tuple[Spec, ...] = attrs.field(converter=_flat)

    @models.validator
    def _check(self, attribute: Any, value: Any) -> None:  # noqa: ARG002
        if not value:
            raise InputError("models is empty: give at least one model.", argument="models", code="empty")
        for model in value:
            if not isinstance(model, Spec):
                raise InputError(
                    f"models has {shown(model)}: settings such as Ease() are needed.",
                    argument="models",
                    code="wrong_type",
                )

    def fit(self, interactions: PurchaseSource, *, as_of: AsOfGiven | None = None) -> FittedFallback:
        """Fit all models on the same interactions; see `Spec.fit`."""
        seen, past, now = remembered(interactions, as_of, "binary", None)
        fitted = tuple(model.fit(seen) for model in self.models)
        return FittedFallback(**shared_fields(self, seen, past, now), models=fitted)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FittedFallback(Composed):
    """Fitted models in the order in which they are used."""

    source: ClassVar[str] = "fallback"
    kinds: ClassVar[tuple[str, ...]] = ("fallback",)

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the models, in order."""
        return tuple(model.source for model in self.models)

    def _scores(self, tier: int, block: Block) -> FloatArray:
        return self.models[tier]._own(block.parts[tier])  # noqa: SLF001

    def _tier_contributions(self, tier: int, block: Block, item: int) -> Contributions:
        return self.models[tier]._contributions(block.parts[tier], item)  # noqa: SLF001

    def _is_fill(self, tier: int, score: FloatArray) -> npt.NDArray[np.bool_]:
        return self.models[tier]._is_fill(0, score)  # noqa: SLF001

    def _reason(self, tier: int, block: Block, item: int) -> str:
        return self.models[tier]._reason(0, block.parts[tier], item)  # noqa: SLF001
