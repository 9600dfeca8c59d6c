"""Which channel, hour or kind of message each customer responds to, using what similar customers do.

Three messages say little about a customer, so their rate is shrunk toward that of all customers or of their segment.
The less customers differ, the stronger the shrinkage. Responses were observed and arms were not assigned at random: a
channel may look good because good customers were sent messages through it. Only an experiment shows whether following
the profile helps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, IntArray, shown
from relmark.core.columns import Column, joined
from relmark.core.errors import InputError, MissingColumnError, NotEnoughDataError
from relmark.core.names import did_you_mean
from relmark.core.results import ColumnarResult
from relmark.core.spans import Span, check_span, earlier
from relmark.core.time import days
from relmark.core.zones import DAY, to_local
from relmark.expressions.builders import event
from relmark.expressions.event_rows import EventRows
from relmark.expressions.selection import Selection
from relmark.metrics._matching import latest_before
from relmark.metrics._shrinkage import Cells, fit_prior, probability_best
from relmark.metrics.definitions import Definition, MetricTable, define
from relmark.metrics.estimates import Estimates, shares
from relmark.metrics.grouping import Key, column_of, group_rows
from relmark.metrics.windows import Stretch, base_given, events_of, properties_of, selection_given

__all__ = ["ResponseArms", "ResponseProfile", "response_profile"]

_TWO_DAYS = days(2)
_HOUR = 3_600_000_000
_MOST = 200
_OBSERVED = "observed, not assigned at random: only an experiment shows whether following the best arm helps"
DEFINITIONS = define(
    "messages that are at least `within` old",
    "empirical Bayes, beta-binomial by arm (Skellam 1948; Efron and Morris 1975)",
    {
        "rate": ("expected response rate of the customer in their best arm", "", "share"),
        "evidence": ("messages of the customer that are old enough, in all arms", "", "messages"),
        "probability_best": ("probability that no other arm's rate is higher", "", "probability"),
        "gain": ("expected rate in the customer's best arm minus that in the arm that is best overall", "", "share"),
        "response_rate": ("messages that were answered", "messages that are old enough"),
        "prior_mean": ("expected rate of a customer without messages", "", "share"),
        "prior_strength": ("number of a customer's own messages that weigh as much as the prior mean", "", "messages"),
    },
)  # fmt: skip


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ResponseArms(MetricTable):
    """The arms over all customers, or by segment, with one row each.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (r,)
        The segment, if there are segments, and the keys of the arm.
    messages, responses, people : ndarray of int64, shape (r,)
        How many messages are old enough, how many of them were answered, and how many customers received one.
    response_rate : Estimates
    prior_mean, prior_strength : ndarray of float64, shape (r,)
        The expected rate of a customer without messages, and the number of own messages that weigh as much.
    best : ndarray of bool, shape (r,)
        Whether the arm has the highest expected rate of its segment.
    """

    by: Mapping[str, npt.NDArray[Any]]
    messages: IntArray
    responses: IntArray
    people: IntArray
    response_rate: Estimates
    prior_mean: FloatArray
    prior_strength: FloatArray
    best: npt.NDArray[np.bool_]

    def _definitions(self) -> Mapping[str, Definition]:
        return DEFINITIONS


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ResponseProfile(ColumnarResult):
    """What each customer responds to, in the order of the base; `arms` has the rates over all customers.

    Parameters
    ----------
    customer_id : ndarray, shape (n,)
    best : mapping of str to ndarray, shape (n,)
        The keys of the best arm, in columns such as best_channel and best_hour.
    rate, probability_best, gain : ndarray of float64, shape (n,)
        The expected rate in the best arm, the probability that this arm is the best, and the advantage over the arm
        that is best overall.
    evidence : ndarray of int64, shape (n,)
        How many messages of the customer were used.
    rates : ndarray of float64, shape (n, k)
        The expected rate in every arm, in the order of the arms in `arms`.
    arms : ResponseArms
    as_of : datetime64
    notes : tuple of str
    """

    _shown_by: ClassVar[str] = "gain"
    customer_id: npt.NDArray[Any]
    best: Mapping[str, npt.NDArray[Any]]
    rate: FloatArray
    evidence: IntArray
    probability_best: FloatArray
    gain: FloatArray
    rates: FloatArray
    arms: ResponseArms
    as_of: np.datetime64
    notes: tuple[str, ...] = ()

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return columns with one row per customer: the best arm's keys, its rate, the evidence and its certainty."""
        return {
            "customer_id": self.customer_id,
            **{f"best_{name}": one for name, one in self.best.items()},
            "rate": self.rate,
            "evidence": self.evidence,
            "probability_best": self.probability_best,
            "gain": self.gain,
        }

    def describe(self, name: str) -> Definition:
        """Return the definition of one column."""
        return MetricTable.describe(self.arms, name)

    def _lines(self) -> list[str]:
        return list(self.notes)


def response_profile(
    base: CustomerBase,
    *,
    as_of: AsOfGiven,
    by: str | Sequence[str] = "channel",
    reward: Selection | None = None,
    within: Span = _TWO_DAYS,
    sent: Selection | None = None,
    prior_by: Key | None = None,
    last: Span | None = None,
) -> ResponseProfile:
    """Find for each customer the channel, hour or kind of message to which they respond best.

    Parameters
    ----------
    base : CustomerBase
    as_of : date or instant
    by : str, or sequence of str
        The keys that define the arms: properties of the messages, such as "channel", or "hour" (0 to 23) and "weekday"
        (1 for Monday to 7) in the base's time zone. With several keys, each combination is an arm.
    reward : Selection, optional
        What counts as a response, such as ``event("purchase")``; by default ``event("message_clicked")``.
    within : timedelta, calendar_days or months
        How long after a message a response counts. Messages sent more recently are left out, answered or not.
    sent : Selection, optional
        The messages; by default ``event("message_sent")``.
    prior_by : name of a field, expression, segment, or mapping of names to rules, optional
        Adds a second level: customers are shrunk toward their segment, and segments toward all customers. With a
        mapping, a customer belongs to the first rule that is true.
    last : timedelta, calendar_days or months, optional
        Use only messages of (as_of - last, as_of].

    Returns
    -------
    ResponseProfile

    Raises
    ------
    InputError
        If `by` names a property that no message has, or makes too many arms.
    NotEnoughDataError
        If no message is at least `within` old.

    Notes
    -----
    A response that has a message_id belongs to that message. Any other response belongs to the customer's latest
    message strictly before it that agrees with the response in the campaign and the keys of the arms, as far as the
    response has them; a campaign of which there is no message is ignored. Each message counts once. The best arm has
    the highest expected rate, and its `probability_best` may be below one half.

    Examples
    --------
    >>> from relmark import EventLog
    >>> log = EventLog.from_columns(customer_id=[1, 1, 1, 2, 2, 2], type=["message_sent", "message_sent",
    ...     "message_clicked"] * 2, time=["2026-01-01", "2026-01-10", "2026-01-11"] * 2,
    ...     properties={"channel": ["email", "push", "push"] * 2})
    >>> profile = response_profile(CustomerBase(events=log), as_of="2026-02-01", by="channel")
    >>> profile["best_channel"].tolist(), profile.evidence.tolist()
    (['push', 'push'], [2, 2])
    """
    base = base_given(base)
    stretch = Stretch.of(base, as_of, last)
    check_span("within", within)
    messages = selection_given("sent", event("message_sent") if sent is None else sent)
    rewards = selection_given("reward", event("message_clicked") if reward is None else reward)
    keys = [by] if isinstance(by, str) else list(by) if isinstance(by, (list, tuple)) else []
    if not keys or not all(isinstance(key, str) for key in keys):
        raise InputError(
            f"by is {shown(by)}; it must be one or more names of properties, such as 'channel'.",
            argument="by",
            code="wrong_type",
        )
    customer, time, found = events_of(base, messages, stretch.low, stretch.high)
    customer = customer.astype(np.int64)
    settled = time <= int(stretch.as_of.moved(within).seen)
    columns = [_key_column(found, key, time, base) for key in keys]
    known = ~np.logical_or.reduce([column.missing for column in columns])
    if not (settled & known).any():
        raise NotEnoughDataError(
            f"none of the {len(time):,} messages of {messages!r} was sent at least {within} before {stretch.as_of} and "
            f"has {', '.join(map(repr, keys))}: nothing can be learned from them.",
            argument="sent",
            code="not_enough_data",
        )
    answered = _answered(base, stretch, rewards, within, (customer, time, found), dict(zip(keys, columns, strict=True)))
    use = np.flatnonzero(settled & known)
    arm, labels = _arms(keys, [column.take(use) for column in columns])
    k, n = len(next(iter(labels.values()))), len(base)
    if k > _MOST:
        raise InputError(
            f"by={by!r} makes {k:,} arms, but at most {_MOST} are allowed: choose coarser keys.",
            argument="by",
            code="too_many",
        )
    cell = customer[use] * k + arm
    trials = np.bincount(cell, minlength=n * k).reshape(n, k)
    hits = np.bincount(cell[answered[use]], minlength=n * k).reshape(n, k)
    segment, names, label = _segments(base, stretch, prior_by)
    fitted = _Fit.of(trials, hits, segment, len(names))
    notes = [_OBSERVED]
    for left, why in (
        (np.count_nonzero(~settled), "sent too recently"),
        (np.count_nonzero(settled & ~known), f"without {' or '.join(keys)}"),
    ):
        if left:
            notes.append(f"{int(left):,} message{'s' if left > 1 else ''} {why}: not part of the rates")
    return ResponseProfile(
        customer_id=base.customer_id, best={key: column[fitted.best] for key, column in labels.items()},
        rate=fitted.rates[np.arange(n), fitted.best], evidence=trials.sum(axis=1), probability_best=fitted.probability,
        gain=fitted.rates[np.arange(n), fitted.best] - fitted.rates[:, fitted.usual], rates=fitted.rates,
        arms=_arm_table(fitted, trials, hits, segment, names, label, labels), as_of=stretch.as_of.given,
        notes=tuple(notes),
    )  # fmt: skip


@attrs.frozen(eq=False)
class _Fit:
    """The rates of all customers, and the priors that they come from."""

    rates: FloatArray
    best: IntArray
    usual: int
    probability: FloatArray
    means: FloatArray  # (segments, k)
    strength: FloatArray  # (k,)

    @classmethod
    def of(cls, trials: IntArray, hits: IntArray, segment: IntArray, segments: int) -> _Fit:
        n, k = trials.shape
        usual = float((hits.sum() + 0.5) / (trials.sum() + 1.0))
        cells, posteriors, priors = [], [], []
        rates = np.empty((n, k))
        for arm in range(k):
            one = Cells.count(segment, hits[:, arm], trials[:, arm])
            prior = fit_prior(one, segments, usual)
            a, b = prior.posterior(one)
            rates[:, arm] = (a / (a + b))[one.of]
            cells.append(one)
            posteriors.append((a, b))
            priors.append(prior)
        best = np.argmax(rates, axis=1)
        weight = np.bincount(segment, minlength=segments)
        means = np.stack([prior.mean for prior in priors], axis=1)
        return cls(
            rates, best, int(np.argmax(weight @ means)), probability_best(cells, posteriors, best), means,
            np.array([prior.strength for prior in priors]),
        )  # fmt: skip


def _key_column(found: EventRows, key: str, time: IntArray, base: CustomerBase) -> Column:
    column = properties_of(found)(key)
    if column is not None:
        return column
    if key in ("hour", "weekday"):
        wall = to_local(time, base.tz)
        return Column("number", wall // _HOUR % 24 if key == "hour" else (wall // DAY + 3) % 7 + 1)
    known = sorted({name for scope in found.scopes for name in scope.part.properties} | {"hour", "weekday"})
    raise MissingColumnError(
        f"by={key!r} is not a property of the messages; it must be one of {', '.join(map(repr, known))}.",
        hint=did_you_mean(key, known),
        argument="by",
    )


def _arms(keys: Sequence[str], columns: Sequence[Column]) -> tuple[IntArray, dict[str, npt.NDArray[Any]]]:
    """Return the arm of each message, and the keys of the arms that occur."""
    code = np.zeros(len(columns[0]), dtype=np.int64)
    labels: list[npt.NDArray[Any]] = []
    for key, column in zip(keys, columns, strict=True):
        part, values = column_of(column, key)
        code = code * len(values) + part
        labels = [np.repeat(one, len(values)) for one in labels]
        labels.append(np.tile(values, len(labels[0]) // len(values)) if labels else values)
    used, arm = np.unique(code, return_inverse=True)
    return arm, {key: one[used] for key, one in zip(keys, labels, strict=True)}


def _segments(base: CustomerBase, stretch: Stretch, prior_by: Key | None) -> tuple[IntArray, npt.NDArray[Any], str]:
    """Return the segment of each customer, the names of the segments, and the name of the column."""
    n = len(base)
    if prior_by is None:
        return np.zeros(n, dtype=np.int64), np.array(["all"]), ""
    everybody = np.arange(n)
    groups = group_rows(
        base, stretch.as_of, prior_by, everybody, np.zeros(n, dtype=np.int64), lambda _: None, of_events=False
    )
    label, names = next(iter(groups.labels.items()))
    if groups.rows is None:
        return groups.code, names, label
    segment = np.full(n, groups.k, dtype=np.int64)
    segment[groups.rows[::-1]] = groups.code[::-1]  # the first rule that is true wins
    rest = (segment == groups.k).any()
    return segment, np.append(names.astype(object), "the rest") if rest else names, label


def _answered(
    base: CustomerBase, stretch: Stretch, rewards: Selection, within: Span,
    sent: tuple[IntArray, IntArray, EventRows], keys: Mapping[str, Column],
) -> npt.NDArray[np.bool_]:  # fmt: skip
    """Return which messages were answered in time."""
    customer, time, found = sent
    who, when, came = events_of(base, rewards, stretch.low, stretch.high)
    who = who.astype(np.int64)
    out = np.zeros(len(time), dtype=np.bool_)
    if not len(who):
        return out
    since = earlier(when, within, base.tz)
    left = np.ones(len(who), dtype=np.bool_)
    ids = (properties_of(found)("message_id"), properties_of(came)("message_id"))
    if ids[0] is not None and ids[1] is not None and "empty" not in (ids[0].kind, ids[1].kind):
        named, sent_rows = np.flatnonzero(~ids[1].missing), np.flatnonzero(~ids[0].missing)
        code, _ = column_of(joined("message_id", [ids[0].take(sent_rows), ids[1].take(named)]), "message_id")
        size, m = int(code.max(initial=0)) + 1, len(sent_rows)
        key, asked = customer[sent_rows] * size + code[:m], who[named] * size + code[m:]
        _mark(out, (sent_rows, key, time), (asked, when[named], since[named]), strictly=False)
        left[named] = False
    words = [
        one for one in (_words(came, key, mine) for key, mine in _agreeing(found, keys).items()) if one is not None
    ]
    pattern = np.zeros(len(who), dtype=np.int64)  # one bit for each key that the response has
    for bit, (_, theirs) in enumerate(words):
        pattern |= (theirs >= 0).astype(np.int64) << bit
    for said in np.unique(pattern[left]):
        rows, among = np.flatnonzero(left & (pattern == said)), np.ones(len(time), dtype=np.bool_)
        key, asked = customer, who[rows]
        for bit, (mine, theirs) in enumerate(words):
            if said >> bit & 1:
                size = int(max(mine.max(initial=0), theirs.max(initial=0))) + 1
                among &= mine >= 0
                key, asked = key * size + mine, asked * size + theirs[rows]
        sent_rows = np.flatnonzero(among)
        _mark(out, (sent_rows, key[sent_rows], time), (asked, when[rows], since[rows]), strictly=True)
    return out


def _agreeing(found: EventRows, keys: Mapping[str, Column]) -> dict[str, Column]:
    """Return the columns in which a response must agree with its message: the campaign and the keys of the arms."""
    campaign = None if "campaign" in keys else properties_of(found)("campaign")
    return {**({} if campaign is None else {"campaign": campaign}), **keys}


def _words(came: EventRows, key: str, mine: Column) -> tuple[IntArray, IntArray] | None:
    """Return a property of messages and responses as codes (-1 where it is missing), or None if responses lack it.

    A campaign of which there is no message is treated as missing, because nothing can agree with it; it may be, for
    example, the source of the visit in which a purchase was made.
    """
    theirs = properties_of(came)(key)
    if theirs is None or theirs.kind != mine.kind:
        return None
    m = len(mine)
    code, _ = column_of(joined(key, [mine, theirs]), key)
    codes = np.where(np.concatenate([mine.missing, theirs.missing]), -1, code)
    if key == "campaign":
        codes[m:][~np.isin(codes[m:], codes[:m])] = -1
    return codes[:m], codes[m:]


def _mark(
    out: npt.NDArray[np.bool_], sent: tuple[IntArray, IntArray, IntArray],
    came: tuple[IntArray, IntArray, IntArray], *, strictly: bool,
) -> None:  # fmt: skip
    """Mark the latest message with the same key before each response, if it is recent enough."""
    rows, key, time = sent
    asked, when, since = came
    if not len(rows) or not len(asked):
        return
    place = latest_before(key, time[rows], asked, when, strictly=strictly)
    found = rows[place[place >= 0]]
    out[found[time[found] >= since[place >= 0]]] = True


def _arm_table(
    fitted: _Fit, trials: IntArray, hits: IntArray, segment: IntArray, names: npt.NDArray[Any], label: str,
    labels: Mapping[str, npt.NDArray[Any]],
) -> ResponseArms:  # fmt: skip
    s, k = fitted.means.shape

    def sums(column: npt.NDArray[Any]) -> IntArray:
        flat = [np.bincount(segment, weights=column[:, arm], minlength=s) for arm in range(k)]
        return np.rint(np.stack(flat, axis=1)).astype(np.int64).ravel()

    messages, responses = sums(trials), sums(hits)
    by = {key: np.tile(column, s) for key, column in labels.items()}
    top = np.argmax(fitted.means, axis=1)
    return ResponseArms(
        by={label: np.repeat(names, k), **by} if label else by, messages=messages, responses=responses,
        people=sums(trials > 0), response_rate=shares("responses", responses, "messages", messages),
        prior_mean=fitted.means.ravel(), prior_strength=np.tile(fitted.strength, s),
        best=(np.arange(k) == top[:, None]).ravel(),
    )  # fmt: skip
