-- A range that ends in rows that are not there was called whole: only rows that are there were compared. Whoever asks up
-- to the seq of a checkpoint must hear that the end is missing, and whoever asks for detached rows that nobody looked.

CREATE OR REPLACE FUNCTION {{schema}}_v1.verify_chain(from_seq bigint DEFAULT 1, to_seq bigint DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = {{schema}}, pg_temp AS $$
DECLARE
  floor    bigint := (SELECT e.seq FROM event_log e ORDER BY e.seq LIMIT 1);
  -- Only what is not in the log: a row that is there is looked at, whatever log_detached says.
  detached bigint := coalesce((SELECT max(d.last_seq) FROM log_detached d WHERE floor IS NULL OR d.last_seq < floor), 0);
  expected bigint := greatest(from_seq, detached + 1);
  previous bytea;
  r        record;
BEGIN
  IF from_seq > to_seq THEN RETURN NULL; END IF;
  IF to_seq <= detached THEN
    RAISE EXCEPTION 'rows up to % were detached: none of the rows asked for is in the log', detached
      USING ERRCODE = 'no_data_found', HINT = 'Let muster log verify --archive check them.';
  END IF;
  IF expected = 1 THEN previous := decode(repeat('00', 32), 'hex');
  ELSE
    previous := coalesce((SELECT e.hash FROM event_log e WHERE e.seq = expected - 1),
                         (SELECT d.last_hash FROM log_detached d WHERE d.last_seq = expected - 1));
  END IF;
  IF previous IS NULL THEN RETURN expected; END IF;
  FOR r IN SELECT e.seq, e.ts, e.epoch, e.kind, e.hostname, e.rollout_id, e.channel, e.actor, e.caused_by,
             e.payload::text AS payload, e.hash
           FROM event_log e WHERE e.seq >= expected AND (to_seq IS NULL OR e.seq <= to_seq) ORDER BY e.seq
  LOOP
    IF r.seq <> expected THEN RETURN expected; END IF;
    IF r.hash <> {{schema}}_v1.row_hash(previous, r.seq, r.ts, r.epoch, r.kind, r.hostname,
         r.rollout_id, r.channel, r.actor, r.caused_by, r.payload) THEN RETURN r.seq; END IF;
    previous := r.hash;
    expected := expected + 1;
  END LOOP;
  -- NULL, to the head, is never greater.
  IF to_seq >= expected THEN RETURN expected; END IF;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION {{schema}}_v1.verify_chain(bigint, bigint) IS 'The first seq of a range whose row is missing or does not follow from the row before it; null when none is. Bounds are inclusive. to_seq null: to the newest row there is; given: rows up to it must be there. Detached rows are passed over; fails when the range has no others.';
