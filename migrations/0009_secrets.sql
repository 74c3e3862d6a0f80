-- Which secrets a stack has: their names, versions, who set them and when. Their values are sealed, and in no table.

ALTER TABLE read.stacks ADD COLUMN secrets jsonb NOT NULL DEFAULT '[]';

COMMENT ON COLUMN read.stacks.secrets IS '[{"name","version","author","set_at"}], by name.';
