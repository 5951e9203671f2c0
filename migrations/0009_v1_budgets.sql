-- Two views more for the contract: what a rollout's budgets allow, and which permissions to move are in force.

CREATE VIEW {{schema}}_v1.budgets AS
SELECT r.rollout_id, (b.n - 1)::integer AS budget, b.of->>'key' AS budget_key, h.host,
  (b.of->>'maxInFlight')::integer AS max_in_flight, (b.of->>'maxInFlightPct')::float8 AS max_in_flight_pct,
  json_array_length(b.of->'hosts') AS hosts
FROM {{schema}}.rollout r, json_array_elements(r.plan->'budgets') WITH ORDINALITY AS b (of, n),
  json_array_elements_text(b.of->'hosts') AS h (host);

CREATE VIEW {{schema}}_v1.dispatches AS
SELECT d.rollout_id, d.hostname AS host, d.channel, d.target_closure, d.enqueued_at AS granted_at, d.suspended,
  o.first_offered_at, o.last_offered_at, d.seq AS changed_seq
FROM {{schema}}.dispatch d LEFT JOIN {{schema}}.dispatch_offer o USING (rollout_id, hostname);

COMMENT ON VIEW {{schema}}_v1.budgets IS 'Which hosts share which budget of a rollout, as pinned when it was opened.';
COMMENT ON COLUMN {{schema}}_v1.budgets.rollout_id IS 'channel@ref.';
COMMENT ON COLUMN {{schema}}_v1.budgets.budget IS 'Its number in the rollout, from 0.';
COMMENT ON COLUMN {{schema}}_v1.budgets.budget_key IS 'Canonical selector: budgets of the same key are one budget, over all rollouts.';
COMMENT ON COLUMN {{schema}}_v1.budgets.host IS 'A host under it.';
COMMENT ON COLUMN {{schema}}_v1.budgets.max_in_flight IS 'Hosts that may be on the move at once.';
COMMENT ON COLUMN {{schema}}_v1.budgets.max_in_flight_pct IS 'The same as a share of its hosts, in percent.';
COMMENT ON COLUMN {{schema}}_v1.budgets.hosts IS 'How many hosts are under it.';
COMMENT ON VIEW {{schema}}_v1.dispatches IS 'Permissions to move that are in force: granted, and not yet acknowledged or taken back.';
COMMENT ON COLUMN {{schema}}_v1.dispatches.rollout_id IS 'channel@ref.';
COMMENT ON COLUMN {{schema}}_v1.dispatches.host IS 'Host.';
COMMENT ON COLUMN {{schema}}_v1.dispatches.channel IS 'Its channel.';
COMMENT ON COLUMN {{schema}}_v1.dispatches.target_closure IS 'What it is to run.';
COMMENT ON COLUMN {{schema}}_v1.dispatches.granted_at IS 'When it was granted.';
COMMENT ON COLUMN {{schema}}_v1.dispatches.suspended IS 'Holds its slot, but is not offered.';
COMMENT ON COLUMN {{schema}}_v1.dispatches.first_offered_at IS 'First time it was handed to the agent; null: never.';
COMMENT ON COLUMN {{schema}}_v1.dispatches.last_offered_at IS 'Last time it was handed to the agent.';
COMMENT ON COLUMN {{schema}}_v1.dispatches.changed_seq IS 'Log row that last changed it.';
