-- 同意記録 / Consent records: one row per source_record_id × consented_on × scope.
with source as not materialized (
    select * from {{ source('raw', 'raw_consent__record') }}
),

rules as (
    {{
        item_rules('consent.record', [
            'resident_number', 'consented_on', 'valid_from', 'valid_until', 'withdrawn_on', 'scope',
        ])
    }}
),

current_rows as (
    {{ current_rows(['resident_number', 'consented_on', 'valid_from', 'valid_until', 'withdrawn_on', 'scope']) }}
),

cleansed as (
    select
        -- ids
        {{ record_id('resident_number') }},
        -- dates
        {{ staged_date('consented_on') }},
        {{ staged_date('valid_from') }},
        {{ staged_date('valid_until') }},
        {{ staged_date('withdrawn_on') }},
        -- codes
        {{ staged_code('scope') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id', 'consented_on', 'scope']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- dates
        {{ item('consented_on') }},
        {{ item('valid_from') }},
        {{ item('valid_until') }},
        {{ item('withdrawn_on') }},
        -- codes
        {{ item('scope') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
