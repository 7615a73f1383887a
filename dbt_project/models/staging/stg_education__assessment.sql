-- 学力調査 / Academic assessment: one row per source_record_id × assessed_on.
with source as not materialized (
    select * from {{ source('raw', 'raw_education__assessment') }}
),

rules as (
    {{ item_rules('education.assessment', ['student_number', 'assessed_on', 'japanese_score', 'mathematics_score']) }}
),

current_rows as (
    {{ current_rows(['student_number', 'assessed_on', 'japanese_score', 'mathematics_score']) }}
),

cleansed as (
    select
        -- ids
        {{ record_id('student_number') }},
        -- dates
        {{ staged_date('assessed_on') }},
        -- numbers
        {{ staged_decimal('japanese_score') }},
        {{ staged_decimal('mathematics_score') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id', 'assessed_on']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- dates
        {{ item('assessed_on') }},
        -- numbers
        {{ measure('japanese_score', event_on='assessed_on') }},
        {{ measure('mathematics_score', event_on='assessed_on') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
