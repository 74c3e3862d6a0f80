-- Accounts. Secrets are kept as hashes only: passwords by argon2id, session and API tokens by SHA-256 of their random value.

CREATE TABLE auth.users (
    id uuid PRIMARY KEY,
    username text NOT NULL CONSTRAINT users_username_key UNIQUE,
    password_hash text NOT NULL,
    role text NOT NULL CHECK (role IN ('admin', 'user', 'viewer')),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    password_changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    disabled_at timestamptz
);

CREATE TABLE auth.sessions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    token_hash bytea NOT NULL CONSTRAINT sessions_token_hash_key UNIQUE CHECK (length(token_hash) = 32),
    csrf text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    address text,
    user_agent text
);
CREATE INDEX sessions_user ON auth.sessions (user_id);
CREATE INDEX sessions_expiry ON auth.sessions (expires_at);

CREATE TABLE auth.tokens (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    name text NOT NULL,
    token_hash bytea NOT NULL CONSTRAINT tokens_token_hash_key UNIQUE CHECK (length(token_hash) = 32),
    scopes text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_used_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz
);
COMMENT ON COLUMN auth.tokens.scopes IS 'Empty: all that its user may do.';
CREATE INDEX tokens_user ON auth.tokens (user_id);

CREATE TABLE auth.login_attempts (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    username text NOT NULL,
    address text,
    succeeded boolean NOT NULL
);
CREATE INDEX login_attempts_username ON auth.login_attempts (username, at DESC);
CREATE INDEX login_attempts_address ON auth.login_attempts (address, at DESC);
CREATE INDEX login_attempts_at ON auth.login_attempts (at);

CREATE TABLE auth.audit (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    user_id uuid,
    username text,
    action text NOT NULL,
    subject text,
    succeeded boolean NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    address text,
    request_id text
);
COMMENT ON TABLE auth.audit IS 'Who did what that is no command: sign-in, passwords, tokens, terminals. Appended to, never changed; no reference, so that it outlives its user.';
CREATE INDEX audit_at ON auth.audit (at DESC);
CREATE INDEX audit_user ON auth.audit (username, at DESC);

GRANT SELECT, INSERT, UPDATE, DELETE ON auth.users, auth.sessions, auth.tokens TO orrery_api;
GRANT SELECT, INSERT, DELETE ON auth.login_attempts TO orrery_api;
GRANT SELECT, INSERT ON auth.audit TO orrery_api;
