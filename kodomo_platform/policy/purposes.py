"""Which uses a stated purpose covers, and the one table of reads: what each use of data here asks of an item's purpose.

Act on the Protection of Personal Information, arts. 61 and 69(1): held and used within the specified purpose.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kodomo_platform.catalog import Item, load_catalog
from kodomo_platform.errors import PolicyError

if TYPE_CHECKING:
    from kodomo_platform.municipalities.models import Municipality

FILE = Path(__file__).with_name("purposes.yaml")


class Use(StrEnum):
    """What is done with an item. Every read of personal data in this platform is one of these."""

    LINKAGE = "linkage"
    SCORING = "scoring"
    TRAINING = "training"
    EVALUATION = "evaluation"
    FORM = "form"
    PAGE = "page"
    EXPORT = "export"
    DISCLOSURE = "disclosure"


# The policy table: a use is allowed where the item's purpose covers one of these. `disclosure` answers the person
# themselves (art. 76), who may have all that is held, whatever it was collected for. `export` leaves the body and rests
# on nothing but what the export's own record says, so no purpose of collection covers it by itself.
NEEDS: dict[Use, frozenset[str] | None] = {
    Use.LINKAGE: frozenset({"linking", "consenting"}),
    Use.SCORING: frozenset({"finding"}),
    Use.TRAINING: frozenset({"finding", "evaluating"}),
    Use.EVALUATION: frozenset({"evaluating", "finding"}),
    Use.FORM: frozenset({"supporting"}),
    Use.PAGE: frozenset({"supporting"}),
    Use.EXPORT: frozenset({"statistics"}),
    Use.DISCLOSURE: None,
}


@lru_cache(maxsize=1)
def _register() -> dict[str, frozenset[str]]:
    from ruamel.yaml import YAML

    data = YAML(typ="safe").load(FILE.read_text(encoding="utf-8"))
    return {_folded(text): frozenset(uses) for text, uses in data["purposes"].items()}


def _folded(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())


def covered(item: Item, municipality: Municipality | None = None) -> frozenset[str]:
    """What the item's stated purpose covers; empty for a purpose that nobody registered (it covers nothing)."""
    text = item.purpose
    register = _register()
    governance = municipality.governance if municipality is not None else None
    if governance is not None:
        own = governance.of(item.key)
        text = own.purpose or text
        register = register | {_folded(name): frozenset(uses) for name, uses in governance.purposes.items()}
    return register.get(_folded(text), frozenset())


def allowed(item: Item, use: Use, municipality: Municipality | None = None, *, theme: str | None = None) -> bool:
    """Whether the item may be read for this use (and, where the town limits it, for this theme)."""
    needs = NEEDS[use]
    if needs is None:
        return True
    governance = municipality.governance if municipality is not None else None
    themes = None if governance is None else governance.of(item.key).themes
    if theme is not None and themes is not None and theme not in themes:
        return False
    return bool(needs & covered(item, municipality))


def refused(
    items: Collection[str], use: Use, municipality: Municipality | None = None, *, theme: str | None = None
) -> list[str]:
    """Those of ``items`` (full keys) that may not be read for this use; an item without a catalogue entry always is."""
    known = load_catalog().items
    return sorted(key for key in items if key not in known or not allowed(known[key], use, municipality, theme=theme))


def require(items: Collection[str], use: Use, municipality: Municipality | None = None) -> None:
    """Refuse a read unless every item's purpose covers it.

    Raises:
        PolicyError: naming the items.
    """
    if wrong := refused(items, use, municipality):
        raise PolicyError(
            f"the purpose of these items does not cover this use ({use.value}): {', '.join(wrong[:20])}",
            expected="items whose purpose of use covers it",
            action="leave them out, or have their purpose sheet changed by the overseer",
        )
