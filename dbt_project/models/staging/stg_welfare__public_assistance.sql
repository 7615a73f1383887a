-- 生活保護 / Public assistance: one row per source_record_id × started_on.
with source as not materialized (
    select * from {{ source('raw', 'raw_welfare__public_assistance') }}
),

rules as (
    {{ item_rules('welfare.public_assistance', ['resident_number', 'started_on', 'ended_on']) }}
),

current_rows as (
    {{ current_rows(['resident_number', 'started_on', 'ended_on']) }}
),

cleansed as (
    select
        -- ids
        {{ record_id('resident_number') }},
        -- dates
        {{ staged_date('started_on') }},
        {{ staged_date('ended_on') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id', 'started_on']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- dates
        {{ item('started_on') }},
        {{ item('ended_on') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
