"""Whole customers travel: every kind of definition says on engines, row by row, what it says in numpy."""

from __future__ import annotations

import pickle
import runpy
from pathlib import Path

import numpy as np
import pytest

from relmark import days, engines, event, field, prop
from relmark.errors import InputError, MissingColumnError
from relmark.segmentation import Segment

pl = pytest.importorskip("polars")
duckdb = pytest.importorskip("duckdb")
pa = pytest.importorskip("pyarrow")
SHOP = runpy.run_path(str(Path(__file__).parent / "applied.py"))
AS_OF, COLUMNS = SHOP["AS_OF"], SHOP["COLUMNS"]
PEOPLE, HAPPENED = SHOP["shop"]()
BASE = SHOP["base_of"](PEOPLE, HAPPENED)
KINDS = SHOP["definitions"](BASE)


def through_polars(definition, people, happened, **more):
    found = engines.apply(
        definition, events=happened.lazy(), customers=None if people is None else people.lazy(), columns=COLUMNS,
        **{"as_of": AS_OF} | more,
    )  # fmt: skip
    assert isinstance(found, pl.LazyFrame)
    return found.collect().to_dicts()


def through_duckdb(definition, people, happened, **more):
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.register("happened", happened.to_arrow())
    customers = None
    if people is not None:
        connection.register("people", people.to_arrow())
        customers = connection.sql("select * from people")
    found = engines.apply(
        definition, events=connection.sql("select * from happened"), customers=customers, columns=COLUMNS,
        **{"as_of": AS_OF} | more,
    )  # fmt: skip
    assert type(found).__name__ == "DuckDBPyRelation"
    return found.pl().to_dicts()


ENGINES = pytest.mark.parametrize("through", [through_polars, through_duckdb])


@pytest.mark.long
@ENGINES
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("memory", [1 << 29, 20_000])
def test_every_kind_of_definition_says_what_it_says_in_numpy(through, kind, memory):
    definition, expected = KINDS[kind]
    rows = through(definition, PEOPLE, HAPPENED, memory=memory, returns=SHOP["RETURNS"].get(kind))
    assert len(rows) == len(expected["customer_id"])
    assert SHOP["found_rows"](rows) == SHOP["expected_rows"](expected)


@pytest.mark.long
@ENGINES
def test_more_pieces_than_customers_and_one_customer_with_half_of_the_rows(through):
    people, happened = SHOP["shop"](seed=3, n=12, most=0.5)
    base = SHOP["base_of"](people, happened)
    for name, (definition, expected) in SHOP["definitions"](base).items():
        rows = through(definition, people, happened, memory=600, returns=SHOP["RETURNS"].get(name))
        assert SHOP["found_rows"](rows) == SHOP["expected_rows"](expected), name


@ENGINES
def test_without_customers_and_without_events(through):
    rule = event("purchase").count(within=days(60)) >= 2
    base = SHOP["base_of"](PEOPLE.clear(), HAPPENED)
    found = {row["customer_id"]: row["member"] for row in through(rule, None, HAPPENED)}
    members = Segment("x", rule).evaluate(base, as_of=AS_OF)
    assert found == dict(zip(members.customer_id.tolist(), members.mask.tolist(), strict=True))
    assert through(rule, None, HAPPENED.clear()) == []
    empty = through(~event("purchase").exists(), PEOPLE, HAPPENED.clear())
    assert len(empty) == len(PEOPLE)
    assert all(row["member"] for row in empty)


@ENGINES
@pytest.mark.parametrize("kind", ["value", "lists", "rfm", "set", "score"])
def test_pieces_in_which_nobody_bought_have_the_columns_of_the_others(through, kind):
    definition, expected = KINDS[kind]
    rows = through(definition, PEOPLE, HAPPENED.filter(pl.col("event") != "purchase"), memory=30_000)
    if kind == "value":
        assert rows == []
    else:
        assert len(rows) == len(expected["customer_id"])
        assert set(rows[0]) == set(expected)


@ENGINES
def test_rows_without_an_id_a_time_or_a_type_are_nobodys_and_infinite_numbers_missing(through):
    some = HAPPENED.head(6).with_columns(
        user=pl.Series(["c1", None, "c2", "c3", "c4", "c5"]), event=pl.Series(["a", "a", None, "a", "a", "a"]),
        ts=pl.when(pl.int_range(6) == 3).then(None).otherwise(pl.col("ts")),
        amount=pl.Series([1.0, 2.0, 3.0, 4.0, float("inf"), float("nan")]),
    )  # fmt: skip
    rows = through({"n": event("a").count(), "sum": event("a").sum(), "mean": event("a").mean()}, None, some)
    assert {row["customer_id"]: (row["n"], row["sum"], row["mean"]) for row in rows} == {
        "c1": (1.0, 1.0, 1.0), "c2": (0.0, 0.0, None), "c3": (0.0, 0.0, None), "c4": (1.0, 0.0, None),
        "c5": (1.0, 0.0, None),
    }  # fmt: skip


@ENGINES
def test_what_goes_wrong_is_said_with_the_definition_and_its_path(through):
    with pytest.raises(InputError, match=r"\$\.rule\.right: Segment 'x': .*cannot be compared") as raised:
        through(Segment("x", field("age") > "10"), PEOPLE, HAPPENED)
    assert raised.value.path == "$.rule.right"
    with pytest.raises(MissingColumnError, match=r"Segment 'x': \$\.rule.*'skuu'"):
        through(Segment("x", event("purchase", where=prop("skuu") == "x").exists()), PEOPLE, HAPPENED)
    with pytest.raises(MissingColumnError, match=r"'agee'"):
        through(Segment("x", field("agee") > 1), PEOPLE, HAPPENED)
    with pytest.raises(InputError, match=r"Broken 'broken' failed on a part with 720 events.*nothing to divide"):
        through(SHOP["Broken"](), PEOPLE, HAPPENED)


@ENGINES
def test_a_type_that_no_rows_do_not_tell_is_asked_for(through):
    def words(base):
        return {"customer_id": base.customer_id, "word": np.array([None] * len(base), dtype=object)}

    with pytest.raises(InputError, match=r"words: column 'word' has type object on no rows.*returns"):
        through(words, PEOPLE, HAPPENED)
    with pytest.raises(InputError, match=r"one of bool"):
        through(words, PEOPLE, HAPPENED, returns={"word": "texts"})
    rows = through(words, PEOPLE, HAPPENED, returns={"word": "string"}, memory=30_000)
    assert {row["word"] for row in rows} == {None}
    with pytest.raises(InputError, match="no column 'customer_id'"):
        through(lambda base: {"n": np.zeros(len(base))}, PEOPLE, HAPPENED)


@pytest.mark.parametrize("bad", [3, None, "x", {}, int, {"a": 3}])
def test_what_is_no_definition_is_refused(bad):
    with pytest.raises(InputError, match="definition"):
        engines.worker(bad, as_of=AS_OF)


def test_a_model_without_a_horizon_is_no_definition_and_says_what_is():
    value, _ = KINDS["value"]
    with pytest.raises(InputError, match=r"engines\.Values"):
        engines.worker(value.model, as_of=AS_OF)
    with pytest.raises(InputError, match="model of purchases"):
        engines.Values(model=value.spend, spend=1.0)
    with pytest.raises(InputError, match="fitted recommender"):
        engines.Lists(model=value.model)


def test_a_worker_takes_arrow_gives_arrow_and_pickles():
    table, people = HAPPENED.to_arrow(), PEOPLE.to_arrow()
    for name, (definition, expected) in KINDS.items():
        work = engines.worker(definition, columns=COLUMNS, as_of=AS_OF, returns=SHOP["RETURNS"].get(name))
        if name not in {"function", "policy"}:  # what a test file defines, no other process knows
            work = pickle.loads(pickle.dumps(work))
        found = work(table, people)
        assert found.schema == work.schema(table.schema, people.schema)
        assert SHOP["found_rows"](found.to_pylist()) == SHOP["expected_rows"](expected), name


def test_a_worker_reads_both_kinds_of_rows_from_one_table_by_a_marker():
    united = pl.concat([HAPPENED.with_columns(whose=pl.lit(False)), PEOPLE.with_columns(whose=pl.lit(True))],
                       how="diagonal").to_arrow()  # fmt: skip
    definition, expected = KINDS["set"]
    work = engines.worker(definition, columns=COLUMNS, as_of=AS_OF, marker="whose")
    (batch,) = united.combine_chunks().to_batches()
    assert SHOP["found_rows"](work(batch).to_pylist()) == SHOP["expected_rows"](expected)
    with pytest.raises(InputError, match="leave customers out"):
        work(united, PEOPLE.to_arrow())
    with pytest.raises(MissingColumnError, match="'whose'"):
        work(HAPPENED.to_arrow())
    with pytest.raises(InputError, match="it must be an Arrow table"):
        work(PEOPLE)


def test_integer_ids_and_parquet_files(tmp_path):
    numbered = HAPPENED.with_columns(user=pl.col("user").str.slice(1).cast(pl.Int32))
    numbered.write_parquet(tmp_path / "events.parquet")
    rule = event("purchase").count(within=days(60)) >= 2
    base = SHOP["base_of"](PEOPLE.clear(), HAPPENED)
    members = Segment("x", rule).evaluate(base, as_of=AS_OF)
    expected = {int(who[1:]): one for who, one in zip(members.customer_id.tolist(), members.mask.tolist(), strict=True)}
    scanned = engines.apply(rule, events=pl.scan_parquet(tmp_path / "events.parquet"), columns=COLUMNS, as_of=AS_OF,
                            memory=20_000).collect()  # fmt: skip
    read = engines.apply(rule, events=duckdb.read_parquet(str(tmp_path / "events.parquet")), columns=COLUMNS,
                         as_of=AS_OF, memory=20_000).pl()  # fmt: skip
    for frame in (scanned, read):
        assert frame.schema["customer_id"] == pl.Int64
        assert dict(zip(frame["customer_id"].to_list(), frame["member"].to_list(), strict=True)) == expected


def test_day_stamped_events_are_local_days():
    frame = pl.DataFrame({"customer_id": ["a", "a", "b"], "type": ["a"] * 3,
                          "time": np.array(["2026-10-31", "2026-11-01", "2026-11-01"], "M8[D]")})  # fmt: skip
    found = engines.apply({"n": event("a").count()}, events=frame, as_of="2026-11-01", tz="Europe/Berlin").collect()
    assert dict(found.rows()) == {"a": 1.0, "b": 0.0}


def test_other_engines_are_told_of_the_worker():
    ibis = pytest.importorskip("ibis")
    events = ibis.table({"customer_id": "string", "time": "timestamp", "type": "string"}, name="events")
    with pytest.raises(InputError, match=r"engines\.worker"):
        engines.apply(event("a").exists(), events=events, as_of=AS_OF)


@pytest.mark.long
@ENGINES
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("as_of", ["2026-11-09", "2026-11-02T00:30", "2026-11-08T11:00Z"])
def test_everyone_is_seen_at_their_own_local_time(through, seed, as_of):
    people, happened, base = SHOP["zoned_shop"](seed)
    for name, (definition, expected) in SHOP["zoned_definitions"](base, as_of).items():
        for memory in (1 << 29, 20_000):
            rows = through(definition, people, happened, as_of=as_of, tz="Europe/Berlin", zone="home", memory=memory)
            assert SHOP["found_rows"](rows) == SHOP["expected_rows"](expected), name
    assert (
        any(
            SHOP["expected_rows"](expected)
            != SHOP["found_rows"](through(definition, people, happened, as_of=as_of, tz="Europe/Berlin"))
            for definition, expected in SHOP["zoned_definitions"](base, as_of).values()
        )
        or "Z" in as_of
    )


def test_a_worker_sees_everyone_at_their_own_local_time_and_travels():
    people, happened, base = SHOP["zoned_shop"](1)
    for definition, expected in SHOP["zoned_definitions"](base, "2026-11-09").values():
        work = engines.worker(definition, columns=COLUMNS, as_of="2026-11-09", tz="Europe/Berlin", zone="home")
        again = pickle.loads(pickle.dumps(work))
        assert again.zone == "home"
        rows = again(happened.to_arrow(), people.to_arrow()).to_pylist()
        assert SHOP["found_rows"](rows) == SHOP["expected_rows"](expected)


def test_zones_are_read_from_a_field_by_the_name_that_rules_use():
    people, happened, base = SHOP["zoned_shop"](2)
    definition, expected = SHOP["zoned_definitions"](base, "2026-11-09")["week"]
    found = engines.apply(
        definition, events=happened.lazy(), customers=people.rename({"home": "lives"}).lazy(), as_of="2026-11-09",
        tz="Europe/Berlin", columns=COLUMNS | {"home": "lives"}, zone="home",
    )  # fmt: skip
    assert SHOP["found_rows"](found.collect().to_dicts()) == SHOP["expected_rows"](expected)


def test_a_zone_that_nobody_has_or_knows_is_refused():
    people, happened, _ = SHOP["zoned_shop"](1)
    rule = event("visit").exists(within=days(7))
    given = {"events": happened.lazy(), "columns": COLUMNS, "as_of": "2026-11-09"}
    with pytest.raises(
        InputError, match="zone names the field 'home' of customers, but customers is not given"
    ) as told:
        engines.apply(rule, **given, zone="home")
    assert told.value.argument == "customers"
    with pytest.raises(InputError, match="pass the customers"):
        engines.worker(rule, columns=COLUMNS, as_of="2026-11-09", zone="home")(happened.to_arrow())
    with pytest.raises(MissingColumnError, match="hom"):
        engines.apply(rule, **given, customers=people.lazy(), zone="hom")
    lost = people.with_columns(home=pl.lit("Europe/Atlantis"))
    with pytest.raises(InputError, match=r"the rule: .*'Europe/Atlantis' in row 0, which is not a time zone"):
        engines.apply(rule, **given, customers=lost.lazy(), zone="home")
    with pytest.raises(InputError, match="names of time zones are needed"):
        engines.apply(rule, **given, customers=people.lazy(), zone="age")
    far = engines.apply(rule, events=happened.lazy(), columns=COLUMNS, as_of="9999-12-31", customers=people.lazy(),
                        zone="home")  # fmt: skip
    assert not far.collect()["member"].any()


class Sizes:
    """Keeps how many customers each piece has, and looks at events that nobody has."""

    def __init__(self):
        self.found = []

    def needs(self):
        return event("never").exists().needs()

    def evaluate(self, base, *, as_of):  # noqa: ARG002
        self.found.append(len(base))
        return {"customer_id": base.customer_id}


def test_many_customers_are_divided_into_pieces_however_few_events_there_are():
    def arrow(frame):
        return duckdb.from_arrow(frame.to_arrow())

    for read in (pl.DataFrame.lazy, arrow):
        sizes = Sizes()
        found = engines.apply(
            sizes, events=read(HAPPENED), customers=read(PEOPLE), columns=COLUMNS, as_of=AS_OF, memory=2_000
        )
        rows = found.collect().rows() if isinstance(found, pl.LazyFrame) else found.fetchall()
        assert sorted(who for (who,) in rows) == sorted(BASE.customer_id.tolist())
        assert max(sizes.found) < len(BASE) / 2
