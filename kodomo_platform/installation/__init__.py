"""One installation as its operator keeps it: processes, files' rights, identity, storage, backup, health.

What a municipality's data become belongs to the other rooms; Dagster's part of keeping runs stands in `orchestration`.
"""
