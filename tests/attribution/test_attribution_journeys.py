import itertools
import json

import numpy as np
import pytest

from relmark import days, hours
from relmark.attribution import Journeys, Linear
from relmark.errors import InputError


def listed(j):
    return list(zip(j.paths, j.conversions.tolist(), j.nulls.tolist(), strict=True))


class TestFromPaths:
    def test_equal_paths_are_merged_and_their_counts_added(self):
        j = Journeys.from_paths(["a > b", "b", "a > b"], conversions=[1, 2, 3], value=[5, 6, 7], nulls=[0, 1, 4])
        assert listed(j) == [("a > b", 4.0, 4.0), ("b", 2.0, 1.0)]
        assert j.value.tolist() == [12.0, 6.0]
        assert (j.total_conversions, j.total_value, j.total_nulls) == (6.0, 18.0, 5.0)

    def test_channels_stand_in_the_order_in_which_they_first_occur(self):
        assert Journeys.from_paths(["z > a", "m"]).channels.tolist() == ["z", "a", "m"]

    def test_a_row_counts_one_conversion_where_nothing_else_is_said(self):
        j = Journeys.from_paths(["a", "a", "b"])
        assert j.conversions.tolist() == [2.0, 1.0]
        assert j.nulls.tolist() == [0.0, 0.0]
        assert j.value is None
        assert np.isnan(j.total_value)

    def test_another_separator_and_spaces_around_names(self):
        j = Journeys.from_paths(["a>b", "a > b", " a>b "], conversions=[1, 2, 4], sep=">")
        assert listed(j) == [("a > b", 7.0, 0.0)]
        assert Journeys.from_paths(["a>b"]).channels.tolist() == ["a>b"]

    def test_lists_of_names_may_hold_the_separator(self):
        j = Journeys.from_paths([["a > b", "c"], ("c",), np.array(["c"]), "c > c"])
        assert j.channels.tolist() == ["a > b", "c"]
        assert j.lengths.tolist() == [2, 1, 2]
        assert j.conversions.tolist() == [1.0, 2.0, 1.0]

    def test_arrays_and_frames_are_read(self):
        pandas = pytest.importorskip("pandas")
        polars = pytest.importorskip("polars")
        pyarrow = pytest.importorskip("pyarrow")
        paths = ["a > b", "b"]
        for given in (np.array(paths), pandas.Series(paths), polars.Series(paths), pyarrow.array(paths), iter(paths)):
            assert Journeys.from_paths(given).paths == paths

    def test_fractional_conversions_are_kept(self):
        j = Journeys.from_paths(["a", "a"], conversions=[0.25, 0.5], nulls=[0.1, 0.2])
        assert j.conversions.tolist() == [0.75]
        assert j.nulls[0] == pytest.approx(0.3)

    @pytest.mark.parametrize("bad", ["", " ", "a >  > b", " > a", "a > "])
    def test_an_empty_path_or_touch_is_an_error_that_names_the_row(self, bad):
        with pytest.raises(InputError, match=r"paths has .* in row 1.*on_empty='drop'"):
            Journeys.from_paths(["a", bad, "a"])

    @pytest.mark.parametrize("bad", [None, float("nan"), []])
    def test_a_missing_path_is_an_error_that_names_the_row(self, bad):
        with pytest.raises(InputError, match="row 1"):
            Journeys.from_paths(["a", bad])

    def test_dropped_touches_leave_conversions_unattributed(self):
        given = ["a >  > b", "", None, float("nan"), [], ["", "a"]]
        j = Journeys.from_paths(given, conversions=[1, 2, 4, 8, 16, 32], on_empty="drop")
        assert j.channels.tolist() == ["a", "b"]
        assert j.total_conversions == 63
        credit = Linear().attribute(j)
        assert credit.unattributed_conversions == 30.0
        assert credit.conversions.tolist() == [32.5, 0.5]

    def test_dropping_where_nothing_is_empty_changes_nothing(self):
        assert Journeys.from_paths(["a > b"], on_empty="drop").paths == ["a > b"]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"paths": "a > b"}, "one string"),
            ({"paths": 3}, "list of paths"),
            ({"paths": ["a", 3]}, "row 1"),
            ({"paths": [["a", 3]]}, "row 0"),
            ({"paths": ["a"], "sep": ""}, "sep"),
            ({"paths": ["a"], "on_empty": "skip"}, "on_empty"),
            ({"paths": ["a"], "conversions": [-1]}, "conversions"),
            ({"paths": ["a"], "conversions": [np.nan]}, "conversions"),
            ({"paths": ["a"], "conversions": [1, 2]}, "conversions"),
            ({"paths": ["a"], "nulls": [-1]}, "nulls"),
            ({"paths": ["a"], "value": [-1]}, "value"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, arguments, message):
        with pytest.raises(InputError, match=message):
            Journeys.from_paths(**arguments)

    def test_no_paths_are_no_journeys(self):
        j = Journeys.from_paths([])
        assert len(j) == 0
        assert j.channels.tolist() == []
        assert Linear().attribute(j).conversions.tolist() == []


class TestFromColumns:
    def test_counts_are_added_up_over_a_journey(self):
        j = Journeys.from_columns(
            journey=["x", "y", "x"], channel=["mail", "mail", "shop"], conversions=[0, 0, 1], value=[0, 0, 9.5]
        )
        assert listed(j) == [("mail > shop", 1.0, 0.0), ("mail", 0.0, 1.0)]
        assert j.value.tolist() == [9.5, 0.0]

    def test_time_puts_touches_in_order_and_ties_stay_in_row_order(self):
        j = Journeys.from_columns(
            journey=[1, 1, 1, 2],
            channel=["c", "a", "b", "d"],
            conversions=[1, 0, 0, 1],
            time=np.array(["2026-01-03", "2026-01-01", "2026-01-01", "2026-01-01"], dtype="M8[D]"),
        )
        assert j.paths == ["a > b > c", "d"]
        assert j.ends.astype("M8[us]").astype("M8[D]").astype(str).tolist() == ["2026-01-03", "2026-01-01"]

    def test_given_nulls_are_taken(self):
        j = Journeys.from_columns(journey=[1, 1], channel=["a", "b"], conversions=[0, 1], nulls=[3, 4])
        assert j.nulls.tolist() == [7.0]

    @pytest.mark.parametrize("bad", [None, "", " ", 3])
    def test_a_touch_without_a_channel_is_an_error(self, bad):
        with pytest.raises(InputError, match=r"channel has .* in row 1"):
            Journeys.from_columns(journey=[1, 1], channel=["a", bad], conversions=[0, 1])


class TestConstructor:
    def test_nulls_are_none_by_default(self):
        j = Journeys(codes=[0], offsets=[0, 1], channels=["a"], conversions=[1])
        assert j.nulls.tolist() == [0.0]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"codes": [0, 2]}, "codes has 2"),
            ({"codes": [0, -1]}, "codes has -1"),
            ({"codes": [0.0, 1.0]}, "integers"),
            ({"offsets": [0, 1]}, "one more"),
            ({"offsets": [0, 2, 1]}, "ascend"),
            ({"offsets": [1, 1, 2]}, "ascend"),
            ({"channels": ["a", "a"]}, "twice"),
            ({"value": [1.0]}, "value has 1"),
            ({"nulls": [1.0, 2.0, 3.0]}, "nulls has 3"),
            ({"times": [1, 2]}, "times and ends"),
            ({"times": [2, 1], "ends": [1, 1]}, "times has 2"),
            ({"times": [1, 1], "ends": [1]}, "ends has 1"),
            ({"customer_id": np.array([1])}, "customer_id"),
        ],
    )
    def test_columns_that_do_not_fit_are_refused(self, changes, message):
        fields = {"codes": [0, 1], "offsets": [0, 1, 2], "channels": ["a", "b"], "conversions": [1, 1]} | changes
        with pytest.raises(InputError, match=message):
            Journeys(**fields)

    def test_times_may_be_datetimes(self):
        j = Journeys(
            codes=[0],
            offsets=[0, 1],
            channels=["a"],
            conversions=[1],
            times=np.array(["1970-01-01T00:00:01"], dtype="M8[s]"),
            ends=np.array([2_000_000]),
        )
        assert j.times.tolist() == [1_000_000]

    def test_arrays_cannot_be_written_to(self):
        j = Journeys.from_paths(["a"])
        with pytest.raises(ValueError, match="read-only"):
            j.conversions[0] = 5.0

    def test_it_prints_and_becomes_json(self):
        j = Journeys.from_paths(["a > b", " > ".join(["long"] * 30)], value=[1, 2])
        assert repr(j) == "Journeys(journeys=2, touches=32, channels=3, conversions=2, value=3, nulls=0)"
        assert "..." in str(j)
        assert "a > b" in str(j)
        assert list(j.to_columns()) == ["path", "conversions", "value", "nulls"]
        assert j.to_frame("pandas")["path"][0] == "a > b"
        assert len(Journeys.from_paths([]).to_columns()["path"]) == 0
        assert json.loads(j.to_json())["channels"] == ["a", "b", "long"]
        assert "<table>" in j._repr_html_()


class TestTransforms:
    j = Journeys.from_paths(
        ["a > a > b > a", "direct", "direct > a > direct", "b"], conversions=[1, 2, 4, 8], nulls=[1, 1, 1, 1]
    )

    def test_collapse_repeats_keeps_the_last_of_a_run(self):
        assert self.j.collapse_repeats().paths == ["a > b > a", "direct", "direct > a > direct", "b"]
        timed = Journeys(
            codes=[0, 0, 1], offsets=[0, 3], channels=["a", "b"], conversions=[1], times=[1, 2, 3], ends=[5]
        )
        assert timed.collapse_repeats().times.tolist() == [2, 3]

    def test_first_only_keeps_each_channel_once(self):
        assert self.j.first_only().paths == ["a > b", "direct", "direct > a", "b"]

    def test_drop_spares_journeys_that_have_nothing_else(self):
        assert self.j.drop("direct").paths == ["a > a > b > a", "direct", "a", "b"]
        assert self.j.drop({"direct", "b"}).paths == ["a > a > a", "direct", "a", "b"]

    def test_drop_altogether_leaves_conversions_unattributed(self):
        dropped = self.j.drop(["direct"], unless_only=False)
        assert dropped.paths == ["a > a > b > a", "", "a", "b"]
        assert Linear().attribute(dropped).unattributed_conversions == 2.0

    def test_drop_of_an_unknown_channel_names_the_nearest(self):
        with pytest.raises(InputError, match=r"'direkt'.*Did you mean 'direct'"):
            self.j.drop("direkt")

    def test_last_n_keeps_the_latest(self):
        assert self.j.last_n(2).paths == ["b > a", "direct", "a > direct", "b"]
        with pytest.raises(InputError, match="n is 0"):
            self.j.last_n(0)

    def test_within_needs_times_and_includes_both_ends(self):
        hour = 3_600_000_000
        timed = Journeys(
            codes=[0, 1, 0],
            offsets=[0, 3],
            channels=["a", "b"],
            conversions=[1],
            times=np.array([0, 1, 48]) * hour,
            ends=[49 * hour],
        )
        assert timed.within(days(2)).paths == ["b > a"]
        assert timed.within(days(2) + hours(1)).lengths.tolist() == [3]
        with pytest.raises(InputError, match="from_events"):
            self.j.within(days(1))

    def test_replace_joins_channels_that_get_one_name(self):
        joined = self.j.replace({"a": "x", "b": "x"})
        assert joined.channels.tolist() == ["x", "direct"]
        assert joined.paths[0] == "x > x > x > x"
        with pytest.raises(InputError, match="names 'q'"):
            self.j.replace({"q": "x"})
        with pytest.raises(InputError, match="not empty"):
            self.j.replace({"a": " "})

    def test_take_keeps_some_journeys_and_all_channels(self):
        taken = self.j.take([3, 0])
        assert taken.paths == ["b", "a > a > b > a"]
        assert taken.channels.tolist() == ["a", "b", "direct"]
        assert self.j.take(self.j.conversions > 3).paths == ["direct > a > direct", "b"]
        for bad in ([4], [-1], [True], [0.5], [[0]]):
            with pytest.raises(InputError, match="rows has"):
                self.j.take(bad)

    def test_merge_duplicates_adds_counts_in_the_order_of_first_occurrence(self):
        merged = self.j.last_n(1).merge_duplicates()
        assert listed(merged) == [("a", 1.0, 1.0), ("direct", 6.0, 2.0), ("b", 8.0, 1.0)]

    def test_addition_matches_channels_by_name(self):
        other = Journeys.from_paths(["new > b", "b"], conversions=[1, 1], nulls=[0, 5])
        both = self.j + other
        assert both.channels.tolist() == ["a", "b", "direct", "new"]
        assert both.paths == [*self.j.paths, "new > b", "b"]
        merged = both.merge_duplicates()
        assert dict(zip(merged.paths, merged.nulls.tolist(), strict=True))["b"] == 6.0

    def test_addition_wants_value_in_both_or_in_none(self):
        with pytest.raises(InputError, match="value"):
            _ = self.j + Journeys.from_paths(["a"], value=[1])
        empty = Journeys.from_paths([])
        assert (empty + Journeys.from_paths(["a"], value=[1])).value.tolist() == [1.0]
        assert (Journeys.from_paths(["a"], value=[1]) + empty).value.tolist() == [1.0]
        with pytest.raises(TypeError):
            _ = self.j + 1

    def test_addition_keeps_times_and_customers_where_both_have_them(self):
        fields = {"codes": [0], "offsets": [0, 1], "channels": ["a"], "conversions": [1], "times": [1], "ends": [2]}
        one = Journeys(**fields, customer_id=np.array([1]), notes=("n",))
        text = Journeys(**fields, customer_id=np.array(["x"]), notes=("n", "m"))
        assert (one + one).customer_id.tolist() == [1, 1]
        assert (one + one).times.tolist() == [1, 1]
        assert (one + text).customer_id is None
        assert (one + text).notes == ("n", "m")
        assert (one + self.j).times is None


class TestSplittingAtOnce:
    @staticmethod
    def slow(paths, sep):
        return [[name.strip() for name in path.split(sep)] for path in paths]

    @pytest.mark.parametrize("sep", [" > ", ">", "->", "aa", "→", " ", ", "])
    def test_it_is_what_splitting_one_by_one_gives(self, sep):
        rng = np.random.default_rng(3)
        names = [
            "mail",
            "m",
            "mailing list",
            "поиск",
            "é",
            "a very long name of a campaign with " + "x" * 20,
            "x" * 64,
            "0",
        ]
        if sep == " ":
            names = [name.replace(" ", "_") for name in names]
        paths = [sep.join(rng.choice(names, rng.integers(1, 6))) for _ in range(300)]
        j = Journeys.from_paths(paths, sep=sep)
        expected = dict.fromkeys(" > ".join(path) for path in self.slow(paths, sep))
        assert j.paths == list(expected)
        assert j.total_conversions == 300

    @pytest.mark.parametrize(
        ("paths", "sep"),
        [
            (["a > > b", "c"], " > "),
            (["a >", "> b"], " > "),
            (["x" * 65 + " > b"], " > "),
            (["xaaay", "caaad"], "aa"),
        ],
    )
    def test_what_it_does_not_serve_is_split_one_by_one(self, paths, sep):
        j = Journeys.from_paths(paths, sep=sep)
        assert j.paths == [" > ".join(path) for path in self.slow(paths, sep)]

    def test_a_name_that_ends_in_a_null_character_is_refused(self):
        with pytest.raises(InputError, match="null character"):
            Journeys.from_paths(["a\0 > a"])

    def test_names_that_first_occur_late_are_found(self):
        paths = [f"common > rare{k}" if k % 1_000 == 999 else "common > usual" for k in range(20_000)]
        paths = [f"{path} > n{k}" for k, path in enumerate(paths)]
        j = Journeys.from_paths(paths)
        assert j.paths == paths

    def test_two_names_on_one_key_are_told_apart(self, monkeypatch):
        from relmark.attribution import _tokens

        monkeypatch.setattr(_tokens, "_keys", lambda words: words[0] & np.uint64(0))
        names = ["a name of two words", "b"]
        assert _tokens.split_codes([" > ".join(names)], " > ") is None
        assert Journeys.from_paths([" > ".join(names)]).paths == [" > ".join(names)]

    def test_two_paths_on_one_hash_are_told_apart(self, monkeypatch):
        from relmark.attribution import _duplicates

        monkeypatch.setattr(_duplicates, "_hashed", lambda _, offsets: np.zeros(len(offsets) - 1, dtype=np.int64))
        assert listed(Journeys.from_paths(["a > b", "b", "a > b", "c > b"])) == [
            ("a > b", 2.0, 0.0),
            ("b", 1.0, 0.0),
            ("c > b", 1.0, 0.0),
        ]

    def test_more_names_than_the_table_serves_are_split_one_by_one(self, monkeypatch):
        from relmark.attribution import _tokens

        monkeypatch.setattr(_tokens, "_MOST_NAMES", 3)
        paths = ["a > b > c", "d", "a"]
        assert _tokens.split_codes(paths, " > ") is None
        assert Journeys.from_paths(paths).paths == paths

    def test_names_that_share_a_place_of_the_table_are_told_apart(self, monkeypatch):
        from relmark.attribution import _tokens

        monkeypatch.setattr(_tokens, "_MULTIPLIERS", [np.uint64(1)])  # the place is then the end of the name
        paths = ["mail one > mail two > take one", "take two > mail one", "mail two"]
        assert Journeys.from_paths(paths).paths == paths

    @pytest.mark.long
    @pytest.mark.parametrize("block", [1, 40, 1 << 18])
    @pytest.mark.parametrize("sep", [" > ", ">", ">>", "ab", "\x1f", " - ", "é", "a separator of many bytes"])
    def test_odd_strings_are_split_as_python_splits_them(self, monkeypatch, sep, block):
        from relmark.attribution import _tokens

        monkeypatch.setattr(_tokens, "_BLOCK_CHARACTERS", block)
        rng = np.random.default_rng([len(sep), block])
        parts = [
            "a",
            "b",
            ">",
            " ",
            " > ",
            "\n",
            "\t",
            "é",
            "e\u0301",
            "\u3000",
            "𝄞",
            "longer than eight",
            "-",
            "\r",
            "x" * 70,
        ]
        rare = ["\x1f", "\0.", "\ud800"]
        for trial in range(60):
            letters = parts[: rng.integers(1, len(parts) + 1)] + rare[: max(0, trial - 56)]
            touches = ["".join(rng.choice(letters, rng.integers(0, 4))) for _ in range(6)]
            paths = [sep.join(rng.choice(touches, rng.integers(1, 5))) for _ in range(rng.integers(1, 80))]
            weights = rng.random(len(paths))
            j = Journeys.from_paths(paths, conversions=weights, sep=sep, on_empty="drop")
            expected = {}
            for path, weight in zip(paths, weights, strict=True):
                key = tuple(name.strip() for name in path.split(sep) if name.strip())
                expected.setdefault(key, []).append(weight)
            names = j.channels.tolist()
            found = [
                tuple(names[code] for code in j.codes[low:high]) for low, high in itertools.pairwise(j.offsets.tolist())
            ]
            assert found == list(expected)
            assert names == list(dict.fromkeys(name for path in expected for name in path))
            np.testing.assert_allclose(j.conversions, [sum(parts) for parts in expected.values()], rtol=1e-13)
            empty = [row for row, path in enumerate(paths) if not all(name.strip() for name in path.split(sep))]
            if empty:
                with pytest.raises(InputError, match=f"in row {empty[0]}: it is empty"):
                    Journeys.from_paths(paths, sep=sep)
            else:
                np.testing.assert_array_equal(Journeys.from_paths(paths, weights, sep=sep).codes, j.codes)


def test_touches_after_a_conversion_are_not_before_it():
    rows = {"journey": [1] * 4, "channel": ["mail", "search", "push", "push"]}
    conversions = [0, 50, 0, 30]
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        times = np.array(["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"], "M8[D]")
        j = Journeys.from_columns(
            journey=[1] * 4,
            channel=[rows["channel"][k] for k in order],
            conversions=[conversions[k] for k in order],
            value=[2.0 * conversions[k] for k in order],
            time=times[order],
        )
        assert j.paths == ["mail > search", "push > push"]
        assert j.conversions.tolist() == [50.0, 30.0]
        assert j.value.tolist() == [100.0, 60.0]
    kept = Journeys.from_columns(**rows, conversions=conversions, after_conversion="keep")
    assert kept.paths == ["mail > search", "mail > search > push > push"]
    last = Journeys.from_columns(journey=[2, 1, 1, 2], channel=list("abcd"), conversions=[1, 0, 0, 0])
    assert (last.paths, last.conversions.tolist(), last.nulls.tolist()) == (["b > c", "a", "d"], [0, 1, 0], [1, 0, 1])


@pytest.mark.parametrize("after", ["new", "keep"])
def test_rows_of_touches_are_those_of_a_loop(after):
    rng = np.random.default_rng(0)
    for _ in range(60):
        n = int(rng.integers(1, 15))
        who, channel = rng.integers(0, 3, n), rng.choice(list("abc"), n)
        conversions = (rng.random(n) < 0.3) * rng.integers(1, 4, n)
        found = Journeys.from_columns(journey=who, channel=channel, conversions=conversions, after_conversion=after)
        expected = []
        for one in sorted(set(who.tolist())):
            path, since = [], 0
            for row in np.flatnonzero(who == one).tolist():
                path.append(str(channel[row]))
                if conversions[row]:
                    expected.append((" > ".join(path[0 if after == "keep" else since :]), float(conversions[row])))
                    since = len(path)
            if path[since:]:
                expected.append((" > ".join(path[since:]), 0.0))
        assert list(zip(found.paths, found.conversions.tolist(), strict=True)) == expected


def test_value_without_a_conversion_is_refused_with_its_row():
    with pytest.raises(InputError, match=r"value has 600\.0 in row 1"):
        Journeys.from_paths(["a", "a"], conversions=[1, 0], value=[10, 600])
    with pytest.raises(InputError, match=r"value has 600\.0 in row 2: no conversion of its journey follows"):
        Journeys.from_columns(journey=[1, 1, 1], channel=["a", "b", "c"], conversions=[0, 1, 0], value=[5, 0, 600])
    with pytest.raises(InputError, match=r"value has 600\.0"):
        Journeys(codes=[0], offsets=[0, 1], channels=["a"], conversions=[0.0], value=[600.0])


def test_channels_have_one_form_wherever_they_come_from():
    for bad in (["mail", "mail "], ["", "a"], ["a\0"], [3]):
        with pytest.raises(InputError, match="channels has"):
            Journeys(codes=[0], offsets=[0, 1], channels=bad, conversions=[1.0])
    sets = Journeys.from_paths([["a > b", "c"]]).channel_sets()
    assert sets.channels.tolist() == ["a > b + c"]
    table = Journeys.from_paths([["channel", "b"]]).overlap()._table()
    assert list(table) == ["channel", "channel (channel)", "b"]


@pytest.mark.parametrize(("path", "hint"), [("a>b", "sep='>'"), ("a->b", "sep='->'"), ("a|b", "sep='|'")])
def test_paths_that_no_separator_split_say_so(path, hint):
    j = Journeys.from_paths([path, path.replace("a", "c")])
    assert hint in j.notes[0]
    assert hint in str(j)
    assert not Journeys.from_paths(["mail", "search"]).notes
    assert not Journeys.from_paths(["a > b", "x>y"]).notes
