-- Which child every record of every source belongs to. Fact sources inherit through their system's record number; the
-- newest row of a record tells where it was read. Records of adults, and records no identity source knows, have no row.
{%- set facts = [
    ('resident.moves', ref('stg_resident__moves')),
    ('education.attendance', ref('stg_education__attendance')),
    ('education.health_room', ref('stg_education__health_room')),
    ('education.assessment', ref('stg_education__assessment')),
    ('education.school_checkup', ref('stg_education__school_checkup')),
    ('education.counselling', ref('stg_education__counselling')),
    ('education.fees', ref('stg_education__fees')),
    ('education.school_aid', ref('stg_education__school_aid')),
    ('childcare.attendance', ref('stg_childcare__attendance')),
    ('welfare.child_benefit', ref('stg_welfare__child_benefit')),
    ('welfare.public_assistance', ref('stg_welfare__public_assistance')),
    ('welfare.disability', ref('stg_welfare__disability')),
    ('welfare.support', ref('stg_welfare__support')),
    ('health.pregnancy', ref('stg_health__pregnancy')),
    ('health.infant_checkup', ref('stg_health__infant_checkup')),
    ('health.vaccination', ref('stg_health__vaccination')),
    ('health.home_visit', ref('stg_health__home_visit')),
    ('survey.wellbeing', ref('stg_survey__wellbeing')),
    ('consent.record', ref('stg_consent__record'))
] %}
with fact_records as (
    {%- for source, model in facts %}
        select
            '{{ source }}' as source,
            staged.source_record_id,
            max_by(
                { 'sha256': staged._source_file_sha256, 'row': staged._row_number },
                (staged._extract_date, staged._row_number)
            ) as newest
        from {{ model }} as staged
        where staged.source_record_id is not null
        group by staged.source_record_id
        {% if not loop.last %}union all{% endif %}
    {%- endfor %}
),

identified as (
    select
        systems.id_system,
        lnk_cluster.source,
        lnk_cluster.source_record_id,
        lnk_cluster.child_id,
        lnk_cluster.match_method,
        lnk_cluster.match_probability,
        lnk_cluster.source_file_sha256,
        lnk_cluster.source_row_number
    from {{ ref('lnk_cluster') }} as lnk_cluster
    inner join {{ source('cfg', 'source') }} as systems on lnk_cluster.source = systems.source
    where lnk_cluster.child_id is not null
),

final as (
    select
        identified.source,
        identified.source_record_id,
        identified.child_id,
        identified.match_method,
        identified.match_probability,
        identified.source_file_sha256,
        identified.source_row_number
    from identified
    union all
    select
        fact_records.source,
        fact_records.source_record_id,
        identified.child_id,
        identified.match_method,
        identified.match_probability,
        fact_records.newest.sha256 as source_file_sha256,
        fact_records.newest.row as source_row_number
    from fact_records
    inner join {{ source('cfg', 'source') }} as systems on fact_records.source = systems.source
    inner join identified
        on
            systems.id_system = identified.id_system
            and fact_records.source_record_id = identified.source_record_id
)

select
    final.source,
    final.source_record_id,
    final.child_id,
    final.match_method,
    final.match_probability,
    final.source_file_sha256,
    final.source_row_number
from final
order by final.source, final.source_record_id
