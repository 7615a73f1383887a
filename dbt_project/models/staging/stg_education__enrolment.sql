-- 学齢簿・在籍 / School enrolment: one row per source_record_id.
with source as not materialized (
    select * from {{ source('raw', 'raw_education__enrolment') }}
),

rules as (
    {{
        item_rules('education.enrolment', [
            'student_number', 'resident_number', 'name', 'name_kana', 'birth_date', 'sex', 'postal_code', 'address',
            'guardian_name', 'guardian_phone', 'school_code', 'grade', 'class', 'enrolled_on', 'left_on',
        ])
    }}
),

current_rows as (
    {{
        current_rows([
            'student_number', 'resident_number', 'name', 'name_kana', 'birth_date', 'sex', 'postal_code', 'address',
            'guardian_name', 'guardian_phone', 'school_code', 'grade', 'class', 'enrolled_on', 'left_on',
        ])
    }}
),

cleansed as (
    select
        -- ids
        {{ record_id('student_number') }},
        {{ staged_id('school_code') }},
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
        -- numbers
        {{ staged_int('grade') }},
        -- text
        {{ staged_text('class') }},
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
        {{ item('school_code') }},
        -- identity
        {{ identity_columns() }},
        -- dates
        {{ item('enrolled_on') }},
        {{ uncertain_item('left_on') }},
        -- numbers
        {{ item('grade') }},
        -- text
        {{ item('class') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ with_somebody_else() }}
    {{ not_superseded() }}
)

select * from final
