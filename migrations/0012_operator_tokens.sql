-- Bearer tokens of operators. Who may come in as what is derived state, with its history in the log; what proves
-- it is not: the hash of a secret is in no log row, and goes when the token goes.

CREATE TABLE operator_token (
  token_id   text           PRIMARY KEY,
  seq        bigint         NOT NULL,
  name       text           NOT NULL,
  role       text           NOT NULL,
  channels   json,
  created_by text           NOT NULL,
  created_at timestamptz(3) NOT NULL,
  expires_at timestamptz(3) NOT NULL
);

-- No foreign key: a secret is stored with the queued command, before there is a token, and a rebuilding of the
-- derived tables must not take the secrets along.
CREATE TABLE operator_secret (
  token_id     text           PRIMARY KEY,
  hash         bytea          NOT NULL CHECK (octet_length(hash) = 32),
  stored_at    timestamptz(3) NOT NULL DEFAULT now(),
  last_used_at timestamptz(3)
);

COMMENT ON TABLE operator_token IS 'Derived: bearer tokens of operators that were made and not revoked.';
COMMENT ON COLUMN operator_token.token_id IS 'The part of the token that is no secret.';
COMMENT ON COLUMN operator_token.seq IS 'Log row that made it.';
COMMENT ON COLUMN operator_token.name IS 'What the log calls its holder: token:<name>.';
COMMENT ON COLUMN operator_token.role IS 'viewer, operator or admin.';
COMMENT ON COLUMN operator_token.channels IS 'Commands under it reach these channels only; null: everything.';
COMMENT ON COLUMN operator_token.created_by IS 'Who made it.';
COMMENT ON COLUMN operator_token.created_at IS 'When.';
COMMENT ON COLUMN operator_token.expires_at IS 'When it ends by itself.';
COMMENT ON TABLE operator_secret IS 'What proves a bearer token. Admits nobody without the row of operator_token.';
COMMENT ON COLUMN operator_secret.token_id IS 'Token that it is of.';
COMMENT ON COLUMN operator_secret.hash IS 'SHA-256 of the secret, which is 256 bits of chance.';
COMMENT ON COLUMN operator_secret.stored_at IS 'When.';
COMMENT ON COLUMN operator_secret.last_used_at IS 'When it last admitted somebody, to the minute.';
