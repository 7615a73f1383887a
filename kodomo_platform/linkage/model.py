"""The linkage model: how much each level of evidence weighs, and from where on a pair counts as linked.

The weights are a small JSON file (shipped in ``linkage/model/``, retrainable); the conditions they belong to stand in
`evidence`. A file that was altered or belongs to another set of comparisons is refused.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kodomo_platform.errors import LinkageError
from kodomo_platform.linkage.evidence import PAIR_COLUMNS, Comparison, comparisons, suffixed
from kodomo_platform.linkage.preparation import BLOCKS
from kodomo_platform.linkage.probability import GlassBox, read_glass_box

FORMAT = "kodomo-linkage-model/2"
SHIPPED = Path(__file__).parent / "model" / "shipped.json"
# rare values must not prove more than this: a name that stands once in a small town is not unique in the world
TERM_FREQUENCY_FLOOR = 0.0002
# comparison level -> column whose frequency says how telling an agreement is
TERM_FREQUENCIES = {
    ("given_name", 8): "given_match",
    ("given_name", 7): "given_match",
    ("given_name", 6): "given_kana_match",
    ("given_name", 5): "given_match",
    ("given_name", 4): "given_match",
    ("given_name", 3): "given_match",
    ("given_name", 2): "given_kana_match",
    ("birth_date", 3): "birth_date",
    ("household", 5): "surname_key",
    ("household", 2): "surname_key",
    # of two near surnames the more frequent: what both together would be is at most one bit more
    ("household", 1): "surname_key",
}
# column -> the levels at which strangers agree in it: together they say how frequent a value is on average
TERM_COLUMNS = {
    "given_match": (("given_name", "both"),),
    "given_kana_match": (("given_name", "both"), ("given_name", "kana_alone")),
    "birth_date": (("birth_date", "equal"),),
    "surname_key": (("household", "surname_alone"), ("household", "surname_only")),
}


@dataclass(frozen=True)
class LinkageModel:
    """Weights and thresholds.

    Attributes:
        weights: comparison name -> level name -> (m, u): how often the level is seen among true pairs and among others.
        match: probability from which a pair is linked.
        review: probability from which a pair is shown to a person.
        margin_bits: how far the best link must be ahead of the second best, in bits.
    """

    version: str
    match: float
    review: float
    margin_bits: float
    weights: dict[str, dict[str, tuple[float, float]]]
    training: dict[str, Any]
    sha256: str
    text: str = field(repr=False, default="")
    # calibrated probabilities; None where the file holds none (the shipped file's serve then)
    glass_box: GlassBox | None = field(repr=False, default=None, compare=False)

    def usual_frequency(self, column: str) -> float:
        """How often two strangers agree in a column with term frequencies."""
        return sum(self.weights[comparison][level][1] for comparison, level in TERM_COLUMNS[column])

    def pair(self, comparison: Comparison, level_name: str) -> tuple[float, float]:
        return self.weights[comparison.name][level_name]


def _digest(content: dict[str, Any]) -> str:
    kept = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _written(content: dict[str, Any]) -> str:
    """Indented, but the long tables of numbers on a line each."""
    tables = content.get("probability", {}).get("terms", [])
    short = content | ({"probability": content["probability"] | {"terms": ["@"]}} if tables else {})
    lines = ",\n      ".join(json.dumps(term, ensure_ascii=False, separators=(",", ":")) for term in tables)
    return json.dumps(short, indent=2, ensure_ascii=False).replace('"@"', lines) + "\n"


def write_model(path: Path, content: dict[str, Any]) -> LinkageModel:
    """Write a model file with its own hash and read it back."""
    content = {"format": FORMAT, **content}
    content["sha256"] = _digest(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_written(content), encoding="utf-8")
    return load_model(path)


def load_model(path: Path = SHIPPED) -> LinkageModel:
    """Read a model file.

    Raises:
        LinkageError: not readable, of another version, altered, or not of these comparisons.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise LinkageError("the linkage model cannot be read", where=str(path), action="restore the file") from error
    return parse_model(text, str(path))


def parse_model(text: str, where: str) -> LinkageModel:
    """The model that ``text`` describes; ``where`` it was found is said in errors, which are those of `load_model`."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise LinkageError("the linkage model cannot be read", where=where, action="restore the file") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise LinkageError(
            "the linkage model is of another version",
            where=where,
            expected=FORMAT,
            action="train again: `kodomo linkage train`",
        )
    if content.get("sha256") != _digest(content):
        raise LinkageError(
            "the linkage model was altered after training",
            where=where,
            expected="the file as `kodomo linkage train` wrote it",
            action="restore the file or train again",
        )
    given = content.get("weights", {})
    for comparison in comparisons():
        known = given.get(comparison.name, {})
        wanted = {level.name for level in comparison.levels if level.number >= 0}
        if set(known) != wanted:
            raise LinkageError(
                f"the linkage model does not fit the comparison {comparison.name}",
                where=where,
                expected=", ".join(sorted(wanted)),
                action="train again: `kodomo linkage train`",
            )
    try:
        model = LinkageModel(
            version=str(content["version"]),
            match=float(content["match"]),
            review=float(content["review"]),
            margin_bits=float(content["margin_bits"]),
            weights={
                name: {level: (float(m), float(u)) for level, (m, u) in levels.items()}
                for name, levels in given.items()
            },
            training=content.get("training", {}),
            sha256=content["sha256"],
            text=text,
            glass_box=read_glass_box(content["probability"], where) if "probability" in content else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LinkageError("the linkage model lacks a number or holds a wrong one", where=where) from error
    shares = [share for levels in model.weights.values() for pair in levels.values() for share in pair]
    if not (0 < model.review < model.match < 1 and all(0 < share <= 1 for share in shares)):
        raise LinkageError(
            "the linkage model holds an impossible number",
            where=where,
            expected="0 < review < match < 1, and every m and u in (0, 1]",
            action="train again: `kodomo linkage train`",
        )
    return model


def splink_settings(model: LinkageModel, people: int) -> dict[str, Any]:
    """Splink 5 settings for a municipality in which about ``people`` people could be meant."""
    described = []
    for comparison in comparisons(suffixed):
        levels: list[dict[str, Any]] = []
        for level in comparison.levels:
            if level.number < 0:
                levels.append({"sql_condition": level.sql, "label_for_charts": level.name, "is_null_level": True})
                continue
            m, u = model.pair(comparison, level.name)
            entry: dict[str, Any] = {
                "sql_condition": "ELSE" if level.sql == "else" else level.sql,
                "label_for_charts": level.name,
                "m_probability": m,
                "u_probability": u,
            }
            column = TERM_FREQUENCIES.get((comparison.name, level.number))
            if column is not None:
                # a value's frequency is measured against what is usual, whatever else the level says about the pair
                usual = model.usual_frequency(column)
                entry |= {
                    "m_probability": min(1.0, m * usual / u),
                    "u_probability": usual,
                    "tf_adjustment_column": column,
                    "tf_adjustment_weight": 1.0,
                    "tf_minimum_u_value": TERM_FREQUENCY_FLOOR,
                    "disable_tf_exact_match_detection": True,
                }
            levels.append(entry)
        described.append(
            {
                "output_column_name": comparison.name,
                "comparison_description": comparison.label_en,
                "comparison_levels": levels,
            }
        )
    return {
        "link_type": "dedupe_only",
        "unique_id_column_name": "rid",
        "probability_two_random_records_match": 1.0 / people,
        "retain_matching_columns": False,
        "retain_intermediate_calculation_columns": False,
        "additional_columns_to_retain": [],
        "comparisons": described,
        "blocking_rules_to_generate_predictions": [
            # the left side is what is still unlinked; a pair of two unlinked records is met once
            {"blocking_rule": f"l.{block} = r.{block} and (not r.is_left or l.rid < r.rid)", "sql_dialect": "duckdb"}
            for block in BLOCKS
        ],
    }


SPLINK_COLUMNS = (
    "rid",
    "is_left",
    *PAIR_COLUMNS,
    "surname_key",
    *BLOCKS,
)
