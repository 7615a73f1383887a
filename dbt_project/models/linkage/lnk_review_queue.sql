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
where lnk_edge.outcome = 'review'
order by lnk_edge.touches desc, lnk_edge.probability desc, lnk_edge.pair_id asc
