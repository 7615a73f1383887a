"""`kodomo onboard`: add a municipality by its file. What the file must say is checked by its room."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from kodomo_platform.cli.languages import say
from kodomo_platform.cli.options import Home, Json, apply_home


def onboard(
    file: Annotated[Path, typer.Argument(help="The municipality's YAML file.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Check FILE and add its municipality here; nothing is written if it has a fault."""
    apply_home(home)
    from kodomo_platform.municipalities import onboard as add
    from kodomo_platform.settings import get_settings

    municipality = add(file)
    from kodomo_platform.operations import by_pipeline, register_municipality
    from kodomo_platform.orchestration.runs import add_partition

    act = by_pipeline(f"onboarded from {file.name}", purpose="onboarding")
    register_municipality(municipality.code, municipality.name_ja, act, name_en=municipality.name_en)
    add_partition(municipality.code)
    target = get_settings().municipalities_dir / f"{municipality.code}.yaml"
    if as_json:
        print(json.dumps({"code": municipality.code, "name_ja": municipality.name_ja, "file": str(target)}))
    else:
        print(say(f"{municipality.code} {municipality.name_ja} / {municipality.name_en} added: {target}"))
