"""The linkage model as an artefact: trained, recorded, approved by a person, hash-checked, used by the next run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from kodomo_platform import operations
from kodomo_platform.errors import KodomoError, LinkageError
from kodomo_platform.linkage import load_known_ids, registry
from kodomo_platform.linkage.blind_test import BlindTest, blind_test
from kodomo_platform.linkage.engine import standing_model
from kodomo_platform.linkage.model import SHIPPED, load_model
from kodomo_platform.linkage.model_report import report_data, report_html
from kodomo_platform.linkage.training import train_linkage_model
from kodomo_platform.settings import get_settings
from tests.integration.linked_town import CODE, GIVEN, SURNAMES, linked_town

# MLflow's own code uses calls that SQLAlchemy and others have deprecated
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def town(home: Path) -> Iterator[Path]:
    yield linked_town(get_settings().warehouse(CODE), children=260)
    operations.close()


@pytest.mark.slow
def test_a_version_is_recorded_approved_used_and_never_replaced_in_silence(
    town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = registry.train_and_record(CODE, [town], run_id="dagster-1", code_version="abc")
    assert report.floor == "met"
    assert report.labelled_pairs >= 100
    assert report.test.tp > 80
    assert report.test.fp == 0
    (version,) = registry.versions(CODE)
    assert (version.version, version.artifact_sha256) == (report.version, report.artifact_sha256)
    assert version.aliases == ("challenger",)

    con = duckdb.connect()
    load_known_ids(con, CODE)
    assert standing_model(con).sha256 == load_model(SHIPPED).sha256  # trained is not approved
    with pytest.raises(KodomoError, match="reason"):
        registry.approve(CODE, by="担当", reason="")
    registry.approve(CODE, by="担当", reason="検証済み")
    load_known_ids(con, CODE)
    assert standing_model(con).sha256 == report.artifact_sha256

    # lost locally: brought back from MLflow and checked
    path = registry.model_path(CODE, report.artifact_sha256)
    report_text = path.read_text(encoding="utf-8")
    path.unlink()
    load_known_ids(con, CODE)
    assert path.exists()

    # a file of another content under the approved name, hashed anew so that it looks whole
    other = json.loads(SHIPPED.read_text(encoding="utf-8"))
    path.write_text(json.dumps(other), encoding="utf-8")
    with pytest.raises(LinkageError, match="not the one that was approved"):
        load_known_ids(con, CODE)
    path.write_text(path.read_text(encoding="utf-8").replace("0.99", "0.5"), encoding="utf-8")
    with pytest.raises(LinkageError, match="altered"):
        load_known_ids(con, CODE)

    # a version that does worse than the standing one can be recorded, not approved
    path.write_text(report_text, encoding="utf-8")
    monkeypatch.setattr(registry, "floor_of", lambda test, standing: "3 false pairs, the standing model 0")
    assert registry.train_and_record(CODE, [town]).version == "2"
    with pytest.raises(LinkageError, match="does worse"):
        registry.approve(CODE, by="担当", reason="急ぎ")
    registry.reject(CODE, by="担当", reason="精度が下がる")

    registry.retire(CODE, by="担当", reason="点検")
    load_known_ids(con, CODE)
    assert standing_model(con).version == load_model(SHIPPED).version
    con.close()


def test_the_warehouse_s_copy_of_the_model_is_checked_too(town: Path) -> None:
    con = duckdb.connect()
    load_known_ids(con, CODE)
    shipped = load_model()
    con.execute("insert into ops.linkage_model values ('1', 'another', ?)", [shipped.text])
    with pytest.raises(LinkageError, match="not the approved one"):
        standing_model(con)
    con.close()


def test_training_twice_gives_the_same_bytes_and_the_charts_load_nothing(town: Path, tmp_path: Path) -> None:
    models = [train_linkage_model([town], tmp_path / f"{turn}.json", version="2") for turn in range(2)]
    assert models[0].text == models[1].text
    test, standing = blind_test(town, models[0]), blind_test(town, load_model())
    assert registry.floor_of(test, standing) == "met"
    data = report_data(models[0], load_model(), test, standing, "met")
    page = report_html(CODE, data)
    assert not re.search(r"https?://|<link|src=|@import|url\(", page)
    for part in ("Match weights", "m と u", "Threshold tool", "Waterfalls", "Precision and recall"):
        assert part in page
    everything = page + json.dumps(data, ensure_ascii=False)
    assert not [name for name in (*SURNAMES, *GIVEN) if name in everything]


def test_the_floor_says_what_got_worse() -> None:
    def counted(tp: int, fp: int, fn: int) -> BlindTest:
        return BlindTest(100, tp, fp, fn, 0, (), ())

    assert registry.floor_of(counted(1000, 0, 3), counted(1000, 0, 2)) == "met"
    assert "1 false pairs" in registry.floor_of(counted(1000, 1, 0), counted(990, 0, 10))
    assert "recall" in registry.floor_of(counted(990, 0, 10), counted(1000, 0, 0))
    assert "unknown" in registry.floor_of(counted(0, 0, 0), counted(0, 0, 0))


def test_without_numbers_there_is_nothing_to_learn_from(home: Path, tmp_path: Path) -> None:
    path = linked_town(get_settings().warehouse(CODE), children=20)
    with pytest.raises(LinkageError, match="too few"):
        train_linkage_model([path], tmp_path / "m.json", version="2")
    with pytest.raises(LinkageError, match="was not linked"):
        train_linkage_model([home / "nowhere.duckdb"], tmp_path / "m.json", version="2")
    operations.close()
