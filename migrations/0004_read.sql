-- The read model. No foreign keys: every row follows from messages, in whatever order the streams are caught up, and
-- no message may stop the projector. No value comes from a clock of the database: a rebuild gives the same rows.

CREATE TABLE read.offsets (
    stream text PRIMARY KEY,
    seq bigint NOT NULL
);
COMMENT ON TABLE read.offsets IS 'The last message of each stream that the read model contains.';

CREATE TABLE read.commands (
    seq bigint PRIMARY KEY,
    id text NOT NULL,
    publisher text NOT NULL,
    type text,
    target text,
    target_owner text,
    target_name text,
    actor text,
    stack_id uuid,
    version bigint,
    on_failure text NOT NULL,
    sha256 text NOT NULL,
    bytes bigint NOT NULL,
    readable boolean NOT NULL,
    status text NOT NULL CHECK (status IN ('PENDING', 'RUNNING', 'DONE', 'FAILED', 'CANCELLED')),
    attempt bigint NOT NULL,
    run bigint NOT NULL,
    reason text,
    error jsonb,
    cancel_requested boolean NOT NULL DEFAULT false,
    plan jsonb,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    ended_at timestamptz
);
COMMENT ON COLUMN read.commands.id IS 'The id token of the subject, as written. Not unique: two publishers may have used one UUID.';
COMMENT ON COLUMN read.commands.target_owner IS 'With target_name: what a target that is no id means, so that it finds its stack.';
COMMENT ON COLUMN read.commands.stack_id IS 'By id at once; by name as long as it waits what the name means now, and from its start what it meant then.';
COMMENT ON COLUMN read.commands.error IS '{"code","message","step"}';

CREATE INDEX commands_id ON read.commands (id);
CREATE INDEX commands_stack ON read.commands (stack_id, seq DESC);
CREATE INDEX commands_actor ON read.commands (actor, seq DESC);
CREATE INDEX commands_publisher ON read.commands (publisher, seq DESC);
CREATE INDEX commands_open ON read.commands (seq) WHERE status IN ('PENDING', 'RUNNING', 'FAILED');
CREATE INDEX commands_open_stack ON read.commands (stack_id) WHERE status IN ('PENDING', 'RUNNING', 'FAILED');
CREATE INDEX commands_pending_target ON read.commands (target_owner, target_name) WHERE status = 'PENDING';

CREATE TABLE read.steps (
    command bigint NOT NULL,
    attempt bigint NOT NULL,
    n bigint NOT NULL,
    run bigint NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    plan bigint,
    status text NOT NULL CHECK (status IN ('running', 'done', 'found_done', 'skipped', 'failed')),
    detail text NOT NULL,
    log text,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (command, attempt, n)
);

CREATE TABLE read.stacks (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    owner text NOT NULL,
    project text NOT NULL,
    host text NOT NULL,
    pending boolean NOT NULL,
    created_by bigint NOT NULL,
    created_at timestamptz NOT NULL,
    desired text NOT NULL CHECK (desired IN ('created', 'running', 'stopped')),
    current bigint,
    latest bigint NOT NULL,
    services jsonb NOT NULL DEFAULT '[]',
    changed_by bigint NOT NULL,
    deleted_at timestamptz
);
COMMENT ON COLUMN read.stacks.pending IS 'Its create has not been carried out yet; the row goes when the create is rejected or cancelled.';
COMMENT ON COLUMN read.stacks.services IS 'What should be seen when the current version runs: [{"name","containers","may_finish"}]';
COMMENT ON COLUMN read.stacks.changed_by IS 'The latest command whose event changed this row: an older one, repeated, changes nothing.';

CREATE INDEX stacks_name ON read.stacks (owner, name) WHERE deleted_at IS NULL;
CREATE INDEX stacks_created_by ON read.stacks (created_by);

CREATE TABLE read.versions (
    stack_id uuid NOT NULL,
    version bigint NOT NULL,
    parent bigint,
    author text NOT NULL,
    comment text NOT NULL,
    digest text NOT NULL,
    files jsonb NOT NULL,
    created_by bigint NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (stack_id, version)
);
COMMENT ON COLUMN read.versions.files IS '[{"path","size","digest"}]';
CREATE INDEX versions_digest ON read.versions (digest);

CREATE TABLE read.containers (
    host text NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    installation uuid,
    stack_id uuid,
    project text,
    service text,
    number bigint,
    version bigint,
    image text NOT NULL,
    image_id text NOT NULL,
    state text NOT NULL,
    health text NOT NULL CHECK (health IN ('none', 'starting', 'healthy', 'unhealthy')),
    exit_code bigint,
    ports jsonb NOT NULL,
    created_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    transient boolean NOT NULL,
    drift jsonb NOT NULL,
    epoch bigint NOT NULL,
    PRIMARY KEY (host, id)
);
COMMENT ON TABLE read.containers IS 'What the engines have now, foreign containers included. One is ours when installation is this installation''s.';
CREATE INDEX containers_stack ON read.containers (stack_id, service, number);
CREATE INDEX containers_id ON read.containers (id);

CREATE TABLE read.engines (
    host text NOT NULL,
    engine text NOT NULL,
    engine_version text NOT NULL,
    api_version text NOT NULL,
    cpus bigint NOT NULL,
    memory bigint NOT NULL,
    epoch bigint NOT NULL,
    listed_at timestamptz NOT NULL,
    PRIMARY KEY (host, engine)
);
COMMENT ON TABLE read.engines IS 'The last complete listing of each engine.';

CREATE TABLE read.feed (
    n bigint PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind text NOT NULL CHECK (kind IN ('command', 'step', 'stack', 'version', 'container', 'engine')),
    command bigint,
    attempt bigint,
    step bigint,
    stack_id uuid,
    version bigint,
    host text,
    container text,
    owner text,
    actor text,
    gone boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE read.feed IS 'What changed, in order, by reference: whoever tells it reads the row as it is then. Old entries go; a rebuild empties it and changes the generation.';
COMMENT ON COLUMN read.feed.owner IS 'The owner of the stack that it is about: he and administrators may see it, and so may the actor of its command.';
CREATE INDEX feed_at ON read.feed (at);

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA read TO orrery_projector;
GRANT SELECT ON ALL TABLES IN SCHEMA read TO orrery_api;
