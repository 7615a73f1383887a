-- Whom a refusal or a withdrawal closes is not looked at by anybody either.
with closed as (
    select
        lnk_identity.source,
        lnk_identity.source_record_id
    from {{ ref('lnk_identity') }} as lnk_identity
    inner join {{ ref('lnk_consent') }} as lnk_consent
        on
            lnk_consent.source_record_id = case
                when lnk_identity.source = 'resident.register' then lnk_identity.source_record_id
                else lnk_identity.resident_number
            end
    where not list_contains(lnk_consent.open_domains, split_part(lnk_identity.source, '.', 1))
)

-- Pairs that a person must decide, those that touch most records first; evidence as levels, never values.
select
    lnk_edge.pair_id,
    lnk_edge.left_source,
    lnk_edge.left_record,
    lnk_edge.right_source,
    lnk_edge.right_record,
    lnk_edge.probability,
    lnk_edge.kind,
    lnk_edge.evidence,
    lnk_edge.touches
from {{ ref('lnk_edge') }} as lnk_edge
anti join closed as closed_left
    on lnk_edge.left_source = closed_left.source and lnk_edge.left_record = closed_left.source_record_id
anti join closed as closed_right
    on lnk_edge.right_source = closed_right.source and lnk_edge.right_record = closed_right.source_record_id
where lnk_edge.outcome = 'review'
-- the answer that is expected to move most records first
order by lnk_edge.probability * lnk_edge.touches desc, lnk_edge.pair_id asc
