-- The whole first schema. Runs with search_path set to the installation's schema, which exists; the
-- runner puts that schema's name wherever this text says {{schema}} (only functions need it, for their
-- pinned search_path). No statement needs a superuser.
--
-- Three families, never mixed:
--   the log       event_log: append only, the truth;
--   derived       fleet … host_blocker: equal to the fold of the log; each row names the seq that last set it;
--   not derived   queue, verdicts, presence, offers, artifacts: working memory, declared as such.
-- Nested values are `json`, not `jsonb`, where what was written must come back byte for byte.

-- ── The log ────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE event_log (
  seq        bigint         NOT NULL PRIMARY KEY CHECK (seq > 0),
  ts         timestamptz(3) NOT NULL,
  epoch      bigint         NOT NULL,
  kind       text           NOT NULL,
  hostname   text,
  rollout_id text,
  channel    text,
  actor      text,
  caused_by  bigint CHECK (caused_by < seq),
  payload    json           NOT NULL,
  hash       bytea          NOT NULL CHECK (length(hash) = 32)
) PARTITION BY RANGE (seq);

-- One rollout in order, one host in order; a time range by block (rows arrive in time order).
CREATE INDEX event_log_rollout ON event_log (rollout_id, seq) WHERE rollout_id IS NOT NULL;
CREATE INDEX event_log_host ON event_log (hostname, seq) WHERE hostname IS NOT NULL;
CREATE INDEX event_log_ts ON event_log USING brin (ts);

CREATE FUNCTION event_log_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of %.% refused: the event log is append only', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege',
          HINT = 'Old partitions are detached by the retention worker, never edited.';
END
$$;

-- Row triggers reach every partition; TRUNCATE triggers do not, and each partition gets its own.
CREATE TRIGGER event_log_no_change BEFORE UPDATE OR DELETE ON event_log
  FOR EACH ROW EXECUTE FUNCTION event_log_append_only();
CREATE TRIGGER event_log_no_truncate BEFORE TRUNCATE ON event_log
  FOR EACH STATEMENT EXECUTE FUNCTION event_log_append_only();
-- ALWAYS: session_replication_role skips ordinary triggers.
ALTER TABLE event_log ENABLE ALWAYS TRIGGER event_log_no_change;
ALTER TABLE event_log ENABLE ALWAYS TRIGGER event_log_no_truncate;

-- A million rows a partition: about 0.7 GB with indexes, so that vacuum, a detach or a copy of one is
-- minutes of work, and a fleet of 10,000 hosts fills one in a few days.
CREATE FUNCTION event_log_make_partitions(through bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {{schema}}, pg_temp AS $$
DECLARE
  size   CONSTANT bigint := 1000000;
  made   integer := 0;
  part   bigint;
  name   text;
BEGIN
  -- One maker at a time, whoever calls; released with the transaction.
  PERFORM pg_advisory_xact_lock(x'4d55'::int + 16, ('event_log'::regclass::oid)::bigint::bit(32)::int);
  FOR part IN
    SELECT n FROM generate_series(0, greatest(through, 0) / size) AS n
    WHERE to_regclass(format('event_log_p%s', lpad(n::text, 6, '0'))) IS NULL
      AND n > coalesce((SELECT max(substr(c.relname, 12)::bigint) FROM pg_inherits i
                        JOIN pg_class c ON c.oid = i.inhrelid
                        WHERE i.inhparent = 'event_log'::regclass), -1)
    ORDER BY n
  LOOP
    name := format('event_log_p%s', lpad(part::text, 6, '0'));
    -- Made apart and then attached: attaching does not lock out readers and writers of the log.
    EXECUTE format('CREATE TABLE %I (LIKE event_log INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
    EXECUTE format('CREATE TRIGGER event_log_no_truncate BEFORE TRUNCATE ON %I
                    FOR EACH STATEMENT EXECUTE FUNCTION event_log_append_only()', name);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER event_log_no_truncate', name);
    EXECUTE format('ALTER TABLE event_log ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                   name, part * size, (part + 1) * size);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER event_log_no_change', name);
    EXECUTE format('COMMENT ON TABLE %I IS %L', name,
                   format('Rows %s to %s of event_log.', part * size, (part + 1) * size - 1));
    made := made + 1;
  END LOOP;
  RETURN made;
END
$$;

SELECT event_log_make_partitions(1000000);

-- ── Derived: the fold of the log ───────────────────────────────────────────────────────────────────

CREATE TABLE fleet (
  singleton          boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  seq           bigint  NOT NULL,
  fleet_hash    text,
  signed_at     timestamptz(3),
  ref           text,
  pause         json,
  reject_before timestamptz(3),
  opened        bigint  NOT NULL
);

CREATE TABLE channel (
  channel            text             NOT NULL PRIMARY KEY,
  seq                bigint           NOT NULL,
  declared_ref       text,
  manifest_hash      text,
  signed_at          timestamptz(3),
  freshness_window   double precision NOT NULL,
  current_rollout_id text,
  waiting_ref        text,
  pause              json,
  note               text
);

CREATE TABLE rollout (
  rollout_id    text           NOT NULL PRIMARY KEY,
  seq           bigint         NOT NULL,
  channel       text           NOT NULL,
  channel_ref   text           NOT NULL,
  display_name  text           NOT NULL,
  manifest_hash text           NOT NULL,
  signed_at     timestamptz(3) NOT NULL,
  state         text           NOT NULL,
  current_wave  integer        NOT NULL,
  ordinal       bigint         NOT NULL,
  opened_at     timestamptz(3) NOT NULL,
  superseded_at timestamptz(3),
  superseded_by text,
  terminal_at   timestamptz(3),
  failed_at     timestamptz(3),
  ended_at      timestamptz(3),
  plan          json           NOT NULL,
  exceptions    json,
  blockers      json           NOT NULL
);
CREATE INDEX rollout_ordinal ON rollout (ordinal);

CREATE TABLE host_rollout (
  rollout_id                  text    NOT NULL,
  hostname                    text    NOT NULL,
  seq                         bigint  NOT NULL,
  channel                     text    NOT NULL,
  wave                        integer NOT NULL,
  state                       text    NOT NULL,
  target_closure              text    NOT NULL,
  current_closure_at_dispatch text,
  current_closure             text,
  reverted_to                 text,
  dispatched_at               timestamptz(3),
  dispatch_acked_at           timestamptz(3),
  activation_started_at       timestamptz(3),
  activation_completed_at     timestamptz(3),
  activation_failed_at        timestamptz(3),
  probe_observed_first_at     timestamptz(3),
  probe_failure_first_at      timestamptz(3),
  soak_due_at                 timestamptz(3),
  converged_at                timestamptz(3),
  failed_at                   timestamptz(3),
  policy_applied              text,
  reverted_at                 timestamptz(3),
  probes                      json    NOT NULL,
  declared_probes             json,
  last_event_seq              bigint  NOT NULL,
  synthesised                 text,
  closed                      text,
  highest_refused_seq         bigint  NOT NULL,
  last_refusal                text,
  last_accepted_at            timestamptz(3),
  completed_applied_at        timestamptz(3),
  contradicted_by             text,
  unchanged                   boolean NOT NULL,
  cleared                     boolean NOT NULL,
  was_offered                 boolean NOT NULL,
  target_sightings            integer NOT NULL,
  synthesised_at              timestamptz(3),
  stuck                       boolean NOT NULL,
  rollback_failed             boolean NOT NULL,
  PRIMARY KEY (rollout_id, hostname)
) WITH (fillfactor = 80); -- a record is updated about ten times in its life: leave room to do it in place
CREATE INDEX host_rollout_host ON host_rollout (hostname);

CREATE TABLE host (
  hostname         text   NOT NULL PRIMARY KEY,
  seq              bigint NOT NULL,
  reported_closure text,
  reachability     text   NOT NULL,
  reachability_at  timestamptz(3),
  hold             json,
  settled_closure  text
) WITH (fillfactor = 80);

CREATE TABLE dispatch (
  rollout_id     text           NOT NULL,
  hostname       text           NOT NULL,
  seq            bigint         NOT NULL,
  channel        text           NOT NULL,
  target_closure text           NOT NULL,
  soak_due_at    timestamptz(3) NOT NULL,
  enqueued_at    timestamptz(3) NOT NULL,
  suspended      boolean        NOT NULL,
  ordinal        bigint         NOT NULL,
  PRIMARY KEY (rollout_id, hostname)
);
CREATE INDEX dispatch_host ON dispatch (hostname);
-- Replicas read what is newer than the last seq they saw.
CREATE INDEX dispatch_seq ON dispatch (seq);

CREATE TABLE quarantine (
  channel    text           NOT NULL,
  closure    text           NOT NULL,
  seq        bigint         NOT NULL,
  rollout_id text           NOT NULL,
  hostname   text           NOT NULL,
  at         timestamptz(3) NOT NULL,
  PRIMARY KEY (channel, closure)
);

CREATE TABLE probe_failure (
  rollout_id text           NOT NULL,
  hostname   text           NOT NULL,
  probe_name text           NOT NULL,
  control_id text           NOT NULL,
  seq        bigint         NOT NULL,
  since      timestamptz(3) NOT NULL,
  PRIMARY KEY (rollout_id, hostname, probe_name, control_id)
);

CREATE TABLE host_blocker (
  rollout_id text           NOT NULL,
  hostname   text           NOT NULL,
  seq        bigint         NOT NULL,
  gates      json           NOT NULL,
  since      timestamptz(3) NOT NULL,
  PRIMARY KEY (rollout_id, hostname)
);
CREATE INDEX host_blocker_host ON host_blocker (hostname);

-- ── Leadership ─────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE epoch (
  singleton              boolean        PRIMARY KEY DEFAULT true CHECK (singleton),
  epoch             bigint         NOT NULL,
  holder            text           NOT NULL,
  address           text           NOT NULL,
  version           text           NOT NULL,
  since             timestamptz(3) NOT NULL,
  incarnation       text           NOT NULL,
  system_identifier text           NOT NULL,
  timeline          bigint         NOT NULL,
  database_oid      bigint         NOT NULL
);

-- The fence. Raising (not an empty result) lets a whole transaction be sent at once: everything after a
-- failed fence fails with it, the COMMIT included.
CREATE FUNCTION fence(mine bigint) RETURNS void LANGUAGE plpgsql
SET search_path = {{schema}}, pg_temp AS $$
BEGIN
  PERFORM 1 FROM epoch WHERE epoch.epoch = mine FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'epoch % no longer leads', mine USING ERRCODE = 'MU001';
  END IF;
END
$$;

CREATE TABLE leader_progress (
  singleton        boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  epoch       bigint  NOT NULL,
  commit_no   bigint  NOT NULL,
  head_seq    bigint  NOT NULL,
  next_due_at timestamptz(3),
  at          timestamptz(3) NOT NULL
) WITH (fillfactor = 10); -- one row, written by every commit: keep its versions on one page

-- ── Inputs and what became of them ─────────────────────────────────────────────────────────────────

CREATE TABLE input_queue (
  id          bigint         GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind        text           NOT NULL,
  hostname    text,
  rollout_id  text,
  payload     json           NOT NULL,
  replica     text,
  enqueued_at timestamptz(3) NOT NULL DEFAULT clock_timestamp()
) WITH (
  -- Every row dies within milliseconds: vacuum by count, not by share.
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 50000,
  autovacuum_vacuum_cost_delay = 0
);
-- Is an input of this host queued? Asked by every heartbeat.
CREATE INDEX input_queue_host ON input_queue (hostname) WHERE hostname IS NOT NULL;

CREATE TABLE verdict (
  input_id  bigint         NOT NULL PRIMARY KEY,
  epoch     bigint         NOT NULL,
  commit_no bigint         NOT NULL,
  replica   text           NOT NULL,
  verdict   json           NOT NULL,
  seqs      json           NOT NULL,
  at        timestamptz(3) NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
CREATE INDEX verdict_commit ON verdict (epoch, commit_no);

CREATE TABLE dead_input (
  input_id    bigint         NOT NULL PRIMARY KEY,
  kind        text           NOT NULL,
  hostname    text,
  rollout_id  text,
  payload     text           NOT NULL,
  error       text           NOT NULL,
  replica     text,
  enqueued_at timestamptz(3) NOT NULL,
  died_at     timestamptz(3) NOT NULL,
  epoch       bigint         NOT NULL
);

CREATE TABLE operator_key (
  key          text           NOT NULL PRIMARY KEY,
  actor        text           NOT NULL,
  request_hash text           NOT NULL,
  input_id     bigint,
  answer       json,
  at           timestamptz(3) NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX operator_key_at ON operator_key (at);

-- ── What replicas note by themselves ───────────────────────────────────────────────────────────────

CREATE UNLOGGED TABLE presence (
  hostname                  text           NOT NULL PRIMARY KEY,
  heard_at                  timestamptz(3) NOT NULL,
  prev_heard_at             timestamptz(3),
  closure                   text,
  agent_version             text,
  uptime_secs               double precision,
  last_event_seq_by_rollout json,
  last_non2xx_at            timestamptz(3),
  replay_said               text,
  replica                   text
) WITH (
  fillfactor = 50, -- rewritten by every heartbeat, in place
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000
);

CREATE TABLE dispatch_offer (
  rollout_id       text           NOT NULL,
  hostname         text           NOT NULL,
  first_offered_at timestamptz(3) NOT NULL,
  last_offered_at  timestamptz(3) NOT NULL,
  replica          text           NOT NULL,
  PRIMARY KEY (rollout_id, hostname)
) WITH (fillfactor = 80);
CREATE INDEX dispatch_offer_host ON dispatch_offer (hostname);

-- ── Signed artifacts ───────────────────────────────────────────────────────────────────────────────

CREATE TABLE artifact (
  kind        text           NOT NULL,
  name        text           NOT NULL,
  hash        text           NOT NULL,
  bytes       bytea          NOT NULL,
  signature   bytea          NOT NULL,
  content     json           NOT NULL,
  signed_at   timestamptz(3) NOT NULL,
  verified_at timestamptz(3) NOT NULL,
  current     boolean        NOT NULL,
  PRIMARY KEY (kind, name, hash)
);
CREATE UNIQUE INDEX artifact_current ON artifact (kind, name) WHERE current;
CREATE INDEX artifact_hash ON artifact (hash);
-- Signed bytes compress once in the signer's CI, if at all; storing them plain makes serving them cheap.
ALTER TABLE artifact ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- ── Words for those who read the catalog ───────────────────────────────────────────────────────────

COMMENT ON TABLE event_log IS 'Everything that happened and was decided, gapless from 1 in commit order, append only, hash-chained. The state tables are its fold.';
COMMENT ON COLUMN event_log.ts IS 'The instant the input was decided at: the leader''s clock, never earlier than the row before.';
COMMENT ON COLUMN event_log.epoch IS 'Leadership term that wrote the row.';
COMMENT ON COLUMN event_log.caused_by IS 'seq of the row that led to this one; null for an input''s own row.';
COMMENT ON COLUMN event_log.payload IS 'Facts of the row, format version v, and under changes the fields it assigned. json: the text is hashed.';
COMMENT ON COLUMN event_log.hash IS 'sha256(previous hash, then each column, length-prefixed); of 32 zero bytes before seq 1.';
COMMENT ON FUNCTION event_log_make_partitions(bigint) IS 'Makes the partitions that hold seqs up to the given one; returns how many were new.';
COMMENT ON FUNCTION event_log_append_only() IS 'Refuses every UPDATE, DELETE and TRUNCATE of the log.';
COMMENT ON FUNCTION fence(bigint) IS 'Fails with MU001 unless the given epoch leads; holds that true until the transaction ends.';
COMMENT ON TABLE fleet IS 'Derived, one row: the fleet.resolved in force and a fleet-wide pause.';
COMMENT ON TABLE channel IS 'Derived: what each channel declares, which rollout is its newest, and its pause.';
COMMENT ON TABLE rollout IS 'Derived: one channel at one ref, with everything it needs pinned in plan.';
COMMENT ON TABLE host_rollout IS 'Derived: one host''s way through one rollout, mirrored from its agent''s events.';
COMMENT ON TABLE host IS 'Derived: what each host reports to run, whether it is heard, and an operator''s hold.';
COMMENT ON TABLE dispatch IS 'Derived: permissions to move that are in force. A row goes when acked or withdrawn.';
COMMENT ON TABLE quarantine IS 'Derived: closures that failed on a channel and are not dispatched again until cleared.';
COMMENT ON TABLE probe_failure IS 'Derived: probes and controls whose latest result is an enforced failure.';
COMMENT ON TABLE host_blocker IS 'Derived: which gates hold a pending host, since when.';
COMMENT ON TABLE epoch IS 'One row: who leads. A writer transaction that does not find its own epoch here commits nothing.';
COMMENT ON COLUMN epoch.incarnation IS 'Changes when the database was restored or promoted, so that readers of the log notice.';
COMMENT ON TABLE leader_progress IS 'Not derived, one row: the last commit of the leader and when the clock alone next changes something.';
COMMENT ON TABLE input_queue IS 'Not derived: accepted facts that the leader has not decided yet. Rows leave with the commit that decides them.';
COMMENT ON TABLE verdict IS 'Not derived: what became of inputs that someone waits for. Swept after minutes.';
COMMENT ON TABLE dead_input IS 'Not derived: inputs that could not be decided (undecodable, or a bug), kept with the error.';
COMMENT ON TABLE operator_key IS 'Not derived: Idempotency-Keys of operator commands, kept seven days.';
COMMENT ON TABLE presence IS 'Not derived, unlogged: when each host was last heard. Losing it harms nobody.';
COMMENT ON TABLE dispatch_offer IS 'Not derived: which dispatches were handed to their agent, first and last.';
COMMENT ON TABLE artifact IS 'Not derived: verified signed files, byte for byte, by hash; the log names them by hash.';
COMMENT ON COLUMN artifact.content IS 'What decisions need of the file, normalised.';
COMMENT ON COLUMN artifact.current IS 'The newest verified file of this name: the one that is served.';
