/** Checkpoints, snapshots and detaching, on a log whose partitions hold 10,000 rows instead of a million. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { log as logCommand } from '../../src/cli/log.ts';
import { replay as replayCommand } from '../../src/cli/replay.ts';
import { migrate } from '../../src/db/migrate.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { openSession } from '../../src/db/session.ts';
import { writeArchive } from '../../src/eventlog/archive.ts';
import { keepLog, type LogKeeping } from '../../src/eventlog/keep.ts';
import { walkStored } from '../../src/eventlog/stored.ts';
import { createMetrics, systemClock } from '../../src/telemetry.ts';
import { logKeeper, type LogKeeperOptions } from '../../src/workers/log-keeper.ts';
import type { WorkerContext } from '../../src/workers/worker.ts';
import { startReplica } from '../api/support/fakes.ts';
import { openSse } from '../api/support/sse.ts';
import { silentLogger } from '../support/installation.ts';
import { createRoleDatabase, type RoleDatabase } from '../support/roles.ts';
import { writeFleetLog } from './support/fleet-log.ts';
import { smallPartitions } from './support/small-partitions.ts';

let url: string;
let pool: Pool;
let leading: Pool;
let roles: RoleDatabase;
let keeping: LogKeeping;
let folder: string;

const migrations = smallPartitions();

// Some fold the whole log, and each goes on where the last one left it.
vi.setConfig({ testTimeout: 60_000 });

beforeAll(async () => {
  roles = await createRoleDatabase(migrations);
  ({ url } = roles);
  pool = createPool(
    { url, schema: 'muster', name: 'test' },
    { role: 'test', max: 3, statementMs: 20_000 },
  );
  await writeFleetLog((statements) => pool.run(statements), { hosts: 200, rows: 25_000 });
  await pool.run(
    (sql) => sql`INSERT INTO epoch (epoch, holder, address, version, since, incarnation,
        system_identifier, timeline, database_oid)
      VALUES (1, 'a', 'http://a', '1', now(), 'i1', '', 0, 0)`,
  );
  // The keeping is done as the role that the product gives it.
  const database = { url: roles.as('leader'), schema: 'muster', name: 'test' };
  leading = createPool(database, { role: 'test', max: 2, statementMs: 20_000 });
  keeping = keepLog(database, leading);
  folder = mkdtempSync(path.join(inject('scratchDir'), 'log-'));
}, 120_000);
afterAll(async () => {
  await leading.end();
  await pool.end();
  await roles.drop();
});

const lines: string[] = [];
const context: WorkerContext = {
  submit: () => Promise.resolve(),
  log: silentLogger(lines),
  metrics: createMetrics(),
  clock: systemClock,
  random: () => 0.5,
};

function keeper(options: Partial<LogKeeperOptions>) {
  const usual = { checkpointTo: null, keepDays: null, mostBytes: null, exportDir: null };
  const task = logKeeper(context, { log: keeping, everyMs: 1, ...usual, ...options });
  return () => task.run(new AbortController().signal);
}

async function one<T>(text: string): Promise<T | undefined> {
  const [row] = await pool.run((sql) => sql.unsafe<{ value: T }[]>(text));
  return row?.value;
}

async function command(run: typeof replayCommand, ...args: string[]): Promise<unknown> {
  let out = '';
  const io = { stdout: { write: (text: string) => (out += text) }, stderr: process.stderr };
  await run([...args, '--json', '--database-url', url], io);
  return JSON.parse(out);
}

const archives = (): string[] =>
  ['event-log-p000000', 'event-log-p000001'].flatMap((name) => [
    '--archive',
    path.join(folder, `${name}.jsonl.gz`),
  ]);

const attached = () =>
  one<number>(`SELECT count(*)::int AS value FROM muster_v1.log_partitions
    WHERE attached AND from_seq < 20000`);

describe('checkpoints', () => {
  it('go to the process log and to a file, once for each head', async () => {
    const file = path.join(folder, 'checkpoints');
    const run = keeper({ checkpointTo: file });
    await run();
    await run();
    const head = await keeping.checkpoint();
    const line = `${head?.incarnation ?? ''}:${String(head?.seq)}:${head?.hash ?? ''}`;
    expect(readFileSync(file, 'utf8')).toBe(`${line}\n`);
    expect(lines.filter((said) => said.includes(line))).toHaveLength(1);
    expect(await command(logCommand, 'verify', '--checkpoint', line)).toMatchObject({ ok: true });
  });

  it('are posted to a URL, and again when it refused', async () => {
    const bodies: string[] = [];
    let status = 500;
    const server = createServer((request, response) => {
      request.setEncoding('utf8').on('data', (text: string) => bodies.push(text));
      request.on('end', () => response.writeHead(status).end());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const run = keeper({ checkpointTo: `http://127.0.0.1:${String(port)}/` });
    await expect(run()).rejects.toThrow('refused with 500');
    status = 204;
    await run();
    server.close();
    expect(bodies).toHaveLength(2);
    expect(bodies[1]).toMatch(/^i1:\d+:[0-9a-f]{64}\n$/);
  });
});

describe('retention', () => {
  it('keeps everything within its bounds', async () => {
    await keeper({})();
    await keeper({ keepDays: 36_500, mostBytes: 1e15 })();
    expect(await attached()).toBe(2);
  });

  it('keeps the newest two snapshots when none was proven', async () => {
    await pool.run(
      (sql) => sql`INSERT INTO snapshot (seq, hash, ts, incarnation, format)
        SELECT n, sha256('x'), now(), 'i1', 1 FROM generate_series(1, 5) AS n`,
    );
    expect(await keeping.sweep()).toBe(3);
    expect(await one(`SELECT json_agg(seq ORDER BY seq)::text AS value FROM snapshot`)).toBe(
      '[4, 5]',
    );
    await pool.run((sql) => sql`DELETE FROM snapshot`);
  });

  it('detaches nothing while the tables are not the fold', async () => {
    await pool.run(
      (sql) => sql`UPDATE host SET reported_closure = 'x' WHERE hostname = 'edge-00001'`,
    );
    const run = keeper({ keepDays: 0.01 });
    await expect(run()).rejects.toThrow('hosts edge-00001 reportedClosure differs');
    expect(await attached()).toBe(2);
    expect(await keeping.detach()).toBeNull();
    await command(replayCommand, '--rebuild');
    // The refused snapshot, of the damaged tables, went with the damage.
    expect(await one(`SELECT count(*)::int AS value FROM snapshot`)).toBe(0);
  });

  it('waits for nobody who reads the log', async () => {
    const reader = await openSession(
      { url, schema: 'muster', name: 'test' },
      { role: 'reader', settings: {}, deadlineMs: 5_000 },
    );
    await reader.run((sql) => sql`BEGIN`);
    await reader.run((sql) => sql`SELECT count(*) FROM event_log`);
    await keeper({ keepDays: 0.01 })();
    expect(await attached()).toBe(2);
    await reader.end();
  });

  it('exports what somebody detached who did not live to export it', async () => {
    await keeping.snapshot(0);
    expect(await keeping.prove()).toMatchObject({ wrong: null });
    expect(await keeping.detach()).toBe('event_log_detached_p000000');
    // Renews the grants: the leader must still reach what is detached.
    const database = { url, schema: 'muster', name: 'test' };
    await migrate(database, { rolePrefix: roles.prefix, migrations });
    const file = path.join(folder, 'event-log-p000000.jsonl.gz');
    await writeArchive(
      file,
      walkStored((read) => pool.run(read), { after: 20_000, through: 20_009 }),
    );
    await expect(keeper({ exportDir: folder })()).rejects.toThrow('holds rows of another log');
    rmSync(file);
    await keeper({ exportDir: folder })();
    expect(await one(`SELECT exported_to AS value FROM log_detached`)).toBe(
      path.join(folder, 'event-log-p000000.jsonl.gz'),
    );
    expect(await keeping.unexported()).toEqual([]);
  });

  it('detaches whole partitions below a proven snapshot, and exports them', async () => {
    await keeper({ mostBytes: 1, exportDir: folder })();
    expect(await attached()).toBe(0);
    const tables =
      await one<string>(`SELECT string_agg(name || ':' || from_seq || '-' || to_seq, ' ' ORDER BY name)
      AS value FROM muster_v1.log_partitions WHERE NOT attached`);
    expect(tables).toBe('event_log_detached_p000000:1-9999 event_log_detached_p000001:10000-19999');
    expect(await one(`SELECT muster_v1.verify_chain() AS value`)).toBeNull();
    expect(await keeping.detach()).toBeNull(); // the head's
  });

  it('leaves a log that is still verified from its first row on', async () => {
    const rows = await one(`SELECT max(seq) AS value FROM event_log`);
    for (const files of [[], archives()]) {
      const found = await command(replayCommand, '--verify', ...files);
      expect(found).toMatchObject({ ok: true, rows });
      expect(await command(logCommand, 'verify', ...files)).toMatchObject({ ok: true, from: 1 });
    }
  });

  it('leaves states that are told from a proven snapshot on, and never by halves', async () => {
    const [newest, rollout] = await Promise.all([
      one<number>(`SELECT min(seq)::int AS value FROM snapshot WHERE folds_equal`),
      one<string>(`SELECT max(rollout_id) AS value FROM event_log`),
    ]);
    const told = (columns: string, from: string) =>
      one<string>(
        `SELECT json_agg(s ORDER BY host)::text AS value FROM (SELECT ${columns} FROM ${from}) s`,
      );
    const columns = 'host, wave, state, current_closure, converged_at, last_event_seq';
    const at = (seq: number): string => `muster_v1.state_at(${String(seq)}, '${rollout ?? ''}')`;
    expect(await told(columns, at(newest ?? 0))).toBe(
      await told(columns, `muster_v1.host_rollouts WHERE rollout_id = '${rollout ?? ''}'`),
    );
    for (const seq of [9_000, 20_500])
      await expect(told('*', at(seq))).rejects.toThrow('rows before 20000 were detached');
    await pool.run((sql) => sql`UPDATE snapshot SET folds_equal = NULL`);
    await expect(told('*', at(newest ?? 0))).rejects.toThrow('no proven snapshot');
    await pool.run((sql) => sql`UPDATE snapshot SET folds_equal = true`);
  });

  it('is told to a stream that comes back from before it, which then goes on', async () => {
    const replica = await startReplica(url);
    const base = await replica.api.listen('127.0.0.1', 0);
    const headers = { 'last-event-id': 'i1:5' };
    const client = await openSse(`${base}/v1/events/stream`, headers);
    const [missing, next] = await client.until(2);
    expect(missing).toMatchObject({ event: 'missing', id: 'i1:19999' });
    expect(missing?.data).toEqual({ from: 6, to: 19_999 });
    expect(next).toMatchObject({ event: 'log', id: 'i1:20000' });
    client.close();
    await replica.stop();
  });

  it('leaves detached rows that nobody can change', async () => {
    for (const text of ['UPDATE', 'DELETE', 'TRUNCATE']) {
      const table = 'event_log_detached_p000000';
      const statement =
        text === 'UPDATE'
          ? `UPDATE ${table} SET epoch = 2`
          : text === 'DELETE'
            ? `DELETE FROM ${table}`
            : `TRUNCATE ${table}`;
      for (const how of ['', 'SET session_replication_role = replica; ']) {
        await expect(pool.run((sql) => sql.unsafe(how + statement))).rejects.toThrow('append only');
      }
    }
  });

  it('goes on from a proven snapshot when what was detached is dropped', async () => {
    const then = await one<string>(
      `SELECT to_json(ts)#>>'{}' AS value FROM event_log_detached_p000001 WHERE seq = 15000`,
    );
    const lastThen = await one<string>(
      `SELECT max(seq)::text AS value FROM event_log_detached_p000001 WHERE ts = '${then ?? ''}'`,
    );
    for (const name of ['p000000', 'p000001'])
      await pool.run((sql) => sql.unsafe(`DROP TABLE event_log_detached_${name}`));
    expect(await command(replayCommand, '--verify')).toMatchObject({ ok: true });
    expect(await command(logCommand, 'verify')).toMatchObject({ ok: true, from: 20_000 });
    expect(await command(logCommand, 'verify', ...archives())).toMatchObject({ ok: true, from: 1 });
    const back = ['--at', then ?? ''];
    expect(await command(replayCommand, ...back)).toMatchObject({
      ok: false,
      error: expect.stringContaining('is before row 20000') as string,
    });
    expect(await command(replayCommand, ...back, ...archives())).toMatchObject({
      ok: true,
      headSeq: Number(lastThen),
    });
  });
});
