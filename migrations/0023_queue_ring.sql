-- The queue becomes a ring of slots: whoever forgets a transaction holds back vacuum, and then every claim walked through
-- all that was ever queued beside it (148 ms at half a million dead rows). A drained slot is TRUNCATEd, which waits for
-- no snapshot.
--
-- Eight slots of 32,768 ids: together more than may wait (MUSTER_QUEUE_MAX_ROWS, 200,000), so that also beside a full
-- queue one drains before it is filled again; a slot is some 10 MB, is filled in 4 s at full load, and a claim walks
-- through its dead rows in milliseconds. Code without the ring goes on: it names the table, and rows find their slots.
--
-- The slot is an expression of the id, so that no row can be in the wrong one; therefore each slot has the key, which
-- together are one. PostgreSQL 15 and 16 know no identity columns of partitioned tables: the default is a sequence.

CREATE SEQUENCE input_queue_ids;

CREATE TABLE input_ring (
  id          bigint         NOT NULL DEFAULT nextval('input_queue_ids'),
  kind        text           NOT NULL,
  hostname    text,
  rollout_id  text,
  payload     json           NOT NULL,
  replica     text,
  enqueued_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  together    boolean        NOT NULL DEFAULT false
) PARTITION BY LIST (((id >> 15) & 7));
ALTER TABLE input_ring ALTER COLUMN payload SET STORAGE EXTERNAL;

COMMENT ON TABLE input_ring IS 'Not derived: accepted facts that the leader has not decided yet. Rows leave with the commit that decides them. A ring of slots, each emptied at once when it is drained.';
COMMENT ON COLUMN input_ring.id IS 'Order of decision.';
COMMENT ON COLUMN input_ring.kind IS 'Kind of input.';
COMMENT ON COLUMN input_ring.hostname IS 'Host that it is of.';
COMMENT ON COLUMN input_ring.rollout_id IS 'Rollout that it names.';
COMMENT ON COLUMN input_ring.payload IS 'The input.';
COMMENT ON COLUMN input_ring.replica IS 'Who waits for the verdict.';
COMMENT ON COLUMN input_ring.enqueued_at IS 'When.';
COMMENT ON COLUMN input_ring.together IS 'Its verdict is read from commit_verdicts, not from verdict.';

CREATE TABLE input_queue_s0 (LIKE input_ring INCLUDING STORAGE INCLUDING COMMENTS, PRIMARY KEY (id));
CREATE TABLE input_queue_s1 (LIKE input_ring INCLUDING STORAGE INCLUDING COMMENTS, PRIMARY KEY (id));
CREATE TABLE input_queue_s2 (LIKE input_ring INCLUDING STORAGE INCLUDING COMMENTS, PRIMARY KEY (id));
CREATE TABLE input_queue_s3 (LIKE input_ring INCLUDING STORAGE INCLUDING COMMENTS, PRIMARY KEY (id));
CREATE TABLE input_queue_s4 (LIKE input_ring INCLUDING STORAGE INCLUDING COMMENTS, PRIMARY KEY (id));
CREATE TABLE input_queue_s5 (LIKE input_ring INCLUDING STORAGE INCLUDING COMMENTS, PRIMARY KEY (id));
CREATE TABLE input_queue_s6 (LIKE input_ring INCLUDING STORAGE INCLUDING COMMENTS, PRIMARY KEY (id));
CREATE TABLE input_queue_s7 (LIKE input_ring INCLUDING STORAGE INCLUDING COMMENTS, PRIMARY KEY (id));

DO $$
BEGIN
  FOR slot IN 0..7 LOOP
    -- Every row dies within milliseconds: vacuum by count, not by share.
    EXECUTE format('ALTER TABLE input_queue_s%s SET (
      autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
      autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 50000,
      autovacuum_vacuum_cost_delay = 0)', slot);
    EXECUTE format('ALTER TABLE input_ring ATTACH PARTITION input_queue_s%s FOR VALUES IN (%s)', slot, slot);
    EXECUTE format('COMMENT ON TABLE input_queue_s%s IS %L', slot,
      format('Rows of input_queue whose id lies in slot %s of the ring.', slot));
  END LOOP;
END
$$;

-- Before the old table is locked: whoever reads the view locks it first, and the table after it.
CREATE OR REPLACE VIEW {{schema}}_v1.queue_health AS
SELECT q.waiting, q.oldest_seconds, d.dead, p.epoch, p.commit_no, p.head_seq, p.at AS last_commit_at,
  e.holder, e.since AS leads_since, e.incarnation
FROM (SELECT count(*) AS waiting, extract(epoch FROM clock_timestamp() - min(enqueued_at))::float8 AS oldest_seconds
      FROM {{schema}}.input_ring) q
CROSS JOIN (SELECT count(*) AS dead FROM {{schema}}.dead_input) d
LEFT JOIN {{schema}}.leader_progress p ON true LEFT JOIN {{schema}}.epoch e ON true;

-- From here on nobody stores or takes an input, for as long as it takes to carry over what waits.
LOCK TABLE input_queue IN ACCESS EXCLUSIVE MODE;
INSERT INTO input_ring (id, kind, hostname, rollout_id, payload, replica, enqueued_at, together)
SELECT id, kind, hostname, rollout_id, payload, replica, enqueued_at, together FROM input_queue ORDER BY id;

DO $$
DECLARE
  one record;
BEGIN
  -- No id comes twice.
  EXECUTE format('SELECT setval(''input_queue_ids'', last_value, is_called) FROM %s',
    pg_get_serial_sequence('input_queue', 'id'));
  -- Who runs meanwhile goes on as whom it is: owner and grants come with the table, not after it.
  FOR one IN
    SELECT c.relowner::regrole AS owner, a.grantee::regrole AS grantee, a.privilege_type AS privilege
    FROM pg_class c LEFT JOIN aclexplode(c.relacl) a ON a.grantee NOT IN (0, c.relowner)
    WHERE c.oid = 'input_queue'::regclass
  LOOP
    EXECUTE format('ALTER TABLE input_ring OWNER TO %s', one.owner);
    EXECUTE format('ALTER SEQUENCE input_queue_ids OWNER TO %s', one.owner);
    CONTINUE WHEN one.grantee IS NULL;
    EXECUTE format('GRANT %s ON input_ring TO %s', one.privilege, one.grantee);
    IF one.privilege = 'INSERT' THEN
      EXECUTE format('GRANT USAGE ON SEQUENCE input_queue_ids TO %s', one.grantee);
    END IF;
  END LOOP;
END
$$;

DROP TABLE input_queue;
ALTER TABLE input_ring RENAME TO input_queue;
-- Is an input of this host queued? Asked by every heartbeat.
CREATE INDEX input_queue_host ON input_queue (hostname) WHERE hostname IS NOT NULL;

-- One slot a call: what it locks it locks for milliseconds.
CREATE FUNCTION input_queue_rotate(OUT emptied integer, OUT locked integer, OUT waiting integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {{schema}}, pg_temp
-- TRUNCATE also locks what holds long payloads, where a vacuum may be at work.
SET lock_timeout = '10ms' AS $$
DECLARE
  -- What 1,300 rows leave behind is not worth a lock.
  worth   CONSTANT bigint := 64 * 8192;
  filling CONSTANT bigint := (SELECT (last_value >> 15) & 7 FROM input_queue_ids);
  slot    text;
  is_used boolean;
  kept    leader_progress;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    -- An older snapshot does not see what was stored since.
    RAISE EXCEPTION 'input_queue_rotate() wants READ COMMITTED' USING ERRCODE = 'active_sql_transaction';
  END IF;
  emptied := 0;
  locked := 0;
  waiting := 0;
  -- A dump has its snapshot before its locks: what was decided in between would be missing from it, queue and log.
  IF EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
             AND application_name LIKE 'pg_dump%' AND backend_xmin IS NOT NULL) THEN
    locked := 1;
    RETURN;
  END IF;
  -- The slot that was filled last comes last; the one being filled never.
  FOR step IN 1..7 LOOP
    slot := format('input_queue_s%s', (filling + step) & 7);
    CONTINUE WHEN pg_relation_size(slot::regclass) < worth;
    EXECUTE format('SELECT EXISTS (SELECT FROM %I)', slot) INTO is_used;
    IF is_used THEN
      waiting := waiting + 1;
      CONTINUE;
    END IF;
    BEGIN
      -- Never in line: whoever came after us would stand behind us.
      EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE NOWAIT', slot);
      -- Again: nobody who stores or takes an input is under way now.
      EXECUTE format('SELECT EXISTS (SELECT FROM %I)', slot) INTO is_used;
      IF is_used THEN
        RAISE EXCEPTION 'stored meanwhile' USING ERRCODE = 'lock_not_available'; -- lets go of the lock
      END IF;
      EXECUTE format('TRUNCATE %I', slot);
      -- What is taken away was deleted by commits before: no standby need confirm it while others wait.
      PERFORM set_config('synchronous_commit', 'local', true);
      emptied := 1;
      RETURN;
    EXCEPTION WHEN lock_not_available THEN
      locked := locked + 1;
    END;
  END LOOP;
  -- One row, and beside such a snapshot each commit leaves a dead one, which the next walks through.
  IF pg_relation_size('leader_progress') >= worth THEN
    BEGIN
      LOCK TABLE leader_progress IN ACCESS EXCLUSIVE MODE NOWAIT;
      SELECT * INTO STRICT kept FROM leader_progress;
      TRUNCATE leader_progress;
      INSERT INTO leader_progress SELECT kept.*;
      PERFORM set_config('synchronous_commit', 'local', true);
      emptied := 1;
    EXCEPTION WHEN lock_not_available THEN
      locked := locked + 1;
    END;
  END IF;
END
$$;

REVOKE EXECUTE ON FUNCTION input_queue_rotate() FROM PUBLIC;

COMMENT ON FUNCTION input_queue_rotate() IS 'Empties one drained slot of input_queue, or leader_progress but for its row, unless somebody has a lock on it. Says what it emptied, how many it found locked, and in how many others rows still wait.';
