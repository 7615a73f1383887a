-- What the consent ledger says of each number on the day of the run: which domains, items and themes are open.
-- Known before anything is linked. Of a number's lines the newest decided one counts (the day of consent or of
-- withdrawal, then the ledger's order), not "any valid one". What cannot be read closes: a withdrawal whose day is
-- unreadable is one until the ledger is corrected, an unreadable end has passed, an unreadable scope opens nothing.
with rule as (
    select
        consent.rule,
        consent.covered,
        consent.open_without,
        run.as_of_date,
        -- domains where the law is the ground, whatever the ledger says
        list_filter(
            ['resident', 'education', 'childcare', 'welfare', 'health', 'medical', 'survey'],
            lambda each_domain: not list_contains(consent.covered, each_domain)
        ) as lawful
    from {{ source('cfg', 'consent') }} as consent
    cross join {{ source('cfg', 'run') }} as run
),

line as (
    select
        staged.source_record_id,
        staged.scope,
        staged.only_items,
        staged.only_themes,
        staged.only_items__status,
        staged.only_themes__status,
        staged.given_by,
        staged.route,
        staged.evidence,
        staged.valid_until,
        staged._extract_date,
        staged._source_file_sha256,
        staged._row_number,
        rule.as_of_date,
        coalesce(staged.consented_on, staged.valid_from) as given_on,
        coalesce(coalesce(staged.valid_from, staged.consented_on) > rule.as_of_date, false) as is_ahead,
        coalesce(staged.valid_until < rule.as_of_date, false)
        or staged.valid_until__status = 'unreadable' as has_ended,
        staged.withdrawn_on__status = 'unreadable' or staged.decision__status = 'unreadable' as is_doubtful,
        coalesce(staged.withdrawn_on <= rule.as_of_date, false)
        or staged.withdrawn_on__status = 'unreadable'
        or coalesce(staged.decision in ('withdrawn', 'refused'), false)
        or staged.decision__status = 'unreadable' as takes_back,
        coalesce(staged.decision = 'refused', false) as is_refusal,
        -- a ledger without this column is in the order of decisions; a blank in the column is no decision
        coalesce(staged.consented_on, staged.valid_from) is null
        and staged.consented_on__status <> 'not_held'
        and staged.withdrawn_on is null as is_undated,
        staged.consented_on__status = 'unreadable'
        or staged.valid_from__status = 'unreadable'
        or staged.scope__status = 'unreadable' as is_unreadable,
        greatest(
            coalesce(staged.consented_on, staged.valid_from),
            case when staged.withdrawn_on <= rule.as_of_date then staged.withdrawn_on end
        ) as decided_on
    from {{ ref('stg_consent__record') }} as staged
    cross join rule
    where
        rule.rule <> 'none'
        -- a day of consent that lies ahead is no decision yet, unless the line takes something back
        and (
            coalesce(staged.consented_on, staged.valid_from, rule.as_of_date) <= rule.as_of_date
            or staged.withdrawn_on <= rule.as_of_date
            or staged.withdrawn_on__status = 'unreadable'
        )
),

placed as (
    select
        *,
        row_number() over (
            partition by source_record_id
            order by decided_on nulls first, _extract_date, _source_file_sha256, _row_number
        ) as place
    from line
    where not is_undated or takes_back or is_unreadable
),

newest as (
    select
        source_record_id,
        max(decided_on) as decided_on,
        max_by(place, (coalesce(decided_on, date '0001-01-01'), place)) as last_place,
        bool_or(is_doubtful) as is_doubtful,
        bool_or(is_unreadable and given_on is null) as is_unclear
    from placed
    group by source_record_id
),

-- the lines of the newest day: those after the last one that speaks of everything, else that one
of_the_day as (
    select
        placed.*,
        newest.is_doubtful as child_is_doubtful,
        newest.is_unclear as child_is_unclear,
        max(case when placed.scope = 'all' or placed.scope is null then placed.place end)
            over (partition by placed.source_record_id) as last_whole
    from placed
    inner join newest
        on
            placed.source_record_id = newest.source_record_id
            and placed.decided_on is not distinct from newest.decided_on
),

counting as (
    select
        *,
        not takes_back and not has_ended and not is_ahead and not is_unreadable as is_valid,
        nullif(trim(only_items), '') is not null or only_items__status = 'unreadable' as is_by_item,
        nullif(trim(only_themes), '') is not null or only_themes__status = 'unreadable' as is_by_theme
    from of_the_day
    qualify
        last_whole is null
        or case
            when max(place) over (partition by source_record_id) > last_whole then place > last_whole
            else place = last_whole
        end
),

scoped as (
    select
        counting.source_record_id,
        counting.is_valid,
        counting.takes_back,
        counting.is_by_item,
        counting.only_items,
        scope.domain
    from counting
    inner join {{ source('cfg', 'consent_scope') }} as scope on counting.scope = scope.scope
),

-- who consents to an item consents to being found in the register, and to nothing else of that domain
granted as (
    select
        source_record_id,
        array_agg(distinct domain) filter (
            where is_valid and (not is_by_item or domain = 'resident')
        ) as domains,
        array_agg(distinct domain) filter (where takes_back) as taken_back
    from scoped
    group by source_record_id
),

granted_item as (
    select
        scoped.source_record_id,
        array_agg(distinct named.item order by named.item) as items
    from scoped
    inner join
        {{ source('cfg', 'consent_name') }} as named
        on
            list_contains(
                list_transform(
                    regexp_split_to_array(scoped.only_items, '[,、，;；\n]+'), lambda each_name: trim(each_name, ' 　')
                ),
                named.name
            )
            and starts_with(named.item, scoped.domain || '.')
    where scoped.is_valid and scoped.is_by_item
    group by scoped.source_record_id
),

summed as (
    select
        source_record_id,
        max(decided_on) as decided_on,
        bool_or(is_valid) as any_valid,
        bool_or(takes_back and not is_refusal) as any_withdrawn,
        bool_or(is_refusal) as any_refused,
        bool_or(has_ended) as any_ended,
        bool_or(is_ahead) as any_ahead,
        bool_or(is_unreadable) as any_unreadable,
        bool_or(child_is_doubtful) as is_doubtful,
        bool_or(child_is_unclear) as is_unclear,
        -- null: for every theme
        case
            when bool_and(is_by_theme or not is_valid)
                then list_distinct(flatten(array_agg(
                    list_transform(
                        regexp_split_to_array(coalesce(only_themes, ''), '[,、，;；\n]+'),
                        lambda each_name: trim(each_name, ' 　')
                    )
                ) filter (where is_valid)))
        end as themes,
        max_by(valid_until, place) as valid_until,
        max_by(given_by, place) as given_by,
        max_by(route, place) as route,
        max_by(evidence, place) as evidence,
        max_by(_extract_date, place) as source_extract_date,
        max_by(_source_file_sha256, place) as source_file_sha256,
        max_by(_row_number, place) as source_row_number
    from counting
    group by source_record_id
),

final as (
    select
        summed.*,
        case
            when summed.is_doubtful or summed.is_unclear then 'unreadable'
            when summed.any_valid and len(coalesce(granted.domains, [])) > 0 then 'given'
            when summed.any_unreadable then 'unreadable'
            when summed.any_withdrawn then 'withdrawn'
            when summed.any_refused then 'refused'
            when summed.any_ended then 'ended'
            when summed.any_ahead then 'not_yet'
            else 'unreadable'
        end as state,
        granted.domains,
        granted.taken_back,
        granted_item.items
    from summed
    left join granted on summed.source_record_id = granted.source_record_id
    left join granted_item on summed.source_record_id = granted_item.source_record_id
)

select
    final.source_record_id,
    final.state,
    list_sort(
        list_distinct(
            rule.lawful
            || case
                when final.state = 'given'
                    then list_filter(
                        final.domains,
                        lambda each_domain: not list_contains(coalesce(final.taken_back, []), each_domain)
                    )
                else []::varchar[]
            end
        )
    ) as open_domains,
    case when final.state = 'given' then coalesce(final.items, []::varchar[]) else []::varchar[] end as open_items,
    case when final.state = 'given' then final.themes end as themes,
    final.decided_on,
    final.valid_until,
    final.given_by,
    final.route,
    final.evidence,
    final.source_extract_date,
    final.source_file_sha256,
    final.source_row_number
from final
cross join rule
