-- A partition has no grants of its own: whoever reads the log reads it through the parent. Once detached it
-- must be readable by the same roles, or nobody but its owner could export it.
CREATE OR REPLACE FUNCTION event_log_detach_lowest() RETURNS text
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
  reader     text;
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
  FOR reader IN
    SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
    FROM pg_class c, aclexplode(c.relacl) a
    WHERE c.oid = 'event_log'::regclass AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('GRANT SELECT ON %I TO %s', kept_name, reader);
  END LOOP;
  EXECUTE format('COMMENT ON TABLE %I IS %L', kept_name,
                 format('Rows %s to %s of the event log, detached by retention; an owner may drop it.', low.seq, high.seq));
  INSERT INTO log_detached (name, first_seq, last_seq, first_ts, last_ts, predecessor_hash, last_hash)
    VALUES (kept_name, low.seq, high.seq, low.ts, high.ts, before, high.hash);
  RETURN kept_name;
END
$$;

CREATE FUNCTION event_log_partition_rows() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 1000000::bigint';
REVOKE EXECUTE ON FUNCTION event_log_partition_rows() FROM PUBLIC;
COMMENT ON FUNCTION event_log_partition_rows() IS 'How many seqs one partition of the log holds.';
