-- 支援判定・支援記録 / Support decisions: one row per source_record_id × theme × assessed_on.
with source as not materialized (
    select * from {{ source('raw', 'raw_welfare__support') }}
),

rules as (
    {{
        item_rules('welfare.support', [
            'resident_number', 'theme', 'assessed_on', 'result', 'support_started_on', 'override_reason',
            'result_before',
        ])
    }}
),

current_rows as (
    {{
        current_rows([
            'resident_number', 'theme', 'assessed_on', 'result', 'support_started_on', 'override_reason',
            'result_before',
        ])
    }}
),

cleansed as (
    select
        -- ids
        {{ record_id('resident_number') }},
        -- dates
        {{ staged_date('assessed_on') }},
        {{ staged_date('support_started_on') }},
        -- codes
        {{ staged_code('theme') }},
        {{ staged_code('result') }},
        {{ staged_code('override_reason') }},
        {{ staged_code('result_before') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id', 'theme', 'assessed_on']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- dates
        {{ item('assessed_on') }},
        {{ item('support_started_on') }},
        -- codes
        {{ item('theme') }},
        {{ item('result', event_on='assessed_on') }},
        {{ item('override_reason', event_on='assessed_on') }},
        {{ item('result_before', event_on='assessed_on') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
