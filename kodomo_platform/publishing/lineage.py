"""Walk one published score back: why this child, on what data, by which law, which model, who approved it.

Reads the snapshot, never the working warehouse, so that the answer is the one that was true when people saw the score.
What the catalogue says of an item and what has been decided about a model since are read as they are today, and marked.
Names, addresses and numbers of the child are not part of the answer: a row is named by its file and place in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import duckdb

from kodomo_platform import operations
from kodomo_platform.catalog import Item, load_catalog
from kodomo_platform.errors import PublishingError
from kodomo_platform.moments import shown_day
from kodomo_platform.quality.quarantine import REASONS
from kodomo_platform.settings import get_settings
from kodomo_platform.shelf import Snapshot, require_open, snapshot_as_of, verify

Language = Literal["ja", "en"]


@dataclass(frozen=True)
class LawfulItem:
    """What the catalogue says about one item today."""

    key: str
    label_ja: str
    label_en: str
    holder: str
    purpose: str
    necessity: str
    legal_basis: str
    beyond_purpose: dict[str, str] | None
    sensitivity: str
    consent_needed: bool
    evidence: list[str]


@dataclass(frozen=True)
class FeatureStep:
    """One feature that moved the score: its published value, why it is absent if it is, and its items."""

    feature: str
    label_ja: str
    label_en: str
    value: Any
    status: str
    contribution: float | None
    sources: list[str]
    items: list[LawfulItem]


@dataclass(frozen=True)
class FileRows:
    """Rows of one source file, counted from 1 without titles and header."""

    file_name: str
    sha256: str
    extract_date: str
    row_numbers: list[int]
    landing_path: str
    archive_path: str
    #: whether the very bytes are still there: in the archive, or at the landing path
    bytes_kept: bool
    #: the same rows as an editor or a spreadsheet counts them: titles and header included
    line_numbers: list[int] = field(default_factory=list)
    #: of these rows, what was set apart and moved no feature: row number, item, reason, extent, office asked
    set_apart: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class RecordStep:
    """One source record linked to the child. ``used`` by at least one feature that moved the score."""

    source: str
    label_ja: str
    label_en: str
    match_method: str
    match_probability: float | None
    used: bool
    files: list[FileRows]
    #: whose record it is: the child's own, or that of another child of the household behind a reason about the household
    whose: str = "own"


@dataclass(frozen=True)
class LineageTree:
    """The whole answer; `to_dict` for programs, `render` for people."""

    municipality: str
    child_id: str
    theme: str
    as_of_date: str
    snapshot: dict[str, Any]
    score: dict[str, Any]
    model: dict[str, Any]
    features: list[FeatureStep]
    rule_hits: list[Any]
    records: list[RecordStep]
    quality: dict[str, Any]
    governed_by: dict[str, Any]
    #: what consent opened, on whose word and when; state "not_needed" where the law alone is the ground
    consent: dict[str, Any] = field(default_factory=dict)
    #: items that the municipality decided about for this theme: item, include, reason, by, on
    decisions: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def lineage(code: str, child_id: str, theme: str, as_of: date | None = None) -> LineageTree:
    """The way of one published score, from the snapshot of ``as_of`` (default: the one in use).

    Raises:
        PublishingError: no such snapshot, or no score of this child for this theme in it. The message does not repeat
            the child id: somebody may have typed a name.
    """
    require_open(code, child_id)
    snapshot = snapshot_as_of(code, as_of)
    faults = verify(snapshot.path)
    with duckdb.connect(":memory:") as con:
        try:
            score = _score(con, snapshot, child_id, theme)
            features = _features(con, snapshot, child_id, _json_list(score.pop("reasons")))
            used = {source for feature in features for source in feature.sources}
            records = _records(con, snapshot, child_id, used)
            kin_sources = {s for feature in features if _is_of_household(feature.feature) for s in feature.sources}
            for kin in _household(con, snapshot, child_id) if kin_sources else []:
                records += [
                    replace(step, whose="household")
                    for step in _records(con, snapshot, kin, kin_sources)
                    if step.source in kin_sources
                ]
            consent = _consent(con, snapshot, child_id)
        except duckdb.Error as error:
            raise PublishingError(
                "this snapshot cannot be read",
                where=str(snapshot.path),
                action=f"`kodomo snapshots verify --municipality {code}` says what is wrong with it",
            ) from error
    made_by = snapshot.manifest["lineage"]
    return LineageTree(
        municipality=code,
        child_id=child_id,
        theme=theme,
        as_of_date=snapshot.as_of.isoformat(),
        snapshot={
            "version": snapshot.version,
            "path": str(snapshot.path),
            "created_at": snapshot.manifest["created_at"],
            "content_sha256": snapshot.content_hash,
            "is_current": snapshot.is_current,
            "verified": not faults,
            "faults": [str(fault) for fault in faults],
            "dagster_run_id": made_by["dagster_run_id"],
            "code_version": made_by["code_version"],
        },
        rule_hits=_json_list(score.pop("rule_hits")),
        score=score,
        model=_model(code, theme, score, made_by),
        features=features,
        records=records,
        quality=snapshot.manifest["quality"],
        governed_by=snapshot.manifest["governed_by"],
        consent=consent,
        decisions=_decisions(code, theme),
    )


def _is_of_household(feature: str) -> bool:
    """Whether the feature tells something of other children of the home."""
    return any(part.strip().startswith(("household_", "sibling_", "siblings_")) for part in feature.split("&"))


def _household(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, child_id: str) -> list[str]:
    """The other published children of the child's household. Whom consent leaves out is not published."""
    return [
        row["child_id"]
        for row in _rows(
            con,
            "select o.child_id from read_parquet($file) as c join read_parquet($file) as o using (household_id) "
            "where c.child_id = $child and o.child_id <> $child order by 1",
            {"file": str(snapshot.file("child_features")), "child": child_id},
        )
    ]


def _consent(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, child_id: str) -> dict[str, Any]:
    file = snapshot.file("consents")
    if not file.is_file():  # published before snapshots held it
        return {}
    rows = _rows(con, "select * exclude (child_id) from read_parquet(?) where child_id = ?", [str(file), child_id])
    return {name: _plain(value) for name, value in rows[0].items()} if rows else {}


def _decisions(code: str, theme: str) -> list[dict[str, Any]]:
    """What was decided about items for this theme, as it stands today."""
    from kodomo_platform.errors import MunicipalityError
    from kodomo_platform.municipalities import load_municipality
    from kodomo_platform.quality.decisions import effective

    try:
        municipality = load_municipality(code)
    except MunicipalityError:  # the snapshot outlives the municipality's file
        return []
    return [
        {
            "item": one.item,
            "include": one.include,
            "reason": one.reason,
            "by": one.decided_by,
            "on": one.decided_on.isoformat(),
        }
        for one in effective(municipality)
        if one.theme == theme
    ]


def _score(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, child_id: str, theme: str) -> dict[str, Any]:
    file = str(snapshot.file("risk_scores"))
    rows = _rows(
        con,
        "select * exclude (child_id, theme) from read_parquet(?) where child_id = ? and theme = ?",
        [file, child_id, theme],
    )
    if rows:
        score = rows[0]
        score["as_of_date"] = score["as_of_date"].isoformat()
        return score
    where = f"municipality {snapshot.municipality}, snapshot {snapshot.as_of} {snapshot.version}"
    themes = [row["theme"] for row in _rows(con, "select distinct theme from read_parquet(?) order by 1", [file])]
    if theme not in themes:
        raise PublishingError(
            "this theme has no scores in the snapshot", where=where, expected="one of " + (", ".join(themes) or "none")
        )
    raise PublishingError(
        "there is no score of this child for this theme",
        where=where,
        expected="a child_id as risk_scores.parquet has it",
        action="look the child id up in child_register.parquet; a child outside the theme's population has no score",
    )


def _model(code: str, theme: str, score: dict[str, Any], made_by: dict[str, Any]) -> dict[str, Any]:
    """The model of the score with its approval, and what was decided about that version, newest first."""
    published: dict[str, Any] = next(
        (
            model
            for model in made_by["models"]
            if model["theme"] == theme and model["score_version"] == score["score_version"]
        ),
        {},
    )
    decisions = [
        {
            "status": decision.status,
            "by": decision.by,
            "reason": decision.reason,
            "at": decision.decided_at.isoformat(),
            "ended_at": decision.ended_at.isoformat() if decision.ended_at else None,
            "ended_by": decision.ended_by or None,
            "ended_reason": decision.ended_reason or None,
        }
        for decision in operations.model_history(code, theme)
        if decision.model_name == score["model_name"] and decision.version == str(score["model_version"])
    ]
    return {
        "name": score["model_name"],
        "version": score["model_version"],
        "mlflow_run_id": score["mlflow_run_id"],
        "approval": published.get("approval"),
        "decisions_today": decisions,
    }


def _features(
    con: duckdb.DuckDBPyConnection, snapshot: Snapshot, child_id: str, reasons: list[Any]
) -> list[FeatureStep]:
    published = _rows(
        con, "select * from read_parquet(?) where child_id = ?", [str(snapshot.file("child_features")), child_id]
    )
    values = published[0] if published else {}
    catalog, defined = load_catalog(), feature_definitions()
    steps = []
    for reason in reasons:
        # scoring gives the catalogue item in `item` and its own name in `feature`
        name = str(reason.get("feature") or reason.get("item", ""))
        # an interaction names both of its features; base, remainder and the list of absent inputs name none
        parts = [part for part in re.split(r"\s*[×&:]\s*", name) if part in defined]
        keys = sorted({str(key) for part in parts for key in defined[part].get("items", [])})
        labels = {
            language: " × ".join(str(defined[part][f"label_{language}"]) for part in parts)
            or str(reason.get(f"label_{language}") or reason.get(f"sentence_{language}") or name)
            for language in ("ja", "en")
        }
        steps.append(
            FeatureStep(
                feature=name,
                label_ja=labels["ja"],
                label_en=labels["en"],
                value=_plain(values.get(name, reason.get("value"))),
                status=str(values.get(f"{name}__status") or reason.get("status") or ""),
                contribution=reason.get("contribution"),
                sources=sorted({key.rpartition(".")[0] for key in keys}),
                items=[_lawful(catalog.items[key]) for key in keys if key in catalog.items],
            )
        )
    return steps


def _lawful(item: Item) -> LawfulItem:
    return LawfulItem(
        key=item.key,
        label_ja=item.label_ja,
        label_en=item.label_en,
        holder=item.holder,
        purpose=item.purpose,
        necessity=item.necessity,
        legal_basis=item.legal_basis,
        beyond_purpose=item.beyond_purpose.model_dump() if item.beyond_purpose else None,
        sensitivity=str(item.sensitivity),
        consent_needed=item.consent_needed,
        evidence=[f"{evidence.kind}: {evidence.citation}" for evidence in item.evidence],
    )


def _records(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, child_id: str, used: set[str]) -> list[RecordStep]:
    links = _rows(
        con,
        """
        select source, source_record_id, match_method, match_probability, source_file_sha256, source_row_number
        from read_parquet(?) where child_id = ? order by source, source_record_id
        """,
        [str(snapshot.file("crosswalk")), child_id],
    )
    rows = _rows(
        con,
        """
        select r.source, r.source_record_id, r.source_file_sha256, r.row_numbers
        from read_parquet(?) as r
        semi join (select * from read_parquet(?) where child_id = ?) as c using (source, source_record_id)
        order by r.extract_date, r.source_file_sha256
        """,
        [str(snapshot.file("source_rows")), str(snapshot.file("crosswalk")), child_id],
    )
    places: dict[tuple[str, str], dict[str, list[int]]] = {}
    for row in rows:
        place = places.setdefault((row["source"], row["source_record_id"]), {})
        place[row["source_file_sha256"]] = list(row["row_numbers"])
    files = {(file["source"], file["sha256"]): file for file in snapshot.manifest["lineage"]["source_files"]}
    apart = _set_apart(con, snapshot, {(source, sha256) for (source, _), place in places.items() for sha256 in place})
    sources = load_catalog().sources
    steps = []
    for link in links:
        source = link["source"]
        # a record whose rows all came after the as-of date still has the row that linked it
        found = places.get((source, link["source_record_id"])) or {
            link["source_file_sha256"]: [link["source_row_number"]]
        }
        steps.append(
            RecordStep(
                source=source,
                label_ja=sources[source].label_ja if source in sources else source,
                label_en=sources[source].label_en if source in sources else source,
                match_method=link["match_method"],
                match_probability=link["match_probability"],
                used=source in used,
                files=[
                    replace(
                        _file_rows(snapshot.municipality, sha256, numbers, files.get((source, sha256), {})),
                        line_numbers=[number + _lines_above(snapshot.municipality, source) for number in numbers],
                        set_apart=[row for row in apart.get((source, sha256), []) if row["row_number"] in set(numbers)],
                    )
                    for sha256, numbers in found.items()
                ],
            )
        )
    return sorted(steps, key=lambda step: (not step.used, step.source))


@lru_cache(maxsize=256)
def _lines_above(code: str, source: str) -> int:
    """Lines that stand above the first record of a source's file: titles and header, as the municipality's file says."""
    from kodomo_platform.errors import MunicipalityError
    from kodomo_platform.municipalities import load_municipality

    try:
        config = load_municipality(code).by_source.get(source)
    except MunicipalityError:
        return 0
    if config is None:
        return 0
    return config.file.skip_rows + (1 if config.file.header and config.file.format != "fixed" else 0)


def _set_apart(
    con: duckdb.DuckDBPyConnection, snapshot: Snapshot, wanted: set[tuple[str, str]]
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """(source, file) → what of it was set apart. Empty for snapshots from before anything was."""
    if not snapshot.file("quarantine").is_file() or not wanted:
        return {}
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in _rows(
        con,
        "select source, source_file_sha256, row_number, item, reason, extent, asked_of from read_parquet(?) "
        "where list_contains(?, source_file_sha256) order by row_number, item, reason",
        [str(snapshot.file("quarantine")), sorted({sha256 for _, sha256 in wanted})],
    ):
        place = (row.pop("source"), row.pop("source_file_sha256"))
        found.setdefault(place, []).append(row)
    return found


def _file_rows(code: str, sha256: str, numbers: list[int], file: dict[str, Any]) -> FileRows:
    settings = get_settings()
    name, day = str(file.get("file_name", "")), str(file.get("extract_date", ""))
    landed = settings.landing / code / day / name
    kept = settings.archive / code / sha256
    archived = kept if kept.is_file() else settings.archive / sha256
    return FileRows(
        file_name=name,
        sha256=sha256,
        extract_date=day,
        row_numbers=numbers,
        landing_path=str(landed) if name else "",
        archive_path=str(archived if archived.is_file() else kept),
        bytes_kept=archived.is_file() or (bool(name) and landed.is_file()),
    )


@lru_cache(maxsize=1)
def feature_definitions() -> dict[str, dict[str, Any]]:
    """Label and catalogue items of every feature, by its name, from the scoring room's own list."""
    from ruamel.yaml import YAML

    file = Path(__file__).parent.parent / "scoring" / "features.yaml"
    content = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    return {str(entry["feature"]): dict(entry) for entry in content["features"]}


def _rows(con: duckdb.DuckDBPyConnection, query: str, parameters: list[Any] | dict[str, Any]) -> list[dict[str, Any]]:
    cursor = con.execute(query, parameters)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _json_list(text: Any) -> list[Any]:
    """A list from the JSON text of a score's column; a single object counts as a list of one."""
    value = json.loads(text) if text else []
    return value if isinstance(value, list) else [value]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


# --- for people -----------------------------------------------------------------------------------------------------

_WORDS: dict[str, tuple[str, str]] = {
    "score": ("スコア", "Score"),
    "rank": ("順位", "rank"),
    "band": ("区分", "band"),
    "undetermined": ("判定不能", "cannot be judged"),
    "model": ("モデル", "Model"),
    "no_model": ("承認されたモデルなし（判定基準のみで採点）", "no approved model (criteria alone score)"),
    "criteria": ("判定基準の版", "version of the criteria"),
    "mlflow": ("MLflow実行", "MLflow run"),
    "alert": ("注意喚起あり", "alert"),
    "above": ("（根拠は上に記載）", "(its law stands above)"),
    "notes": ("採点の補足", "Notes on the score"),
    "evidence": ("根拠", "evidence"),
    "reasoning": ("目的外利用の理由", "reasoning"),
    "period": ("期間", "period"),
    "approver": ("承認者", "approver"),
    "made_by": ("この結果を作ったもの", "Made by"),
    "catalog": ("項目台帳", "catalogue"),
    "file_of": ("自治体設定", "municipality's file"),
    "code": ("プログラムの版", "code version"),
    "approved": ("承認", "approved"),
    "by": ("承認者", "by"),
    "reason": ("理由", "reason"),
    "no_approval": ("承認の記録がありません", "no approval on record"),
    "since": ("その後の決定", "decided since"),
    "features": ("寄与した特徴量", "Features that moved the score"),
    "absent": ("値なし", "absent"),
    "holder": ("保有・管理主体", "holder"),
    "purpose": ("利用目的", "purpose"),
    "law": ("法的根拠", "legal basis"),
    "beyond": ("目的外利用", "use beyond the purpose"),
    "rules": ("該当した判定基準", "Rules hit"),
    "records": ("名寄せされた記録", "Linked records"),
    "unused": ("（今回の寄与なし）", "(not behind these features)"),
    "file": ("ファイル", "file"),
    "rows": ("行（ファイル上の行）", "lines"),
    "household": ("同じ世帯のこどもの", "another child of the household:"),
    "consent": ("同意", "Consent"),
    "ground": ("根拠", "ground"),
    "decisions": ("項目についての決定", "Decisions about items"),
    "kept": ("用いる", "used"),
    "left_out": ("用いない", "left out"),
    "extract": ("抽出日", "extract date"),
    "bytes_gone": ("原本なし", "bytes not kept here"),
    "quality": ("品質判定", "Quality verdict"),
    "set_apart": ("隔離（使っていない）", "set apart (not used)"),
    "snapshot": ("公開スナップショット", "Snapshot"),
    "intact": ("改ざんなし", "intact"),
    "damaged": ("破損・改変あり", "damaged or altered"),
}
_STATUS = {
    "present": ("あり", "present"),
    "blank": ("欠損", "blank in the source"),
    "not_applicable": ("非該当", "not applicable"),
    "not_linked": ("未連携", "not linked"),
    "not_held": ("未保有", "not held"),
    "before_start": ("システム導入前", "before the system began"),
    "unreadable": ("読み取れない値", "cannot be read"),
    "left_out": ("判断により使わない", "left out by decision"),
    "no_consent": ("同意なし", "no consent"),
}
_METHOD = {
    "number": ("番号一致", "by number"),
    "exact": ("完全一致", "exact"),
    "probabilistic": ("確率的名寄せ", "probabilistic"),
    "review": ("人による確認", "by review"),
    "new": ("新規", "new"),
}
_BAND = {
    "high": ("高", "high"),
    "middle": ("中", "middle"),
    "low": ("低", "low"),
    "undetermined": ("判定不能", "cannot be judged"),
}
# Act on the Protection of Personal Information, art. 69(2), items i to iv
_GROUND = {
    "i": ("個人情報保護法第69条第2項第1号（本人同意・本人提供）", "APPI art. 69(2)(i), consent"),
    "ii": ("個人情報保護法第69条第2項第2号（所掌事務の遂行）", "APPI art. 69(2)(ii), own duties"),
    "iii": ("個人情報保護法第69条第2項第3号（他機関への提供）", "APPI art. 69(2)(iii), other bodies"),
    "iv": ("個人情報保護法第69条第2項第4号（統計・学術・本人の利益）", "APPI art. 69(2)(iv), statistics, research or clear benefit"),
}  # fmt: skip
_VERDICT = {
    "passed": ("合格", "passed"),
    "passed_with_warnings": ("合格（注意あり）", "passed, with warnings"),
}


def render(tree: LineageTree, language: Language = "ja") -> Any:
    """The answer as a `rich` tree."""
    from rich.markup import escape
    from rich.tree import Tree

    side = 0 if language == "ja" else 1

    def word(name: str) -> str:
        return _WORDS[name][side]

    def label(thing: Any) -> str:
        return escape(str((thing.label_ja, thing.label_en)[side]))

    score = tree.score
    number = "—" if score["score"] is None else f"{score['score']:.3f}"
    if score["score_low"] is not None and score["score_high"] is not None:
        number += f" [{score['score_low']:.3f}–{score['score_high']:.3f}]".replace("[", "\\[")
    judged = "" if score["determinable"] else f" · {word('undetermined')}: {escape(str(score['undetermined_reason']))}"
    band = _BAND.get(str(score["band"]), (str(score["band"]),) * 2)[side]
    alert = f" · {word('alert')}" if score["alert"] else ""
    root = Tree(
        f"[bold]{tree.municipality} · {escape(tree.child_id)} · {escape(_theme_label(tree.theme, language))}"
        f" · {tree.as_of_date}[/bold]\n"
        f"{word('score')} {number} · {word('rank')} {score['rank']} · {word('band')} {escape(band)}{alert}{judged}"
    )
    _render_model(root, tree, word)
    branch = root.add(f"[bold]{word('features')}[/bold]")
    told: set[str] = set()
    for feature in (step for step in tree.features if step.items):
        status = _STATUS.get(feature.status, (feature.status, feature.status))[side]
        shown = f" = {_shown(feature.value)}" if feature.value is not None else ""
        if feature.value is None and feature.status != "present":
            shown = f" = {word('absent')}: {status}"
        weight = "" if feature.contribution is None else f" ({feature.contribution:+.3f})"
        node = branch.add(f"{label(feature)}{escape(shown)}{weight}")
        for item in feature.items:
            again = f" {word('above')}" if item.key in told else ""
            leaf = node.add(f"{label(item)} [dim]{item.key}[/dim]{again}")
            if again:
                continue
            told.add(item.key)
            leaf.add(f"{word('law')}: {escape(item.legal_basis)}")
            if _rests_on_consent(tree, item):
                leaf.add(f"{word('ground')}: {_consent_words(tree, side)}")
            elif item.beyond_purpose:
                ground = item.beyond_purpose["ground"]
                beyond = leaf.add(f"{word('beyond')}: {_GROUND.get(ground, (ground, ground))[side]}")
                for part in ("reasoning", "period", "approver"):
                    beyond.add(f"{word(part)}: {escape(item.beyond_purpose[part])}")
            leaf.add(f"{word('holder')}: {escape(item.holder)}")
            leaf.add(f"{word('purpose')}: {escape(item.purpose)}")
    if tree.consent and tree.consent.get("state") != "not_needed":
        root.add(f"[bold]{word('consent')}[/bold]: {escape(_consent_words(tree, side))}")
    if tree.decisions:
        branch = root.add(f"[bold]{word('decisions')}[/bold]")
        for decision in tree.decisions:
            kept = word("kept") if decision["include"] else word("left_out")
            branch.add(
                escape(f"{decision['item']}: {kept} · {decision['on']} · {decision['by']} · {decision['reason']}")
            )
    # base, remainder, certainty and the list of absent inputs come from no item
    notes = [step for step in tree.features if not step.items]
    if notes:
        branch = root.add(f"[bold]{word('notes')}[/bold]")
        for note in notes:
            weight = f" ({note.contribution:+.3f})" if note.contribution and abs(note.contribution) >= 0.0005 else ""
            branch.add(f"{label(note)}{weight}")
    if tree.rule_hits:
        branch = root.add(f"[bold]{word('rules')}[/bold]")
        for hit in tree.rule_hits:
            node = branch.add(escape(_rule_text(hit, language)))
            if isinstance(hit, dict) and hit.get("evidence"):
                node.add(f"{word('evidence')}: {escape(str(hit['evidence']))}")
    branch = root.add(f"[bold]{word('records')}[/bold]")
    for record in tree.records:
        method = _METHOD.get(record.match_method, (record.match_method, record.match_method))[side]
        chance = "" if record.match_probability is None else f" p={record.match_probability:.3f}"
        whose = "" if record.whose == "own" else f"{word('household')} "
        node = branch.add(f"{whose}{label(record)}: {method}{chance} {'' if record.used else word('unused')}".rstrip())
        for file in record.files:
            gone = "" if file.bytes_kept else f" · {word('bytes_gone')}"
            leaf = node.add(
                f"{escape(file.file_name)} · {word('rows')} {_ranges(file.line_numbers or file.row_numbers)}"
                f" · {word('extract')}"
                f" {file.extract_date} · sha256 {file.sha256[:12]}…{gone}"
            )
            for row in file.set_apart:
                reason = REASONS.get(str(row["reason"]))
                why = row["reason"] if reason is None else (reason.ja, reason.en)[side]
                leaf.add(
                    f"{word('set_apart')}: {word('rows')} {_as_seen(file, row['row_number'])} · {escape(str(row['item']))} · {escape(why)} "
                    f"→ {escape(str(row['asked_of']))}"
                )
    verdict = str(tree.quality["verdict"])
    root.add(f"[bold]{word('quality')}[/bold]: {_VERDICT.get(verdict, (verdict, verdict))[side]}")
    sound = word("intact") if tree.snapshot["verified"] else f"[red]{word('damaged')}[/red]"
    root.add(f"[bold]{word('snapshot')}[/bold]: {tree.snapshot['version']} · {sound}")
    branch = root.add(f"[bold]{word('made_by')}[/bold]")
    branch.add(f"Dagster: {escape(str(tree.snapshot['dagster_run_id']))}")
    branch.add(f"{word('code')}: {escape(str(tree.snapshot['code_version']))}")
    for name, key in (("catalog", "catalog_sha256"), ("file_of", "municipality_sha256")):
        if tree.governed_by.get(key):
            branch.add(f"{word(name)}: sha256 {str(tree.governed_by[key])[:12]}…")
    return root


def _rests_on_consent(tree: LineageTree, item: LawfulItem) -> bool:
    """Whether consent is the ground of this item for this child: the municipality's rule covers its domain."""
    from kodomo_platform.errors import MunicipalityError
    from kodomo_platform.municipalities import load_municipality

    if tree.consent.get("state", "not_needed") == "not_needed":
        return False
    try:
        municipality = load_municipality(tree.municipality)
    except MunicipalityError:
        return False
    rule, domain = municipality.consent, item.key.partition(".")[0]
    held = {source.partition(".")[0] for source in municipality.by_source} - {"resident", "consent"}
    # where all that is held rests on consent, so does the register (see the warehouse's cfg.consent)
    covers = not rule.applies_to or domain in rule.applies_to or (domain == "resident" and held <= set(rule.applies_to))
    return rule.rule == "opt_in" and covers


def _consent_words(tree: LineageTree, side: int) -> str:
    """The consent that holds: ground, day, by whom, by which route, until when."""
    consent, ja = tree.consent, side == 0
    if consent.get("state") in ("no_line", None):
        return ("同意記録なし（同意を要しない範囲）", "no line of consent (none is needed for what is used)")[side]
    language: Language = "ja" if ja else "en"
    items = load_catalog().sources["consent.record"].by_name

    def coded(name: str) -> str:
        label = (items[name].codes or {}).get(str(consent.get(name)))
        return "" if label is None else (label.ja if ja else label.en)

    parts = [_GROUND["i"][side]]
    if consent.get("decided_on"):
        parts.append(("同意日 " if ja else "consented on ") + shown_day(consent["decided_on"], language))
    parts += [text for text in (coded("given_by"), coded("route")) if text]
    if consent.get("evidence"):
        parts.append(("同意書 " if ja else "evidence ") + str(consent["evidence"]))
    if consent.get("valid_until"):
        parts.append(("期限 " if ja else "until ") + shown_day(consent["valid_until"], language))
    return ("、" if ja else ", ").join(parts)


def _theme_label(theme: str, language: Language) -> str:
    """The theme's name for people, with its key."""
    from kodomo_platform.scoring import load_themes

    known = load_themes().get(theme)
    return theme if known is None else f"{known.label_ja if language == 'ja' else known.label_en} ({theme})"


def _as_seen(file: FileRows, number: int) -> int:
    """The row's line in its file."""
    if number in file.row_numbers and file.line_numbers:
        return file.line_numbers[file.row_numbers.index(number)]
    return number


def _shown(value: Any) -> str:
    """A feature's value as people write it: whole numbers without a point, others with three digits at most."""
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _render_model(root: Any, tree: LineageTree, word: Any) -> None:
    from rich.markup import escape

    model = tree.model
    if not model["mlflow_run_id"]:
        branch = root.add(f"[bold]{word('model')}[/bold]: {word('no_model')}")
        branch.add(f"{word('criteria')}: {escape(str(model['version']))}")
        return
    branch = root.add(f"[bold]{word('model')}[/bold]: {escape(str(model['name']))} v{escape(str(model['version']))}")
    branch.add(f"{word('mlflow')}: {escape(str(model['mlflow_run_id']))}")
    approval = model["approval"]
    if approval is None:
        branch.add(f"[yellow]{word('no_approval')}[/yellow]")
    else:
        branch.add(
            f"{word('approved')} {approval['at'][:10]} · {word('by')}: {escape(approval['by'])}"
            f" · {word('reason')}: {escape(approval['reason'])}"
        )
    for decision in model["decisions_today"]:
        if decision["status"] != "approved":
            ended = decision["ended_at"] or decision["at"]
            why = decision["ended_reason"] or decision["reason"]
            branch.add(f"{word('since')}: {decision['status']} {ended[:10]} · {escape(why)}")


def _rule_text(hit: Any, language: Language) -> str:
    if not isinstance(hit, dict):
        return str(hit)
    for key in (f"sentence_{language}", f"label_{language}", "sentence", "label", "rule", "key"):
        if hit.get(key):
            return str(hit[key])
    return json.dumps(hit, ensure_ascii=False)


def _ranges(numbers: Iterable[int]) -> str:
    """``1-3, 7``: row numbers that follow each other are put together."""
    spans: list[list[int]] = []
    for number in sorted(set(numbers)):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
