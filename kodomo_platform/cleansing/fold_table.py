"""Builds ``fold_table.tsv``, the one-hop fold of kanji to the level-1 kanji of the same name. Not used at run time.

Run ``python -m kodomo_platform.cleansing.fold_table`` after a change of ``variants.yaml`` or of the packaged tables; a
test says when the file is stale. A kanji is folded if it is not itself level 1 of JIS X 0208 and

1. ``variants.yaml`` says so (overrides the rest, may name a level-1 kanji as its source), or
2. the MJ shrink tables (jntajis: all four schemes) give exactly one level-1 kanji, or
3. ja-itaiji, one hop, gives exactly one level-1 kanji, the kanji is outside JIS X 0208 (what every system can write is
   written on purpose), and no surname or given name of the name list uses it: its groups hold loan characters
   (晨/辰, 栞/刊, 煌/皇) that parents choose between.

A pair that ``variants.yaml`` calls near is not folded: its second kanji stands in the table with the first and the word
``near``, for comparison alone.

Addresses fold more, because a place has one official spelling: near pairs, the pairs that ``variants.yaml`` lists for
places, and a kanji that no place of the postal data is written with if ja-itaiji, one hop, gives one that is (the most
frequent). These stand in the table with the word ``place``.

Never a closure: chains of look-alikes merge 吉田 with 吉岡. Source of the tables: 縮退マップ of 文字情報基盤 (CC BY-SA /
CC BY), 国税庁 JIS 縮退マップ, ja-itaiji (MIT), japanese-personal-name-dataset (MIT).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kodomo_platform.cleansing.characters import NEAR, PLACE

HERE = Path(__file__).parent
TABLE = HERE / "fold_table.tsv"
VARIANTS = HERE / "variants.yaml"

_ALL_SCHEMES = 15
_RANGES = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF))


def level_1_kanji() -> frozenset[str]:
    """The 2,965 kanji of JIS X 0208 rows 16 to 47."""
    found = set()
    for row in range(16, 48):
        for cell in range(1, 95):
            try:
                found.add(bytes((0xA0 + row, 0xA0 + cell)).decode("euc_jp"))
            except UnicodeDecodeError:
                continue
    return frozenset(found)


@dataclass(frozen=True)
class Variants:
    """``variants.yaml``: hand-kept folds (from → to), near pairs (the second → the first, which stands for both), pairs
    that are one in addresses (the second → the first), and all pairs that the fold must keep apart."""

    fold: dict[str, str]
    near: dict[str, str]
    place: dict[str, str]
    apart: frozenset[frozenset[str]]


def read_variants() -> Variants:
    from ruamel.yaml import YAML

    content: dict[str, list[dict[str, Any]]] = YAML(typ="safe").load(VARIANTS.read_text(encoding="utf-8"))
    return Variants(
        fold={entry["from"]: entry["to"] for entry in content["fold"]},
        near={entry["pair"][1]: entry["pair"][0] for entry in content["near"]},
        place={entry["pair"][1]: entry["pair"][0] for entry in content["place"]},
        apart=frozenset(frozenset(entry["pair"]) for entry in [*content["near"], *content["apart"]]),
    )


def build() -> dict[str, tuple[str, str]]:
    """Kanji → (level-1 kanji, where it is from), near kanji → (the one that stands for both, ``near``), and kanji that are
    another in addresses alone → (that one, ``place``)."""
    from ja_itaiji import Itaiji
    from japanese_personal_name_dataset import load_dataset
    from jntajis import mj_shrink_candidates

    level_1 = level_1_kanji()
    variants = read_variants()
    by_hand, apart = variants.fold, variants.apart
    borne = _characters(load_dataset(kind="org", include_last_names=True))
    table: dict[str, tuple[str, str]] = {}
    for first, last in _RANGES:
        for kanji in map(chr, range(first, last + 1)):
            if kanji in by_hand:
                table[kanji] = (by_hand[kanji], "hand")
                continue
            if kanji in level_1 or unicodedata.normalize("NFKC", kanji) != kanji:
                continue
            for origin, found in (
                ("mj", mj_shrink_candidates(kanji, _ALL_SCHEMES)),
                ("itaiji", Itaiji.get_family(kanji)),
            ):
                targets = {other for other in found if other in level_1}
                if len(targets) != 1:
                    continue
                (target,) = targets
                if target in by_hand:
                    # a name variant of a name variant: one hop is enough, and it is not ours to choose which
                    continue
                if frozenset((kanji, target)) in apart:
                    break
                if origin == "itaiji" and (kanji in borne or _in_jis_x_0208(kanji)):
                    break
                table[kanji] = (target, origin)
                break
    folds = {kanji: target for kanji, (target, _) in table.items()}
    return (
        table
        | {kanji: (target, NEAR) for kanji, target in variants.near.items()}
        | {kanji: (target, PLACE) for kanji, target in _places(folds | variants.near | variants.place).items()}
        | {kanji: (target, PLACE) for kanji, target in variants.place.items()}
    )


def _places(folds: dict[str, str]) -> dict[str, str]:
    """Kanji that no place is written with → the variant of it that most places are written with."""
    from collections import Counter

    from ja_itaiji import Itaiji

    from kodomo_platform.cleansing.characters import in_one_width
    from kodomo_platform.cleansing.towns import postal_rows

    used = Counter(
        folds.get(character, character)
        for _, city, towns in postal_rows()
        for name in (city, *towns)
        for character in in_one_width(name)
    )
    places = {}
    for first, last in _RANGES:
        for kanji in map(chr, range(first, last + 1)):
            if kanji in folds or kanji in used or unicodedata.normalize("NFKC", kanji) != kanji:
                continue
            variants = {folds.get(other, other) for other in Itaiji.get_family(kanji)} & set(used)
            if variants:
                places[kanji] = max(variants, key=lambda other: (used[other], other))
    return places


def _in_jis_x_0208(kanji: str) -> bool:
    try:
        return len(kanji.encode("euc_jp")) == 2
    except UnicodeEncodeError:
        return False


def _characters(names: Any) -> frozenset[str]:
    """Every character of a nested structure of names."""
    if isinstance(names, str):
        return frozenset(names)
    parts = (
        [*names.keys(), *names.values()]
        if isinstance(names, dict)
        else names
        if isinstance(names, list | tuple)
        else ()
    )
    return frozenset().union(*(_characters(part) for part in parts))


def render(table: dict[str, tuple[str, str]]) -> str:
    lines = [f"{kanji}\t{target}\t{origin}" for kanji, (target, origin) in sorted(table.items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    TABLE.write_text(render(build()), encoding="utf-8")


if __name__ == "__main__":
    main()
