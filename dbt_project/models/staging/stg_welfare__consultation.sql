-- 家庭児童相談 / Child and family consultation: one row per source_record_id.
with source as not materialized (
    select * from {{ source('raw', 'raw_welfare__consultation') }}
),

rules as (
    {{
        item_rules('welfare.consultation', [
            'consultation_number', 'resident_number', 'name', 'name_kana', 'birth_date', 'sex', 'postal_code',
            'address', 'guardian_name', 'guardian_phone', 'consulted_on', 'topic', 'severity', 'reporter',
        ])
    }}
),

current_rows as (
    {{
        current_rows([
            'consultation_number', 'resident_number', 'name', 'name_kana', 'birth_date', 'sex', 'postal_code',
            'address', 'guardian_name', 'guardian_phone', 'consulted_on', 'topic', 'severity', 'reporter',
        ])
    }}
),

cleansed as (
    select
        -- ids
        {{ record_id('consultation_number') }},
        -- identity
        {{
            identity_forms([
                'resident_number', 'name', 'name_kana', 'birth_date', 'sex', 'postal_code', 'address',
                'guardian_name', 'guardian_phone',
            ])
        }},
        -- dates
        {{ staged_date('consulted_on') }},
        -- codes
        {{ staged_code('topic') }},
        {{ staged_code('severity') }},
        {{ staged_code('reporter') }},
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
        {{ item('consulted_on') }},
        -- codes
        {{ item('topic', event_on='consulted_on') }},
        {{ item('severity', event_on='consulted_on') }},
        {{ item('reporter', event_on='consulted_on') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ with_somebody_else() }}
    {{ not_superseded() }}
)

select * from final
