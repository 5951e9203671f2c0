-- What became of an enrolment, in words as for all other kinds of rows. And a state in the past: after a detach it was
-- put together from what rows were left when no snapshot was old enough to begin with; now that is refused. Nor is it
-- built on a snapshot that nobody folded: it may be a copy of tables that somebody damaged.

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
    WHEN 'enrolment' THEN CASE
      WHEN payload->>'code' IS NOT NULL THEN concat_ws(' ', CASE WHEN payload->>'event' = 'EnrolmentRequested'
        THEN 'asks for another certificate,' ELSE 'enrolment' END, 'refused:', payload->>'code')
      WHEN payload->>'event' = 'EnrolmentRequested' THEN concat('enrolled, certificate ', payload->'certificate'->>'serial',
        ' until ', payload->'certificate'->>'notAfter')
      WHEN payload->>'event' = 'CertificateRenewed' THEN concat('renewed, certificate ', payload->'certificate'->>'serial',
        ' until ', payload->'certificate'->>'notAfter')
      WHEN payload->>'event' = 'NoncesForgotten' THEN concat('forgets ', json_array_length(payload->'nonces'), ' expired nonces')
      ELSE payload->>'event' END
    ELSE kind END
$$;

CREATE OR REPLACE FUNCTION {{schema}}_v1.state_at(at_seq bigint, of_rollout text)
RETURNS TABLE (host text, wave integer, state text, target_closure text, current_closure text, closed text,
  dispatched_at timestamptz(3), acked_at timestamptz(3), activation_started_at timestamptz(3),
  activation_completed_at timestamptz(3), soak_due_at timestamptz(3), converged_at timestamptz(3),
  failed_at timestamptz(3), reverted_at timestamptz(3), last_event_seq bigint, changed_seq bigint)
LANGUAGE plpgsql STABLE SET search_path = {{schema}}, pg_temp AS $$
#variable_conflict use_column
DECLARE
  floor bigint := coalesce((SELECT f.seq FROM event_log f ORDER BY f.seq LIMIT 1), 1);
  base  bigint := 0;
BEGIN
  IF floor > 1 THEN
    -- A snapshot that was proven stands for the rows that are gone.
    base := (SELECT min(s.seq) FROM snapshot s WHERE s.folds_equal AND s.seq + 1 >= floor);
    IF base IS NULL OR base > at_seq THEN
      RAISE EXCEPTION 'rows before % were detached, and no proven snapshot stands for them at row %', floor, at_seq
        USING ERRCODE = 'no_data_found',
        HINT = format('Ask for a row from %s on, or let muster replay --at read the archives.', coalesce(base::text, 'the next proven snapshot'));
    END IF;
  END IF;
  RETURN QUERY
  WITH known AS (
    SELECT base AS seq, 0 AS part, r.record->>'hostname' AS host, f.key AS field, f.value
    FROM snapshot_part p, json_array_elements(p.rows) AS r (record), jsonb_each(r.record::jsonb) AS f
    WHERE p.seq = base AND p.family = 'records' AND r.record->>'rolloutId' = of_rollout
    UNION ALL
    SELECT c.seq, c.part, c.host, c.field, c.value FROM {{schema}}_v1.record_changes(of_rollout, at_seq) c
    WHERE c.seq > base
  ), newest AS (
    SELECT k.host, k.field, (array_agg(k.value ORDER BY k.seq DESC, k.part DESC))[1] AS value, max(k.seq) AS seq
    FROM known k GROUP BY k.host, k.field
  ), merged AS (
    SELECT n.host, jsonb_object_agg(n.field, n.value) AS of, max(n.seq) AS seq FROM newest n GROUP BY n.host
  )
  SELECT m.host, (m.of->>'wave')::integer, m.of->>'state', m.of->>'targetClosure', m.of->>'currentClosure', m.of->>'closed',
    (m.of->>'dispatchedAt')::timestamptz, (m.of->>'dispatchAckedAt')::timestamptz, (m.of->>'activationStartedAt')::timestamptz,
    (m.of->>'activationCompletedAt')::timestamptz, (m.of->>'soakDueAt')::timestamptz, (m.of->>'convergedAt')::timestamptz,
    (m.of->>'failedAt')::timestamptz, (m.of->>'revertedAt')::timestamptz, coalesce((m.of->>'lastEventSeq')::bigint, 0), m.seq
  FROM merged m ORDER BY m.host;
END
$$;

COMMENT ON FUNCTION {{schema}}_v1.state_at(bigint, text) IS 'The hosts of a rollout as they were after a row of the log: the last value of each logged field wins. Fails for a row that only detached rows could tell of.';
