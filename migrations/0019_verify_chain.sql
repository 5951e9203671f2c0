-- verify_chain vouches for a range only when the rows up to its end are there; and rows of a detached partition that nobody
-- dropped yet are still here to be looked at: a change in one must show as a change in the log does.

CREATE OR REPLACE FUNCTION {{schema}}_v1.verify_chain(from_seq bigint DEFAULT 1, to_seq bigint DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = {{schema}}, pg_temp AS $$
DECLARE
  floor    bigint := (SELECT e.seq FROM event_log e ORDER BY e.seq LIMIT 1);
  -- The last row that no table holds; a row that is in the log is looked at, whatever log_detached says.
  gone     bigint := coalesce((SELECT max(d.last_seq) FROM log_detached d
                               WHERE to_regclass(d.name) IS NULL AND (floor IS NULL OR d.last_seq < floor)), 0);
  expected bigint := greatest(from_seq, gone + 1);
  previous bytea;
  part     text;
  r        record;
BEGIN
  IF from_seq > to_seq THEN RETURN NULL; END IF;
  IF to_seq <= gone THEN
    RAISE EXCEPTION 'rows up to % were detached and dropped: none of the rows asked for is here', gone
      USING ERRCODE = 'no_data_found', HINT = 'Let muster log verify --archive check them.';
  END IF;
  IF expected = 1 THEN previous := decode(repeat('00', 32), 'hex');
  ELSE
    SELECT d.name INTO part FROM log_detached d
      WHERE expected - 1 BETWEEN d.first_seq AND d.last_seq AND to_regclass(d.name) IS NOT NULL;
    EXECUTE format('SELECT e.hash FROM %I e WHERE e.seq = $1', coalesce(part, 'event_log')) INTO previous USING expected - 1;
    previous := coalesce(previous, (SELECT d.last_hash FROM log_detached d WHERE d.last_seq = expected - 1 AND d.last_seq = gone));
  END IF;
  IF previous IS NULL THEN RETURN expected; END IF;
  FOR part IN
    SELECT d.name FROM (
      SELECT l.name, l.last_seq FROM log_detached l WHERE l.last_seq > gone AND to_regclass(l.name) IS NOT NULL
      UNION ALL SELECT 'event_log', NULL
    ) d WHERE d.last_seq IS NULL OR d.last_seq >= expected ORDER BY d.last_seq NULLS LAST
  LOOP
    FOR r IN EXECUTE format(
      'SELECT e.seq, e.ts, e.epoch, e.kind, e.hostname, e.rollout_id, e.channel, e.actor, e.caused_by,
         e.payload::text AS payload, e.hash
       FROM %I e WHERE e.seq >= $1 AND e.seq <= $2 ORDER BY e.seq', part)
      USING expected, coalesce(to_seq, 9223372036854775807)
    LOOP
      IF r.seq <> expected THEN RETURN expected; END IF;
      IF r.hash <> {{schema}}_v1.row_hash(previous, r.seq, r.ts, r.epoch, r.kind, r.hostname,
           r.rollout_id, r.channel, r.actor, r.caused_by, r.payload) THEN RETURN r.seq; END IF;
      previous := r.hash;
      expected := expected + 1;
    END LOOP;
  END LOOP;
  -- NULL, to the head, is never greater.
  IF to_seq >= expected THEN RETURN expected; END IF;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION {{schema}}_v1.verify_chain(bigint, bigint) IS 'The first seq of a range whose row is missing or does not follow from the row before it; null when none is. Bounds are inclusive. to_seq null: to the newest row there is; given: rows up to it must be there. It begins after the last detached table that was dropped: later ones are read, rows before that are passed over (older tables that are still there too: check them with muster log verify --archive), and it fails when the range has no others.';
