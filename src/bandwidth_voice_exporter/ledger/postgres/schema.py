"""The tables of a ledger that several exporters share, and how an older one gets to them."""

from bandwidth_voice_exporter.ledger.database import NewerSchemaError
from bandwidth_voice_exporter.ledger.postgres.connection import PostgresConnection

SCHEMA = "bandwidth_voice"
OLDEST_SERVER = 130000  # as server_version_num has it

# The first of the two numbers of each advisory lock: "BVX" and a letter.
REPLICA_LOCK = 0x42565801  # with the replica's id: held by the session that counts its share
COMMON_LOCK = 0x42565802
MIGRATING, ADMITTING, PRUNING, NOTING = 1, 2, 3, 4

# A row's number begins with the id of the replica that counts it: its own rows are a range.
ROW_BITS = 48
MOST_REPLICAS = 2047

# The first n scripts make version n of the schema, while older exporters go on. Beside each script
# is the lowest version that an exporter must know to work with its tables: one that knows less does
# not start.
MIGRATIONS: tuple[tuple[int, str], ...] = (
    (
        1,
        """
        CREATE TABLE replicas (
            id smallint PRIMARY KEY,
            name text NOT NULL UNIQUE,
            process uuid,
            host text NOT NULL DEFAULT '',
            seen timestamptz,
            last_row bigint NOT NULL,
            state bytea,
            counted_twice bigint NOT NULL DEFAULT 0,
            spool uuid,
            spooled bigint NOT NULL DEFAULT 0
        );
        CREATE TYPE leg AS (
            id bigint,
            received bigint,
            event_type text,
            call_id text,
            parent_call_id text,
            sip_call_id text,
            application text,
            direction text,
            cause text,
            answered boolean,
            error_id text,
            error_message text,
            sip_response_code integer,
            start_time bigint,
            end_time bigint,
            delay bigint,
            queue bigint,
            setup bigint,
            talk bigint,
            unanswered bigint,
            is_reconciled boolean
        );
        CREATE TABLE legs (
            id bigint PRIMARY KEY,
            received bigint NOT NULL,
            event_type text COLLATE "C" NOT NULL,
            call_id text COLLATE "C" NOT NULL,
            parent_call_id text COLLATE "C",
            sip_call_id text COLLATE "C",
            application text COLLATE "C" NOT NULL,
            direction text COLLATE "C" NOT NULL,
            cause text COLLATE "C" NOT NULL,
            answered boolean NOT NULL,
            error_id text COLLATE "C",
            error_message text COLLATE "C",
            sip_response_code integer,
            start_time bigint,
            end_time bigint,
            delay bigint,
            queue bigint,
            setup bigint,
            talk bigint,
            unanswered bigint,
            is_reconciled boolean NOT NULL
        ) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 1);
        CREATE UNIQUE INDEX legs_by_call_id ON legs (call_id, event_type);
        CREATE INDEX legs_by_time ON legs USING brin (received) WITH (pages_per_range = 32);
        CREATE INDEX failures_by_time ON legs (received, id) WHERE cause <> 'hangup';
        CREATE INDEX failures_by_kind ON legs (cause, application, direction, received, id)
            WHERE cause <> 'hangup';
        CREATE INDEX legs_by_error_id ON legs (error_id) WHERE error_id IS NOT NULL;
        CREATE INDEX legs_by_sip_call_id ON legs (sip_call_id) WHERE sip_call_id IS NOT NULL;
        CREATE INDEX legs_by_parent_call_id ON legs (parent_call_id)
            WHERE parent_call_id IS NOT NULL;
        CREATE TABLE admitted (
            number bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
            label text NOT NULL,
            value text NOT NULL,
            UNIQUE (label, value)
        );
        CREATE TABLE notes (name text PRIMARY KEY, note bytea NOT NULL);
        """,
    ),
    (
        1,
        """
        CREATE TABLE left_calls (
            id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
            replica smallint NOT NULL,
            call bytea NOT NULL
        );
        """,
    ),
)

# Asked of the catalog itself: to_regclass answers from a cache of the session's, which does not
# hear of another's commit while the session waits for an advisory lock.
_HAS_SCHEMA = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)"
_HAS_VERSIONS = "SELECT EXISTS (SELECT FROM pg_tables WHERE (schemaname, tablename) = ($1, $2))"


async def migrate(connection: PostgresConnection) -> None:
    """Make the tables that are not there; replicas that are already at work go on meanwhile.

    Raises NewerSchemaError where a later version has made them unfit for this one.
    """
    if await _version(connection) == len(MIGRATIONS):
        return
    async with connection.transaction():
        await connection.execute(
            "SELECT pg_advisory_xact_lock($1::int, $2::int)", COMMON_LOCK, MIGRATING
        )
        known = await _version(connection)
        if known == 0:
            if not await connection.fetchval(_HAS_SCHEMA, SCHEMA):
                await connection.execute(f"CREATE SCHEMA {SCHEMA}")
            await connection.execute(
                "CREATE TABLE IF NOT EXISTS versions (version integer PRIMARY KEY, asks integer)"
            )
        for version, (asks, script) in enumerate(MIGRATIONS[known:], known + 1):
            await connection.execute(script)
            await connection.execute("INSERT INTO versions VALUES ($1, $2)", version, asks)


async def _version(connection: PostgresConnection) -> int:
    """Return the version that is there, as far as this exporter knows it; 0 where there is none."""
    if not await connection.fetchval(_HAS_VERSIONS, SCHEMA, "versions"):
        return 0
    row = await connection.fetchrow("SELECT max(version), max(asks) FROM versions")
    version, asks = row or (0, 0)
    if (asks or 0) > len(MIGRATIONS):
        raise NewerSchemaError(
            f"--ledger.url: the ledger has schema version {version}, this exporter knows "
            f"{len(MIGRATIONS)}: run the version that migrated it, or a later one"
        )
    return min(version or 0, len(MIGRATIONS))
