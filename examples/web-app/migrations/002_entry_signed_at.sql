ALTER TABLE entry ADD COLUMN signed_at timestamptz NOT NULL DEFAULT now();
