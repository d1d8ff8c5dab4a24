"""The tables of the ledger, and how an older ledger gets to them.

Calls that failed have a row each in ``calls``, those that ended normally are in batches, one or
more a commit. In an older ledger, until they are moved, normal calls are in ``calls`` too.
"""

# In these words in a query too, or SQLite does not see that an index of failures will do.
IS_FAILURE = "cause <> 'hangup'"

# The first n scripts make version n of the schema.
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
    # The columns that are walked are apart from the calls, which are long. Fingerprints are kept in
    # parts that a commit can take. Rows of an older ledger are moved from the first to
    # ``older_until``; ``rows`` are those kept of what the saved totals hold.
    """
    CREATE TABLE batches (
        first INTEGER PRIMARY KEY,
        last INTEGER NOT NULL,
        rows INTEGER NOT NULL,
        disconnects INTEGER NOT NULL,
        oldest INTEGER NOT NULL,
        newest INTEGER NOT NULL,
        hashes BLOB NOT NULL
    );
    CREATE TABLE bodies (first INTEGER PRIMARY KEY, calls BLOB NOT NULL);
    CREATE TABLE pieces (
        run TEXT NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (run, first, last)
    );
    CREATE TABLE parts (
        run TEXT NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        number INTEGER NOT NULL,
        packed BLOB NOT NULL,
        PRIMARY KEY (run, first, last, number)
    );
    CREATE TABLE ledger (
        id INTEGER NOT NULL,
        rows INTEGER NOT NULL,
        older_moved INTEGER NOT NULL,
        older_until INTEGER NOT NULL
    );
    INSERT INTO ledger SELECT random(), count(*) - (
        SELECT count(*) FROM calls WHERE id > ifnull((SELECT last_row FROM checkpoint), 0)
    ), 0, ifnull(max(id), 0) FROM calls;
    """,
    # Calls counted before ``doubted`` may be missing here. ``notes`` belong to the reconciliation
    # with another list of the same calls.
    """
    ALTER TABLE calls ADD COLUMN is_reconciled INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE ledger ADD COLUMN doubted INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE notes (name TEXT PRIMARY KEY, note BLOB NOT NULL);
    """,
)
# Temporary versions of these, for one connection that only reads an older ledger.
TEMPORARILY = {
    5: MIGRATIONS[4].replace("CREATE TABLE", "CREATE TEMP TABLE")
    + "ALTER TABLE temp.ledger ADD COLUMN doubted INTEGER NOT NULL DEFAULT 0;",
    6: """
    CREATE TEMP VIEW calls AS SELECT *, 0 AS is_reconciled FROM main.calls;
    CREATE TEMP VIEW IF NOT EXISTS ledger AS SELECT *, 0 AS doubted FROM main.ledger;
    CREATE TEMP TABLE notes (name TEXT PRIMARY KEY, note BLOB NOT NULL);
    """,
}
