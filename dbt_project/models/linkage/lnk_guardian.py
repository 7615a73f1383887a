"""Who stands behind which child (logic: kodomo_platform.linkage.guardians)."""


def model(dbt, session):
    dbt.config(materialized="table")
    dbt.ref("lnk_identity")
    dbt.ref("lnk_cluster")
    from kodomo_platform.linkage import link_guardians

    return link_guardians(getattr(session, "_cursor", session))
