/** When a process that cannot lead is not ready: at once, once it lasts, or never. */
import { expect, it } from 'vitest';
import { createPool } from '../../src/db/pool.ts';
import { createAskLead } from '../../src/main/leads.ts';
import type { LeadTrouble } from '../../src/main/login.ts';

const NOWHERE = { url: 'postgres://nobody@127.0.0.1:1/none', schema: 'muster', name: 'test' };

interface Given {
  readonly strict?: boolean;
  readonly leaderDatabaseUrl?: string | null;
}

function make({ strict = true, leaderDatabaseUrl = NOWHERE.url }: Given = {}) {
  const seen = { now: 0, of: null as LeadTrouble['of'] | null, asked: 0 };
  const ask = createAskLead(
    {
      config: { strict, devIdentity: false, leaderDatabaseUrl, roles: ['api', 'leader'] },
      // Connects only when it is used.
      pool: createPool(NOWHERE, { role: 'test', max: 1, statementMs: 1 }),
      leaderDatabase: NOWHERE,
    },
    { monotonic: () => seen.now },
    () => {
      seen.asked += 1;
      return Promise.resolve(seen.of === null ? null : { of: seen.of, why: seen.of });
    },
  );
  return { seen, ask };
}

it.each(['login', 'database', 'elsewhere', 'state', 'silent'] as const)(
  'is not ready from the start by %s, in strict mode with a URL of its own, until it has seen that it can lead',
  async (of) => {
    const { seen, ask } = make();
    seen.of = of;
    expect(await ask(false)).toBe(of);
    seen.of = null;
    expect(await ask(false)).toBeNull();
    seen.of = of;
    expect([await ask(false), seen.asked]).toEqual([null, 2]);
  },
);

it('asks nothing before an attempt failed where there is one URL', async () => {
  const { seen, ask } = make({ leaderDatabaseUrl: null });
  seen.of = 'database';
  expect([await ask(false), seen.asked, await ask(true)]).toEqual([null, 0, 'database']);
});

it('asks of two URLs whether they lead to one database, until they do, and tells nothing else before an attempt failed', async () => {
  const { seen, ask } = make({ strict: false });
  const told = async (of: LeadTrouble['of'] | null) => {
    seen.of = of;
    return [await ask(false), seen.asked];
  };
  expect(await told('elsewhere')).toEqual(['elsewhere', 1]);
  expect(await told('database')).toEqual([null, 2]);
  expect(await told('elsewhere')).toEqual(['elsewhere', 3]);
  expect(await told(null)).toEqual([null, 4]);
  expect(await told('elsewhere')).toEqual([null, 4]);
});

it('asks two URLs again once a minute: a failover may have taken one of them along', async () => {
  const { seen, ask } = make({ strict: false });
  const at = async (now: number, of: LeadTrouble['of'] | null) => {
    Object.assign(seen, { now, of });
    return [await ask(false), seen.asked];
  };
  expect(await at(0, null)).toEqual([null, 1]);
  expect(await at(59_999, 'elsewhere')).toEqual([null, 1]);
  expect(await at(60_000, 'elsewhere')).toEqual(['elsewhere', 2]);
  expect(await at(60_001, null)).toEqual([null, 3]);
  expect(await at(120_000, 'elsewhere')).toEqual([null, 3]);
});

it('takes out at once what an operator must mend, and what passes only once it lasts', async () => {
  const { seen, ask } = make({ strict: false });
  const at = async (now: number, of: LeadTrouble['of'] | null) => {
    Object.assign(seen, { now, of });
    return ask(true);
  };
  expect(await at(0, 'login')).toBe('login');
  expect(await at(0, 'state')).toBeNull();
  expect(await at(59_999, 'state')).toBeNull();
  expect(await at(60_000, 'state')).toBe('state');
  expect(await at(60_001, null)).toBeNull();
  expect(await at(60_002, 'state')).toBeNull();
  expect(await at(600_000, 'silent')).toBeNull();
  expect(await at(700_000, null)).toBeNull();
  expect(await at(700_000, 'elsewhere')).toBeNull();
  expect(await at(760_000, 'elsewhere')).toBe('elsewhere');
});

it('goes on saying what an operator must mend until it is mended, whatever terms begin meanwhile', async () => {
  const { seen, ask } = make({ strict: false });
  seen.of = 'login';
  expect([await ask(true), await ask(false), await ask(false)]).toEqual([
    'login',
    'login',
    'login',
  ]);
  seen.of = null;
  expect([await ask(false), await ask(false), seen.asked]).toEqual([null, null, 4]);
});
