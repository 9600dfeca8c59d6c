"""A blend of models: their scores are made comparable and added with weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.checks import positive, shown
from relmark.core.errors import InputError
from relmark.recommend._masks import NO, Block
from relmark.recommend.composed import Composed
from relmark.recommend.fallback import Fallback
from relmark.recommend.fitted import Contributions
from relmark.recommend.interactions import PurchaseSource
from relmark.recommend.spec import Spec, remembered, shared_fields

__all__ = ["Blend", "FittedBlend"]

FloatArray = npt.NDArray[np.float32]


def _pairs(models: Mapping[Spec, float] | Iterable[tuple[Spec, float]]) -> tuple[tuple[Spec, float], ...]:
    pairs = models.items() if isinstance(models, Mapping) else models
    try:
        return tuple((model, float(weight)) for model, weight in pairs)
    except (TypeError, ValueError):
        raise InputError(
            f"models is {shown(models)}: a mapping of model to weight is needed.", argument="models", code="wrong_type"
        ) from None


@attrs.frozen
class Blend(Spec):
    """A weighted sum of several models whose scores are first scaled to 0 to 1 for each customer.

    Parameters
    ----------
    models : mapping of model to float
        The models with their weights, such as ``{Ease(): 1.0, BuyAgain(): 0.5}``; weights are above 0.

    Notes
    -----
    Each model gives 1 to the best candidate of a customer and 0 to the worst. An item that a model cannot score gets 0
    from it. Items that no model can score are ranked by popularity.

    Examples
    --------
    >>> from relmark.recommend import BuyAgain, Ease
    >>> Blend({Ease(regularization=1.0): 1.0, BuyAgain(half_life=None): 0.5}).models[1][1]
    0.5
    """

    kind: ClassVar[str] = "blend"

    models: tuple[tuple[Spec, float], ...] = attrs.field(converter=_pairs)

    @models.validator
    def _check(self, attribute: Any, value: Any) -> None:  # noqa: ARG002
        if not value:
            raise InputError(
                "models is empty: give at least one model with its weight.", argument="models", code="empty"
            )
        for model, weight in value:
            if not isinstance(model, Spec) or isinstance(model, Fallback):
                raise InputError(
                    f"models has {shown(model)}: settings such as Ease(), other than a Fallback, are needed.",
                    argument="models",
                    code="wrong_type",
                )
            positive("a weight of models", weight)

    def fit(self, interactions: PurchaseSource, *, as_of: AsOfGiven | None = None) -> FittedBlend:
        """Fit all models on the same interactions; see `Spec.fit`."""
        seen, past, now = remembered(interactions, as_of, "binary", None)
        fitted = tuple(model.fit(seen) for model, _ in self.models)
        return FittedBlend(**shared_fields(self, seen, past, now), models=fitted)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FittedBlend(Composed):
    """Fitted models whose scores are added with the weights of the settings."""

    source: ClassVar[str] = "blend"
    kinds: ClassVar[tuple[str, ...]] = ("blend",)

    def _own(self, block: Block) -> FloatArray:
        total = np.full((len(block), len(self.item)), NO, dtype=np.float32)
        for (_, weight), scores in zip(self.spec.models, self._unit(block), strict=True):
            said = scores != NO
            np.maximum(total, np.float32(0.0), out=total, where=said)
            np.add(total, np.float32(weight) * scores, out=total, where=said)
        return total

    def _unit(self, block: Block) -> Iterator[FloatArray]:
        """Yield each model's scores: 1 for a row's best candidate, 0 for its worst, and 1 for a single candidate."""
        for model, part in zip(self.models, block.parts, strict=True):
            scores = model._own(part)  # noqa: SLF001
            high = scores.max(axis=1, keepdims=True, initial=NO)
            low = np.where(scores == NO, np.inf, scores).min(axis=1, keepdims=True, initial=np.inf)
            spread = high - low
            with np.errstate(invalid="ignore"):
                unit = np.where(spread > 0, (scores - low) / np.where(spread > 0, spread, 1.0), 1.0)
            yield np.where(scores == NO, NO, unit).astype(np.float32)

    def _parts_of(self, block: Block, item: int) -> npt.NDArray[np.float64]:
        """Return what each model adds to the score of an item; -inf if it cannot score the item."""
        parts = [float(scores[0, item]) for scores in self._unit(block)]
        return np.array([weight * part for (_, weight), part in zip(self.spec.models, parts, strict=True)])

    def _contributions(self, block: Block, item: int) -> Contributions:
        parts = self._parts_of(block, item)
        return [model.source for model in self.models], np.where(parts == NO, 0.0, parts)

    def _reason(self, tier: int, block: Block, item: int) -> str:
        if tier > 0:
            return "popular"
        best = int(np.argmax(self._parts_of(block, item)))
        return self.models[best]._reason(0, block.parts[best], item)  # noqa: SLF001
