"""Disclosure (開示): everything held of one child, in one answer, and nothing of another person.

Items with source, purpose, ground and value; links and how they were made; scores with reasons and versions; who looked;
consents, requests and exports. What is left out is named with its ground (Act on the Protection of Personal Information,
art. 78(1)): other people's data (ii), an informant (vii), an address under protection measures (ii, vii).
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from kodomo_platform import operations
from kodomo_platform.catalog import Item, load_catalog
from kodomo_platform.errors import GovernanceError
from kodomo_platform.governance.forgetting import Target, target_of
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.operations import Act
from kodomo_platform.policy import purposes
from kodomo_platform.settings import get_settings
from kodomo_platform.shelf import snapshots

# bare name of an item → ground for leaving it out; the reason is shown in the answer
REDACTED = {
    "guardian_name": ("ii", "開示請求者以外の個人に関する情報"),
    "guardian_phone": ("ii", "開示請求者以外の個人に関する情報"),
    "mother_number": ("ii", "開示請求者以外の個人に関する情報"),
    "household_number": ("ii", "世帯のほかの人に結び付く番号"),
    "reporter": ("vii", "通告者・情報提供者を保護し、事務の適正な遂行を図るため"),
    "counsellor": ("ii", "開示請求者以外の個人に関する情報"),
}
WHEREABOUTS = frozenset({"address", "postal_code", "school_code", "facility_code", "class"})
PROTECTED = ("vii", "支援措置により、所在を示す情報は開示しない")
# features that are made of siblings' or the household's records
_OTHERS = ("household_", "sibling", "siblings_", "disability_household", "counselling_family")


@dataclass
class Disclosure:
    """The answer, as it is given to the person; `to_json` and `to_pdf` write it."""

    municipality: str
    name_ja: str
    child_id: str
    made_on: str
    records: list[dict[str, Any]] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)
    looks: list[dict[str, Any]] = field(default_factory=list)
    consents: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    exports: list[dict[str, Any]] = field(default_factory=list)
    redactions: list[dict[str, str]] = field(default_factory=list)
    not_to_be_had: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """Machine-readable, keys in a fixed order."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1, default=str) + "\n"


def disclose(code: str, child_id: str, act: Act, *, today: dt.date | None = None) -> Disclosure:
    """Put the answer together and write the look to the audit log.

    Raises:
        OperationsError: no such child; GovernanceError: the child belongs to another municipality.
    """
    municipality = load_municipality(code)
    target = target_of(code, child_id)
    answer = Disclosure(code, municipality.name_ja, child_id, (today or dt.date.today()).isoformat())
    purposes.require([], purposes.Use.DISCLOSURE, municipality)
    operations.audit(act, "disclose", f"child of {code}", municipality=code, person=child_id)
    path = get_settings().warehouse(code)
    if path.exists():
        with duckdb.connect(str(path), read_only=True) as con:
            protected = _protected(con, target)
            _records(con, answer, target, protected)
    else:
        answer.not_to_be_had.append("取り込んだ記録（作業用データベースがありません。次の実行の後に出せます）")
    _links(answer, target)
    _scores(answer, target)
    for entry in operations.audit_log(person=child_id):
        answer.looks.append(
            {
                "at": entry.at.isoformat(timespec="seconds"),
                "who": entry.actor,
                "act": entry.action,
                "purpose": entry.purpose,
            }
        )
    for record in operations.governance_records(code, person=child_id):
        shown = {"key": record.key, "state": record.state, "from": record.valid_from, "until": record.valid_until}
        if record.kind == "consent":
            answer.consents.append({**shown, "giver": record.body.get("giver"), "scope": record.body.get("scope")})
        elif record.kind == "request":
            answer.requests.append({**shown, "what": record.body.get("what"), "due_on": record.due_on})
    for export in operations.governance_records(code, "export"):
        if export.state == "released":
            answer.exports.append(
                {"key": export.key, "purpose": export.body.get("purpose"), "recipient": export.body.get("recipient")}
            )
    return answer


def _protected(con: duckdb.DuckDBPyConnection, target: Target) -> bool:
    """Whether protection measures (支援措置) hold for the child, or nobody can say that they do not."""
    try:
        rows = con.execute(
            "select protection_measure from marts.mart_child where list_contains(?, child_id)",
            [sorted(target.child_ids)],
        ).fetchall()
    except duckdb.Error:
        return True
    return any(value not in (None, "", "none") for (value,) in rows)


def _records(con: duckdb.DuckDBPyConnection, answer: Disclosure, target: Target, protected: bool) -> None:
    from kodomo_platform.policy.suppression import folded

    catalog = load_catalog()
    there = {
        table
        for (table,) in con.execute(
            "select table_name from information_schema.tables where table_schema = 'raw'"
        ).fetchall()
    }
    for source in catalog.sources.values():
        numbers = target.numbers.get(source.id_system, frozenset())
        if source.raw_table not in there or not numbers:
            continue
        keys = [
            key
            for (key,) in con.execute(f'select distinct "{source.record_key}" from raw.{source.raw_table}').fetchall()
            if key is not None and folded(key) in numbers
        ]
        if not keys:
            continue
        names = [item.name for item in source.items]
        listed = ", ".join(f'"{name}"' for name in names)
        rows = con.execute(
            f'select {listed} from raw.{source.raw_table} where list_contains(?, "{source.record_key}") order by all',
            [keys],
        ).fetchall()
        for row in rows:
            for item, value in zip(source.items, row, strict=True):
                if value not in (None, ""):
                    answer.records.append(_shown(answer, item, source.label_ja, str(value), protected))


def _shown(answer: Disclosure, item: Item, source_ja: str, value: str, protected: bool) -> dict[str, Any]:
    municipality = load_municipality(answer.municipality)
    own = municipality.governance.of(item.key) if municipality.governance is not None else None
    ground = REDACTED.get(item.name) or (PROTECTED if protected and item.name in WHEREABOUTS else None)
    shown = {
        "item": item.key,
        "label": item.label_ja,
        "source": source_ja,
        "holder": (own.holder if own else None) or item.holder,
        "purpose": (own.purpose if own else None) or item.purpose,
        "legal_basis": (own.legal_basis if own else None) or item.legal_basis,
        "value": value if ground is None else "■■",
    }
    if ground is not None:
        entry = {
            "item": item.key,
            "label": item.label_ja,
            "article": f"個人情報の保護に関する法律第78条第1項第{_NUMBERS[ground[0]]}号",
            "why": ground[1],
        }
        if entry not in answer.redactions:
            answer.redactions.append(entry)
    return shown


_NUMBERS = {"ii": "2", "vii": "7"}


def _links(answer: Disclosure, target: Target) -> None:
    seen = set()
    for snapshot in reversed(snapshots(answer.municipality)):
        file = snapshot.file("crosswalk")
        if not file.is_file():
            continue
        with duckdb.connect(":memory:") as con:
            for source, record, method, probability in con.execute(
                "select source, source_record_id, match_method, match_probability from read_parquet(?) "
                "where list_contains(?, child_id) order by all",
                [str(file), sorted(target.child_ids)],
            ).fetchall():
                if (source, record) not in seen:
                    seen.add((source, record))
                    answer.links.append({"source": source, "record": record, "how": method, "probability": probability})
    for child in sorted(target.child_ids):
        for event in operations.child_history(child).events:
            answer.links.append({"event": event.kind, "on": event.happened_on.isoformat(), "by": event.actor})


def _scores(answer: Disclosure, target: Target) -> None:
    for snapshot in snapshots(answer.municipality):
        file = snapshot.file("risk_scores")
        if not file.is_file():
            continue
        with duckdb.connect(":memory:") as con:
            for row in con.execute(
                "select theme, as_of_date, score, band, determinable, undetermined_reason, reasons, model_name, "
                "model_version, score_version from read_parquet(?) where list_contains(?, child_id) order by all",
                [str(file), sorted(target.child_ids)],
            ).fetchall():
                theme, as_of, score, band, determinable, why, reasons, model, version, score_version = row
                answer.scores.append(
                    {
                        "snapshot": snapshot.version, "theme": theme, "as_of": as_of.isoformat(), "score": score, "band": band,
                        "determinable": determinable, "undetermined_reason": why, "model": f"{model} {version}",
                        "score_version": score_version, "reasons": _own_reasons(answer, json.loads(reasons or "[]")),
                    }
                )  # fmt: skip


def _own_reasons(answer: Disclosure, reasons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    shown = []
    for reason in reasons:
        feature = str(reason.get("feature") or reason.get("item") or "")
        if feature == "change":
            continue  # it compares two scores that are both shown here, and may quote a reason that is left out
        if feature.startswith(_OTHERS):
            entry = {
                "item": feature,
                "label": feature,
                "article": "個人情報の保護に関する法律第78条第1項第2号",
                "why": "きょうだい・世帯のほかの人に関する情報",
            }
            if entry not in answer.redactions:
                answer.redactions.append(entry)
            shown.append({"feature": feature, "contribution": reason.get("contribution"), "sentence": "■■"})
        else:
            shown.append(
                {
                    "feature": feature,
                    "contribution": reason.get("contribution"),
                    "sentence": reason.get("sentence_ja", ""),
                }
            )
    return shown


def to_pdf(answer: Disclosure) -> bytes:
    """The answer as PDF/A with shipped fonts; the same answer gives the same bytes."""
    from kodomo_platform.governance.paper import pdf

    blocks: list[dict[str, Any]] = [
        {"head": "1　保有している情報", "columns": ["資料", "項目", "値", "利用目的", "根拠"],
         "rows": [[r["source"], r["label"], r["value"], r["purpose"], r["legal_basis"]] for r in answer.records]},
        {"head": "2　記録の結び付け（名寄せ）", "columns": ["資料", "記録・出来事", "方法", "確率"],
         "rows": [[x.get("source", ""), x.get("record", x.get("event", "")), x.get("how", x.get("by", "")),
                   "" if x.get("probability") is None else f"{x['probability']:.3f}"] for x in answer.links]},
        {"head": "3　判定の結果と理由", "columns": ["基準日", "テーマ", "点数", "理由", "モデル"],
         "rows": [[s["as_of"], s["theme"], "判定不能" if not s["determinable"] else f"{s['score']:.3f}",
                   "／".join(x["sentence"] for x in s["reasons"][:8]), s["model"]] for s in answer.scores]},
        {"head": "4　閲覧・利用の記録", "columns": ["日時", "操作者", "操作", "利用目的"],
         "rows": [[x["at"], x["who"], x["act"], x["purpose"]] for x in answer.looks]},
        {"head": "5　同意・請求・提供", "columns": ["種類", "番号", "状態"],
         "rows": [["同意", c["key"], c["state"]] for c in answer.consents]
         + [["請求", r["key"], r["state"]] for r in answer.requests]
         + [["提供", e["key"], str(e["recipient"])] for e in answer.exports]},
        {"head": "6　開示しない部分と根拠", "columns": ["項目", "条項", "理由"],
         "rows": [[r["label"], r["article"], r["why"]] for r in answer.redactions]},
    ]  # fmt: skip
    return pdf(f"保有個人情報の開示　{answer.name_ja}", answer.made_on, blocks, notes=answer.not_to_be_had)


def write(answer: Disclosure, folder: Path) -> list[Path]:
    """JSON and PDF in ``folder``, readable by their owner alone."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    files = []
    for suffix, content in ((".json", answer.to_json().encode()), (".pdf", to_pdf(answer))):
        path = folder / f"disclosure_{answer.municipality}_{answer.child_id}_{answer.made_on}{suffix}"
        path.write_bytes(content)
        path.chmod(0o600)
        files.append(path)
    return files


def scores_around(code: str, child_id: str) -> list[dict[str, Any]]:
    """Every published score of a child in order, for who answers a correction: what it was before and is after.

    Raises:
        GovernanceError: nothing was published of this child.
    """
    answer = Disclosure(code, "", child_id, "")
    _scores(answer, target_of(code, child_id))
    if not answer.scores:
        raise GovernanceError("no score of this child was published", where=f"municipality {code}")
    return [
        {name: row[name] for name in ("snapshot", "theme", "as_of", "score", "determinable")} for row in answer.scores
    ]
