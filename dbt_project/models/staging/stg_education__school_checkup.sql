-- 学校健康診断 / School check-up: one row per source_record_id × checked_on.
with source as not materialized (
    select * from {{ source('raw', 'raw_education__school_checkup') }}
),

rules as (
    {{
        item_rules('education.school_checkup', [
            'student_number', 'checked_on', 'height_cm', 'weight_kg', 'untreated_cavities', 'finding',
        ])
    }}
),

current_rows as (
    {{ current_rows(['student_number', 'checked_on', 'height_cm', 'weight_kg', 'untreated_cavities', 'finding']) }}
),

cleansed as (
    select
        -- ids
        {{ record_id('student_number') }},
        -- dates
        {{ staged_date('checked_on') }},
        -- codes
        {{ staged_code('finding') }},
        -- numbers
        {{ staged_decimal('height_cm') }},
        {{ staged_decimal('weight_kg') }},
        {{ staged_int('untreated_cavities') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id', 'checked_on']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- dates
        {{ item('checked_on') }},
        -- codes
        {{ item('finding', event_on='checked_on') }},
        -- numbers
        {{ measure('height_cm', event_on='checked_on') }},
        {{ measure('weight_kg', event_on='checked_on') }},
        {{ measure('untreated_cavities', event_on='checked_on') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
