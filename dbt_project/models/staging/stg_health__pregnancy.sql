-- 妊娠届 / Pregnancy notification: one row per source_record_id.
with source as not materialized (
    select * from {{ source('raw', 'raw_health__pregnancy') }}
),

rules as (
    {{
        item_rules('health.pregnancy', [
            'resident_number', 'mother_number', 'notified_on', 'gestational_weeks', 'concern',
        ])
    }}
),

current_rows as (
    {{ current_rows(['resident_number', 'mother_number', 'notified_on', 'gestational_weeks', 'concern']) }}
),

cleansed as (
    select
        -- ids
        {{ record_id('resident_number') }},
        {{ staged_id('mother_number') }},
        -- dates
        {{ staged_date('notified_on') }},
        -- codes
        {{ staged_code('concern') }},
        -- numbers
        {{ staged_int('gestational_weeks') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        {{ item('mother_number') }},
        -- dates
        {{ item('notified_on') }},
        -- codes
        {{ item('concern', event_on='notified_on') }},
        -- numbers
        {{ measure('gestational_weeks', event_on='notified_on') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
