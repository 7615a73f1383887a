-- 就学援助 / School-expense aid: one row per source_record_id × certified_on.
with source as not materialized (
    select * from {{ source('raw', 'raw_education__school_aid') }}
),

rules as (
    {{ item_rules('education.school_aid', ['student_number', 'certified_on', 'ended_on', 'category']) }}
),

current_rows as (
    {{ current_rows(['student_number', 'certified_on', 'ended_on', 'category']) }}
),

cleansed as (
    select
        -- ids
        {{ record_id('student_number') }},
        -- dates
        {{ staged_date('certified_on') }},
        {{ staged_date('ended_on') }},
        -- codes
        {{ staged_code('category') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id', 'certified_on']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- dates
        {{ item('certified_on') }},
        {{ item('ended_on') }},
        -- codes
        {{ item('category', event_on='certified_on') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
