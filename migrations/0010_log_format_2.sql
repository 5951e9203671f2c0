-- SQL that reads payloads of format 2 (src/wire/log.ts) as well as of 1, and a page of a rollout that costs what it
-- holds, wherever it is. Code from before format 2, which no release was, leads and serves on this schema as before;
-- it explains and replays nothing that newer code wrote.

-- By stretches of 4,096 seqs: equal keys still share one entry, so that a row costs seven bytes here, and a page
-- begins in the stretch of its cursor and ends in that or the next. By rollout alone each page met all rows of it.
DROP INDEX event_log_rollout;
CREATE INDEX event_log_rollout ON event_log (rollout_id, (seq >> 12)) WHERE rollout_id IS NOT NULL;

CREATE OR REPLACE FUNCTION {{schema}}_v1.describe(kind text, payload json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE kind
    WHEN 'agent_event' THEN concat_ws(' ', coalesce(payload->'event'->>'kind', 'unread event'),
      CASE WHEN payload->>'verdict' = 'refused' THEN 'refused: ' || (payload->>'code') END,
      CASE payload->'event'->>'kind' WHEN 'ProbeResult' THEN concat_ws(' ', payload->'event'->>'probeName', payload->'event'->>'status')
        WHEN 'Failed' THEN concat('(', payload->'event'->>'failingProbes', ')') END)
    WHEN 'transition' THEN concat(payload->>'from', ' → ', payload->>'to',
      CASE WHEN payload->>'synthesised' IS NOT NULL THEN ', synthesised: ' || (payload->>'synthesised')
           WHEN payload->>'closed' IS NOT NULL THEN ', ' || (payload->>'closed')
           WHEN payload->>'unchanged' = 'true' THEN ', unchanged' END)
    WHEN 'rollout_event' THEN concat(payload->>'event', CASE WHEN payload->>'from' IS DISTINCT FROM payload->>'to'
      AND payload->>'to' IS NOT NULL THEN concat(': ', payload->>'from', ' → ', payload->>'to') END)
    WHEN 'plan_action' THEN concat_ws(' ', payload->>'action', coalesce(payload->>'reason', payload->>'closure', payload->>'targetClosure', payload->>'note'))
    WHEN 'gate_decision' THEN CASE WHEN json_array_length(payload->'gates') = 0 THEN 'no longer held'
      ELSE 'held by ' || (SELECT string_agg(g, ', ') FROM json_array_elements_text(payload->'gates') g) END
    WHEN 'operator_command' THEN concat_ws(' ', payload->'command'->>'command', CASE WHEN payload->>'verdict' = 'refused'
      THEN 'refused: ' || (payload->>'code') END, '(' || (payload->>'reason') || ')')
    WHEN 'liveness' THEN payload->>'event'
    WHEN 'host_report' THEN 'reports ' || coalesce(payload->>'closure', payload->>'noted', 'nothing')
    WHEN 'verify_outcome' THEN concat_ws(' ', payload->>'artifact', CASE WHEN payload->>'ok' = 'true' THEN 'verified'
      WHEN payload->>'ok' = 'false' THEN 'refused: ' || (payload->>'reason') ELSE 'changed' END)
    WHEN 'manifest_set' THEN concat('set of ', payload->>'ref', CASE WHEN payload->>'verdict' = 'refused'
      THEN ' refused: ' || (payload->>'code') END)
    WHEN 'leadership' THEN concat(payload->>'holder', ' leads, epoch ', payload->>'epoch')
    ELSE kind END
$$;

CREATE OR REPLACE FUNCTION {{schema}}_v1.record_changes(of_rollout text, up_to bigint)
RETURNS TABLE (seq bigint, part integer, host text, field text, value jsonb)
LANGUAGE sql STABLE SET search_path = {{schema}}, pg_temp AS $$
  WITH rows AS (
    SELECT e.seq, to_jsonb(to_char(e.ts AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AS ts, e.hostname, e.payload
    FROM event_log e WHERE e.rollout_id = of_rollout AND e.seq <= up_to
  ), sets AS (
    SELECT r.seq, r.ts, r.payload, r.hostname AS host, 0 AS n, r.payload->'set' AS set FROM rows r WHERE r.payload->'set' IS NOT NULL
    UNION ALL
    SELECT r.seq, r.ts, r.payload, coalesce(c.change->>'hostname', r.hostname), c.n::integer, c.change->'set'
    FROM rows r, json_array_elements(r.payload->'changes') WITH ORDINALITY AS c (change, n)
    WHERE coalesce(c.change->>'t', 'record') = 'record' AND coalesce(c.change->>'rolloutId', of_rollout) = of_rollout
    UNION ALL
    -- What this list says is never a reference.
    SELECT r.seq, r.ts, '{"v":1}', h.host->>0, c.n::integer,
      json_build_object('state', 'Pending', 'wave', h.host->1, 'targetClosure', h.host->2)
    FROM rows r, json_array_elements(r.payload->'changes') WITH ORDINALITY AS c (change, n),
      json_array_elements(c.change->'hosts') AS h (host)
    WHERE c.change->>'t' = 'records'
  )
  SELECT s.seq, s.n, s.host, whole.key, whole.value
  FROM sets s, jsonb_each(s.set::jsonb) AS f, LATERAL (SELECT f.value #>> '{}' AS text, s.payload->'event' AS event) v, LATERAL (
    SELECT 'lastEventSeq' AS key, f.value WHERE f.key = 'took'
    UNION ALL SELECT 'lastAcceptedAt', s.ts WHERE f.key = 'took'
    UNION ALL SELECT f.key, CASE
      WHEN f.value = 'true'::jsonb AND f.key LIKE '%At' THEN s.ts
      -- Format 2 refers to facts of the row: src/wire/log-brief.ts says how.
      WHEN s.payload->>'v' = '1' OR jsonb_typeof(f.value) <> 'string' OR v.text NOT LIKE '=%' THEN f.value
      WHEN v.text LIKE '==%' THEN to_jsonb(substr(v.text, 2))
      WHEN f.key = 'probes' THEN jsonb_build_object(v.event->>'probeName', jsonb_build_object('status', 'pass',
        'mode', v.event->>'mode', 'lastObservedAt', v.event->>'observedAt', 'lastPassAt', v.event->>'observedAt',
        'failureReason', NULL))
      ELSE coalesce(s.payload->n.fact, v.event->n.fact)::jsonb END
    FROM (SELECT CASE v.text WHEN '=' THEN f.key ELSE substr(v.text, 2) END AS fact) n WHERE f.key <> 'took'
  ) whole
  ORDER BY s.seq, s.n
$$;

-- It runs as the owner: whoever may call it could fill the catalog with empty partitions.
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
    EXECUTE format('CREATE TABLE %I (LIKE event_log INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
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
