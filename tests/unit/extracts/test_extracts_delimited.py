"""CSV and TSV: the fast and the careful path agree; what cannot be read is rejected alone, under its true number."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kodomo_platform.extracts.batches import MAX_RECORD_BYTES, Reject
from kodomo_platform.extracts.delimited import DelimitedReader, Dialect, Layout
from kodomo_platform.extracts.encoding import UNREADABLE
from kodomo_platform.extracts.lines import Kind, NotARecord

CSV = Dialect(",", '"')
ABC = Layout(3, {"a": 0, "b": 1, "c": 2})
LENIENT = Layout(3, {"a": 0, "b": 1, "c": 2}, needs=2, key_at=0)

Rows = list[tuple[int, list[str]]]


class Read(NamedTuple):
    """All of a text: rows, rejects, how many records were met, lines that are none, records that were padded."""

    rows: Rows
    rejects: list[Reject]
    records: int
    not_records: list[NotARecord]
    padded: list[int]


class CarefulOnly(DelimitedReader):
    """The reader without its fast path."""

    def _fast(self, block: bytes, *, final: bool) -> None:
        return None


class Watched(DelimitedReader):
    """Counts the blocks that the fast path took, and the records that went the careful way."""

    fast = 0
    careful = 0

    def _fast(self, block: bytes, *, final: bool):  # type: ignore[no-untyped-def]
        taken = super()._fast(block, final=final)
        self.fast += taken is not None
        return taken

    def _careful(self, block: bytes, *, final: bool, until: int | None = None):  # type: ignore[no-untyped-def]
        used, batch = super()._careful(block, final=final, until=until)
        self.careful += batch.records if batch is not None else 0
        return used, batch


def read(
    texts: Iterable[str],
    layout: Layout = ABC,
    dialect: Dialect = CSV,
    *,
    reader: type[DelimitedReader] = DelimitedReader,
    block_bytes: int = 8 << 20,
    careful_bytes: int = 1 << 16,
    no_record: Callable[[Sequence[str]], Kind | None] | None = None,
) -> tuple[Rows, list[Reject], int]:
    return read_all(
        texts, layout, dialect, reader=reader, block_bytes=block_bytes, careful_bytes=careful_bytes, no_record=no_record
    )[:3]


def read_all(
    texts: Iterable[str],
    layout: Layout = ABC,
    dialect: Dialect = CSV,
    *,
    reader: type[DelimitedReader] = DelimitedReader,
    block_bytes: int = 8 << 20,
    careful_bytes: int = 1 << 16,
    no_record: Callable[[Sequence[str]], Kind | None] | None = None,
) -> Read:
    rows: Rows = []
    rejects: list[Reject] = []
    records, padded = 0, []
    not_records: list[NotARecord] = []
    for batch in reader(
        dialect, layout, no_record=no_record, block_bytes=block_bytes, careful_bytes=careful_bytes
    ).batches(texts):
        columns = [batch.columns[item].to_pylist() for item in layout.wanted] if len(batch.row_numbers) else []
        rows += [(int(n), list(values)) for n, *values in zip(batch.row_numbers, *columns, strict=True)]
        rejects += batch.rejects
        records += batch.records
        not_records += batch.not_records
        padded += batch.padded
    return Read(rows, rejects, records, not_records, padded)


def pieces(text: str, size: int) -> Iterator[str]:
    for at in range(0, len(text), size):
        yield text[at : at + size]


def test_plain_records() -> None:
    rows, rejects, records = read(["1,あ,\r\n2,い,x\r\n"])
    assert rows == [(1, ["1", "あ", ""]), (2, ["2", "い", "x"])]
    assert (rejects, records) == ([], 2)


def test_quotes_delimiters_and_line_ends_inside_quotes() -> None:
    rows, rejects, _ = read(['1,"a,b","c""d"\r\n"2","行\n二",""\n'])
    assert rows == [(1, ["1", "a,b", 'c"d']), (2, ["2", "行\n二", ""])]
    assert not rejects


def test_empty_text_stays_empty_and_is_not_missing() -> None:
    rows, _, _ = read(['NULL,"",NA\n'])
    assert rows == [(1, ["NULL", "", "NA"])]


def test_mixed_line_ends() -> None:
    rows, rejects, _ = read(["1,a,b\r\n2,a,b\n3,a,b\r4,a,b"])
    assert [n for n, _ in rows] == [1, 2, 3, 4]
    assert [values[0] for _, values in rows] == ["1", "2", "3", "4"]
    assert not rejects


def test_too_many_and_too_few_fields_are_rejected_under_their_own_numbers() -> None:
    rows, rejects, records = read(["1,a,b\n2,a\n3,a,b\n4,a,b,c\n5,a,b\n"])
    assert [n for n, _ in rows] == [1, 3, 5]
    assert rejects == [Reject(2, "wrong_field_count"), Reject(4, "wrong_field_count")]
    assert records == 5


@pytest.mark.parametrize("bad", ['2,"a,b', '2,"a"x,b', '2,a,"b'])
def test_a_quote_never_closed_costs_its_own_line_alone(bad: str) -> None:
    rows, rejects, records = read([f'1,a,b\n{bad}\n3,a,b\n4,"a",b\n5,a,b\n'])
    assert [n for n, _ in rows] == [1, 3, 4, 5]
    assert rejects == [Reject(2, "unclosed_quote")]
    assert records == 5


def test_a_quote_never_closed_in_a_file_with_no_other_quote() -> None:
    rows, rejects, _ = read(['1,"a,b\n' + "".join(f"{n},a,b\n" for n in range(2, 2000))], block_bytes=1000)
    assert rejects == [Reject(1, "unclosed_quote")]
    assert [n for n, _ in rows] == list(range(2, 2000))


def test_a_quote_in_the_middle_of_a_field_is_a_character() -> None:
    rows, rejects, _ = read(['1,5" pipe,b\n2,a"b"c,d\n3,e,f\n'])
    assert rows == [(1, ["1", '5" pipe', "b"]), (2, ["2", 'a"b"c', "d"]), (3, ["3", "e", "f"])]
    assert not rejects


def test_without_a_quote_character_quotes_mean_nothing() -> None:
    rows, _, _ = read(['"1",a,"b\n'], dialect=Dialect(",", None))
    assert rows == [(1, ['"1"', "a", '"b'])]


def test_nul_and_unreadable_bytes() -> None:
    rows, rejects, _ = read([f"1,a,b\n2,\0,b\n3,{UNREADABLE},b\n4,a,b\n"])
    assert [n for n, _ in rows] == [1, 4]
    assert rejects == [Reject(2, "nul_byte"), Reject(3, "undecodable", "b")]


def test_an_unreadable_byte_in_a_column_that_is_dropped_costs_nothing() -> None:
    rows, rejects, _ = read([f"1,{UNREADABLE},b\n"], Layout(3, {"a": 0, "c": 2}))
    assert rows == [(1, ["1", "b"])]
    assert not rejects


def test_empty_lines_and_lines_of_commas_are_no_records() -> None:
    found = read_all(["\n1,a,b\n\r\n,,\n3,a,b\n\n\n"])
    assert found.rows == [(1, ["1", "a", "b"]), (3, ["3", "a", "b"])]
    assert found.not_records == [NotARecord(2, "blank_line")]
    assert (found.rejects, found.records) == ([], 3)


def test_the_end_of_file_mark_of_old_systems_is_no_record() -> None:
    rows, rejects, records = read(["1,a,b\r\n\x1a"])
    assert (len(rows), rejects, records) == (1, [], 1)


def test_an_over_long_record_is_rejected_and_reading_goes_on() -> None:
    text = "1,a,b\n2," + "x" * (MAX_RECORD_BYTES + 10) + ",b\n3,a,b\n"
    for size in (len(text), 100_000):
        rows, rejects, _ = read(pieces(text, size), block_bytes=300_000)
        assert [n for n, _ in rows] == [1, 3]
        assert rejects == [Reject(2, "over_long")]


def test_a_line_of_200_mb_needs_no_more_memory_than_a_block() -> None:
    def texts() -> Iterator[str]:
        yield "1,a,b\n2,"
        for _ in range(200):
            yield "x" * (1 << 20)
        yield "\n3,a,b\n"

    tracemalloc.start()
    try:
        rows, rejects, records = read(texts())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [n for n, _ in rows] == [1, 3]
    assert rejects == [Reject(2, "over_long")]
    assert records == 3
    assert peak < 64 << 20


def test_an_over_long_quoted_field_is_rejected_and_reading_goes_on() -> None:
    text = '1,a,b\n2,"' + ("x" * 999 + "\n") * 2000 + '",b\n3,a,b\n'
    rows, rejects, _ = read(pieces(text, 100_000), block_bytes=300_000)
    assert [values for _, values in rows] == [["1", "a", "b"], ["3", "a", "b"]]
    assert rejects[0] == Reject(2, "unclosed_quote")


def test_tabs() -> None:
    rows, _, _ = read(["1\ta,b\tc\r\n"], dialect=Dialect("\t", '"'))
    assert rows == [(1, ["1", "a,b", "c"])]


def test_one_column() -> None:
    rows, rejects, _ = read(["1\n2\n\n3"], Layout(1, {"a": 0}))
    assert rows == [(1, ["1"]), (2, ["2"]), (3, ["3"])]
    assert not rejects


def test_harmless_blocks_take_the_fast_path_and_one_bad_record_costs_one_block() -> None:
    lines = [f"{n},山田,b\r\n" for n in range(1, 3001)]
    lines[1500] = "1501,b\r\n"
    reader = Watched(CSV, ABC, block_bytes=4000)
    batches = list(reader.batches(lines))
    assert sum(len(batch.row_numbers) for batch in batches) == 2999
    assert reader.fast == len(batches) - 1


def test_a_bad_record_in_a_large_block_sends_only_those_around_it_the_careful_way() -> None:
    lines = [f"{n},山田,b\r\n" for n in range(1, 30_001)]
    for bad in (0, 9_000, 29_999):
        lines[bad] = "あ,b\r\n"
    reader = Watched(CSV, ABC, careful_bytes=1000)
    batches = list(reader.batches(["".join(lines)]))
    assert sum(len(batch.row_numbers) for batch in batches) == 29_997
    assert [reject.row_number for batch in batches for reject in batch.rejects] == [1, 9_001, 30_000]
    numbers = [int(number) for batch in batches for number in batch.row_numbers]
    assert numbers == [n for n in range(1, 30_001) if n not in (1, 9_001, 30_000)]
    assert reader.careful < 300


def test_all_fields_quoted_takes_the_fast_path() -> None:
    reader = Watched(CSV, ABC)
    (batch,) = reader.batches([f'"{n}","山,田","b""c"\r\n' for n in range(100)])
    assert reader.fast == 1
    assert batch.columns["b"][7].as_py() == "山,田"
    assert batch.columns["c"][7].as_py() == 'b"c'


_cell = st.text(alphabet=st.sampled_from(list('ab1 ,"\n\tあ〓{髙')), max_size=6)
_record = st.lists(_cell, min_size=3, max_size=3).filter(lambda record: any(cell.strip() for cell in record))


@given(st.lists(_record, max_size=20), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(1, 60))
def test_what_the_csv_module_writes_is_read_back(
    records: list[list[str]], line_end: str, quote_all: bool, size: int
) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator=line_end, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL).writerows(
        records
    )
    for reader in (DelimitedReader, CarefulOnly):
        rows, rejects, _ = read(pieces(written.getvalue(), size), reader=reader, block_bytes=size)
        assert rows == list(enumerate(records, 1))
        assert not rejects


_soup = st.text(alphabet=st.sampled_from([*'a1 ,,,"\n\n\r\0あ', UNREADABLE, "\x1a"]), max_size=80)


@given(_soup, st.integers(1, 90), st.integers(1, 30))
@settings(max_examples=400)
def test_any_text_at_all_is_read_the_same_way_on_both_paths_and_however_it_is_cut(
    text: str, size: int, cut: int
) -> None:
    for layout in (ABC, LENIENT):
        whole = read_all([text], layout, reader=CarefulOnly)
        assert read_all([text], layout) == whole
        assert read_all(pieces(text, size), layout, block_bytes=size) == whole
        assert read_all(pieces(text, size), layout, block_bytes=size, careful_bytes=cut) == whole
        rows, rejects, records, not_records, _ = whole
        assert len(rows) + len(rejects) + len(not_records) == records
        numbers = [n for n, _ in rows] + [one.row_number for one in (*rejects, *not_records)]
        assert sorted(numbers) == list(range(1, records + 1))


# ------------------------------------------------------------- records that lack their last fields, and files that were cut


def test_records_that_only_lack_empty_fields_at_their_end_are_read() -> None:
    found = read_all(["1,a,b\n2,a\n3,a,\n4,a\n5\n6,a,b,,\n"], LENIENT)
    assert found.rows == [
        (1, ["1", "a", "b"]),
        (2, ["2", "a", ""]),
        (3, ["3", "a", ""]),
        (4, ["4", "a", ""]),
        (6, ["6", "a", "b"]),
    ]
    assert found.rejects == [Reject(5, "wrong_field_count")]  # less than half of a record
    assert found.padded == [2, 4]


def test_a_record_without_a_number_or_torn_by_a_line_break_is_not_filled_up() -> None:
    wide = Layout(5, {"a": 0, "b": 1, "e": 4}, needs=3, key_at=0)
    found = read_all(["x,a,b,c\n2,a,b,c,d\n3,a,東\n町,c,d\n5,a,b\n"], wide)
    assert [n for n, _ in found.rows] == [2, 5]
    assert [(r.row_number, r.reason) for r in found.rejects] == [
        (1, "wrong_field_count"),
        (3, "wrong_field_count"),
        (4, "wrong_field_count"),
    ]


@pytest.mark.parametrize("tail", ["4,a", '4,"a', "4", "4,あ\ufdd0"])
def test_a_last_line_that_ends_in_the_middle_means_that_the_transfer_was_cut(tail: str) -> None:
    assert read_all(["1,a,b\n2,a,b\n3,a,b\n" + tail], LENIENT).rejects == [Reject(4, "cut_off")]


def test_a_last_line_without_a_line_end_is_whole_if_others_are_as_short() -> None:
    found = read_all(["1,a,b\n2,a\n3,a"], LENIENT)
    assert (len(found.rows), found.rejects) == (3, [])
    assert read_all(["1,a,b\n2,a,b"], LENIENT).rejects == []


def test_blanks_around_quotes_are_padding() -> None:
    found = read_all(['"1", "a,b",\t"c"\n 2 , "x""y" ,z\n'], ABC)
    assert found.rows == [(1, ["1", "a,b", "c"]), (2, [" 2 ", 'x"y', "z"])]
    assert read_all(['1, "a,b\n2,a,b\n'], ABC).rejects == [Reject(1, "unclosed_quote")]
