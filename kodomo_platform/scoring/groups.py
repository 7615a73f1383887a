"""The groups of children between which a model is compared: sex, kind of household, age band, area.

Used by training on its test rows and by the check of fresh outcomes, so that both speak of the same groups. None of it is a
feature here. Measuring a group, and hiding one that is too small, is `evaluation`.
"""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np

from kodomo_platform.scoring.additive import Floats
from kodomo_platform.scoring.candidates import Ints
from kodomo_platform.scoring.evaluation import SMALL, Group, Labels
from kodomo_platform.warehouse import table_exists

KINDS = {"sex": "性別", "household": "世帯", "age": "年齢", "area": "地域（郵便番号）", "absence": "資料の欠け方"}
NAMES = {
    "male": "男",
    "female": "女",
    "unknown": "不明",
    "single parent": "ひとり親",
    "several siblings": "きょうだい3人以上",
    "other": "その他",
    "elsewhere": "その他の地域",
    "0-5": "0～5歳",
    "6-11": "6～11歳",
    "12-14": "12～14歳",
    "15-18": "15～18歳",
    "more sources absent": "欠けた資料が多い",
    "fewer sources absent": "欠けた資料が少ない",
}


def group_name(row: Group) -> str:
    """A group in Japanese, e.g. 性別：女."""
    return f"{KINDS.get(row.kind, row.kind)}：{NAMES.get(row.name, row.name)}"


def kinds(sex: Any, age: Floats, single: Floats, siblings: Floats) -> dict[str, Labels]:
    """Group of each row by kind of group. ``age`` in years, ``single`` 1 for a single parent's child, NaN = unknown."""
    return {
        "sex": np.ma.filled(np.ma.asarray(sex), "unknown").astype(str),
        "household": np.select(
            [single > 0, siblings >= 2, np.isnan(single)], ["single parent", "several siblings", "unknown"], "other"
        ),
        "age": np.select([np.isnan(age), age < 6, age < 12, age < 15], ["unknown", "0-5", "6-11", "12-14"], "15-18"),
    }


def postal_towns(con: duckdb.DuckDBPyConnection, child: Labels) -> Labels:
    """Seven digits of each row's postal town, "" where unknown or where the address is protected (支援措置)."""
    known: dict[str, str] = {}
    if table_exists(con, "marts.mart_child"):
        known = dict(
            con.execute(
                "select child_id, postal_code from marts.mart_child "
                "where regexp_full_match(postal_code, '[0-9]{7}') and protection_measure = 'none'"
            ).fetchall()
        )
    return np.array([known.get(str(who), "") for who in child], dtype=object)


def areas(postal: Labels, y: Ints) -> Labels:
    """The area of each row, as coarse as it must be: a postal town, or several by their first digits, so that at least
    ten outcomes stand behind it. ``postal`` holds seven digits, or "" where the address is unknown or protected.
    """
    out = np.where(postal == "", "unknown", "elsewhere").astype(object)
    for digits, width in ((7, ""), (5, "**"), (3, "****")):
        open_ = out == "elsewhere"
        prefix = np.array([text[:digits] for text in postal], dtype=object)
        for name in sorted(set(prefix[open_].tolist())):
            inside = open_ & (prefix == name)
            if y[inside].sum() >= SMALL:
                out[inside] = f"{name[:3]}-{name[3:]}{width}"
    return out.astype(str)
