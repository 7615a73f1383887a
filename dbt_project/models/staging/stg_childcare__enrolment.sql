-- 保育入所 / Childcare enrolment: one row per source_record_id.
with source as not materialized (
    select * from {{ source('raw', 'raw_childcare__enrolment') }}
),

rules as (
    {{
        item_rules('childcare.enrolment', [
            'childcare_number', 'resident_number', 'name', 'name_kana', 'birth_date', 'sex', 'postal_code',
            'address', 'guardian_name', 'guardian_phone', 'facility_code', 'enrolled_on', 'left_on',
        ])
    }}
),

current_rows as (
    {{
        current_rows([
            'childcare_number', 'resident_number', 'name', 'name_kana', 'birth_date', 'sex', 'postal_code',
            'address', 'guardian_name', 'guardian_phone', 'facility_code', 'enrolled_on', 'left_on',
        ])
    }}
),

cleansed as (
    select
        -- ids
        {{ record_id('childcare_number') }},
        {{ staged_id('facility_code') }},
        -- identity
        {{
            identity_forms([
                'resident_number', 'name', 'name_kana', 'birth_date', 'sex', 'postal_code', 'address',
                'guardian_name', 'guardian_phone',
            ])
        }},
        -- dates
        {{ staged_date('enrolled_on') }},
        {{ staged_uncertain_date('left_on') }},
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
        {{ item('facility_code') }},
        -- identity
        {{ identity_columns() }},
        -- dates
        {{ item('enrolled_on') }},
        {{ uncertain_item('left_on') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ with_somebody_else() }}
    {{ not_superseded() }}
)

select * from final
