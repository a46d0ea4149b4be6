"""The tables of the shared cache. Every key begins with `source`: the name `database.table` of the copied table.

meta        the format of the schema
terms       who leads (`leader`) and who syncs (`sync`), with the newest generation; rows are never deleted
workers     processes that can run syncs
tasks, runs the journal: requests for a sync, and syncs
documents   what people made
manifests   the generations; `blobs` has the epoch in which the files of each segment were uploaded
changes     change lists of generations, in parts
drafts      the finished part of a first load that was interrupted
blobs       files of segments, in parts

What statements decide by stands in columns; the rest of a record is its `body`. `n` gives the order in which records
were made, whatever the clocks say.
"""

from collections.abc import Mapping

FORMAT = 1
MIGRATIONS: Mapping[int, str] = {}
"""The statements that raise a schema to each format from the one before it."""

LOCK = 0x6F726465_7273  # of pg_advisory_xact_lock: "orders"

CHECK = f"SELECT pg_advisory_xact_lock({LOCK});\nSELECT format FROM orders_cache.meta"

CREATE = f"""
SELECT pg_advisory_xact_lock({LOCK});
CREATE SCHEMA IF NOT EXISTS orders_cache;
CREATE TABLE IF NOT EXISTS orders_cache.meta (id int PRIMARY KEY CHECK (id = 1), format int NOT NULL);
CREATE TABLE IF NOT EXISTS orders_cache.terms (
    source text, name text, epoch bigint NOT NULL DEFAULT 0, token uuid, holder text, host text,
    taken timestamptz, renewed timestamptz NOT NULL DEFAULT '-infinity',
    generation bigint, head jsonb, digest text, version bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (source, name)
);
CREATE TABLE IF NOT EXISTS orders_cache.workers (
    source text, id text, beat timestamptz NOT NULL, body jsonb NOT NULL, PRIMARY KEY (source, id)
);
CREATE TABLE IF NOT EXISTS orders_cache.tasks (
    source text, id text, n bigint GENERATED ALWAYS AS IDENTITY, state text NOT NULL, run text,
    tries int NOT NULL DEFAULT 0, automatic boolean NOT NULL, body jsonb NOT NULL, PRIMARY KEY (source, id)
);
CREATE INDEX IF NOT EXISTS tasks_by_age ON orders_cache.tasks (source, n);
CREATE INDEX IF NOT EXISTS tasks_by_state ON orders_cache.tasks (source, state, run);
CREATE TABLE IF NOT EXISTS orders_cache.runs (
    source text, id text, n bigint GENERATED ALWAYS AS IDENTITY, outcome text NOT NULL,
    started timestamptz NOT NULL, beat timestamptz NOT NULL, finished timestamptz, body jsonb NOT NULL,
    PRIMARY KEY (source, id)
);
CREATE INDEX IF NOT EXISTS runs_by_age ON orders_cache.runs (source, n);
CREATE TABLE IF NOT EXISTS orders_cache.documents (
    source text, name text, version bigint NOT NULL, body text NOT NULL, PRIMARY KEY (source, name)
);
CREATE TABLE IF NOT EXISTS orders_cache.manifests (
    source text, generation bigint, digest text NOT NULL, body text NOT NULL, blobs jsonb NOT NULL, checks text,
    replaced timestamptz, PRIMARY KEY (source, generation)
);
CREATE TABLE IF NOT EXISTS orders_cache.changes (
    source text, generation bigint, part int, data bytea NOT NULL, made timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, generation, part)
);
CREATE TABLE IF NOT EXISTS orders_cache.drafts (source text PRIMARY KEY, body text NOT NULL, blobs jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS orders_cache.blobs (
    source text, segment text, epoch bigint, name text, part int, data bytea NOT NULL,
    PRIMARY KEY (source, segment, epoch, name, part)
);
ALTER TABLE orders_cache.blobs ALTER COLUMN data SET STORAGE EXTERNAL;
ALTER TABLE orders_cache.changes ALTER COLUMN data SET STORAGE EXTERNAL;
INSERT INTO orders_cache.meta VALUES (1, {FORMAT}) ON CONFLICT DO NOTHING
"""

OLDER_WORKER = "OC001"  # SQLSTATE: a worker of an older version is alive


def migration(old: int, silent_seconds: float) -> str:
    """Returns the statements that raise a schema to the present format. They are one message, so one transaction.

    They fail with OLDER_WORKER while a worker of an older version is alive: it would go on writing in its own format.

    Args:
        old: The format of the schema.
        silent_seconds: After this time without a heartbeat, a worker counts as gone.
    """
    steps = ";\n".join(MIGRATIONS[format] for format in range(old + 1, FORMAT + 1))
    return f"""
SELECT pg_advisory_xact_lock({LOCK});
DO $$ BEGIN
    IF EXISTS (
        SELECT FROM orders_cache.workers
        WHERE beat BETWEEN clock_timestamp() - interval '{silent_seconds:g} s'
                AND clock_timestamp() + interval '{silent_seconds:g} s'
            AND COALESCE((body ->> 'format')::int, 1) < {FORMAT}
    ) THEN RAISE SQLSTATE '{OLDER_WORKER}'; END IF;
END $$;
DO $$ BEGIN IF (SELECT format FROM orders_cache.meta) = {old} THEN
{steps};
UPDATE orders_cache.meta SET format = {FORMAT};
END IF; END $$
"""


MISSING_TERMS = "SELECT count(*) < 2 FROM orders_cache.terms WHERE source = %(source)s"
ADD_TERMS = """
INSERT INTO orders_cache.terms (source, name) VALUES (%(source)s, 'leader'), (%(source)s, 'sync') ON CONFLICT DO NOTHING
"""
