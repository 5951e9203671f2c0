-- A dump that is restored into the database it came from keeps cluster, timeline and database; its tables are new.
-- And columns of the log's partitions say what they hold, as those of the log do.

ALTER TABLE epoch ADD COLUMN log_oid bigint;

COMMENT ON COLUMN epoch.log_oid IS 'Of the table event_log there: a restored dump makes another.';

-- As before, but for INCLUDING COMMENTS.
CREATE OR REPLACE FUNCTION event_log_make_partitions(through bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {{schema}}, pg_temp AS $$
DECLARE
  size   CONSTANT bigint := 1000000;
  made   integer := 0;
  part   bigint;
  name   text;
BEGIN
  -- One maker at a time, whoever calls; released with the transaction.
  PERFORM pg_advisory_xact_lock(x'4d55'::int + 16, ('event_log'::regclass::oid)::bigint::bit(32)::int);
  -- Of the head, not of what is there already: asking again gives no more.
  IF through / size > coalesce((SELECT e.seq FROM event_log e ORDER BY e.seq DESC LIMIT 1), 0) / size + 1000 THEN
    RAISE EXCEPTION 'partitions through % refused: more than 1000 beyond the head of the log', through
      USING ERRCODE = 'program_limit_exceeded', HINT = 'Two are made ahead; ask for what the head will need.';
  END IF;
  FOR part IN
    SELECT n FROM generate_series(0, greatest(through, 0) / size) AS n
    WHERE to_regclass(format('event_log_p%s', lpad(n::text, 6, '0'))) IS NULL
      AND n > coalesce((SELECT max(substr(c.relname, 12)::bigint) FROM pg_inherits i
                        JOIN pg_class c ON c.oid = i.inhrelid
                        WHERE i.inhparent = 'event_log'::regclass), -1)
    ORDER BY n
  LOOP
    name := format('event_log_p%s', lpad(part::text, 6, '0'));
    -- Made apart and then attached: attaching does not lock out readers and writers of the log.
    EXECUTE format('CREATE TABLE %I (LIKE event_log INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)', name);
    EXECUTE format('CREATE TRIGGER event_log_no_truncate BEFORE TRUNCATE ON %I
                    FOR EACH STATEMENT EXECUTE FUNCTION event_log_append_only()', name);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER event_log_no_truncate', name);
    EXECUTE format('ALTER TABLE event_log ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                   name, part * size, (part + 1) * size);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER event_log_no_change', name);
    EXECUTE format('COMMENT ON TABLE %I IS %L', name,
                   format('Rows %s to %s of event_log.', part * size, (part + 1) * size - 1));
    made := made + 1;
  END LOOP;
  RETURN made;
END
$$;

DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT i.inhrelid::regclass AS part, a.attname AS name, d.description AS text
    FROM pg_inherits i
    JOIN pg_description d ON d.objoid = i.inhparent AND d.classoid = 'pg_class'::regclass AND d.objsubid > 0
    JOIN pg_attribute a ON a.attrelid = i.inhparent AND a.attnum = d.objsubid
    WHERE i.inhparent = 'event_log'::regclass
  LOOP
    EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', one.part, one.name, one.text);
  END LOOP;
END
$$;
