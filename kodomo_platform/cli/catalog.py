"""`kodomo catalog`: look at the data items and their legal records. Whether a use is allowed is decided elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from kodomo_platform.cli.languages import say
from kodomo_platform.cli.options import Home, Json, apply_home, console
from kodomo_platform.errors import UsageError

app = typer.Typer(help="Data items: what may be held, by whom, why, by which law, how long.", no_args_is_help=True)


@app.command("list")
def list_items(
    home: Home = None,
    as_json: Json = False,
    domain: Annotated[str | None, typer.Option(help="Only this domain, e.g. education.")] = None,
    source: Annotated[str | None, typer.Option(help="Only this source, e.g. education.attendance.")] = None,
) -> None:
    """List the items of the catalogue."""
    apply_home(home)
    from kodomo_platform.catalog import load_catalog

    catalog = load_catalog()
    if domain is not None and domain not in {one.domain for one in catalog.sources.values()}:
        raise UsageError(f"unknown domain '{domain}'", expected="one of resident, education, childcare, welfare, …")
    if source is not None and source not in catalog.sources:
        raise UsageError(f"unknown source '{source}'", expected=", ".join(catalog.sources))
    items = [
        item
        for item in catalog.items.values()
        if (source is None or item.source == source) and (domain is None or item.source.split(".")[0] == domain)
    ]
    if as_json:
        print(json.dumps([item.model_dump() for item in items], ensure_ascii=False, indent=1))
        return
    from rich.table import Table

    table = Table(title=say(f"{len(items)} items, {len({item.source for item in items})} sources"))
    for title in ("item", "label in Japanese", "label", "type", "sensitivity", "retention", "law"):
        table.add_column(say(title), no_wrap=title == "item", overflow="fold")
    for item in items:
        years = say(f"class {item.retention.data_class}, {item.retention.years} y")
        table.add_row(item.key, item.label_ja, item.label_en, item.type, item.sensitivity, years, item.legal_basis)
    # piped output keeps its columns instead of being folded to 80 characters
    console().print(table)


@app.command()
def show(
    item: Annotated[str, typer.Argument(help="An item (education.attendance.absent_days) or a source.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show the whole record of one item, or of a source and its items."""
    apply_home(home)
    from kodomo_platform.catalog import load_catalog
    from kodomo_platform.catalog.export import COLUMNS, record

    catalog = load_catalog()
    found = catalog.items.get(item)
    if found is None and item not in catalog.sources:
        import difflib

        near = difflib.get_close_matches(item, [*catalog.items, *catalog.sources], n=5)
        raise UsageError(f"unknown item or source '{item}'", expected=", ".join(near) or "see `kodomo catalog list`")
    if as_json:
        shape = catalog.sources[item] if found is None else found
        print(json.dumps(shape.model_dump(), ensure_ascii=False, indent=1))
        return
    from rich.markup import escape
    from rich.table import Table

    out = console()
    for one in catalog.sources[item].items if found is None else [found]:
        table = Table(title=f"{one.key}  {one.label_ja} / {one.label_en}", show_header=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for (_, title), cell in zip(COLUMNS, record(one), strict=True):
            # escaped: an evidence's kind stands in brackets, which rich takes for its own
            table.add_row(title, "" if cell is None else escape(str(cell)))
        out.print(table)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Where to write: a name that ends in .csv, .xlsx or .json.")],
    home: Home = None,
) -> None:
    """Write the whole catalogue for the people who review it (CSV, XLSX or JSON)."""
    apply_home(home)
    from kodomo_platform.catalog import load_catalog
    from kodomo_platform.catalog.export import export_catalog

    if file.suffix.lower() not in (".csv", ".xlsx", ".json"):
        raise UsageError("unknown kind of file", expected="a name that ends in .csv, .xlsx or .json")
    catalog = load_catalog()
    export_catalog(catalog, file)
    print(say(f"{len(catalog.items)} items of {len(catalog.sources)} sources written to {file}"))
