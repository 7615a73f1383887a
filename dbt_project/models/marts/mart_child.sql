{{ config(materialized='table', schema='marts') }}

{#
  The register (台帳): one row per child, identity and current facts. Identity zone: never joined into features, scores
  or reports. Each fact comes from the source that is most answerable for it: the residents' register first, then the
  school, childcare, the hospital and the consultation desk; within one source the latest extract.
#}
with link as (
    select
        source,
        source_record_id,
        child_id
    from {{ ref('lnk_crosswalk') }}
    where child_id is not null
),

identity_row as (
    {%- for source, priority in [
        ('resident.register', 1), ('education.enrolment', 2), ('childcare.enrolment', 3), ('welfare.case', 4),
        ('welfare.consultation', 5), ('medical.flag', 6),
    ] %}
        {{ 'union all' if not loop.first }}
        select
            l.child_id,
            l.source,
            {{ priority }} as priority,
            f.source_record_id,
            f.name,
            f.name_kana,
            f.birth_date,
            f.sex,
            f.address,
            f.postal_code,
            f.resident_number,
            {% if source in ('education.enrolment', 'childcare.enrolment', 'welfare.consultation') -%}
                f.guardian_name,
            {%- else -%}
                cast(null as varchar) as guardian_name,
            {%- endif %}
            {% if source in ('education.enrolment', 'childcare.enrolment', 'welfare.consultation', 'medical.flag') -%}
                f.guardian_phone,
            {%- else -%}
                cast(null as varchar) as guardian_phone,
            {%- endif %}
            {% if source in ('resident.register', 'education.enrolment', 'childcare.enrolment') -%}
                f.left_on,
            {%- else -%}
                cast(null as date) as left_on,
            {%- endif %}
            {% if source == 'education.enrolment' -%}
                f.school_code,
                cast(f.grade as bigint) as grade,
                f.class,
            {%- else -%}
                cast(null as varchar) as school_code,
                cast(null as bigint) as grade,
                cast(null as varchar) as class,
            {%- endif %}
            {% if source == 'childcare.enrolment' -%}
                f.facility_code,
            {%- else -%}
                cast(null as varchar) as facility_code,
            {%- endif %}
            f._extract_date
        from {{ ref('stg_' ~ source.replace('.', '__')) }} as f
        inner join link as l on l.source = '{{ source }}' and l.source_record_id = f.source_record_id
        {# consent to single items of a source shows none of its facts about the person #}
        inner join {{ ref('lnk_child_consent') }} as c
            on l.child_id = c.child_id and list_contains(c.open_domains, '{{ source.split('.')[0] }}')
    {%- endfor %}
),

ranked as (
    select
        *,
        {# a place that was left counts after any other: smallest number wins in min_by #}
        priority * 2 + case when left_on is null then 0 else 1 end as preference,
        case when left_on is null then 0 else 1 end as has_left
    from identity_row
),

ordered as (
    select
        *,
        row_number() over (
            partition by child_id
            order by preference asc, _extract_date desc, source_record_id asc
        ) as place
    from ranked
),

merged as (
    select
        child_id,
        arg_min(name, place) filter (where name is not null) as name,
        arg_min(name_kana, place) filter (where name_kana is not null) as name_kana,
        arg_min(birth_date, place) filter (where birth_date is not null) as birth_date,
        arg_min(sex, place) filter (where sex is not null and sex != 'unknown') as sex,
        arg_min(address, place) filter (where address is not null) as address,
        arg_min(postal_code, place) filter (where postal_code is not null) as postal_code,
        arg_min(resident_number, place) filter (where source = 'resident.register') as resident_number,
        arg_min(school_code, place) filter (where source = 'education.enrolment' and has_left = 0) as school_code,
        arg_min(grade, place) filter (where source = 'education.enrolment' and has_left = 0) as grade,
        arg_min(class, place) filter (where source = 'education.enrolment' and has_left = 0) as class,
        arg_min(facility_code, place) filter (where source = 'childcare.enrolment' and has_left = 0) as facility_code,
        arg_min(guardian_name, place) filter (where guardian_name is not null) as guardian_name,
        arg_min(guardian_phone, place) filter (where guardian_phone is not null) as guardian_phone,
        bool_or(source = 'resident.register') as has_register,
        bool_or(source = 'resident.register' and left_on is null) as is_registered
    from ordered
    group by child_id
),

{# One protected record protects the child; which records are is decided in lnk_protected and nowhere else. #}
protected as (
    select distinct l.child_id
    from link as l
    inner join {{ ref('lnk_protected') }} as p on l.source = p.source and l.source_record_id = p.source_record_id
),

sources as (
    select
        child_id,
        string_agg(distinct source, ',' order by source) as sources
    from link
    group by child_id
),

last_seen as (
    select
        e.child_id,
        max(e.event_date) as last_seen_on
    from {{ ref('mart_child_event') }} as e
    cross join {{ source('cfg', 'run') }} as r
    where e.is_seen and e.event_date <= r.as_of_date
    group by e.child_id
),

household as (
    select
        child_id,
        min(household_id) as household_id
    from {{ ref('lnk_household') }}
    group by child_id
),

question as (
    select
        child_id,
        question
    from {{ ref('lnk_question') }}
),

final as (
    select
        m.child_id,
        m.name,
        m.name_kana,
        m.birth_date,
        coalesce(m.sex, 'unknown') as sex,
        h.household_id,
        m.address,
        m.postal_code,
        m.school_code,
        m.grade,
        m.class,
        m.facility_code,
        case when p.child_id is null then 'none' else 'active' end as protection_measure,
        m.resident_number,
        m.guardian_name,
        m.guardian_phone,
        cast(date_sub('year', m.birth_date, r.as_of_date) as bigint) as age_years,
        case when m.has_register then m.is_registered end as is_resident,
        s.sources,
        e.last_seen_on,
        q.question as linkage_question,
        r.as_of_date
    from merged as m
    cross join {{ source('cfg', 'run') }} as r
    left join household as h on m.child_id = h.child_id
    left join protected as p on m.child_id = p.child_id
    left join sources as s on m.child_id = s.child_id
    left join last_seen as e on m.child_id = e.child_id
    left join question as q on m.child_id = q.child_id
)

select
    child_id,
    name,
    name_kana,
    birth_date,
    sex,
    household_id,
    address,
    postal_code,
    school_code,
    grade,
    class,
    facility_code,
    protection_measure,
    resident_number,
    guardian_name,
    guardian_phone,
    age_years,
    is_resident,
    sources,
    last_seen_on,
    linkage_question,
    as_of_date
from final
order by child_id
