"""The fixed paths of the ops listener, which the settable ones must stay off."""

STATUS = "/"
HEALTHY = "/-/healthy"
READY = "/-/ready"
FAILURES = "/failures"
JSON = "/api/v1/failures"
CSV = "/api/v1/failures.csv"
RUNBOOKS = "/runbooks"  # and all under it
STATIC = "/static/"  # all under it

TAKEN = (STATUS, HEALTHY, READY, FAILURES, JSON, CSV, RUNBOOKS)
