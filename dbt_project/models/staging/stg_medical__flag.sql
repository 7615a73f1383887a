-- 医療機関フラグ / Hospital flags: one row per source_record_id × flagged_on × flag.
with source as not materialized (
    select * from {{ source('raw', 'raw_medical__flag') }}
),

rules as (
    {{
        item_rules('medical.flag', [
            'patient_number', 'flagged_on', 'flag', 'name', 'name_kana', 'birth_date', 'sex', 'postal_code',
            'address', 'guardian_phone', 'severity', 'department',
        ])
    }}
),

current_rows as (
    {{
        current_rows([
            'patient_number', 'flagged_on', 'flag', 'name', 'name_kana', 'birth_date', 'sex', 'postal_code',
            'address', 'guardian_phone', 'severity', 'department',
        ])
    }}
),

cleansed as (
    select
        -- ids
        {{ record_id('patient_number') }},
        -- identity
        {{ identity_forms(['name', 'name_kana', 'birth_date', 'sex', 'postal_code', 'address', 'guardian_phone']) }},
        -- dates
        {{ staged_date('flagged_on') }},
        -- codes
        {{ staged_code('flag') }},
        {{ staged_code('severity') }},
        -- text
        {{ staged_text('department') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id', 'flagged_on', 'flag']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- identity
        {{ identity_columns() }},
        -- dates
        {{ item('flagged_on') }},
        -- codes
        {{ item('flag') }},
        {{ item('severity', event_on='flagged_on') }},
        -- text
        {{ item('department', event_on='flagged_on') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
