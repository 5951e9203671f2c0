-- What operators' lists need to walk 100,000 hosts a page at a time: the hosts that the fleet in force
-- declares as rows (they were parsed out of the signed file for every page), and a rollout's records in
-- order of wave and name.

CREATE TABLE IF NOT EXISTS declared_host (
  hostname text NOT NULL PRIMARY KEY,
  channel  text NOT NULL,
  closure  text
);
CREATE INDEX IF NOT EXISTS declared_host_channel ON declared_host (channel, hostname);

-- No column of it ever changes, so updates of a record stay in place.
CREATE INDEX IF NOT EXISTS host_rollout_wave ON host_rollout (rollout_id, wave, hostname);

-- A trigger, not code: whichever version stores the next fleet, the rows follow in the same transaction.
CREATE OR REPLACE FUNCTION declare_hosts() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {{schema}}, pg_temp AS $$
BEGIN
  WITH given AS MATERIALIZED (
    SELECT h->>0 AS hostname, h->>1 AS channel, h->>2 AS closure
    FROM json_array_elements(NEW.content->'hosts') AS h
  ), gone AS (
    DELETE FROM declared_host AS d
    WHERE NOT EXISTS (SELECT FROM given WHERE given.hostname = d.hostname)
  )
  INSERT INTO declared_host AS d SELECT hostname, channel, closure FROM given
  ON CONFLICT (hostname) DO UPDATE SET channel = excluded.channel, closure = excluded.closure
    WHERE (d.channel, d.closure) IS DISTINCT FROM (excluded.channel, excluded.closure);
  RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER artifact_declares_hosts AFTER INSERT OR UPDATE ON artifact
  FOR EACH ROW WHEN (NEW.kind = 'fleet' AND NEW.current) EXECUTE FUNCTION declare_hosts();

INSERT INTO declared_host (hostname, channel, closure)
SELECT h->>0, h->>1, h->>2
FROM artifact AS a, json_array_elements(a.content->'hosts') AS h
WHERE a.kind = 'fleet' AND a.current
ON CONFLICT (hostname) DO NOTHING;

COMMENT ON TABLE declared_host IS 'Not derived: the hosts of the fleet.resolved in force, from its artifact, for lists.';
COMMENT ON COLUMN declared_host.closure IS 'What the host must run; null when the fleet declares none.';
COMMENT ON FUNCTION declare_hosts() IS 'Keeps declared_host equal to the current fleet artifact.';
