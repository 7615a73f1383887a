"""Bad input through the whole house, as an operator meets it: files in the landing folder, `kodomo run`, what it says.

What each reader does with each fault is tested in `test_extracts_loading`; here many faults come in one delivery, and
the command's words, its exit code, the rejects that people are given and the snapshot are looked at.
"""

from __future__ import annotations

import csv
import io
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import openpyxl
import pytest

from kodomo_platform.settings import use_home
from tests.integration.command_line import kodomo
from tests.security.personal_values import values_of_snapshot

CODE = "343021"
FIRST, BAD, GOOD, FUTURE = "2026-10-01", "2026-10-08", "2026-10-09", "2099-01-01"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one good snapshot of a small town."""
    home = tmp_path_factory.mktemp("bad-input")
    use_home(home)
    out = ("--out", str(home / "landing"), "--truth", str(home / "truth" / CODE))
    kodomo(home, "synth", "-m", CODE, "--children", "120", "--months", "12", "--quality", "clean", *out)
    kodomo(home, "run", "-m", CODE)
    return home


def current(home: Path) -> Path:
    return (home / "published" / CODE / "current").resolve()


def landed(home: Path, begins: str) -> Path:
    return next(path for path in (home / "landing" / CODE / FIRST).iterdir() if path.name.startswith(begins))


@pytest.fixture
def delivery(finished: Path) -> Iterator[Callable[[str, str, bytes], Path]]:
    """Puts one file into the later delivery; taken out again afterwards."""
    written: list[Path] = []

    def put(date: str, name: str, content: bytes) -> Path:
        path = finished / "landing" / CODE / date / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        (path.parent / ".done").touch()
        written.append(path)
        return path

    yield put
    for path in written:
        path.unlink(missing_ok=True)
        if path.parent.is_dir() and {left.name for left in path.parent.iterdir()} <= {".done"}:
            (path.parent / ".done").unlink(missing_ok=True)
            path.parent.rmdir()


def changed_book(path: Path, change: Callable[[openpyxl.Workbook], None]) -> bytes:
    book = openpyxl.load_workbook(path)
    change(book)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def refused(home: Path, done: subprocess.CompletedProcess[str], before: Path) -> str:
    """What was said, once it is sure that nothing was published and nobody's data was shown."""
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Traceback" not in said
    assert "kodomo_platform.errors" not in said
    shown = [number for number, value in enumerate(values_of_snapshot(before)) if value in said]
    assert shown == [], "a value of a person stands in the message"
    assert current(home) == before
    kodomo(home, "snapshots", "verify", "-m", CODE)
    return said


def test_one_bad_file_per_source_each_is_named_and_nothing_is_published(
    finished: Path, delivery: Callable[[str, str, bytes], Path]
) -> None:
    def put(begins: str, change: Callable[[bytes], bytes], name: str | None = None) -> None:
        path = landed(finished, begins)
        delivery(BAD, name or path.name.replace("20261001", "20261008"), change(path.read_bytes()))

    def head(content: bytes) -> tuple[bytes, bytes, bytes]:
        return content.partition(b"\r\n" if b"\r\n" in content else b"\n")

    def zip_bomb(content: bytes) -> bytes:
        file = io.BytesIO(content)
        with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/bomb.xml", "w") as part:
            for _ in range(100):
                part.write(b"0" * (1 << 20))
        return file.getvalue()

    def hide(book: openpyxl.Workbook) -> None:
        book.create_sheet("内部用").sheet_state = "hidden"

    def formulas(book: openpyxl.Workbook) -> None:
        sheet = book.worksheets[0]
        for row in range(4, sheet.max_row + 1):
            sheet.cell(row, 1).value = "=1+1"

    before = current(finished)
    put("JUKI", lambda content: b"")
    put("GAKUREI", lambda content: content.decode("cp932").encode("utf-16"))
    put("HOIKU", lambda content: head(content)[0] + b"," + head(content)[0].split(b",")[0] + b"\n" + head(content)[2])
    put("IDOU", lambda content: content.replace("異動年月日".encode("cp932"), "届出日".encode("cp932"), 1))
    put("NYUYOJI", lambda content: b"\n".join(line.partition(b",")[2] for line in content.splitlines()) + b"\n")
    put("SHUKKETSU", lambda content: b"\n".join(content.splitlines()[:50]) + b"\n")
    put("TEATE", lambda content: head(content)[0] + b"\n")
    put("SHIEN", lambda content: content + head(content)[2], "SHIEN_132071_20261008.csv")
    put("TOEN", lambda content: content.replace(head(content)[1], b",1" + head(content)[1]).replace(b",1", b"", 1))
    put("KAJISO", zip_bomb)
    delivery(BAD, "NINSHIN_20261008.xlsx", changed_book(landed(finished, "NINSHIN"), hide))
    delivery(BAD, "YOTAIKYO_20261008.xlsx", changed_book(landed(finished, "YOTAIKYO"), formulas))
    said = refused(finished, kodomo(finished, "run", "-m", CODE, check=False), before)
    for file, reason in {
        "JUKI_20261008.csv": "ファイルが空です",
        "GAKUREI_20261008.csv": "中身はutf-16-leのようです",
        "HOIKU_20261008.csv": "同じ列が二度以上あります",
        "IDOU_20261008.csv": "異動年月日",
        "NYUYOJI_20261008.csv": "列のうち1列がありません",
        "SHUKKETSU_20261008.csv": "抽出データは49件です。前回（2026-10-01）は",
        "TEATE_20261008.csv": "抽出データは0件です",
        "SHIEN_132071_20261008.csv": "別の自治体のコードがあります（132071）",
        "TOEN_20261008.csv": "欄の数が違う",
        "KAJISO_20261008.xlsx": "開かずに受け取りを断りました",
        "NINSHIN_20261008.xlsx": "1枚は非表示です",
        "YOTAIKYO_20261008.xlsx": "計算されていない数式",
    }.items():
        assert any(f"2026-10-08/{file}: " in line and reason in line for line in said.splitlines()), (file, said)
    assert "\n  対処: 抽出データの修正を保有主体に依頼してください。" in said
    assert not {"expected:", "what to do:", "error:"} & set(said.replace("\n", " ").split(" "))


@pytest.mark.slow
def test_a_neighbours_register_a_merged_header_and_what_is_no_workbook(
    finished: Path, delivery: Callable[[str, str, bytes], Path]
) -> None:
    before = current(finished)
    out = finished.parent / f"{finished.name}-neighbour"
    neighbour = finished.parent / f"{finished.name}-neighbour.yaml"
    text = (Path(__file__).parents[2] / "kodomo_platform/municipalities/343021.yaml").read_text(encoding="utf-8")
    neighbour.write_text(text.replace("'343021'", "'132071'").replace("府中町", "昭島市"), encoding="utf-8")
    other = finished.parent / f"{finished.name}-other-home"
    kodomo(other, "onboard", str(neighbour))
    kodomo(other, "synth", "-m", "132071", "--children", "100", "--out", str(out), "--truth", str(out / "truth"))
    register = next((out / "132071" / FIRST).glob("JUKI_*"))
    delivery(BAD, "JUKI_20261008.csv", register.read_bytes())
    delivery(
        BAD,
        "KAJISO_20261008.xlsx",
        changed_book(landed(finished, "KAJISO"), lambda book: book.worksheets[0].merge_cells("B3:C3")),
    )
    delivery(BAD, "NINSHIN_20261008.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600)
    said = refused(finished, kodomo(finished, "--lang", "en", "run", "-m", CODE, check=False), before)
    assert "only 0 were in the last extract" in said or "lie in 府中町" in said
    assert "the header row (3) has merged cells" in said
    assert "not a readable XLSX" in said


def test_a_delivery_dated_in_the_future(finished: Path, delivery: Callable[[str, str, bytes], Path]) -> None:
    before = current(finished)
    delivery(FUTURE, "JUKI_20990101.csv", landed(finished, "JUKI").read_bytes())
    said = refused(finished, kodomo(finished, "--lang", "en", "run", "-m", CODE, check=False), before)
    assert f"{CODE}/{FUTURE}: the folder is dated in the future" in said
    assert "\n  what to do: rename the folder" in said
    assert not any("ぁ" <= letter <= "ん" for letter in said)


@pytest.mark.slow
def test_a_full_disk(finished: Path, delivery: Callable[[str, str, bytes], Path]) -> None:
    before = current(finished)
    register = landed(finished, "JUKI")
    big = register.read_bytes() + b"\n".join(register.read_bytes().splitlines()[1:]) * 200
    delivery(BAD, "JUKI_20261008.csv", big)
    warehouse = (finished / "warehouse" / f"{CODE}.duckdb").stat().st_size
    done = kodomo(finished, "run", "-m", CODE, check=False, limit=min(warehouse, len(big)) - 1)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Traceback" not in said
    assert "ディスクがいっぱいです" in said
    assert current(finished) == before
    kodomo(finished, "snapshots", "verify", "-m", CODE)


@pytest.mark.parametrize(
    "command",
    ["run -m ../343021", "run -m 343021/..", "run -m 34302１", "run -m 343022", "snapshots verify -m ../343021"],
)
def test_a_code_that_is_none(home: Path, command: str) -> None:
    done = kodomo(home, *command.split(), check=False)
    code = command.split()[-1]
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert f"自治体 {code} は登録されていません" in done.stderr or "自治体コードではありません" in done.stderr


@pytest.mark.slow
def test_what_can_be_taken_is_taken_counted_and_cannot_run_in_a_spreadsheet(
    finished: Path, delivery: Callable[[str, str, bytes], Path]
) -> None:
    before = current(finished)
    children = duckdb.sql(f"select count(*) from '{before}/child_register.parquet'").fetchall()[0][0]

    rows = list(csv.reader(io.StringIO(landed(finished, "JUKI").read_text(encoding="cp932"))))
    header, people = rows[0], rows[1:]
    number, birth = header.index("住民番号"), header.index("生年月日（和暦）")
    name, became = header.index("氏名（漢字）"), header.index("住民となった日")
    alive = [row for row in people if not row[header.index("異動事由発生日")].strip("0 ")]
    parents = [row for row in alive if row[header.index("続柄")] in ("夫", "妻")]
    dates = {
        "令和99年1月1日": parents[0],
        "平成3年13月1日": parents[1],
        "平成3年2月29日": parents[2],
        "年月日不詳": parents[3],
    }
    for text, row in dates.items():
        row[birth] = text
    parents[4][became] = "R4.2.29"
    parents[5][name] = "=HYPERLINK(1)"
    parents[6][name] = "〓外字"
    twice = [row for row in alive if row[header.index("続柄")] == "子"][:2]
    twice[1][number] = twice[0][number]  # one number, two people
    wrong = parents[7]  # a check digit that fails is a remark, no more
    ends = ["\r\n", "\n", "\r"]
    text = ",".join([*header, "備考"]) + "\r\n"
    for at, row in enumerate(people):
        text += ",".join([*row, "=メモ"]) + ends[at % 2]
    content = text.encode("cp932").replace("〓外字".encode("cp932"), b"\xf0\x40\x8e\x71")
    delivery(GOOD, "JUKI_20261009.csv", content)

    lines = landed(finished, "SHUKKETSU").read_bytes().splitlines()
    assert len(lines) > 600
    lines[10] = lines[10].rsplit(b",", 2)[0]  # too few fields
    lines[20] += b',"1"'  # too many
    lines[30] = lines[30].replace(b'"', b'"\0', 1)  # NUL
    lines[40] = lines[40].replace(b'","', b'\x81","', 1)  # half of a character
    lines[50] = lines[50].replace(b'"', b'"SECRET', 1)[:-1]  # a quote never closed
    delivery(GOOD, "SHUKKETSU_20261009.csv", b"\r\n".join(lines) + b"\r\n")

    kodomo(finished, "run", "-m", CODE, "--json")
    after = current(finished)
    assert after != before
    rejects = duckdb.sql(
        f"select row_number, reason from '{after}/rejects.parquet' where source_file like 'SHUKKETSU%' order by 1"
    ).fetchall()
    assert rejects == [
        (10, "wrong_field_count"),
        (20, "wrong_field_count"),
        (30, "nul_byte"),
        (40, "undecodable"),
        (50, "unclosed_quote"),
    ]
    assert "SECRET" not in str(duckdb.sql(f"select * from '{after}/rejects.parquet'").fetchall())
    # Regression: of two people with one number the row further up was taken for a superseded one, and a child was lost
    links = duckdb.sql(
        f"select source_row_number, source_record_id, child_id from '{after}/crosswalk.parquet' "
        "where source = 'resident.register'"
    ).fetchall()
    places = [people.index(row) + 1 for row in twice]
    shared = {row: (record, child) for row, record, child in links if row in places}
    assert set(shared) == set(places), "both stand in the register"
    assert len({child for _, child in shared.values()}) == 2, "as two children"
    assert sorted(record.startswith("~") for record, _ in shared.values()) == [False, True]
    assert duckdb.sql(f"select count(*) from '{after}/child_register.parquet'").fetchall()[0][0] >= children
    with duckdb.connect(str(finished / "warehouse" / f"{CODE}.duckdb"), read_only=True) as con:
        read = {
            raw: (status, value, precision)
            for raw, status, value, precision in con.execute(
                "select birth_date__raw, birth_date__status, birth_date, birth_date__precision "
                "from staging.stg_resident__register where birth_date__raw = any(?)",
                [list(dates)],
            ).fetchall()
        }
        dropped = con.execute("select header from raw.dropped_columns where header = '備考'").fetchall()
        gaiji = con.execute("select code from raw.gaiji where source = 'resident.register'").fetchall()
    assert set(read) == set(dates)
    assert all(value is None for _, value, _ in read.values()), "no day is invented"
    assert read["令和99年1月1日"][0] == "unreadable"
    assert read["平成3年13月1日"][0] == "unreadable"
    assert ("備考",) in dropped
    assert ("F040",) in gaiji
    assert wrong[number] in content.decode("cp932", errors="replace")

    # nothing that is written for a spreadsheet starts a formula
    kodomo(finished, "quality", "sheets", "--municipality", CODE)
    kodomo(finished, "catalog", "export", str(finished / "catalogue.xlsx"))
    kodomo(finished, "catalog", "export", str(finished / "catalogue.csv"))
    written = [
        path
        for path in finished.rglob("*")
        if path.suffix in (".csv", ".xlsx")
        and path.relative_to(finished).parts[0] not in ("landing", "archive", "truth")
    ]
    assert len(written) >= 3
    for path in written:
        if path.suffix == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as stream:
                cells = [cell for row in csv.reader(stream) for cell in row]
            assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))], path.name
        else:
            book = openpyxl.load_workbook(path)
            formulas = [c.coordinate for s in book for row in s.iter_rows() for c in row if c.data_type == "f"]
            assert formulas == [], path.name
