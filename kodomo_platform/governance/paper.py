"""Papers as PDF by Typst: shipped fonts, PDF/A-2b, the same bytes for the same content. Data are text, never markup."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kodomo_platform.errors import GovernanceError

_TEMPLATE = Path(__file__).with_name("paper.typ")


def pdf(title: str, day: str, blocks: Sequence[dict[str, Any]], *, notes: Sequence[str] = ()) -> bytes:
    """A paper of ``blocks``: ``head`` and either ``text`` (lines) or ``columns`` and ``rows``. ``day``: ISO date."""
    import pylopdf_fonts_cjk
    import typst

    shown = [
        {**block, "rows": [["" if cell is None else str(cell) for cell in row] for row in block["rows"]]}
        if "rows" in block
        else block
        for block in blocks
    ]
    at = dt.datetime.combine(dt.date.fromisoformat(day), dt.time(), dt.UTC)
    data = json.dumps(
        {"title": title, "day": day, "notes": list(notes), "blocks": shown}, ensure_ascii=False, default=str
    )
    try:
        made: Any = typst.Compiler(
            input=str(_TEMPLATE),
            root=str(_TEMPLATE.parent),
            font_paths=[str(Path(pylopdf_fonts_cjk.__file__).parent)],
            ignore_system_fonts=True,
        ).compile(format="pdf", sys_inputs={"data": data}, pdf_standards=["a-2b"], timestamp=int(at.timestamp()))
    except RuntimeError as error:
        raise GovernanceError(
            "the paper could not be set as PDF", where=title, action="tell those who run the platform"
        ) from error
    return bytes(made)
