-- 出欠 / Attendance: one row per source_record_id × month.
with source as not materialized (
    select * from {{ source('raw', 'raw_education__attendance') }}
),

rules as (
    {{
        item_rules('education.attendance', [
            'student_number', 'month', 'school_days', 'absent_days', 'late_days', 'early_leave_days',
        ])
    }}
),

current_rows as (
    {{ current_rows(['student_number', 'month', 'school_days', 'absent_days', 'late_days', 'early_leave_days']) }}
),

cleansed as (
    select
        -- ids
        {{ record_id('student_number') }},
        -- dates
        {{ staged_month('month') }},
        -- numbers
        {{ staged_int('school_days') }},
        {{ staged_int('absent_days') }},
        {{ staged_int('late_days') }},
        {{ staged_int('early_leave_days') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

superseded as (
    {{ superseded_rows(['source_record_id', 'month']) }}
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- dates
        {{ item('month') }},
        -- numbers
        {{ measure('school_days', event_on='month') }},
        {{ measure('absent_days', event_on='month') }},
        {{ measure('late_days', event_on='month') }},
        {{ measure('early_leave_days', event_on='month') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
