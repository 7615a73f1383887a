-- 乳幼児健診 / Infant check-ups: one row per source_record_id × checkup.
with source as not materialized (
    select * from {{ source('raw', 'raw_health__infant_checkup') }}
),

rules as (
    {{
        item_rules('health.infant_checkup', [
            'resident_number', 'checkup', 'due_on', 'checked_on', 'result', 'untreated_cavities',
            'parenting_difficulty',
        ])
    }}
),

current_rows as (
    {{
        current_rows([
            'resident_number', 'checkup', 'due_on', 'checked_on', 'result', 'untreated_cavities',
            'parenting_difficulty',
        ])
    }}
),

cleansed as (
    select
        -- ids
        {{ record_id('resident_number') }},
        -- dates
        {{ staged_date('due_on') }},
        {{ staged_date('checked_on') }},
        -- codes
        {{ staged_code('checkup') }},
        {{ staged_code('result') }},
        {{ staged_code('parenting_difficulty') }},
        -- numbers
        {{ staged_int('untreated_cavities') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id', 'checkup']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- dates
        {{ item('due_on') }},
        {{ item('checked_on') }},
        -- codes
        {{ item('checkup') }},
        {{ item('result', event_on='due_on') }},
        {{ item('parenting_difficulty', event_on='due_on') }},
        -- numbers
        {{ measure('untreated_cavities', event_on='due_on') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
