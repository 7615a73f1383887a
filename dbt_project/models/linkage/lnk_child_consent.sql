-- What is open to use of each linked child on the day of the run. A child of several numbers has open what all of their
-- ledger lines open: a withdrawal under an earlier number holds.
with rule as (
    select
        consent.rule,
        consent.open_without
    from {{ source('cfg', 'consent') }} as consent
),

number as (
    select distinct
        lnk_cluster.child_id,
        case
            when lnk_identity.source = 'resident.register' then lnk_identity.source_record_id
            else lnk_identity.resident_number
        end as resident_number
    from {{ ref('lnk_cluster') }} as lnk_cluster
    inner join {{ ref('lnk_identity') }} as lnk_identity
        on
            lnk_cluster.source = lnk_identity.source
            and lnk_cluster.source_record_id = lnk_identity.source_record_id
    where lnk_cluster.child_id is not null
),

stated as (
    select
        number.child_id,
        lnk_consent.*
    from number
    inner join {{ ref('lnk_consent') }} as lnk_consent on number.resident_number = lnk_consent.source_record_id
),

domain_of as (
    select
        child_id,
        domain,
        count(*) as lines
    from (
        select
            child_id,
            unnest(open_domains) as domain
        from stated
    ) as opened
    group by child_id, domain
),

item_of as (
    select
        child_id,
        item,
        count(*) as lines
    from (
        select
            child_id,
            unnest(open_items) as item
        from stated
    ) as opened
    group by child_id, item
),

theme_of as (
    select
        child_id,
        theme,
        count(*) as lines
    from (
        select
            child_id,
            unnest(themes) as theme
        from stated
        where themes is not null
    ) as opened
    group by child_id, theme
),

counted as (
    select
        child_id,
        count(*) as lines,
        -- the line that closes is the one to show
        arg_max(state, (state <> 'given', decided_on, source_record_id)) as state,
        arg_max(decided_on, (state <> 'given', decided_on, source_record_id)) as decided_on,
        arg_max(valid_until, (state <> 'given', decided_on, source_record_id)) as valid_until,
        arg_max(given_by, (state <> 'given', decided_on, source_record_id)) as given_by,
        arg_max(route, (state <> 'given', decided_on, source_record_id)) as route,
        arg_max(evidence, (state <> 'given', decided_on, source_record_id)) as evidence,
        arg_max(source_file_sha256, (state <> 'given', decided_on, source_record_id)) as source_file_sha256,
        arg_max(source_row_number, (state <> 'given', decided_on, source_record_id)) as source_row_number,
        count(themes) as theme_lines
    from stated
    group by child_id
),

domains as (
    select
        counted.child_id,
        list_sort(array_agg(domain_of.domain)) as open_domains
    from counted
    inner join domain_of on counted.child_id = domain_of.child_id and counted.lines = domain_of.lines
    group by counted.child_id
),

items as (
    select
        counted.child_id,
        list_sort(array_agg(item_of.item)) as open_items
    from counted
    inner join item_of on counted.child_id = item_of.child_id and counted.lines = item_of.lines
    group by counted.child_id
),

-- themes that every line which names any allows
themes as (
    select
        counted.child_id,
        list_sort(array_agg(theme_of.theme)) as themes
    from counted
    inner join theme_of on counted.child_id = theme_of.child_id and counted.theme_lines = theme_of.lines
    group by counted.child_id
)

select
    child.child_id,
    case when rule.rule = 'none' then 'not_needed' else coalesce(counted.state, 'no_line') end as state,
    case
        when counted.child_id is null then rule.open_without
        else coalesce(domains.open_domains, []::varchar[])
    end as open_domains,
    coalesce(items.open_items, []::varchar[]) as open_items,
    case when counted.theme_lines > 0 then coalesce(themes.themes, []::varchar[]) end as themes,
    counted.decided_on,
    counted.valid_until,
    counted.given_by,
    counted.route,
    counted.evidence,
    counted.source_file_sha256,
    counted.source_row_number
from (
    select distinct lnk_cluster.child_id
    from {{ ref('lnk_cluster') }} as lnk_cluster
    where lnk_cluster.child_id is not null
) as child
cross join rule
left join counted on child.child_id = counted.child_id
left join domains on child.child_id = domains.child_id
left join items on child.child_id = items.child_id
left join themes on child.child_id = themes.child_id
