-- Which child every record of every source belongs to. Fact sources inherit through their system's record number; the
-- newest row of a record tells where it was read. A resident number that the register does not hold (its row could not
-- be read, or the person lives elsewhere) is whose records bear it, if that is one child. Records of adults, and those
-- that no identity source knows, have no row: a number without name and birth date tells neither a child from an adult
-- nor whose it is, and an id given to it could not be kept when the person's own record arrives. The fact stays in
-- staging and follows as soon as one record names the person.
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

questioned as (
    select
        lnk_edge.left_source as source,
        lnk_edge.left_record as source_record_id
    from {{ ref('lnk_edge') }} as lnk_edge
    where lnk_edge.kind = 'conflict'
    union
    select
        lnk_edge.right_source as source,
        lnk_edge.right_record as source_record_id
    from {{ ref('lnk_edge') }} as lnk_edge
    where lnk_edge.kind = 'conflict'
),

borne as (
    select
        lnk_identity.resident_number,
        min(lnk_cluster.child_id) as child_id
    from {{ ref('lnk_identity') }} as lnk_identity
    inner join {{ ref('lnk_cluster') }} as lnk_cluster
        on
            lnk_identity.source = lnk_cluster.source
            and lnk_identity.source_record_id = lnk_cluster.source_record_id
    left join questioned
        on
            lnk_identity.source = questioned.source
            and lnk_identity.source_record_id = questioned.source_record_id
    where lnk_identity.source <> 'resident.register' and lnk_identity.resident_number <> ''
    group by lnk_identity.resident_number
    having
        count(distinct lnk_cluster.child_id) = 1
        and count(lnk_cluster.child_id) = count(*)
        and count(questioned.source) = 0
),

registered as (
    select lnk_identity.source_record_id
    from {{ ref('lnk_identity') }} as lnk_identity
    where lnk_identity.source = 'resident.register'
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
    union all
    select
        fact_records.source,
        fact_records.source_record_id,
        borne.child_id,
        'number' as match_method,
        1.0 as match_probability,
        fact_records.newest.sha256 as source_file_sha256,
        fact_records.newest.row as source_row_number
    from fact_records
    inner join {{ source('cfg', 'source') }} as systems on fact_records.source = systems.source
    inner join {{ source('cfg', 'source') }} as registers
        on systems.id_system = registers.id_system and registers.source = 'resident.register'
    inner join borne on fact_records.source_record_id = borne.resident_number
    left join registered on fact_records.source_record_id = registered.source_record_id
    where registered.source_record_id is null
)

-- What consent leaves closed is nobody's record: not in the register, the features, the events or the outcomes.
select
    final.source,
    final.source_record_id,
    final.child_id,
    final.match_method,
    final.match_probability,
    final.source_file_sha256,
    final.source_row_number
from final
left join {{ ref('lnk_child_consent') }} as lnk_child_consent on final.child_id = lnk_child_consent.child_id
where
    final.child_id is null
    or (
        list_contains(lnk_child_consent.open_domains, 'resident')
        and (
            split_part(final.source, '.', 1) = 'consent'
            or list_contains(lnk_child_consent.open_domains, split_part(final.source, '.', 1))
            or len(
                list_filter(
                    lnk_child_consent.open_items, lambda each_item: starts_with(each_item, final.source || '.')
                )
            ) > 0
        )
    )
order by final.source, final.source_record_id
