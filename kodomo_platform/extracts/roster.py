"""A OneRoster delivery (Japan profile) as one flat file: a row per pupil. Items and codes are the municipality's file's.

One ZIP holds about ten CSV files that refer to each other by UUID, and a manifest that says which are there. Everything
is checked before a row is written: what the manifest says, headers, identifiers, references. Columns about race and origin
and accounts are never read; their headers stand in the flat file, empty, so that the report lists them as dropped.

Source: 1EdTech OneRoster 1.2 CSV Binding and Japan K-12/Schools Profile 1.0 (2026-03-01); the earlier profiles write
``metadata.jp.ShussekiNo`` for ``metadata.jp.shussekiNo``.
"""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kodomo_platform.errors import ExtractError
from kodomo_platform.extracts.archives import member_name, open_archive

NEEDED = {
    "orgs": ("sourcedId", "status", "name", "type", "identifier"),
    "users": ("sourcedId", "status", "givenName", "familyName", "identifier", "grades", "primaryOrgSourcedId"),
    "roles": ("sourcedId", "status", "userSourcedId", "role", "orgSourcedId"),
    "demographics": ("sourcedId", "status", "birthDate", "sex"),
    "classes": ("sourcedId", "status", "title", "classType", "schoolSourcedId"),
    "enrollments": ("sourcedId", "status", "classSourcedId", "schoolSourcedId", "userSourcedId", "role"),
}
"""Files that are needed, and the columns of each that are."""

REFERENCES = (
    ("classes", "schoolSourcedId", "orgs"),
    ("enrollments", "classSourcedId", "classes"),
    ("enrollments", "schoolSourcedId", "orgs"),
    ("enrollments", "userSourcedId", "users"),
    ("roles", "userSourcedId", "users"),
    ("roles", "orgSourcedId", "orgs"),
    ("users", "primaryOrgSourcedId", "orgs"),
    ("users", "metadata.jp.homeClass", "classes"),
    ("demographics", "sourcedId", "users"),
)
"""(file, column, the file that must hold what it names)."""

FLAT = (
    "sourcedId", "userMasterIdentifier", "identifier", "familyName", "middleName", "givenName", "kanaFamilyName",
    "kanaMiddleName", "kanaGivenName", "birthDate", "sex", "schoolIdentifier", "schoolName", "grades", "classTitle",
    "shussekiNo", "beginDate", "endDate",
)  # fmt: skip
"""Columns of the flat file."""

_DROPPED = (
    "americanIndianOrAlaskaNative", "asian", "blackOrAfricanAmerican", "nativeHawaiianOrOtherPacificIslander", "white",
    "demographicRaceTwoOrMoreRaces", "hispanicOrLatinoEthnicity", "countryOfBirthCode", "stateOfBirthAbbreviation",
    "cityOfBirth", "password", "email",
)  # fmt: skip
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_VERSIONS = ("1.2", "1.2.1", "1.2_JP", "1.1")
_MOST_ROWS = 2_000_000

Rows = list[dict[str, str]]


@contextmanager
def flat_roster(path: Path, where: str) -> Iterator[Path]:
    """The delivery at ``path`` as a UTF-8 CSV with the columns of `FLAT`, in a folder that is gone afterwards.

    Raises ExtractError if the archive may do harm, the manifest does not say what is there, a file or column is missing, an
    identifier stands twice or is none, a reference leads nowhere, or the delivery holds changes only.
    """
    with open_archive(path, where) as archive:
        members = {member_name(member): member for member in archive.infolist() if not member.is_dir()}
        manifest = _manifest(archive, members, where)
        tables = {name: _table(archive, members, name, manifest, where) for name in NEEDED}
    ids = {name: _identifiers(rows, name, where) for name, rows in tables.items()}
    for name, column, other in REFERENCES:
        _check_references(tables[name], name, column, ids[other], other, where)
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=path.parent) as folder:
        target = Path(folder) / "roster.csv"
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow([*FLAT, *_DROPPED])
            writer.writerows([*row, *[""] * len(_DROPPED)] for row in _pupils(tables))
        yield target


def _manifest(archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], where: str) -> dict[str, str]:
    if "manifest.csv" not in members:
        raise _refused("the delivery has no manifest.csv", where, "a OneRoster delivery, its files in no folder")
    manifest = {
        row.get("propertyName", ""): row.get("value", "") for row in _rows(archive, members["manifest.csv"], where)
    }
    version = manifest.get("oneroster.version", "")
    if version not in _VERSIONS:
        raise _refused("the manifest names an unknown version of OneRoster", where, f"one of {', '.join(_VERSIONS)}")
    for name in NEEDED:
        mode = manifest.get(f"file.{name}", "absent")
        there = f"{name}.csv" in members
        if mode == "delta":
            raise ExtractError(
                f"{name}.csv holds changes only (delta)",
                where=where,
                expected="a delivery of everything (bulk)",
                action="ask the holder to set the school system's export to bulk; the last good state is untouched",
            )
        if mode != "bulk":
            raise _refused(f"the manifest does not say that {name}.csv is there", where, f"{name}.csv, as `bulk`")
        if not there:
            raise _refused(
                f"the manifest says that {name}.csv is there, and it is missing", where, "every file it names"
            )
    return manifest


def _table(
    archive: zipfile.ZipFile,
    members: Mapping[str, zipfile.ZipInfo],
    name: str,
    manifest: Mapping[str, str],
    where: str,
) -> Rows:
    rows = _rows(archive, members[f"{name}.csv"], where)
    if rows:
        missing = [column for column in NEEDED[name] if column not in rows[0]]
        if missing:
            raise _refused(f"{name}.csv lacks columns: {', '.join(missing)}", where, "the columns of the profile")
    changed = sum(row["status"] != "" for row in rows)
    if changed:
        raise _refused(
            f"the manifest says that {name}.csv is whole (bulk), but {changed} of its {len(rows)} rows are changes",
            where,
            "an empty `status` in every row of a bulk file",
        )
    return rows


def _rows(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> Rows:
    try:
        with archive.open(member) as stream:
            text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
            reader = csv.DictReader(text, strict=True)
            rows: Rows = []
            for row in reader:
                if None in row or None in row.values():
                    raise _refused(
                        f"row {len(rows) + 1} of {member.filename} has more or fewer fields than the header",
                        where,
                        "as many fields as the header in every row",
                    )
                if len(rows) >= _MOST_ROWS:
                    raise _refused(f"{member.filename} has more than {_MOST_ROWS:,} rows", where, "a roster")
                rows.append({key: "" if value == "NULL" else value.strip() for key, value in row.items()})
            return rows
    except (UnicodeDecodeError, csv.Error, zipfile.BadZipFile, EOFError) as error:
        raise _refused(f"{member.filename} cannot be read", where, "a CSV file in UTF-8") from error


def _identifiers(rows: Rows, name: str, where: str) -> frozenset[str]:
    ids = frozenset(row["sourcedId"] for row in rows)
    if len(ids) < len(rows):
        raise _refused(
            f"{len(rows) - len(ids)} of the {len(rows)} identifiers of {name}.csv stand there twice", where, "each once"
        )
    wrong = sum(_UUID.fullmatch(one) is None for one in ids)
    if wrong:
        raise _refused(f"{wrong} of the {len(ids)} identifiers of {name}.csv are none", where, "a UUID (version 4)")
    return ids


def _check_references(rows: Rows, name: str, column: str, ids: frozenset[str], other: str, where: str) -> None:
    lost = sum(value not in ids for row in rows if (value := row.get(column, "")))
    if lost:
        raise _refused(
            f"{lost} of the {len(rows)} rows of {name}.csv name something in {column} that {other}.csv does not hold",
            where,
            "files of one and the same export",
        )


def _pupils(tables: Mapping[str, Rows]) -> Iterator[list[str]]:
    """A row per pupil, in the order of users.csv. The class is the home class, the school that of the class."""
    classes = {row["sourcedId"]: row for row in tables["classes"]}
    orgs = {row["sourcedId"]: row for row in tables["orgs"]}
    births = {row["sourcedId"]: row for row in tables["demographics"]}
    pupils = {
        row["userSourcedId"] for table in ("roles", "enrollments") for row in tables[table] if row["role"] == "student"
    }
    enrolled: dict[str, list[dict[str, str]]] = {}
    for row in tables["enrollments"]:
        if row["role"] == "student":
            enrolled.setdefault(row["userSourcedId"], []).append(row)
    for user in tables["users"]:
        key = user["sourcedId"]
        if key not in pupils:
            continue
        home = user.get("metadata.jp.homeClass", "")
        rows = sorted(
            enrolled.get(key, []),
            key=lambda row: (
                row["classSourcedId"] != home,
                classes[row["classSourcedId"]]["classType"] != "homeroom",
                row["sourcedId"],
            ),
        )
        enrolment = rows[0] if rows else {}
        room = classes.get(home) or classes.get(enrolment.get("classSourcedId", "")) or {}
        school = orgs.get(room.get("schoolSourcedId", "") or user["primaryOrgSourcedId"], {})
        birth = births.get(key, {})
        kana = [user.get(f"metadata.jp.kana{part}Name", "") for part in ("Family", "Middle", "Given")]
        number = enrolment.get("metadata.jp.shussekiNo", enrolment.get("metadata.jp.ShussekiNo", ""))
        yield [
            key, user.get("userMasterIdentifier", ""), user["identifier"], user["familyName"], user.get("middleName", ""),
            user["givenName"], *kana, birth.get("birthDate", ""), birth.get("sex", ""), school.get("identifier", ""),
            school.get("name", ""), user["grades"].split(",")[0].strip(), room.get("title", ""), number,
            enrolment.get("beginDate", ""), enrolment.get("endDate", ""),
        ]  # fmt: skip


def _refused(what: str, where: str, expected: str) -> ExtractError:
    return ExtractError(
        what,
        where=where,
        expected=expected,
        action="ask the holder of the school system to export again; the last good state is untouched",
    )
