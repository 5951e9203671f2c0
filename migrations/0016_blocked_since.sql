-- Since when each gate holds a host: those that stay when another joins or leaves keep their time.
-- Code that does not know these columns leaves them alone, and so does the fold of the rows that it logged.

ALTER TABLE host_blocker ADD COLUMN earlier json;
ALTER TABLE rollout ADD COLUMN blockers_since json;

COMMENT ON COLUMN host_blocker.earlier IS 'Of the set, the gates that held before the set did, each with since when.';
COMMENT ON COLUMN rollout.blockers_since IS 'Since when by each of its blockers.';

CREATE OR REPLACE VIEW {{schema}}_v1.blocked_hosts AS
SELECT b.rollout_id, b.hostname AS host, g.gate, split_part(g.gate, ':', 1) AS gate_kind, t.since,
  clock_timestamp() - t.since AS blocked_for, b.seq AS changed_seq
FROM {{schema}}.host_blocker b, json_array_elements_text(b.gates) AS g (gate),
  LATERAL (SELECT coalesce((b.earlier ->> g.gate)::timestamptz(3), b.since) AS since) t;

COMMENT ON COLUMN {{schema}}_v1.blocked_hosts.since IS 'Since when by this gate, without a break.';
COMMENT ON COLUMN {{schema}}_v1.blocked_hosts.changed_seq IS 'Log row that last changed the set of gates of this host.';
