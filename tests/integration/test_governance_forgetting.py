"""Withdrawal reaches every copy; disclosure shows one child and nobody else; exports leave only with two approvals."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from kodomo_platform import operations
from kodomo_platform.errors import GovernanceError, OperationsError
from kodomo_platform.governance import arrivals, disclosure, exports, forgetting, retention, source_files
from kodomo_platform.governance.scanning import holds, scan
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.operations import Act, NewChild, NewEvent
from kodomo_platform.policy.suppression import drop_suppressed, suppressed
from kodomo_platform.publishing import publish
from kodomo_platform.settings import get_settings
from kodomo_platform.shelf import current_snapshot, snapshots, verify
from tests.integration.command_line import kodomo
from tests.unit.publishing.handmade import AS_OF, RUN, Town, fill

CODE = "172065"  # its extracts come as CSV, TSV and XLSX
ACT = Act("office", "request 1", "stop-use")


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("landed")
    kodomo(
        home,
        *("synth", "--municipality", CODE, "--children", "60", "--months", "12", "--seed", "3"),
        *("--out", str(home / "landing"), "--truth", str(home / "truth" / CODE)),
    )
    return home


@pytest.fixture
def town(landed: Path, home: Path) -> Iterator[dict[str, list[tuple[str, str]]]]:
    """A home with real extracts; child c1 is a child with a school number, c2 its sibling or a neighbour."""
    import shutil

    shutil.copytree(landed / "landing", home / "landing")
    people: dict[str, list[tuple[str, str]]] = {}
    with (landed / "truth" / CODE / "records.csv").open(encoding="utf-8-sig") as stream:
        for row in csv.DictReader(stream):
            if "adult" not in row["tags"]:
                people.setdefault(row["person_id"], []).append((row["source"], row["source_record_id"]))
    pupils = [r for _, r in sorted(people.items()) if {"resident.register", "education.enrolment"} <= {s for s, _ in r}]
    first, second = pupils[0], pupils[1]
    operations.save_child_ids(
        CODE, AS_OF, operations.by_pipeline("linked", "r1"), [NewChild("C-1", 1), NewChild("C-2", 2)],
        [*((s, r, "C-1") for s, r in first), *((s, r, "C-2") for s, r in second)], [],
    )  # fmt: skip
    with duckdb.connect(":memory:") as con:
        fill(con)
        publish(con, Town(CODE), AS_OF, dagster_run_id=RUN, code_version="abc")
    yield {"c1": first, "c2": second}
    operations.close()


def keys(records: list[tuple[str, str]]) -> list[str]:
    return sorted({record for _, record in records if len(record) >= 5})


def test_nothing_is_found_afterwards_and_the_receipt_says_what_was(
    town: dict[str, list[tuple[str, str]]], home: Path
) -> None:
    archive = home / "archive" / CODE
    archive.mkdir(parents=True)
    (landing,) = (home / "landing" / CODE).iterdir()
    source_file, config = next(iter(source_files.landed_files(load_municipality(CODE))))
    from hashlib import sha256

    digest = sha256(source_file.read_bytes()).hexdigest()
    (archive / digest).write_bytes(source_file.read_bytes())
    operations.record_load(
        CODE, config.source, AS_OF, source_file.name, digest, ACT, rows_in=1, rows_loaded=1, rows_rejected=0
    )
    (home / "reports").mkdir()
    (home / "reports" / "note.html").write_text(f"<p>{keys(town['c1'])[0]}</p>")
    assert scan(home, keys(town["c1"]))
    others = {p.name: p.read_bytes() for p in landing.iterdir() if not holds(p, keys(town["c1"]))}
    neighbour = scan(home, keys(town["c2"]))

    dry = forgetting.forget(CODE, "C-1", ACT, dry_run=True)
    assert dry.before == dry.after
    assert scan(home, keys(town["c1"]))

    receipt = forgetting.forget(CODE, "C-1", ACT)
    assert receipt.before == dry.before
    assert {store for store, rows in receipt.before.items() if rows} >= {
        "landing",
        "published",
        "operations",
        "reports",
    }
    assert set(receipt.after.values()) == {0}
    assert scan(home, keys(town["c1"])) == {}
    assert receipt.found_in == {}
    # nobody else's rows or files went
    assert scan(home, keys(town["c2"])) == neighbour
    assert all((landing / name).read_bytes() == content for name, content in others.items())
    assert verify(current_snapshot(CODE).path) == []
    assert [s.version[:5] for s in snapshots(CODE)] == ["v0002"]
    assert current_snapshot(CODE).manifest["removed"]["rows"]["risk_scores"] == 1
    assert operations.audit_verify().sound
    with pytest.raises(GovernanceError, match="taken out before"):
        forgetting.forget(CODE, "C-1", ACT)


def test_the_next_extract_does_not_bring_the_child_back(town: dict[str, list[tuple[str, str]]]) -> None:
    number = next(record for source, record in town["c1"] if source == "resident.register")
    other = next(record for source, record in town["c2"] if source == "resident.register")
    forgetting.forget(CODE, "C-1", ACT)
    assert number not in str(suppressed(CODE))
    with duckdb.connect(":memory:") as con:
        con.execute("create schema raw; create table raw.raw_resident__moves (resident_number varchar)")
        con.executemany("insert into raw.raw_resident__moves values (?)", [[number], [f" {number} "], [other]])
        assert drop_suppressed(con, CODE, "resident.moves") == 2
        assert con.execute("from raw.raw_resident__moves").fetchall() == [(other,)]


def test_a_delivered_file_loses_the_child_before_it_is_read(
    town: dict[str, list[tuple[str, str]]], landed: Path, home: Path
) -> None:
    import shutil

    forgetting.forget(CODE, "C-1", ACT)
    neighbour = scan(home / "landing", keys(town["c2"]))
    shutil.rmtree(home / "landing")
    shutil.copytree(landed / "landing", home / "landing")  # the office delivers the same again
    assert scan(home / "landing", keys(town["c1"]))
    municipality = load_municipality(CODE)
    assert sum(arrivals.clean(municipality, config.source) for config in municipality.sources) > 0
    assert scan(home / "landing", keys(town["c1"])) == {}
    assert scan(home / "landing", keys(town["c2"])) == neighbour


def test_killed_in_the_middle_it_goes_on_where_it_stopped(
    town: dict[str, list[tuple[str, str]]], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = forgetting.forget(CODE, "C-1", ACT, dry_run=True).before

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(operations, "forget_child", killed)
        with pytest.raises(KeyboardInterrupt):
            forgetting.forget(CODE, "C-1", ACT)
    receipt = forgetting.forget(CODE, "C-1", ACT)
    assert receipt.before == before
    assert set(receipt.after.values()) == {0}
    assert scan(home, keys(town["c1"])) == {}
    assert [r.state for r in operations.governance_records(CODE, "receipt")] == ["done"]


def test_a_hold_an_unknown_or_another_town_s_child_is_refused(
    town: dict[str, list[tuple[str, str]]], home: Path
) -> None:
    retention.hold(CODE, "h1", "C-1", ACT, on=AS_OF)
    with pytest.raises(GovernanceError, match="legal hold"):
        forgetting.forget(CODE, "C-1", ACT)
    assert scan(home, keys(town["c1"]))
    with pytest.raises(OperationsError, match="no such child"):
        forgetting.forget(CODE, "C-9", ACT)
    with pytest.raises(GovernanceError, match="another municipality"):
        forgetting.forget("112241", "C-1", ACT)


def test_a_merged_child_goes_under_both_ids(town: dict[str, list[tuple[str, str]]], home: Path) -> None:
    moved = [(source, record) for source, record in town["c2"]]
    merge = NewEvent("merged", "C-1", "C-2", "same number", moved)
    operations.save_child_ids(
        CODE, AS_OF, operations.by_pipeline("linked", "r2"), [], [(s, r, "C-1") for s, r in moved], [merge]
    )
    forgetting.forget(CODE, "C-2", ACT)
    assert scan(home, keys(town["c1"]) + keys(town["c2"])) == {}


def test_a_file_that_cannot_be_read_is_named_and_nothing_is_half_done(
    town: dict[str, list[tuple[str, str]]], home: Path
) -> None:
    (book,) = (home / "landing" / CODE).glob("*/DOI_*.xlsx")
    book.write_bytes(b"not a workbook")
    with pytest.raises(GovernanceError, match=r"DOI_.*cannot be read"):
        forgetting.forget(CODE, "C-1", ACT)
    assert scan(home, keys(town["c1"]))
    assert operations.governance_records(CODE, "receipt") == []


# --- disclosure -------------------------------------------------------------------------------------------------------


def test_a_disclosure_shows_what_is_held_and_leaves_others_out(
    town: dict[str, list[tuple[str, str]]], home: Path
) -> None:
    from kodomo_platform.catalog import load_catalog
    from kodomo_platform.extracts import create_raw_tables

    pupil = next(record for source, record in town["c1"] if source == "education.enrolment")
    path = get_settings().warehouse(CODE)
    path.parent.mkdir(parents=True)
    with duckdb.connect(str(path)) as con:
        con.execute("create schema raw; create schema marts")
        create_raw_tables(con, load_catalog())
        con.execute("create table marts.mart_child (child_id varchar, protection_measure varchar)")
        con.execute("insert into marts.mart_child values ('C-1', 'restricted'), ('C-2', 'none')")
        con.execute(
            "insert into raw.raw_education__enrolment (student_number, name, address, guardian_name, grade) "
            "values (?, '本人 花', '秘密町1', '保護 親', '3'), ('other', '他人 太郎', '別町2', '別の親', '4')",
            [pupil],
        )
    operations.audit(Act("teacher", "why", "support"), "look", "page", municipality=CODE, person="C-1")
    answer = disclosure.disclose(CODE, "C-1", Act("office", "request 2", "disclosure"))
    text = answer.to_json()
    assert all(word in text for word in ("本人 花", "teacher", pupil, "school_refusal"))
    assert not any(word in text for word in ("他人 太郎", "別町2", "保護 親", "別の親", "秘密町1", "C-2"))
    assert {r["item"] for r in answer.redactions} >= {
        "education.enrolment.guardian_name",
        "education.enrolment.address",
    }
    assert all("第78条" in r["article"] for r in answer.redactions)
    assert operations.audit_log(person="C-1")[0].action == "disclose"
    pdf = disclosure.to_pdf(answer)
    assert pdf.startswith(b"%PDF")
    assert pdf == disclosure.to_pdf(answer)
    for file in disclosure.write(answer, home / "out"):
        assert file.stat().st_mode & 0o077 == 0


# --- exports ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def crowd(home: Path) -> Iterator[None]:
    """A snapshot of 240 children, of whom four are alone in their group."""
    with duckdb.connect(":memory:") as con:
        fill(con)
        for table in ("mart_child", "mart_child_features", "risk_scores"):
            con.execute(f"delete from marts.{table}")
        con.execute("delete from linkage.lnk_crosswalk")
        con.execute(
            "insert into marts.mart_child select 'C-' || i, '名', 'メイ', date '2015-04-02', "
            "case when i % 2 = 0 then 'male' else 'female' end, 'H', 'a', 'p', 's', 5, 'k', null, 'none', i::varchar, 'g', 't', "
            "case when i < 4 then 16 else 8 + i % 3 end, true, ['x'], date '2026-10-01' from range(240) as t(i)"
        )
        con.execute(
            "insert into marts.mart_child_features select 'C-' || i, date '2026-10-01', 'H', (i % 4)::double, 'present', 0, "
            "'present', null, 'not_linked' from range(240) as t(i)"
        )
        con.execute(
            "insert into marts.risk_scores select 'C-' || i, 'school_refusal', date '2026-10-01', 0.5, 0.4, 0.6, i, "
            "case when i % 5 = 0 then 'high' else 'low' end, false, true, null, '[]', '[]', 's', 'm', '1', 'r', 'run-1', 'f', 'c', 'v', "
            "'ranked', null from range(240) as t(i)"
        )
        publish(con, Town(CODE, 1000), AS_OF, dagster_run_id=RUN, code_version="abc")
    yield
    operations.close()


RULES = exports.Rules("a study", "university", "2026-1", "2027-03-31", ("absent_rate_3m",))


def test_an_export_is_k_anonymous_and_leaves_with_two_approvals(crowd: None, home: Path) -> None:
    _, checked = exports.propose(CODE, "e1", RULES, Act("author", "why", "research"), on=AS_OF)
    assert checked.fit
    assert set(checked.treatments) == set(exports.TREATMENTS)
    assert (checked.smallest_group >= 10, checked.smallest_diversity >= 2, checked.rows) == (True, True, 236)
    assert checked.interval[0] <= checked.reidentified <= checked.interval[1]
    with pytest.raises(GovernanceError, match="one person"):
        exports.judge(CODE, "e1", True, Act("author", "why", "research"), on=AS_OF)
    assert exports.judge(CODE, "e1", True, Act("first", "why", "research"), on=AS_OF) == "1 of 2"
    with pytest.raises(GovernanceError, match="two people"):
        exports.judge(CODE, "e1", True, Act("first", "why", "research"), on=AS_OF)
    with pytest.raises(GovernanceError, match="two approvals"):
        exports.release(CODE, "e1", ACT, on=AS_OF)
    assert not list(home.rglob("e1.csv"))
    exports.judge(CODE, "e1", True, Act("second", "why", "research"), on=AS_OF)
    with pytest.raises(GovernanceError, match="expired"):
        exports.release(CODE, "e1", ACT, on=dt.date(2027, 4, 1))
    path = exports.release(CODE, "e1", ACT, on=AS_OF)
    with duckdb.connect(":memory:") as con:
        smallest = con.execute(
            f"select min(n) from (select count(*) as n from read_csv('{path}') group by {', '.join(exports.QUASI)})"
        ).fetchone()
        assert smallest is not None
        assert smallest[0] >= 10
        ids = con.execute(f"select id from read_csv('{path}', all_varchar=true)").fetchall()
    assert not any(value.startswith("C-") for (value,) in ids)
    assert operations.governance_record(CODE, "export", "e1").state == "released"


def test_a_refusal_or_changed_data_stops_an_export(crowd: None) -> None:
    for key in ("no", "changed"):
        exports.propose(CODE, key, RULES, Act("author", "why", "research"), on=AS_OF)
        exports.judge(CODE, key, True, Act("first", "why", "research"), on=AS_OF)
        exports.judge(CODE, key, key == "changed", Act("second", "why", "research"), on=AS_OF)
    with pytest.raises(GovernanceError, match="two approvals"):
        exports.release(CODE, "no", ACT, on=AS_OF)
    with duckdb.connect(":memory:") as con:
        fill(con)
        publish(con, Town(CODE), AS_OF, dagster_run_id=RUN, code_version="later")
    with pytest.raises(GovernanceError, match="changed since"):
        exports.release(CODE, "changed", ACT, on=AS_OF)


def test_too_few_people_or_names_do_not_leave(crowd: None) -> None:
    with pytest.raises(GovernanceError, match="may not leave"):
        exports.propose(
            CODE, "k", exports.Rules("s", "u", "c", "2027-03-31", ("absent_rate_3m",), k=500), ACT, on=AS_OF
        )
    for name in ("name", "household_id", "absent_rate_3m__status"):
        with pytest.raises(GovernanceError, match="not features that may leave"):
            exports.propose(CODE, "n", exports.Rules("s", "u", "c", "2027-03-31", (name,)), ACT, on=AS_OF)
    with pytest.raises(GovernanceError, match="ends before"):
        exports.propose(CODE, "p", exports.Rules("s", "u", "c", "2026-09-30", ("absent_rate_3m",)), ACT, on=AS_OF)
