"""`kodomo setup`: what an installation needs once, repeatable at any time."""

from __future__ import annotations

from kodomo_platform.cli.languages import say
from kodomo_platform.cli.options import Home, apply_home


def command(home: Home = None) -> None:
    """Prepare this installation. Run again after an upgrade; it changes only what is missing or old."""
    apply_home(home)
    from kodomo_platform.orchestration.installation import prepare

    for line in prepare(build_manifest=True):
        print(say(line))
