"""The shapes of the catalogue. Reading them from files belongs to `loading`.

The fields of an item are those that the Digital Agency's guideline asks to be recorded (chapters 3 and 5 of the report
of 2022-12-20), plus what the platform needs to read the value.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]

Domain = Literal["resident", "education", "childcare", "welfare", "health", "medical", "survey", "consent"]
IdSystem = Literal["resident", "school", "childcare", "consultation", "case", "hospital"]
ItemType = Literal[
    "id", "name", "kana", "address", "postal", "phone", "date", "month", "int", "decimal", "code", "text"
]
Sensitivity = Literal["special_care", "sensitive", "ordinary"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class CodeLabel(_Frozen):
    """What one code of a code list means."""

    ja: Text
    en: Text
    covers: list[Domain] = Field(
        default_factory=list, description="Of a scope of consent: the domains whose records it opens."
    )


class Evidence(_Frozen):
    """Why the item is thought to say something about a child's need (guideline chapter 3)."""

    kind: Literal["guide", "statistics", "earlier_project", "paper", "expert", "law"]
    citation: Text = Field(description="A public source, so that a reader can find it.")


class Retention(_Frozen):
    """How long the item is kept, by the report's five classes of data."""

    data_class: Literal[1, 2, 3, 4, 5] = Field(
        description="1 outreach, 2 logs, 3 analysis with personal information, 4 analysis without, 5 models and results"
    )
    years: int = Field(ge=0, le=30)


class BeyondPurpose(_Frozen):
    """Use beyond the purpose of collection (Act on the Protection of Personal Information, art. 69(2))."""

    ground: Literal["i", "ii", "iii", "iv"] = Field(
        description="i consent, ii own duties, iii other bodies, iv statistics, research or clear benefit"
    )
    reasoning: Text
    period: Text
    approver: Text


class Item(_Frozen):
    """One data item and its whole legal record."""

    key: Text = Field(description="<domain>.<source>.<item>")
    source: Text = Field(description="<domain>.<source>")
    name: Name
    label_ja: Text
    label_en: Text
    type: ItemType
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    may_lie_ahead: bool = Field(
        default=False, description="A date that may lie after the extract by its nature (the end of a certificate)."
    )
    codes: dict[str, CodeLabel] | None = None
    uncertain: bool = Field(default=False, description="A register date that may be known to the month or year alone.")
    blank_means: Literal["blank", "not_applicable"] = "blank"
    identifier: bool = Field(description="Points at a person by itself (name, number, address, phone).")
    sensitivity: Sensitivity
    evidence: list[Evidence] = Field(min_length=1)
    handler: Text = Field(description="Who handles the item in the project (the report's four roles).")
    holder: Text = Field(description="The office that holds it.")
    obtained: Text = Field(description="How the holder obtains it.")
    medium: Literal["electronic", "paper", "both"]
    handling: Text = Field(description="How it is handled here.")
    purpose: Text
    necessity: Text
    legal_basis: Text
    beyond_purpose: BeyondPurpose | None = Field(
        description="Null where the use lies inside the purpose of collection."
    )
    safety_measures: Text
    notice: Text = Field(description="How residents are told.")
    retention: Retention
    consent_needed: bool
    lookback_months: int | None = Field(
        ge=1, le=240, description="Older events are not looked at; null: current state."
    )
    banned_as_input: bool = Field(description="Never an input of a score (it may still link, label or be shown).")


class Source(_Frozen):
    """One source system's extract, as every municipality shares it."""

    key: Text
    domain: Domain
    name: Name
    label_ja: Text
    label_en: Text
    id_system: IdSystem
    record_key: Name
    is_identity: bool
    natural_key: list[Name]
    event_date: Name | None
    sees_ages: tuple[int, int] | None = Field(
        default=None,
        description="Ages, both included, at which every child is seen by this source as a rule; null: only whom something befalls.",
    )
    extract_kind: Literal["full", "delta"]
    years_back: int | None = Field(
        default=None, ge=1, le=130, description="Nothing in the source is older than this, in years before its extract."
    )
    unreadable_percent: float = Field(
        default=5.0,
        ge=0,
        lt=100,
        description="Share of rows whose key or event date cannot be read above which the delivery is stopped.",
    )
    unknown_percent: float = Field(
        default=2.0,
        ge=0,
        lt=100,
        description="Share of rows without a readable number above which nothing found is unknown, not zero, for all "
        "children of the source: below it such a row is missing to fewer than one child in fifty, and is asked about.",
    )
    unreadable_why: Text = Field(
        default="single slips of the key stay below one row in twenty in every office; above it a column was exported or "
        "saved in another form, and what is left would be read as if nothing had happened",
        description="Why the limit is where it is; shown with the check.",
    )
    items: list[Item]

    @cached_property
    def by_name(self) -> dict[str, Item]:
        """Items by their bare name."""
        return {item.name: item for item in self.items}

    @property
    def raw_table(self) -> str:
        """``raw_<domain>__<source>``, without the schema."""
        return f"raw_{self.domain}__{self.name}"

    @property
    def staging_table(self) -> str:
        """``stg_<domain>__<source>``, without the schema."""
        return f"stg_{self.domain}__{self.name}"


class Catalog(_Frozen):
    """All sources and items, in the order of their files."""

    sources: dict[str, Source]

    @cached_property
    def items(self) -> dict[str, Item]:
        """Items by their full key."""
        return {item.key: item for source in self.sources.values() for item in source.items}
