{{ config(materialized='table', schema='marts') }}

{#
  Every dated fact about a child. `is_seen`: somebody saw or spoke with the child that day (the end of the month where the
  source counts by month and the child was there at least once); a benefit paid out is not being seen.
#}
with link as (
    select
        source,
        source_record_id,
        child_id
    from {{ ref('lnk_crosswalk') }}
    where child_id is not null
),

final as (
    select
        l.child_id,
        l.source,
        {{ month_end('f.month') }} as event_date,
        f.school_days > f.absent_days as is_seen
    from {{ ref('stg_education__attendance') }} as f
    inner join link as l on l.source = 'education.attendance' and l.source_record_id = f.source_record_id
    union all
    select
        l.child_id,
        l.source,
        {{ month_end('f.month') }} as event_date,
        f.open_days > f.absent_days as is_seen
    from {{ ref('stg_childcare__attendance') }} as f
    inner join link as l on l.source = 'childcare.attendance' and l.source_record_id = f.source_record_id
    {%- for source, item, seen in [
        ('education.health_room', 'visited_on', 'true'),
        ('education.assessment', 'assessed_on', 'true'),
        ('education.school_checkup', 'checked_on', 'true'),
        ('education.counselling', 'counselled_on', 'true'),
        ('welfare.consultation', 'consulted_on', 'false'),
        ('welfare.case', 'opened_on', 'false'),
        ('welfare.support', 'assessed_on', 'false'),
        ('health.infant_checkup', 'checked_on', 'true'),
        ('health.vaccination', 'vaccinated_on', 'true'),
        ('health.home_visit', 'visited_on', 'true'),
        ('medical.flag', 'flagged_on', 'true'),
        ('survey.wellbeing', 'answered_on', 'true'),
        ('resident.moves', 'event_on', 'false'),
    ] %}
        union all
        select
            l.child_id,
            l.source,
            f.{{ item }} as event_date,
            {{ seen }} as is_seen
        from {{ ref('stg_' ~ source.replace('.', '__')) }} as f
        inner join link as l on l.source = '{{ source }}' and l.source_record_id = f.source_record_id
        where f.{{ item }} is not null
    {%- endfor %}
)

select
    child_id,
    source,
    event_date,
    coalesce(is_seen, false) as is_seen
from final
where event_date is not null
