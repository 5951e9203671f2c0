-- {{schema}}_v1: what DBAs, auditors and reports may rely on. Views and functions only ever gain columns and
-- names here; what would change a meaning becomes {{schema}}_v2 beside it. The tables below may change with any
-- release. Everything is safe for a read-only role and made for indexes of the log.

DO $$ BEGIN
  IF to_regnamespace('{{schema}}_v1') IS NULL THEN CREATE SCHEMA {{schema}}_v1; END IF;
END $$;
COMMENT ON SCHEMA {{schema}}_v1 IS 'Muster, read only: a versioned contract of views and functions. docs/sql-cookbook.md shows how to ask.';

-- Rows that are of no one host: few, and asked for by the history of each host they name.
CREATE INDEX event_log_wide ON event_log (rollout_id, seq) WHERE hostname IS NULL;

-- ── Views ──────────────────────────────────────────────────────────────────────────────────────────

CREATE VIEW {{schema}}_v1.events AS
SELECT seq, ts, epoch, kind, hostname AS host, rollout_id, channel, actor, caused_by,
  CASE WHEN caused_by < (SELECT f.seq FROM {{schema}}.event_log f ORDER BY f.seq LIMIT 1)
    THEN 'before retention' END AS cause_note,
  payload::jsonb AS payload, hash
FROM {{schema}}.event_log;

CREATE VIEW {{schema}}_v1.rollouts AS
SELECT r.rollout_id, r.channel, r.channel_ref, r.display_name, r.state, r.current_wave,
  json_array_length(r.plan->'soakMinutes') AS waves, r.opened_at, r.terminal_at, r.failed_at, r.ended_at,
  r.superseded_at, r.superseded_by, r.plan->>'onHealthFailure' AS on_health_failure,
  (r.plan->>'maxFailures')::integer AS max_failures, h.hosts, h.pending, h.moving, h.soaking, h.converged,
  h.failed, h.reverted, r.exceptions::jsonb AS exceptions, r.blockers::jsonb AS blockers, r.seq AS changed_seq
FROM {{schema}}.rollout r LEFT JOIN LATERAL (
  SELECT count(*) AS hosts, count(*) FILTER (WHERE state = 'Pending') AS pending,
    count(*) FILTER (WHERE state IN ('Activating', 'Deferred')) AS moving,
    count(*) FILTER (WHERE state = 'Soaking') AS soaking, count(*) FILTER (WHERE state = 'Converged') AS converged,
    count(*) FILTER (WHERE state = 'Failed') AS failed, count(*) FILTER (WHERE state = 'Reverted') AS reverted
  FROM {{schema}}.host_rollout WHERE rollout_id = r.rollout_id
) h ON true;

CREATE VIEW {{schema}}_v1.hosts AS
SELECT n.hostname AS host, o.channel, h.reported_closure, coalesce(h.reachability, 'never') AS reachability,
  h.reachability_at, p.heard_at, p.agent_version, h.hold->>'actor' AS held_by, h.hold->>'reason' AS hold_reason,
  (h.hold->>'at')::timestamptz(3) AS held_at, o.rollout_id, o.state, o.wave, o.target_closure,
  coalesce(h.reported_closure = o.target_closure, false) AS on_target, o.dispatched_at, o.converged_at,
  greatest(h.seq, o.seq) AS changed_seq
FROM (SELECT hostname FROM {{schema}}.host UNION SELECT hostname FROM {{schema}}.host_rollout) n
LEFT JOIN {{schema}}.host h ON h.hostname = n.hostname
LEFT JOIN {{schema}}.presence p ON p.hostname = n.hostname
LEFT JOIN LATERAL (
  SELECT hr.* FROM {{schema}}.host_rollout hr JOIN {{schema}}.rollout r ON r.rollout_id = hr.rollout_id
  WHERE hr.hostname = n.hostname ORDER BY r.ordinal DESC LIMIT 1
) o ON true;

CREATE VIEW {{schema}}_v1.host_rollouts AS
SELECT hr.rollout_id, hr.hostname AS host, hr.channel, hr.wave, hr.state, hr.target_closure,
  hr.current_closure_at_dispatch AS closure_before, hr.current_closure, hr.reverted_to, hr.dispatched_at,
  hr.dispatch_acked_at AS acked_at, hr.activation_started_at, hr.activation_completed_at, hr.soak_due_at,
  hr.probe_failure_first_at, hr.converged_at, hr.failed_at, hr.reverted_at, hr.policy_applied, hr.closed,
  hr.synthesised, hr.unchanged, hr.cleared, hr.last_event_seq, hr.seq AS changed_seq
FROM {{schema}}.host_rollout hr;

CREATE VIEW {{schema}}_v1.blocked_hosts AS
SELECT b.rollout_id, b.hostname AS host, g.gate, split_part(g.gate, ':', 1) AS gate_kind, b.since,
  clock_timestamp() - b.since AS blocked_for, b.seq AS changed_seq
FROM {{schema}}.host_blocker b, json_array_elements_text(b.gates) AS g (gate);

CREATE VIEW {{schema}}_v1.quarantines AS
SELECT channel, closure, rollout_id, hostname AS host, at AS quarantined_at, seq AS changed_seq
FROM {{schema}}.quarantine;

CREATE VIEW {{schema}}_v1.failing_probes AS
SELECT rollout_id, hostname AS host, probe_name, nullif(control_id, '') AS control_id, since, seq AS changed_seq
FROM {{schema}}.probe_failure;

CREATE VIEW {{schema}}_v1.pauses AS
SELECT 'fleet' AS scope, NULL::text AS channel, pause->>'actor' AS actor, pause->>'reason' AS reason,
  (pause->>'at')::timestamptz(3) AS since, seq AS changed_seq
FROM {{schema}}.fleet WHERE pause IS NOT NULL
UNION ALL
SELECT 'channel', channel, pause->>'actor', pause->>'reason', (pause->>'at')::timestamptz(3), seq
FROM {{schema}}.channel WHERE pause IS NOT NULL;

CREATE VIEW {{schema}}_v1.leadership_terms AS
SELECT (payload->>'epoch')::bigint AS epoch, payload->>'holder' AS holder, payload->>'version' AS version,
  payload->>'incarnation' AS incarnation, ts AS began_at, lead(ts) OVER w AS ended_at, seq AS first_seq,
  lead(seq) OVER w - 1 AS last_seq
FROM {{schema}}.event_log WHERE kind = 'leadership' WINDOW w AS (ORDER BY seq);

CREATE VIEW {{schema}}_v1.queue_health AS
SELECT q.waiting, q.oldest_seconds, d.dead, p.epoch, p.commit_no, p.head_seq, p.at AS last_commit_at,
  e.holder, e.since AS leads_since, e.incarnation
FROM (SELECT count(*) AS waiting, extract(epoch FROM clock_timestamp() - min(enqueued_at))::float8 AS oldest_seconds
      FROM {{schema}}.input_queue) q
CROSS JOIN (SELECT count(*) AS dead FROM {{schema}}.dead_input) d
LEFT JOIN {{schema}}.leader_progress p ON true LEFT JOIN {{schema}}.epoch e ON true;

CREATE VIEW {{schema}}_v1.vacuum_health AS
SELECT s.relname::text AS table_name, s.n_live_tup AS live_rows, s.n_dead_tup AS dead_rows,
  pg_total_relation_size(s.relid) AS bytes, s.last_autovacuum, s.last_autoanalyze, s.autovacuum_count,
  age(c.relfrozenxid) AS xid_age
FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid WHERE s.schemaname = '{{schema}}';

CREATE VIEW {{schema}}_v1.log_partitions AS
SELECT c.relname::text AS name, true AS attached, part * 1000000 AS from_seq, (part + 1) * 1000000 - 1 AS to_seq,
  pg_total_relation_size(c.oid) AS bytes, NULL::timestamptz(3) AS detached_at, NULL::text AS exported_to
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid, LATERAL (SELECT substr(c.relname, 12)::bigint AS part) p
WHERE i.inhparent = '{{schema}}.event_log'::regclass
UNION ALL
SELECT d.name, false, d.first_seq, d.last_seq, pg_total_relation_size(to_regclass('{{schema}}.' || d.name)),
  d.detached_at, d.exported_to
FROM {{schema}}.log_detached d;

CREATE VIEW {{schema}}_v1.snapshots AS
SELECT seq, hash, ts, incarnation, taken_at, folds_equal FROM {{schema}}.snapshot;

-- ── Functions ──────────────────────────────────────────────────────────────────────────────────────

CREATE FUNCTION {{schema}}_v1.describe(kind text, payload json) RETURNS text
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
    WHEN 'manifest_set' THEN concat('set of ', payload->>'ref')
    WHEN 'leadership' THEN concat(payload->>'holder', ' leads, epoch ', payload->>'epoch')
    ELSE kind END
$$;

CREATE FUNCTION {{schema}}_v1.timeline(of_rollout text)
RETURNS TABLE (seq bigint, ts timestamptz(3), kind text, host text, actor text, caused_by bigint, what text, payload jsonb)
LANGUAGE sql STABLE SET search_path = {{schema}}, pg_temp AS $$
  SELECT e.seq, e.ts, e.kind, e.hostname, e.actor, e.caused_by, {{schema}}_v1.describe(e.kind, e.payload), e.payload::jsonb
  FROM event_log e WHERE e.rollout_id = of_rollout ORDER BY e.seq
$$;

CREATE FUNCTION {{schema}}_v1.host_history(of_host text)
RETURNS TABLE (seq bigint, ts timestamptz(3), kind text, rollout_id text, actor text, caused_by bigint, what text, payload jsonb)
LANGUAGE sql STABLE SET search_path = {{schema}}, pg_temp AS $$
  WITH own AS MATERIALIZED (
    SELECT e.* FROM event_log e WHERE e.hostname = of_host
  ), shared AS (
    -- Rows of several hosts name them in their payload.
    SELECT e.* FROM (SELECT hr.rollout_id FROM host_rollout hr WHERE hr.hostname = of_host
                     UNION SELECT o.rollout_id FROM own o WHERE o.rollout_id IS NOT NULL) r
    JOIN event_log e ON e.rollout_id = r.rollout_id AND e.hostname IS NULL AND e.payload->'hosts' IS NOT NULL
      AND json_typeof(e.payload->'hosts') = 'array'
    WHERE EXISTS (SELECT FROM json_array_elements_text(e.payload->'hosts') n WHERE n = of_host)
    UNION ALL
    SELECT e.* FROM event_log e WHERE e.kind = 'liveness' AND e.hostname IS NULL
      AND EXISTS (SELECT FROM json_array_elements(e.payload->'hosts') n WHERE n->>'hostname' = of_host)
  )
  SELECT a.seq, a.ts, a.kind, a.rollout_id, a.actor, a.caused_by, {{schema}}_v1.describe(a.kind, a.payload), a.payload::jsonb
  FROM (SELECT * FROM own UNION ALL SELECT * FROM shared) a ORDER BY a.seq
$$;

CREATE FUNCTION {{schema}}_v1.causes(of_seq bigint)
RETURNS TABLE (depth integer, seq bigint, ts timestamptz(3), kind text, host text, rollout_id text, actor text, what text)
LANGUAGE sql STABLE SET search_path = {{schema}}, pg_temp AS $$
  WITH RECURSIVE chain AS (
    SELECT 0 AS depth, e.* FROM event_log e WHERE e.seq = of_seq
    UNION ALL
    SELECT c.depth + 1, e.* FROM chain c JOIN event_log e ON e.seq = c.caused_by
  )
  SELECT c.depth, c.seq, c.ts, c.kind, c.hostname, c.rollout_id, c.actor, {{schema}}_v1.describe(c.kind, c.payload)
  FROM chain c ORDER BY c.depth
$$;

CREATE FUNCTION {{schema}}_v1.record_changes(of_rollout text, up_to bigint)
RETURNS TABLE (seq bigint, part integer, host text, field text, value jsonb)
LANGUAGE sql STABLE SET search_path = {{schema}}, pg_temp AS $$
  WITH rows AS (
    SELECT e.seq, e.ts, e.hostname, e.payload FROM event_log e WHERE e.rollout_id = of_rollout AND e.seq <= up_to
  ), sets AS (
    SELECT r.seq, r.ts, r.hostname AS host, 0 AS n, r.payload->'set' AS set FROM rows r WHERE r.payload->'set' IS NOT NULL
    UNION ALL
    SELECT r.seq, r.ts, coalesce(c.change->>'hostname', r.hostname), c.n::integer, c.change->'set'
    FROM rows r, json_array_elements(r.payload->'changes') WITH ORDINALITY AS c (change, n)
    WHERE coalesce(c.change->>'t', 'record') = 'record' AND coalesce(c.change->>'rolloutId', of_rollout) = of_rollout
    UNION ALL
    SELECT r.seq, r.ts, h.host->>0, c.n::integer,
      json_build_object('state', 'Pending', 'wave', h.host->1, 'targetClosure', h.host->2)
    FROM rows r, json_array_elements(r.payload->'changes') WITH ORDINALITY AS c (change, n),
      json_array_elements(c.change->'hosts') AS h (host)
    WHERE c.change->>'t' = 'records'
  )
  SELECT s.seq, s.n, s.host, f.key,
    CASE WHEN f.value = 'true'::jsonb AND f.key LIKE '%At'
      THEN to_jsonb(to_char(s.ts AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) ELSE f.value END
  FROM sets s, jsonb_each(s.set::jsonb) AS f
  ORDER BY s.seq, s.n
$$;

CREATE FUNCTION {{schema}}_v1.state_at(at_seq bigint, of_rollout text)
RETURNS TABLE (host text, wave integer, state text, target_closure text, current_closure text, closed text,
  dispatched_at timestamptz(3), acked_at timestamptz(3), activation_started_at timestamptz(3),
  activation_completed_at timestamptz(3), soak_due_at timestamptz(3), converged_at timestamptz(3),
  failed_at timestamptz(3), reverted_at timestamptz(3), last_event_seq bigint, changed_seq bigint)
LANGUAGE sql STABLE SET search_path = {{schema}}, pg_temp AS $$
  WITH base AS (
    -- Below the floor of the log a snapshot stands for the rows that are gone.
    SELECT s.seq FROM snapshot s WHERE s.seq <= at_seq
      AND s.seq + 1 >= (SELECT f.seq FROM event_log f ORDER BY f.seq LIMIT 1)
      AND (SELECT f.seq FROM event_log f ORDER BY f.seq LIMIT 1) > 1
    ORDER BY s.seq LIMIT 1
  ), known AS (
    SELECT b.seq, 0 AS part, r.record->>'hostname' AS host, f.key AS field, f.value
    FROM base b JOIN snapshot_part p ON p.seq = b.seq AND p.family = 'records',
      json_array_elements(p.rows) AS r (record), jsonb_each(r.record::jsonb) AS f
    WHERE r.record->>'rolloutId' = of_rollout
    UNION ALL
    SELECT c.seq, c.part, c.host, c.field, c.value FROM {{schema}}_v1.record_changes(of_rollout, at_seq) c
    WHERE c.seq > coalesce((SELECT seq FROM base), 0)
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
  FROM merged m ORDER BY m.host
$$;

CREATE FUNCTION {{schema}}_v1.field(value text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(int4send(octet_length(value)) || convert_to(value, 'UTF8'), '\xffffffff'::bytea)
$$;

CREATE FUNCTION {{schema}}_v1.row_hash(previous bytea, seq bigint, ts timestamptz, epoch bigint, kind text, host text,
  rollout_id text, channel text, actor text, caused_by bigint, payload text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT sha256(previous
    || {{schema}}_v1.field(seq::text) || {{schema}}_v1.field((extract(epoch FROM ts) * 1000000)::bigint::text)
    || {{schema}}_v1.field(epoch::text) || {{schema}}_v1.field(kind) || {{schema}}_v1.field(host)
    || {{schema}}_v1.field(rollout_id) || {{schema}}_v1.field(channel) || {{schema}}_v1.field(actor)
    || {{schema}}_v1.field(caused_by::text) || {{schema}}_v1.field(payload))
$$;

-- A loop, not a window: it stops at the first bad row, and holds no more than one.
CREATE FUNCTION {{schema}}_v1.verify_chain(from_seq bigint DEFAULT 1, to_seq bigint DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = {{schema}}, pg_temp AS $$
DECLARE
  floor    bigint := (SELECT e.seq FROM event_log e ORDER BY e.seq LIMIT 1);
  expected bigint := greatest(from_seq, floor, 1);
  previous bytea;
  r        record;
BEGIN
  IF floor IS NULL THEN RETURN NULL; END IF;
  IF expected = 1 THEN previous := decode(repeat('00', 32), 'hex');
  ELSE
    previous := coalesce((SELECT e.hash FROM event_log e WHERE e.seq = expected - 1),
                         (SELECT d.last_hash FROM log_detached d WHERE d.last_seq = expected - 1));
  END IF;
  FOR r IN SELECT e.seq, e.ts, e.epoch, e.kind, e.hostname, e.rollout_id, e.channel, e.actor, e.caused_by,
             e.payload::text AS payload, e.hash
           FROM event_log e WHERE e.seq >= expected AND (to_seq IS NULL OR e.seq <= to_seq) ORDER BY e.seq
  LOOP
    IF r.seq <> expected THEN RETURN expected; END IF;
    IF previous IS NULL OR r.hash <> {{schema}}_v1.row_hash(previous, r.seq, r.ts, r.epoch, r.kind, r.hostname,
         r.rollout_id, r.channel, r.actor, r.caused_by, r.payload) THEN RETURN r.seq; END IF;
    previous := r.hash;
    expected := expected + 1;
  END LOOP;
  RETURN NULL;
END
$$;

-- ── Words for those who read the catalog ───────────────────────────────────────────────────────────

COMMENT ON VIEW {{schema}}_v1.events IS 'The event log, one row each: gapless in seq, in the order of commits, append only.';
COMMENT ON COLUMN {{schema}}_v1.events.seq IS '1, 2, 3 … in the order of commits.';
COMMENT ON COLUMN {{schema}}_v1.events.ts IS 'The instant it was decided at.';
COMMENT ON COLUMN {{schema}}_v1.events.epoch IS 'Leadership term that wrote it.';
COMMENT ON COLUMN {{schema}}_v1.events.kind IS 'agent_event, host_report, transition, rollout_event, plan_action, gate_decision, verify_outcome, manifest_set, operator_command, liveness or leadership.';
COMMENT ON COLUMN {{schema}}_v1.events.host IS 'The host that it is about; null when it is about none or several.';
COMMENT ON COLUMN {{schema}}_v1.events.rollout_id IS 'channel@ref of the rollout that it is about.';
COMMENT ON COLUMN {{schema}}_v1.events.channel IS 'The channel that it is about.';
COMMENT ON COLUMN {{schema}}_v1.events.actor IS 'Who acted: a host by its certificate, a person, or a leader by its name.';
COMMENT ON COLUMN {{schema}}_v1.events.caused_by IS 'seq of the row that led to this one; null for an inputs own row.';
COMMENT ON COLUMN {{schema}}_v1.events.cause_note IS 'before retention: the row that caused this one was detached.';
COMMENT ON COLUMN {{schema}}_v1.events.payload IS 'Facts, format version v, and what was assigned: set (the record of this host in this rollout) or changes.';
COMMENT ON COLUMN {{schema}}_v1.events.hash IS 'sha256 over the hash before it and every column; see verify_chain.';
COMMENT ON VIEW {{schema}}_v1.rollouts IS 'Rollouts as they stand, with their hosts counted by state.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.rollout_id IS 'channel@ref.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.channel IS 'Release train.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.channel_ref IS 'Git commit.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.display_name IS 'Name in its manifest.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.state IS 'Opening, Active, Converging, Terminal, Failed, Reverted, Superseded, Cancelled or Pruned.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.current_wave IS 'Wave that may move, from 0.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.waves IS 'How many waves it has.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.opened_at IS 'When it was opened.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.terminal_at IS 'When every wave had settled.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.failed_at IS 'When it halted.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.ended_at IS 'When it was superseded, cancelled or pruned.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.superseded_at IS 'When a newer ref took its place.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.superseded_by IS 'The rollout that took its place.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.on_health_failure IS 'halt or rollback-and-halt.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.max_failures IS 'Failures it tolerates.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.hosts IS 'Hosts with a record in it.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.pending IS 'Hosts that have not begun.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.moving IS 'Hosts that are activating or wait for a reboot.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.soaking IS 'Hosts under watch.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.converged IS 'Hosts that are done.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.failed IS 'Hosts that failed.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.reverted IS 'Hosts that went back.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.exceptions IS 'On Terminal: how many hosts were tolerated, by reason.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.blockers IS 'Why the whole of it does not move.';
COMMENT ON COLUMN {{schema}}_v1.rollouts.changed_seq IS 'Log row that last changed it.';
COMMENT ON VIEW {{schema}}_v1.hosts IS 'Every host that was ever heard or planned, with its newest rollout.';
COMMENT ON COLUMN {{schema}}_v1.hosts.host IS 'Name.';
COMMENT ON COLUMN {{schema}}_v1.hosts.channel IS 'Release train of its newest rollout.';
COMMENT ON COLUMN {{schema}}_v1.hosts.reported_closure IS 'What it last reported to run.';
COMMENT ON COLUMN {{schema}}_v1.hosts.reachability IS 'never, reachable or unreachable.';
COMMENT ON COLUMN {{schema}}_v1.hosts.reachability_at IS 'Since when.';
COMMENT ON COLUMN {{schema}}_v1.hosts.heard_at IS 'When it was last heard by any replica; lost with a crash of PostgreSQL.';
COMMENT ON COLUMN {{schema}}_v1.hosts.agent_version IS 'What its agent says it is.';
COMMENT ON COLUMN {{schema}}_v1.hosts.held_by IS 'Operator who holds it back.';
COMMENT ON COLUMN {{schema}}_v1.hosts.hold_reason IS 'Why.';
COMMENT ON COLUMN {{schema}}_v1.hosts.held_at IS 'Since when.';
COMMENT ON COLUMN {{schema}}_v1.hosts.rollout_id IS 'Its newest rollout.';
COMMENT ON COLUMN {{schema}}_v1.hosts.state IS 'Its state there.';
COMMENT ON COLUMN {{schema}}_v1.hosts.wave IS 'Its wave there.';
COMMENT ON COLUMN {{schema}}_v1.hosts.target_closure IS 'What it is to run.';
COMMENT ON COLUMN {{schema}}_v1.hosts.on_target IS 'True when it reports to run that.';
COMMENT ON COLUMN {{schema}}_v1.hosts.dispatched_at IS 'When it was allowed to move.';
COMMENT ON COLUMN {{schema}}_v1.hosts.converged_at IS 'When it was done.';
COMMENT ON COLUMN {{schema}}_v1.hosts.changed_seq IS 'Log row that last changed it.';
COMMENT ON VIEW {{schema}}_v1.host_rollouts IS 'One hosts way through one rollout.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.rollout_id IS 'channel@ref.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.host IS 'Name.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.channel IS 'Release train.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.wave IS 'Wave, from 0.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.state IS 'Pending, Activating, Deferred, Soaking, Converged, Failed or Reverted.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.target_closure IS 'What it is to run.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.closure_before IS 'What it ran when it acknowledged.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.current_closure IS 'What it ran after its switch.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.reverted_to IS 'What it went back to.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.dispatched_at IS 'When it was allowed to move.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.acked_at IS 'When its agent took the dispatch, by the agent.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.activation_started_at IS 'When its switch began, by the agent.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.activation_completed_at IS 'When its switch was done, by the agent.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.soak_due_at IS 'End of its watch.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.probe_failure_first_at IS 'First probe failure of its watch.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.converged_at IS 'When it was done.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.failed_at IS 'When it failed.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.reverted_at IS 'When it was back.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.policy_applied IS 'What its agent did on failure: halt or rollback-and-halt.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.closed IS 'abandoned (a newer rollout was acknowledged) or written-off.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.synthesised IS 'Why the control plane set the state itself; null when it did not.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.unchanged IS 'It ran the target already and was never dispatched.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.cleared IS 'An operator set its failure aside.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.last_event_seq IS 'Highest seq of its agents events applied.';
COMMENT ON COLUMN {{schema}}_v1.host_rollouts.changed_seq IS 'Log row that last changed it.';
COMMENT ON VIEW {{schema}}_v1.blocked_hosts IS 'Which gates hold which pending hosts now, one row for each gate; and remarks on hosts that do not get on.';
COMMENT ON COLUMN {{schema}}_v1.blocked_hosts.rollout_id IS 'channel@ref.';
COMMENT ON COLUMN {{schema}}_v1.blocked_hosts.host IS 'Name.';
COMMENT ON COLUMN {{schema}}_v1.blocked_hosts.gate IS 'Gate, and its subject after a colon.';
COMMENT ON COLUMN {{schema}}_v1.blocked_hosts.gate_kind IS 'The gate without its subject.';
COMMENT ON COLUMN {{schema}}_v1.blocked_hosts.since IS 'Since when by this set of gates.';
COMMENT ON COLUMN {{schema}}_v1.blocked_hosts.blocked_for IS 'For how long now.';
COMMENT ON COLUMN {{schema}}_v1.blocked_hosts.changed_seq IS 'Log row that last changed it.';
COMMENT ON VIEW {{schema}}_v1.quarantines IS 'Closures that failed on a channel and are not dispatched there until an operator clears them.';
COMMENT ON COLUMN {{schema}}_v1.quarantines.channel IS 'Release train.';
COMMENT ON COLUMN {{schema}}_v1.quarantines.closure IS 'What failed.';
COMMENT ON COLUMN {{schema}}_v1.quarantines.rollout_id IS 'Where it failed.';
COMMENT ON COLUMN {{schema}}_v1.quarantines.host IS 'On which host first.';
COMMENT ON COLUMN {{schema}}_v1.quarantines.quarantined_at IS 'When.';
COMMENT ON COLUMN {{schema}}_v1.quarantines.changed_seq IS 'Log row that put it there.';
COMMENT ON VIEW {{schema}}_v1.failing_probes IS 'Probes, and controls of evidence probes, whose latest result is an enforced failure.';
COMMENT ON COLUMN {{schema}}_v1.failing_probes.rollout_id IS 'channel@ref.';
COMMENT ON COLUMN {{schema}}_v1.failing_probes.host IS 'Name.';
COMMENT ON COLUMN {{schema}}_v1.failing_probes.probe_name IS 'Probe.';
COMMENT ON COLUMN {{schema}}_v1.failing_probes.control_id IS 'Control; null for the probe itself.';
COMMENT ON COLUMN {{schema}}_v1.failing_probes.since IS 'First failure, by the agent.';
COMMENT ON COLUMN {{schema}}_v1.failing_probes.changed_seq IS 'Log row that says so.';
COMMENT ON VIEW {{schema}}_v1.pauses IS 'Channels and fleet that an operator has paused.';
COMMENT ON COLUMN {{schema}}_v1.pauses.scope IS 'fleet or channel.';
COMMENT ON COLUMN {{schema}}_v1.pauses.channel IS 'Null for the fleet.';
COMMENT ON COLUMN {{schema}}_v1.pauses.actor IS 'Who.';
COMMENT ON COLUMN {{schema}}_v1.pauses.reason IS 'Why.';
COMMENT ON COLUMN {{schema}}_v1.pauses.since IS 'When.';
COMMENT ON COLUMN {{schema}}_v1.pauses.changed_seq IS 'Log row that last changed the paused thing.';
COMMENT ON VIEW {{schema}}_v1.leadership_terms IS 'Who led when, out of the log.';
COMMENT ON COLUMN {{schema}}_v1.leadership_terms.epoch IS 'Number of the term.';
COMMENT ON COLUMN {{schema}}_v1.leadership_terms.holder IS 'Process that led.';
COMMENT ON COLUMN {{schema}}_v1.leadership_terms.version IS 'Its version.';
COMMENT ON COLUMN {{schema}}_v1.leadership_terms.incarnation IS 'Of the database: it changes with a restore or a promotion.';
COMMENT ON COLUMN {{schema}}_v1.leadership_terms.began_at IS 'First row of the term.';
COMMENT ON COLUMN {{schema}}_v1.leadership_terms.ended_at IS 'First row of the next term; null for the last.';
COMMENT ON COLUMN {{schema}}_v1.leadership_terms.first_seq IS 'First row of the term.';
COMMENT ON COLUMN {{schema}}_v1.leadership_terms.last_seq IS 'Last row of the term; null for the last.';
COMMENT ON VIEW {{schema}}_v1.queue_health IS 'One row: what waits for the leader, and what the leader did last.';
COMMENT ON COLUMN {{schema}}_v1.queue_health.waiting IS 'Inputs in the queue.';
COMMENT ON COLUMN {{schema}}_v1.queue_health.oldest_seconds IS 'Age of the oldest.';
COMMENT ON COLUMN {{schema}}_v1.queue_health.dead IS 'Inputs that could not be decided and are kept.';
COMMENT ON COLUMN {{schema}}_v1.queue_health.epoch IS 'Term of the last commit.';
COMMENT ON COLUMN {{schema}}_v1.queue_health.commit_no IS 'Its number in the term.';
COMMENT ON COLUMN {{schema}}_v1.queue_health.head_seq IS 'Last row of the log at that commit.';
COMMENT ON COLUMN {{schema}}_v1.queue_health.last_commit_at IS 'When.';
COMMENT ON COLUMN {{schema}}_v1.queue_health.holder IS 'Process that leads.';
COMMENT ON COLUMN {{schema}}_v1.queue_health.leads_since IS 'Since when.';
COMMENT ON COLUMN {{schema}}_v1.queue_health.incarnation IS 'Of the database.';
COMMENT ON VIEW {{schema}}_v1.vacuum_health IS 'Dead rows, size and age of each table: what old transactions and slow vacuums do to the product.';
COMMENT ON COLUMN {{schema}}_v1.vacuum_health.table_name IS 'Table or partition.';
COMMENT ON COLUMN {{schema}}_v1.vacuum_health.live_rows IS 'Estimated.';
COMMENT ON COLUMN {{schema}}_v1.vacuum_health.dead_rows IS 'Estimated.';
COMMENT ON COLUMN {{schema}}_v1.vacuum_health.bytes IS 'With indexes.';
COMMENT ON COLUMN {{schema}}_v1.vacuum_health.last_autovacuum IS 'When.';
COMMENT ON COLUMN {{schema}}_v1.vacuum_health.last_autoanalyze IS 'When.';
COMMENT ON COLUMN {{schema}}_v1.vacuum_health.autovacuum_count IS 'Since statistics were reset.';
COMMENT ON COLUMN {{schema}}_v1.vacuum_health.xid_age IS 'Transactions since it was last frozen.';
COMMENT ON VIEW {{schema}}_v1.log_partitions IS 'Partitions of the log, those that retention has detached included.';
COMMENT ON COLUMN {{schema}}_v1.log_partitions.name IS 'Table.';
COMMENT ON COLUMN {{schema}}_v1.log_partitions.attached IS 'False: detached.';
COMMENT ON COLUMN {{schema}}_v1.log_partitions.from_seq IS 'First seq it holds or may hold.';
COMMENT ON COLUMN {{schema}}_v1.log_partitions.to_seq IS 'Last seq it holds or may hold.';
COMMENT ON COLUMN {{schema}}_v1.log_partitions.bytes IS 'With indexes; null when it was dropped.';
COMMENT ON COLUMN {{schema}}_v1.log_partitions.detached_at IS 'When.';
COMMENT ON COLUMN {{schema}}_v1.log_partitions.exported_to IS 'File of its rows; null when there is none.';
COMMENT ON VIEW {{schema}}_v1.snapshots IS 'States to start a replay from.';
COMMENT ON COLUMN {{schema}}_v1.snapshots.seq IS 'Log row that the state belongs to.';
COMMENT ON COLUMN {{schema}}_v1.snapshots.hash IS 'Of that row.';
COMMENT ON COLUMN {{schema}}_v1.snapshots.ts IS 'Of that row.';
COMMENT ON COLUMN {{schema}}_v1.snapshots.incarnation IS 'Of the database when it was taken.';
COMMENT ON COLUMN {{schema}}_v1.snapshots.taken_at IS 'When.';
COMMENT ON COLUMN {{schema}}_v1.snapshots.folds_equal IS 'True once the log was folded up to seq and found equal.';
COMMENT ON FUNCTION {{schema}}_v1.describe(text, json) IS 'A row of the log in a few words.';
COMMENT ON FUNCTION {{schema}}_v1.timeline(text) IS 'Everything that happened in a rollout, in order.';
COMMENT ON FUNCTION {{schema}}_v1.host_history(text) IS 'Everything that happened to a host, in order, rows that name several hosts included.';
COMMENT ON FUNCTION {{schema}}_v1.causes(bigint) IS 'The row, the row that caused it, and so on to the input that began it.';
COMMENT ON FUNCTION {{schema}}_v1.record_changes(text, bigint) IS 'Every field that rows up to a seq assigned to the hosts of a rollout, in order. probes is merged by probe and left to replay.';
COMMENT ON FUNCTION {{schema}}_v1.state_at(bigint, text) IS 'The hosts of a rollout as they were after a row of the log: the last value of each logged field wins.';
COMMENT ON FUNCTION {{schema}}_v1.field(text) IS 'A column as it is hashed: its length in 4 bytes and its UTF-8; ffffffff for null.';
COMMENT ON FUNCTION {{schema}}_v1.row_hash(bytea, bigint, timestamptz, bigint, text, text, text, text, text, bigint, text) IS 'The hash that a row of the log must have after the given one.';
COMMENT ON FUNCTION {{schema}}_v1.verify_chain(bigint, bigint) IS 'The first seq whose hash or number does not follow from the row before it; null when all do. Bounds are inclusive; null: to the head.';

-- The tables beneath: every column in a few words.

COMMENT ON COLUMN event_log.seq IS '1, 2, 3 … in the order of commits, assigned by the leader.';
COMMENT ON COLUMN event_log.kind IS 'What sort of row it is; decides the shape of payload.';
COMMENT ON COLUMN event_log.hostname IS 'Host that it is about; null when it is about none or several.';
COMMENT ON COLUMN event_log.rollout_id IS 'Rollout that it is about.';
COMMENT ON COLUMN event_log.channel IS 'Channel that it is about.';
COMMENT ON COLUMN event_log.actor IS 'Who acted: host, person or leader.';
COMMENT ON COLUMN fleet.singleton IS 'There is one row.';
COMMENT ON COLUMN fleet.seq IS 'Log row that last changed it.';
COMMENT ON COLUMN fleet.fleet_hash IS 'Of the fleet.resolved in force.';
COMMENT ON COLUMN fleet.signed_at IS 'When that was signed.';
COMMENT ON COLUMN fleet.ref IS 'What it declares.';
COMMENT ON COLUMN fleet.pause IS 'Who paused the fleet, when and why.';
COMMENT ON COLUMN fleet.reject_before IS 'Signatures before this are refused.';
COMMENT ON COLUMN fleet.opened IS 'Rollouts ever opened.';
COMMENT ON COLUMN channel.channel IS 'Name.';
COMMENT ON COLUMN channel.seq IS 'Log row that last changed it.';
COMMENT ON COLUMN channel.declared_ref IS 'Ref that the set in force declares.';
COMMENT ON COLUMN channel.manifest_hash IS 'Verified manifest of that ref; null while there is none.';
COMMENT ON COLUMN channel.signed_at IS 'When that manifest was signed.';
COMMENT ON COLUMN channel.freshness_window IS 'Minutes for which it counts.';
COMMENT ON COLUMN channel.current_rollout_id IS 'Newest rollout ever opened here.';
COMMENT ON COLUMN channel.waiting_ref IS 'finish-first: ref that waits for it.';
COMMENT ON COLUMN channel.pause IS 'Who paused the channel, when and why.';
COMMENT ON COLUMN channel.note IS 'Standing remark for operators.';
COMMENT ON COLUMN rollout.rollout_id IS 'channel@ref.';
COMMENT ON COLUMN rollout.seq IS 'Log row that last changed it.';
COMMENT ON COLUMN rollout.channel IS 'Its channel.';
COMMENT ON COLUMN rollout.channel_ref IS 'Its ref.';
COMMENT ON COLUMN rollout.display_name IS 'Name in its manifest.';
COMMENT ON COLUMN rollout.manifest_hash IS 'Manifest it last was verified under.';
COMMENT ON COLUMN rollout.signed_at IS 'When that was signed.';
COMMENT ON COLUMN rollout.state IS 'Where it stands.';
COMMENT ON COLUMN rollout.current_wave IS 'Wave that may move, from 0.';
COMMENT ON COLUMN rollout.ordinal IS '1, 2, 3 … in order of opening, over the installation.';
COMMENT ON COLUMN rollout.opened_at IS 'When.';
COMMENT ON COLUMN rollout.superseded_at IS 'When a newer one took its place.';
COMMENT ON COLUMN rollout.superseded_by IS 'Which one.';
COMMENT ON COLUMN rollout.terminal_at IS 'When every wave had settled.';
COMMENT ON COLUMN rollout.failed_at IS 'When it halted.';
COMMENT ON COLUMN rollout.ended_at IS 'When superseded, cancelled or pruned.';
COMMENT ON COLUMN rollout.plan IS 'Everything it needs, pinned when it was opened.';
COMMENT ON COLUMN rollout.exceptions IS 'On Terminal: tolerated hosts by reason.';
COMMENT ON COLUMN rollout.blockers IS 'Why the whole of it does not move.';
COMMENT ON COLUMN host_rollout.rollout_id IS 'channel@ref.';
COMMENT ON COLUMN host_rollout.hostname IS 'Host.';
COMMENT ON COLUMN host_rollout.seq IS 'Log row that last changed it.';
COMMENT ON COLUMN host_rollout.channel IS 'Its channel.';
COMMENT ON COLUMN host_rollout.wave IS 'Wave, from 0.';
COMMENT ON COLUMN host_rollout.state IS 'Where the host stands.';
COMMENT ON COLUMN host_rollout.target_closure IS 'What it is to run.';
COMMENT ON COLUMN host_rollout.current_closure_at_dispatch IS 'What it ran when it acknowledged.';
COMMENT ON COLUMN host_rollout.current_closure IS 'What it ran after its switch.';
COMMENT ON COLUMN host_rollout.reverted_to IS 'What it went back to.';
COMMENT ON COLUMN host_rollout.dispatched_at IS 'When it was allowed to move.';
COMMENT ON COLUMN host_rollout.dispatch_acked_at IS 'When its agent took that.';
COMMENT ON COLUMN host_rollout.activation_started_at IS 'By the agent.';
COMMENT ON COLUMN host_rollout.activation_completed_at IS 'By the agent, or synthesised.';
COMMENT ON COLUMN host_rollout.activation_failed_at IS 'By the agent.';
COMMENT ON COLUMN host_rollout.probe_observed_first_at IS 'By the agent.';
COMMENT ON COLUMN host_rollout.probe_failure_first_at IS 'By the agent.';
COMMENT ON COLUMN host_rollout.soak_due_at IS 'End of its watch.';
COMMENT ON COLUMN host_rollout.converged_at IS 'By the agent.';
COMMENT ON COLUMN host_rollout.failed_at IS 'By the agent.';
COMMENT ON COLUMN host_rollout.policy_applied IS 'What the agent did on failure.';
COMMENT ON COLUMN host_rollout.reverted_at IS 'By the agent.';
COMMENT ON COLUMN host_rollout.probes IS 'Latest result of each probe.';
COMMENT ON COLUMN host_rollout.declared_probes IS 'Probes it said it would run.';
COMMENT ON COLUMN host_rollout.last_event_seq IS 'Highest event seq applied.';
COMMENT ON COLUMN host_rollout.synthesised IS 'Why the control plane set the state itself.';
COMMENT ON COLUMN host_rollout.closed IS 'abandoned or written-off.';
COMMENT ON COLUMN host_rollout.highest_refused_seq IS 'Highest event seq refused above the last applied.';
COMMENT ON COLUMN host_rollout.last_refusal IS 'Latest refusals as seq:kind:code, so that equal ones are logged once.';
COMMENT ON COLUMN host_rollout.last_accepted_at IS 'When an event was last applied.';
COMMENT ON COLUMN host_rollout.completed_applied_at IS 'When the completion was applied; the wave soaks from here.';
COMMENT ON COLUMN host_rollout.contradicted_by IS 'Closure that a heartbeat reported after the completion, against it.';
COMMENT ON COLUMN host_rollout.unchanged IS 'It ran the target already.';
COMMENT ON COLUMN host_rollout.cleared IS 'An operator set its failure aside.';
COMMENT ON COLUMN host_rollout.was_offered IS 'A dispatch of it was once offered and then taken back.';
COMMENT ON COLUMN host_rollout.target_sightings IS 'Heartbeats in a row that reported the target.';
COMMENT ON COLUMN host_rollout.synthesised_at IS 'When the state was synthesised.';
COMMENT ON COLUMN host_rollout.stuck IS 'Heard, but silent about its move for too long.';
COMMENT ON COLUMN host_rollout.rollback_failed IS 'Its rollback came back with an error.';
COMMENT ON COLUMN host.hostname IS 'Name.';
COMMENT ON COLUMN host.seq IS 'Log row that last changed it.';
COMMENT ON COLUMN host.reported_closure IS 'What it last reported to run.';
COMMENT ON COLUMN host.reachability IS 'never, reachable or unreachable.';
COMMENT ON COLUMN host.reachability_at IS 'Since when.';
COMMENT ON COLUMN host.hold IS 'Who holds it back, when and why.';
COMMENT ON COLUMN host.settled_closure IS 'Closure of its latest finished record.';
COMMENT ON COLUMN dispatch.rollout_id IS 'channel@ref.';
COMMENT ON COLUMN dispatch.hostname IS 'Host.';
COMMENT ON COLUMN dispatch.seq IS 'Log row that last changed it.';
COMMENT ON COLUMN dispatch.channel IS 'Its channel.';
COMMENT ON COLUMN dispatch.target_closure IS 'What the host is to run.';
COMMENT ON COLUMN dispatch.soak_due_at IS 'End of its watch.';
COMMENT ON COLUMN dispatch.enqueued_at IS 'When it was granted.';
COMMENT ON COLUMN dispatch.suspended IS 'Holds its slot but is not offered.';
COMMENT ON COLUMN dispatch.ordinal IS 'Of its rollout: only the newest of a host is offered.';
COMMENT ON COLUMN quarantine.channel IS 'Where.';
COMMENT ON COLUMN quarantine.closure IS 'What.';
COMMENT ON COLUMN quarantine.seq IS 'Log row that put it there.';
COMMENT ON COLUMN quarantine.rollout_id IS 'Where it failed.';
COMMENT ON COLUMN quarantine.hostname IS 'On which host.';
COMMENT ON COLUMN quarantine.at IS 'When.';
COMMENT ON COLUMN probe_failure.rollout_id IS 'channel@ref.';
COMMENT ON COLUMN probe_failure.hostname IS 'Host.';
COMMENT ON COLUMN probe_failure.probe_name IS 'Probe.';
COMMENT ON COLUMN probe_failure.control_id IS 'Control; empty for the probe itself.';
COMMENT ON COLUMN probe_failure.seq IS 'Log row that says so.';
COMMENT ON COLUMN probe_failure.since IS 'First failure.';
COMMENT ON COLUMN host_blocker.rollout_id IS 'channel@ref.';
COMMENT ON COLUMN host_blocker.hostname IS 'Host.';
COMMENT ON COLUMN host_blocker.seq IS 'Log row that set it.';
COMMENT ON COLUMN host_blocker.gates IS 'Gate keys, sorted.';
COMMENT ON COLUMN host_blocker.since IS 'Since when by this set.';
COMMENT ON COLUMN epoch.singleton IS 'There is one row.';
COMMENT ON COLUMN epoch.epoch IS 'Term that leads.';
COMMENT ON COLUMN epoch.holder IS 'Process that leads.';
COMMENT ON COLUMN epoch.address IS 'Where it is reached.';
COMMENT ON COLUMN epoch.version IS 'Its version.';
COMMENT ON COLUMN epoch.since IS 'When it began.';
COMMENT ON COLUMN epoch.system_identifier IS 'Of the cluster that the incarnation was made under.';
COMMENT ON COLUMN epoch.timeline IS 'Of that cluster then.';
COMMENT ON COLUMN epoch.database_oid IS 'Of that database.';
COMMENT ON COLUMN leader_progress.singleton IS 'There is one row.';
COMMENT ON COLUMN leader_progress.epoch IS 'Term of the last commit.';
COMMENT ON COLUMN leader_progress.commit_no IS 'Number of that commit in its term.';
COMMENT ON COLUMN leader_progress.head_seq IS 'Last log row then.';
COMMENT ON COLUMN leader_progress.next_due_at IS 'When time alone next changes something.';
COMMENT ON COLUMN leader_progress.at IS 'When it was written.';
COMMENT ON COLUMN input_queue.id IS 'Order of decision.';
COMMENT ON COLUMN input_queue.kind IS 'Kind of input.';
COMMENT ON COLUMN input_queue.hostname IS 'Host that it is of.';
COMMENT ON COLUMN input_queue.rollout_id IS 'Rollout that it names.';
COMMENT ON COLUMN input_queue.payload IS 'The input.';
COMMENT ON COLUMN input_queue.replica IS 'Who waits for the verdict.';
COMMENT ON COLUMN input_queue.enqueued_at IS 'When.';
COMMENT ON COLUMN verdict.input_id IS 'Input it is of.';
COMMENT ON COLUMN verdict.epoch IS 'Term that decided.';
COMMENT ON COLUMN verdict.commit_no IS 'Commit that decided.';
COMMENT ON COLUMN verdict.replica IS 'Who waits for it.';
COMMENT ON COLUMN verdict.verdict IS 'What became of the input.';
COMMENT ON COLUMN verdict.seqs IS 'Log rows that it led to.';
COMMENT ON COLUMN verdict.at IS 'When.';
COMMENT ON COLUMN dead_input.input_id IS 'Input it was.';
COMMENT ON COLUMN dead_input.kind IS 'Kind of input.';
COMMENT ON COLUMN dead_input.hostname IS 'Host that it is of.';
COMMENT ON COLUMN dead_input.rollout_id IS 'Rollout that it names.';
COMMENT ON COLUMN dead_input.payload IS 'The input, as text.';
COMMENT ON COLUMN dead_input.error IS 'Why it could not be decided.';
COMMENT ON COLUMN dead_input.replica IS 'Who waited.';
COMMENT ON COLUMN dead_input.enqueued_at IS 'When it came.';
COMMENT ON COLUMN dead_input.died_at IS 'When it was set aside.';
COMMENT ON COLUMN dead_input.epoch IS 'Term that set it aside.';
COMMENT ON COLUMN operator_key.key IS 'Idempotency-Key.';
COMMENT ON COLUMN operator_key.actor IS 'Who used it.';
COMMENT ON COLUMN operator_key.request_hash IS 'Of the request: another body under the same key is refused.';
COMMENT ON COLUMN operator_key.input_id IS 'Input that it became.';
COMMENT ON COLUMN operator_key.answer IS 'What was answered.';
COMMENT ON COLUMN operator_key.at IS 'When.';
COMMENT ON COLUMN presence.hostname IS 'Host.';
COMMENT ON COLUMN presence.heard_at IS 'Last heard.';
COMMENT ON COLUMN presence.prev_heard_at IS 'Heard before that.';
COMMENT ON COLUMN presence.closure IS 'What it reported.';
COMMENT ON COLUMN presence.agent_version IS 'Of its agent.';
COMMENT ON COLUMN presence.uptime_secs IS 'Of the machine.';
COMMENT ON COLUMN presence.last_event_seq_by_rollout IS 'What it says it has posted.';
COMMENT ON COLUMN presence.last_non2xx_at IS 'When it was last answered with an error.';
COMMENT ON COLUMN presence.replay_said IS 'Replay that it was asked for, so that it is asked once.';
COMMENT ON COLUMN presence.replica IS 'Who heard it.';
COMMENT ON COLUMN dispatch_offer.rollout_id IS 'channel@ref.';
COMMENT ON COLUMN dispatch_offer.hostname IS 'Host.';
COMMENT ON COLUMN dispatch_offer.first_offered_at IS 'First time.';
COMMENT ON COLUMN dispatch_offer.last_offered_at IS 'Last time.';
COMMENT ON COLUMN dispatch_offer.replica IS 'Who offered it last.';
COMMENT ON COLUMN artifact.kind IS 'fleet or manifest.';
COMMENT ON COLUMN artifact.name IS 'What it is served as.';
COMMENT ON COLUMN artifact.hash IS 'SHA-256 of its canonical bytes.';
COMMENT ON COLUMN artifact.bytes IS 'As they were signed.';
COMMENT ON COLUMN artifact.signature IS 'Raw.';
COMMENT ON COLUMN artifact.signed_at IS 'When.';
COMMENT ON COLUMN artifact.verified_at IS 'When it was verified here.';
COMMENT ON COLUMN snapshot.seq IS 'Log row that the state belongs to.';
COMMENT ON COLUMN snapshot.ts IS 'Of that row.';
COMMENT ON COLUMN snapshot.incarnation IS 'Of the database when it was taken.';
COMMENT ON COLUMN snapshot.format IS 'Of the parts.';
COMMENT ON COLUMN snapshot.taken_at IS 'When.';
COMMENT ON COLUMN snapshot_part.seq IS 'Snapshot that it is of.';
COMMENT ON COLUMN snapshot_part.family IS 'Which rows of state.';
COMMENT ON COLUMN snapshot_part.part IS 'Piece of the family, from 0.';
COMMENT ON COLUMN snapshot_part.rows IS 'A list of rows.';
COMMENT ON COLUMN log_detached.name IS 'Table it is now.';
COMMENT ON COLUMN log_detached.first_seq IS 'First row.';
COMMENT ON COLUMN log_detached.last_seq IS 'Last row.';
COMMENT ON COLUMN log_detached.first_ts IS 'Of the first row.';
COMMENT ON COLUMN log_detached.last_ts IS 'Of the last row.';
COMMENT ON COLUMN log_detached.last_hash IS 'Of the last row.';
COMMENT ON COLUMN log_detached.detached_at IS 'When.';
COMMENT ON COLUMN schema_migration.version IS 'Number of the file.';
COMMENT ON COLUMN schema_migration.name IS 'The file.';
COMMENT ON COLUMN schema_migration.checksum IS 'SHA-256 of the file.';
COMMENT ON COLUMN schema_migration.applied_at IS 'When.';

DO $$ BEGIN
  IF to_regclass('declared_host') IS NOT NULL THEN
    COMMENT ON COLUMN declared_host.hostname IS 'Host that the fleet in force declares.';
    COMMENT ON COLUMN declared_host.channel IS 'Its channel there.';
  END IF;
END $$;
