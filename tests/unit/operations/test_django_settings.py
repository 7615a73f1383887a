"""Django's settings module: shared by the pipeline and by a web application that adds its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def _run(home: Path, code: str, **variables: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    environment = {**inherited, "KODOMO_HOME": str(home), "PYTHONPATH": str(home), **variables}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_pipeline_configures_itself(home: Path) -> None:
    code = (
        "from kodomo_platform import operations; operations.migrate();"
        "from django.conf import settings; print(settings.INSTALLED_APPS, settings.DATABASES['default']['NAME'])"
    )
    shown = _run(home, code)
    assert "OperationsConfig" in shown
    assert str(home / "operations.sqlite3") in shown


def test_a_web_application_adds_its_applications(home: Path) -> None:
    (home / "webapp_settings.py").write_text(
        "from kodomo_platform.operations.django_settings import *\n"
        "INSTALLED_APPS = [*INSTALLED_APPS, 'django.contrib.contenttypes']\n",
        encoding="utf-8",
    )
    code = (
        "import django; django.setup();"
        "from kodomo_platform import operations; print(any('contenttypes' in m for m in operations.migrate()));"
        "operations.register_municipality('112241', '戸田市', operations.by_pipeline('a test'));"
        "from django.db import connection; print(len(connection.introspection.table_names()) > 3)"
    )
    assert _run(home, code, DJANGO_SETTINGS_MODULE="webapp_settings") == "True\nTrue"


def test_one_process_may_be_pointed_at_another_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kodomo_platform import operations
    from kodomo_platform.settings import use_home

    try:
        for name in ("first", "second"):
            monkeypatch.setenv("KODOMO_HOME", str(tmp_path / name))
            use_home(None)
            assert operations.registered_municipalities() == []
            operations.register_municipality("112241", name, operations.by_pipeline("a test"))
            assert (tmp_path / name / "operations.sqlite3").exists()
    finally:
        operations.close()
        monkeypatch.undo()
        use_home(None)
