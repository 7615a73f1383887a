-- 保健室来室 / Health-room visits: one row per source_record_id × visited_on × visit_seq.
with source as not materialized (
    select * from {{ source('raw', 'raw_education__health_room') }}
),

rules as (
    {{ item_rules('education.health_room', ['student_number', 'visited_on', 'visit_seq', 'reason', 'rested_minutes']) }}
),

current_rows as (
    {{ current_rows(['student_number', 'visited_on', 'visit_seq', 'reason', 'rested_minutes']) }}
),

cleansed as (
    select
        -- ids
        {{ record_id('student_number') }},
        -- dates
        {{ staged_date('visited_on') }},
        -- codes
        {{ staged_code('reason') }},
        -- numbers
        {{ staged_int('visit_seq') }},
        {{ staged_int('rested_minutes') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id', 'visited_on', 'visit_seq']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- dates
        {{ item('visited_on') }},
        -- codes
        {{ item('reason', event_on='visited_on') }},
        -- numbers
        {{ item('visit_seq') }},
        {{ measure('rested_minutes', event_on='visited_on') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
