"""Research and statistics exports: five treatments, k-anonymity, two approvals blind to each other, a register of what left.

A draft is computed and checked; two people other than its author approve it without seeing each other's word; only then a
file is written, with pseudonyms of a key of its own that is thrown away. Approvals hold for the rules and the data they
saw: either changes, both are void.

Sources: Act on the Protection of Personal Information, arts. 2(6), 109-116 (行政機関等匿名加工情報), 69(2) iv; Enforcement
Rules, art. 62 (the five treatments); small cells below 10, dominance n-k 2/90 % and p 10 % are configuration with defaults
of official statistics practice.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import math
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from kodomo_platform import operations
from kodomo_platform.errors import GovernanceError
from kodomo_platform.operations import Act, GovernanceRecord
from kodomo_platform.settings import get_settings
from kodomo_platform.shelf import current_snapshot

KIND = "export"
# what could point at a person together with what others know; always generalised
QUASI = ("age_band", "sex", "grade_band")
TREATMENTS = {
    "identifying": "一　特定の個人を識別できる記述等の全部又は一部の削除",
    "codes": "二　個人識別符号の全部の削除",
    "linking": "三　情報を相互に連結する符号の削除",
    "singular": "四　特異な記述等の削除",
    "database": "五　データベース等の性質を踏まえたその他の措置",
}


@dataclass(frozen=True)
class Rules:
    """What an export may hold. ``features``: names of features (values are rounded to bands of ten)."""

    purpose: str
    recipient: str
    contract: str
    expires_on: str
    features: tuple[str, ...]
    k: int = 10
    diversity: int = 2

    @property
    def digest(self) -> str:
        """Hash of the rules: an approval of other rules is none."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, ensure_ascii=False).encode()).hexdigest()


@dataclass
class Checked:
    """What the checks say of a draft. ``rows``: kept of ``rows_before``; ``reidentified`` of ``trials`` by the register."""

    rows_before: int
    rows: int
    smallest_group: int
    smallest_diversity: int
    treatments: dict[str, bool] = field(default_factory=dict)
    reidentified: int = 0
    expected_by_chance: float = 0.0
    interval: tuple[float, float] = (0.0, 0.0)
    data_sha256: str = ""

    @property
    def fit(self) -> bool:
        """Every treatment holds and the trial did no better than chance."""
        return all(self.treatments.values()) and self.reidentified <= self.interval[1]


def _query(rules: Rules, snapshot: Any) -> str:
    listed = "".join(
        f', case when f."{name}" is null then null when abs(f."{name}") < 10 then round(f."{name}") '
        f'else round(f."{name}" / 10) * 10 end as "{name}"'
        for name in rules.features
    )
    register, features, scores = (snapshot.file(name) for name in ("child_register", "child_features", "risk_scores"))
    return f"""
        select r.child_id,
            case when r.age_years is null then '不明' when r.age_years < 6 then '0-5' when r.age_years < 12 then '6-11' else '12-17' end as age_band,
            coalesce(r.sex, '不明') as sex,
            case when r.grade is null then '就学前・その他' when try_cast(r.grade as int) <= 6 then '小学校' else '中学校以上' end as grade_band,
            coalesce(s.band, 'undetermined') as band {listed}
        from read_parquet('{register}') as r
        join read_parquet('{features}') as f on f.child_id = r.child_id
        left join (select child_id, arg_max(band, score) as band from read_parquet('{scores}') group by all) as s
          on s.child_id = r.child_id
    """


def _draft(con: duckdb.DuckDBPyConnection, code: str, rules: Rules) -> Checked:
    """``draft``: rows that may leave, with child_id still there for the trial."""
    snapshot = current_snapshot(code)
    known = {
        row[0]
        for row in con.execute(
            "describe select * from read_parquet(?)", [str(snapshot.file("child_features"))]
        ).fetchall()
    }
    if unknown := [
        name
        for name in rules.features
        if name not in known or name.endswith("__status") or name in ("child_id", "household_id", "as_of_date")
    ]:
        raise GovernanceError(
            "not features that may leave",
            where=", ".join(unknown),
            expected="names of numeric features of the snapshot in use",
        )
    con.execute(f"create or replace temp table everyone as {_query(rules, snapshot)}")
    quasi = ", ".join(QUASI)
    con.execute(
        f"create or replace temp table draft as select e.* from everyone as e join "
        f"(select {quasi} from everyone group by all having count(*) >= {int(rules.k)} and count(distinct band) >= {int(rules.diversity)}) as g using ({quasi})"
    )
    # singular values: a feature's value that fewer than k of those who are left share says nothing
    for name in rules.features:
        con.execute(
            f'update draft set "{name}" = null where "{name}" in (select "{name}" from draft group by all having count(*) < {int(rules.k)})'
        )

    def number(query: str) -> int:
        row = con.execute(query).fetchone()
        return int(row[0]) if row and row[0] is not None else 0

    columns = [row[0] for row in con.execute("describe draft").fetchall()]
    checked = Checked(
        rows_before=number("select count(*) from everyone"),
        rows=number("select count(*) from draft"),
        smallest_group=number(f"select min(n) from (select count(*) as n from draft group by {quasi})"),
        smallest_diversity=number(f"select min(n) from (select count(distinct band) as n from draft group by {quasi})"),
    )
    singular = sum(
        number(
            f'select count(*) from (select "{name}" from draft where "{name}" is not null group by all having count(*) < {int(rules.k)})'
        )
        for name in rules.features
    )
    leaving = set(columns) - {"child_id"}
    checked.treatments = {
        "identifying": not leaving
        & {"name", "name_kana", "birth_date", "address", "postal_code", "guardian_name", "guardian_phone"},
        "codes": not leaving & {"resident_number", "my_number"},
        "linking": not leaving & {"child_id", "household_id", "source_record_id", "school_code", "facility_code"},
        "singular": singular == 0,
        "database": checked.rows > 0
        and checked.smallest_group >= rules.k
        and checked.smallest_diversity >= rules.diversity,
    }
    checked.data_sha256 = hashlib.sha256(
        json.dumps(con.execute("select * exclude child_id from draft order by all").fetchall(), default=str).encode()
    ).hexdigest()
    _trial(con, code, checked)
    return checked


def _trial(con: duckdb.DuckDBPyConnection, code: str, checked: Checked) -> None:
    """Who has the register tries to find each row's child: of all who fit the row, one is named by a fixed draw.

    Expected by chance: the sum of one over those who fit; the interval is three standard deviations around it.
    """
    quasi = ", ".join(QUASI)
    row = con.execute(
        f"""
        with fitting as (
            select d.child_id as truth, e.child_id as named, count(*) over (partition by d.child_id) as fits,
                row_number() over (partition by d.child_id order by md5(e.child_id || d.child_id)) as draw
            from draft as d join everyone as e using ({quasi})
        )
        select count(*) filter (where truth = named and draw = 1), sum(1.0 / fits) filter (where draw = 1),
            sum((1.0 / fits) * (1 - 1.0 / fits)) filter (where draw = 1)
        from fitting
        """
    ).fetchone()
    hits, expected, variance = row or (0, 0.0, 0.0)
    checked.reidentified, checked.expected_by_chance = int(hits or 0), float(expected or 0.0)
    spread = 3 * math.sqrt(float(variance or 0.0))
    checked.interval = (max(0.0, checked.expected_by_chance - spread), checked.expected_by_chance + spread)


def propose(code: str, key: str, rules: Rules, act: Act, *, on: dt.date) -> tuple[GovernanceRecord, Checked]:
    """Compute and check a draft. Nothing is written to a file.

    Raises:
        GovernanceError: a check fails, or the export would expire before it begins.
    """
    if dt.date.fromisoformat(rules.expires_on) < on:
        raise GovernanceError("the period ends before it begins", where=f"export {key}")
    with duckdb.connect(":memory:") as con:
        checked = _draft(con, code, rules)
    if not checked.fit:
        failed = [name for name, held in checked.treatments.items() if not held] or ["re-identification trial"]
        raise GovernanceError(
            f"this export may not leave: {', '.join(failed)}",
            where=f"export {key}",
            action="generalise further or leave items out",
        )
    body = {"rules": asdict(rules), "digest": rules.digest, "data_sha256": checked.data_sha256, "author": act.actor,
            "purpose": rules.purpose, "recipient": rules.recipient, "words": {}, "checked": asdict(checked)}  # fmt: skip
    return operations.open_record(
        code,
        KIND,
        key,
        "proposed",
        act,
        effective_on=on,
        valid_from=on,
        valid_until=dt.date.fromisoformat(rules.expires_on),
        body=body,
    ), checked


def judge(code: str, key: str, yes: bool, act: Act, *, on: dt.date) -> str:
    """One approver's word; what the other said is not shown. Returns how many words are given, and no more.

    Raises:
        GovernanceError: the author, or somebody who has given their word already.
    """
    record = operations.governance_record(code, KIND, key)
    words = dict(record.body["words"])
    if act.actor == record.body["author"]:
        raise GovernanceError(
            "one person cannot do both", where=f"export {key}", expected="an approver who is not the author"
        )
    if act.actor in words:
        raise GovernanceError("two approvals come from two people", where=f"export {key}", expected="another approver")
    words[act.actor] = {"yes": yes, "digest": record.body["digest"], "data_sha256": record.body["data_sha256"]}
    state = "proposed" if len(words) < 2 else "approved" if all(word["yes"] for word in words.values()) else "refused"
    operations.change_record(code, KIND, key, state, act, effective_on=on, seen=["proposed"], body={"words": words})
    return f"{len(words)} of 2"


def release(code: str, key: str, act: Act, *, on: dt.date, folder: Path | None = None) -> Path:
    """Write the file of an export with two approvals of these very rules and data.

    Raises:
        GovernanceError: fewer than two approvals, an expired export, or rules or data that changed since.
    """
    record = operations.governance_record(code, KIND, key)
    rules = Rules(**{**record.body["rules"], "features": tuple(record.body["rules"]["features"])})
    words = list(record.body["words"].values())
    if record.state != "approved" or len(words) < 2 or not all(word["yes"] for word in words):
        raise GovernanceError("two approvals are needed before anything leaves", where=f"export {key}")
    if record.valid_until is not None and on > record.valid_until:
        raise GovernanceError("this export has expired", where=f"export {key}", action="propose it again")
    with duckdb.connect(":memory:") as con:
        checked = _draft(con, code, rules)
        if any(word["digest"] != rules.digest or word["data_sha256"] != checked.data_sha256 for word in words):
            raise GovernanceError(
                "rules or data have changed since the approvals",
                where=f"export {key}",
                action="propose it again under another key",
            )
        secret = secrets.token_bytes(32)  # of this export alone, and kept nowhere
        con.create_function(
            "pseudonym",
            lambda child: hmac.new(secret, child.encode(), hashlib.sha256).hexdigest()[:16],
            ["VARCHAR"],
            "VARCHAR",
        )
        folder = folder or get_settings().home / "exports" / code
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{key}.csv"
        con.execute(
            f"copy (select pseudonym(child_id) as id, * exclude child_id from draft order by md5(id)) to '{path}' (header)"
        )
    path.chmod(0o600)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    operations.change_record(
        code,
        KIND,
        key,
        "released",
        act,
        effective_on=on,
        seen=["approved"],
        body={"file_sha256": digest, "rows": checked.rows},
    )
    return path
