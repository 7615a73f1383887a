"""Identity records with the child they belong to (logic: kodomo_platform.linkage.identifiers)."""


def model(dbt, session):
    dbt.config(materialized="table")
    dbt.ref("lnk_identity")
    dbt.ref("lnk_edge")
    dbt.ref("lnk_consent")
    dbt.source("cfg", "consent")
    dbt.source("cfg", "run")
    from kodomo_platform.linkage import name_clusters

    return name_clusters(getattr(session, "_cursor", session))
