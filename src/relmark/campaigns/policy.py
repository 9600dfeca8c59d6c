"""A contact policy: which of many campaigns may send a message to whom now, and on which channel; stored as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar, Self

import attrs

from relmark.campaigns.campaign import Campaign, Chain, Entry, for_later
from relmark.campaigns.caps import Cap
from relmark.campaigns.contact_plan import ContactPlan, Names, plan_of
from relmark.campaigns.everybody import evaluate_everybody
from relmark.campaigns.json_schema import MOST, policy_definitions, policy_shape
from relmark.campaigns.person import PolicyProgram, logged_of
from relmark.campaigns.person_plan import PersonPlan, plan_of_person
from relmark.campaigns.quiet_hours import QuietHours
from relmark.campaigns.replay import Replay, replayed
from relmark.campaigns.sent import SENT, WITHHELD
from relmark.core.as_of import AsOf
from relmark.core.assignment import Holdout, refuse_equal_salts
from relmark.core.base import CustomerBase
from relmark.core.checked import CheckedDefinition, CheckResult
from relmark.core.checks import shown, text, whole
from relmark.core.documents import Definition, JsonBody, Limits, check_keys
from relmark.core.errors import DefinitionError, InputError, definition_error
from relmark.core.events import Customer, Event, Message, Purchase, Visit
from relmark.core.log import EventLog
from relmark.core.names import did_you_mean
from relmark.core.problems import Problem
from relmark.core.schema import Schema
from relmark.core.shapes import Shape
from relmark.core.spans import length
from relmark.core.time import Instant, aware, duration, duration_text, hours, parse_duration
from relmark.expressions.checked import UNKNOWN_WITHOUT_SCHEMA, part_problems
from relmark.expressions.history import CustomerHistory
from relmark.expressions.kept import Kept
from relmark.expressions.kinds import check_on_data, problems, rule_problems
from relmark.expressions.literals import plain_text
from relmark.expressions.needs import Needs
from relmark.expressions.operators import Expression
from relmark.expressions.scalar import Person
from relmark.expressions.scalar_calendar import Dated
from relmark.expressions.scalar_person import point_in_time
from relmark.expressions.stored import read, read_all, written

__all__ = ["ContactPolicy"]

AnyEvent = Event | Purchase | Message | Visit
_HOUR = hours(1)
_LOGGED = ("arm", "campaign", "category", "channel", "step")
_KEPT: Kept[PolicyProgram] = Kept(64)


def _named(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
    plain_text("name", text("name", value))


def _described(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
    plain_text("description", text("description", value, empty=True))


def _listed(name: str, values: Any, kinds: tuple[type, ...]) -> tuple[Any, ...]:
    said = " and ".join(f"{kind.__name__}s" for kind in kinds)
    if isinstance(values, (*kinds, str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise InputError(f"{name} is {shown(values)}; it must be a list of {said}.", argument=name, code="wrong_type")
    given = tuple(values)
    for one in given:
        if not isinstance(one, kinds):
            raise InputError(f"{name} has {shown(one)}; it must be a list of {said}.", argument=name, code="wrong_type")
    if len(given) > MOST:
        raise InputError(
            f"{name} has {len(given):,} members; at most {MOST} are allowed.", argument=name, code="too_many"
        )
    return given


def _campaigns(values: Iterable[Entry]) -> tuple[Entry, ...]:
    return _listed("campaigns", values, (Campaign, Chain))


def _caps(values: Iterable[Cap]) -> tuple[Cap, ...]:
    return _listed("caps", values, (Cap,))


def _read_channels(name: str, value: Any) -> dict[str, Expression | None]:
    if not isinstance(value, Mapping):
        raise InputError(
            f"{name} is {shown(value)}; it must be a mapping of channel names to rules, with None for a channel that "
            "is open to everybody.",
            argument=name,
            code="wrong_type",
        )
    if len(value) > MOST:
        raise InputError(
            f"{name} has {len(value):,} members; at most {MOST} are allowed.", argument=name, code="too_many"
        )
    for channel, rule in value.items():
        plain_text(name, text(name, channel))
        if rule is not None:
            for_later(name, rule)
    return dict(value)


def _channels(value: Mapping[str, Expression | None]) -> dict[str, Expression | None]:
    return _read_channels("channels", value)


def _transactional(value: Mapping[str, Expression | None] | None) -> dict[str, Expression | None]:
    return {} if value is None else _read_channels("transactional_channels", value)


def _prefer(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
    if value is not None:
        for_later("prefer", value, rule=False)


def _is_a(kind: type) -> Any:
    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
        if value is not None and not isinstance(value, kind):
            raise InputError(
                f"{attribute.name} is {shown(value)}; it must be a {kind.__name__}.",
                argument=attribute.name,
                code="wrong_type",
            )

    return check


@attrs.frozen(eq=False, repr=False)
class ContactPolicy(Definition):
    """Which message may go to whom now: campaigns by priority, channels, caps, quiet hours and control groups.

    Nothing is sent, stored or timed here. What you send comes back as `message_sent` and `message_withheld` events, and
    that log is the only state.

    Parameters
    ----------
    name : str
        The name of the policy.
    campaigns : list of Campaign and Chain
        The campaigns in order of priority: if two want to reach one person, the first one wins.
    channels : mapping of str to rule
        For each channel, a rule that says who may get messages on it; a person for whom the rule is unknown may not.
        With None, the channel is open to everybody.
    transactional_channels : mapping of str to rule, optional
        Other rules of channels for transactional messages, which do not need marketing consent.
    caps : list of Cap
        Limits on the number of messages per person. Messages sent and withheld count; transactional messages count only
        if they have ``counts=True``.
    gap : timedelta or None
        The least time between two marketing messages of different evaluations; exactly that long is enough.
    quiet : QuietHours, optional
        The hours in which marketing messages wait.
    holdout : Holdout, optional
        People to whom no marketing message is sent.
    prefer : expression, optional
        The name of each person's best channel. It is tried first if the campaign uses it.
    at_most : int
        The largest number of marketing messages for one person at one instant.
    description : str
        A text for people; it does not change what the policy does.

    Examples
    --------
    >>> from relmark import Customer, Event, days, event, field
    >>> policy = ContactPolicy("shop", campaigns=[
    ...     Campaign("basket", trigger=event("cart"), channels=["push", "email"]),
    ...     Campaign("news", channels=["email"], again=days(7))],
    ...     channels={"email": field("email").not_null(), "push": field("push") == True},
    ...     caps=[Cap(1, per="day")], quiet=QuietHours("21:00", "09:00"))
    >>> print(policy.one(Customer("c1", {"email": "a@b.c", "push": False}), [Event("c1", "cart", "2026-11-02T09:30Z")],
    ...                  as_of="2026-11-02T10:00Z"))
    shop, as of 2026-11-02 10:00 (UTC): customer c1
      send basket by email: after cart
      hold news: behind basket
      ask again at 2026-11-02 21:00
    """

    kind: ClassVar[str] = "contact_policy"
    version: ClassVar[int] = 1

    name: str = attrs.field(validator=_named)
    campaigns: tuple[Entry, ...] = attrs.field(converter=_campaigns, kw_only=True)
    channels: Mapping[str, Expression | None] = attrs.field(converter=_channels, kw_only=True)
    transactional_channels: Mapping[str, Expression | None] = attrs.field(
        default=None, converter=_transactional, kw_only=True
    )
    caps: tuple[Cap, ...] = attrs.field(default=(), converter=_caps, kw_only=True)
    gap: timedelta | None = attrs.field(default=_HOUR, kw_only=True)
    quiet: QuietHours | None = attrs.field(default=None, validator=_is_a(QuietHours), kw_only=True)
    holdout: Holdout | None = attrs.field(default=None, validator=_is_a(Holdout), kw_only=True)
    prefer: Expression | None = attrs.field(default=None, validator=_prefer, kw_only=True)
    at_most: int = attrs.field(default=1, kw_only=True)
    description: str = attrs.field(default="", validator=_described, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Check that the parts agree with each other."""
        whole("at_most", self.at_most, low=1)
        if self.gap is not None:
            duration("gap", self.gap)
        for name, values in (("campaigns", self.campaigns), ("channels", self.channels)):
            if not values:
                raise InputError(f"{name} is empty: a policy needs at least one.", argument=name, code="empty")
        names: set[str] = set()
        for one in self.campaigns:
            if one.name in names:
                raise InputError(
                    f"campaigns has the name {one.name!r} twice: give each campaign a different name.",
                    argument="campaigns",
                    code="duplicate",
                )
            names.add(one.name)
            for channel in one.channels:
                self._known(channel, f"campaign {one.name!r}", "campaigns")
        for channel in self.transactional_channels:
            self._known(channel, "transactional_channels", "transactional_channels")
        for cap in self.caps:
            if cap.channel is not None:
                self._known(cap.channel, f"{cap!r}", "caps")
            if cap.campaign is not None and cap.campaign not in names:
                raise InputError(
                    f"{cap!r} names the campaign {cap.campaign!r}, but campaigns has {', '.join(map(repr, names))}.",
                    argument="caps",
                    code="unknown_name",
                    hint=did_you_mean(cap.campaign, names).strip(),
                )
        salts = {f"campaign {one.name!r}": one.salt or one.name for one in self.campaigns if one.control is not None}
        salts |= {} if self.holdout is None else {"the holdout": self.holdout.salt}
        refuse_equal_salts(**salts)

    def _known(self, channel: str, who: str, argument: str) -> None:
        if channel not in self.channels:
            raise InputError(
                f"{who} names the channel {channel!r}, but channels has {', '.join(map(repr, self.channels))}.",
                argument=argument,
                code="unknown_name",
                hint=did_you_mean(channel, self.channels).strip(),
            )

    def __repr__(self) -> str:
        return (
            f"ContactPolicy({self.name!r}, {len(self.campaigns)} campaigns, {len(self.channels)} channels, "
            f"{len(self.caps)} caps)"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ContactPolicy) and self._body() == other._body()

    def __hash__(self) -> int:
        return hash((self.name, self.fingerprint))

    # Everybody

    def evaluate(
        self, base: CustomerBase, *, as_of: Instant, pending: EventLog | Iterable[AnyEvent] | None = None
    ) -> ContactPlan:
        """Plan who gets a message now, by which campaign and on which channel.

        Parameters
        ----------
        base : CustomerBase
            The customers and their log, which includes the messages that were sent and withheld before.
        as_of : instant
            The instant that counts as now. Rules see nothing after it, and messages of the log count up to and
            including this instant.
        pending : EventLog or iterable of Event, optional
            Messages on their way that the log does not have yet.

        Returns
        -------
        ContactPlan
            One row per message, and `held` with one row per message that was due and is held.

        Raises
        ------
        InputError
            If one instant per customer is given, or `prefer` does not give strings.
        MissingColumnError
            If a rule uses a field that the customers do not have.

        Notes
        -----
        Rules run once over everybody. Everything else is done only on the rows for which a campaign is due.
        """
        for path, expression, is_rule in self._tests():
            check_on_data(expression, base, rule=is_rule, path=path, segments=())
        if pending is not None:
            more = pending if isinstance(pending, EventLog) else EventLog.from_events(pending)
            base = attrs.evolve(base, events=base.events.append(more))
        return self._evaluated(base, self._moment(base, as_of))

    @staticmethod
    def _moment(base: CustomerBase, as_of: Any) -> AsOf:
        moment = base.as_of(as_of)
        if moment.each:
            raise InputError(
                "as_of has one instant per customer, but a policy is evaluated at one instant for everybody.",
                argument="as_of",
                code="wrong_type",
            )
        return moment

    def _evaluated(self, base: CustomerBase, moment: AsOf) -> ContactPlan:
        messages, held = evaluate_everybody(self, base, moment)
        return plan_of(messages, held, self._names, base.customer_id, moment.given)

    def replay(self, base: CustomerBase, *, start: Instant, end: Instant, every: timedelta) -> Replay:
        """Run the policy repeatedly over a period of the past, and return what it would have sent.

        Parameters
        ----------
        base : CustomerBase
            The customers and their log. Messages of the log from `start` on are replaced by those of the policy.
        start, end : date or instant
            The policy runs at start, start + every, and so on, before end.
        every : timedelta
            The time between two runs.

        Returns
        -------
        Replay
            The messages by campaign, channel and day, the contacts per person, and what was held and why.

        Notes
        -----
        This forecasts the number of messages, not their effect: purchases and visits stay as they are in the log.
        """
        for path, expression, is_rule in self._tests():
            check_on_data(expression, base, rule=is_rule, path=path, segments=())
        return replayed(self._evaluated, base, start=start, end=end, every=every, name=self.name)

    # One person

    def one(
        self,
        customer: Customer | CustomerHistory | None,
        events: Iterable[AnyEvent] | None = None,
        *,
        as_of: Instant,
        tz: str | None = None,
    ) -> PersonPlan:
        """Plan what one person gets now, what is held and why, and when to ask again.

        Parameters
        ----------
        customer : Customer, CustomerHistory or None
            The person; None if only the events are known. A `CustomerHistory` contains the events.
        events : iterable of Event
            What the person did and was sent, in any order. Leave it out with a `CustomerHistory`.
        as_of : instant
            The instant that counts as now.
        tz : str, optional
            The person's time zone. By default, it is that of the history, or UTC.

        Notes
        -----
        A campaign with a limit ranks people. Its message is marked `limited`: it is due unless the limit leaves this
        person out.
        """
        if not isinstance(customer, CustomerHistory):
            if events is None:
                raise InputError(
                    "events is missing: pass the customer's events ([] if there are none), or a CustomerHistory.",
                    argument="events",
                    code="missing_argument",
                )
            customer = CustomerHistory(customer, events)
        elif events is not None:
            raise InputError(
                "events is given together with a CustomerHistory, which has its own events: add them to the history.",
                argument="events",
                code="conflicting_arguments",
            )
        zone = customer.zone(tz)
        at = point_in_time(as_of, zone)
        if at.__class__ is Dated:  # messages count up to and including midnight, which a rule as of a date does not see
            sent = logged_of(self, customer.person(aware(int(at)), zone))
            who = customer.person(as_of, zone)
        else:
            who = customer.person(as_of, zone)
            sent = logged_of(self, who)
        return plan_of_person(self, self._program(zone), who, sent)

    def explain(self, base: CustomerBase, customer_id: int | str, *, as_of: Instant) -> PersonPlan:
        """Return what `one` returns, for one customer of a base and in their time zone."""
        moment = self._moment(base, as_of)
        who = Person.from_base(base, customer_id, as_of=as_of)
        zone = base.tz_of(customer_id)
        seen = who
        if moment.dated:
            seen = Person.from_base(base, customer_id, as_of=aware(int(who.as_of)))
        return plan_of_person(self, self._program(zone), who, logged_of(self, seen))

    def _program(self, tz: str) -> PolicyProgram:
        found = self._programs.get(tz)
        if found is None:
            found = self._programs[tz] = _KEPT.get((self._key, tz), lambda: PolicyProgram(self, tz))
        return found

    @cached_property
    def _key(self) -> str:
        return self.to_json()

    @cached_property
    def _programs(self) -> dict[str, PolicyProgram]:
        return {}

    @cached_property
    def _places(self) -> dict[str | None, int]:
        return {one.name: place for place, one in enumerate(self.campaigns)}

    @cached_property
    def _names(self) -> Names:
        return Names(
            policy=self.name,
            entries=tuple(one.name for one in self.campaigns),
            steps=tuple(tuple(step.name for step in one.steps) for one in self.campaigns),
            channels=tuple(self.channels),
            categories=tuple(one.category for one in self.campaigns),
            reasons=tuple(_reason(one) for one in self.campaigns),
        )

    @property
    def gap_size(self) -> int:
        """The length of `gap` in microseconds; 0 if there is none."""
        return 0 if self.gap is None else length(self.gap)

    def condition(self, channel: str, *, transactional: bool) -> Expression | None:
        """Return the rule of a channel for marketing or transactional messages; None if it is open to everybody."""
        if transactional and channel in self.transactional_channels:
            return self.transactional_channels[channel]
        return self.channels[channel]

    def experiment(self, campaign: str) -> dict[str, Any]:
        """Return the arguments of `relmark.experiments.Experiment` for a campaign's control group.

        ``Experiment(**policy.experiment("basket"))`` draws everybody into the arms "control" and "sent" exactly like
        this policy, and its ``read(base, campaign="basket", ...)`` reads the results from the events.

        Raises
        ------
        InputError
            If there is no such campaign, or it has no control group.
        """
        if campaign not in self._places:
            raise InputError(
                f"campaign is {shown(campaign)}, but the policy has {', '.join(map(repr, self._names.entries))}.",
                argument="campaign",
                code="unknown_name",
                hint=did_you_mean(str(campaign), self._names.entries).strip(),
            )
        one = self.campaigns[self._places[campaign]]
        if one.control is None:
            raise InputError(
                f"campaign {campaign!r} has no control=, so everybody gets it and there is nobody to compare with.",
                argument="campaign",
                code="missing_argument",
            )
        return {"name": one.name, "arms": dict(one.arms_of(one.control).shares), "salt": one.salt or one.name}

    # Definitions

    def _tests(self) -> list[tuple[str, Expression, bool]]:
        """Return every expression with its JSON path, and whether it is a rule."""
        found: list[tuple[str, Expression, bool]] = []
        for place, one in enumerate(self.campaigns):
            found += [(f"$.campaigns[{place}].{key}", test, rule) for key, test, rule in one.tests()]
        for name in ("channels", "transactional_channels"):
            rules = list(getattr(self, name).values())
            found += [(f"$.{name}[{place}][1]", rule, True) for place, rule in enumerate(rules) if rule is not None]
        return found if self.prefer is None else [*found, ("$.prefer", self.prefer, False)]

    def needs(self) -> Needs:
        """Return what the policy uses: fields, events with their properties, and how far back.

        Triggers, starts and messages are needed over all time, because a campaign's last message decides whether it is
        due.
        """
        total = Needs(events={SENT: _LOGGED, WITHHELD: _LOGGED}, horizon=None)
        total = sum((one.needs() for one in self.campaigns), total)
        rules = [rule for rule in (*self.channels.values(), *self.transactional_channels.values()) if rule is not None]
        return sum((rule.needs() for rule in (*rules, *(() if self.prefer is None else (self.prefer,)))), total)

    def problems(self, schema: Schema) -> tuple[Problem, ...]:
        """Return where the rules do not fit a schema, each with its JSON path; () if everything fits."""
        found: list[Problem] = []
        for path, test, is_rule in self._tests():
            looks = rule_problems if is_rule else problems
            found += [one for one in looks(test, schema, path=path) if one not in found]
        return (*found, *self._unread(schema))

    def _unread(self, schema: Schema) -> list[Problem]:
        """Return the properties of messages that the policy reads but the schema lacks, so that rows lose them."""
        read = {"campaign": True, "step": any(isinstance(one, Chain) for one in self.campaigns)}
        read["channel"] = any(cap.channel is not None for cap in self.caps)
        return [
            Problem(
                "$",
                "unknown_property",
                f"the policy reads the text {name!r} of {type_name!r} events, but the schema has no such property.",
                f"Add {name!r}: str to these events in the schema: the policy recognizes its own messages by it.",
            )
            for type_name in (SENT, WITHHELD)
            for name, asked in read.items()
            if asked and type_name in schema.events and schema.events[type_name].get(name) not in {"text", "empty"}
        ]

    @classmethod
    def check(cls, body: JsonBody, schema: Schema | None = None, limits: Limits | None = None) -> CheckedDefinition:
        """Return the policy, or None, and all of its problems at once; nothing in `body` makes this raise an error.

        Parameters
        ----------
        body : str, bytes or mapping
            The JSON text of a policy, or its content.
        schema : Schema, optional
            The fields and events that exist. If it has `message_sent` or `message_withheld` events, they need the
            properties by which the policy recognizes its own messages.
        limits : Limits, optional
            How large the definition may be.
        """
        found = super().check(body, schema, limits)
        policy = getattr(found, "definition", None)
        unread = [] if policy is None or not isinstance(schema, Schema) else policy._unread(schema)  # noqa: SLF001  (its own)
        return CheckResult(None, tuple(unread)) if unread else found

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        return policy_shape(limits)

    @classmethod
    def _definitions(cls, limits: Limits) -> dict[str, Shape]:
        return policy_definitions(limits)

    @classmethod
    def _told(cls, ref: str, value: Any, path: str, schema: Schema | None, limits: Limits) -> list[Problem]:
        if not ref.endswith("/selection"):
            return part_problems(ref, value, path, schema, limits)
        wrapped = {"op": "exists", "events": value}  # a selection is stored in the same way in every expression
        expression, found = read_all(wrapped, limits, path)
        listed = list(found)
        if expression is not None:
            unknowable = UNKNOWN_WITHOUT_SCHEMA if schema is None else frozenset()
            listed += [one for one in problems(expression, schema or Schema(), path=path) if one.code not in unknowable]
        return [attrs.evolve(one, path=one.path.replace(f"{path}.events", path, 1)) for one in listed]

    def _body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "name": self.name,
            "campaigns": [one.to_dict() for one in self.campaigns],
            "channels": _stored_channels(self.channels),
            "gap": None if self.gap is None else duration_text(self.gap),
        }
        if self.description:
            body["description"] = self.description
        if self.transactional_channels:
            body["transactional_channels"] = _stored_channels(self.transactional_channels)
        if self.caps:
            body["caps"] = [cap.to_dict() for cap in self.caps]
        if self.quiet is not None:
            body["quiet"] = self.quiet.to_dict()
        if self.holdout is not None:
            body["holdout"] = self.holdout.to_dict()
        if self.prefer is not None:
            body["prefer"] = written(self.prefer)
        return body if self.at_most == 1 else {**body, "at_most": self.at_most}

    def _meaning(self) -> dict[str, Any]:
        # A campaign's name is how its messages are found, so it counts; the policy's name is not part of any answer.
        held = {} if self.holdout is None else {"holdout": self.holdout.fingerprint}
        return {**super()._meaning(), **held}

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:
        optional = ("description", "transactional_channels", "caps", "gap", "quiet", "holdout", "prefer", "at_most")
        check_keys(body, required=("name", "campaigns", "channels"), optional=optional, what="contact policy")
        parts = dict(body)
        for name in ("campaigns", "channels", "transactional_channels", "caps"):
            if not isinstance(body.get(name, []), list):
                raise DefinitionError(f"{name} must be a list.", path=f"$.{name}", code="wrong_type")
        parts["campaigns"] = [
            (Chain if isinstance(one, Mapping) and "steps" in one else Campaign)._read(  # noqa: SLF001  (of this package)
                one, limits, f"$.campaigns[{place}]"
            )
            for place, one in enumerate(body["campaigns"])
        ]
        for name in ("channels", "transactional_channels"):
            if name in body:
                parts[name] = _channels_of(body[name], limits, f"$.{name}")
        if "caps" in body:
            parts["caps"] = [Cap._read(one, f"$.caps[{place}]") for place, one in enumerate(body["caps"])]  # noqa: SLF001
        if body.get("gap") is not None:
            parts["gap"] = parse_duration(body["gap"], "$.gap")
        if "quiet" in body:
            parts["quiet"] = QuietHours._read(body["quiet"], "$.quiet")  # noqa: SLF001
        if "holdout" in body:
            try:
                parts["holdout"] = Holdout.from_dict(body["holdout"], limits)
            except DefinitionError as error:
                raise type(error)(
                    error.message, path=error.path.replace("$", "$.holdout", 1), code=error.code, hint=error.hint
                ) from None
        if "prefer" in body:
            parts["prefer"] = read(body["prefer"], limits, "$.prefer")
        try:
            return cls(**parts)
        except (InputError, TypeError, ValueError) as error:
            raise definition_error(error, keys=body) from None


def _reason(one: Entry) -> str:
    if isinstance(one, Chain):
        return "step"
    if one.trigger is None:
        return "who"
    return "after any event" if one.trigger.any_type else f"after {', '.join(one.trigger.types)}"


def _stored_channels(channels: Mapping[str, Expression | None]) -> list[list[Any]]:
    # A list keeps the order of channels, which canonical JSON would sort away.
    return [[name, None if rule is None else written(rule)] for name, rule in channels.items()]


def _channels_of(value: Any, limits: Limits, path: str) -> dict[str, Expression | None]:
    found: dict[str, Expression | None] = {}
    for place, pair in enumerate(value):
        where = f"{path}[{place}]"
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
            raise DefinitionError("a channel must be a pair of its name and its rule.", path=where, code="wrong_type")
        if pair[0] in found:
            raise DefinitionError(f"the channel {shown(pair[0])} is given twice.", path=where, code="duplicate_key")
        found[pair[0]] = None if pair[1] is None else read(pair[1], limits, f"{where}[1]")
    return found
