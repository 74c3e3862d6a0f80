-- One row each: the installation, and the head of the feed.

CREATE TABLE meta.installation (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id uuid NOT NULL,
    engines text[] NOT NULL,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE meta.installation IS 'As HEADS says under `installation`. Another id in HEADS is another installation, and stops the projector.';

CREATE TABLE meta.feed_head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    generation bigint NOT NULL,
    n bigint NOT NULL
);
COMMENT ON COLUMN meta.feed_head.generation IS 'Changes at a rebuild, and differs between databases: milliseconds of the epoch when it was made.';
COMMENT ON COLUMN meta.feed_head.n IS 'The last number given out in this generation; 0 before the first.';

INSERT INTO meta.feed_head (generation, n) VALUES ((extract(epoch FROM clock_timestamp()) * 1000)::bigint, 0);

GRANT SELECT, INSERT, UPDATE ON meta.installation, meta.feed_head TO orrery_projector;
GRANT SELECT ON meta.installation, meta.feed_head TO orrery_api;
