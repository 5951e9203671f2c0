/**
 * Is everything there that this code's statements name, and written to disk as promised? A schema at the right version may
 * still lack what somebody dropped or renamed since. A test holds the list to a migrated database.
 */
import type { Sql } from './driver.ts';
import { OWN_TRIGGERS, readLostTriggers, type LostTrigger } from './own-triggers.ts';
import type { Standing } from './standing.ts';

/** Each table or view with its columns. */
export const COLUMNS: Readonly<Record<string, string>> = {
  artifact: 'kind name hash bytes signature content signed_at verified_at current',
  channel:
    'channel seq declared_ref manifest_hash signed_at freshness_window current_rollout_id waiting_ref pause note undeclared_at',
  commit_verdicts: 'epoch commit_no replica verdicts at',
  dead_input: 'input_id kind hostname rollout_id payload error replica enqueued_at died_at epoch',
  declared_host: 'hostname channel closure',
  dispatch:
    'rollout_id hostname seq channel target_closure soak_due_at enqueued_at suspended ordinal lock_only',
  dispatch_offer: 'rollout_id hostname first_offered_at last_offered_at replica',
  enrolment:
    'nonce seq hostname csr_hash key_fingerprint serial not_before not_after token_expires_at nonce_expires_at burnt_at refusals',
  epoch:
    'singleton epoch holder address version since incarnation system_identifier timeline database_oid log_oid',
  event_log: 'seq ts epoch kind hostname rollout_id channel actor caused_by payload hash',
  fleet:
    'singleton seq fleet_hash signed_at ref pause reject_before opened rejections listening_since deaf_since',
  held_by_rows: 'rollout_id channel hostname gates since seq',
  host: 'hostname seq reported_closure reachability reachability_at hold settled_closure',
  host_blocker: 'rollout_id hostname seq gates since earlier',
  host_rollout:
    'rollout_id hostname seq channel wave state target_closure current_closure_at_dispatch current_closure reverted_to dispatched_at dispatch_acked_at activation_started_at activation_completed_at activation_failed_at probe_observed_first_at probe_failure_first_at soak_due_at converged_at failed_at policy_applied reverted_at probes declared_probes last_event_seq synthesised closed highest_refused_seq last_refusal last_accepted_at completed_applied_at contradicted_by unchanged cleared was_offered target_sightings synthesised_at stuck rollback_failed policy_at_dispatch',
  input_queue: 'id kind hostname rollout_id payload replica enqueued_at together',
  leader_progress: 'singleton epoch commit_no head_seq next_due_at at led_in',
  log_detached:
    'name first_seq last_seq first_ts last_ts predecessor_hash last_hash detached_at exported_to',
  operator_key: 'key actor request_hash input_id answer at',
  operator_secret: 'token_id hash stored_at last_used_at',
  operator_token: 'token_id seq name role channels created_by created_at expires_at',
  presence:
    'hostname heard_at prev_heard_at closure agent_version uptime_secs last_event_seq_by_rollout last_non2xx_at replay_said replica',
  probe_failure: 'rollout_id hostname probe_name control_id seq since',
  quarantine: 'channel closure seq rollout_id hostname at',
  rollout:
    'rollout_id seq channel channel_ref display_name manifest_hash signed_at state current_wave ordinal opened_at superseded_at superseded_by terminal_at failed_at ended_at plan exceptions blockers blockers_since',
  schema_migration: 'version name checksum applied_at oldest_code',
  snapshot: 'seq hash ts incarnation format taken_at folds_equal',
  snapshot_part: 'seq family part rows',
  verdict: 'input_id epoch commit_no replica verdict seqs at',
};

/** A crash empties them, and nobody is harmed. */
const UNLOGGED: readonly string[] = ['commit_verdicts', 'presence'];

/** Slots of the queue's ring: each holds the ids that fall to it, and nobody else does. */
const SLOTS = Array.from({ length: 8 }, (_, n) => `input_queue_s${String(n)}`);
/** A view, and a ring of tables that have keys of their own. */
const KEYLESS: readonly string[] = ['held_by_rows', 'input_queue'];
/** Without them a row could be there twice, or not be found, and every heartbeat would read the whole queue. */
export const INDEXES: readonly string[] = [
  'input_queue_host',
  ...SLOTS.map((slot) => `${slot}_pkey`),
  ...Object.keys(COLUMNS)
    .filter((table) => !KEYLESS.includes(table))
    .map((table) => `${table}_pkey`),
];

/** Checks and references of all that migrations make, partitions included. A test holds them to a migrated database. */
export const OWN_CONSTRAINTS: readonly string[] = [
  ...['dispatch_offer', 'enrolment', 'fleet', 'host', 'operator_secret', 'presence'].map(
    (table) => `${table}_instants`,
  ),
  ...['epoch', 'fleet', 'leader_progress'].map((table) => `${table}_singleton_check`),
  ...['event_log', 'operator_secret', 'snapshot'].map((table) => `${table}_hash_check`),
  ...['event_log_check', 'event_log_seq_check', 'input_queue_id', 'snapshot_part_seq_fkey'],
  ...['log_detached_last_hash_check', 'log_detached_predecessor_hash_check'],
];

interface OwnFunction {
  /** Who calls it may not do by himself what it does. */
  readonly asOwner: boolean;
  /** MD5 of its body, with single spaces. */
  readonly body: string;
}

/** Functions of the migrations. A test holds them to a migrated database. */
export const FUNCTIONS: Readonly<Record<string, OwnFunction>> = {
  'declare_hosts()': { asOwner: true, body: 'c4a0797c5c42c8d71530c2fc2f7d9db1' },
  'event_log_append_only()': { asOwner: false, body: '9efe280eaa4a26c6a3e95b018fa8f991' },
  'event_log_detach_lowest()': { asOwner: true, body: '74ba680520c98db32cfac9e85614da68' },
  'event_log_make_partitions(bigint)': { asOwner: true, body: 'cb246d2e0fbf2e6abf3f74f4761a15a7' },
  'event_log_partition_rows()': { asOwner: false, body: 'b7dcb83c84313b5da2dd75825a4f1acc' },
  'fence(bigint)': { asOwner: false, body: 'b3f13bf887384a217ccdd53af481c2b8' },
  'input_queue_rotate()': { asOwner: true, body: 'a185450d6c05b45880b897275f17c641' },
};

/** Columns that statements leave to their defaults. A test holds them to a migrated database. */
export const DEFAULTS: readonly string[] = [
  ...['epoch', 'fleet', 'leader_progress'].map((table) => `${table}.singleton`),
  ...['id', 'enqueued_at', 'together'].map((column) => `input_queue.${column}`),
  ...['log_detached.detached_at', 'operator_key.at', 'operator_secret.stored_at'],
  ...['schema_migration.applied_at', 'schema_migration.oldest_code', 'snapshot.taken_at'],
];

export interface Shape {
  /** Tables, columns as `table.column`, slots of the queue, indexes, functions and defaults that must not go. */
  readonly missing: readonly string[];
  /** Tables, slots and partitions that a crash would empty, and must not. */
  readonly unlogged: readonly string[];
  /** Tables that are never vacuumed by themselves. */
  readonly unvacuumed: readonly string[];
  /** Triggers of ours that keep nothing any more. */
  readonly lost: readonly LostTrigger[];
  /**
   * Triggers, rules and constraints that are none of ours, as `name on table`: they may refuse rows, or swallow them. Of a
   * schema that is newer than this code, none: it may bring some.
   */
  readonly strange: readonly string[];
}

/** Newer code only adds. */
export async function readShape(sql: Sql, standing: Standing): Promise<Shape> {
  const missing = await sql<{ name: string }[]>`
    SELECT t.name || CASE WHEN to_regclass(t.name) IS NULL THEN '' ELSE '.' || c.name END AS name
    FROM json_each_text(${JSON.stringify(COLUMNS)}::text::json) AS t (name, columns)
    CROSS JOIN string_to_table(CASE WHEN to_regclass(t.name) IS NULL THEN '-' ELSE t.columns END, ' ') AS c (name)
    WHERE NOT EXISTS (SELECT FROM pg_attribute
                      WHERE attrelid = to_regclass(t.name) AND attname = c.name AND NOT attisdropped)
    ORDER BY 1`;
  const unlogged = await sql<{ name: string }[]>`
    SELECT relname AS name FROM pg_class
    WHERE relnamespace = to_regnamespace(current_setting('search_path'))
      AND relkind = 'r' AND relpersistence = 'u'
      AND relname NOT IN (SELECT json_array_elements_text(${JSON.stringify(UNLOGGED)}::text::json))
    ORDER BY 1`;
  const unvacuumed = await sql<{ name: string }[]>`
    SELECT relname AS name FROM pg_class, pg_options_to_table(reloptions) AS o
    WHERE relnamespace = to_regnamespace(current_setting('search_path'))
      AND o.option_name = 'autovacuum_enabled' AND NOT o.option_value::boolean
    ORDER BY 1`;
  const names = (rows: readonly { readonly name: string }[]): string[] =>
    rows.map(({ name }) => name);
  return {
    missing: [
      ...names(missing),
      ...names(await readLost(sql)),
      ...names(await readLostFunctions(sql, standing)),
    ],
    unlogged: names(unlogged),
    unvacuumed: names(unvacuumed),
    lost: await readLostTriggers(sql, standing),
    strange: standing.newer.length > 0 ? [] : names(await readStrange(sql)),
  };
}

/** Where the queue or the log are gone themselves, that is said, and not what went with them. */
function readLost(sql: Sql): Promise<{ name: string }[]> {
  return sql<{ name: string }[]>`
    SELECT name FROM json_array_elements_text(${JSON.stringify(SLOTS)}::text::json) AS slot (name)
    WHERE to_regclass('input_queue') IS NOT NULL AND NOT EXISTS (SELECT FROM pg_inherits
      WHERE inhparent = to_regclass('input_queue') AND inhrelid = to_regclass(name))
    UNION ALL
    SELECT name FROM json_array_elements_text(${JSON.stringify(INDEXES)}::text::json) AS index (name)
    WHERE to_regclass(regexp_replace(name, '_(pkey|host)$', '')) IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(name) AND indisvalid)
    UNION ALL
    SELECT 'the default of ' || name
    FROM json_array_elements_text(${JSON.stringify(DEFAULTS)}::text::json) AS d (name)
    JOIN pg_attribute a ON attrelid = to_regclass(split_part(name, '.', 1)) AND attname = split_part(name, '.', 2)
    WHERE NOT atthasdef AND NOT attisdropped`;
}

/** Newer migrations may make them anew. */
function readLostFunctions(sql: Sql, { newer }: Standing): Promise<{ name: string }[]> {
  return sql<{ name: string }[]>`
    SELECT CASE WHEN p.oid IS NULL THEN name WHEN prosecdef <> (own->>'asOwner')::boolean THEN 'SECURITY DEFINER of ' || name
      ELSE 'the body of ' || name END AS name
    FROM json_each(${JSON.stringify(FUNCTIONS)}::text::json) AS f (name, own)
    LEFT JOIN pg_proc p ON p.oid = to_regprocedure(name)
    WHERE p.oid IS NULL OR ${newer.length === 0} AND (prosecdef, ${sql.unsafe(BODY)})
      IS DISTINCT FROM ((own->>'asOwner')::boolean, own->>'body')`;
}

/** Of a row of pg_proc. */
export const BODY = "md5(btrim(regexp_replace(prosrc, '[[:space:]]+', ' ', 'g')))";

function readStrange(sql: Sql): Promise<{ name: string }[]> {
  const ours = JSON.stringify(OWN_TRIGGERS);
  const constraints = JSON.stringify(OWN_CONSTRAINTS);
  return sql<{ name: string }[]>`
    SELECT tgname || ' on ' || relname AS name FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
    WHERE relnamespace = to_regnamespace(current_setting('search_path'))
      AND NOT tgisinternal AND tgname NOT IN (SELECT json_array_elements_text(${ours}::text::json))
    UNION ALL
    SELECT rulename || ' on ' || relname FROM pg_rewrite JOIN pg_class c ON c.oid = ev_class
    WHERE relnamespace = to_regnamespace(current_setting('search_path')) AND rulename <> '_RETURN'
    UNION ALL
    SELECT conname || ' on ' || relname FROM pg_constraint JOIN pg_class c ON c.oid = conrelid
    WHERE relnamespace = to_regnamespace(current_setting('search_path'))
      AND contype IN ('c', 'f', 'u', 'x') AND coninhcount = 0
      AND conname NOT IN (SELECT json_array_elements_text(${constraints}::text::json))
    UNION ALL
    SELECT attname || ' NOT NULL on ' || relname
    FROM json_each_text(${JSON.stringify(COLUMNS)}::text::json) AS t (name, columns)
    JOIN pg_class c ON c.oid = to_regclass(t.name) AND c.relkind IN ('r', 'p')
    JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped
    WHERE attnotnull AND NOT atthasdef AND attidentity = '' AND attname <> ALL (string_to_array(t.columns, ' '))
    ORDER BY 1`;
}
