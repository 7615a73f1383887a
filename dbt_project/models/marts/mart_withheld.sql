{{ config(materialized='table', schema='marts') }}

{#
  Children who had an id and of whom nothing is shown any more, because consent is the ground and is not there. Names no
  item and no person: who asks by a child id is told why there is no answer.
#}
with known as (
    select distinct
        child_id,
        source_record_id
    from {{ source('ops', 'child_id') }}
    where source = 'resident.register' and child_id is not null
),

final as (
    select
        known.child_id,
        case
            when bool_or(lnk_consent.state is not null)
                then max_by(lnk_consent.state, coalesce(lnk_consent.decided_on, date '0001-01-01'))
            else 'no_line'
        end as state,
        max(lnk_consent.decided_on) as since
    from known
    cross join {{ source('cfg', 'consent') }} as rule
    left join {{ ref('lnk_consent') }} as lnk_consent on known.source_record_id = lnk_consent.source_record_id
    left join {{ ref('mart_child') }} as mart_child on known.child_id = mart_child.child_id
    where
        rule.rule <> 'none'
        and not list_contains(coalesce(lnk_consent.open_domains, rule.open_without), 'resident')
        and mart_child.child_id is null
    group by known.child_id
)

select
    child_id,
    state,
    since
from final
order by child_id
