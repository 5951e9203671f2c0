/** The ring of the queue: which slot a row is in, what statements look at, and what is emptied when. */
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { claimInputs, deleteInputs } from '../../src/queue/claim.ts';
import { rotate, slotOf, SLOTS, type Rotated } from '../../src/queue/ring.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';

const SLOT_IDS = 32_768;
/** Some 75 pages of rows with this much payload: more than a slot must have to be worth emptying. */
const ROWS = 300;
const PAD = 1_900;

let pool: Pool;
let stranger: postgres.Sql;
beforeAll(async () => {
  const { url } = await createTestDatabase();
  const database = { url, schema: 'muster', name: 'ring' };
  pool = createPool(database, { role: 'test', max: 2, statementMs: 10_000 });
  // Nobody waits for the stranger: who does fails.
  const connection = { search_path: 'muster', application_name: 'stranger' };
  stranger = postgres(url, { max: 1, connection, onnotice: () => undefined });
});
afterAll(() => Promise.all([pool.end(), stranger.end()]));
beforeEach(() => pool.run((sql) => sql`TRUNCATE input_queue`));

/** Stores rows at the beginning of a slot; the ids are given away, as those of inserts are. */
async function fill(slot: number, rows = ROWS): Promise<number[]> {
  await pool.run((sql) => sql`SELECT setval('input_queue_ids', ${slot * SLOT_IDS + 1})`);
  const stored = await pool.run(
    (sql) => sql<{ id: number }[]>`INSERT INTO input_queue (kind, payload)
      SELECT 'Tick', ('{' || repeat(' ', ${PAD}::int) || '}')::json FROM generate_series(1, ${rows}::int)
      RETURNING id`,
  );
  return stored.map(({ id }) => id);
}

async function drain(slot: number): Promise<void> {
  const ids = await fill(slot);
  expect(await pool.run((sql) => deleteInputs(sql, ids))).toBe(ROWS);
}

async function pages(): Promise<number[]> {
  const rows = await pool.run(
    (sql) => sql<{ pages: number }[]>`
      SELECT pg_relation_size(relid) / 8192 AS pages FROM pg_partition_tree('input_queue')
      WHERE isleaf ORDER BY relid::regclass::text`,
  );
  return rows.map((row) => row.pages);
}

const turn = (): Promise<Rotated> => pool.run(rotate);

const LOCK = "EXECUTE format('LOCK TABLE";
/** Says that it pauses, by a lock, until the slot that it found empty is not. */
const pauseAt = (slot: number): string =>
  `PERFORM pg_advisory_xact_lock(4711);
   WHILE NOT EXISTS (SELECT FROM input_queue_s${slot}) LOOP PERFORM pg_sleep(0.01); END LOOP;`;

/** With the function as it is, but for a pause between its look at the slot and the slot's lock. */
async function withPauseBeforeLock(slot: number, use: () => Promise<void>): Promise<void> {
  const [found] = await pool.run(
    (sql) => sql<{ text: string }[]>`
      SELECT pg_get_functiondef('input_queue_rotate()'::regprocedure) AS text`,
  );
  const { text } = found ?? { text: '' };
  expect(text.split(LOCK)).toHaveLength(2);
  await pool.run((sql) => sql.unsafe(text.replace(LOCK, `${pauseAt(slot)} ${LOCK}`)));
  try {
    await use();
  } finally {
    await pool.run((sql) => sql.unsafe(text));
  }
}

async function isPausing(): Promise<boolean> {
  const held = await pool.run(
    (sql) => sql`SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND granted`,
  );
  return held.length > 0;
}

describe('the ring', () => {
  it('has each row in the slot that its id says, and claims them all in order', async () => {
    const ids = [...Array(2 * SLOTS).keys()].flatMap((n) => [
      n * SLOT_IDS + 1,
      (n + 1) * SLOT_IDS - 1,
      2 ** 40 + n * SLOT_IDS,
    ]);
    await pool.run(
      (sql) => sql`INSERT INTO input_queue (id, kind, payload)
        SELECT id::bigint, 'Tick', '{}' FROM json_array_elements_text(${JSON.stringify(ids)}::text::json) AS id`,
    );
    const stored = await pool.run(
      (sql) => sql<{ id: number; slot: string }[]>`
        SELECT id, tableoid::regclass::text AS slot FROM input_queue`,
    );
    expect(stored).toHaveLength(ids.length);
    for (const { id, slot } of stored) expect(slot).toBe(`input_queue_s${String(slotOf(id))}`);
    const claimed = await pool.run((sql) => claimInputs(sql, 1_000, []));
    expect(claimed.map(({ id }) => id)).toEqual(ids.toSorted((a, b) => a - b));
    expect(await pool.run((sql) => deleteInputs(sql, ids))).toBe(ids.length);
    expect(await pool.run((sql) => claimInputs(sql, 1_000, []))).toEqual([]);
  });

  it('gives no id to two rows', async () => {
    const [id = 0] = await fill(0, 1);
    const again = pool.run(
      (sql) => sql`INSERT INTO input_queue (id, kind, payload) VALUES (${id}, 'Tick', '{}')`,
    );
    await expect(again).rejects.toThrow('input_queue_s0_pkey');
  });

  it('is looked at in one slot by who removes rows, and by its keys', async () => {
    const plan = async (text: string): Promise<string> => {
      const rows = await pool.run((sql) =>
        sql
          .unsafe<Record<string, string>[]>(
            `SET plan_cache_mode = force_generic_plan; PREPARE one (bigint[]) AS ${text};
           EXPLAIN EXECUTE one ('{1}'); DEALLOCATE one; RESET plan_cache_mode`,
          )
          .simple(),
      );
      return JSON.stringify(rows);
    };
    const removing = await plan(
      'DELETE FROM input_queue WHERE ((id >> 15) & 7) = 3 AND id = ANY($1)',
    );
    expect(removing).toMatch(/Index Scan (using|on) input_queue_s3_pkey/);
    expect(removing).not.toMatch(/input_queue_s[0-24-7]/);
  });
});

describe('a drained slot', () => {
  it('is emptied beside a snapshot that was forgotten, one a turn; the one being filled is not', async () => {
    await stranger`BEGIN ISOLATION LEVEL REPEATABLE READ`;
    await stranger`SELECT count(*) FROM event_log`;
    try {
      for (const slot of [1, 2, 3]) await drain(slot);
      const filled = await pages();
      expect(filled.slice(1, 4).every((n) => n > 64)).toBe(true);
      await pool.run((sql) => sql`VACUUM input_queue`);
      expect((await pages()).slice(1, 4)).toEqual(filled.slice(1, 4));
      expect(await turn()).toEqual({ emptied: 1, locked: 0, waiting: 0 });
      expect((await pages()).slice(1, 3)).toEqual([0, filled[2]]);
      expect(await turn()).toEqual({ emptied: 1, locked: 0, waiting: 0 });
      expect(await turn()).toEqual({ emptied: 0, locked: 0, waiting: 0 });
      expect((await pages()).slice(0, 5)).toEqual([0, 0, 0, filled[3], 0]);
    } finally {
      await stranger`ROLLBACK`;
    }
  });

  it('stays, and nobody waits, while somebody has a lock on it', async () => {
    await drain(1);
    await fill(2, 1);
    await stranger`BEGIN`;
    await stranger`SELECT count(*) FROM input_queue_s1`;
    try {
      expect(await turn()).toEqual({ emptied: 0, locked: 1, waiting: 0 });
      const waits = await pool.run(
        (sql) => sql`SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
          WHERE NOT granted AND datname = current_database()`,
      );
      expect(waits).toHaveLength(0);
      expect(await pool.run((sql) => claimInputs(sql, 10, []))).toHaveLength(1);
    } finally {
      await stranger`ROLLBACK`;
    }
    expect(await turn()).toEqual({ emptied: 1, locked: 0, waiting: 0 });
    expect(await pool.run((sql) => claimInputs(sql, 10, []))).toHaveLength(1);
  });

  it('stays while a dump is under way, whose snapshot is older than its locks', async () => {
    await drain(1);
    await fill(2, 1);
    await stranger`SET application_name = 'pg_dump'`;
    await stranger`BEGIN ISOLATION LEVEL REPEATABLE READ`;
    await stranger`SELECT count(*) FROM event_log`;
    expect(await turn()).toEqual({ emptied: 0, locked: 1, waiting: 0 });
    await stranger`ROLLBACK`;
    await stranger`SET application_name = 'stranger'`;
    expect(await turn()).toEqual({ emptied: 1, locked: 0, waiting: 0 });
  });

  it('keeps what is stored in it and not committed yet', async () => {
    await drain(1);
    await stranger`BEGIN`;
    const [late] = await stranger<{ id: string }[]>`
      INSERT INTO input_queue (kind, payload) VALUES ('Tick', '{}') RETURNING id`;
    await fill(2, 1);
    expect(await turn()).toEqual({ emptied: 0, locked: 1, waiting: 0 });
    await stranger`COMMIT`;
    expect(await turn()).toEqual({ emptied: 0, locked: 0, waiting: 1 });
    const claimed = await pool.run((sql) => claimInputs(sql, 10, []));
    expect(claimed.map(({ id }) => id)).toContain(Number(late?.id));
  });

  it('keeps what is stored in it between the look and the lock', async () => {
    await drain(1);
    const [late] = await stranger<{ id: string }[]>`SELECT nextval('input_queue_ids') AS id`;
    await fill(2, 1);
    await withPauseBeforeLock(1, async () => {
      const turned = turn();
      await eventually(isPausing).toBe(true);
      await stranger`INSERT INTO input_queue (id, kind, payload) VALUES (${late?.id ?? ''}, 'Tick', '{}')`;
      expect(await turned).toEqual({ emptied: 0, locked: 1, waiting: 0 });
    });
    const claimed = await pool.run((sql) => claimInputs(sql, 10, []));
    expect(claimed.map(({ id }) => id)).toContain(Number(late?.id));
  });

  it('is not all: the row that each commit writes anew leaves its dead ones, too', async () => {
    const size = async (): Promise<unknown> => {
      const rows = await pool.run(
        (sql) => sql`SELECT pg_relation_size('leader_progress') > 64 * 8192 AS "isLarge",
          (SELECT json_agg(p) FROM leader_progress p) AS rows`,
      );
      return rows[0];
    };
    await stranger`BEGIN ISOLATION LEVEL REPEATABLE READ`;
    await stranger`SELECT count(*) FROM event_log`;
    await pool.run(
      (sql) =>
        sql`INSERT INTO leader_progress (epoch, commit_no, head_seq, at) VALUES (1, 0, 1, now())`,
    );
    await pool.run((sql) =>
      sql.unsafe(`DO $$ BEGIN
        FOR n IN 1..10000 LOOP UPDATE leader_progress SET commit_no = n; END LOOP;
      END $$`),
    );
    const before = await size();
    expect(before).toMatchObject({ isLarge: true });
    expect(await turn()).toEqual({ emptied: 1, locked: 0, waiting: 0 });
    expect(await size()).toEqual({ ...Object(before), isLarge: false });
    await stranger`ROLLBACK`;
  });

  it('is emptied by nobody whose snapshot is older than what may be in it', async () => {
    await drain(1);
    await fill(2, 1);
    await stranger`BEGIN ISOLATION LEVEL REPEATABLE READ`;
    await expect(stranger`SELECT input_queue_rotate()`).rejects.toThrow('READ COMMITTED');
    await stranger`ROLLBACK`;
  });
});
