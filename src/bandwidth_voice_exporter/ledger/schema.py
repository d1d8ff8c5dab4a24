"""The tables of the ledger, and how an older ledger gets to them."""

# In these words in a query too, or SQLite does not see that an index of failures will do.
IS_FAILURE = "cause <> 'hangup'"

# Version n of the schema is what the first n scripts make.
MIGRATIONS = (
    """
    CREATE TABLE calls (
        id INTEGER PRIMARY KEY,
        received INTEGER NOT NULL,
        event_type TEXT NOT NULL,
        call_id TEXT,
        parent_call_id TEXT,
        sip_call_id TEXT,
        application TEXT NOT NULL,
        direction TEXT NOT NULL,
        cause TEXT NOT NULL,
        answered INTEGER NOT NULL,
        error_id TEXT,
        error_message TEXT,
        sip_response_code INTEGER,
        start_time INTEGER,
        end_time INTEGER,
        delay INTEGER,
        queue INTEGER,
        setup INTEGER,
        talk INTEGER,
        unanswered INTEGER
    );
    CREATE TABLE checkpoint (last_row INTEGER NOT NULL, state BLOB NOT NULL);
    """,
    # The event type comes second: call ids alone tell nearly all rows apart.
    "CREATE UNIQUE INDEX calls_by_call_id ON calls (call_id, event_type);",
    # Failures newest first, all and by kind. Normal calls are not in these: they cost nothing.
    f"""
    CREATE INDEX failures_by_time ON calls (received) WHERE {IS_FAILURE};
    CREATE INDEX failures_by_kind ON calls (cause, application, direction, received)
        WHERE {IS_FAILURE};
    """,
    # By a thousand rows at a time: ids come in no order, and an index of them alone would have
    # each new row change a page of its own; so new rows share a few, and a search looks once into
    # each thousand.
    """
    CREATE INDEX calls_by_error_id ON calls (id >> 10, error_id) WHERE error_id IS NOT NULL;
    CREATE INDEX calls_by_sip_call_id ON calls (id >> 10, sip_call_id)
        WHERE sip_call_id IS NOT NULL;
    CREATE INDEX calls_by_parent_call_id ON calls (id >> 10, parent_call_id)
        WHERE parent_call_id IS NOT NULL;
    """,
)
