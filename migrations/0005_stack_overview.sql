-- What a stack's status follows from, computed when it is asked for. The word itself is derived in one place, by
-- StackStatus::derive, from the columns desired, deleting, changing, failed, services_total, services_running,
-- unhealthy and drifted.

CREATE VIEW read.service_counts AS
SELECT
    s.id AS stack_id,
    e.name AS service,
    e.containers AS wanted,
    count(c.id) FILTER (WHERE c.state = 'running' OR (e.may_finish AND c.state = 'exited' AND c.exit_code = 0)) AS right_ones,
    count(c.id) FILTER (WHERE c.state = 'running' AND c.health IN ('starting', 'unhealthy')) AS not_healthy
FROM read.stacks s
CROSS JOIN LATERAL jsonb_to_recordset(s.services) AS e (name text, containers bigint, may_finish boolean)
LEFT JOIN read.containers c ON c.stack_id = s.id AND c.service = e.name AND NOT c.transient
WHERE s.deleted_at IS NULL
GROUP BY s.id, e.name, e.containers, e.may_finish;
COMMENT ON VIEW read.service_counts IS 'Of each service of each stack''s current version: how many containers it should have, how many run or have finished as they may, and how many of these are not healthy (yet).';

CREATE VIEW read.stack_overview AS
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
WHERE s.deleted_at IS NULL;
COMMENT ON VIEW read.stack_overview IS 'A stack with everything that its answer and its status follow from. `command` is the first of its commands that has not ended.';

GRANT SELECT ON read.service_counts, read.stack_overview TO orrery_api, orrery_projector;
