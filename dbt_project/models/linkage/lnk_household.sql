-- One household per child: the register's, else the one its guardian, address or phone tell.
select
    lnk_cluster.child_id,
    min_by(
        lnk_cluster.household_id,
        (lnk_cluster.match_method <> 'number', lnk_cluster.source, lnk_cluster.source_record_id)
    ) as household_id
from {{ ref('lnk_cluster') }} as lnk_cluster
where lnk_cluster.child_id is not null
group by lnk_cluster.child_id
