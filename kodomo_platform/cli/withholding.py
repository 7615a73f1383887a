"""Said instead of an answer about a child of whom nothing may be shown (see `kodomo_platform.shelf.withholding`)."""

from __future__ import annotations

import json

import typer

from kodomo_platform.cli.languages import Language


def withholds(municipality: str, child: str, lang: Language, as_json: bool) -> bool:
    """Whether nothing is shown of ``child``; then the reason has been printed."""
    from kodomo_platform.shelf import withheld

    found = withheld(municipality, child)
    if found is None:
        return False
    if as_json:
        since = None if found.since is None else found.since.isoformat()
        typer.echo(json.dumps({"child_id": child, "withheld": found.state, "since": since}, ensure_ascii=False))
    else:
        nothing = {
            "ja": "このこどもについては何も表示しません",
            "en": "Nothing is shown of this child",
        }[lang.value]
        typer.echo(f"{nothing}：{found.words('ja')}" if lang is Language.ja else f"{nothing}: {found.words('en')}")
    return True
