-- What holds a host and is noted of nobody, since the rows tell it: a host that waits for its reboot, one that fell silent
-- on its way, and a dispatch that awaits its host, with what keeps it from being offered. The counts of the fleet read it
-- here, and so does muster_v1.blocked_hosts: a host that it does not name is held by nothing.

CREATE VIEW held_by_rows AS
SELECT r.rollout_id, r.channel, r.hostname,
  ARRAY[CASE r.state WHEN 'Deferred' THEN 'reboot-pending' ELSE 'unreachable-move' END] AS gates,
  ARRAY[CASE r.state WHEN 'Deferred' THEN r.last_accepted_at ELSE h.reachability_at END] AS since, r.seq
FROM host_rollout r LEFT JOIN host h ON h.hostname = r.hostname
WHERE r.closed IS NULL AND (r.state = 'Deferred' OR coalesce(h.reachability = 'unreachable', false)
  AND (r.state IN ('Activating', 'Soaking') OR (r.state = 'Failed' AND r.policy_applied = 'rollback-and-halt'
    AND NOT r.rollback_failed AND NOT r.stuck)))
UNION ALL
SELECT d.rollout_id, d.channel, d.hostname,
  ARRAY[
    CASE WHEN coalesce(b.gates::jsonb ? 'dispatch-refused', false) THEN NULL ELSE 'dispatch-unacknowledged' END,
    CASE WHEN d.suspended AND o.state NOT IN ('Opening', 'Active', 'Converging', 'Terminal') THEN 'rollout-halted' END,
    CASE WHEN d.suspended AND f.pause IS NOT NULL THEN 'paused:fleet' END,
    CASE WHEN d.suspended AND c.pause IS NOT NULL THEN 'paused:channel' END,
    CASE WHEN d.suspended AND h.hold IS NOT NULL THEN 'host-hold' END,
    CASE WHEN d.suspended AND c.freshness_window = 0 THEN 'not-declared' END,
    CASE WHEN d.suspended AND least(o.signed_at, f.signed_at) < f.reject_before THEN 'manifest-rejected' END,
    CASE WHEN d.suspended AND q.closure IS NOT NULL THEN 'quarantine' END],
  ARRAY[
    d.enqueued_at,
    coalesce(o.ended_at, o.failed_at),
    (f.pause ->> 'at')::timestamptz(3),
    (c.pause ->> 'at')::timestamptz(3),
    (h.hold ->> 'at')::timestamptz(3),
    NULL,
    NULL,
    q.at], d.seq
FROM dispatch d JOIN rollout o ON o.rollout_id = d.rollout_id
LEFT JOIN channel c ON c.channel = d.channel
LEFT JOIN host h ON h.hostname = d.hostname
LEFT JOIN host_blocker b ON b.rollout_id = d.rollout_id AND b.hostname = d.hostname
LEFT JOIN quarantine q ON q.channel = d.channel AND q.closure = d.target_closure
LEFT JOIN fleet f ON true;

CREATE OR REPLACE VIEW {{schema}}_v1.blocked_hosts AS
SELECT b.rollout_id, b.hostname AS host, g.gate, split_part(g.gate, ':', 1) AS gate_kind, t.since,
  clock_timestamp() - t.since AS blocked_for, b.seq AS changed_seq
FROM {{schema}}.host_blocker b, json_array_elements_text(b.gates) AS g (gate),
  LATERAL (SELECT coalesce((b.earlier ->> g.gate)::timestamptz(3), b.since) AS since) t
UNION ALL
SELECT r.rollout_id, r.hostname, g.gate, split_part(g.gate, ':', 1), g.since::timestamptz(3),
  clock_timestamp() - g.since, r.seq
FROM {{schema}}.held_by_rows r, unnest(r.gates, r.since) AS g (gate, since)
WHERE g.gate IS NOT NULL;

COMMENT ON VIEW held_by_rows IS 'Hosts that are held by what rows tell, so that no gate was noted of them: a reboot that is awaited, silence on the way, a dispatch that is not acknowledged.';
COMMENT ON COLUMN held_by_rows.rollout_id IS 'In this rollout.';
COMMENT ON COLUMN held_by_rows.channel IS 'Its channel.';
COMMENT ON COLUMN held_by_rows.hostname IS 'Held host.';
COMMENT ON COLUMN held_by_rows.gates IS 'What holds it, each with its subject after a colon; null where this one does not.';
COMMENT ON COLUMN held_by_rows.since IS 'Since when by each, in the order of gates; null where no row tells.';
COMMENT ON COLUMN held_by_rows.seq IS 'Log row that last changed its record or its dispatch.';
COMMENT ON VIEW {{schema}}_v1.blocked_hosts IS 'What holds which hosts now, one row for each gate or remark: every host that is held, in every rollout that is kept. Of a host that something else holds already two gates are not here: a disruption budget that is full too (budgets tells of it), and enforced failures of earlier waves while it waits for its wave (failing_probes).';
COMMENT ON COLUMN {{schema}}_v1.blocked_hosts.gate IS 'Gate or remark, and its subject after a colon.';
COMMENT ON COLUMN {{schema}}_v1.blocked_hosts.since IS 'Since when by this gate, without a break; null where no row tells: not-declared and manifest-rejected of a dispatch that was offered.';
COMMENT ON COLUMN {{schema}}_v1.blocked_hosts.changed_seq IS 'Log row that last changed the set of gates of this host; of what its record or its dispatch tells, that one.';
