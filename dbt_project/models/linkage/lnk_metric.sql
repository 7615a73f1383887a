-- What to watch: linked share per source and pass, cluster sizes, completeness of keys, backlog, contradictions.
with records as (
    select
        lnk_cluster.source,
        lnk_cluster.source_record_id,
        lnk_cluster.child_id,
        lnk_cluster.match_method,
        lnk_identity.resident_number,
        lnk_identity.birth_date,
        lnk_identity.kana_match,
        lnk_identity.address_block,
        case when lnk_cluster.source = 'resident.register' then lnk_cluster.source_record_id end as register_number
    from {{ ref('lnk_cluster') }} as lnk_cluster
    inner join {{ ref('lnk_identity') }} as lnk_identity
        on
            lnk_cluster.source = lnk_identity.source
            and lnk_cluster.source_record_id = lnk_identity.source_record_id
    where lnk_cluster.child_id is not null
),

-- a link that a number, a return to the register or a person vouches for
vouched as (
    select
        lnk_cluster.child_id,
        count(*) filter (where lnk_edge.kind in ('register_return', 'review')) as returns,
        count(*) filter (where lnk_edge.kind in ('number', 'review')) as vouched
    from {{ ref('lnk_edge') }} as lnk_edge
    inner join {{ ref('lnk_cluster') }} as lnk_cluster
        on
            lnk_edge.left_source = lnk_cluster.source
            and lnk_edge.left_record = lnk_cluster.source_record_id
    where lnk_edge.outcome = 'link' and lnk_cluster.child_id is not null
    group by lnk_cluster.child_id
),

per_child as (
    select
        records.child_id,
        count(*) as size,
        count(distinct records.register_number) as register_records,
        coalesce(any_value(vouched.returns), 0) as returns
    from records
    left join vouched on records.child_id = vouched.child_id
    group by records.child_id
),

-- days that linking takes for placeholders, and so does not compare (kodomo_platform.linkage.preparation)
dates_of_source as (
    select
        lnk_identity.source,
        lnk_identity.birth_date,
        count(*) as size,
        sum(count(*)) over (partition by lnk_identity.source) as total
    from {{ ref('lnk_identity') }} as lnk_identity
    where lnk_identity.birth_date is not null
    group by lnk_identity.source, lnk_identity.birth_date
),

placeholder_dates as (
    select
        dates_of_source.source,
        dates_of_source.birth_date
    from dates_of_source
    where
        (dates_of_source.size > 20 and dates_of_source.size > dates_of_source.total * 0.05)
        or dates_of_source.birth_date <= date '1900-01-01'
),

birth_dates as (
    select distinct
        records.child_id,
        records.birth_date
    from records
    left join placeholder_dates
        on records.source = placeholder_dates.source and records.birth_date = placeholder_dates.birth_date
    where records.birth_date is not null and placeholder_dates.source is null
),

-- of two birth years the one may be a slip of the pen: a date of the child's from which every other is as near as the
-- comparison of birth dates calls near (kodomo_platform.linkage.evidence)
birth_centres as (
    select
        centre.child_id,
        centre.birth_date,
        bool_and(
            (year(centre.birth_date) = year(other.birth_date))::int
            + (month(centre.birth_date) = month(other.birth_date))::int
            + (day(centre.birth_date) = day(other.birth_date))::int >= 2
            or abs(date_diff('day', centre.birth_date, other.birth_date)) <= 10
            or (
                year(centre.birth_date) = year(other.birth_date)
                and (
                    (
                        month(centre.birth_date) = day(other.birth_date)
                        and day(centre.birth_date) = month(other.birth_date)
                    )
                    or (month(centre.birth_date) = 1 and day(centre.birth_date) = 1)
                    or (month(other.birth_date) = 1 and day(other.birth_date) = 1)
                )
            )
        ) as explains_all
    from birth_dates as centre
    inner join birth_dates as other on centre.child_id = other.child_id
    group by centre.child_id, centre.birth_date
),

birth_years as (
    select
        birth_centres.child_id,
        bool_or(birth_centres.explains_all) as is_slip
    from birth_centres
    group by birth_centres.child_id
    having count(distinct year(birth_centres.birth_date)) > 1
),

-- sources that hold a child once: a second record by likeness alone is for a person to look at
second_records as (
    select
        records.source,
        records.child_id,
        count(*) as size,
        count(*) filter (where records.match_method in ('number', 'review')) as vouched
    from records
    where records.source in ('education.enrolment', 'childcare.enrolment')
    group by records.source, records.child_id
    having count(*) > 1
),

final as (
    select
        'records' as metric,
        records.source,
        count(*)::double as value
    from records
    group by records.source
    union all
    select
        'records_' || records.match_method,
        records.source,
        count(*)::double
    from records
    group by records.match_method, records.source
    union all
    select
        'share_linked',
        records.source,
        avg((records.match_method <> 'new')::int)
    from records
    group by records.source
    union all
    select
        'share_with_number',
        records.source,
        avg((records.resident_number is not null)::int)
    from records
    group by records.source
    union all
    select
        'share_with_birth_date',
        records.source,
        avg((records.birth_date is not null)::int)
    from records
    group by records.source
    union all
    select
        'share_with_kana',
        records.source,
        avg((records.kana_match is not null)::int)
    from records
    group by records.source
    union all
    select
        'share_with_address',
        records.source,
        avg((records.address_block is not null)::int)
    from records
    group by records.source
    union all
    select
        'children',
        '',
        count(*)::double
    from per_child
    union all
    select
        'largest_cluster',
        '',
        coalesce(max(per_child.size), 0)::double
    from per_child
    union all
    select
        'clusters_with_two_register_records',
        '',
        (count(*) filter (where per_child.register_records > 1))::double
    from per_child
    union all
    select
        'clusters_with_two_numbers_unexplained',
        '',
        (count(*) filter (where per_child.register_records - 1 > per_child.returns))::double
    from per_child
    union all
    select
        'clusters_with_two_birth_years_unexplained',
        '',
        (count(*) filter (where coalesce(vouched.vouched, 0) = 0 and not birth_years.is_slip))::double
    from birth_years
    left join vouched on birth_years.child_id = vouched.child_id
    union all
    select
        'clusters_with_birth_year_slip',
        '',
        (count(*) filter (where coalesce(vouched.vouched, 0) = 0 and birth_years.is_slip))::double
    from birth_years
    left join vouched on birth_years.child_id = vouched.child_id
    union all
    select
        'clusters_with_second_record',
        second_records.source,
        count(*)::double
    from second_records
    group by second_records.source
    union all
    select
        'clusters_with_second_record_unexplained',
        second_records.source,
        (count(*) filter (where second_records.vouched < second_records.size - 1))::double
    from second_records
    group by second_records.source
    union all
    select
        'clusters_of_size_' || case when per_child.size >= 8 then '8_or_more' else per_child.size::varchar end,
        '',
        count(*)::double
    from per_child
    group by case when per_child.size >= 8 then '8_or_more' else per_child.size::varchar end
    union all
    select
        'clusters_with_two_birth_years',
        '',
        count(*)::double
    from birth_years
    union all
    select
        'review_queue_' || lnk_edge.kind,
        '',
        count(*)::double
    from {{ ref('lnk_edge') }} as lnk_edge
    where lnk_edge.outcome = 'review'
    group by lnk_edge.kind
    union all
    select
        'review_queue',
        '',
        (count(*) filter (where lnk_edge.outcome = 'review'))::double
    from {{ ref('lnk_edge') }} as lnk_edge
    union all
    -- links that joined what contradicts itself: taken apart and asked about
    select
        lnk_edge.why,
        '',
        count(*)::double
    from {{ ref('lnk_edge') }} as lnk_edge
    where lnk_edge.outcome = 'review' and lnk_edge.why like 'isolated_%'
    group by lnk_edge.why
    union all
    select
        'ids_known_before',
        '',
        count(*)::double
    from {{ source('ops', 'child_id') }}
    union all
    select
        'ids_changed',
        '',
        count(*)::double
    from {{ source('ops', 'child_id') }} as known
    inner join {{ ref('lnk_cluster') }} as lnk_cluster
        on known.source = lnk_cluster.source and known.source_record_id = lnk_cluster.source_record_id
    where known.child_id is distinct from lnk_cluster.child_id
)

select
    final.metric,
    final.source,
    final.value
from final
order by final.metric, final.source
