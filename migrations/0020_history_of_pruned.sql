-- What the log still holds must not vanish from answers when retention prunes a rollout: its records and the host lists
-- of its budgets go, its rows stay. And rows name hosts in what they change, too, not in a list of hosts alone.

CREATE OR REPLACE FUNCTION {{schema}}_v1.host_history(of_host text)
RETURNS TABLE (seq bigint, ts timestamptz(3), kind text, rollout_id text, actor text, caused_by bigint, what text, payload jsonb)
LANGUAGE sql STABLE SET search_path = {{schema}}, pg_temp AS $$
  WITH own AS MATERIALIZED (
    SELECT e.* FROM event_log e WHERE e.hostname = of_host
  ), shared AS (
    -- Rows of several hosts name them in their payload. Whether a pruned rollout was of this host, only its rows say.
    SELECT e.* FROM (SELECT hr.rollout_id FROM host_rollout hr WHERE hr.hostname = of_host
                     UNION SELECT o.rollout_id FROM own o WHERE o.rollout_id IS NOT NULL
                     UNION SELECT p.rollout_id FROM rollout p WHERE p.state = 'Pruned') r
    JOIN event_log e ON e.rollout_id = r.rollout_id AND e.hostname IS NULL
    -- The text first: most rows name other hosts, and reading JSON is what costs.
    WHERE strpos(e.payload::text, to_json(of_host)::text) > 0
      AND (EXISTS (SELECT FROM json_array_elements_text(
             CASE WHEN json_typeof(e.payload->'hosts') = 'array' THEN e.payload->'hosts' END) n WHERE n = of_host)
        OR EXISTS (SELECT FROM json_array_elements(e.payload->'changes') c WHERE c->>'hostname' = of_host))
    UNION ALL
    SELECT e.* FROM event_log e WHERE e.kind = 'liveness' AND e.hostname IS NULL
      AND EXISTS (SELECT FROM json_array_elements(e.payload->'hosts') n WHERE n->>'hostname' = of_host)
  )
  SELECT a.seq, a.ts, a.kind, a.rollout_id, a.actor, a.caused_by, {{schema}}_v1.describe(a.kind, a.payload), a.payload::jsonb
  FROM (SELECT * FROM own UNION ALL SELECT * FROM shared) a ORDER BY a.seq
$$;

CREATE OR REPLACE VIEW {{schema}}_v1.budgets AS
SELECT r.rollout_id, (b.n - 1)::integer AS budget, b.of->>'key' AS budget_key, h.host,
  (b.of->>'maxInFlight')::integer AS max_in_flight, (b.of->>'maxInFlightPct')::float8 AS max_in_flight_pct,
  json_array_length(b.of->'hosts') AS hosts,
  least((b.of->>'maxInFlight')::integer, CASE WHEN b.of->>'maxInFlightPct' IS NOT NULL
    THEN greatest(1, floor(json_array_length(b.of->'hosts') * (b.of->>'maxInFlightPct')::float8 / 100))::integer END) AS most
FROM {{schema}}.rollout r
LEFT JOIN LATERAL (
  -- A pruned rollout keeps no host lists; the row that opened it has them.
  SELECT e.payload->'changes'->0->'set'->'plan' AS plan FROM {{schema}}.event_log e
  WHERE r.state = 'Pruned' AND e.rollout_id = r.rollout_id AND e.hostname IS NULL AND e.kind = 'rollout_event'
    AND e.payload->>'event' = 'RolloutOpened' ORDER BY e.seq LIMIT 1
) o ON true, json_array_elements(coalesce(o.plan, r.plan)->'budgets') WITH ORDINALITY AS b (of, n),
  json_array_elements_text(b.of->'hosts') AS h (host);

COMMENT ON FUNCTION {{schema}}_v1.host_history(text) IS 'Everything that happened to a host, in order: its own rows, and rows that list it among several hosts or change something of it. The opening of a rollout, which names all its hosts, is in timeline.';
COMMENT ON VIEW {{schema}}_v1.budgets IS 'Which hosts share which budget of a rollout, as pinned when it was opened; of a pruned one while the log holds that row.';
