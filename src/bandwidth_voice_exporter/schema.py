"""The tables of the ledger, and how an older ledger gets to them."""

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
)
