-- 教育相談 / School counselling: one row per source_record_id × counselled_on × topic.
with source as not materialized (
    select * from {{ source('raw', 'raw_education__counselling') }}
),

rules as (
    {{ item_rules('education.counselling', ['student_number', 'counselled_on', 'counsellor', 'topic', 'severity']) }}
),

current_rows as (
    {{ current_rows(['student_number', 'counselled_on', 'counsellor', 'topic', 'severity']) }}
),

cleansed as (
    select
        -- ids
        {{ record_id('student_number') }},
        -- dates
        {{ staged_date('counselled_on') }},
        -- codes
        {{ staged_code('counsellor') }},
        {{ staged_code('topic') }},
        {{ staged_code('severity') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id', 'counselled_on', 'topic']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- dates
        {{ item('counselled_on') }},
        -- codes
        {{ item('counsellor', event_on='counselled_on') }},
        {{ item('topic') }},
        {{ item('severity', event_on='counselled_on') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
