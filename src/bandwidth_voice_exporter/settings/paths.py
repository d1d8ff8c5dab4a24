"""The paths of the ops listener that cannot be set: what is settable must stay off them."""

STATUS = "/"
HEALTHY = "/-/healthy"
READY = "/-/ready"
FAILURES = "/failures"
JSON = "/api/v1/failures"
CSV = "/api/v1/failures.csv"
RUNBOOKS = "/runbooks"  # and what is under it
STATIC = "/static/"  # what is under it

TAKEN = (STATUS, HEALTHY, READY, FAILURES, JSON, CSV, RUNBOOKS)
