"""The experiment: a campaign with its control group, from plan to decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self, Unpack

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks, shapes
from relmark.core.as_of import AsOfGiven
from relmark.core.assignment import (
    Arms,
    Holdout,
    Layer,
    check_arms,
    copied,
    known_ids,
    refuse_equal_salts,
)
from relmark.core.base import CustomerBase, Measurable
from relmark.core.documents import Definition, Limits, built, check_keys, pairs_of
from relmark.core.errors import InputError
from relmark.core.namespaces import Namespace
from relmark.core.shapes import Shape
from relmark.core.spans import Span, check_span
from relmark.core.time import Instant
from relmark.experiments import _validators
from relmark.experiments._critical import Critical
from relmark.experiments.analysis import analyze
from relmark.experiments.assignment import (
    HASHES,
    Assignment,
    buckets_of,
    control_among,
    make_assignment,
    one_bucket,
    plain_ids,
)
from relmark.experiments.balancing import balance
from relmark.experiments.campaign_events import CampaignNamed, campaign_starts
from relmark.experiments.design import DesignArgs
from relmark.experiments.metrics import Metric, check_metrics
from relmark.experiments.plans import Plan, make_plan
from relmark.experiments.reading import Divisions, Figures, read_figures, segment_labels
from relmark.experiments.report import Report
from relmark.experiments.soundness import contamination
from relmark.experiments.starts import StartGiven, Starts, starts_of
from relmark.experiments.windows import Progress, progress_of

__all__ = ["Experiment", "Known", "figures_of"]

_REASONS = np.array(["", "holdout", "layer", "namespace", "coverage", "no id"])


def _arms(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    check_arms(value, attribute.name)


@attrs.frozen
class Experiment(Definition):
    """A campaign with its control group.

    Parameters
    ----------
    name : str
        The name of the campaign.
    arms : mapping of str to float
        The arms' shares, which sum to 1, in this order along the hash.
    salt : str, optional
        The key of the hash; the name by default. Another salt draws other people: give each campaign its own.
    coverage : float
        The share of customers who are in the test at all. Raising it later adds people and moves nobody.
    holdout : Holdout, optional
        Customers to whom no campaign is sent.
    layer : Layer, optional
        A group of campaigns of which each customer gets at most one; this campaign's name must be one of them.
    control : str, optional
        The arm that the others are compared with. The default is "control" if there is such an arm, otherwise the
        first.
    namespace : Namespace, optional
        The range of a GrowthBook namespace in which the test runs.
    hash : {"growthbook", "growthbook-1", "sha256"}
        The hash that draws the arms: version 2 or 1 of GrowthBook's, or one that a warehouse can reproduce.

    Examples
    --------
    >>> test = Experiment("spring", arms={"control": .1, "mail": .9}, salt="2026-spring")
    >>> test.assign(["c1", "c2", "c3"]).arm.tolist()
    ['mail', 'mail', 'control']
    >>> test.arm_of("c1")
    'mail'
    """

    kind: ClassVar[str] = "experiment"

    name: str = attrs.field(validator=_validators.name)
    arms: Mapping[str, float] = attrs.field(converter=copied, validator=_arms, kw_only=True)
    salt: str | None = attrs.field(default=None, validator=_validators.optional(_validators.name), kw_only=True)
    coverage: float = attrs.field(default=1.0, validator=_validators.within(above=0.0, high=1.0), kw_only=True)
    holdout: Holdout | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.instance_of(Holdout)), kw_only=True
    )
    layer: Layer | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.instance_of(Layer)), kw_only=True
    )
    namespace: Namespace | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.instance_of(Namespace)), kw_only=True
    )
    control: str | None = attrs.field(default=None, kw_only=True)
    hash: str = attrs.field(default="growthbook", validator=_validators.one_of(*HASHES), kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Check that the fields agree with each other."""
        if self.control is not None and self.control not in self.arms:
            raise InputError(
                f"control is {self.control!r}: the arms are {', '.join(map(repr, self.arms))}.",
                argument="control",
                code="unknown_name",
            )
        refuse_equal_salts(
            **{
                "the experiment": self.salt,
                "its layer": None if self.layer is None else self.layer.salt,
                "its holdout": None if self.holdout is None else self.holdout.salt,
            }
        )
        others = [part for part in (self.layer, self.holdout, self.namespace) if part is not None]
        if any(part.seed == (self.salt or self.name) for part in others):
            raise InputError(
                f"salt is {self.salt or self.name!r}, which is also the seed of another draw (layer, holdout or "
                "namespace): give the experiment its own salt.",
                argument="salt",
                code="duplicate",
            )
        if self.layer is not None:
            self.layer.range_of(self.name)

    @property
    def drawn(self) -> Arms:
        """The arms along the hash."""
        return Arms(self.arms, self.coverage)

    @property
    def control_arm(self) -> str:
        """The arm that the others are compared with."""
        return control_among(self.arms, self.control)

    def assign(self, ids: npt.ArrayLike, *, at: AsOfGiven | None = None) -> Assignment:
        """Return the arm of each customer.

        Parameters
        ----------
        ids : array_like of int or str, shape (n,)
            The customers.
        at : date or instant, or one per customer
            When the campaign runs; required if the holdout rotates.

        Returns
        -------
        Assignment
            Customers who have an empty id, are in the holdout, in another campaign of the layer, outside the namespace
            or beyond the coverage have code -1 and a reason.

        Notes
        -----
        The same id gets the same arm in every process and language that has the hash. The cost is linear, and no state
        is kept.
        """
        array = plain_ids(ids)
        code = self.drawn.codes(buckets_of(array, self.salt or self.name, self.hash))
        known = known_ids(array)
        if self.layer is None and self.holdout is None and self.namespace is None and self.coverage == 1:
            code = np.where(known, code, -1)
            return make_assignment(array, code, _REASONS[np.where(known, np.where(code < 0, 4, 0), 5)], self.arms)
        why = np.where(code < 0, 4, 0)
        if self.namespace is not None:
            why[~self.namespace.members(array)] = 3
        if self.layer is not None:
            why[~self.layer.members(array, self.name)] = 2
        if self.holdout is not None:
            why[self.holdout.members(array, at=at)] = 1
        why[~known] = 5
        return make_assignment(array, np.where(why > 0, -1, code), _REASONS[why], self.arms)

    def arm_of(self, customer_id: int | str, *, at: Instant | None = None) -> str | None:
        """Return the arm of one customer, or None if they are outside the test; as `assign`, but in microseconds."""
        if customer_id == "":
            return None
        if self.holdout is not None and self.holdout.holds(customer_id, at=at):
            return None
        if self.layer is not None and not self.layer.has(customer_id, self.name):
            return None
        if self.namespace is not None and not self.namespace.has(customer_id):
            return None
        return self.drawn.of_bucket(one_bucket(self.salt or self.name, self.hash)(customer_id))

    def plan(
        self,
        metric: Metric,
        *,
        mde: float | None = None,
        difference: float | None = None,
        margin: float | None = None,
        power: float = 0.8,
        people_per_day: float | None = None,
        **design: Unpack[DesignArgs],
    ) -> Plan:
        """Return how many people the test needs, how long that takes, and the power of other sizes.

        Parameters
        ----------
        metric : Proportion, Mean or Ratio
            The metric, with `baseline`, and for means and ratios with `sd`.
        mde, difference, margin : float, optional
            The smallest relative effect worth finding (.1 is ten percent more), the same in the metric's unit, or the
            loss that would still be acceptable, as for `sample_size`.
        power : float
            The chance of finding it.
        people_per_day : float, optional
            How many people arrive per day, before `coverage` is applied.
        **design
            Keyword arguments of `Design` other than the arms: level, explained, cluster_size, intraclass_correlation.

        Examples
        --------
        >>> from relmark.experiments import Proportion
        >>> test = Experiment("spring", arms={"control": .1, "mail": .9})
        >>> test.plan(Proportion("bought", baseline=.02), mde=.1, people_per_day=20_000).days
        23.0
        """
        pace = None if people_per_day is None else checks.positive("people_per_day", people_per_day) * self.coverage
        own: DesignArgs = {"arms": self.arms, "control": self.control_arm}
        rules: DesignArgs = {**own, **design}
        goal = {"mde": mde, "difference": difference, "margin": margin}
        return make_plan(metric, goal, power_wanted=power, people_per_day=pace, design=rules)

    def read(
        self,
        base: CustomerBase,
        *,
        start: StartGiven | Starts | None = None,
        campaign: CampaignNamed | None = None,
        window: Span,
        metrics: Sequence[Metric] | Metric,
        segments: Divisions | None = None,
        received: Measurable | None = None,
        arms: Assignment | npt.ArrayLike | None = None,
        level: float | Critical = 0.95,
    ) -> Report:
        """Read the campaign's effects from raw events.

        Parameters
        ----------
        base : CustomerBase
            Everyone who could be in the test. Their arms come from the hash, unless `arms` or `campaign` is given.
        start : date or instant, a column of them, or mapping of id to date or instant
            When the campaign began: one start for all, a column aligned with ``base.customer_id`` (NaT for customers
            who never started), or a mapping by customer (those not in it never started). A date means its first local
            instant; times without a zone are local times of the base.
        campaign : str, or pair of str, optional
            In place of `start` and `arms`: the name of a campaign, or of a chain and its step. Each customer's first
            `message_sent` or `message_withheld` event of it gives their start and their arm. So exactly those who would
            have got the message are compared, whether or not it was delivered.
        window : timedelta, or a span such as ``calendar_days(14)`` or ``months(1)``
            Outcomes count in ``[start, start + window)``; whole days from a date are local days.
        metrics : sequence of Proportion, Mean or Ratio
            Metrics with `of`, an expression that sees only the events of the window. With `before`, the same expression
            over ``[start - before, start)`` becomes a covariate.
        segments : sequence of Segment, or mapping of str to Segment, expression or labels, optional
            Divisions of the people, evaluated just before the start, so that a message of the campaign itself is not
            seen.
        received : expression, optional
            Whether the campaign reached a person; used to check that control did not receive it.
        arms : Assignment, or array_like of str aligned with ``base.customer_id``, optional
            The arms that the campaign tool recorded, if they are not those of the hash; empty for customers outside the
            test. An Assignment is matched by its customers.
        level : float or ConfidenceSequence
            The confidence level of the intervals, or a sequence that keeps it no matter how often you look.

        Returns
        -------
        Report
            The effects, with checks of the sample ratio, the window, balance before the start, and contamination.
            Customers who never started, are in a holdout, or whose window has not ended by the end of the log are
            counted in `excluded`.

        Notes
        -----
        Events that carry a day without a time are assigned by day. If a start lies within a day, such events of that
        day are on neither side, and a note counts them.

        Examples
        --------
        >>> from relmark import CustomerBase, days, event
        >>> from relmark.experiments import Mean
        >>> orders = {"user": [1, 2, 3, 4], "day": ["2026-05-01", "2026-05-02", "2026-05-01", "2026-05-15"],
        ...           "paid": [20.0, 10.0, 12.0, 8.0]}
        >>> base = CustomerBase.from_orders(orders, customer_id="user", time="day", value="paid")
        >>> test = Experiment("spring", arms={"control": .5, "mail": .5})
        >>> report = test.read(base, start="2026-05-01", window=days(14), arms=["mail", "control"] * 2,
        ...                    metrics=[Mean("spend", of=event("purchase").sum())])
        >>> report.effect("spend").treatment, report.effect("spend").control
        (16.0, 5.0)
        """
        known = figures_of(
            self, base, start=start, campaign=campaign, window=window, metrics=metrics, received=received, arms=arms
        )
        found, assigned, progress = known.found, known.assigned, known.progress
        labels = segment_labels(base, known.starts, segments)
        report = analyze(
            found.columns,
            assigned,
            metrics=found.metrics,
            control=self.control_arm,
            segments=labels,
            level=level,
        )
        done = [*report.checks, progress.check]
        before = [name for metric in found.metrics for name in metric.columns if name.endswith(" before")]
        if before:
            names = tuple(dict.fromkeys(before))
            done.append(balance(report.source.blocks[0][1], columns=names, control=self.control_arm).check())
        if received is not None:
            done.append(contamination(assigned, found.columns["received"], control=self.control_arm))
        notes = (*report.notes, *progress.notes, *found.notes)
        return attrs.evolve(report, checks=tuple(done), notes=notes)

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        return {
            "name": shapes.name(limits.string),
            "arms": shapes.array(shapes.pair(shapes.name(limits.string), shapes.number(above=0.0, below=1.0)), least=2),
            "salt": shapes.maybe(shapes.name(limits.string)),
            "coverage": shapes.number(above=0.0, high=1.0),
            "holdout": shapes.maybe(Holdout.document_shape(limits)),
            "layer": shapes.maybe(Layer.document_shape(limits)),
            "namespace": shapes.maybe(Namespace.document_shape(limits)),
            "control": shapes.maybe(shapes.name(limits.string)),
            "hash": shapes.one_of(*HASHES),
        }, ("name", "arms")

    def _meaning(self) -> dict[str, Any]:
        body = super()._meaning()
        parts = {key: getattr(self, key) for key in ("holdout", "layer", "namespace")}
        share = None if self.layer is None else list(self.layer.range_of(self.name))
        return {
            **body,
            **{key: None if part is None else part.fingerprint for key, part in parts.items()},
            "salt": self.salt or self.name,  # without a salt, the name is the key of the hash
            "share": share,
        }

    def _body(self) -> dict[str, Any]:
        return {
            # A list keeps the order of the arms, which decides who is in which.
            "name": self.name,
            "arms": [[arm, share] for arm, share in self.arms.items()],
            "salt": self.salt,
            "coverage": self.coverage,
            "holdout": None if self.holdout is None else self.holdout.to_dict(),
            "layer": None if self.layer is None else self.layer.to_dict(),
            "namespace": None if self.namespace is None else self.namespace.to_dict(),
            "control": self.control,
            "hash": self.hash,
        }

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:
        optional = ("salt", "coverage", "holdout", "layer", "namespace", "control", "hash")
        check_keys(body, required=("name", "arms"), optional=optional, what=cls.kind)
        parts = dict(body)
        parts["arms"] = pairs_of(body["arms"], "$.arms")
        for key, of in (("holdout", Holdout), ("layer", Layer), ("namespace", Namespace)):
            if parts.get(key) is not None:
                parts[key] = of.from_dict(parts[key], limits)
        return built(cls, parts)


class Known(NamedTuple):
    """What was read about a test: who is in which arm, since when, and the figures of everyone."""

    starts: Starts
    assigned: Assignment
    found: Figures
    progress: Progress


def figures_of(
    experiment: Experiment,
    base: CustomerBase,
    *,
    start: StartGiven | Starts | None = None,
    campaign: CampaignNamed | None = None,
    window: Span,
    metrics: Sequence[Metric] | Metric,
    received: Measurable | None = None,
    arms: Assignment | npt.ArrayLike | None = None,
) -> Known:
    """Return the arms and the figures of everyone in a base, as `Experiment.read` compares them."""
    specs = check_metrics(metrics)
    check_span("window", window)
    if campaign is not None:
        if start is not None or arms is not None:
            raise InputError(
                "campaign is given together with start or arms: the events of the campaign already say both.",
                argument="campaign",
                code="conflicting_arguments",
            )
        starts, arms = campaign_starts(base, campaign, tuple(experiment.arms), experiment.control_arm)
    elif start is None:
        raise InputError(
            "start is missing: say when the campaign began, or give campaign= to read it from messages.",
            argument="start",
            code="missing_argument",
        )
    else:
        starts = starts_of(base, start)
    assigned = _assigned(experiment, base, starts, arms).leaving_out("not started", ~starts.known)
    progress = progress_of(base, starts, window, assigned.code >= 0)
    assigned = assigned.leaving_out("window in progress", progress.left_out)
    found = read_figures(base, starts, window, specs, received=received, inside=assigned.code >= 0)
    return Known(starts, assigned, found, progress)


def _assigned(
    experiment: Experiment, base: CustomerBase, starts: Starts, arms: Assignment | npt.ArrayLike | None
) -> Assignment:
    """Return the arm of each customer of a base: the one of the hash, or the one recorded."""
    if arms is None:
        holdout = experiment.holdout
        at = starts.given(holdout.tz) if holdout is not None and holdout.period else None
        return experiment.assign(base.customer_id, at=at)
    if not isinstance(arms, Assignment):
        return Assignment.recorded(base.customer_id, arms, experiment.arms)
    strange = [arm for arm in arms.arms if arm not in experiment.arms]
    if strange:
        raise InputError(
            f"arms has an arm {strange[0]!r}: the arms of {experiment.name!r} are "
            f"{', '.join(map(repr, experiment.arms))}.",
            argument="arms",
            code="unknown_name",
        )
    return arms.aligned(base.customer_id)
