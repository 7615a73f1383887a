"""Where things live. The only module that reads the environment.

Every path hangs off one home folder (``KODOMO_HOME``, default ``~/.kodomo``). Nothing here creates a folder or opens a
file: rooms do that when they write.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from kodomo_platform.errors import ConfigurationError

_CODE = re.compile(r"[0-9]{6}")

# Every library in the house that would phone home, told not to: municipal networks are closed (house rule 12).
_NO_TELEMETRY = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}
# What MLflow says while it makes its tables is no news to those who run a chain.
_QUIET = {"MLFLOW_LOGGING_LEVEL": "WARNING"}


def municipality_code(code: str) -> str:
    """Return ``code`` if it can be one (six digits), so that it is safe as a folder name; else raise."""
    if not _CODE.fullmatch(code):
        raise ConfigurationError(
            "not a municipality code",
            expected="six digits, e.g. 112241 (five digits and a check digit)",
            action="see `kodomo municipality list` for the codes that are known",
        )
    return code


class Settings(BaseSettings):
    """Paths and addresses, from ``KODOMO_*`` variables."""

    model_config = SettingsConfigDict(env_prefix="KODOMO_", extra="ignore", frozen=True)

    home: Path = Field(default_factory=lambda: Path.home() / ".kodomo")
    database_url: str | None = None
    """One PostgreSQL database for operations, Dagster and MLflow, each in a schema of its own:
    ``postgresql://user:password@host:port/name``. Without it each is embedded in the home."""
    operations_url_override: str | None = Field(default=None, validation_alias="KODOMO_OPERATIONS_URL")
    mlflow_tracking_uri_override: str | None = Field(default=None, validation_alias="KODOMO_MLFLOW_TRACKING_URI")
    lang: Literal["ja", "en"] = "ja"
    """Language of the command line: its help, its errors, what it prints."""
    allowed_hosts: str = ""
    """Names besides this machine's own under which the pages may be reached (behind a proxy), apart by blanks."""
    smtp_host: str = "127.0.0.1"
    smtp_port: int = 25
    smtp_from: str = "kodomo@localhost"
    smtp_user: str = ""
    smtp_password: str = ""
    """Mail server for notices; who gets them stands in ``notifications.yaml`` in the home."""
    automation: bool = True
    """Whether new extracts and the municipalities' schedules start runs by themselves while the daemon runs."""
    linkage_false_merge_cost: float = Field(default=100.0, gt=0)
    """How many missed links one false merge outweighs. A false merge shows another child's facts to the workers of this one,
    and may hide both; a missed link leaves facts out until somebody answers the question: two orders of magnitude."""
    linkage_precision: float = Field(default=0.9999, gt=0, lt=1)
    """Share of a town's links that must be right, as its own probabilities expect it; the more doubtful its data, the higher
    the probability from which a pair is linked."""
    memory_limit: str = "4GB"
    threads: int = Field(default_factory=lambda: os.cpu_count() or 2)

    portal_key_file_override: Path | None = Field(default=None, validation_alias="KODOMO_PORTAL_KEY_FILE")
    portal_hosts: str = ""
    """Names under which the portal may be asked for, separated by commas, beside this machine's own."""
    portal_tls: bool = False
    """A proxy in front of the portal speaks TLS: cookies only over it, HSTS, and other addresses may be bound."""
    portal_oidc_url: str = ""
    """The municipality's own identity provider (OpenID Connect): address of its configuration, client, secret."""
    portal_oidc_client: str = ""
    portal_oidc_secret: str = ""
    portal_oidc_name: str = ""

    @property
    def landing(self) -> Path:
        """``landing/<code>/<extract_date>/<file>``, written by the sources' holders."""
        return self.home / "landing"

    @property
    def archive(self) -> Path:
        """``archive/<code>/<sha256>``: the bytes of every file ever loaded."""
        return self.home / "archive"

    @property
    def warehouse_dir(self) -> Path:
        return self.home / "warehouse"

    def warehouse(self, code: str) -> Path:
        """The working DuckDB file of one municipality, private to the pipeline."""
        return self.warehouse_dir / f"{municipality_code(code)}.duckdb"

    @property
    def published(self) -> Path:
        return self.home / "published"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    @property
    def truth(self) -> Path:
        """Truth of synthetic municipalities; the pipeline never reads it."""
        return self.home / "truth"

    @property
    def municipalities_dir(self) -> Path:
        """Municipalities onboarded here, beside those shipped with the package."""
        return self.home / "municipalities"

    @property
    def portal_key_file(self) -> Path:
        """The key that seals what people write at the portal; never beside its backup."""
        return self.portal_key_file_override or self.home / "portal" / "key"

    @property
    def locks(self) -> Path:
        return self.home / "locks"

    @property
    def mlflow_dir(self) -> Path:
        return self.home / "mlflow"

    @property
    def mlflow_tracking_uri(self) -> str:
        if self.mlflow_tracking_uri_override:
            return self.mlflow_tracking_uri_override
        return self.schema_url("mlflow") or self.embedded_mlflow_uri

    @property
    def embedded_mlflow_uri(self) -> str:
        return f"sqlite:///{self.mlflow_dir / 'mlflow.db'}"

    def schema_url(self, schema: str, driver: str = "postgresql+psycopg2") -> str | None:
        """`database_url` with ``schema`` as the only one searched; None while everything is embedded.

        The driver is named: SQLAlchemy would take psycopg 3, with which Dagster cannot listen for events.
        """
        if not self.database_url:
            return None
        scheme, separator, rest = self.database_url.partition("://")
        if scheme.partition("+")[0] not in ("postgresql", "postgres") or not separator:
            raise ConfigurationError(
                "the database address has an unknown scheme",
                where="KODOMO_DATABASE_URL",
                expected="postgresql://user:password@host:port/name",
            )
        return f"{driver}://{rest}{'&' if '?' in rest else '?'}options=-csearch_path%3D{schema}"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    def dbt_target(self, code: str) -> Path:
        return self.home / "dbt" / municipality_code(code)

    @property
    def operations_url(self) -> str:
        """``sqlite:///…`` by default; ``postgresql://user:password@host:port/name`` by ``KODOMO_OPERATIONS_URL``."""
        return (
            self.operations_url_override or self.schema_url("operations", "postgresql") or self.embedded_operations_url
        )

    @property
    def embedded_operations_url(self) -> str:
        return f"sqlite:///{self.home / 'operations.sqlite3'}"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process; `use_home` changes them."""
    for name, value in (_NO_TELEMETRY | _QUIET).items():
        os.environ.setdefault(name, value)
    settings = Settings()
    return settings.model_copy(update={"home": settings.home.expanduser().absolute()})


def use_home(home: Path | None) -> Settings:
    """Point this process and its children at ``home`` (None: leave as the environment says)."""
    if home is not None:
        os.environ["KODOMO_HOME"] = str(home.expanduser().absolute())
    get_settings.cache_clear()
    return get_settings()


def hand_down(name: str, value: str) -> None:
    """Set a variable for this process and those that it starts: what a file must not keep and `ps` must not show."""
    os.environ[name] = value
