"""The shape of a municipality's file. What its words must refer to is checked in `checking`; reading is `loading`.

Every description here ends up in the JSON Schema that an editor completes from.
"""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Text = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]
Token = Annotated[str, StringConstraints(max_length=40)]

Theme = Literal[
    "school_refusal", "young_carer", "family_mind", "hospital_flag", "high_risk", "abuse", "hidden_hardship"
]
Style = Literal["iso", "slash", "compact", "wareki_kanji", "wareki_dot", "wareki_code", "excel_serial"]
Encoding = Literal["cp932", "utf-8", "utf-8-sig", "utf-16"]


Transform = Literal[
    "before_brackets", "in_brackets", "first_part", "other_parts", "digits", "one_width", "before_colon", "behind_colon"
]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class MunicipalityTheme(_Frozen):
    """A theme for which the municipality looks for children who need support."""

    key: Theme
    display_mode: Literal["alert", "ox", "score"] = Field(
        description="How much staff see: an alert, ○× per child, or the score with its reasons."
    )
    capacity: int = Field(ge=1, le=100_000, description="Children that staff can look at in one round.")


class ConsentRule(_Frozen):
    """How consent governs the linking of a child's records."""

    rule: Literal["none", "opt_in", "opt_out"] = Field(
        description="none: by law alone; opt_in: only with a valid consent; opt_out: unless refused."
    )
    source: Text | None = Field(default=None, description="The catalogue source that holds the consents.")
    applies_to: list[Literal["resident", "education", "childcare", "welfare", "health", "medical", "survey"]] = Field(
        default_factory=list,
        description="Domains that the rule covers; empty: all. Where it covers all that is held, the register too.",
    )
    basis: Text | None = Field(default=None, description="Why this rule (law, ordinance, decision).")


class Schedule(_Frozen):
    """When the municipality's run starts by itself."""

    cron: Text = Field(description="Five fields: minute hour day month weekday, e.g. `0 5 * * 1`.")
    timezone: Text = Field(default="Asia/Tokyo", description="IANA name.")


class DateStyle(_Frozen):
    """How the source writes its dates (and months)."""

    style: Style = Field(
        description="iso 2022-12-20, slash 2022/12/20, compact 20221220, wareki_kanji 令和4年12月20日, "
        "wareki_dot R4.12.20, wareki_code 4041220, excel_serial 44915; months likewise without the day."
    )
    era_codes: Literal["jis", "odd"] = Field(
        default="jis", description="First digit of wareki_code: jis 1-5 or odd 1/3/5/7/9 for 明治 大正 昭和 平成 令和."
    )


class Place(_Frozen):
    """Where a column stands: by header name, by position, or (fixed width) by start and width."""

    column: Text | None = Field(default=None, description="The header's text, for files with a header.")
    position: int | None = Field(default=None, ge=1, le=2_000, description="From 1, for files without a header.")
    start: int | None = Field(default=None, ge=1, le=100_000, description="First byte, from 1, for fixed width.")
    width: int | None = Field(default=None, ge=1, le=10_000, description="Bytes (not characters), for fixed width.")

    @property
    def index(self) -> int:
        """``position`` counted from 0."""
        if self.position is None:
            raise ValueError("a column without a position")
        return self.position - 1

    @property
    def byte_slice(self) -> slice:
        """The bytes of a fixed-width column in its record."""
        if self.start is None or self.width is None:
            raise ValueError("a column without start and width")
        return slice(self.start - 1, self.start - 1 + self.width)


class Column(Place):
    """One column of the file and the catalogue item it holds."""

    item: Text = Field(description="The item's bare name in the catalogue.")
    columns: list[Text] | None = Field(
        default=None, min_length=1, max_length=40, description="Several columns for one item; see `take`."
    )
    take: Literal["joined", "joined_with_blank", "first", "date_parts"] | None = Field(
        default=None,
        description="What is made of several columns: their texts one behind the other (with a blank between them), the "
        "first that is not blank, or a date of year, month and day.",
    )
    constant: Text | None = Field(default=None, description="The same value in every record; no column.")
    from_file_name: Text | None = Field(
        default=None,
        description="The value is what stands for {} in the file's name, e.g. `NAMES_{}_*.csv`; no column.",
    )
    transform: list[Transform] = Field(
        default_factory=list, max_length=5, description="Named changes of the text, one after the other."
    )
    values: dict[Token, Token] = Field(
        default_factory=dict, description="Texts as the system writes them to the value meant: 小１: '1'. Others stay."
    )
    add: int = Field(default=0, ge=-1_000, le=1_000, description="Added to whole numbers: 6 makes 7 of 中 1.")
    unit: Text | None = Field(default=None, description="A unit behind the number, taken off: cm.")
    decimal_comma: bool = Field(default=False, description="12,5 is twelve and a half.")
    unknown_flag: Text | None = Field(
        default=None, description="Column that says, with anything but blank or 0, that the date is uncertain."
    )
    unknown_text: Text | None = Field(default=None, description="Column with the uncertain date in words.")
    date_style: DateStyle | None = Field(default=None, description="Where it differs from the source's.")
    null_tokens: list[Token] | None = Field(default=None, description="Instead of the source's.")
    digits: int | None = Field(
        default=None,
        ge=2,
        le=30,
        description="How many digits its numbers have: zeros that a spreadsheet ate are put back.",
    )

    @property
    def is_plain(self) -> bool:
        """Whether the item is a column of the file as it stands."""
        return not (
            self.columns
            or self.constant is not None
            or self.from_file_name
            or self.transform
            or self.values
            or self.add
            or self.unit
            or self.decimal_comma
            or self.unknown_flag
            or self.unknown_text
        )

    @property
    def headers(self) -> list[str]:
        """Headers of all columns that the item is made of."""
        return [
            name
            for name in (self.column, *(self.columns or ()), self.unknown_flag, self.unknown_text)
            if name is not None
        ]


class RowFilter(_Frozen):
    """Which records of a file are taken."""

    column: Text | None = Field(default=None, description="The column that decides.")
    keep: list[Token] = Field(default_factory=list, description="Records with one of these texts are taken.")
    drop: list[Token] = Field(default_factory=list, description="Records with one of these texts are left out.")
    latest: Text | None = Field(
        default=None, description="Of records that agree in `of`, that with the highest number here."
    )
    of: list[Text] = Field(default_factory=list, description="Columns that tell one record's history from another's.")

    @property
    def headers(self) -> list[str]:
        """Headers of the columns it reads."""
        return [name for name in (self.column, self.latest, *self.of) if name is not None]


class MonthColumns(_Frozen):
    """A column per month and item (4月欠席, 5月欠席 …): one record per month comes of each."""

    item: Text = Field(default="month", description="The item that gets the month.")
    columns: dict[Text, Text] = Field(min_length=1, description="Item to header, with {} for the month: `{}月欠席`.")
    of: list[Annotated[int, Field(ge=1, le=12)]] = Field(
        default_factory=lambda: [4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 2, 3],
        min_length=1,
        description="Months the file has.",
    )
    school_year: Text | None = Field(
        default=None,
        description="Column with the school year (2026, 令和8, R8). Without it: that of the extract's date.",
    )

    def headers(self) -> list[str]:
        """Headers of all months' columns."""
        return [header.replace("{}", str(month)) for header in self.columns.values() for month in self.of]


class ZipMember(_Frozen):
    """A delivery packed in a ZIP archive."""

    member: Text = Field(description="Name of the file inside, with * and ?, in no folder.")


class IgnoredColumn(Place):
    """A column that the file has and that is dropped at the door."""

    reason: Text = Field(description="Why it is not taken.")


class FileFormat(_Frozen):
    """How the file is found and read."""

    pattern: Text = Field(description="File name with * and ?, no folder, e.g. `JUKI_*.csv`.")
    format: Literal["csv", "tsv", "fixed", "xlsx", "oneroster"] = Field(
        description="oneroster: a ZIP of the OneRoster CSV binding (Japan profile), joined to a row per pupil."
    )
    encoding: Encoding | None = Field(default=None, description="Of text files; utf-16 has a byte-order mark.")
    header: bool = Field(default=True, description="Whether a header row stands before the records.")
    delimiter: Literal[",", "\t", ";", "|"] | None = Field(default=None, description="Default: comma, or tab for tsv.")
    quote: Literal['"', "'"] | None = Field(default='"', description="null: fields are never quoted.")
    skip_rows: int = Field(default=0, ge=0, le=50, description="Title rows before the header (or the records).")
    sheet: Text | None = Field(default=None, description="XLSX sheet name; default: the first visible sheet.")
    record_bytes: int | None = Field(
        default=None, ge=1, le=100_000, description="Fixed width: record length without its line end."
    )
    field_count: int | None = Field(
        default=None, ge=1, le=2_000, description="Fields per record in a file without header, ignored ones included."
    )
    zip: ZipMember | None = Field(default=None, description="The files that match `pattern` are ZIP archives.")
    required_marker: bool = Field(default=False, description="Wait for a `.done` file beside the extract.")
    several: Literal["by_content", "parts", "corrections"] = Field(
        default="by_content",
        description="Several files of one date: parts of one extract, or each corrects the former. by_content: a file "
        "that repeats the records of another corrects it, one that shares none is a part; between them it is refused.",
    )


class SourceConfig(_Frozen):
    """One source system of the municipality."""

    preset: Text | None = Field(
        default=None, description="A national layout shipped with the platform; what stands here besides wins."
    )
    source: Text = Field(description="The source's key in the catalogue; with a preset, the preset's.")
    holder: Text = Field(description="The office that extracts it.")
    system_start: dt.date | None = Field(
        default=None, description="Nothing was recorded before this day; earlier absence says nothing."
    )
    extract_kind: Literal["full", "delta"] = Field(default="full", description="Whole state, or changes only.")
    file: FileFormat
    dates: DateStyle = DateStyle(style="iso")
    null_tokens: list[Token] = Field(default_factory=list, description="Texts that mean blank, for every item.")
    columns: list[Column] = Field(min_length=1)
    ignored_columns: list[IgnoredColumn] = Field(default_factory=list)
    rows: list[RowFilter] = Field(default_factory=list, max_length=10, description="Which records are taken.")
    months: MonthColumns | None = Field(default=None, description="A column per month becomes a record per month.")
    code_maps: dict[str, dict[Token, str]] = Field(
        default_factory=dict, description="Per item: local code to catalogue code. Quote local codes that are numbers."
    )

    @cached_property
    def by_item(self) -> dict[str, Column]:
        """Columns by their item; months' columns stand for the items that they become."""
        columns = {column.item: column for column in self.columns}
        if self.months is not None:
            iso = DateStyle(style="iso")
            columns[self.months.item] = Column(item=self.months.item, constant="-", date_style=iso)
            columns |= {item: Column(item=item, constant="-") for item in self.months.columns}
        return columns

    @property
    def is_plain(self) -> bool:
        """Whether every record is taken, and every item a column as it stands."""
        return not self.rows and self.months is None and all(column.is_plain for column in self.columns)

    @property
    def delimiter(self) -> str:
        """The delimiter that is meant."""
        return self.file.delimiter or ("\t" if self.file.format == "tsv" else ",")

    @property
    def field_count(self) -> int | None:
        """Fields per record where the file has no header to count them by; None otherwise."""
        if self.file.header or self.file.format not in ("csv", "tsv"):
            return None
        places = [place.position for place in (*self.columns, *self.ignored_columns) if place.position]
        return self.file.field_count or max(places)

    @property
    def record_bytes(self) -> int | None:
        """Bytes per record of a fixed-width file; None otherwise."""
        if self.file.format != "fixed":
            return None
        ends = [p.start + p.width - 1 for p in (*self.columns, *self.ignored_columns) if p.start and p.width]
        return self.file.record_bytes or max(ends)

    def dates_of(self, item: str) -> DateStyle:
        """How ``item`` writes its dates."""
        column = self.by_item.get(item)
        if column is not None and column.take == "date_parts":
            return DateStyle(style="iso")
        return self.dates if column is None or column.date_style is None else column.date_style

    def null_tokens_of(self, item: str) -> list[str]:
        """The texts that mean blank in ``item``."""
        column = self.by_item.get(item)
        return self.null_tokens if column is None or column.null_tokens is None else column.null_tokens


class QualityOverride(_Frozen):
    """Another threshold for one expectation, with its reason."""

    table: Text = Field(description="e.g. raw_education__attendance")
    item: Text | None = None
    expectation: Text
    threshold: float = Field(ge=0, le=100, description="Percent of unexpected rows that is still accepted.")
    reason: Text


class AbsenceDecision(_Frozen):
    """Whether an item with many blanks enters the analysis of a theme, and who decided it from the data."""

    item: Text = Field(description="Full key, <domain>.<source>.<item>.")
    theme: Theme
    include: bool
    reason: Text
    decided_by: Text
    decided_on: dt.date


class Roles(_Frozen):
    """Who holds which of the four duties (guideline of 2022-12-20, chapter 4). A duty that is nobody's stops the run."""

    oversight: Text | None = Field(default=None, description="総括管理主体: decides, supervises, answers for it.")
    holding: Text | None = Field(default=None, description="保有・管理主体: holds the source data.")
    analysis: Text | None = Field(default=None, description="分析主体: links and analyses.")
    use: Text | None = Field(default=None, description="活用主体: looks at results and supports children.")

    @property
    def missing(self) -> list[str]:
        """The duties that are nobody's."""
        return [name for name in type(self).model_fields if getattr(self, name) is None]


class Grounds(_Frozen):
    """What a town says of an item, a source or a domain in place of the catalogue; what it leaves out is not assumed."""

    purpose: Text | None = None
    legal_basis: Text | None = Field(default=None, description="The law by which it may be held here.")
    kind: Literal["within_purpose", "law", "change_of_purpose", "beyond_purpose", "provision"] | None = Field(
        default=None,
        description="Art. 61(3) change of purpose; 69(1) law; 69(2) i-iv temporary use beyond it; provision to another body.",
    )
    ground: Literal["i", "ii", "iii", "iv"] | None = Field(default=None, description="Of art. 69(2).")
    temporary: Text | None = Field(default=None, description="Art. 69(2): why the use is only temporary.")
    necessary_extent: Text | None = Field(default=None, description="Art. 69(2): why no more than necessary.")
    considerable_reason: Text | None = Field(default=None, description="Art. 69(2): the reason.")
    no_undue_harm: Text | None = Field(
        default=None, description="Art. 69(2): why nobody's interests are unduly harmed."
    )
    period_from: dt.date | None = None
    period_until: dt.date | None = None
    approver: Text | None = None
    handler: Text | None = None
    holder: Text | None = None
    safety_measures: Text | None = None
    notice: Text | None = None
    secrecy: Text | None = Field(default=None, description="A duty of secrecy, e.g. Child Welfare Act art. 25-5.")
    lawyer_to_confirm: bool = Field(default=False, description="The rule depends on the body; a lawyer has to confirm.")
    retention_years: int | None = Field(default=None, ge=0, le=30)
    lookback_months: int | None = Field(default=None, ge=1, le=240)
    consent_needed: bool | None = None
    themes: list[Theme] | None = Field(default=None, description="Only for these themes.")


class Governance(_Frozen):
    """What is a town's to say: who answers for what, on which grounds, for which purposes."""

    roles: Roles = Roles()
    contact: Text | None = Field(default=None, description="Where residents ask (shown in notices).")
    require_grounds: bool = Field(
        default=False, description="Close every item that no approved purpose sheet on record opens."
    )
    purposes: dict[
        Text, list[Literal["linking", "finding", "supporting", "evaluating", "consenting", "statistics"]]
    ] = Field(default_factory=dict, description="Purposes of the town's own and the uses that each covers.")
    grounds: dict[Text, Grounds] = Field(
        default_factory=dict, description="By item, source or domain; the closest wins, field by field."
    )

    def of(self, item: str) -> Grounds:
        """What the town says of an item (full key): of itself, else of its source, else of its domain."""
        source = item.rpartition(".")[0]
        domain = item.partition(".")[0]
        said: dict[str, Any] = {}
        for key in (domain, source, item):
            if key in self.grounds:
                said |= {name: getattr(self.grounds[key], name) for name in self.grounds[key].model_fields_set}
        return Grounds.model_construct(**said)


class Municipality(_Frozen):
    """One municipality (or hospital centre): what it looks for, and how its extracts look."""

    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")] = Field(
        description="Five digits and the check digit (全国地方公共団体コード)."
    )
    name_ja: Text
    name_en: Text
    population: int = Field(ge=1, le=20_000_000)
    themes: list[MunicipalityTheme] = Field(min_length=1)
    consent: ConsentRule
    schedule: Schedule
    reject_limit_percent: float = Field(default=1.0, ge=0, le=100, description="More rejects fail the extract.")
    shrink_limit_percent: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="A full extract smaller than the last by more than this fails; default by the kind of source: registers 5 "
        "(rolls across 1 April 15 to 30), events 50. 100: not held against the last one at all.",
    )
    quality_overrides: list[QualityOverride] = Field(default_factory=list)
    absence_decisions: list[AbsenceDecision] = Field(default_factory=list)
    governance: Governance | None = Field(default=None, description="Duties, grounds and purposes of this town.")
    sources: list[SourceConfig] = Field(min_length=1)

    @cached_property
    def by_source(self) -> dict[str, SourceConfig]:
        """Source configurations by their catalogue key."""
        return {source.source: source for source in self.sources}

    @cached_property
    def by_theme(self) -> dict[str, MunicipalityTheme]:
        """Themes by key."""
        return {theme.key: theme for theme in self.themes}
