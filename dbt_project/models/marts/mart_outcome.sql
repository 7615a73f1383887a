{{ config(materialized='table', schema='marts') }}

{#
  What happened, for training and for measuring: never an input. One row per child, theme and date.

  School refusal: 30 days of absence within a school year (MEXT, survey on problematic behaviour and school refusal;
  the attendance extract does not say why, so all absences count). Dated at the end of the month that reaches 30.
#}
with link as (
    select
        source,
        source_record_id,
        child_id
    from {{ ref('lnk_crosswalk') }}
    where child_id is not null
),

monthly as (
    select
        l.child_id,
        {{ month_end('f.month') }} as month_end,
        sum(f.absent_days) as absent_days
    from {{ ref('stg_education__attendance') }} as f
    inner join link as l on l.source = 'education.attendance' and l.source_record_id = f.source_record_id
    group by all
),

cumulated as (
    select
        child_id,
        month_end,
        year(month_end - interval 3 month) as school_year,
        sum(absent_days) over (
            partition by child_id, year(month_end - interval 3 month)
            order by month_end
        ) as absent_days_so_far
    from monthly
),

refusal as (
    select
        child_id,
        'school_refusal' as theme,
        min(month_end) as outcome_date,
        'education.attendance' as source
    from cumulated
    where absent_days_so_far >= 30
    group by child_id, school_year
),

abuse as (
    select
        l.child_id,
        'abuse' as theme,
        f.opened_on as outcome_date,
        l.source
    from {{ ref('stg_welfare__case') }} as f
    inner join link as l on l.source = 'welfare.case' and l.source_record_id = f.source_record_id
    where f.category = 'needs_protection' and f.opened_on is not null
),

support as (
    select
        l.child_id,
        f.theme,
        f.assessed_on as outcome_date,
        l.source
    from {{ ref('stg_welfare__support') }} as f
    inner join link as l on l.source = 'welfare.support' and l.source_record_id = f.source_record_id
    where f.result = 'needs_support' and f.assessed_on is not null and f.theme not in ('school_refusal', 'abuse')
),

flagged as (
    select
        l.child_id,
        'hospital_flag' as theme,
        f.flagged_on as outcome_date,
        l.source
    from {{ ref('stg_medical__flag') }} as f
    inner join link as l on l.source = 'medical.flag' and l.source_record_id = f.source_record_id
    where f.severity = 'high' and f.flagged_on is not null
),

final as (
    select
        child_id,
        theme,
        outcome_date,
        source
    from refusal
    union
    select
        child_id,
        theme,
        outcome_date,
        source
    from abuse
    union
    select
        child_id,
        theme,
        outcome_date,
        source
    from support
    union
    select
        child_id,
        theme,
        outcome_date,
        source
    from flagged
)

select
    child_id,
    theme,
    outcome_date,
    source
from final
order by child_id, theme, outcome_date, source
