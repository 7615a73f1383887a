-- 家庭訪問 / Home visits: one row per source_record_id × visited_on.
with source as not materialized (
    select * from {{ source('raw', 'raw_health__home_visit') }}
),

rules as (
    {{ item_rules('health.home_visit', ['resident_number', 'visited_on', 'purpose', 'finding']) }}
),

current_rows as (
    {{ current_rows(['resident_number', 'visited_on', 'purpose', 'finding']) }}
),

cleansed as (
    select
        -- ids
        {{ record_id('resident_number') }},
        -- dates
        {{ staged_date('visited_on') }},
        -- codes
        {{ staged_code('purpose') }},
        {{ staged_code('finding') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id', 'visited_on']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- dates
        {{ item('visited_on') }},
        -- codes
        {{ item('purpose', event_on='visited_on') }},
        {{ item('finding', event_on='visited_on') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
