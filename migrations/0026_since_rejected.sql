-- Since when a channel is declared no more, and since when the trust file rejects what: an offered dispatch that is held for it
-- says since when, as every other gate does. Code that does not know these columns leaves them alone.

ALTER TABLE channel ADD COLUMN undeclared_at timestamptz(3);
ALTER TABLE fleet ADD COLUMN rejections json;
COMMENT ON COLUMN channel.undeclared_at IS 'Since when the fleet declares it no more; null while it does. Where an older Muster led meanwhile, an earlier time may have stayed.';
COMMENT ON COLUMN fleet.rejections IS 'Of each rise of reject_before that stands: since when (at) signatures before which instant (before) are rejected, ascending. Void where the last instant is not reject_before: an older Muster was told of that.';

CREATE OR REPLACE VIEW held_by_rows AS
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
    c.undeclared_at,
    (SELECT (told ->> 'at')::timestamptz FROM json_array_elements(f.rejections) AS told
      WHERE least(o.signed_at, f.signed_at) < (told ->> 'before')::timestamptz(3)
        AND (f.rejections -> -1 ->> 'before')::timestamptz(3) = f.reject_before
      ORDER BY told ->> 'before' LIMIT 1),
    q.at], d.seq
FROM dispatch d JOIN rollout o ON o.rollout_id = d.rollout_id
LEFT JOIN channel c ON c.channel = d.channel
LEFT JOIN host h ON h.hostname = d.hostname
LEFT JOIN host_blocker b ON b.rollout_id = d.rollout_id AND b.hostname = d.hostname
LEFT JOIN quarantine q ON q.channel = d.channel AND q.closure = d.target_closure
LEFT JOIN fleet f ON true;

COMMENT ON COLUMN held_by_rows.since IS 'Since when by each, in the order of gates; null where no row tells: what an older Muster was told of a trust file or a channel.';
COMMENT ON COLUMN {{schema}}_v1.blocked_hosts.since IS 'Since when by this gate, without a break; null where no row tells: not-declared and manifest-rejected of a dispatch that was offered, if an older Muster took notice of them.';
