-- 児童手当等 / Child benefits: one row per source_record_id × benefit × started_on.
with source as not materialized (
    select * from {{ source('raw', 'raw_welfare__child_benefit') }}
),

rules as (
    {{ item_rules('welfare.child_benefit', ['resident_number', 'benefit', 'started_on', 'ended_on']) }}
),

current_rows as (
    {{ current_rows(['resident_number', 'benefit', 'started_on', 'ended_on']) }}
),

cleansed as (
    select
        -- ids
        {{ record_id('resident_number') }},
        -- dates
        {{ staged_date('started_on') }},
        {{ staged_date('ended_on') }},
        -- codes
        {{ staged_code('benefit') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id', 'benefit', 'started_on']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- dates
        {{ item('started_on') }},
        {{ item('ended_on') }},
        -- codes
        {{ item('benefit') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
