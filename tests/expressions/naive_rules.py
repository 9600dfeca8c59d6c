# ruff: noqa: ARG002
"""A slow, obvious reading of stored rules, one customer at a time, in plain Python; written only to test against.

It reads the JSON form, knows no class of the library, and keeps a customer's events as a list of dicts.
"""

from __future__ import annotations

import calendar
import itertools
import math
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
US = timedelta(microseconds=1)


class Tags(frozenset):
    """A set of tags, told from other values."""


def span(text):
    """Return microseconds of PnDTnHnMnS."""
    body, _, clock = text[1:].partition("T")
    seconds = 86_400 * int(body[:-1] or 0) if body else 0
    number = ""
    total = timedelta(seconds=seconds)
    for letter in clock:
        if letter in "HMS":
            total += timedelta(seconds=float(number) * {"H": 3600, "M": 60, "S": 1}[letter])
            number = ""
        else:
            number += letter
    return total // US


def micros(moment):
    return (moment - EPOCH) // US


class Naive:
    def __init__(self, who, attributes, events, as_of, tz, segments=None):
        self.who, self.attributes, self.tz = who, attributes, ZoneInfo(tz)
        self.on_date = isinstance(as_of, date)  # its midnight, which is not seen itself
        self.as_of = self.midnight(as_of) if self.on_date else as_of
        self.events = [event for event in events if event["time"] < self.as_of + (not self.on_date)]
        self.segments = segments or {}

    # time

    def local(self, t):
        return (EPOCH + timedelta(microseconds=t)).astimezone(self.tz)

    def midnight(self, day):
        start = datetime(day.year, day.month, day.day, tzinfo=self.tz)
        return micros(start.astimezone(UTC))

    def moment(self, value):
        return self.midnight(value) if type(value) is date else micros(value)

    def back(self, point, body):
        """A point in time a span before another; points are instants, dates, or what is strictly before an instant."""
        if isinstance(point, tuple):
            return ("before", self.back(point[1], body))
        if isinstance(body, dict):
            days, gone = body.get("calendar_days", 0), body.get("months", 0)
            wall = point if isinstance(point, date) else self.local(point).replace(tzinfo=None)
            months = wall.year * 12 + wall.month - 1 - gone
            year, month = divmod(months, 12)
            last = calendar.monthrange(year, month + 1)[1]
            wall = wall.replace(year=year, month=month + 1, day=min(wall.day, last)) - timedelta(days=days)
            if isinstance(point, date):
                return wall
            return self.first_showing(wall)
        size = span(body)
        if isinstance(point, date):
            whole, rest = divmod(size, 86_400_000_000)
            return ("before", self.midnight(point) - size) if rest else point - timedelta(days=whole)
        return point - size

    def first_showing(self, wall):
        """The first instant at which the wall clock shows a time, or a later one where it is skipped."""
        found = micros(wall.replace(tzinfo=self.tz, fold=0).astimezone(UTC))
        if self.local(found).replace(tzinfo=None) == wall:
            return found
        low, high = found - 86_400_000_000, found + 86_400_000_000
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.local(middle).replace(tzinfo=None) < wall else (low, middle)
        return high

    def seen_by(self, t, point):
        """Whether a time lies up to a point in time: at or before an instant, strictly before a date."""
        if isinstance(point, tuple):
            return t < point[1]
        return t < self.midnight(point) if isinstance(point, date) else t <= point

    @property
    def point(self):
        return self.local(self.as_of).date() if self.on_date else self.as_of

    def wall(self, t):
        return micros(self.local(t).replace(tzinfo=UTC))

    def elapsed(self, t):
        return self.wall(self.as_of) - self.wall(t) if self.on_date else self.as_of - t

    def waited(self, t, size):
        whole = size % 86_400_000_000 == 0
        return self.elapsed(t) if whole else self.as_of - t

    def day(self, value):
        return value if type(value) is date else value.astimezone(self.tz).date()

    def plain(self, body):
        if isinstance(body, dict):
            if "date" in body:
                return date.fromisoformat(body["date"])
            return datetime.fromisoformat(body["instant"])
        return body

    # the tree

    def value(self, body, event=None):
        if not isinstance(body, dict) or "op" not in body:
            return self.plain(body)
        return (
            getattr(self, "do_" + body["op"], None)(body, event)
            if hasattr(self, "do_" + body["op"])
            else self.rest(body, event)
        )

    def rest(self, body, event):
        op = body["op"]
        if op in {"eq", "ne", "lt", "le", "gt", "ge"}:
            return self.compare(op, self.value(body["left"], event), self.value(body["right"], event))
        if op in {"add", "sub", "mul", "div"}:
            return self.calculate(op, self.value(body["left"], event), self.value(body["right"], event))
        if op in {"within", "older_than", "upcoming", "anniversary", "past_anniversary"}:
            return self.dated(op, self.value(body["arg"], event), span(body["duration"]))
        if "events" in body:
            return self.figure(op, body)
        return self.matches(op, self.value(body["arg"], event), body["values"], body.get("casefold", False))

    def do_field(self, body, event):
        return self.attributes.get(body["name"])

    def do_prop(self, body, event):
        if body["name"] in {"type", "value"}:
            return event[body["name"]]
        return event["properties"].get(body["name"])

    def do_hour_of_day(self, body, event):
        return self.local(self.as_of if event is None else event["time"]).hour

    def do_weekday(self, body, event):
        return self.local(self.as_of if event is None else event["time"]).isoweekday()

    def do_everyone(self, body, event):
        return True

    def do_ids(self, body, event):
        return self.who in body["values"]

    def do_segment(self, body, event):
        return self.value(self.segments[body["name"]])

    def do_sample(self, body, event):
        def fnv(text):
            h = 2166136261
            data = text.encode("utf-16-le")
            for low, high in zip(data[::2], data[1::2], strict=True):
                h = ((h ^ (low | high << 8)) * 16777619) % 2**32
            return h

        return fnv(str(fnv("sample:" + body["salt"] + str(self.who)))) % 10_000 < body["percent"] * 100

    def do_not(self, body, event):
        found = self.value(body["arg"], event)
        return None if found is None else not found

    def do_and(self, body, event):
        found = [self.value(arg, event) for arg in body["args"]]
        return False if False in found else None if None in found else True

    def do_or(self, body, event):
        found = [self.value(arg, event) for arg in body["args"]]
        return True if True in found else None if None in found else False

    def do_at_least(self, body, event):
        found = [self.value(arg, event) for arg in body["args"]]
        if found.count(True) >= body["n"]:
            return True
        return None if found.count(True) + found.count(None) >= body["n"] else False

    def do_is_null(self, body, event):
        return self.value(body["arg"], event) is None

    def do_is_empty(self, body, event):
        found = self.value(body["arg"], event)
        return None if found is None else len(found) == 0

    def do_fill(self, body, event):
        found = self.value(body["arg"], event)
        return self.plain(body["value"]) if found is None else found

    def do_between(self, body, event):
        arg = self.value(body["arg"], event)
        if arg is None:
            return None
        return self.compare("ge", arg, self.plain(body["low"])) and self.compare("le", arg, self.plain(body["high"]))

    def do_in(self, body, event):
        arg = self.value(body["arg"], event)
        if arg is None:
            return None
        return any(self.compare("eq", arg, self.plain(value)) for value in body["values"])

    def do_age(self, body, event):
        born = self.value(body["arg"], event)
        if born is None:
            return None
        born, today = self.day(born), self.local(self.as_of).date()
        years = today.year - born.year
        return years - (self.birthday(born, today.year) > today)

    def do_in_period(self, body, event):
        arg = self.value(body["arg"], event)
        if arg is None:
            return None
        today = self.local(self.as_of).date()
        if body.get("yearly"):
            born = self.day(arg)
            wanted = self.period(today, body["unit"]) + body.get("offset", 0)
            near = today.year + body.get("offset", 0) * {"year": 1}.get(body["unit"], 0)
            reach = (
                2
                + abs(body.get("offset", 0))
                // {"day": 365, "week": 52, "month": 12, "quarter": 4, "year": 1200}[body["unit"]]
            )
            return any(
                self.period(self.birthday(born, year), body["unit"]) == wanted
                for year in range(near - reach, near + reach + 1)
            )
        return self.period(self.day(arg), body["unit"]) == self.period(today, body["unit"]) + body.get("offset", 0)

    # values

    def compare(self, op, a, b):
        if a is None or b is None:
            return None
        if isinstance(a, date) and isinstance(b, date) and type(a) is not type(b):
            a, b = self.moment(a), self.moment(b)
        return {"eq": a == b, "ne": a != b}[op] if op in {"eq", "ne"} else {
            "lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b,
        }[op]  # fmt: skip

    def calculate(self, op, a, b):
        if a is None or b is None or (op == "div" and b == 0):
            return None
        a, b = float(a), float(b)
        found = a + b if op == "add" else a - b if op == "sub" else a * b if op == "mul" else a / b
        return found if math.isfinite(found) else None

    def matches(self, op, arg, values, casefold):
        if arg is None:
            return None
        if casefold:
            values = [value.casefold() for value in values]
            arg = Tags(t.casefold() for t in arg) if isinstance(arg, Tags) else arg.casefold()
        if op == "startswith":
            return arg.startswith(values[0])
        if op == "endswith":
            return arg.endswith(values[0])
        if op == "like":
            return self.glob(arg, values[0])
        if op == "has_word":
            return any(self.word(arg, value) for value in values)
        hits = [value in arg for value in values]
        return all(hits) if op == "contains_all" else not any(hits) if op == "contains_none" else any(hits)

    def word(self, text, word):
        def inside(character):
            return character.isalnum() or character == "_"

        return any(
            text[i : i + len(word)] == word
            and not (i > 0 and inside(text[i - 1]))
            and not (i + len(word) < len(text) and inside(text[i + len(word)]))
            for i in range(len(text))
        )

    def glob(self, text, pattern):
        if not pattern:
            return not text
        if pattern[0] == "*":
            return self.glob(text, pattern[1:]) or (bool(text) and self.glob(text[1:], pattern))
        return bool(text) and pattern[0] in ("?", text[0]) and self.glob(text[1:], pattern[1:])

    # dates

    def birthday(self, born, year):
        try:
            return born.replace(year=year)
        except ValueError:
            return date(year, 2, 28)

    def period(self, day, unit):
        if unit == "day":
            return day.toordinal()
        if unit == "week":
            return (day.toordinal() - date(1970, 1, 5).toordinal()) // 7
        return {
            "month": day.year * 12 + day.month - 1,
            "quarter": day.year * 4 + (day.month - 1) // 3,
            "year": day.year,
        }[unit]

    def dated(self, op, arg, length):
        if arg is None:
            return None
        today = self.local(self.as_of).date()
        if op == "anniversary":
            born = self.day(arg)
            return any(
                0 <= (self.birthday(born, year) - today).days < length // 86_400_000_000
                for year in (today.year, today.year + 1)
                if year <= 9999
            )
        if op == "past_anniversary":
            born = self.day(arg)
            return any(
                0 <= (today - self.birthday(born, year)).days < length // 86_400_000_000
                for year in (today.year - 1, today.year)
            )
        if op == "upcoming":
            if type(arg) is date:
                return 0 <= (arg - today).days < length // 86_400_000_000
            return self.as_of < micros(arg) <= self.as_of + length
        t = self.moment(arg)
        before = self.as_of - length
        if self.on_date and length % 86_400_000_000 == 0:
            before = self.midnight(self.point - timedelta(microseconds=length))
        return t <= before if op == "older_than" else before < t <= self.as_of

    # events

    def chosen(self, selection, body=None):
        body = body or {}
        end = self.back(self.point, body["ago"]) if "ago" in body else self.point
        begin = None
        if "within" in body and body.get("op") not in {"not_followed_by", "sequence"}:
            spans = [body[name] for name in ("ago", "within") if name in body]
            if len(spans) == 2 and all(isinstance(one, dict) and "calendar_days" in one for one in spans):
                spans = [{"calendar_days": sum(one["calendar_days"] for one in spans)}]  # days of both are one span
            begin = self.point
            for one in spans:
                begin = self.back(begin, one)
        found = []
        for event in self.events:
            t = event["time"]
            if (selection["types"] != "any" and event["type"] not in selection["types"]) or not self.seen_by(t, end):
                continue
            if begin is not None and self.seen_by(t, begin):
                continue
            if "since" in body and t < self.moment(self.plain(body["since"])):
                continue
            if "until" in body:
                until = self.plain(body["until"])
                if t >= self.moment(until) + (type(until) is not date):
                    continue
            if "during" in body:
                unit, last = body["during"]["unit"], body["during"].get("offset", 0)
                back = self.period(self.local(t).date(), unit) - self.period(self.local(self.as_of).date(), unit)
                if not last - body["during"].get("count", 1) < back <= last:
                    continue
            if "where" in selection and self.value(selection["where"], event) is not True:
                continue
            found.append(event)
        return sorted(found, key=lambda event: event["time"])

    def figure(self, op, body):
        if op == "not_followed_by":
            return self.unanswered(body)
        if op == "regularly":
            return self.regular(body)
        if op == "last_event":
            return self.latest(body)
        events = self.chosen(body["events"], body)
        if op == "count":
            return len(events)
        if op == "exists":
            return bool(events)
        if op == "active_days":
            return len({self.local(event["time"]).date() for event in events})
        if op in {"days_since_first", "days_since_last"}:
            if not events:
                return None
            return self.elapsed(events[0 if op == "days_since_first" else -1]["time"]) / 86_400_000_000
        of = body.get("of", "value")
        have = [(event["time"], v) for event in events if (v := self.do_prop({"name": of}, event)) is not None]
        values = [v for _, v in have]
        if op in {"count_distinct", "most_frequent"}:
            values = [one for v in values for one in (v if isinstance(v, Tags) else [v])]
        if op == "sum":
            return math.fsum(values)
        if op == "count_distinct":
            return len(set(values))
        if not values:
            return None
        if op in {"first", "last"}:
            when = (min if op == "first" else max)(t for t, _ in have)
            return min((v for t, v in have if t == when), key=lambda v: sorted(v) if isinstance(v, Tags) else v)
        if op == "most_frequent":
            return min(values, key=lambda v: (-values.count(v), v))
        return math.fsum(values) / len(values) if op == "mean" else min(values) if op == "min" else max(values)

    def latest(self, body):
        events = self.chosen(body["events"], body)
        if not events:
            return None
        last = [event for event in events if event["time"] == events[-1]["time"]]
        found = [self.value(body["where"], event) for event in last]
        return False if False in found else None if None in found else True

    def regular(self, body):
        events = self.chosen(body["events"])
        if body["period"].startswith("P"):
            p = span(body["period"])
            ages = [self.waited(event["time"], p) - self.on_date for event in events]
            hit = {age // p for age in ages if 0 <= age < body["of"] * p}
        else:
            now = self.period(self.local(self.as_of).date(), body["period"])
            back = {now - self.period(self.local(event["time"]).date(), body["period"]) for event in events}
            hit = {k for k in back if 0 <= k < body["of"]}
        return len(hit) >= body["min_periods"]

    def unanswered(self, body):
        asked = self.chosen(body["events"])
        if not asked:
            return False
        t = asked[-1]["time"]
        if any(event["time"] > t for event in self.chosen(body["then"])):
            return False
        within = span(body["within"])
        if self.waited(t, within) < within:
            return False
        return "recent" not in body or self.waited(t, span(body["recent"])) < span(body["recent"])

    def reached(self, body):
        """Every chain of any length from a first step: the deepest, and the earliest of these to get there."""
        steps = [sorted({e["time"] for e in self.chosen(step)}) for step in body["steps"]]
        best = (0, 0)
        chains = [(t,) for t in steps[0]] if steps else []
        for number in range(1, len(steps) + 1):
            if chains:
                best = (number, min(chain[-1] for chain in chains))
            if number < len(steps):
                chains = {
                    (chain[0], t) for chain in chains for t in steps[number]
                    if t > chain[-1] and ("duration" not in body or t - chain[0] <= span(body["duration"]))
                }  # fmt: skip
        return best

    def do_stage(self, body, event):
        depth, _ = self.reached(body)
        return body["names"][depth - 1] if depth else None

    def do_stage_entered(self, body, event):
        depth, when = self.reached(body)
        return EPOCH + timedelta(microseconds=when) if depth else None

    def do_stage_days(self, body, event):
        depth, when = self.reached(body)
        return self.elapsed(when) / 86_400_000_000 if depth else None

    def do_sequence(self, body, event):
        if "same" not in body:
            return self.in_order(body, lambda _: True)
        read = {"name": body["same"]}
        values = {self.do_prop(read, e) for e in self.events} - {None}
        return any(self.in_order(body, lambda e, v=value: self.do_prop(read, e) == v) for value in values)

    def in_order(self, body, has_part):
        steps = [[e["time"] for e in self.chosen(step) if has_part(e)] for step in body["steps"]]
        barred = [e["time"] for step in body.get("exclude", []) for e in self.chosen(step) if has_part(e)]
        every = [e["time"] for e in self.events if has_part(e)]
        for times in itertools.product(*steps):
            if not all(a < b for a, b in itertools.pairwise(times)):
                continue
            if "within" in body and times[-1] - times[0] > span(body["within"]):
                continue
            if "apart" in body and any(b - a < span(body["apart"]) for a, b in itertools.pairwise(times)):
                continue
            if "recent" in body and self.seen_by(times[-1], self.back(self.point, body["recent"])):
                continue
            if any(times[0] < t < times[-1] for t in barred):
                continue
            if body.get("strict") and any(a < t < b for a, b in itertools.pairwise(times) for t in every):
                continue
            return True
        return False
