-- Raw copies: tamper evidence, and the way back from a lost disk. The last row of a stream is also the mark that the broker
-- is compared with before the projector goes on.

CREATE TABLE raw.messages (
    stream text NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    subject text NOT NULL,
    headers bytea,
    body bytea NOT NULL,
    at_ns bigint NOT NULL,
    at timestamptz NOT NULL,
    sha256 text NOT NULL,
    chain bytea NOT NULL CHECK (length(chain) = 32),
    verdict text,
    PRIMARY KEY (stream, seq)
);
COMMENT ON COLUMN raw.messages.headers IS '`Name: value` lines ended by CRLF, sorted by name; null without any.';
COMMENT ON COLUMN raw.messages.at_ns IS 'The broker''s time in nanoseconds since the epoch; `at` is the same, for people.';
COMMENT ON COLUMN raw.messages.sha256 IS 'SHA-256 of subject, a zero byte, and body: what the broker is compared by.';
COMMENT ON COLUMN raw.messages.chain IS 'SHA-256 over the chain value of the row before and every field of this one.';
COMMENT ON COLUMN raw.messages.verdict IS 'Why this message changed nothing: it could not be read, or was an illegal transition. Null for most.';

CREATE INDEX messages_passed ON raw.messages (stream, seq) WHERE verdict IS NOT NULL;

GRANT SELECT, INSERT ON raw.messages TO orrery_projector;
