"""A tiny warehouse by hand, as the steps before publishing leave one: three children, two grown-ups, one theme.

Used by the unit and integration tests of publishing. Real extracts and models belong to the tests of the whole chain.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb

from kodomo_platform.warehouse import create_schemas

CODE = "112241"
AS_OF = date(2026, 10, 1)
RUN = "run-1"
FILE = "a" * 64
OLD_FILE = "b" * 64
NAME = "山田 花子"


@dataclass(frozen=True)
class Town:
    """As much of a municipality's configuration as publishing reads."""

    code: str = CODE
    population: int = 100

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        return {"code": self.code, "population": self.population}


def reasons() -> str:
    return json.dumps(
        [
            {
                "item": "education.attendance.absent_days",
                "feature": "absent_rate_3m",
                "value": 12,
                "status": "present",
                "contribution": 0.8,
            },
            {"item": "health_room_3m", "value": 0, "status": "present", "contribution": -0.1},
            {"item": "consultations_12m", "value": None, "status": "not_linked", "contribution": 0.0},
        ]
    )


def fill(con: duckdb.DuckDBPyConnection, *, run_id: str = RUN, as_of: date = AS_OF) -> None:
    """Create and fill every table that publishing reads."""
    create_schemas(con)
    day = f"date '{as_of}'"
    con.execute(
        f"""
        create or replace table raw.files as select * from (values
          ('resident.register', {day}, 'juki.csv', '{FILE}', 5, 5, 0, 'cp932', timestamp '2026-10-01 01:00:00', true),
          ('education.attendance', {day}, 'kessek.csv', '{OLD_FILE}', 4, 3, 1, 'cp932',
           timestamp '2026-10-01 01:00:00', true)
        ) as t(source, extract_date, file_name, sha256, rows_in, rows_loaded, rows_rejected, encoding, loaded_at,
               active);
        create or replace table raw.rejects as select 'education.attendance' as source, {day} as extract_date,
          'kessek.csv' as source_file, '{OLD_FILE}' as source_file_sha256, 4::bigint as row_number,
          'too_few_fields' as reason, null::varchar as item;
        create or replace table linkage.lnk_crosswalk as select * from (values
          ('resident.register', '1001', 'C-1', 'number', 1.0, '{FILE}', 1::bigint),
          ('resident.register', '1002', 'C-2', 'number', 1.0, '{FILE}', 2),
          ('resident.register', '1003', 'C-3', 'new', 1.0, '{FILE}', 3),
          ('resident.register', '9001', null, 'new', 1.0, '{FILE}', 4),
          ('education.attendance', 'S-1', 'C-1', 'probabilistic', 0.97, '{OLD_FILE}', 1),
          ('education.attendance', 'S-2', 'C-2', 'number', 1.0, '{OLD_FILE}', 3)
        ) as t(source, source_record_id, child_id, match_method, match_probability, source_file_sha256,
               source_row_number);
        create or replace table staging.stg_resident__register as select r as source_record_id,
          {day} as _extract_date, '{FILE}' as _source_file_sha256, n::bigint as _row_number
          from (values ('1001', 1), ('1002', 2), ('1003', 3), ('9001', 4)) as t(r, n);
        create or replace table staging.stg_education__attendance as select r as source_record_id,
          {day} as _extract_date, '{OLD_FILE}' as _source_file_sha256, n::bigint as _row_number
          from (values ('S-1', 2), ('S-1', 1), ('S-2', 3)) as t(r, n);
        create or replace table marts.mart_child as select c as child_id, '{NAME}' as name, 'ヤマダハナコ' as name_kana,
          date '2015-04-02' as birth_date, 'female' as sex, 'H-1' as household_id, '戸田市本町1-2-3' as address,
          '3350023' as postal_code, 'sch1' as school_code, 5 as grade, '1組' as class, null::varchar as facility_code,
          'none' as protection_measure, '1001' as resident_number, '山田 太郎' as guardian_name,
          '048-000-0000' as guardian_phone, 11::hugeint as age_years, true as is_resident,
          ['resident.register'] as sources, {day} as last_seen_on
          from (values ('C-3'), ('C-1'), ('C-2')) as t(c);
        create or replace table marts.mart_child_features as select c as child_id, {day} as as_of_date,
          'H-1' as household_id, d::double as absent_rate_3m, 'present' as absent_rate_3m__status,
          0::hugeint as health_room_3m, 'present' as health_room_3m__status,
          null::double as consultations_12m, 'not_linked' as consultations_12m__status
          from (values ('C-1', 12), ('C-2', 1), ('C-3', 0)) as t(c, d);
        create or replace table marts.risk_scores as select c as child_id, 'school_refusal' as theme,
          {day} as as_of_date, s as score, s - 0.05 as score_low, s + 0.05 as score_high, r::bigint as rank,
          b as band, b = 'high' as alert, true as determinable, null::varchar as undetermined_reason,
          '{reasons()}'::json as reasons, '[]'::json as rule_hits, 'sv1' as score_version,
          'school_refusal_ebm' as model_name, '3' as model_version, 'mlrun-9' as mlflow_run_id,
          '{run_id}' as dagster_run_id, 'fh' as feature_hash, 'ch' as criteria_hash, 'abc123' as code_version,
          'ranked' as list, null::date as known_since
          from (values ('C-1', 0.7, 1, 'high'), ('C-2', 0.2, 2, 'low'), ('C-3', 0.1, 3, 'low')) as t(c, s, r, b);
        create or replace table marts.unseen as select 'C-3' as child_id, 'school_refusal' as theme, {day} as as_of_date,
          'never' as kind, true as alarm, null::double as days_since_seen, '姿を確認した記録が一度もありません' as sentence_ja,
          'No source has ever seen this child' as sentence_en;
        create or replace table marts.mart_flag as select 'C-2' as child_id, date '2026-09-28' as flagged_on,
          'neglect_sign' as flag, 'high' as severity, '小児科' as department, 'P-1' as source_record_id,
          '{FILE}' as source_file_sha256, 9::bigint as source_row_number, {day} as extract_date;
        create or replace table linkage.lnk_child_consent as select c as child_id, 'not_needed' as state,
          ['resident', 'education'] as open_domains, []::varchar[] as open_items, null::varchar[] as themes,
          null::date as decided_on, null::date as valid_until, null::varchar as given_by, null::varchar as route,
          null::varchar as evidence, null::varchar as source_file_sha256, null::bigint as source_row_number
          from (values ('C-1'), ('C-2'), ('C-3')) as t(c);
        create or replace table marts.mart_withheld as select 'C-9' as child_id, 'withdrawn' as state,
          date '2026-09-20' as since;
        create or replace table quality.quarantine as select {day} as as_of_date, 'education.fees' as source,
          {day} as extract_date, 'f1' as source_file_sha256, 3 as row_number, 'unreadable_day' as reason,
          'month' as item, 'row' as extent, '学務課' as asked_of;
        create table if not exists quality.results(run_id varchar, as_of_date date, table_name varchar, item varchar,
          expectation varchar, kind varchar, severity varchar, evaluated bigint, unexpected bigint, percent double,
          threshold double, status varchar, passed boolean, label_ja varchar, label_en varchar, extract_date date);
        delete from quality.results where run_id = '{run_id}';
        insert into quality.results values
          ('{run_id}', {day}, 'mart_child', 'child_id', 'unique', 'conformance', 'critical', 3, 0, 0, 0, 'passed', true,
           '子どもIDは一意', 'child ids are unique', null),
          ('{run_id}', {day}, 'mart_child', 'name_kana', 'not_blank', 'completeness', 'warning', 3, 1, 33.3, 5,
           'failed', false, 'カナがある', 'kana is there', null);
        """
    )
