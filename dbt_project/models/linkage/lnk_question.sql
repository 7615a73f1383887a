-- Children of whose records a person must still say whether they are theirs (名寄せ確認中): facts of theirs may be missing,
-- or a provisional child may be one that is known already.
with asked as (
    select
        lnk_edge.pair_id,
        lnk_edge.left_source as source,
        lnk_edge.left_record as source_record_id,
        lnk_edge.kind = 'conflict' or lnk_edge.why like 'isolated_%' as is_contradiction
    from {{ ref('lnk_edge') }} as lnk_edge
    where lnk_edge.outcome = 'review'
    union all
    select
        lnk_edge.pair_id,
        lnk_edge.right_source as source,
        lnk_edge.right_record as source_record_id,
        lnk_edge.kind = 'conflict' or lnk_edge.why like 'isolated_%' as is_contradiction
    from {{ ref('lnk_edge') }} as lnk_edge
    where lnk_edge.outcome = 'review'
)

select
    lnk_cluster.child_id,
    case when bool_or(asked.is_contradiction) then 'contradiction' else 'uncertain' end as question,
    count(distinct asked.pair_id) as pairs
from asked
inner join {{ ref('lnk_cluster') }} as lnk_cluster
    on
        asked.source = lnk_cluster.source
        and asked.source_record_id = lnk_cluster.source_record_id
where lnk_cluster.child_id is not null
group by lnk_cluster.child_id
