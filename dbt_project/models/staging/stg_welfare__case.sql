-- 要保護児童等ケース / Child-protection cases: one row per source_record_id.
with source as not materialized (
    select * from {{ source('raw', 'raw_welfare__case') }}
),

rules as (
    {{
        item_rules('welfare.case', [
            'case_number', 'resident_number', 'name', 'name_kana', 'birth_date', 'sex', 'address', 'opened_on',
            'closed_on', 'category', 'abuse_type', 'severity',
        ])
    }}
),

current_rows as (
    {{
        current_rows([
            'case_number', 'resident_number', 'name', 'name_kana', 'birth_date', 'sex', 'address', 'opened_on',
            'closed_on', 'category', 'abuse_type', 'severity',
        ])
    }}
),

cleansed as (
    select
        -- ids
        {{ record_id('case_number') }},
        -- identity
        {{ identity_forms(['resident_number', 'name', 'name_kana', 'birth_date', 'sex', 'address']) }},
        -- dates
        {{ staged_date('opened_on') }},
        {{ staged_date('closed_on') }},
        -- codes
        {{ staged_code('category') }},
        {{ staged_code('abuse_type') }},
        {{ staged_code('severity') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

{{ rows_of_one_number() }},

final as (
    select
        -- ids
        coalesce(somebody_else.source_record_id, cleansed.source_record_id) as source_record_id,
        -- identity
        {{ identity_columns() }},
        -- dates
        {{ item('opened_on') }},
        {{ item('closed_on') }},
        -- codes
        {{ item('category', event_on='opened_on') }},
        {{ item('abuse_type', event_on='opened_on') }},
        {{ item('severity', event_on='opened_on') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ with_somebody_else() }}
    {{ not_superseded() }}
)

select * from final
