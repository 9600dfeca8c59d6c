"""Rules in words: English, Russian and Ukrainian, plural forms, labels of an application, and wrong phrases."""

from __future__ import annotations

import json
import random
import re
import runpy
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from relmark import at_least, calendar_days, days, event, everyone, field, hours, ids, months, period, prop, sequence
from relmark.errors import InputError
from relmark.expressions.phrases import ENGLISH, PLURALS, RUSSIAN, UKRAINIAN, plural
from relmark.segmentation import Segment

BUY = event("purchase")
SAID = [
    (
        BUY.count(within=days(1)) >= 1,
        'at least 1 "purchase" event in the last 1 day',
        "не меньше 1 события «purchase» за последний 1 день",
        "не менше ніж 1 подія «purchase» за останній 1 день",
    ),
    (
        BUY.count(within=days(22)) == 2,
        'exactly 2 "purchase" events in the last 22 days',
        "ровно 2 события «purchase» за последние 22 дня",
        "рівно 2 події «purchase» за останні 22 дні",
    ),
    (
        BUY.count(within=days(11)) < 11,
        'fewer than 11 "purchase" events in the last 11 days',
        "меньше 11 событий «purchase» за последние 11 дней",
        "менше ніж 11 подій «purchase» за останні 11 днів",
    ),
    (
        BUY.sum(within=months(3)) > 99.5,
        'total value of "purchase" events in the last 3 months is more than 99.5',
        "общая сумма событий «purchase» за последние 3 месяца больше 99,5",
        "загальна сума подій «purchase» за останні 3 місяці більше ніж 99,5",
    ),
    (
        ~BUY.exists(within=hours(5)),
        'there is no "purchase" event in the last 5 hours',
        "нет событий «purchase» за последние 5 часов",
        "немає подій «purchase» за останні 5 годин",
    ),
    (
        (field("born") < date(2000, 1, 2)) & field("vip"),
        "born is before 2000-01-02 and vip: yes",
        "поле «born» раньше 02.01.2000 и поле «vip»: да",
        "поле «born» раніше ніж 02.01.2000 і поле «vip»: так",
    ),
    (
        field("city").not_in(["a", "b"]) | (field("x").is_null() & ~field("vip")),
        'city is none of ("a", "b") or (x is unknown and vip: no)',
        "поле «city» — ни одно из значений: («a», «b») или (поле «x»: нет данных и поле «vip»: нет)",
        "поле «city» — жодне зі значень: («a», «b») або (поле «x»: немає даних і поле «vip»: ні)",
    ),
    (
        sequence([event("cart"), event.any()], within=hours(1), strict=True, same="sku"),
        (
            'in this order: a "cart" event, then an event of any type; all within 1 hour; nothing else between them; '
            "all with the same sku"
        ),
        (
            "по порядку: событие «cart», затем любое событие; всё в течение 1 часа; без других событий между ними; "
            "во всех одно и то же свойство «sku»"
        ),
        (
            "за порядком: подія «cart», потім будь-яка подія; усе протягом 1 години; без інших подій між ними; "
            "в усіх та сама властивість «sku»"
        ),
    ),
    (
        event("mail", where=prop("campaign") == "x").not_followed_by(BUY, within=days(21)),
        'a "mail" event (where campaign is "x") that is not followed by a "purchase" event within 21 days',
        (
            "событие «mail» (где свойство «campaign» равняется «x»), после чего в течение 21 дня "
            "не было события «purchase»"
        ),
        "подія «mail» (де властивість «campaign» дорівнює «x»), після чого протягом 21 дня не було події «purchase»",
    ),
    (
        BUY.regularly(3, of=5, period="month"),
        '"purchase" events in at least 3 of the last 5 months',
        "события «purchase» были не меньше чем в 3 из последних 5 месяцев",
        "події «purchase» були щонайменше у 3 з останніх 5 місяців",
    ),
    (
        BUY.count(during=period("week", -1, count=4)) > 5,
        'more than 5 "purchase" events in the 4 weeks up to last week',
        "больше 5 событий «purchase» за 4 недели до прошлой недели включительно",
        "більше ніж 5 подій «purchase» за 4 тижні до минулого тижня включно",
    ),
    (
        BUY.exists(since=date(2026, 1, 1), until=datetime(2026, 2, 1, 9, 30, tzinfo=UTC)),
        'there is a "purchase" event since 2026-01-01 until 2026-02-01 09:30 UTC',
        "есть событие «purchase» начиная с 01.01.2026 до 01.02.2026 09:30 UTC",
        "є подія «purchase» починаючи з 01.01.2026 до 01.02.2026 09:30 UTC",
    ),
    (
        BUY.exists(within=calendar_days(2), ago=timedelta(days=1, hours=2)),
        'there is a "purchase" event in the last 2 calendar days (as it was 1 day 2 hours earlier)',
        "есть событие «purchase» за последние 2 календарных дня (по состоянию на 1 день 2 часа раньше)",
        "є подія «purchase» за останні 2 календарні дні (станом на 1 день 2 години раніше)",
    ),
    (
        field("born").in_period("year", -5) & at_least(1, everyone, ids([7])),
        "born is 5 years ago and (at least 1 of these 2: everyone; the customer with the id 7)",
        (
            "поле «born»: 5 лет назад и "
            "(выполняется не меньше 1 из 2 условий: все клиенты; клиент — один из списка (1): 7)"
        ),
        "поле «born»: 5 років тому і (виконується щонайменше 1 з 2 умов: усі клієнти; клієнт — один зі списку (1): 7)",
    ),
]


@pytest.mark.parametrize(("rule", "english", "russian", "ukrainian"), SAID, ids=range(len(SAID)))
def test_a_rule_is_said_in_good_english_russian_and_ukrainian(rule, english, russian, ukrainian):
    assert rule.to_words() == rule.to_words(ENGLISH) == english
    assert rule.to_words(RUSSIAN) == russian
    assert rule.to_words(json.loads(json.dumps(UKRAINIAN))) == ukrainian


def test_a_segment_says_its_rule_as_something_that_has_to_be_true():
    assert Segment("s", field("vip")).to_words() == "vip: yes"
    assert Segment("s", field("vip")).to_words(RUSSIAN) == "поле «vip»: да"


def places(phrase):
    texts = phrase.values() if isinstance(phrase, dict) else [phrase]
    return [set(re.findall(r"\{(\w+)\}", text)) for text in texts]


@pytest.mark.parametrize("phrases", [RUSSIAN, UKRAINIAN], ids=lambda one: one["language"])
def test_a_shipped_language_has_every_phrase_and_every_form(phrases):
    leftover = {key for key in ENGLISH if key.startswith("ago_")} - set(phrases)
    assert set(phrases) == set(ENGLISH) - leftover
    assert leftover == set()
    for key, phrase in phrases.items():
        if isinstance(phrase, dict) and key not in {"events", "names"}:
            assert list(phrase) == ["one", "few", "many", "other"], key
            assert len({frozenset(one) for one in places(phrase)}) == 1, key
    assert {form for forms in phrases["events"].values() for form in forms} == set(phrases["events"]["*"])
    assert set(phrases["events"]["*"]) == set(ENGLISH["events"]["*"])


@pytest.mark.long
@pytest.mark.parametrize("phrases", [ENGLISH, RUSSIAN, UKRAINIAN], ids=lambda one: one["language"])
def test_random_rules_are_said_without_a_gap(phrases):
    made = runpy.run_path(str(Path(__file__).parent / "random_rules.py"))["some_rule"]
    for seed in range(300):
        words = made(random.Random(seed), datetime(2024, 3, 1, tzinfo=UTC)).to_words(phrases)
        assert words
        assert not re.search(r"\{\w+\}", words)


def test_plural_forms_follow_cldr():
    east = {"one": [1, 21, 101, 1001], "few": [2, 3, 4, 22, 104], "many": [0, 5, 11, 12, 14, 19, 111, 112, 1_000_000],
            "other": [1.5, 0.1]}  # fmt: skip
    polish = {"one": [1], "few": [2, 4, 22, 102], "many": [0, 5, 11, 21, 112], "other": [1.5]}
    czech = {"one": [1], "few": [2, 3, 4], "many": [1.5], "other": [0, 5, 22]}
    english = {"one": [1], "other": [0, 2, 1.5, 11, 21]}
    french = {"one": [0, 1, 1.5], "other": [2, 17]}
    for rule, wanted in {"east_slavic": east, "polish": polish, "czech": czech, "one_other": english,
                         "zero_one_other": french, "none": {"other": [0, 1, 2]}}.items():  # fmt: skip
        for category, numbers in wanted.items():
            assert {plural(rule, n) for n in numbers} == {category}, (rule, category)
        assert rule in PLURALS


def test_an_application_says_its_own_names():
    mine = {
        **RUSSIAN,
        "names": {"city": "город"},
        "events": {
            **RUSSIAN["events"],
            "purchase": {
                "one": "покупка", "one_of": "покупки", "many": "покупки", "many_of": "покупок",
                "first_of": "первой покупки", "last_of": "последней покупки",
                "counted": {"one": "покупка", "few": "покупки", "many": "покупок", "other": "покупки"},
                "of": {"one": "покупки", "few": "покупок", "many": "покупок", "other": "покупки"},
            },
        },
    }  # fmt: skip
    assert ((field("city") == "Омск") & (BUY.count() >= 2)).to_words(
        mine
    ) == "город равняется «Омск» и не меньше 2 покупок"
    assert (BUY.days_since_last() > 30).to_words(mine) == "число дней с последней покупки больше 30"
    both = event("purchase", "visit").count() == 21
    assert both.to_words(mine) == "ровно 21 покупка или событие «visit»"


def test_what_a_mapping_leaves_out_is_said_in_english():
    assert (field("age") >= 18).to_words({"ge": "{left} mindestens {right}"}) == "age mindestens 18"
    assert (field("age") < 18).to_words({"ge": "{left} mindestens {right}"}) == "age is less than 18"


@pytest.mark.parametrize(
    ("phrases", "message"),
    [
        ([], "a mapping of phrases"), ({"gee": "x"}, "Did you mean 'ge'"), ({"ge": 7}, "a text, or texts by plural"),
        ({"ge": "{left} {right} {up}"}, "may have"), ({"ge": "{left.__class__}"}, None), ({"plural": "x"}, "one_other"),
        ({"count_ge": {"one": "x"}}, "'other'"), ({"events": {"purchase": {}}}, "has no 'counted'"),
    ],
)  # fmt: skip
def test_wrong_phrases_are_refused_by_name(phrases, message):
    rule = (field("age") >= 18) & (BUY.count() >= 5)
    if message is None:
        assert "{left.__class__}" in rule.to_words(phrases)  # not a place: nothing of an object is looked at
        return
    with pytest.raises(InputError, match=message) as caught:
        rule.to_words(phrases)
    assert caught.value.argument == "phrases"


def test_a_list_without_members_is_seen_in_the_words():
    assert Segment("s", field("city").is_in([])).to_words() == "city is one of ()"
    assert Segment("s", field("city").not_in([])).to_words(RUSSIAN).endswith("()")
