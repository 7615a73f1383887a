"""Whether an installation is in order: what an operator looks at first. Nothing is changed but rights, and only if asked."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from kodomo_platform.errors import KodomoError
from kodomo_platform.installation.rights import close_to_others, open_to_others
from kodomo_platform.messages import in_japanese
from kodomo_platform.municipalities import load_each
from kodomo_platform.settings import get_settings

FREE_BYTES = 5 << 30
_PACKAGES = ("dagster", "dbt-core", "duckdb", "mlflow", "django")


@dataclass(frozen=True)
class Finding:
    """One thing looked at: whether it is well, and what there is to say (Japanese first)."""

    subject: str
    well: bool
    japanese: str
    english: str


def examine(*, repair: bool = False) -> list[Finding]:
    """Look at versions, disk, rights, identity and database, municipalities' files. Never raises for what it finds."""
    home = get_settings().home
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    findings = [
        Finding("versions", True, versions, f"Python {sys.version_info.major}.{sys.version_info.minor}, {versions}")
    ]
    findings.append(_disk(home))
    findings.append(_rights(home, repair))
    findings.append(_database())
    _, broken = load_each()
    findings.append(
        Finding(
            "municipalities",
            not broken,
            f"誤りのある設定ファイル: {', '.join(broken) or 'なし'}",
            f"files with faults: {', '.join(broken) or 'none'}",
        )
    )
    return findings


def _disk(home: Path) -> Finding:
    folder = home if home.exists() else home.parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding("disk", False, f"調べられません（{error.strerror}）", f"cannot be told ({error.strerror})")
    return Finding("disk", free >= FREE_BYTES, f"空き容量 {free / (1 << 30):.1f} GB", f"{free / (1 << 30):.1f} GB free")


def _rights(home: Path, repair: bool) -> Finding:
    if repair:
        close_to_others(home)
    open_ones = list(open_to_others(home)) if home.exists() else []
    return Finding(
        "rights",
        not open_ones,
        f"他の利用者から見えるファイル・フォルダー: {len(open_ones)}件",
        f"{len(open_ones)} files or folders that other users may reach",
    )


def _database() -> Finding:
    from kodomo_platform import operations

    try:
        operations.migrate()
        verdict = operations.audit_verify()
    except KodomoError as error:
        return Finding("database", False, in_japanese(error), str(error))
    return Finding(
        "database",
        verdict.sound,
        "業務データベースと監査記録は正常です" if verdict.sound else "監査記録が書き換えられています",
        "operations database and audit log are sound" if verdict.sound else "the audit log was altered",
    )
