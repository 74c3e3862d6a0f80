-- The roles and the database, made where they are missing. Run by the superuser at each start, with the passwords as variables.

SELECT format('CREATE ROLE %I LOGIN', wanted)
  FROM unnest(ARRAY['orrery_owner', 'orrery_projector', 'orrery_api']) AS wanted
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted)
\gexec
ALTER ROLE orrery_owner PASSWORD :'owner';
ALTER ROLE orrery_projector PASSWORD :'projector';
ALTER ROLE orrery_api PASSWORD :'api';

SELECT 'CREATE DATABASE orrery OWNER orrery_owner'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'orrery')
\gexec

-- PostgreSQL lets every role in here; ours have no business there.
REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;
\connect orrery
REVOKE ALL ON SCHEMA public FROM PUBLIC;
