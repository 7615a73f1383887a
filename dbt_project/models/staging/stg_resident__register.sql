-- 住民記録 / Resident register: one row per source_record_id.
with source as not materialized (
    select * from {{ source('raw', 'raw_resident__register') }}
),

rules as (
    {{
        item_rules('resident.register', [
            'resident_number', 'household_number', 'name', 'name_kana', 'alias_name', 'former_surname', 'birth_date',
            'sex', 'relationship', 'postal_code', 'address', 'became_resident_on', 'left_on', 'left_reason',
            'protection_measure', 'updated_on',
        ])
    }}
),

current_rows as (
    {{
        current_rows([
            'resident_number', 'household_number', 'name', 'name_kana', 'alias_name', 'former_surname', 'birth_date',
            'sex', 'relationship', 'postal_code', 'address', 'became_resident_on', 'left_on', 'left_reason',
            'protection_measure', 'updated_on',
        ])
    }}
),

cleansed as (
    select
        -- ids
        {{ record_id('resident_number') }},
        -- identity
        {{
            identity_forms([
                'resident_number', 'household_number', 'name', 'name_kana', 'alias_name', 'former_surname',
                'birth_date', 'sex', 'postal_code', 'address',
            ])
        }},
        -- dates
        {{ staged_uncertain_date('became_resident_on') }},
        {{ staged_uncertain_date('left_on') }},
        {{ staged_date('updated_on') }},
        -- codes
        {{ staged_code('relationship') }},
        {{ staged_code('left_reason') }},
        {{ staged_code('protection_measure') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

{{ rows_of_one_number(updated='updated_on') }},

final as (
    select
        -- ids
        coalesce(somebody_else.source_record_id, cleansed.source_record_id) as source_record_id,
        -- identity
        {{ identity_columns() }},
        -- dates
        {{ uncertain_item('became_resident_on') }},
        {{ uncertain_item('left_on') }},
        {{ item('updated_on') }},
        -- codes
        {{ item('relationship') }},
        {{ item('left_reason') }},
        {{ item('protection_measure') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ with_somebody_else() }}
    {{ not_superseded() }}
)

select * from final
