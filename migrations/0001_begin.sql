-- Times are milliseconds since 1970. Texts ending in JSON are written by the program only.
-- `INTEGER PRIMARY KEY` is SQLite's own row number; for PostgreSQL it becomes a generated BIGINT, BLOB becomes BYTEA.

-- What came in at the door. Bodies lie apart, so that sorting and counting never touch them.
CREATE TABLE deliveries (
    id          INTEGER PRIMARY KEY,
    guid        TEXT   NOT NULL,
    event       TEXT   NOT NULL,
    received_at BIGINT NOT NULL,
    state       TEXT   NOT NULL, -- unsorted, sorted, parked, beside (other bytes under a known GUID)
    because     TEXT,            -- why it was ignored or parked
    sorted_at   BIGINT,
    sha256      BLOB             -- of the body, once the body has been forgotten
);
CREATE INDEX deliveries_unsorted ON deliveries (id) WHERE state = 'unsorted';
CREATE INDEX deliveries_parked ON deliveries (guid) WHERE state IN ('parked', 'beside');
CREATE INDEX deliveries_whole ON deliveries (received_at, id) WHERE state = 'sorted' AND sha256 IS NULL;
CREATE INDEX deliveries_forgotten ON deliveries (received_at, id) WHERE sha256 IS NOT NULL;

CREATE TABLE bodies (
    id   INTEGER PRIMARY KEY, -- of the delivery
    body BLOB NOT NULL        -- LZ4 block, led by its plain size
);

-- Which GUIDs are known. GUIDs come in no order, and one index over all of them costs a page write per delivery once
-- it is large. So keys are written as sorted runs, each with a filter that says which keys it surely does not hold;
-- the keys of the newest deliveries are in no run yet.
CREATE TABLE runs (
    run      INTEGER PRIMARY KEY,
    first_id BIGINT NOT NULL, -- of the deliveries in it
    last_id  BIGINT NOT NULL,
    filter   BLOB   NOT NULL
);
CREATE TABLE run_keys (
    run BIGINT NOT NULL,
    key BLOB   NOT NULL, -- 16 bytes
    id  BIGINT NOT NULL, -- of the delivery
    PRIMARY KEY (run, key)
) WITHOUT ROWID;

-- A lane: its state at rest, and when it has something to do.
CREATE TABLE subjects (
    subject          TEXT PRIMARY KEY,
    version          BIGINT NOT NULL DEFAULT 0, -- 0: no state yet
    state            BLOB,                      -- JSON
    wake_at          BIGINT,
    ready_at         BIGINT, -- oldest arrival or wake_at, what claims are ordered by; NULL: nothing to do
    due_at           BIGINT, -- when it may be claimed: lease, deferral and a lonely wake_at are over
    lease_holder     TEXT,
    lease_until      BIGINT NOT NULL DEFAULT 0,
    defer_until      BIGINT NOT NULL DEFAULT 0,
    deferred_because TEXT,
    failures         BIGINT NOT NULL DEFAULT 0,
    journal_head     TEXT   NOT NULL DEFAULT '' -- hash of the newest line
);
CREATE INDEX subjects_ready ON subjects (ready_at, subject, due_at) WHERE ready_at IS NOT NULL;
CREATE INDEX subjects_due ON subjects (due_at) WHERE due_at IS NOT NULL;

-- What lanes have not looked at yet. A number is never given twice.
CREATE TABLE inbox (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    arrival TEXT   NOT NULL -- JSON
);
CREATE INDEX inbox_by_lane ON inbox (subject, id);

-- Arrivals that were put aside.
CREATE TABLE parked (
    id      INTEGER PRIMARY KEY, -- as in the inbox
    subject TEXT   NOT NULL,
    at      BIGINT NOT NULL,     -- when it was put aside
    because TEXT   NOT NULL,
    arrival TEXT   NOT NULL      -- JSON
);
CREATE INDEX parked_by_age ON parked (at, id);

-- The outbox.
CREATE TABLE effects (
    id                INTEGER PRIMARY KEY, -- order of planning
    key               TEXT   NOT NULL UNIQUE,
    subject           TEXT   NOT NULL,
    lock_name         TEXT   NOT NULL,     -- what is done one at a time
    generation        BIGINT,              -- NULL: an act
    effect            TEXT   NOT NULL,     -- JSON
    state             TEXT   NOT NULL,     -- planned, in_flight, done, refused, superseded, unknown
    due_at            BIGINT,              -- when it may be claimed; NULL: it has ended
    lease_holder      TEXT,
    first_tried_at    BIGINT,
    last_tried_at     BIGINT,
    previous_tried_at BIGINT,              -- the try before the last
    was_in_flight     BIGINT NOT NULL DEFAULT 0, -- whether the last claim found it in flight
    attempts          BIGINT NOT NULL DEFAULT 0,
    because           TEXT,                -- why it waits, was refused or is unknown
    remote            BIGINT,              -- what GitHub calls what it made
    url               TEXT,
    ended_at          BIGINT
);
CREATE INDEX effects_due ON effects (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX effects_by_lock ON effects (lock_name, state);
CREATE INDEX effects_ended ON effects (ended_at, id) WHERE ended_at IS NOT NULL;

-- What happened and why, a hash chain per lane.
CREATE TABLE journal (
    id      INTEGER PRIMARY KEY,
    subject TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    version BIGINT NOT NULL,
    text    TEXT   NOT NULL,
    hash    TEXT   NOT NULL
);
CREATE INDEX journal_by_lane ON journal (subject, id);
