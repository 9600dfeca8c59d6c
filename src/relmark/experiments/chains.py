"""Chains of triggered messages: what each step adds, and what the whole chain does.

A welcome chain of three letters needs two kinds of control. Some people get no letter of it at all: they show what the
chain does. Of the others, some are left out at one step: they show what that step adds, given the rest.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks, shapes
from relmark.core.as_of import AsOfGiven
from relmark.core.assignment import Holdout, refuse_equal_salts, role_seed
from relmark.core.base import CustomerBase
from relmark.core.documents import Definition, Limits, built, check_keys
from relmark.core.errors import InputError
from relmark.core.names import did_you_mean
from relmark.core.results import Result
from relmark.core.shapes import Shape
from relmark.core.spans import Span
from relmark.experiments import _validators
from relmark.experiments._critical import Critical
from relmark.experiments.assignment import Assignment
from relmark.experiments.experiment import Experiment
from relmark.experiments.metrics import Metric
from relmark.experiments.reading import Divisions
from relmark.experiments.report import Report
from relmark.experiments.starts import StartGiven, starts_of

__all__ = ["ChainAssignment", "ChainReport", "TriggerChain"]


def _steps(value: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InputError(
            f"steps is {checks.shown(value)}: a list of names, in order, is needed.",
            argument="steps",
            code="wrong_type",
        )
    steps = tuple(checks.text("a step's name", step) for step in value)
    if not steps or len(set(steps)) < len(steps):
        raise InputError(
            f"steps are {', '.join(map(repr, steps)) or 'empty'}: at least one step is needed, and each name once.",
            argument="steps",
            code="empty",
        )
    return steps


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ChainAssignment(Result):
    """Who gets the chain, and which of its steps.

    Attributes
    ----------
    chain : Assignment
        With the arms "control" (no letter of the chain) and "chain".
    steps : mapping of str to Assignment
        For each step, with the arms "control" (not this letter) and "sent". Customers who get no letter of the chain
        have code -1.
    """

    chain: Assignment
    steps: Mapping[str, Assignment]

    def _facts(self) -> dict[str, Any]:
        return {"customers": len(self.chain.code), **self.chain.counts, "steps": ", ".join(self.steps)}

    def sends(self, step: str) -> npt.NDArray[np.bool_]:
        """Return who is sent the message of a step, shape (n,)."""
        if step not in self.steps:
            raise InputError(
                f"step is {step!r}: it must be one of {', '.join(map(repr, self.steps))}.",
                argument="step",
                code="unknown_name",
            )
        return np.asarray(self.steps[step].arm == "sent")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ChainReport(Result):
    """What the chain does, and what each step adds.

    Attributes
    ----------
    chain : Report
        The chain compared with no letter at all, for everyone whose first trigger fired, from then on.
    steps : mapping of str to Report
        For each step, its letter compared with none at this step, for those who get the chain and reached the step,
        from then on.
    """

    chain: Report
    steps: Mapping[str, Report]

    def _facts(self) -> dict[str, Any]:
        return {"chain": repr(self.chain), "steps": ", ".join(self.steps)}

    def _parts(self) -> list[tuple[str, Report]]:
        return [("the whole chain", self.chain), *((f"step {name}", report) for name, report in self.steps.items())]

    def __str__(self) -> str:
        return "\n\n".join(f"{title}\n{report}" for title, report in self._parts())

    def _repr_html_(self) -> str:
        parts = self._parts()
        return "".join(f"<p>{html.escape(title)}</p>{report._repr_html_()}" for title, report in parts)


@attrs.frozen
class TriggerChain(Definition):
    """A chain of messages that an event of the customer triggers, with control groups at each step and for the whole.

    Parameters
    ----------
    name : str
        The name of the chain.
    steps : sequence of str
        The messages in their order.
    chain_control : float
        The share of customers who get no message of the chain.
    step_control : float
        The share of the others who are left out at each step. Each step has its own draw, with the prefix "step:".
    salt : str, optional
        The key of the hash; the name by default.
    holdout : Holdout, optional
        Customers to whom no campaign is sent.

    Examples
    --------
    >>> chain = TriggerChain("welcome", steps=["hello", "tips"], chain_control=.1, step_control=.2)
    >>> drawn = chain.assign(range(1000))
    >>> drawn.chain.counts, drawn.steps["tips"].counts
    ({'control': 89, 'chain': 911}, {'control': 170, 'sent': 741})
    """

    kind: ClassVar[str] = "trigger_chain"

    name: str = attrs.field(validator=_validators.name)
    steps: Sequence[str] = attrs.field(converter=_steps, kw_only=True)
    chain_control: float = attrs.field(validator=_validators.share, kw_only=True)
    step_control: float = attrs.field(validator=_validators.share, kw_only=True)
    salt: str | None = attrs.field(default=None, validator=_validators.optional(_validators.name), kw_only=True)
    holdout: Holdout | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.instance_of(Holdout)), kw_only=True
    )

    def __attrs_post_init__(self) -> None:
        """Check that the chain and its holdout have different salts."""
        refuse_equal_salts(
            **{"the chain": self.salt, "its holdout": None if self.holdout is None else self.holdout.salt}
        )

    @property
    def whole(self) -> Experiment:
        """The experiment on the chain as a whole."""
        return Experiment(
            self.name,
            arms={"control": self.chain_control, "chain": 1 - self.chain_control},
            salt=self.salt or self.name,
            holdout=self.holdout,
        )

    def step(self, name: str) -> Experiment:
        """Return the experiment on one step, whose arms are drawn among those who get the chain."""
        if name not in self.steps:
            raise InputError(
                f"step is {name!r}: it must be one of {', '.join(map(repr, self.steps))}.",
                argument="step",
                code="unknown_name",
                hint=did_you_mean(name, self.steps),
            )
        return Experiment(
            f"{self.name}/{name}",
            arms={"control": self.step_control, "sent": 1 - self.step_control},
            salt=role_seed("step", self.salt or self.name, name),
        )

    def assign(self, ids: npt.ArrayLike, *, at: AsOfGiven | None = None) -> ChainAssignment:
        """Return who gets the chain, and which of its steps.

        Parameters
        ----------
        ids : array_like of int or str, shape (n,)
            The customers.
        at : date or instant, or one per customer
            When the chain begins; required if the holdout rotates.
        """
        ids = np.asarray(list(ids) if isinstance(ids, range) else ids)
        chain = self.whole.assign(ids, at=at)
        return ChainAssignment(chain=chain, steps={name: self._step_assignment(name, chain) for name in self.steps})

    def _step_assignment(self, name: str, chain: Assignment) -> Assignment:
        drawn = self.step(name).assign(chain.customer_id)
        out = chain.arm != "chain"
        reason = np.where(out, np.where(chain.code < 0, chain.reason, "chain control"), drawn.reason)
        code = np.where(out, -1, drawn.code)
        return attrs.evolve(drawn, code=code, arm=np.where(out, "", drawn.arm), reason=reason)

    def read(
        self,
        base: CustomerBase,
        *,
        reached: Mapping[str, StartGiven] | None = None,
        window: Span,
        metrics: Sequence[Metric] | Metric,
        segments: Divisions | None = None,
        level: float | Critical = 0.95,
    ) -> ChainReport:
        """Read from raw events what the chain does and what each step adds.

        Parameters
        ----------
        base : CustomerBase
            Everyone who could be in the chain.
        reached : mapping of str to dates or instants
            For each step, when each customer's trigger for it fired, whether or not the letter was sent, in the form of
            `start` of `Experiment.read`: aligned with ``base.customer_id`` (NaT for never), or by customer. Control
            needs it too: log the trigger of those who are left out, or different people are compared. By default the
            chain's `message_sent` and `message_withheld` events, as `relmark.campaigns.Chain` plans them, say who was
            in which arm and when.
        window : timedelta or calendar span
            Outcomes count from the trigger on, in ``[start, start + window)``; for the chain, from the first trigger.
        metrics, segments, level
            As for `Experiment.read`.
        """
        rest: dict[str, Any] = {"window": window, "metrics": metrics, "segments": segments, "level": level}
        if reached is None:
            read = {step: self.step(step).read(base, campaign=(self.name, step), **rest) for step in self.steps}
            return ChainReport(chain=self.whole.read(base, campaign=self.name, **rest), steps=read)
        if set(reached) != set(self.steps):
            raise InputError(
                f"reached has {', '.join(map(repr, reached))}: it needs exactly the steps "
                f"{', '.join(map(repr, self.steps))}.",
                argument="reached",
                code="wrong_type",
            )
        first = starts_of(base, reached[self.steps[0]])
        at = None if self.holdout is None or not self.holdout.period else first.given(self.holdout.tz)
        chain = self.whole.assign(base.customer_id, at=at)
        whole = self.whole.read(base, start=first, arms=chain, **rest)
        steps = {}
        for name in self.steps:
            drawn = self._step_assignment(name, chain)
            steps[name] = self.step(name).read(base, start=reached[name], arms=drawn, **rest)
        return ChainReport(chain=whole, steps=steps)

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        return {
            "name": shapes.name(limits.string),
            "steps": shapes.array(shapes.name(limits.string), least=1),
            "chain_control": shapes.number(above=0.0, below=1.0),
            "step_control": shapes.number(above=0.0, below=1.0),
            "salt": shapes.maybe(shapes.name(limits.string)),
            "holdout": shapes.maybe(Holdout.document_shape(limits)),
        }, ("name", "steps", "chain_control", "step_control")

    def _meaning(self) -> dict[str, Any]:
        held = None if self.holdout is None else self.holdout.fingerprint
        return {**super()._meaning(), "salt": self.salt or self.name, "holdout": held}

    def _body(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "steps": list(self.steps),
            "chain_control": self.chain_control,
            "step_control": self.step_control,
            "salt": self.salt,
            "holdout": None if self.holdout is None else self.holdout.to_dict(),
        }

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:
        required = ("name", "steps", "chain_control", "step_control")
        check_keys(body, required=required, optional=("salt", "holdout"), what=cls.kind)
        parts = dict(body)
        if parts.get("holdout") is not None:
            parts["holdout"] = Holdout.from_dict(parts["holdout"], limits)
        return built(cls, parts)
