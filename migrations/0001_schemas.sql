-- The four schemas, and who may enter which. Migrations are run by orrery_owner, who owns the database; the roles of the
-- services exist already and own nothing. Migrations only expand: the release before this one goes on working.

CREATE SCHEMA meta;
CREATE SCHEMA raw;
CREATE SCHEMA read;
CREATE SCHEMA auth;

COMMENT ON SCHEMA meta IS 'What the installation is, and how far the feed has come. Writer: projector.';
COMMENT ON SCHEMA raw IS 'A copy of every message of COMMANDS, EVENTS and VERSIONS, in one hash chain a stream. Appended to by the projector, changed by nobody, touched by no rebuild.';
COMMENT ON SCHEMA read IS 'The read model: derived from the streams, dropped and rebuilt at will. Writer: projector.';
COMMENT ON SCHEMA auth IS 'Users, sessions, tokens and the audit. Writer: api.';

GRANT USAGE ON SCHEMA meta, raw, read TO orrery_projector;
GRANT USAGE ON SCHEMA meta, read, auth TO orrery_api;

-- Nobody else enters the database; the projector makes temporary tables, in which a rebuild grows.
DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO orrery_projector, orrery_api', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO orrery_projector', current_database());
END
$$;
