/**
 * How many hosts each gate or remark holds, over the whole installation: the core's answer of one host
 * (`reducer/read/reasons.ts`) counted for all of them where they are rows, since no metric may load 100,000 hosts. A test
 * over random histories holds the two to each other, gate by gate.
 *
 * What was noted is counted by set of gates first: there are a handful of sets, however many hosts, and taking 100,000
 * of them apart one by one takes three times as long. A budget's share is worked out once a budget, and only where
 * somebody waits at all.
 */
import type { Sql } from './driver.ts';
import { toCounts, type Counted, type Counts } from './counts.ts';
import { isUnderWay } from './states.ts';

/**
 * In the newest rollout of each channel: what a superseded one noted of its hosts holds nobody. While it is under way
 * whoever is in it holds it up, those too that are declared elsewhere or nowhere by now; once it is not, it matters to
 * the hosts of its channel alone. So a host may be held in two rollouts, while `countHosts` counts its state once.
 *
 * Two statements in one message, which the server takes for a transaction: with loops this took half a minute of 100,000
 * hosts once the tables were analysed, and no session is left with a setting that others would find.
 */
export async function countBlockers(sql: Sql): Promise<Counts> {
  const [, counted] = await sql<[never, Counted[]]>`
      SET LOCAL enable_nestloop = off;
      WITH newest AS MATERIALIZED (
        SELECT c.channel, o.rollout_id, o.state,
          ${isUnderWay(sql, 'o')} AS under_way
        FROM channel c JOIN rollout o ON o.rollout_id = c.current_rollout_id
      ), noted AS MATERIALIZED (
        SELECT b.rollout_id, b.gates::text AS gates, count(*) AS n, array_agg(b.hostname) AS hostnames
        FROM newest n JOIN host_blocker b USING (rollout_id)
          LEFT JOIN declared_host here USING (channel, hostname) WHERE ${matters(sql)} GROUP BY 1, 2
      ), ${toldByRows(sql)}, ${budgetRows(sql)}, ${complianceRows(sql)}
      SELECT name, sum(n)::int AS n FROM (
        SELECT gate AS name, n
        FROM noted, LATERAL (SELECT DISTINCT split_part(key, ':', 1) AS gate
          FROM json_array_elements_text(noted.gates::json) AS key) gates
        UNION ALL
        SELECT gate, n
        FROM told, LATERAL (SELECT DISTINCT split_part(key, ':', 1) AS gate FROM unnest(told.gates) AS key) gates
        UNION ALL SELECT 'disruption-budget', count(*) FROM short_of_a_slot
        UNION ALL SELECT 'compliance-wave', n FROM behind_failures
      ) each WHERE name IS NOT NULL AND n > 0 GROUP BY 1 ORDER BY 1`.simple();
  return toCounts(counted);
}

/**
 * How many of the newest rollouts do not get on as a whole, by reason: `fleet-silent` and its like, which are of no host.
 * One that is not under way counts while it has a host that matters.
 */
export async function countRolloutBlockers(sql: Sql): Promise<Counts> {
  return toCounts(
    await sql<Counted[]>`
      SELECT split_part(key, ':', 1) AS name, count(DISTINCT o.rollout_id)::int AS n
      FROM channel c JOIN rollout o ON o.rollout_id = c.current_rollout_id,
        json_array_elements_text(o.blockers) AS key
      WHERE ${isUnderWay(sql, 'o')} OR EXISTS (
        SELECT FROM host_rollout r JOIN declared_host here USING (hostname, channel)
        WHERE r.rollout_id = o.rollout_id)
      GROUP BY 1 ORDER BY 1`,
  );
}

/** Probes may fail for some minutes after a switch, and recover: ten are no trifle any more. */
const LATE_MINUTES = 10;

/** How many hosts do not get out of their soak, for so long that a person should look. */
export async function countLateSoaks(sql: Sql): Promise<number> {
  const [row] = await sql<{ n: number }[]>`
    SELECT count(*)::int AS n
    FROM ${remarkedOn(sql, 'soak-overdue')}
    WHERE ${matters(sql)}
      AND coalesce((b.earlier->>'soak-overdue')::timestamptz, b.since)
        <= clock_timestamp() - make_interval(mins => ${LATE_MINUTES})`;
  return row?.n ?? 0;
}

/** How many hosts that do not get on with their move are heard: of others nobody expects a word. */
export async function countHeardStuck(sql: Sql): Promise<number> {
  const [row] = await sql<{ n: number }[]>`
    SELECT count(*)::int AS n
    FROM ${remarkedOn(sql, 'stuck-move')}
      JOIN host h ON h.hostname = b.hostname AND h.reachability = 'reachable'
    WHERE ${matters(sql)}`;
  return row?.n ?? 0;
}

/** Newest rollouts `n` with what is noted there, `b`, of hosts that carry this remark; `matters` says of whom it counts. */
function remarkedOn(sql: Sql, remark: 'soak-overdue' | 'stuck-move') {
  return sql`
    (SELECT c.channel, o.rollout_id, ${isUnderWay(sql, 'o')} AS under_way
      FROM channel c JOIN rollout o ON o.rollout_id = c.current_rollout_id) n
    JOIN host_blocker b ON b.rollout_id = n.rollout_id
      AND b.gates::text LIKE ${sql.unsafe(`'%"${remark}"%'`)}
    LEFT JOIN declared_host here ON here.channel = n.channel AND here.hostname = b.hostname`;
}

/** Of a newest rollout `n`, and of its host's row `here` of `declared_host`, where its channel declares it: somebody waits. */
function matters(sql: Sql) {
  return sql`(n.under_way OR here.hostname IS NOT NULL)`;
}

/** Of `host_rollout r` and its `host h`: waits for a reboot, or is not heard on its way. */
function isHeldByItsRow(sql: Sql) {
  return sql`
    (r.closed IS NULL AND (r.state = 'Deferred' OR coalesce(h.reachability = 'unreachable', false)
      AND (r.state IN ('Activating', 'Soaking') OR ${isRollingBack(sql)})))`;
}

/** Of the same: something holds it, whatever it is. One that was granted is held until it acknowledges. */
export function isHeld(sql: Sql) {
  return sql`
    (${isHeldByItsRow(sql)}
      OR EXISTS (SELECT FROM host_blocker b WHERE b.rollout_id = r.rollout_id AND b.hostname = r.hostname)
      OR r.closed IS NULL AND r.state = 'Pending' AND EXISTS (SELECT FROM dispatch d
        WHERE d.rollout_id = r.rollout_id AND d.hostname = r.hostname))`;
}

/** Of `host_rollout r`, as the core's `isBusy` says of one that failed. */
export function isRollingBack(sql: Sql) {
  return sql`
    (r.state = 'Failed' AND r.policy_applied = 'rollback-and-halt' AND NOT r.rollback_failed AND NOT r.stuck)`;
}

/**
 * What the rows of the newest rollouts tell, counted by set of gates first, as what was noted is. The view says what holds
 * whom (`migrations/0024_held_by_rows.sql`), for this and for `muster_v1.blocked_hosts`.
 */
function toldByRows(sql: Sql) {
  return sql`
    told AS MATERIALIZED (
      SELECT v.gates, count(*) AS n
      FROM newest n JOIN held_by_rows v USING (rollout_id)
        LEFT JOIN declared_host here ON here.channel = n.channel AND here.hostname = v.hostname
      WHERE ${matters(sql)} GROUP BY 1
    )`;
}

/**
 * Hosts that wait for a slot of a full budget, and for something else too, so that the budget was not noted of them:
 * what else was noted is gates, or else remarks on hosts that wait for no grant. In flight are those that move
 * (`planner/moving.ts`) or were granted, over all rollouts.
 *
 * No row counts are known here: of joins the server would make loops of 100,000 times 100,000, did `countBlockers` not
 * forbid them, and did it not find the hosts of budgets as rows of their own.
 */
function budgetRows(sql: Sql) {
  return sql`
    waiting AS MATERIALIZED (
      SELECT s.rollout_id, w.hostname
      FROM newest n JOIN noted s USING (rollout_id), unnest(s.hostnames) AS w (hostname)
      WHERE n.state NOT IN ('Superseded', 'Cancelled', 'Pruned') AND s.gates NOT LIKE '%"disruption-budget:%'
        AND NOT s.gates::jsonb ?| ARRAY['dispatch-refused', 'probe-silent', 'rollback-failed', 'soak-overdue',
          'stuck-move']
    ), flying AS MATERIALIZED (
      SELECT rollout_id, hostname FROM host_rollout r
      WHERE closed IS NULL AND NOT stuck AND (r.state IN ('Activating', 'Soaking')
          OR ${isRollingBack(sql)})
        AND EXISTS (SELECT FROM waiting)
      UNION ALL SELECT rollout_id, hostname FROM dispatch WHERE EXISTS (SELECT FROM waiting)
    ), budget AS MATERIALIZED (
      SELECT o.rollout_id, b.of->>'key' AS key, b.of->'hosts' AS hosts,
        least((b.of->>'maxInFlight')::integer, CASE WHEN b.of->>'maxInFlightPct' IS NOT NULL
          THEN greatest(1, floor(json_array_length(b.of->'hosts') * (b.of->>'maxInFlightPct')::float8 / 100))::integer
          END) AS most
      FROM rollout o, json_array_elements(o.plan->'budgets') AS b (of)
      WHERE o.rollout_id IN (SELECT rollout_id FROM waiting UNION SELECT rollout_id FROM flying)
    ), budgeted AS MATERIALIZED (
      SELECT b.rollout_id, b.key, h.hostname FROM budget b, json_array_elements_text(b.hosts) AS h (hostname)
    ), taken AS MATERIALIZED (
      SELECT DISTINCT b.key, b.hostname FROM budgeted b JOIN flying USING (rollout_id, hostname)
    ), full_up AS MATERIALIZED (
      SELECT b.rollout_id, b.key, coalesce(t.n, 0) > b.most AS exceeded
      FROM budget b LEFT JOIN (SELECT key, count(*) AS n FROM taken GROUP BY 1) t USING (key)
      WHERE coalesce(t.n, 0) >= b.most
    ), short_of_a_slot AS (
      SELECT DISTINCT b.rollout_id, b.hostname
      FROM budgeted b JOIN waiting USING (rollout_id, hostname) JOIN full_up f USING (rollout_id, key)
        LEFT JOIN taken t ON t.key = b.key AND t.hostname = b.hostname
      WHERE f.exceeded OR t.key IS NULL
    )`;
}

/**
 * Hosts that wait for their wave while failures of earlier ones hold them too, of which nothing was noted
 * (`planner/gates/compliance-wave.ts`). A set of gates names its wave, so that no host is looked at.
 */
function complianceRows(sql: Sql) {
  return sql`
    failing AS MATERIALIZED (
      SELECT r.rollout_id, min(r.wave) AS wave
      FROM newest JOIN probe_failure USING (rollout_id) JOIN host_rollout r USING (rollout_id, hostname)
      WHERE r.closed IS NULL AND r.state IN ('Soaking', 'Converged') GROUP BY 1
    ), behind_failures AS (
      SELECT s.n FROM newest n JOIN noted s USING (rollout_id) JOIN failing f USING (rollout_id),
        LATERAL (SELECT split_part(key, ':', 2)::integer AS wave
          FROM json_array_elements_text(s.gates::json) AS key WHERE key LIKE 'wave-promotion:%') promotion
      WHERE promotion.wave > f.wave AND s.gates NOT LIKE '%"compliance-wave"%'
        AND n.state NOT IN ('Superseded', 'Cancelled', 'Pruned')
    )`;
}
