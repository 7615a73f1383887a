"""Dagster wiring: rooms turned into assets, checks, partitions, schedules and sensors.

No rule of the trade stands here: an asset opens the municipality's warehouse, calls one function of one room, and says
what happened in its metadata. No personal value may reach that metadata (house rule 8).
"""
