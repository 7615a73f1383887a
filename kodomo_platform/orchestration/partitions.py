"""One partition per municipality.

Dynamic, so that a municipality onboarded today needs no deployment. Municipality alone, not municipality × month: beyond
some 40,000 partitions Dagster's pages stand still. The date is run configuration and a column.
"""

import dagster as dg

MUNICIPALITIES = dg.DynamicPartitionsDefinition(name="municipality")
