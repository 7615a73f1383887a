-- 生活・心のアンケート / Wellbeing questionnaire: one row per source_record_id × answered_on.
with source as not materialized (
    select * from {{ source('raw', 'raw_survey__wellbeing') }}
),

rules as (
    {{
        item_rules('survey.wellbeing', [
            'student_number', 'answered_on', 'mood', 'sleep', 'friends', 'home', 'care_hours', 'adult_to_talk',
        ])
    }}
),

current_rows as (
    {{
        current_rows([
            'student_number', 'answered_on', 'mood', 'sleep', 'friends', 'home', 'care_hours', 'adult_to_talk',
        ])
    }}
),

cleansed as (
    select
        -- ids
        {{ record_id('student_number') }},
        -- dates
        {{ staged_date('answered_on') }},
        -- codes
        {{ staged_code('adult_to_talk') }},
        -- numbers
        {{ staged_int('mood') }},
        {{ staged_int('sleep') }},
        {{ staged_int('friends') }},
        {{ staged_int('home') }},
        {{ staged_int('care_hours') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id', 'answered_on']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- dates
        {{ item('answered_on') }},
        -- codes
        {{ item('adult_to_talk', event_on='answered_on') }},
        -- numbers
        {{ measure('mood', event_on='answered_on') }},
        {{ measure('sleep', event_on='answered_on') }},
        {{ measure('friends', event_on='answered_on') }},
        {{ measure('home', event_on='answered_on') }},
        {{ measure('care_hours', event_on='answered_on') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
