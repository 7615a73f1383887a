-- 学校徴収金 / School fees: one row per source_record_id × month.
with source as not materialized (
    select * from {{ source('raw', 'raw_education__fees') }}
),

rules as (
    {{ item_rules('education.fees', ['student_number', 'month', 'unpaid_yen', 'unpaid_months']) }}
),

current_rows as (
    {{ current_rows(['student_number', 'month', 'unpaid_yen', 'unpaid_months']) }}
),

cleansed as (
    select
        -- ids
        {{ record_id('student_number') }},
        -- dates
        {{ staged_month('month') }},
        -- numbers
        {{ staged_int('unpaid_yen') }},
        {{ staged_int('unpaid_months') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id', 'month']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- dates
        {{ item('month') }},
        -- numbers
        {{ measure('unpaid_yen', event_on='month') }},
        {{ measure('unpaid_months', event_on='month') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
