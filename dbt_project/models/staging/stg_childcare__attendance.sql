-- 登園 / Childcare attendance: one row per source_record_id × month.
with source as not materialized (
    select * from {{ source('raw', 'raw_childcare__attendance') }}
),

rules as (
    {{
        item_rules('childcare.attendance', [
            'childcare_number', 'month', 'open_days', 'absent_days', 'late_pickup_days', 'unpaid_yen',
        ])
    }}
),

current_rows as (
    {{ current_rows(['childcare_number', 'month', 'open_days', 'absent_days', 'late_pickup_days', 'unpaid_yen']) }}
),

cleansed as (
    select
        -- ids
        {{ record_id('childcare_number') }},
        -- dates
        {{ staged_month('month') }},
        -- numbers
        {{ staged_int('open_days') }},
        {{ staged_int('absent_days') }},
        {{ staged_int('late_pickup_days') }},
        {{ staged_int('unpaid_yen') }},
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
        {{ measure('open_days', event_on='month') }},
        {{ measure('absent_days', event_on='month') }},
        {{ measure('late_pickup_days', event_on='month') }},
        {{ measure('unpaid_yen', event_on='month') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
