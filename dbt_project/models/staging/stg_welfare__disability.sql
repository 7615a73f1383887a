-- 障害者手帳 / Disability certificates: one row per source_record_id × certificate × issued_on.
with source as not materialized (
    select * from {{ source('raw', 'raw_welfare__disability') }}
),

rules as (
    {{ item_rules('welfare.disability', ['resident_number', 'certificate', 'grade', 'issued_on', 'expires_on']) }}
),

current_rows as (
    {{ current_rows(['resident_number', 'certificate', 'grade', 'issued_on', 'expires_on']) }}
),

cleansed as (
    select
        -- ids
        {{ record_id('resident_number') }},
        -- dates
        {{ staged_date('issued_on') }},
        {{ staged_date('expires_on') }},
        -- codes
        {{ staged_code('certificate') }},
        -- numbers
        {{ staged_int('grade') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id', 'certificate', 'issued_on']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- dates
        {{ item('issued_on') }},
        {{ item('expires_on') }},
        -- codes
        {{ item('certificate') }},
        -- numbers
        {{ measure('grade', event_on='issued_on') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
