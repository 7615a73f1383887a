"""What an installation needs before its first run: homes of Dagster and MLflow, databases, dbt's manifest."""

import hashlib
import os
from pathlib import Path

from kodomo_platform.installation.storage import make_schemas
from kodomo_platform.settings import get_settings, hand_down

_DAGSTER_YAML = """\
# Written by `kodomo setup`. Brought up to date as long as nobody changes it; kept as it is once somebody did.
telemetry:
  enabled: false
concurrency:
  runs:
    # different municipalities side by side, one run of a municipality at a time
    max_concurrent_runs: 2
    tag_concurrency_limits:
      - key: dagster/partition
        limit: 1
        value:
          applyLimitPerUniqueValue: true
run_launcher:
  module: kodomo_platform.orchestration.launcher
  class: ProcessLauncher
run_monitoring:
  enabled: true
  poll_interval_seconds: 20
"""
_EMBEDDED = """\
event_log_storage:
  module: kodomo_platform.orchestration.event_log
  class: EventLog
  config:
    dagster_home:
      env: DAGSTER_HOME
"""
# no event_log_storage beside it: Dagster refuses both together
_POSTGRESQL = """\
storage:
  postgres:
    postgres_url:
      env: KODOMO_DAGSTER_URL
"""

# what earlier releases wrote: such a file was changed by nobody and may be replaced
_FORMER_DAGSTER_YAML = frozenset(
    {
        "ab55597c3a177713a3adce3efe104ad58b7d4799208bdc07f932189e69484282",
        "eb48a55aaead9c6dd96602d16f58ac0719f2675e655fd18b8b9e8d572545d741",
    }
)


def dagster_instance_home() -> Path:
    """Dagster's home below the platform's, made if missing, and named (as is the platform's) to this process and its children."""
    folder = get_settings().dagster_home
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "dagster.yaml"
    url = get_settings().schema_url("dagster")
    if url is not None:
        hand_down("KODOMO_DAGSTER_URL", url)  # a file would keep the password
    wanted, other = (
        _DAGSTER_YAML + storage for storage in ((_EMBEDDED, _POSTGRESQL) if url is None else (_POSTGRESQL, _EMBEDDED))
    )
    written = file.read_text(encoding="utf-8") if file.exists() else other
    if written == other or hashlib.sha256(written.encode()).hexdigest() in _FORMER_DAGSTER_YAML:
        file.write_text(wanted, encoding="utf-8")
    # the first visitor of Dagster's pages would be asked to sign up for a newsletter outside: not in a town's network
    asked = folder / ".nux" / "nux.yaml"
    if not asked.exists():
        asked.parent.mkdir(exist_ok=True)
        asked.write_text("seen: 1\n", encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ.setdefault("KODOMO_HOME", str(get_settings().home))
    return folder


def prepare(*, build_manifest: bool, new_installation: bool = False) -> list[str]:
    """Prepare the installation; returns a line per step for the terminal.

    ``new_installation``: a person decided that the home's operations database is lost and that it begins anew.
    """
    from kodomo_platform.operations import installation_secret, migrate

    lines = [f"home: {get_settings().home}"]
    make_schemas()
    dagster_instance_home()
    get_settings().mlflow_dir.mkdir(parents=True, exist_ok=True)
    applied = migrate(new_installation=new_installation)
    installation_secret()  # from now on the home knows its own database
    lines.append(f"operations database: {f'{len(applied)} migrations applied' if applied else 'up to date'}")
    if build_manifest:
        from kodomo_platform.orchestration import column_lineage, dbt

        dbt.compile_project()
        path = column_lineage.write(dbt.manifest())
        lines.append(f"dbt manifest: {len(dbt.manifest()['nodes'])} nodes; column lineage: {path.name}")
    return lines
