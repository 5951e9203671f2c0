-- The number of a partition was read from any table's name that the planner looked at first: a query with a condition
-- on from_seq then failed on a name without one. What is no partition of the log has no number.

CREATE OR REPLACE VIEW {{schema}}_v1.log_partitions AS
SELECT c.relname::text AS name, true AS attached, part * 1000000 AS from_seq, (part + 1) * 1000000 - 1 AS to_seq,
  pg_total_relation_size(c.oid) AS bytes, NULL::timestamptz(3) AS detached_at, NULL::text AS exported_to
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid, LATERAL (
  SELECT CASE WHEN c.relname ~ '^event_log_p[0-9]+$' THEN substr(c.relname, 12)::bigint END AS part
) p
WHERE i.inhparent = '{{schema}}.event_log'::regclass
UNION ALL
SELECT d.name, false, d.first_seq, d.last_seq, pg_total_relation_size(to_regclass('{{schema}}.' || d.name)),
  d.detached_at, d.exported_to
FROM {{schema}}.log_detached d;
