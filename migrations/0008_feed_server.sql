-- The feed's numbers mean something only as long as the database goes forward. A copy of yesterday that was put back gives
-- out the same numbers once more, for other changes; that can only happen while the server is down, so the feed begins anew
-- with every start of the server.

ALTER TABLE meta.feed_head ADD COLUMN server_started timestamptz;

COMMENT ON COLUMN meta.feed_head.server_started IS 'When the server was started under which this generation was begun (pg_postmaster_start_time); null before the first.';
