-- 住民異動 / Resident moves: one row per source_record_id × event_on × event.
with source as not materialized (
    select * from {{ source('raw', 'raw_resident__moves') }}
),

rules as (
    {{ item_rules('resident.moves', ['resident_number', 'event_on', 'event']) }}
),

current_rows as (
    {{ current_rows(['resident_number', 'event_on', 'event']) }}
),

cleansed as (
    select
        -- ids
        {{ record_id('resident_number') }},
        -- dates
        {{ staged_date('event_on') }},
        -- codes
        {{ staged_code('event') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id', 'event_on', 'event']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- dates
        {{ item('event_on') }},
        -- codes
        {{ item('event') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
