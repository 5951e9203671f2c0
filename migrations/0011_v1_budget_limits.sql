-- What a budget comes to, whichever way it is declared: without it a share of hosts is a limit that no query sees.

CREATE OR REPLACE VIEW {{schema}}_v1.budgets AS
SELECT r.rollout_id, (b.n - 1)::integer AS budget, b.of->>'key' AS budget_key, h.host,
  (b.of->>'maxInFlight')::integer AS max_in_flight, (b.of->>'maxInFlightPct')::float8 AS max_in_flight_pct,
  json_array_length(b.of->'hosts') AS hosts,
  least((b.of->>'maxInFlight')::integer, CASE WHEN b.of->>'maxInFlightPct' IS NOT NULL
    THEN greatest(1, floor(json_array_length(b.of->'hosts') * (b.of->>'maxInFlightPct')::float8 / 100))::integer END) AS most
FROM {{schema}}.rollout r, json_array_elements(r.plan->'budgets') WITH ORDINALITY AS b (of, n),
  json_array_elements_text(b.of->'hosts') AS h (host);

COMMENT ON COLUMN {{schema}}_v1.budgets.most IS 'Hosts that may be on the move at once, by count or by share; as src/reducer/planner/limit.ts has it.';
