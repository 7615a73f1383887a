"""Papers made of what really runs: purpose sheets, file register, notice, PIA, algorithm record, evidence pack.

Nothing is written beside them: every entry comes from the catalogue, the town's file, the records on file or the snapshot in
use. What only a town can say and has not said is marked as missing, never filled in. The same inputs give the same bytes.

Sources: guideline, chapter 3.3 (purpose sheet); Act on the Protection of Personal Information, arts. 74-75 (file register,
threshold of 1,000 people by Cabinet Order), 61-62; JIS X 9251 (shape of the PIA); the UK's Algorithmic Transparency
Recording Standard (fields of the algorithm record).
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import duckdb

from kodomo_platform import operations
from kodomo_platform.catalog import Item, load_catalog
from kodomo_platform.errors import PublishingError
from kodomo_platform.governance.paper import pdf
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.municipalities.models import Municipality
from kodomo_platform.operations import Act
from kodomo_platform.policy.duties import ROLES_JA
from kodomo_platform.policy.grounds import WHY_JA, closures, endings
from kodomo_platform.settings import get_settings
from kodomo_platform.shelf import Snapshot, current_snapshot

MISSING = "（未記入：自治体が定めて設定ファイルに書く）"
THRESHOLD = 1000
# the official order of a file register's entry (art. 75(1), and the Commission's form for administrative bodies)
REGISTER_FIELDS = (
    "個人情報ファイルの名称",
    "行政機関等の名称",
    "個人情報ファイルが利用に供される事務をつかさどる組織の名称",
    "個人情報ファイルの利用目的",
    "記録項目",
    "記録範囲",
    "記録情報の収集方法",
    "要配慮個人情報が含まれるときは、その旨",
    "記録情報の経常的提供先",
    "開示請求等を受理する組織の名称及び所在地",
    "訂正及び利用停止に関する他の法律又はこれに基づく命令の規定による特別の手続等",
    "個人情報ファイルの種別",
    "行政機関等匿名加工情報の提案の募集をする個人情報ファイルである旨",
    "備考",
)


def _said(municipality: Municipality, item: Item, name: str) -> Any:
    """What the town says of an item; None where it says nothing."""
    return None if municipality.governance is None else getattr(municipality.governance.of(item.key), name)


def purpose_sheets(code: str, day: dt.date) -> list[dict[str, str]]:
    """One sheet per held item, in the guideline's order (chapter 3.3)."""
    municipality = load_municipality(code)
    shut = closures(municipality, day)
    sheets = []
    for config in municipality.sources:
        for item in load_catalog().sources[config.source].items:
            if item.name not in config.by_item:
                continue
            beyond = item.beyond_purpose
            sheets.append(
                {
                    "項目": item.key,
                    "情報項目": item.label_ja,
                    "取り扱う主体": _said(municipality, item, "handler") or MISSING,
                    "保有・管理主体": _said(municipality, item, "holder") or config.holder,
                    "取得方法": item.obtained,
                    "取扱い方法": item.handling,
                    "利用目的": _said(municipality, item, "purpose") or item.purpose,
                    "必要性": item.necessity,
                    "法的根拠": _said(municipality, item, "legal_basis") or item.legal_basis,
                    "目的外利用・提供の根拠": _said(municipality, item, "ground") or (f"第69条第2項第{_ROMAN[beyond.ground]}号（台帳の例）" if beyond else ""),
                    "臨時的であること": _said(municipality, item, "temporary") or (MISSING if beyond else ""),
                    "必要な限度": _said(municipality, item, "necessary_extent") or (MISSING if beyond else ""),
                    "相当の理由": _said(municipality, item, "considerable_reason") or (MISSING if beyond else ""),
                    "権利利益を不当に侵害しないこと": _said(municipality, item, "no_undue_harm") or (MISSING if beyond else ""),
                    "期間": _period(municipality, item) or (MISSING if beyond else ""),
                    "承認者": _said(municipality, item, "approver") or (MISSING if beyond else ""),
                    "安全管理措置": _said(municipality, item, "safety_measures") or MISSING,
                    "周知": _said(municipality, item, "notice") or item.notice,
                    "守秘義務": _said(municipality, item, "secrecy") or "",
                    "弁護士の確認": "要" if _said(municipality, item, "lawyer_to_confirm") else "",
                    "状態": "使えない：" + WHY_JA[shut[item.key].why] if item.key in shut else "使える",
                }
            )  # fmt: skip
    return sheets


_ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4"}


def _period(municipality: Municipality, item: Item) -> str:
    first, last = _said(municipality, item, "period_from"), _said(municipality, item, "period_until")
    return "" if first is None and last is None else f"{first or ''}から{last or ''}まで"


def _people(code: str) -> dict[str, int]:
    """Source → people (records) in the snapshot in use; empty where nothing is published."""
    try:
        snapshot = current_snapshot(code)
    except PublishingError:
        return {}
    with duckdb.connect(":memory:") as con:
        rows = con.execute(
            "select source, count(distinct child_id) from read_parquet(?) group by all",
            [str(snapshot.file("crosswalk"))],
        ).fetchall()
    return {str(source): int(count) for source, count in rows}


def file_register(code: str, day: dt.date) -> list[dict[str, str]]:
    """The 個人情報ファイル簿: one entry per source held, fields in the official order.

    Sources below 1,000 people need no entry (art. 74(2)); they are made as well, for who asks, and marked in the last field.
    """
    municipality = load_municipality(code)
    shut = closures(municipality, day)
    people = _people(code)
    governance = municipality.governance
    entries = []
    for config in municipality.sources:
        source = load_catalog().sources[config.source]
        items = [item for item in source.items if item.name in config.by_item and item.key not in shut]
        if not items:
            continue
        purposes = dict.fromkeys(str(_said(municipality, item, "purpose") or item.purpose) for item in items)
        count = people.get(source.key)
        size = (
            "本人の数：未計測"
            if count is None
            else f"本人の数：{count}人" + ("" if count >= THRESHOLD else "（1,000人未満のため公表義務なし）")
        )
        values = (
            f"{source.label_ja}（こどもデータ連携用）",
            municipality.name_ja,
            (governance.roles.analysis if governance else None) or MISSING,
            "；".join(purposes),
            "、".join(item.label_ja for item in items),
            f"{municipality.name_ja}のこども（{source.label_ja}に記録のある者）",
            f"{config.holder}から：{items[0].obtained}",
            "含む" if any(item.sensitivity == "special_care" for item in items) else "含まない",
            (governance.roles.use if governance else None) or MISSING,
            (governance.contact if governance else None) or MISSING,
            "なし",
            "法第60条第2項第1号（電算処理ファイル）",
            "非該当",
            size,
        )
        entries.append(dict(zip(REGISTER_FIELDS, values, strict=True)))
    return entries


def to_csv(rows: list[dict[str, str]]) -> bytes:
    """CSV with a byte-order mark, as spreadsheets of offices read it; a leading = + - @ is neutralised."""
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\r\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {name: f"'{text}" if text[:1] in ("=", "+", "-", "@") else text for name, text in row.items()}
            )
    return out.getvalue().encode("utf-8-sig")


def publish_register(code: str, act: Act, day: dt.date) -> int:
    """Note the register as published: from now on a difference from what runs is reported. How many entries."""
    entries = file_register(code, day)
    number = len([r for r in operations.governance_records(code, "paper") if r.key.startswith("file_register")]) + 1
    operations.open_record(
        code,
        "paper",
        f"file_register {number:04d}",
        "published",
        act,
        effective_on=day,
        body={"entries": _compared(entries)},
    )
    return len(entries)


def _compared(entries: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    # the number of people changes with every run and makes no other entry
    return {entry[REGISTER_FIELDS[0]]: {k: v for k, v in entry.items() if k != "備考"} for entry in entries}


def register_differences(code: str, day: dt.date) -> list[str] | None:
    """What differs between the register last published and what runs; None where none was published."""
    published = [r for r in operations.governance_records(code, "paper") if r.key.startswith("file_register")]
    if not published:
        return None
    before, now = published[-1].body["entries"], _compared(file_register(code, day))
    found = [f"{name}：公表した簿にない" for name in now if name not in before]
    found += [f"{name}：今は取り扱っていない" for name in before if name not in now]
    for name in now.keys() & before.keys():
        found += [f"{name}：{field}" for field in now[name] if now[name][field] != before[name].get(field)]
    return sorted(found)


def _snapshot(code: str) -> Snapshot | None:
    try:
        return current_snapshot(code)
    except PublishingError:
        return None


def notice(code: str, day: dt.date) -> list[dict[str, Any]]:
    """What residents are told (arts. 61-62, guideline chapter 5): plain Japanese with readings, and English."""
    municipality = load_municipality(code)
    catalog = load_catalog()
    shut = closures(municipality, day)
    sources = [c for c in municipality.sources if any(f"{c.source}.{name}" not in shut for name in c.by_item)]
    contact = (municipality.governance.contact if municipality.governance else None) or MISSING
    rule = {
        "none": ("法律にもとづいて使います。", "We use the data as the law allows."),
        "opt_in": ("同意（どうい）をいただいた場合（ばあい）だけ使います。", "We use the data only with consent."),
        "opt_out": ("使ってほしくないときは、やめることができます。", "You can ask us not to use the data."),
    }[municipality.consent.rule]
    return [
        {"head": "こどものデータの使（つか）い方（かた）についてのお知（し）らせ", "text": [
            f"{municipality.name_ja}は、困（こま）っているこどもに早（はや）く気（き）づくために、役所（やくしょ）や学校（がっこう）が持（も）っている記録（きろく）を合（あ）わせて見（み）ます。",
            "支援（しえん）するかどうかは、必（かなら）ず人（ひと）が決（き）めます。",
            rule[0],
            f"自分（じぶん）の記録を見（み）ること、直（なお）すこと、使うのをやめることを求（もと）められます（開示・訂正・利用停止）。問合（といあ）せ先（さき）：{contact}",
        ]},
        {"head": "使う記録", "columns": ["記録", "持っているところ"],
         "rows": [[catalog.sources[c.source].label_ja, c.holder] for c in sources]},
        {"head": "Notice in English", "text": [
            f"{municipality.name_en} looks at records of city offices and schools together, to notice early when a child needs help.",
            "People, not the computer, decide whether to offer support.",
            rule[1],
            "You may ask to see, correct, or stop the use of your records. Records used: "
            + ", ".join(catalog.sources[c.source].label_en for c in sources) + ".",
        ]},
    ]  # fmt: skip


def pia(code: str, day: dt.date) -> list[dict[str, Any]]:
    """The PIA in the shape of JIS X 9251: flows, measures, risks, residual risk. People fill in and sign what only they know."""
    municipality = load_municipality(code)
    catalog = load_catalog()
    roles = municipality.governance.roles if municipality.governance else None
    shut, soon = closures(municipality, day), endings(municipality, day)
    return [
        {"head": "1　体制", "columns": ["役割", "担当"],
         "rows": [[name, (getattr(roles, key) if roles else None) or MISSING] for key, name in ROLES_JA.items()]},
        {"head": "2　情報の流れ", "columns": ["資料", "保有部署", "項目数", "要配慮", "同意の定め"],
         "rows": [[catalog.sources[c.source].label_ja, c.holder, len(c.columns),
                   sum(i.sensitivity == "special_care" for i in catalog.sources[c.source].items if i.name in c.by_item),
                   municipality.consent.rule] for c in municipality.sources]},
        {"head": "3　仕組みで行う安全管理措置", "text": [
            "根拠・期間・利用目的のない項目は、取り込みの入口で落とし、手持ちの値を消す。",
            "氏名・住所・番号は識別情報の区画だけに置き、特徴量・点数・記録出力には内部IDだけを渡す。",
            "操作と閲覧は、目的とともに、改ざんを見つけられる形で記録する。",
            "利用停止・同意の撤回は、原本の控え、作業用データベース、公開した版、報告に及ぶ。",
        ]},
        {"head": "4　リスクと残るリスク（人が評価して署名する）", "columns": ["リスク", "今の状態", "評価", "残るリスク", "署名"],
         "rows": [["根拠のない利用", f"使えない項目 {len(shut)}件、60日以内に終わる根拠 {len(soon)}件", "", "", ""],
                  ["名寄せの誤り（別のこどもとの取違え）", "人の確認と取消しの仕組みあり", "", "", ""],
                  ["見落とし・誤った注意", "点数が低いことを安全とは示さない", "", "", ""],
                  ["漏えい・目的外の閲覧", "監査記録と月次の点検", "", "", ""],
                  ["偏り（性別・地域・国籍等）", "国籍等は取り扱わない。群ごとの評価はモデルの記録にある", "", "", ""]]},
    ]  # fmt: skip


def algorithm(code: str, day: dt.date) -> list[dict[str, Any]]:
    """The public record of the algorithm; its hash is that of what the snapshot in use was made with."""
    municipality = load_municipality(code)
    snapshot = _snapshot(code)
    governed = snapshot.manifest.get("governed_by", {}) if snapshot else {}
    models = snapshot.manifest.get("lineage", {}).get("models", []) if snapshot else []
    code_version = snapshot.manifest.get("lineage", {}).get("code_version", "") if snapshot else ""
    digest = hashlib.sha256(
        json.dumps([governed, models, code_version], sort_keys=True, default=str).encode()
    ).hexdigest()
    roles = municipality.governance.roles if municipality.governance else None
    approvals = [a for a in operations.model_history(code) if a.status == "approved"]
    return [
        {"head": "1　責任者", "text": [(roles.oversight if roles else None) or MISSING]},
        {"head": "2　目的（テーマ）", "columns": ["テーマ", "見せ方", "一度に確かめる人数"],
         "rows": [[t.key, t.display_mode, t.capacity] for t in municipality.themes]},
        {"head": "3　人の関わり", "text": ["点数は順位と理由を示すだけで、支援の要否は人が決める。情報が足りないときは判定不能と示す。"]},
        {"head": "4　異議・問合せ", "text": [(municipality.governance.contact if municipality.governance else None) or MISSING]},
        {"head": "5　データ", "text": ["、".join(load_catalog().sources[c.source].label_ja for c in municipality.sources)]},
        {"head": "6　モデル", "columns": ["テーマ", "モデル", "版", "承認者"],
         "rows": [[a.theme, a.model_name, a.version, a.by] for a in approvals] or [["すべて", "判定基準だけで判定", "", ""]]},
        {"head": "7　評価", "text": ["評価の指標はモデルごとの記録（モデルカード）にある。承認は下限を満たすかを確かめて人が行う。"]},
        {"head": "8　リスクと対策", "text": ["見落とし、取違え、偏り。PIAに記載する。"]},
        {"head": "9　動いているものとの一致", "text": [f"公開版：{snapshot.version if snapshot else 'なし'}", f"照合値（SHA-256）：{digest}"]},
    ]  # fmt: skip


PAPERS = {
    "notice": ("お知らせ", notice),
    "pia": ("個人情報保護評価（PIA）", pia),
    "algorithm": ("アルゴリズムの公開記録", algorithm),
}


def evidence_pack(code: str, day: dt.date) -> list[dict[str, Any]]:
    """Everything for the council (審議会) in one paper."""
    register = file_register(code, day)
    blocks: list[dict[str, Any]] = []
    for title, made in PAPERS.values():
        blocks += [{"head": f"【{title}】", "text": []}, *made(code, day)]
    for entry in register:
        blocks.append(
            {
                "head": f"【個人情報ファイル簿】{entry[REGISTER_FIELDS[0]]}",
                "columns": ["事項", "内容"],
                "rows": [list(x) for x in entry.items()],
            }
        )
    sheets = purpose_sheets(code, day)
    blocks.append(
        {"head": "【利用目的の特定】", "columns": ["情報項目", "利用目的", "必要性", "根拠", "状態"],
         "rows": [[s["情報項目"], s["利用目的"], s["必要性"], s["法的根拠"], s["状態"]] for s in sheets]}
    )  # fmt: skip
    return blocks


def write(code: str, act: Act, day: dt.date, folder: Path | None = None) -> list[Path]:
    """All papers of a municipality as PDF and CSV; which they are and their hashes go to the audit log."""
    municipality = load_municipality(code)
    folder = folder or get_settings().reports / code / "governance"
    folder.mkdir(parents=True, exist_ok=True)
    register = file_register(code, day)
    blocks = [
        {"head": e[REGISTER_FIELDS[0]], "columns": ["事項", "内容"], "rows": [list(x) for x in e.items()]}
        for e in register
    ]
    contents = {
        "purpose_sheets.csv": to_csv(purpose_sheets(code, day)),
        "file_register.csv": to_csv(register),
        "file_register.pdf": pdf(f"個人情報ファイル簿　{municipality.name_ja}", day.isoformat(), blocks),
        "evidence_pack.pdf": pdf(f"審議会資料　{municipality.name_ja}", day.isoformat(), evidence_pack(code, day)),
        **{f"{name}.pdf": pdf(f"{title}　{municipality.name_ja}", day.isoformat(), made(code, day)) for name, (title, made) in PAPERS.items()},
    }  # fmt: skip
    files = []
    for name, content in contents.items():
        path = folder / name
        path.write_bytes(content)
        files.append(path)
    detail = ", ".join(
        f"{name} {hashlib.sha256(content).hexdigest()[:16]}" for name, content in sorted(contents.items())
    )
    operations.audit(act, "papers made", day.isoformat(), municipality=code, detail=detail)
    return files
