table artifact
  kind text not null -- fleet or manifest.
  name text not null -- What it is served as.
  hash text not null -- SHA-256 of its canonical bytes.
  bytes bytea not null storage e -- As they were signed.
  signature bytea not null -- Raw.
  content json not null -- What decisions need of the file, normalised.
  signed_at timestamp(3) with time zone not null -- When.
  verified_at timestamp(3) with time zone not null -- When it was verified here.
  current boolean not null -- The newest verified file of this name: the one that is served.
  constraint artifact_pkey PRIMARY KEY (kind, name, hash)
  index CREATE INDEX artifact_hash ON artifact USING btree (hash)
  index CREATE UNIQUE INDEX artifact_current ON artifact USING btree (kind, name) WHERE current
  index CREATE UNIQUE INDEX artifact_pkey ON artifact USING btree (kind, name, hash)
  trigger CREATE TRIGGER artifact_declares_hosts AFTER INSERT OR UPDATE ON artifact FOR EACH ROW WHEN (((new.kind = 'fleet'::text) AND new.current)) EXECUTE FUNCTION declare_hosts() enabled O
  comment Not derived: verified signed files, byte for byte, by hash; the log names them by hash.

table channel
  channel text not null -- Name.
  seq bigint not null -- Log row that last changed it.
  declared_ref text -- Ref that the set in force declares.
  manifest_hash text -- Verified manifest of that ref; null while there is none.
  signed_at timestamp(3) with time zone -- When that manifest was signed.
  freshness_window double precision not null -- Minutes for which it counts.
  current_rollout_id text -- Newest rollout ever opened here.
  waiting_ref text -- finish-first: ref that waits for it.
  pause json -- Who paused the channel, when and why.
  note text -- Standing remark for operators.
  undeclared_at timestamp(3) with time zone -- Since when the fleet declares it no more; null while it does. Where an older Muster led meanwhile, an earlier time may have stayed.
  constraint channel_pkey PRIMARY KEY (channel)
  index CREATE UNIQUE INDEX channel_pkey ON channel USING btree (channel)
  comment Derived: what each channel declares, which rollout is its newest, and its pause.

unlogged table commit_verdicts
  epoch bigint not null -- Term that decided.
  commit_no bigint not null -- Commit that decided.
  replica text not null -- Who waits.
  verdicts json not null storage e -- A list of [input id, verdict, seqs of the log rows it led to].
  at timestamp(3) with time zone not null -- When.
  constraint commit_verdicts_pkey PRIMARY KEY (epoch, commit_no, replica)
  index CREATE UNIQUE INDEX commit_verdicts_pkey ON commit_verdicts USING btree (epoch, commit_no, replica)
  comment Not derived: what became of the inputs of one commit that one replica waits for. Swept after minutes, empty after a crash of the server.

table dead_input
  input_id bigint not null -- Input it was.
  kind text not null -- Kind of input.
  hostname text -- Host that it is of.
  rollout_id text -- Rollout that it names.
  payload text not null -- The input, as text; empty where it was larger than any that Muster stores.
  error text not null -- Why it could not be decided.
  replica text -- Who waited.
  enqueued_at timestamp(3) with time zone not null -- When it came.
  died_at timestamp(3) with time zone not null -- When it was set aside.
  epoch bigint not null -- Term that set it aside.
  constraint dead_input_pkey PRIMARY KEY (input_id)
  index CREATE UNIQUE INDEX dead_input_pkey ON dead_input USING btree (input_id)
  comment Not derived: inputs that could not be decided (undecodable, or a bug), kept with the error.

table declared_host
  hostname text not null -- Host that the fleet in force declares.
  channel text not null -- Its channel there.
  closure text -- What the host must run; null when the fleet declares none.
  constraint declared_host_pkey PRIMARY KEY (hostname)
  index CREATE INDEX declared_host_channel ON declared_host USING btree (channel, hostname)
  index CREATE UNIQUE INDEX declared_host_pkey ON declared_host USING btree (hostname)
  comment Not derived: the hosts of the fleet.resolved in force, from its artifact, for lists.

table dispatch
  rollout_id text not null -- channel@ref.
  hostname text not null -- Host.
  seq bigint not null -- Log row that last changed it.
  channel text not null -- Its channel.
  target_closure text not null -- What the host is to run.
  soak_due_at timestamp(3) with time zone not null -- End of its watch.
  enqueued_at timestamp(3) with time zone not null -- When it was granted.
  suspended boolean not null -- Holds its slot but is not offered.
  ordinal bigint not null -- Of its rollout: only the newest of a host is offered.
  lock_only boolean -- Never written. Whoever may UPDATE this column alone may lock the row FOR SHARE, and change nothing.
  constraint dispatch_pkey PRIMARY KEY (rollout_id, hostname)
  index CREATE INDEX dispatch_host ON dispatch USING btree (hostname)
  index CREATE INDEX dispatch_seq ON dispatch USING btree (seq)
  index CREATE UNIQUE INDEX dispatch_pkey ON dispatch USING btree (rollout_id, hostname)
  comment Derived: permissions to move that are in force. A row goes when acked or withdrawn.

table dispatch_offer with (fillfactor=80)
  rollout_id text not null -- channel@ref.
  hostname text not null -- Host.
  first_offered_at timestamp(3) with time zone not null -- First time.
  last_offered_at timestamp(3) with time zone not null -- Last time.
  replica text not null -- Who offered it last.
  constraint dispatch_offer_instants CHECK ((((first_offered_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (first_offered_at <= '9998-12-31 23:59:59.999+00'::timestamp with time zone)) AND ((last_offered_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (last_offered_at <= '9998-12-31 23:59:59.999+00'::timestamp with time zone)))) NOT VALID
  constraint dispatch_offer_pkey PRIMARY KEY (rollout_id, hostname)
  index CREATE INDEX dispatch_offer_host ON dispatch_offer USING btree (hostname)
  index CREATE UNIQUE INDEX dispatch_offer_pkey ON dispatch_offer USING btree (rollout_id, hostname)
  comment Not derived: which dispatches were handed to their agent, first and last.

table enrolment
  nonce text not null -- As in the token and the signed allow-list.
  seq bigint not null -- Log row that last changed it.
  hostname text not null -- Host that enrolled.
  csr_hash text not null -- SHA-256 in hex of the certificate request that burnt it; the same one may collect again.
  key_fingerprint text not null -- SHA-256 in base64 of the public key that was certified.
  serial text not null -- Serial number of the certificate, in hex.
  not_before timestamp(3) with time zone not null -- When the certificate begins to be valid.
  not_after timestamp(3) with time zone not null -- When it ends.
  token_expires_at timestamp(3) with time zone not null -- Until when the token lets its holder collect the certificate.
  nonce_expires_at timestamp(3) with time zone not null -- Until when the allow-list let the nonce in.
  burnt_at timestamp(3) with time zone not null -- When it was burnt. Forgotten 90 days after token and nonce have expired.
  refusals integer not null -- Other requests that came with this nonce and were refused, as far as they were logged.
  constraint enrolment_instants CHECK ((((not_before >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (not_before <= '9998-12-31 23:59:59.999+00'::timestamp with time zone)) AND ((not_after >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (not_after <= '9998-12-31 23:59:59.999+00'::timestamp with time zone)) AND ((token_expires_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (token_expires_at <= '9998-12-31 23:59:59.999+00'::timestamp with time zone)) AND ((nonce_expires_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (nonce_expires_at <= '9998-12-31 23:59:59.999+00'::timestamp with time zone)) AND ((burnt_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (burnt_at <= '9998-12-31 23:59:59.999+00'::timestamp with time zone)))) NOT VALID
  constraint enrolment_pkey PRIMARY KEY (nonce)
  index CREATE UNIQUE INDEX enrolment_pkey ON enrolment USING btree (nonce)
  comment Derived: bootstrap nonces that were burnt, each with the one certificate that it is good for.

table epoch
  singleton boolean not null default true -- There is one row.
  epoch bigint not null -- Term that leads.
  holder text not null -- Process that leads.
  address text not null -- Where it is reached.
  version text not null -- Its version.
  since timestamp(3) with time zone not null -- When it began.
  incarnation text not null -- Changes when the database was restored or promoted, so that readers of the log notice.
  system_identifier text not null -- Of the cluster that the incarnation was made under.
  timeline bigint not null -- Of that cluster then.
  database_oid bigint not null -- Of that database.
  log_oid bigint -- Of the table event_log there: a restored dump makes another.
  constraint epoch_pkey PRIMARY KEY (singleton)
  constraint epoch_singleton_check CHECK (singleton)
  index CREATE UNIQUE INDEX epoch_pkey ON epoch USING btree (singleton)
  comment One row: who leads. A writer transaction that does not find its own epoch here commits nothing.

table event_log partition by RANGE (seq)
  seq bigint not null -- 1, 2, 3 … in the order of commits, assigned by the leader.
  ts timestamp(3) with time zone not null -- The instant the input was decided at: the leader's clock, never earlier than the row before.
  epoch bigint not null -- Leadership term that wrote the row.
  kind text not null -- What sort of row it is; decides the shape of payload.
  hostname text -- Host that it is about; null when it is about none or several.
  rollout_id text -- Rollout that it is about.
  channel text -- Channel that it is about.
  actor text -- Who acted: host, person or leader.
  caused_by bigint -- seq of the row that led to this one; null for an input's own row.
  payload json not null -- Facts of the row, format version v, and under changes the fields it assigned. json: the text is hashed.
  hash bytea not null -- sha256(previous hash, then each column, length-prefixed); of 32 zero bytes before seq 1.
  constraint event_log_check CHECK ((caused_by < seq))
  constraint event_log_hash_check CHECK ((length(hash) = 32))
  constraint event_log_pkey PRIMARY KEY (seq)
  constraint event_log_seq_check CHECK ((seq > 0))
  index CREATE INDEX event_log_host ON ONLY event_log USING btree (hostname) WHERE (hostname IS NOT NULL)
  index CREATE INDEX event_log_rare_kind ON ONLY event_log USING btree (kind, seq) WHERE (kind = ANY (ARRAY['leadership'::text, 'operator_command'::text, 'manifest_set'::text, 'verify_outcome'::text, 'rollout_event'::text, 'liveness'::text]))
  index CREATE INDEX event_log_rollout ON ONLY event_log USING btree (rollout_id, ((seq >> 12))) WHERE (rollout_id IS NOT NULL)
  index CREATE INDEX event_log_ts ON ONLY event_log USING brin (ts)
  index CREATE INDEX event_log_wide ON ONLY event_log USING btree (rollout_id, seq) WHERE (hostname IS NULL)
  index CREATE UNIQUE INDEX event_log_pkey ON ONLY event_log USING btree (seq)
  trigger CREATE TRIGGER event_log_no_change BEFORE DELETE OR UPDATE ON event_log FOR EACH ROW EXECUTE FUNCTION event_log_append_only() enabled A
  trigger CREATE TRIGGER event_log_no_truncate BEFORE TRUNCATE ON event_log FOR EACH STATEMENT EXECUTE FUNCTION event_log_append_only() enabled A
  comment Everything that happened and was decided, gapless from 1 in commit order, append only, hash-chained. The state tables are its fold.

table event_log_p000000 FOR VALUES FROM ('0') TO ('1000000')
  seq bigint not null -- 1, 2, 3 … in the order of commits, assigned by the leader.
  ts timestamp(3) with time zone not null -- The instant the input was decided at: the leader's clock, never earlier than the row before.
  epoch bigint not null -- Leadership term that wrote the row.
  kind text not null -- What sort of row it is; decides the shape of payload.
  hostname text -- Host that it is about; null when it is about none or several.
  rollout_id text -- Rollout that it is about.
  channel text -- Channel that it is about.
  actor text -- Who acted: host, person or leader.
  caused_by bigint -- seq of the row that led to this one; null for an input's own row.
  payload json not null -- Facts of the row, format version v, and under changes the fields it assigned. json: the text is hashed.
  hash bytea not null -- sha256(previous hash, then each column, length-prefixed); of 32 zero bytes before seq 1.
  constraint event_log_check CHECK ((caused_by < seq))
  constraint event_log_hash_check CHECK ((length(hash) = 32))
  constraint event_log_p000000_pkey PRIMARY KEY (seq)
  constraint event_log_seq_check CHECK ((seq > 0))
  index CREATE INDEX event_log_p000000_hostname_idx ON event_log_p000000 USING btree (hostname) WHERE (hostname IS NOT NULL)
  index CREATE INDEX event_log_p000000_kind_seq_idx ON event_log_p000000 USING btree (kind, seq) WHERE (kind = ANY (ARRAY['leadership'::text, 'operator_command'::text, 'manifest_set'::text, 'verify_outcome'::text, 'rollout_event'::text, 'liveness'::text]))
  index CREATE INDEX event_log_p000000_rollout_id_expr_idx ON event_log_p000000 USING btree (rollout_id, ((seq >> 12))) WHERE (rollout_id IS NOT NULL)
  index CREATE INDEX event_log_p000000_rollout_id_seq_idx ON event_log_p000000 USING btree (rollout_id, seq) WHERE (hostname IS NULL)
  index CREATE INDEX event_log_p000000_ts_idx ON event_log_p000000 USING brin (ts)
  index CREATE UNIQUE INDEX event_log_p000000_pkey ON event_log_p000000 USING btree (seq)
  trigger CREATE TRIGGER event_log_no_change BEFORE DELETE OR UPDATE ON event_log_p000000 FOR EACH ROW EXECUTE FUNCTION event_log_append_only() enabled A
  trigger CREATE TRIGGER event_log_no_truncate BEFORE TRUNCATE ON event_log_p000000 FOR EACH STATEMENT EXECUTE FUNCTION event_log_append_only() enabled A
  comment Rows 0 to 999999 of event_log.

table event_log_p000001 FOR VALUES FROM ('1000000') TO ('2000000')
  seq bigint not null -- 1, 2, 3 … in the order of commits, assigned by the leader.
  ts timestamp(3) with time zone not null -- The instant the input was decided at: the leader's clock, never earlier than the row before.
  epoch bigint not null -- Leadership term that wrote the row.
  kind text not null -- What sort of row it is; decides the shape of payload.
  hostname text -- Host that it is about; null when it is about none or several.
  rollout_id text -- Rollout that it is about.
  channel text -- Channel that it is about.
  actor text -- Who acted: host, person or leader.
  caused_by bigint -- seq of the row that led to this one; null for an input's own row.
  payload json not null -- Facts of the row, format version v, and under changes the fields it assigned. json: the text is hashed.
  hash bytea not null -- sha256(previous hash, then each column, length-prefixed); of 32 zero bytes before seq 1.
  constraint event_log_check CHECK ((caused_by < seq))
  constraint event_log_hash_check CHECK ((length(hash) = 32))
  constraint event_log_p000001_pkey PRIMARY KEY (seq)
  constraint event_log_seq_check CHECK ((seq > 0))
  index CREATE INDEX event_log_p000001_hostname_idx ON event_log_p000001 USING btree (hostname) WHERE (hostname IS NOT NULL)
  index CREATE INDEX event_log_p000001_kind_seq_idx ON event_log_p000001 USING btree (kind, seq) WHERE (kind = ANY (ARRAY['leadership'::text, 'operator_command'::text, 'manifest_set'::text, 'verify_outcome'::text, 'rollout_event'::text, 'liveness'::text]))
  index CREATE INDEX event_log_p000001_rollout_id_expr_idx ON event_log_p000001 USING btree (rollout_id, ((seq >> 12))) WHERE (rollout_id IS NOT NULL)
  index CREATE INDEX event_log_p000001_rollout_id_seq_idx ON event_log_p000001 USING btree (rollout_id, seq) WHERE (hostname IS NULL)
  index CREATE INDEX event_log_p000001_ts_idx ON event_log_p000001 USING brin (ts)
  index CREATE UNIQUE INDEX event_log_p000001_pkey ON event_log_p000001 USING btree (seq)
  trigger CREATE TRIGGER event_log_no_change BEFORE DELETE OR UPDATE ON event_log_p000001 FOR EACH ROW EXECUTE FUNCTION event_log_append_only() enabled A
  trigger CREATE TRIGGER event_log_no_truncate BEFORE TRUNCATE ON event_log_p000001 FOR EACH STATEMENT EXECUTE FUNCTION event_log_append_only() enabled A
  comment Rows 1000000 to 1999999 of event_log.

table fleet
  singleton boolean not null default true -- There is one row.
  seq bigint not null -- Log row that last changed it.
  fleet_hash text -- Of the fleet.resolved in force.
  signed_at timestamp(3) with time zone -- When that was signed.
  ref text -- What it declares.
  pause json -- Who paused the fleet, when and why.
  reject_before timestamp(3) with time zone -- Signatures before this are refused.
  opened bigint not null -- Rollouts ever opened.
  rejections json -- Of each rise of reject_before that stands: since when (at) signatures before which instant (before) are rejected, ascending. Void where the last instant is not reject_before: an older Muster was told of that.
  listening_since timestamp(3) with time zone -- When the present leader began, or somebody was heard again after nobody was, as logged: silence counts only five heartbeats later. Null before the first that said so.
  deaf_since timestamp(3) with time zone -- Since when no host at all was heard, as logged: nobody's silence counts meanwhile. Null while any is.
  constraint fleet_instants CHECK ((((signed_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (signed_at <= '9998-12-31 23:59:59.999+00'::timestamp with time zone)) AND ((reject_before >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (reject_before <= '9998-12-31 23:59:59.999+00'::timestamp with time zone)))) NOT VALID
  constraint fleet_pkey PRIMARY KEY (singleton)
  constraint fleet_singleton_check CHECK (singleton)
  index CREATE UNIQUE INDEX fleet_pkey ON fleet USING btree (singleton)
  comment Derived, one row: the fleet.resolved in force and a fleet-wide pause.

table host with (fillfactor=80)
  hostname text not null -- Name.
  seq bigint not null -- Log row that last changed it.
  reported_closure text -- What it last reported to run.
  reachability text not null -- never, reachable or unreachable.
  reachability_at timestamp(3) with time zone -- Since when.
  hold json -- Who holds it back, when and why.
  settled_closure text -- Closure of its latest finished record.
  constraint host_instants CHECK (((reachability_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (reachability_at <= '9998-12-31 23:59:59.999+00'::timestamp with time zone))) NOT VALID
  constraint host_pkey PRIMARY KEY (hostname)
  index CREATE UNIQUE INDEX host_pkey ON host USING btree (hostname)
  comment Derived: what each host reports to run, whether it is heard, and an operator's hold.

table host_blocker
  rollout_id text not null -- channel@ref.
  hostname text not null -- Host.
  seq bigint not null -- Log row that set it.
  gates json not null -- Gate keys, sorted.
  since timestamp(3) with time zone not null -- Since when by this set.
  earlier json -- Of the set, the gates that held before the set did, each with since when.
  constraint host_blocker_pkey PRIMARY KEY (rollout_id, hostname)
  index CREATE INDEX host_blocker_host ON host_blocker USING btree (hostname)
  index CREATE UNIQUE INDEX host_blocker_pkey ON host_blocker USING btree (rollout_id, hostname)
  comment Derived: which gates hold a pending host, since when.

table host_rollout with (fillfactor=80)
  rollout_id text not null -- channel@ref.
  hostname text not null -- Host.
  seq bigint not null -- Log row that last changed it.
  channel text not null -- Its channel.
  wave integer not null -- Wave, from 0.
  state text not null -- Where the host stands.
  target_closure text not null -- What it is to run.
  current_closure_at_dispatch text -- What it ran when it acknowledged.
  current_closure text -- What it ran after its switch.
  reverted_to text -- What it went back to.
  dispatched_at timestamp(3) with time zone -- When it was allowed to move.
  dispatch_acked_at timestamp(3) with time zone -- When its agent took that.
  activation_started_at timestamp(3) with time zone -- By the agent.
  activation_completed_at timestamp(3) with time zone -- By the agent, or synthesised.
  activation_failed_at timestamp(3) with time zone -- By the agent.
  probe_observed_first_at timestamp(3) with time zone -- By the agent.
  probe_failure_first_at timestamp(3) with time zone -- By the agent.
  soak_due_at timestamp(3) with time zone -- End of its watch.
  converged_at timestamp(3) with time zone -- By the agent.
  failed_at timestamp(3) with time zone -- By the agent.
  policy_applied text -- What the agent did on failure.
  reverted_at timestamp(3) with time zone -- By the agent.
  probes json not null -- Latest result of each probe.
  declared_probes json -- Probes it said it would run.
  last_event_seq bigint not null -- Highest event seq applied.
  synthesised text -- Why the control plane set the state itself.
  closed text -- abandoned or written-off.
  highest_refused_seq bigint not null -- Highest event seq refused above the last applied.
  last_refusal text -- Latest refusals as seq:kind:code, so that equal ones are logged once.
  last_accepted_at timestamp(3) with time zone -- When an event was last applied.
  completed_applied_at timestamp(3) with time zone -- When the completion was applied; the wave soaks from here.
  contradicted_by text -- Closure that a heartbeat reported after the completion, against it.
  unchanged boolean not null -- It ran the target already.
  cleared boolean not null -- An operator set its failure aside.
  was_offered boolean not null -- A dispatch of it was once offered and then taken back.
  target_sightings integer not null -- Heartbeats in a row that reported the target.
  synthesised_at timestamp(3) with time zone -- When the state was synthesised.
  stuck boolean not null -- Heard, but silent about its move for too long.
  rollback_failed boolean not null -- Its rollback came back with an error.
  policy_at_dispatch text -- What its agent does when the switch or the soak fails, as it took it with its dispatch; null: as the rollout pinned it.
  constraint host_rollout_pkey PRIMARY KEY (rollout_id, hostname)
  index CREATE INDEX host_rollout_host ON host_rollout USING btree (hostname)
  index CREATE INDEX host_rollout_wave ON host_rollout USING btree (rollout_id, wave, hostname)
  index CREATE UNIQUE INDEX host_rollout_pkey ON host_rollout USING btree (rollout_id, hostname)
  comment Derived: one host's way through one rollout, mirrored from its agent's events.

table input_queue partition by LIST ((((id >> 15) & (7)::bigint)))
  id bigint not null default nextval('input_queue_ids'::regclass) -- Order of decision.
  kind text not null -- Kind of input.
  hostname text -- Host that it is of.
  rollout_id text -- Rollout that it names.
  payload json not null storage e -- The input.
  replica text -- Who waits for the verdict.
  enqueued_at timestamp(3) with time zone not null default clock_timestamp() -- When.
  together boolean not null default false -- Its verdict is read from commit_verdicts, not from verdict.
  constraint input_queue_id CHECK (((id >= 1) AND (id <= '9007199254740991'::bigint))) NOT VALID
  index CREATE INDEX input_queue_host ON ONLY input_queue USING btree (hostname) WHERE (hostname IS NOT NULL)
  comment Not derived: accepted facts that the leader has not decided yet. Rows leave with the commit that decides them. A ring of slots, each emptied at once when it is drained.

table input_queue_s0 FOR VALUES IN ('0') with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_insert_scale_factor=0, autovacuum_vacuum_insert_threshold=50000, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000)
  id bigint not null -- Order of decision.
  kind text not null -- Kind of input.
  hostname text -- Host that it is of.
  rollout_id text -- Rollout that it names.
  payload json not null storage e -- The input.
  replica text -- Who waits for the verdict.
  enqueued_at timestamp(3) with time zone not null -- When.
  together boolean not null -- Its verdict is read from commit_verdicts, not from verdict.
  constraint input_queue_id CHECK (((id >= 1) AND (id <= '9007199254740991'::bigint))) NOT VALID
  constraint input_queue_s0_pkey PRIMARY KEY (id)
  index CREATE INDEX input_queue_s0_hostname_idx ON input_queue_s0 USING btree (hostname) WHERE (hostname IS NOT NULL)
  index CREATE UNIQUE INDEX input_queue_s0_pkey ON input_queue_s0 USING btree (id)
  comment Rows of input_queue whose id lies in slot 0 of the ring.

table input_queue_s1 FOR VALUES IN ('1') with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_insert_scale_factor=0, autovacuum_vacuum_insert_threshold=50000, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000)
  id bigint not null -- Order of decision.
  kind text not null -- Kind of input.
  hostname text -- Host that it is of.
  rollout_id text -- Rollout that it names.
  payload json not null storage e -- The input.
  replica text -- Who waits for the verdict.
  enqueued_at timestamp(3) with time zone not null -- When.
  together boolean not null -- Its verdict is read from commit_verdicts, not from verdict.
  constraint input_queue_id CHECK (((id >= 1) AND (id <= '9007199254740991'::bigint))) NOT VALID
  constraint input_queue_s1_pkey PRIMARY KEY (id)
  index CREATE INDEX input_queue_s1_hostname_idx ON input_queue_s1 USING btree (hostname) WHERE (hostname IS NOT NULL)
  index CREATE UNIQUE INDEX input_queue_s1_pkey ON input_queue_s1 USING btree (id)
  comment Rows of input_queue whose id lies in slot 1 of the ring.

table input_queue_s2 FOR VALUES IN ('2') with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_insert_scale_factor=0, autovacuum_vacuum_insert_threshold=50000, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000)
  id bigint not null -- Order of decision.
  kind text not null -- Kind of input.
  hostname text -- Host that it is of.
  rollout_id text -- Rollout that it names.
  payload json not null storage e -- The input.
  replica text -- Who waits for the verdict.
  enqueued_at timestamp(3) with time zone not null -- When.
  together boolean not null -- Its verdict is read from commit_verdicts, not from verdict.
  constraint input_queue_id CHECK (((id >= 1) AND (id <= '9007199254740991'::bigint))) NOT VALID
  constraint input_queue_s2_pkey PRIMARY KEY (id)
  index CREATE INDEX input_queue_s2_hostname_idx ON input_queue_s2 USING btree (hostname) WHERE (hostname IS NOT NULL)
  index CREATE UNIQUE INDEX input_queue_s2_pkey ON input_queue_s2 USING btree (id)
  comment Rows of input_queue whose id lies in slot 2 of the ring.

table input_queue_s3 FOR VALUES IN ('3') with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_insert_scale_factor=0, autovacuum_vacuum_insert_threshold=50000, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000)
  id bigint not null -- Order of decision.
  kind text not null -- Kind of input.
  hostname text -- Host that it is of.
  rollout_id text -- Rollout that it names.
  payload json not null storage e -- The input.
  replica text -- Who waits for the verdict.
  enqueued_at timestamp(3) with time zone not null -- When.
  together boolean not null -- Its verdict is read from commit_verdicts, not from verdict.
  constraint input_queue_id CHECK (((id >= 1) AND (id <= '9007199254740991'::bigint))) NOT VALID
  constraint input_queue_s3_pkey PRIMARY KEY (id)
  index CREATE INDEX input_queue_s3_hostname_idx ON input_queue_s3 USING btree (hostname) WHERE (hostname IS NOT NULL)
  index CREATE UNIQUE INDEX input_queue_s3_pkey ON input_queue_s3 USING btree (id)
  comment Rows of input_queue whose id lies in slot 3 of the ring.

table input_queue_s4 FOR VALUES IN ('4') with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_insert_scale_factor=0, autovacuum_vacuum_insert_threshold=50000, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000)
  id bigint not null -- Order of decision.
  kind text not null -- Kind of input.
  hostname text -- Host that it is of.
  rollout_id text -- Rollout that it names.
  payload json not null storage e -- The input.
  replica text -- Who waits for the verdict.
  enqueued_at timestamp(3) with time zone not null -- When.
  together boolean not null -- Its verdict is read from commit_verdicts, not from verdict.
  constraint input_queue_id CHECK (((id >= 1) AND (id <= '9007199254740991'::bigint))) NOT VALID
  constraint input_queue_s4_pkey PRIMARY KEY (id)
  index CREATE INDEX input_queue_s4_hostname_idx ON input_queue_s4 USING btree (hostname) WHERE (hostname IS NOT NULL)
  index CREATE UNIQUE INDEX input_queue_s4_pkey ON input_queue_s4 USING btree (id)
  comment Rows of input_queue whose id lies in slot 4 of the ring.

table input_queue_s5 FOR VALUES IN ('5') with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_insert_scale_factor=0, autovacuum_vacuum_insert_threshold=50000, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000)
  id bigint not null -- Order of decision.
  kind text not null -- Kind of input.
  hostname text -- Host that it is of.
  rollout_id text -- Rollout that it names.
  payload json not null storage e -- The input.
  replica text -- Who waits for the verdict.
  enqueued_at timestamp(3) with time zone not null -- When.
  together boolean not null -- Its verdict is read from commit_verdicts, not from verdict.
  constraint input_queue_id CHECK (((id >= 1) AND (id <= '9007199254740991'::bigint))) NOT VALID
  constraint input_queue_s5_pkey PRIMARY KEY (id)
  index CREATE INDEX input_queue_s5_hostname_idx ON input_queue_s5 USING btree (hostname) WHERE (hostname IS NOT NULL)
  index CREATE UNIQUE INDEX input_queue_s5_pkey ON input_queue_s5 USING btree (id)
  comment Rows of input_queue whose id lies in slot 5 of the ring.

table input_queue_s6 FOR VALUES IN ('6') with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_insert_scale_factor=0, autovacuum_vacuum_insert_threshold=50000, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000)
  id bigint not null -- Order of decision.
  kind text not null -- Kind of input.
  hostname text -- Host that it is of.
  rollout_id text -- Rollout that it names.
  payload json not null storage e -- The input.
  replica text -- Who waits for the verdict.
  enqueued_at timestamp(3) with time zone not null -- When.
  together boolean not null -- Its verdict is read from commit_verdicts, not from verdict.
  constraint input_queue_id CHECK (((id >= 1) AND (id <= '9007199254740991'::bigint))) NOT VALID
  constraint input_queue_s6_pkey PRIMARY KEY (id)
  index CREATE INDEX input_queue_s6_hostname_idx ON input_queue_s6 USING btree (hostname) WHERE (hostname IS NOT NULL)
  index CREATE UNIQUE INDEX input_queue_s6_pkey ON input_queue_s6 USING btree (id)
  comment Rows of input_queue whose id lies in slot 6 of the ring.

table input_queue_s7 FOR VALUES IN ('7') with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_insert_scale_factor=0, autovacuum_vacuum_insert_threshold=50000, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000)
  id bigint not null -- Order of decision.
  kind text not null -- Kind of input.
  hostname text -- Host that it is of.
  rollout_id text -- Rollout that it names.
  payload json not null storage e -- The input.
  replica text -- Who waits for the verdict.
  enqueued_at timestamp(3) with time zone not null -- When.
  together boolean not null -- Its verdict is read from commit_verdicts, not from verdict.
  constraint input_queue_id CHECK (((id >= 1) AND (id <= '9007199254740991'::bigint))) NOT VALID
  constraint input_queue_s7_pkey PRIMARY KEY (id)
  index CREATE INDEX input_queue_s7_hostname_idx ON input_queue_s7 USING btree (hostname) WHERE (hostname IS NOT NULL)
  index CREATE UNIQUE INDEX input_queue_s7_pkey ON input_queue_s7 USING btree (id)
  comment Rows of input_queue whose id lies in slot 7 of the ring.

table leader_progress with (fillfactor=10)
  singleton boolean not null default true -- There is one row.
  epoch bigint not null -- Term of the last commit.
  commit_no bigint not null -- Number of that commit in its term.
  head_seq bigint not null -- Last log row then.
  next_due_at timestamp(3) with time zone -- When time alone next changes something.
  at timestamp(3) with time zone not null -- When it was written.
  led_in text -- Incarnation of the database when this commit was made; null when an older Muster made it.
  constraint leader_progress_pkey PRIMARY KEY (singleton)
  constraint leader_progress_singleton_check CHECK (singleton)
  index CREATE UNIQUE INDEX leader_progress_pkey ON leader_progress USING btree (singleton)
  comment Not derived, one row: the last commit of the leader and when the clock alone next changes something.

table log_detached
  name text not null -- Table it is now.
  first_seq bigint not null -- First row.
  last_seq bigint not null -- Last row.
  first_ts timestamp(3) with time zone not null -- Of the first row.
  last_ts timestamp(3) with time zone not null -- Of the last row.
  predecessor_hash bytea not null -- Hash of the row before its first: 32 zero bytes before seq 1.
  last_hash bytea not null -- Of the last row.
  detached_at timestamp(3) with time zone not null default clock_timestamp() -- When.
  exported_to text -- The file that holds its rows as compressed JSON lines; null while there is none.
  constraint log_detached_last_hash_check CHECK ((length(last_hash) = 32))
  constraint log_detached_pkey PRIMARY KEY (name)
  constraint log_detached_predecessor_hash_check CHECK ((length(predecessor_hash) = 32))
  index CREATE UNIQUE INDEX log_detached_pkey ON log_detached USING btree (name)
  comment Not derived: partitions that retention has taken out of the log, and how the chain runs through them.

table operator_key
  key text not null -- Idempotency-Key.
  actor text not null -- Who used it.
  request_hash text not null -- Of the request: another body under the same key is refused.
  input_id bigint -- Input that it became.
  answer json -- What was answered.
  at timestamp(3) with time zone not null default clock_timestamp() -- When.
  constraint operator_key_pkey PRIMARY KEY (key)
  index CREATE INDEX operator_key_at ON operator_key USING btree (at)
  index CREATE UNIQUE INDEX operator_key_pkey ON operator_key USING btree (key)
  comment Not derived: Idempotency-Keys of operator commands, kept seven days.

table operator_secret
  token_id text not null -- Token that it is of.
  hash bytea not null -- SHA-256 of the secret, which is 256 bits of chance.
  stored_at timestamp(3) with time zone not null default now() -- When.
  last_used_at timestamp(3) with time zone -- When it last admitted somebody, to the minute.
  constraint operator_secret_hash_check CHECK ((octet_length(hash) = 32))
  constraint operator_secret_instants CHECK ((((stored_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (stored_at <= '9998-12-31 23:59:59.999+00'::timestamp with time zone)) AND ((last_used_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (last_used_at <= '9998-12-31 23:59:59.999+00'::timestamp with time zone)))) NOT VALID
  constraint operator_secret_pkey PRIMARY KEY (token_id)
  index CREATE UNIQUE INDEX operator_secret_pkey ON operator_secret USING btree (token_id)
  comment What proves a bearer token. Admits nobody without the row of operator_token.

table operator_token
  token_id text not null -- The part of the token that is no secret.
  seq bigint not null -- Log row that made it.
  name text not null -- What the log calls its holder: token:<name>.
  role text not null -- viewer, operator or admin.
  channels json -- Commands under it reach these channels only; null: everything.
  created_by text not null -- Who made it.
  created_at timestamp(3) with time zone not null -- When.
  expires_at timestamp(3) with time zone not null -- When it ends by itself.
  constraint operator_token_pkey PRIMARY KEY (token_id)
  index CREATE UNIQUE INDEX operator_token_pkey ON operator_token USING btree (token_id)
  comment Derived: bearer tokens of operators that were made and not revoked.

unlogged table presence with (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=20000, fillfactor=50)
  hostname text not null -- Host.
  heard_at timestamp(3) with time zone not null -- Last heard.
  prev_heard_at timestamp(3) with time zone -- Heard before that.
  closure text -- What it reported.
  agent_version text -- Of its agent.
  uptime_secs double precision -- Of the machine.
  last_event_seq_by_rollout json -- What it says it has posted.
  last_non2xx_at timestamp(3) with time zone -- When it was last answered with an error.
  replay_said text -- Replay that it was asked for, so that it is asked once.
  replica text -- Who heard it.
  constraint presence_instants CHECK ((((heard_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (heard_at <= '9998-12-31 23:59:59.999+00'::timestamp with time zone)) AND ((prev_heard_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (prev_heard_at <= '9998-12-31 23:59:59.999+00'::timestamp with time zone)) AND ((last_non2xx_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (last_non2xx_at <= '9998-12-31 23:59:59.999+00'::timestamp with time zone)))) NOT VALID
  constraint presence_pkey PRIMARY KEY (hostname)
  index CREATE UNIQUE INDEX presence_pkey ON presence USING btree (hostname)
  comment Not derived, unlogged: when each host was last heard. Losing it harms nobody.

table probe_failure
  rollout_id text not null -- channel@ref.
  hostname text not null -- Host.
  probe_name text not null -- Probe.
  control_id text not null -- Control; empty for the probe itself.
  seq bigint not null -- Log row that says so.
  since timestamp(3) with time zone not null -- First failure.
  constraint probe_failure_pkey PRIMARY KEY (rollout_id, hostname, probe_name, control_id)
  index CREATE UNIQUE INDEX probe_failure_pkey ON probe_failure USING btree (rollout_id, hostname, probe_name, control_id)
  comment Derived: probes and controls whose latest result is an enforced failure.

table quarantine
  channel text not null -- Where.
  closure text not null -- What.
  seq bigint not null -- Log row that put it there.
  rollout_id text not null -- Where it failed.
  hostname text not null -- On which host.
  at timestamp(3) with time zone not null -- When.
  constraint quarantine_pkey PRIMARY KEY (channel, closure)
  index CREATE UNIQUE INDEX quarantine_pkey ON quarantine USING btree (channel, closure)
  comment Derived: closures that failed on a channel and are not dispatched again until cleared.

table rollout
  rollout_id text not null -- channel@ref.
  seq bigint not null -- Log row that last changed it.
  channel text not null -- Its channel.
  channel_ref text not null -- Its ref.
  display_name text not null -- Name in its manifest.
  manifest_hash text not null -- Manifest it last was verified under.
  signed_at timestamp(3) with time zone not null -- When that was signed.
  state text not null -- Where it stands.
  current_wave integer not null -- Wave that may move, from 0.
  ordinal bigint not null -- 1, 2, 3 … in order of opening, over the installation.
  opened_at timestamp(3) with time zone not null -- When.
  superseded_at timestamp(3) with time zone -- When a newer one took its place.
  superseded_by text -- Which one.
  terminal_at timestamp(3) with time zone -- When every wave had settled.
  failed_at timestamp(3) with time zone -- When it halted.
  ended_at timestamp(3) with time zone -- When superseded, cancelled or pruned.
  plan json not null -- Everything it needs, pinned when it was opened.
  exceptions json -- On Terminal: tolerated hosts by reason.
  blockers json not null -- Why the whole of it does not move.
  blockers_since json -- Since when by each of its blockers.
  constraint rollout_pkey PRIMARY KEY (rollout_id)
  index CREATE INDEX rollout_ordinal ON rollout USING btree (ordinal)
  index CREATE UNIQUE INDEX rollout_pkey ON rollout USING btree (rollout_id)
  comment Derived: one channel at one ref, with everything it needs pinned in plan.

table schema_migration
  version integer not null -- Number of the file.
  name text not null -- The file.
  checksum text not null -- SHA-256 of the file.
  applied_at timestamp(3) with time zone not null default clock_timestamp() -- When.
  oldest_code integer not null default 0 -- Code that knows no migration as new as this one may not work on the schema any more; 0: any may.
  constraint schema_migration_pkey PRIMARY KEY (version)
  index CREATE UNIQUE INDEX schema_migration_pkey ON schema_migration USING btree (version)
  comment Which migrations were applied, and their SHA-256.

table snapshot
  seq bigint not null -- Log row that the state belongs to.
  hash bytea not null -- Of the log row seq: the chain goes on from here when the rows below are detached.
  ts timestamp(3) with time zone not null -- Of that row.
  incarnation text not null -- Of the database when it was taken.
  format integer not null -- Of the parts.
  taken_at timestamp(3) with time zone not null default clock_timestamp() -- When.
  folds_equal boolean -- True once the log was folded up to seq and found equal; null while nobody looked. Nothing is detached above such a snapshot.
  constraint snapshot_hash_check CHECK ((length(hash) = 32))
  constraint snapshot_pkey PRIMARY KEY (seq)
  index CREATE UNIQUE INDEX snapshot_pkey ON snapshot USING btree (seq)
  comment Not derived: states to start a replay from, each read in one transaction with the seq that it belongs to.

table snapshot_part
  seq bigint not null -- Snapshot that it is of.
  family text not null -- Which rows of state.
  part integer not null -- Piece of the family, from 0.
  rows json not null -- A list of rows.
  constraint snapshot_part_pkey PRIMARY KEY (seq, family, part)
  constraint snapshot_part_seq_fkey FOREIGN KEY (seq) REFERENCES snapshot(seq) ON DELETE CASCADE
  index CREATE UNIQUE INDEX snapshot_part_pkey ON snapshot_part USING btree (seq, family, part)
  comment Not derived: the rows of a snapshot, by family of state rows, in pieces.

table verdict with (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=20000)
  input_id bigint not null -- Input it is of.
  epoch bigint not null -- Term that decided.
  commit_no bigint not null -- Commit that decided.
  replica text not null -- Through which it came.
  verdict json not null -- What became of the input.
  seqs json not null -- Log rows that it led to.
  at timestamp(3) with time zone not null -- When.
  constraint verdict_pkey PRIMARY KEY (input_id)
  index CREATE INDEX verdict_commit ON verdict USING btree (epoch, commit_no)
  index CREATE UNIQUE INDEX verdict_pkey ON verdict USING btree (input_id)
  comment Not derived: what became of commands, kept as long as their keys, and of inputs of older replicas.

CREATE OR REPLACE FUNCTION declare_hosts()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '{{schema}}', 'pg_temp'
AS $function$
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
$function$

-- Keeps declared_host equal to the current fleet artifact.

CREATE OR REPLACE FUNCTION event_log_append_only()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  RAISE EXCEPTION '% of %.% refused: the event log is append only', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege',
          HINT = 'Old partitions are detached by the retention worker, never edited.';
END
$function$

-- Refuses every UPDATE, DELETE and TRUNCATE of the log.

CREATE OR REPLACE FUNCTION event_log_detach_lowest()
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '{{schema}}', 'pg_temp'
 SET lock_timeout TO '200ms'
AS $function$
DECLARE
  size       CONSTANT bigint := 1000000;
  part       bigint;
  part_name  text;
  kept_name  text;
  low        event_log;
  high       event_log;
  before     bytea;
  reader     text;
BEGIN
  PERFORM pg_advisory_xact_lock(x'4d55'::int + 16, ('event_log'::regclass::oid)::bigint::bit(32)::int);
  SELECT min(substr(c.relname, 12)::bigint) INTO part FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'event_log'::regclass;
  part_name := format('event_log_p%s', lpad(part::text, 6, '0'));
  kept_name := format('event_log_detached_p%s', lpad(part::text, 6, '0'));
  IF NOT EXISTS (SELECT FROM event_log WHERE seq >= (part + 1) * size)
     OR NOT EXISTS (SELECT FROM snapshot WHERE folds_equal AND seq >= (part + 1) * size - 1) THEN
    RETURN NULL;
  END IF;
  SELECT * INTO STRICT low FROM event_log ORDER BY seq LIMIT 1;
  SELECT * INTO STRICT high FROM event_log WHERE seq < (part + 1) * size ORDER BY seq DESC LIMIT 1;
  SELECT last_hash INTO before FROM log_detached WHERE last_seq = low.seq - 1;
  IF low.seq = 1 THEN before := decode(repeat('00', 32), 'hex'); END IF;
  EXECUTE format('ALTER TABLE event_log DETACH PARTITION %I', part_name);
  EXECUTE format('ALTER TABLE %I RENAME TO %I', part_name, kept_name);
  -- Its row trigger was the parent's and went with it.
  EXECUTE format('CREATE TRIGGER event_log_no_change BEFORE UPDATE OR DELETE ON %I
                  FOR EACH ROW EXECUTE FUNCTION event_log_append_only()', kept_name);
  EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER event_log_no_change', kept_name);
  FOR reader IN
    SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
    FROM pg_class c, aclexplode(c.relacl) a
    WHERE c.oid = 'event_log'::regclass AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('GRANT SELECT ON %I TO %s', kept_name, reader);
  END LOOP;
  EXECUTE format('COMMENT ON TABLE %I IS %L', kept_name,
                 format('Rows %s to %s of the event log, detached by retention; an owner may drop it.', low.seq, high.seq));
  INSERT INTO log_detached (name, first_seq, last_seq, first_ts, last_ts, predecessor_hash, last_hash)
    VALUES (kept_name, low.seq, high.seq, low.ts, high.ts, before, high.hash);
  RETURN kept_name;
END
$function$

-- Detaches the lowest partition of the log and returns its new name; null when it must stay.

CREATE OR REPLACE FUNCTION event_log_make_partitions(through bigint)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '{{schema}}', 'pg_temp'
AS $function$
DECLARE
  size   CONSTANT bigint := 1000000;
  made   integer := 0;
  part   bigint;
  name   text;
BEGIN
  -- One maker at a time, whoever calls; released with the transaction.
  PERFORM pg_advisory_xact_lock(x'4d55'::int + 16, ('event_log'::regclass::oid)::bigint::bit(32)::int);
  -- Of the head, not of what is there already: asking again gives no more.
  IF through / size > coalesce((SELECT e.seq FROM event_log e ORDER BY e.seq DESC LIMIT 1), 0) / size + 1000 THEN
    RAISE EXCEPTION 'partitions through % refused: more than 1000 beyond the head of the log', through
      USING ERRCODE = 'program_limit_exceeded', HINT = 'Two are made ahead; ask for what the head will need.';
  END IF;
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
    EXECUTE format('CREATE TABLE %I (LIKE event_log INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)', name);
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
$function$

-- Makes the partitions that hold seqs up to the given one; returns how many were new.

CREATE OR REPLACE FUNCTION event_log_partition_rows()
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE
AS $function$SELECT 1000000::bigint$function$

-- How many seqs one partition of the log holds.

CREATE OR REPLACE FUNCTION fence(mine bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '{{schema}}', 'pg_temp'
AS $function$
BEGIN
  PERFORM 1 FROM epoch WHERE epoch.epoch = mine FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'epoch % no longer leads', mine USING ERRCODE = 'MU001';
  END IF;
END
$function$

-- Fails with MU001 unless the given epoch leads; holds that true until the transaction ends.

CREATE OR REPLACE FUNCTION input_queue_rotate(OUT emptied integer, OUT locked integer, OUT waiting integer)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '{{schema}}', 'pg_temp'
 SET lock_timeout TO '10ms'
AS $function$
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
$function$

-- Empties one drained slot of input_queue, or leader_progress but for its row, unless somebody has a lock on it. Says what it emptied, how many it found locked, and in how many others rows still wait.
