-- The log's second step: what the least of roles needs, snapshots to start a replay from, and partitions
-- that are detached, never edited. No statement needs a superuser or creates a role: `muster migrate --roles`
-- does that (src/db/roles.ts), since a role belongs to the whole server and not to this schema.

-- ── Reading by kind ────────────────────────────────────────────────────────────────────────────────

-- Kinds that come once in thousands of rows; the others are met soon enough by walking the primary key.
CREATE INDEX event_log_rare_kind ON event_log (kind, seq)
  WHERE kind IN ('leadership', 'operator_command', 'manifest_set', 'verify_outcome', 'rollout_event', 'liveness');

-- ── What a role may do without ─────────────────────────────────────────────────────────────────────

-- FOR SHARE asks for UPDATE on some column. The API must lock the dispatch that it offers, and change none.
ALTER TABLE dispatch ADD COLUMN lock_only boolean;
COMMENT ON COLUMN dispatch.lock_only IS 'Never written. Whoever may UPDATE this column alone may lock the row FOR SHARE, and change nothing.';

REVOKE EXECUTE ON FUNCTION event_log_make_partitions(bigint), event_log_append_only(), fence(bigint) FROM PUBLIC;

-- ── Snapshots ──────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE snapshot (
  seq         bigint         NOT NULL PRIMARY KEY,
  hash        bytea          NOT NULL CHECK (length(hash) = 32),
  ts          timestamptz(3) NOT NULL,
  incarnation text           NOT NULL,
  format      integer        NOT NULL,
  taken_at    timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  folds_equal boolean
);

CREATE TABLE snapshot_part (
  seq    bigint  NOT NULL REFERENCES snapshot ON DELETE CASCADE,
  family text    NOT NULL,
  part   integer NOT NULL,
  rows   json    NOT NULL,
  PRIMARY KEY (seq, family, part)
);

-- ── Detached partitions ────────────────────────────────────────────────────────────────────────────

CREATE TABLE log_detached (
  name             text           NOT NULL PRIMARY KEY,
  first_seq        bigint         NOT NULL,
  last_seq         bigint         NOT NULL,
  first_ts         timestamptz(3) NOT NULL,
  last_ts          timestamptz(3) NOT NULL,
  predecessor_hash bytea          NOT NULL CHECK (length(predecessor_hash) = 32),
  last_hash        bytea          NOT NULL CHECK (length(last_hash) = 32),
  detached_at      timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  exported_to      text
);

-- Detaches the lowest partition and returns its new name; null when it must stay: nothing is below a
-- snapshot that was folded and found equal, or the head lives there.
CREATE FUNCTION event_log_detach_lowest() RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {{schema}}, pg_temp
-- A detach locks the log for a moment; whoever reads it for long is not waited for, nor is the leader
-- kept waiting behind us. It is tried again.
SET lock_timeout = '200ms' AS $$
DECLARE
  size       CONSTANT bigint := 1000000;
  part       bigint;
  part_name  text;
  kept_name  text;
  low        event_log;
  high       event_log;
  before     bytea;
BEGIN
  PERFORM pg_advisory_xact_lock(x'4d55'::int + 16, ('event_log'::regclass::oid)::bigint::bit(32)::int);
  SELECT min(substr(c.relname, 12)::bigint) INTO part FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'event_log'::regclass;
  part_name := format('event_log_p%s', lpad(part::text, 6, '0'));
  kept_name := format('event_log_detached_p%s', lpad(part::text, 6, '0'));
  IF NOT EXISTS (SELECT FROM event_log WHERE seq >= (part + 1) * size)
     OR NOT EXISTS (SELECT FROM snapshot WHERE folds_equal AND seq >= (part + 1) * size - 1) THEN
    RETURN NULL;
  END IF;
  SELECT * INTO STRICT low FROM event_log ORDER BY seq LIMIT 1;
  SELECT * INTO STRICT high FROM event_log WHERE seq < (part + 1) * size ORDER BY seq DESC LIMIT 1;
  SELECT last_hash INTO before FROM log_detached WHERE last_seq = low.seq - 1;
  IF low.seq = 1 THEN before := decode(repeat('00', 32), 'hex'); END IF;
  EXECUTE format('ALTER TABLE event_log DETACH PARTITION %I', part_name);
  EXECUTE format('ALTER TABLE %I RENAME TO %I', part_name, kept_name);
  -- Its row trigger was the parent's and went with it.
  EXECUTE format('CREATE TRIGGER event_log_no_change BEFORE UPDATE OR DELETE ON %I
                  FOR EACH ROW EXECUTE FUNCTION event_log_append_only()', kept_name);
  EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER event_log_no_change', kept_name);
  EXECUTE format('COMMENT ON TABLE %I IS %L', kept_name,
                 format('Rows %s to %s of the event log, detached by retention; an owner may drop it.', low.seq, high.seq));
  INSERT INTO log_detached (name, first_seq, last_seq, first_ts, last_ts, predecessor_hash, last_hash)
    VALUES (kept_name, low.seq, high.seq, low.ts, high.ts, before, high.hash);
  RETURN kept_name;
END
$$;
REVOKE EXECUTE ON FUNCTION event_log_detach_lowest() FROM PUBLIC;

COMMENT ON FUNCTION event_log_detach_lowest() IS 'Detaches the lowest partition of the log and returns its new name; null when it must stay.';
COMMENT ON TABLE snapshot IS 'Not derived: states to start a replay from, each read in one transaction with the seq that it belongs to.';
COMMENT ON COLUMN snapshot.hash IS 'Of the log row seq: the chain goes on from here when the rows below are detached.';
COMMENT ON COLUMN snapshot.folds_equal IS 'True once the log was folded up to seq and found equal; null while nobody looked. Nothing is detached above such a snapshot.';
COMMENT ON TABLE snapshot_part IS 'Not derived: the rows of a snapshot, by family of state rows, in pieces.';
COMMENT ON TABLE log_detached IS 'Not derived: partitions that retention has taken out of the log, and how the chain runs through them.';
COMMENT ON COLUMN log_detached.predecessor_hash IS 'Hash of the row before its first: 32 zero bytes before seq 1.';
COMMENT ON COLUMN log_detached.exported_to IS 'The file that holds its rows as compressed JSON lines; null while there is none.';
