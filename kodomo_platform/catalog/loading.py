"""Read the catalogue from ``sources/*.yaml`` and refuse it unless it holds together.

One file per domain. A source has ``defaults`` that its items inherit; an item's own field wins. Whether a *use* of an
item is allowed at run time does not belong here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from kodomo_platform.catalog.models import Catalog, Domain, Item, ItemType, Source
from kodomo_platform.errors import CatalogError, Fault
from kodomo_platform.located_yaml import LocatedYaml, Path_, read_yaml

DIRECTORY = Path(__file__).parent / "sources"

_SOURCE_FIELDS = frozenset(
    {
        "label_ja",
        "label_en",
        "id_system",
        "record_key",
        "is_identity",
        "natural_key",
        "event_date",
        "sees_ages",
        "extract_kind",
        "years_back",
        "unreadable_percent",
        "unreadable_why",
        "unknown_percent",
        "defaults",
        "items",
    }
)
_NOT_INHERITED = frozenset({"key", "source", "name", "label_ja", "label_en", "type", "codes", "may_lie_ahead"})
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")

# Never held, whatever the reason (DOMAIN.md; the Act on the use of My Number, art. 9, allows no use as a key here).
BANNED_WORDS = {
    "nationality": "nationality",
    "citizenship": "nationality",
    "国籍": "nationality",
    "在留資格": "nationality",
    "residence_status": "nationality",
    "ethnic": "ethnicity",
    "race": "ethnicity",
    "民族": "ethnicity",
    "人種": "ethnicity",
    "出自": "ethnicity",
    "religio": "religion",
    "creed": "religion",
    "宗教": "religion",
    "信仰": "religion",
    "信条": "religion",
    "my_number": "My Number",
    "mynumber": "My Number",
    "individual_number": "My Number",
    "個人番号": "My Number",
    "マイナンバー": "My Number",
    "appearance": "appearance",
    "容姿": "appearance",
    "外見": "appearance",
    "free_text": "free text",
    "freetext": "free text",
    "remarks": "free text",
    "自由記述": "free text",
    "備考": "free text",
    "sentiment": "sentiment mined from text",
}


def banned_kind(*texts: str) -> str | None:
    """What never-held kind of data the texts (a name, its labels) point at, or None."""
    for text in texts:
        folded = re.sub(r"[\s\-]+", "_", text.lower())
        for word, kind in BANNED_WORDS.items():
            # "race" must not be found in "trace": a Latin word counts from the beginning of a name part on
            found = re.search(rf"(^|_){word}", folded) if word.isascii() else word in folded
            if found:
                return kind
    return None


def load_catalog() -> Catalog:
    """The shipped catalogue (read once per process). Raises `CatalogError` listing every fault with file and line."""
    return load_catalog_from(DIRECTORY)


@lru_cache(maxsize=4)
def load_catalog_from(directory: Path) -> Catalog:
    """The catalogue in ``directory``; see `load_catalog`."""
    files = sorted(directory.glob("*.yaml"))
    if not files:
        raise CatalogError("no catalogue files", where=str(directory), expected="one <domain>.yaml per domain")
    faults: list[Fault] = []
    sources: dict[str, Source] = {}
    seen: dict[str, str] = {}
    for file in files:
        located = read_yaml(file)
        faults += located.faults
        if located.faults:
            continue
        _read_domain(located, sources, seen, faults)
    if faults:
        shown = sorted(faults, key=lambda fault: (str(fault.file), fault.line or 0))
        raise CatalogError(
            f"the catalogue has {len(faults)} fault(s)\n" + "\n".join(f"  {fault}" for fault in shown[:200]),
            expected="every item with its whole legal record",
            action="mend the lines named above",
        )
    order = {domain: number for number, domain in enumerate(get_args(Domain))}
    ranked = sorted(sources.values(), key=lambda source: order[source.domain])
    return Catalog.model_construct(sources={source.key: source for source in ranked})


def _read_domain(located: LocatedYaml, sources: dict[str, Source], labels: dict[str, str], faults: list[Fault]) -> None:
    data = located.data
    if not isinstance(data, dict) or not isinstance(data.get("sources"), dict):
        faults.append(located.fault((), "expected `domain` and a mapping `sources`"))
        return
    for field in data.keys() - {"domain", "sources"}:
        faults.append(located.fault((field,), "unknown field; expected `domain` and `sources`"))
    domain = data.get("domain")
    if domain not in get_args(Domain):
        faults.append(located.fault(("domain",), f"unknown domain; expected one of {', '.join(get_args(Domain))}"))
        return
    for name, raw in data["sources"].items():
        path: Path_ = ("sources", name)
        key = f"{domain}.{name}"
        if key in sources:
            faults.append(located.fault(path, f"the source '{key}' stands in two files"))
            continue
        before = len(faults)
        source = _read_source(located, path, str(domain), name, raw, faults)
        if source is None or len(faults) > before:
            continue
        label = f"source {source.label_ja}"
        if label in labels:
            faults.append(located.fault(path, f"the label '{source.label_ja}' is also that of '{labels[label]}'"))
        labels[label] = key
        sources[key] = source


def _read_source(
    located: LocatedYaml, path: Path_, domain: str, name: str, raw: Any, faults: list[Fault]
) -> Source | None:
    if not _NAME.fullmatch(name):
        faults.append(located.fault(path, "a source's name is lower case letters, digits and _"))
    if not isinstance(raw, dict) or not isinstance(raw.get("items"), dict) or not raw["items"]:
        faults.append(located.fault(path, "expected a mapping with `items`"))
        return None
    for field in raw.keys() - _SOURCE_FIELDS:
        faults.append(located.fault((*path, field), f"unknown field; expected {', '.join(sorted(_SOURCE_FIELDS))}"))
    defaults = raw.get("defaults") or {}
    if not isinstance(defaults, dict):
        faults.append(located.fault((*path, "defaults"), "expected a mapping"))
        defaults = {}
    for field in defaults.keys() & _NOT_INHERITED:
        faults.append(located.fault((*path, "defaults", field), "cannot be a default; it belongs to one item"))
    items: list[Item] = []
    labels: dict[str, str] = {}
    for item_name, own in raw["items"].items():
        item = _read_item(located, (*path, "items", item_name), f"{domain}.{name}", item_name, own, defaults, faults)
        if item is None:
            continue
        for label in (item.label_ja, item.label_en):
            if label in labels:
                faults.append(
                    located.fault((*path, "items", item_name), f"the label '{label}' is also that of '{labels[label]}'")
                )
            labels[label] = item_name
        items.append(item)
    fields = {
        "extract_kind": "full",
        "event_date": None,
        "is_identity": False,
        **{field: raw[field] for field in raw.keys() & (_SOURCE_FIELDS - {"defaults", "items"})},
    }
    try:
        source = Source.model_validate(
            {**fields, "key": f"{domain}.{name}", "domain": domain, "name": name, "items": items}
        )
    except ValidationError as error:
        faults += _faults_of(located, path, error)
        return None
    faults += _reference_faults(located, path, source, set(raw["items"]))
    return source


def _reference_faults(located: LocatedYaml, path: Path_, source: Source, names: set[str]) -> list[Fault]:
    faults: list[Fault] = []
    references: list[tuple[str, str]] = [("record_key", source.record_key)]
    references += [("natural_key", name) for name in source.natural_key]
    if source.event_date is not None:
        references.append(("event_date", source.event_date))
    for field, name in references:
        if name not in names:
            faults.append(located.fault((*path, field), f"'{name}' is not an item of {source.key}"))
    if source.record_key not in source.natural_key:
        faults.append(located.fault((*path, "natural_key"), "must contain the record key"))
    event = source.by_name.get(source.event_date or "")
    if event is not None and event.type not in ("date", "month"):
        faults.append(located.fault((*path, "event_date"), f"'{event.name}' is neither a date nor a month"))
    return faults


def _read_item(
    located: LocatedYaml,
    path: Path_,
    source: str,
    name: str,
    own: Any,
    defaults: dict[str, Any],
    faults: list[Fault],
) -> Item | None:
    if not isinstance(own, dict):
        faults.append(located.fault(path, "expected a mapping"))
        return None
    labels = [str(own.get(label, "")) for label in ("label_ja", "label_en")]
    kind = banned_kind(name, *labels)
    if kind is not None:
        faults.append(located.fault(path, f"{kind} is never held (see DOMAIN: never an input); remove the item"))
        return None
    own = _known_codes(located, path, own, faults)
    fields = {**defaults, **own}
    try:
        item = Item.model_validate({**fields, "key": f"{source}.{name}", "source": source, "name": name})
    except ValidationError as error:
        faults += _faults_of(located, path, error)
        return None
    if (item.type == "code") != (item.codes is not None):
        faults.append(located.fault(path, "an item of type code has `codes`, and no other item has"))
    if item.minimum is not None and item.maximum is not None and item.minimum > item.maximum:
        faults.append(located.fault((*path, "minimum"), "is above `maximum`"))
    if item.may_lie_ahead and item.type != "date":
        faults.append(located.fault((*path, "may_lie_ahead"), "belongs to a date alone"))
    if item.beyond_purpose is not None and item.beyond_purpose.ground == "i" and not item.consent_needed:
        faults.append(located.fault((*path, "consent_needed"), "ground i is consent, so consent is needed"))
    return item


def _known_codes(located: LocatedYaml, path: Path_, own: dict[str, Any], faults: list[Fault]) -> dict[str, Any]:
    """``own``, its codes checked for well-formed keys and double labels."""
    codes = own.get("codes")
    if not isinstance(codes, dict):
        return own
    seen: dict[str, str] = {}
    for code, label in codes.items():
        if not re.fullmatch(r"[a-z0-9][a-z0-9_]{0,39}", code):
            faults.append(located.fault((*path, "codes", code), "a code is lower case letters, digits and _"))
        text = label.get("ja") if isinstance(label, dict) else None
        if isinstance(text, str) and text in seen:
            faults.append(located.fault((*path, "codes", code), f"the label '{text}' is also that of '{seen[text]}'"))
        seen[str(text)] = code
    return own


def _faults_of(located: LocatedYaml, path: Path_, error: ValidationError) -> list[Fault]:
    faults = []
    for problem in error.errors(include_url=False, include_input=False):
        field = ".".join(str(step) for step in problem["loc"])
        if problem["type"] == "missing":
            message = f"the field `{field}` is missing (neither the item nor its source's defaults give it)"
        elif problem["type"] == "extra_forbidden":
            message = f"unknown field `{field}`"
        elif problem["loc"][:1] == ("type",):
            message = f"unknown type; expected one of {', '.join(get_args(ItemType))}"
        else:
            message = f"`{field}`: {problem['msg']}"
        faults.append(located.fault((*path, *problem["loc"]), message))
    return faults
