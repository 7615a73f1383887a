-- 予防接種 / Vaccinations: one row per source_record_id × vaccine × vaccinated_on.
with source as not materialized (
    select * from {{ source('raw', 'raw_health__vaccination') }}
),

rules as (
    {{ item_rules('health.vaccination', ['resident_number', 'vaccine', 'vaccinated_on']) }}
),

current_rows as (
    {{ current_rows(['resident_number', 'vaccine', 'vaccinated_on']) }}
),

cleansed as (
    select
        -- ids
        {{ record_id('resident_number') }},
        -- dates
        {{ staged_date('vaccinated_on') }},
        -- codes
        {{ staged_code('vaccine') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id', 'vaccine', 'vaccinated_on']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- dates
        {{ item('vaccinated_on') }},
        -- codes
        {{ item('vaccine') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
