"""Build one twin: people and needs, each source's extract in its own format and faults, and the truth beside them.

The order is fixed and every step has its own random stream, so the same arguments give the same bytes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kodomo_platform.catalog import Source, load_catalog
from kodomo_platform.errors import UsageError
from kodomo_platform.municipalities import Municipality, SourceConfig
from kodomo_platform.synthetic import rates, writing
from kodomo_platform.synthetic.facts import BUILDERS, Shared
from kodomo_platform.synthetic.faults import Injection, inject
from kodomo_platform.synthetic.needs import draw_needs
from kodomo_platform.synthetic.places import towns_of
from kodomo_platform.synthetic.population import draw_people
from kodomo_platform.synthetic.truth import Truth
from kodomo_platform.synthetic.world import Frame, World

Progress = Callable[[str, int, int], None]


@dataclass
class SynthReport:
    """What was written; safe to print (counts only)."""

    municipality: str
    children: int
    months: int
    seed: int
    quality: str
    extract_dates: list[str]
    rows: dict[str, int] = field(default_factory=dict)
    files: int = 0
    faults: int = 0
    fault_kinds: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    out: str = ""
    truth: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def _month_back(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 - months
    return date(index // 12, index % 12 + 1, 1)


def _check(children: int, months: int, quality: str, extracts: int, seed: int) -> None:
    if children < 20 or children > 2_000_000:
        raise UsageError("number of children out of range", expected="20 to 2,000,000")
    if not 2 <= months <= 120:
        raise UsageError("number of months out of range", expected="2 to 120")
    if quality not in rates.QUALITY_FACTOR:
        raise UsageError("unknown quality", expected="clean, typical or bad")
    if not 1 <= extracts <= months:
        raise UsageError("number of extracts out of range", expected="1 up to the number of months")
    if seed < 0:
        raise UsageError("the seed is negative", expected="zero or more")


def build_world(municipality: Municipality, children: int, months: int, seed: int, quality: str, end: date) -> World:
    """People, needs and numbers of a twin; nothing is written."""
    towns = towns_of(municipality.code, municipality.name_ja)
    start = _month_back(end, months)
    grid = np.arange(np.datetime64(start, "M"), np.datetime64(start, "M") + months)
    people, homes = draw_people(municipality.code, towns, children, start, end, seed)
    themes = tuple(theme.key for theme in municipality.themes)
    needs = draw_needs(municipality.code, people, homes, themes, grid, seed)
    return World(
        municipality=municipality,
        people=people,
        homes=homes,
        needs=needs,
        towns=towns,
        months=grid,
        start=np.datetime64(start, "D"),
        end=np.datetime64(end, "D"),
        seed=seed,
        factor=rates.QUALITY_FACTOR[quality],
        children=children,
    )


def _period(source: Source, columns: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.object_]:
    if source.event_date is None or source.event_date not in columns:
        size = len(next(iter(columns.values())))
        return np.full(size, "", dtype=object)
    values = columns[source.event_date]
    text = values.astype(str).astype(object)
    text[text == "NaT"] = ""
    return text


def _write_source(
    world: World, source: Source, config: SourceConfig, frame: Frame, day: date, folder: Path, truth: Truth, final: bool
) -> int:
    """One extract file of one source; returns its rows. ``final``: the extract whose truth is recorded cell by cell."""
    if config.system_start is not None and source.event_date in frame.columns and source.key != "resident.register":
        events = frame.columns[source.event_date or ""].astype("datetime64[D]")
        early = events < np.datetime64(config.system_start)
        if early.any():
            frame = frame.take(~early)
            if final:
                truth.add_absence(source.key, "*", "*", f"..{config.system_start}", "before_start")
    rows = len(frame)
    person = frame.person
    female = world.people.female[person]
    held = [name for name in source.by_name if name in config.by_item and name in frame.columns]
    period = _period(source, frame.columns) if rows else np.zeros(0, dtype=object)
    blanks = {name: writing.blank_mask(frame.columns[name]) for name in held}
    text = {name: writing.write_column(frame.columns[name], source.by_name[name], config, female) for name in held}
    rng = world.rng(source.key, "blanks", str(day))
    for name in held:
        text[name] = writing.fill_blanks(
            text[name], blanks[name], writing.null_choices(source.by_name[name], config), rng
        )
    keys = frame.columns[source.record_key]
    if final:
        truth.add_records(source, frame, world)
        for name in held:
            kind = "not_applicable" if source.by_name[name].blank_means == "not_applicable" else "blank"
            truth.add_absences(source.key, keys, name, period, blanks[name], kind)
    for item, mask, kind in frame.blanked:
        if item in held:
            truth.add_faults(source.key, day, np.flatnonzero(mask) + 1, item, kind)
    injection = inject(world, source, config, frame, text, blanks, day, truth)
    data = _file_bytes(source, config, injection, len(injection.person), day, world)
    (folder / writing.file_name(config, day)).write_bytes(data)
    return len(injection.person)


def _file_bytes(
    source: Source, config: SourceConfig, injection: Injection, rows: int, day: date, world: World
) -> bytes:
    columns = dict(injection.text)
    nothing = pa.array([""], pa.string()).take(pa.array(np.zeros(rows, dtype=np.int64)))
    foreign = world.people.foreign[injection.person]
    for ignored in config.ignored_columns:
        mark = f"ignored:{ignored.column or ''}"
        header = ignored.column or ""
        if "国籍" in header or config.file.format == "fixed":
            columns[mark] = pa.array(["日本", "外国"], pa.string()).take(pa.array(foreign.astype(np.int64)))
        else:
            notes = pa.array(["", "電話連絡済み", "次回面談予定", "継続して見守り"], pa.string())
            columns[mark] = notes.take(pa.array((np.arange(rows) * 31 // 7) % 4))
    if config.file.format == "fixed":
        lines = writing.fixed_lines(columns, config, rows)
        lines = injection.mend_lines(lines)
        return writing.encode_text(lines, [], config, injection.mixed_ends)
    order = writing.layout(config, injection.extra_columns)
    for header in injection.extra_columns:
        columns[f"extra:{header}"] = nothing
    titles = [f"{source.label_ja}　{day.year}年{day.month}月{day.day}日現在", config.holder, "", "", "", ""]
    titles = (titles + [""] * config.file.skip_rows)[: config.file.skip_rows]
    if config.file.format == "xlsx":
        cells = [
            (header, columns.get(item, nothing), writing.is_numeric(source, config, item)) for item, header in order
        ]
        return writing.write_xlsx(cells, titles, config, rows)
    quote_all = writing.quotes_everything(config)
    lines = writing.join_lines([columns.get(item, nothing) for item, _header in order], config, quote_all)
    lines = injection.mend_lines(lines)
    head = list(titles)
    if config.file.header:
        quote = config.file.quote if quote_all and config.file.quote else ""
        head.append(config.delimiter.join(f"{quote}{header}{quote}" for _item, header in order))
    return writing.encode_text(lines, head, config, injection.mixed_ends)


def generate(
    municipality: Municipality,
    children: int,
    months: int,
    seed: int,
    quality: str,
    out: Path,
    truth: Path,
    end: date = date(2026, 10, 1),
    extracts: int = 1,
    progress: Progress | None = None,
) -> SynthReport:
    """Write a twin's landing files under ``out/<code>/<date>/`` and its truth files into ``truth``.

    Args:
        municipality: whose sources, formats, code maps and themes the twin has.
        children: children under 18 at ``end``.
        months: months of history before ``end``.
        seed: same arguments and seed, same bytes.
        quality: ``clean`` (formats only), ``typical`` or ``bad`` (2.5 times the faults).
        out: landing folder; an earlier extract of the same date is replaced.
        truth: folder of records.csv, faults.csv, absence.csv, outcomes.csv.
        end: date of the last extract.
        extracts: how many monthly extracts, the last one at ``end``.

    Raises `UsageError` for impossible arguments.
    """
    _check(children, months, quality, extracts, seed)
    catalog = load_catalog()
    world = build_world(municipality, children, months, seed, quality, end)
    shared = Shared(world)
    facts = Truth(world)
    dates = [_month_back(end, back) if back else end for back in range(extracts - 1, -1, -1)]
    report = SynthReport(
        municipality.code,
        children,
        months,
        seed,
        quality,
        [f"{day:%Y-%m-%d}" for day in dates],
        out=str(out),
        truth=str(truth),
    )
    configs = [config for config in municipality.sources if config.source in BUILDERS]
    total = len(dates) * len(configs)
    for number, day in enumerate(dates):
        folder = out / municipality.code / f"{day:%Y-%m-%d}"
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        for at, config in enumerate(configs):
            if progress is not None:
                progress(config.source, number * len(configs) + at, total)
            source = catalog.sources[config.source]
            today = np.datetime64(day, "D")
            frame = BUILDERS[config.source](world, shared, today, config.file.encoding)
            if config.extract_kind == "delta":
                frame = frame.take(frame.known_on < today)
                if number:
                    frame = frame.take(frame.known_on >= np.datetime64(dates[number - 1], "D"))
            else:
                frame = frame.take(frame.known_on < today)
            final = number == len(dates) - 1 or config.extract_kind == "delta"
            report.rows[config.source] = _write_source(world, source, config, frame, day, folder, facts, final)
            report.files += 1
        (folder / ".done").write_bytes(b"")
    for source in catalog.sources.values():
        if source.key not in municipality.by_source:
            facts.add_absence(source.key, "*", "*", "*", "not_held")
            continue
        for item in source.items:
            if item.name not in municipality.by_source[source.key].by_item:
                facts.add_absence(source.key, "*", item.name, "*", "not_held")
    facts.add_outcomes(shared)
    facts.write(truth)
    report.faults, report.fault_kinds = facts.fault_counts()
    report.outcomes = facts.outcome_counts()
    if progress is not None:
        progress("", total, total)
    return report
