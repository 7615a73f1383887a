"""The platform's own tags on a run, for people to filter by and for the platform to know a run again."""

NAME = "kodomo/municipality"
AS_OF = "kodomo/as_of"
ASKED_BY = "kodomo/asked_by"
# the latest complete extract when the run began: `YYYY-MM-DD:fingerprint`
LANDED = "kodomo/landed"
# host, boot, process and its start: whether the process that works on the run is still there
WORKER = "kodomo/worker"
