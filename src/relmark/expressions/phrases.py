"""The phrases in which rules are written in words: English, Russian and Ukrainian, as data that JSON can hold.

`to_words` takes such a mapping. A phrase is a text with placeholders in braces, or one text per plural category of CLDR
that the language has (one, few, many, other), chosen by the number ``{n}``. For another language, give another mapping;
phrases that it lacks are taken from English. Use ``names`` and ``events`` for your own labels:
``{"names": {"city": "город"}, "events": {"purchase": {"many_of": "покупок", ...}}}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

__all__ = ["ENGLISH", "PLURALS", "RUSSIAN", "UKRAINIAN", "Phrases", "plural"]

Phrases: TypeAlias = Mapping[str, Any]
"""The phrases of a language by their name: texts, or texts by number."""

PLURALS = ("none", "one_other", "zero_one_other", "polish", "czech", "east_slavic")
"""The rules by which a language chooses the plural category of a number; the phrase "plural" names one of them."""


def plural(rule: str, n: float) -> str:
    """Return the category of CLDR for a number: one, few, many or other.

    Parameters
    ----------
    rule : str
        ``"one_other"`` (English, German, and Spanish for small numbers), ``"zero_one_other"`` (French), ``"polish"``,
        ``"czech"`` (and Slovak), ``"east_slavic"`` (Russian, Ukrainian, Belarusian) or ``"none"`` (Chinese, Turkish).
    n : float
        The number. A number with a fraction is "other", in Czech "many".

    References
    ----------
    Unicode CLDR, Language Plural Rules.

    Examples
    --------
    >>> [plural("east_slavic", n) for n in (1, 2, 5, 11, 21, 22, 1.5)]
    ['one', 'few', 'many', 'many', 'one', 'few', 'other']
    """
    whole = float(n).is_integer()
    i = abs(int(n)) if whole else int(abs(n))
    match rule:
        case "one_other":
            return "one" if whole and i == 1 else "other"
        case "zero_one_other":
            return "one" if i in {0, 1} else "other"
        case "czech":
            if not whole:
                return "many"
            return "one" if i == 1 else "few" if 2 <= i <= 4 else "other"
        case "polish":
            if not whole:
                return "other"
            few = 2 <= i % 10 <= 4 and not 12 <= i % 100 <= 14
            return "one" if i == 1 else "few" if few else "many"
        case "east_slavic":
            if not whole:
                return "other"
            if i % 10 == 1 and i % 100 != 11:
                return "one"
            return "few" if 2 <= i % 10 <= 4 and not 12 <= i % 100 <= 14 else "many"
    return "other"


def _forms(one: str, few: str, many: str, other: str) -> dict[str, str]:
    return {"one": one, "few": few, "many": many, "other": other}


def _two(one: str, other: str) -> dict[str, str]:
    return {"one": one, "other": other}


def _same(text: str) -> dict[str, str]:
    return _forms(text, text, text, text)


ENGLISH: Phrases = {
    "language": "en",
    "plural": "one_other",
    # values
    "text": '"{value}"', "true": "true", "false": "false", "decimal": ".",
    "date": "{year}-{month}-{day}", "instant": "{date} {time} UTC", "listed": "{values} and {n} more",
    "comma": ", ", "semicolon": "; ", "and_more": " and ", "or_more": " or ",
    # logic
    "group": "({rule})", "not": "it is not true that {rule}", "everyone": "everyone",
    "ids": _two("the customer with the id {values}", "the customer is one of these {n}: {values}"), "nobody": "nobody",
    "sample": 'a random {percent} % of the customers (salt "{salt}")', "segment": 'a member of the segment "{name}"',
    "at_least": "at least {n} of these {of}: {rules}",
    # values of a customer or an event
    "field": "{name}", "prop": "{name}", "event_value": "value", "event_type": "type of event",
    "event_name": '"{type}"',
    "fill": "{arg} ({value} where unknown)", "age": "number of full years since {arg}",
    "add": "{left} + {right}", "sub": "{left} − {right}", "mul": "{left} × {right}", "div": "{left} ÷ {right}",
    # comparisons
    "eq": "{left} is {right}", "ne": "{left} is not {right}", "lt": "{left} is less than {right}",
    "le": "{left} is at most {right}", "gt": "{left} is more than {right}", "ge": "{left} is at least {right}",
    "is_true": "{left}: yes", "is_false": "{left}: no",
    "lt_time": "{left} is before {right}", "le_time": "{left} is not after {right}",
    "gt_time": "{left} is after {right}", "ge_time": "{left} is not before {right}",
    "between": "{arg} is from {low} to {high}", "between_time": "{arg} is from {low} to {high}",
    "in": "{arg} is one of {values}", "not_in": "{arg} is none of {values}",
    "is_null": "{arg} is unknown", "not_null": "{arg} is known", "is_empty": "{arg} is empty",
    "contains": "{arg} contains {values}", "contains_any": "{arg} contains any of {values}",
    "contains_all": "{arg} contains all of {values}", "contains_none": "{arg} contains none of {values}",
    "startswith": "{arg} starts with {values}", "endswith": "{arg} ends with {values}",
    "has_word": "{arg} has the word {values}", "like": "{arg} matches the pattern {values}",
    "casefold": "{rule} (in upper or lower case)",
    # dates
    "within": "{arg} is {last}", "older_than": "{arg} is more than {duration} ago",
    "upcoming": "{arg} comes within {duration_of}", "anniversary": "an anniversary of {arg} comes within {duration_of}",
    "past_anniversary": "an anniversary of {arg} was {last}",
    "in_period": "{arg} is {period}", "yearly": "{arg} is {period}, in whatever year",
    # figures of events
    "count": "number of {many_of}", "exists": "there is {one}", "not_exists": "there is no {one_of}",
    "count_eq": "exactly {n} {counted}", "count_lt": "fewer than {n} {of}", "count_le": "at most {n} {of}",
    "count_gt": "more than {n} {of}", "count_ge": "at least {n} {of}",
    "active_days": "number of days with {many_of}", "days_since_first": "days since {first_of}",
    "days_since_last": "days since {last_of}", "count_distinct": "number of different {of_what} of {many_of}",
    "sum": "sum of {of_what} of {many_of}", "sum_value": "total value of {many_of}",
    "mean_value": "mean value of {many_of}", "mean": "mean {of_what} of {many_of}",
    "min": "smallest {of_what} of {many_of}", "max": "largest {of_what} of {many_of}",
    "first": "first {of_what} of {many_of}", "last": "last {of_what} of {many_of}",
    "most_frequent": "most frequent {of_what} of {many_of}",
    "where": "{events} (where {rule})",
    "last_event": "of {last_of} it is true that {rule}",
    "regularly": "{many_of} in at least {n} of the last {of} {periods}",
    "sequence": "in this order: {steps}", "then": ", then ", "step_within": "all within {duration_of}",
    "step_strict": "nothing else between them", "step_exclude": "without {events} between them",
    "step_apart": "at least {duration} between two steps", "step_recent": "the last one {last}",
    "step_same": "all with the same {name}",
    "hour_of_day": "hour of the day", "weekday": "day of the week (1 is Monday)",
    "stage_step": '"{name}" ({one})', "stage": "deepest stage reached of {steps}",
    "stage_entered": "time at which the deepest stage was reached of {steps}",
    "stage_days": "days at the deepest stage reached of {steps}",
    "not_followed_by": "{one} that is not followed by {then} within {duration_of}", "recent": "{rule}, {last}",
    # events by name
    "events": {
        "*": {
            "one": "a {type} event", "one_of": "{type} event", "many": "{type} events", "many_of": "{type} events",
            "first_of": "the first {type} event", "last_of": "the last {type} event",
            "counted": _two("{type} event", "{type} events"), "of": _two("{type} event", "{type} events"),
        },
        "any": {
            "one": "an event of any type", "one_of": "event of any type", "many": "events of any type",
            "many_of": "events of any type", "first_of": "the first event of any type",
            "last_of": "the last event of any type",
            "counted": _two("event of any type", "events of any type"),
            "of": _two("event of any type", "events of any type"),
        },
    },
    "names": {},
    # windows
    "window_within": "{last}", "window_ago": "(as it was {duration} earlier)", "window_since": "since {moment}",
    "window_until": "until {moment}", "window_during": "{period}",
    "last_days": _two("in the last {n} day", "in the last {n} days"),
    "last_hours": _two("in the last {n} hour", "in the last {n} hours"),
    "last_minutes": _two("in the last {n} minute", "in the last {n} minutes"),
    "last_seconds": _two("in the last {n} second", "in the last {n} seconds"),
    "last_calendar_days": _two("in the last {n} calendar day", "in the last {n} calendar days"),
    "last_months": _two("in the last {n} month", "in the last {n} months"),
    "last_mixed": "in the last {duration}",
    **{
        f"{form}_{unit}": _two(f"{{n}} {said}", f"{{n}} {said}s")
        for form in ("duration", "duration_of")
        for unit, said in {
            "days": "day", "hours": "hour", "minutes": "minute", "seconds": "second", "calendar_days": "calendar day",
            "months": "month",
        }.items()
    },
    "duration_join": " ",
    "period_day": ["yesterday", "today", "tomorrow"], "period_week": ["last week", "this week", "next week"],
    "period_month": ["last month", "this month", "next month"],
    "period_quarter": ["last quarter", "this quarter", "next quarter"],
    "period_year": ["last year", "this year", "next year"],
    **{
        f"{form}_{unit}": _two(text.format(unit), text.format(unit + "s"))
        for unit in ("day", "week", "month", "quarter", "year")
        for form, text in {
            "ago": "{{n}} {} ago", "ahead": "{{n}} {} from now", "span": "in the {{n}} {}", "every": "{}",
        }.items()
    },
    "span": "{span} {end}", "end_ago": "up to {ago}", "end_day": ["up to yesterday", "up to today"],
    **{f"end_{unit}": [f"up to last {unit}", f"up to this {unit}"] for unit in ("week", "month", "quarter", "year")},
    "every_duration": _two("period of {duration}", "periods of {duration} each"),
}  # fmt: skip


def _slavic(units: Mapping[str, tuple[Mapping[str, str], Mapping[str, str], Mapping[str, str]]]) -> dict[str, Any]:
    """Return the forms of durations: "in the last n", "n" and "of n"."""
    return {
        f"{form}_{unit}": dict(forms[place])
        for unit, forms in units.items()
        for place, form in enumerate(("last", "duration", "duration_of"))
    }


RUSSIAN: Phrases = {
    "language": "ru",
    "plural": "east_slavic",
    "text": "«{value}»", "true": "да", "false": "нет", "decimal": ",",
    "date": "{day}.{month}.{year}", "instant": "{date} {time} UTC", "listed": "{values} и ещё {n}",
    "comma": ", ", "semicolon": "; ", "and_more": " и ", "or_more": " или ",
    "group": "({rule})", "not": "неверно, что {rule}", "everyone": "все клиенты",
    "ids": _same("клиент — один из списка ({n}): {values}"), "nobody": "никто",
    "sample": "случайные {percent} % клиентов (соль «{salt}»)", "segment": "клиент входит в сегмент «{name}»",
    "at_least": "выполняется не меньше {n} из {of} условий: {rules}",
    "field": "поле «{name}»", "prop": "свойство «{name}»", "event_value": "сумма события", "event_type": "тип события",
    "event_name": "«{type}»",
    "fill": "{arg} (если неизвестно, то {value})", "age": "полных лет от даты ({arg})",
    "add": "{left} + {right}", "sub": "{left} − {right}", "mul": "{left} × {right}", "div": "{left} ÷ {right}",
    "eq": "{left} равняется {right}", "ne": "{left} не равняется {right}", "lt": "{left} меньше {right}",
    "le": "{left} не больше {right}", "gt": "{left} больше {right}", "ge": "{left} не меньше {right}",
    "is_true": "{left}: да", "is_false": "{left}: нет",
    "lt_time": "{left} раньше {right}", "le_time": "{left} не позже {right}", "gt_time": "{left} позже {right}",
    "ge_time": "{left} не раньше {right}",
    "between": "{arg} от {low} до {high}", "between_time": "{arg} с {low} по {high}",
    "in": "{arg} — одно из значений: {values}",
    "not_in": "{arg} — ни одно из значений: {values}",
    "is_null": "{arg}: нет данных", "not_null": "{arg}: есть данные", "is_empty": "{arg}: пусто",
    "contains": "{arg} содержит {values}", "contains_any": "{arg} содержит хотя бы одно из: {values}",
    "contains_all": "{arg} содержит всё из: {values}", "contains_none": "{arg} не содержит ничего из: {values}",
    "startswith": "{arg} начинается с {values}", "endswith": "{arg} заканчивается на {values}",
    "has_word": "{arg} содержит слово {values}", "like": "{arg} подходит под шаблон {values}",
    "casefold": "{rule} (без учёта регистра)",
    "within": "{arg}: {last}", "older_than": "{arg}: больше чем {duration} назад",
    "upcoming": "{arg} наступит в течение {duration_of}",
    "anniversary": "{arg}: годовщина наступит в течение {duration_of}",
    "past_anniversary": "{arg}: годовщина прошла {last}",
    "in_period": "{arg}: {period}", "yearly": "{arg}: {period}, в любом году",
    "count": "число {many_of}", "exists": "есть {one}", "not_exists": "нет {many_of}",
    "count_eq": "ровно {n} {counted}", "count_lt": "меньше {n} {of}", "count_le": "не больше {n} {of}",
    "count_gt": "больше {n} {of}", "count_ge": "не меньше {n} {of}",
    "active_days": "число дней, когда были {many}", "days_since_first": "число дней с {first_of}",
    "days_since_last": "число дней с {last_of}",
    "count_distinct": "число разных значений ({of_what}) среди {many_of}", "sum": "итог ({of_what}) для {many_of}",
    "sum_value": "общая сумма {many_of}", "mean_value": "средняя сумма {many_of}",
    "mean": "среднее ({of_what}) для {many_of}", "min": "минимум ({of_what}) для {many_of}",
    "max": "максимум ({of_what}) для {many_of}", "first": "первое значение ({of_what}) для {many_of}",
    "last": "последнее значение ({of_what}) для {many_of}",
    "most_frequent": "самое частое значение ({of_what}) для {many_of}",
    "where": "{events} (где {rule})",
    "last_event": "для {last_of} верно, что {rule}",
    "regularly": "{many} были не меньше чем в {n} из последних {of} {periods}",
    "sequence": "по порядку: {steps}", "then": ", затем ", "step_within": "всё в течение {duration_of}",
    "step_strict": "без других событий между ними", "step_exclude": "без {events} между ними",
    "step_apart": "между шагами проходит не меньше {duration_of}", "step_recent": "последний шаг — {last}",
    "step_same": "во всех одно и то же свойство «{name}»",
    "hour_of_day": "час суток", "weekday": "день недели (1 — понедельник)",
    "stage_step": "«{name}» ({one})", "stage": "самый дальний достигнутый этап из {steps}",
    "stage_entered": "момент достижения самого дальнего этапа из {steps}",
    "stage_days": "число дней на самом дальнем достигнутом этапе из {steps}",
    "not_followed_by": "{one}, после чего в течение {duration_of} не было {then_of}", "recent": "{rule}, {last}",
    "events": {
        "*": {
            "one": "событие {type}", "one_of": "события {type}", "many": "события {type}",
            "many_of": "событий {type}", "first_of": "первого события {type}",
            "last_of": "последнего события {type}",
            "counted": _forms("событие {type}", "события {type}", "событий {type}", "события {type}"),
            "of": _forms("события {type}", "событий {type}", "событий {type}", "события {type}"),
        },
        "any": {
            "one": "любое событие", "one_of": "любого события", "many": "любые события", "many_of": "любых событий",
            "first_of": "первого события любого типа", "last_of": "последнего события любого типа",
            "counted": _forms("любое событие", "любых события", "любых событий", "любого события"),
            "of": _forms("любого события", "любых событий", "любых событий", "любого события"),
        },
    },
    "names": {},
    "window_within": "{last}", "window_ago": "(по состоянию на {duration} раньше)",
    "window_since": "начиная с {moment}",
    "window_until": "до {moment}", "window_during": "{period}",
    **_slavic({
        "days": (
            _forms("за последний {n} день", "за последние {n} дня", "за последние {n} дней", "за последние {n} дня"),
            _forms("{n} день", "{n} дня", "{n} дней", "{n} дня"),
            _forms("{n} дня", "{n} дней", "{n} дней", "{n} дня"),
        ),
        "hours": (
            _forms("за последний {n} час", "за последние {n} часа", "за последние {n} часов", "за последние {n} часа"),
            _forms("{n} час", "{n} часа", "{n} часов", "{n} часа"),
            _forms("{n} часа", "{n} часов", "{n} часов", "{n} часа"),
        ),
        "minutes": (
            _forms("за последнюю {n} минуту", "за последние {n} минуты", "за последние {n} минут",
                   "за последние {n} минуты"),
            _forms("{n} минуту", "{n} минуты", "{n} минут", "{n} минуты"),
            _forms("{n} минуты", "{n} минут", "{n} минут", "{n} минуты"),
        ),
        "seconds": (
            _forms("за последнюю {n} секунду", "за последние {n} секунды", "за последние {n} секунд",
                   "за последние {n} секунды"),
            _forms("{n} секунду", "{n} секунды", "{n} секунд", "{n} секунды"),
            _forms("{n} секунды", "{n} секунд", "{n} секунд", "{n} секунды"),
        ),
        "calendar_days": (
            _forms("за последний {n} календарный день", "за последние {n} календарных дня",
                   "за последние {n} календарных дней", "за последние {n} календарного дня"),
            _forms("{n} календарный день", "{n} календарных дня", "{n} календарных дней", "{n} календарного дня"),
            _forms("{n} календарного дня", "{n} календарных дней", "{n} календарных дней", "{n} календарного дня"),
        ),
        "months": (
            _forms("за последний {n} месяц", "за последние {n} месяца", "за последние {n} месяцев",
                   "за последние {n} месяца"),
            _forms("{n} месяц", "{n} месяца", "{n} месяцев", "{n} месяца"),
            _forms("{n} месяца", "{n} месяцев", "{n} месяцев", "{n} месяца"),
        ),
    }),
    "last_mixed": "за последние {duration}", "duration_join": " ",
    "period_day": ["вчера", "сегодня", "завтра"],
    "period_week": ["на прошлой неделе", "на этой неделе", "на следующей неделе"],
    "period_month": ["в прошлом месяце", "в этом месяце", "в следующем месяце"],
    "period_quarter": ["в прошлом квартале", "в этом квартале", "в следующем квартале"],
    "period_year": ["в прошлом году", "в этом году", "в следующем году"],
    "ago_day": _forms("{n} день назад", "{n} дня назад", "{n} дней назад", "{n} дня назад"),
    "ago_week": _forms("{n} неделю назад", "{n} недели назад", "{n} недель назад", "{n} недели назад"),
    "ago_month": _forms("{n} месяц назад", "{n} месяца назад", "{n} месяцев назад", "{n} месяца назад"),
    "ago_quarter": _forms("{n} квартал назад", "{n} квартала назад", "{n} кварталов назад", "{n} квартала назад"),
    "ago_year": _forms("{n} год назад", "{n} года назад", "{n} лет назад", "{n} года назад"),
    "ahead_day": _forms("через {n} день", "через {n} дня", "через {n} дней", "через {n} дня"),
    "ahead_week": _forms("через {n} неделю", "через {n} недели", "через {n} недель", "через {n} недели"),
    "ahead_month": _forms("через {n} месяц", "через {n} месяца", "через {n} месяцев", "через {n} месяца"),
    "ahead_quarter": _forms("через {n} квартал", "через {n} квартала", "через {n} кварталов", "через {n} квартала"),
    "ahead_year": _forms("через {n} год", "через {n} года", "через {n} лет", "через {n} года"),
    "span_day": _forms("за {n} день", "за {n} дня", "за {n} дней", "за {n} дня"),
    "span_week": _forms("за {n} неделю", "за {n} недели", "за {n} недель", "за {n} недели"),
    "span_month": _forms("за {n} месяц", "за {n} месяца", "за {n} месяцев", "за {n} месяца"),
    "span_quarter": _forms("за {n} квартал", "за {n} квартала", "за {n} кварталов", "за {n} квартала"),
    "span_year": _forms("за {n} год", "за {n} года", "за {n} лет", "за {n} года"),
    "span": "{span} {end}", "end_ago": "(конец — {ago})",
    "end_day": ["до вчерашнего дня включительно", "до сегодняшнего дня включительно"],
    "end_week": ["до прошлой недели включительно", "до этой недели включительно"],
    "end_month": ["до прошлого месяца включительно", "до этого месяца включительно"],
    "end_quarter": ["до прошлого квартала включительно", "до этого квартала включительно"],
    "end_year": ["до прошлого года включительно", "до этого года включительно"],
    "every_day": _forms("дня", "дней", "дней", "дня"), "every_week": _forms("недели", "недель", "недель", "недели"),
    "every_month": _forms("месяца", "месяцев", "месяцев", "месяца"),
    "every_quarter": _forms("квартала", "кварталов", "кварталов", "квартала"),
    "every_year": _forms("года", "лет", "лет", "года"),
    "every_duration": _forms("периода по {duration}", "периодов по {duration}", "периодов по {duration}",
                              "периода по {duration}"),
}  # fmt: skip

UKRAINIAN: Phrases = {
    "language": "uk",
    "plural": "east_slavic",
    "text": "«{value}»", "true": "так", "false": "ні", "decimal": ",",
    "date": "{day}.{month}.{year}", "instant": "{date} {time} UTC", "listed": "{values} і ще {n}",
    "comma": ", ", "semicolon": "; ", "and_more": " і ", "or_more": " або ",
    "group": "({rule})", "not": "неправда, що {rule}", "everyone": "усі клієнти",
    "ids": _same("клієнт — один зі списку ({n}): {values}"), "nobody": "ніхто",
    "sample": "випадкові {percent} % клієнтів (сіль «{salt}»)", "segment": "клієнт належить до сегмента «{name}»",
    "at_least": "виконується щонайменше {n} з {of} умов: {rules}",
    "field": "поле «{name}»", "prop": "властивість «{name}»", "event_value": "сума події", "event_type": "тип події",
    "event_name": "«{type}»",
    "fill": "{arg} (якщо невідомо, то {value})", "age": "повних років від дати ({arg})",
    "add": "{left} + {right}", "sub": "{left} − {right}", "mul": "{left} × {right}", "div": "{left} ÷ {right}",
    "eq": "{left} дорівнює {right}", "ne": "{left} не дорівнює {right}", "lt": "{left} менше ніж {right}",
    "le": "{left} не більше ніж {right}", "gt": "{left} більше ніж {right}", "ge": "{left} не менше ніж {right}",
    "is_true": "{left}: так", "is_false": "{left}: ні",
    "lt_time": "{left} раніше ніж {right}", "le_time": "{left} не пізніше ніж {right}",
    "gt_time": "{left} пізніше ніж {right}", "ge_time": "{left} не раніше ніж {right}",
    "between": "{arg} від {low} до {high}", "between_time": "{arg} з {low} по {high}",
    "in": "{arg} — одне зі значень: {values}",
    "not_in": "{arg} — жодне зі значень: {values}",
    "is_null": "{arg}: немає даних", "not_null": "{arg}: є дані", "is_empty": "{arg}: порожньо",
    "contains": "{arg} містить {values}", "contains_any": "{arg} містить хоча б одне з: {values}",
    "contains_all": "{arg} містить усе з: {values}", "contains_none": "{arg} не містить нічого з: {values}",
    "startswith": "{arg} починається з {values}", "endswith": "{arg} закінчується на {values}",
    "has_word": "{arg} містить слово {values}", "like": "{arg} відповідає шаблону {values}",
    "casefold": "{rule} (без урахування регістру)",
    "within": "{arg}: {last}", "older_than": "{arg}: більш ніж {duration} тому",
    "upcoming": "{arg} настане протягом {duration_of}",
    "anniversary": "{arg}: річниця настане протягом {duration_of}",
    "past_anniversary": "{arg}: річниця минула {last}",
    "in_period": "{arg}: {period}", "yearly": "{arg}: {period}, у будь-якому році",
    "count": "кількість {many_of}", "exists": "є {one}", "not_exists": "немає {many_of}",
    "count_eq": "рівно {n} {counted}", "count_lt": "менше ніж {n} {counted}", "count_le": "не більше ніж {n} {counted}",
    "count_gt": "більше ніж {n} {counted}", "count_ge": "не менше ніж {n} {counted}",
    "active_days": "кількість днів, коли були {many}", "days_since_first": "кількість днів від {first_of}",
    "days_since_last": "кількість днів від {last_of}",
    "count_distinct": "кількість різних значень ({of_what}) серед {many_of}",
    "sum": "підсумок ({of_what}) для {many_of}",
    "sum_value": "загальна сума {many_of}", "mean_value": "середня сума {many_of}",
    "mean": "середнє ({of_what}) для {many_of}", "min": "мінімум ({of_what}) для {many_of}",
    "max": "максимум ({of_what}) для {many_of}", "first": "перше значення ({of_what}) для {many_of}",
    "last": "останнє значення ({of_what}) для {many_of}",
    "most_frequent": "найчастіше значення ({of_what}) для {many_of}",
    "where": "{events} (де {rule})",
    "last_event": "для {last_of} правда, що {rule}",
    "regularly": "{many} були щонайменше у {n} з останніх {of} {periods}",
    "sequence": "за порядком: {steps}", "then": ", потім ", "step_within": "усе протягом {duration_of}",
    "step_strict": "без інших подій між ними", "step_exclude": "без {events} між ними",
    "step_apart": "між кроками минає щонайменше {duration}", "step_recent": "останній крок — {last}",
    "step_same": "в усіх та сама властивість «{name}»",
    "hour_of_day": "година доби", "weekday": "день тижня (1 — понеділок)",
    "stage_step": "«{name}» ({one})", "stage": "найдальший досягнутий етап із {steps}",
    "stage_entered": "момент досягнення найдальшого етапу з {steps}",
    "stage_days": "кількість днів на найдальшому досягнутому етапі з {steps}",
    "not_followed_by": "{one}, після чого протягом {duration_of} не було {then_of}", "recent": "{rule}, {last}",
    "events": {
        "*": {
            "one": "подія {type}", "one_of": "події {type}", "many": "події {type}", "many_of": "подій {type}",
            "first_of": "першої події {type}", "last_of": "останньої події {type}",
            "counted": _forms("подія {type}", "події {type}", "подій {type}", "події {type}"),
            "of": _forms("події {type}", "подій {type}", "подій {type}", "події {type}"),
        },
        "any": {
            "one": "будь-яка подія", "one_of": "будь-якої події", "many": "будь-які події",
            "many_of": "будь-яких подій", "first_of": "першої події будь-якого типу",
            "last_of": "останньої події будь-якого типу",
            "counted": _forms("будь-яка подія", "будь-які події", "будь-яких подій", "будь-якої події"),
            "of": _forms("будь-якої події", "будь-яких подій", "будь-яких подій", "будь-якої події"),
        },
    },
    "names": {},
    "window_within": "{last}", "window_ago": "(станом на {duration} раніше)", "window_since": "починаючи з {moment}",
    "window_until": "до {moment}", "window_during": "{period}",
    **_slavic({
        "days": (
            _forms("за останній {n} день", "за останні {n} дні", "за останні {n} днів", "за останні {n} дня"),
            _forms("{n} день", "{n} дні", "{n} днів", "{n} дня"),
            _forms("{n} дня", "{n} днів", "{n} днів", "{n} дня"),
        ),
        "hours": (
            _forms("за останню {n} годину", "за останні {n} години", "за останні {n} годин", "за останні {n} години"),
            _forms("{n} годину", "{n} години", "{n} годин", "{n} години"),
            _forms("{n} години", "{n} годин", "{n} годин", "{n} години"),
        ),
        "minutes": (
            _forms("за останню {n} хвилину", "за останні {n} хвилини", "за останні {n} хвилин",
                   "за останні {n} хвилини"),
            _forms("{n} хвилину", "{n} хвилини", "{n} хвилин", "{n} хвилини"),
            _forms("{n} хвилини", "{n} хвилин", "{n} хвилин", "{n} хвилини"),
        ),
        "seconds": (
            _forms("за останню {n} секунду", "за останні {n} секунди", "за останні {n} секунд",
                   "за останні {n} секунди"),
            _forms("{n} секунду", "{n} секунди", "{n} секунд", "{n} секунди"),
            _forms("{n} секунди", "{n} секунд", "{n} секунд", "{n} секунди"),
        ),
        "calendar_days": (
            _forms("за останній {n} календарний день", "за останні {n} календарні дні",
                   "за останні {n} календарних днів", "за останні {n} календарного дня"),
            _forms("{n} календарний день", "{n} календарні дні", "{n} календарних днів", "{n} календарного дня"),
            _forms("{n} календарного дня", "{n} календарних днів", "{n} календарних днів", "{n} календарного дня"),
        ),
        "months": (
            _forms("за останній {n} місяць", "за останні {n} місяці", "за останні {n} місяців",
                   "за останні {n} місяця"),
            _forms("{n} місяць", "{n} місяці", "{n} місяців", "{n} місяця"),
            _forms("{n} місяця", "{n} місяців", "{n} місяців", "{n} місяця"),
        ),
    }),
    "last_mixed": "за останні {duration}", "duration_join": " ",
    "period_day": ["учора", "сьогодні", "завтра"],
    "period_week": ["минулого тижня", "цього тижня", "наступного тижня"],
    "period_month": ["минулого місяця", "цього місяця", "наступного місяця"],
    "period_quarter": ["минулого кварталу", "цього кварталу", "наступного кварталу"],
    "period_year": ["минулого року", "цього року", "наступного року"],
    "ago_day": _forms("{n} день тому", "{n} дні тому", "{n} днів тому", "{n} дня тому"),
    "ago_week": _forms("{n} тиждень тому", "{n} тижні тому", "{n} тижнів тому", "{n} тижня тому"),
    "ago_month": _forms("{n} місяць тому", "{n} місяці тому", "{n} місяців тому", "{n} місяця тому"),
    "ago_quarter": _forms("{n} квартал тому", "{n} квартали тому", "{n} кварталів тому", "{n} кварталу тому"),
    "ago_year": _forms("{n} рік тому", "{n} роки тому", "{n} років тому", "{n} року тому"),
    "ahead_day": _forms("через {n} день", "через {n} дні", "через {n} днів", "через {n} дня"),
    "ahead_week": _forms("через {n} тиждень", "через {n} тижні", "через {n} тижнів", "через {n} тижня"),
    "ahead_month": _forms("через {n} місяць", "через {n} місяці", "через {n} місяців", "через {n} місяця"),
    "ahead_quarter": _forms("через {n} квартал", "через {n} квартали", "через {n} кварталів", "через {n} кварталу"),
    "ahead_year": _forms("через {n} рік", "через {n} роки", "через {n} років", "через {n} року"),
    "span_day": _forms("за {n} день", "за {n} дні", "за {n} днів", "за {n} дня"),
    "span_week": _forms("за {n} тиждень", "за {n} тижні", "за {n} тижнів", "за {n} тижня"),
    "span_month": _forms("за {n} місяць", "за {n} місяці", "за {n} місяців", "за {n} місяця"),
    "span_quarter": _forms("за {n} квартал", "за {n} квартали", "за {n} кварталів", "за {n} кварталу"),
    "span_year": _forms("за {n} рік", "за {n} роки", "за {n} років", "за {n} року"),
    "span": "{span} {end}", "end_ago": "(кінець — {ago})",
    "end_day": ["до вчорашнього дня включно", "до сьогоднішнього дня включно"],
    "end_week": ["до минулого тижня включно", "до цього тижня включно"],
    "end_month": ["до минулого місяця включно", "до цього місяця включно"],
    "end_quarter": ["до минулого кварталу включно", "до цього кварталу включно"],
    "end_year": ["до минулого року включно", "до цього року включно"],
    "every_day": _forms("дня", "днів", "днів", "дня"), "every_week": _forms("тижня", "тижнів", "тижнів", "тижня"),
    "every_month": _forms("місяця", "місяців", "місяців", "місяця"),
    "every_quarter": _forms("кварталу", "кварталів", "кварталів", "кварталу"),
    "every_year": _forms("року", "років", "років", "року"),
    "every_duration": _forms("періоду по {duration}", "періодів по {duration}", "періодів по {duration}",
                              "періоду по {duration}"),
}  # fmt: skip
