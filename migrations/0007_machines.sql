-- Machines are versioned as stacks are: their rows lie beside theirs, told apart by `kind`. What libvirt has now lies in two
-- tables of its own. The status of a machine is derived in one place, by MachineStatus::derive.

ALTER TABLE read.stacks
    ADD COLUMN kind text NOT NULL DEFAULT 'stack' CHECK (kind IN ('stack', 'machine')),
    ADD COLUMN summary jsonb;
COMMENT ON COLUMN read.stacks.kind IS 'What is versioned. A name is unique per owner and kind.';
COMMENT ON COLUMN read.stacks.project IS 'The Compose project label of a stack''s containers; the name of a machine''s domain.';
COMMENT ON COLUMN read.stacks.summary IS 'What a machine''s current version is, in short; null for stacks.';

ALTER TABLE read.engines ADD COLUMN accelerator text;
COMMENT ON COLUMN read.engines.accelerator IS 'How virtual machines are run, as a trial has shown: kvm or tcg; null for engines without.';

CREATE TABLE read.domains (
    host text NOT NULL,
    uuid uuid NOT NULL,
    name text NOT NULL,
    installation uuid,
    machine_id uuid,
    kind text NOT NULL CHECK (kind IN ('vm', 'container')),
    version bigint,
    state text NOT NULL CHECK (state IN ('running', 'paused', 'shutting_down', 'off', 'crashed', 'asleep')),
    reason text NOT NULL,
    cpus bigint NOT NULL,
    memory bigint NOT NULL,
    addresses jsonb NOT NULL,
    snapshots jsonb NOT NULL,
    drift jsonb NOT NULL,
    epoch bigint NOT NULL,
    PRIMARY KEY (host, uuid)
);
COMMENT ON TABLE read.domains IS 'What libvirt has now, foreign domains included. One is ours when installation is this installation''s.';
CREATE INDEX domains_machine ON read.domains (machine_id);

CREATE TABLE read.boxes (
    host text NOT NULL,
    name text NOT NULL,
    format text NOT NULL,
    sha256 text NOT NULL,
    size bigint NOT NULL,
    capacity bigint NOT NULL,
    description text NOT NULL,
    origin text NOT NULL,
    imported_at timestamptz NOT NULL,
    used_by jsonb NOT NULL,
    epoch bigint NOT NULL,
    PRIMARY KEY (host, name)
);
COMMENT ON TABLE read.boxes IS 'The boxes that the pool has now.';

CREATE OR REPLACE VIEW read.stack_overview AS
SELECT
    s.id,
    s.name,
    s.owner,
    s.project,
    s.host,
    s.pending,
    s.desired,
    s.current,
    s.latest,
    s.created_by,
    s.created_at,
    coalesce(latest.comment, '') AS comment,
    latest.digest AS latest_digest,
    open.command,
    coalesce(open.failed, false) AS failed,
    coalesce(open.deleting, false) AS deleting,
    coalesce(open.changing, false) AS changing,
    coalesce(services.total, 0) AS services_total,
    coalesce(services.running, 0) AS services_running,
    coalesce(services.healthy, 0) AS services_healthy,
    coalesce(seen.unhealthy, false) AS unhealthy,
    coalesce(seen.drifted, 0) AS drifted
FROM read.stacks s
LEFT JOIN read.versions latest ON latest.stack_id = s.id AND latest.version = s.latest
LEFT JOIN LATERAL (
    SELECT
        min(c.seq) AS command,
        bool_or(c.status = 'FAILED') AS failed,
        bool_or(c.type = 'stack.delete') AS deleting,
        bool_or(c.status <> 'FAILED' AND c.type IN ('stack.apply', 'stack.rollback', 'stack.deploy', 'stack.start', 'stack.stop', 'stack.restart')) AS changing
    FROM read.commands c
    WHERE c.stack_id = s.id AND c.status IN ('PENDING', 'RUNNING', 'FAILED')
) open ON true
LEFT JOIN LATERAL (
    SELECT
        count(*) AS total,
        count(*) FILTER (WHERE right_ones >= wanted) AS running,
        count(*) FILTER (WHERE right_ones >= wanted AND not_healthy = 0) AS healthy
    FROM read.service_counts
    WHERE stack_id = s.id
) services ON true
LEFT JOIN LATERAL (
    SELECT
        bool_or(c.state = 'running' AND c.health = 'unhealthy') AS unhealthy,
        count(*) FILTER (WHERE jsonb_array_length(c.drift) > 0) AS drifted
    FROM read.containers c
    WHERE c.stack_id = s.id AND NOT c.transient
) seen ON true
WHERE s.deleted_at IS NULL AND s.kind = 'stack';

CREATE VIEW read.machine_overview AS
SELECT
    s.id,
    s.name,
    s.owner,
    s.project AS domain,
    s.host,
    s.pending,
    s.desired,
    s.current,
    s.latest,
    s.summary,
    s.created_by,
    s.created_at,
    coalesce(latest.comment, '') AS comment,
    open.command,
    coalesce(open.failed, false) AS failed,
    coalesce(open.deleting, false) AS deleting,
    coalesce(open.changing, false) AS changing,
    d.state,
    d.reason,
    d.version AS defined_version,
    coalesce(d.addresses, '[]') AS addresses,
    coalesce(d.snapshots, '[]') AS snapshots,
    coalesce(d.drift, '[]') AS drift
FROM read.stacks s
LEFT JOIN read.versions latest ON latest.stack_id = s.id AND latest.version = s.latest
LEFT JOIN read.domains d ON d.host = s.host AND d.machine_id = s.id
LEFT JOIN LATERAL (
    SELECT
        min(c.seq) AS command,
        bool_or(c.status = 'FAILED') AS failed,
        bool_or(c.type = 'machine.delete') AS deleting,
        bool_or(c.status <> 'FAILED' AND c.type NOT IN ('machine.create', 'machine.version.create', 'machine.delete')) AS changing
    FROM read.commands c
    WHERE c.stack_id = s.id AND c.status IN ('PENDING', 'RUNNING', 'FAILED')
) open ON true
WHERE s.deleted_at IS NULL AND s.kind = 'machine';
COMMENT ON VIEW read.machine_overview IS 'A machine with everything that its answer and its status follow from. `command` is the first of its commands that has not ended.';

GRANT SELECT, INSERT, UPDATE, DELETE ON read.domains, read.boxes TO orrery_projector;
GRANT SELECT ON read.domains, read.boxes TO orrery_api;
GRANT SELECT ON read.machine_overview TO orrery_api, orrery_projector;
