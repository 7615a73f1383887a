"""Pairs of identity records that were linked or need a person (logic: kodomo_platform.linkage.engine)."""


def model(dbt, session):
    dbt.config(materialized="table")
    dbt.ref("lnk_identity")
    dbt.ref("lnk_consent")
    dbt.source("cfg", "consent")
    dbt.source("cfg", "run")
    from kodomo_platform.linkage import link_records

    # Splink refuses dbt's wrapper around the connection
    return link_records(getattr(session, "_cursor", session))
