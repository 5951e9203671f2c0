/** Tokens in the core: who may come in is a fold of the log, and bounded. */
import { describe, expect, it } from 'vitest';
import type { CreateToken, OperatorCommand } from '../../src/reducer/input.ts';
import { MOST_TOKENS } from '../../src/reducer/inputs/tokens.ts';
import { reduce } from '../../src/reducer/reduce.ts';
import { foldEntry } from '../../src/reducer/state/apply.ts';
import { dump } from '../../src/reducer/state/rows-io.ts';
import { touched } from '../../src/reducer/state/touched.ts';
import { emptyState } from '../../src/reducer/state/state.ts';

const HOUR = 3_600_000;
const idOf = (n: number) => n.toString(16).padStart(16, '0');
const token = (n: number, more: Partial<CreateToken> = {}): CreateToken => ({
  ...{ command: 'CreateToken', tokenId: idOf(n), name: `ci-${n}`, role: 'operator' },
  ...{ channels: null, lifetimeHours: 1, ...more },
});

function world() {
  const state = emptyState();
  const give = (command: OperatorCommand, now = 0) => {
    const input = { actor: 'cert:ada', reason: 'r', expectedSeq: null, command };
    return reduce(state, { kind: 'OperatorCommand', ...input }, now);
  };
  return { state, give };
}

describe('tokens', () => {
  it('are rows that the log alone gives back, without anything that proves them', () => {
    const { state, give } = world();
    const made = give(token(1, { role: 'admin' }));
    expect(made.verdict).toEqual({ status: 'applied' });
    expect(state.tokens.get(idOf(1))).toMatchObject({
      ...{ name: 'ci-1', role: 'admin', createdBy: 'cert:ada', channels: null },
      expiresAt: '1970-01-01T01:00:00.000Z',
    });
    const folded = emptyState();
    for (const entry of made.entries) foldEntry(folded, entry);
    expect(dump(folded).tokens).toEqual(dump(state).tokens);
    expect(JSON.stringify(made.entries)).not.toMatch(/hash|secret/i);
  });

  it('end when they are revoked, and their secrets with them, even if the id is used again', () => {
    const { state, give } = world();
    give(token(1));
    const gone = give({ command: 'RevokeToken', tokenId: idOf(1) });
    const again = give(token(1));
    const rows = touched(state, [...gone.entries, ...again.entries]);
    expect(rows.removed.tokens).toEqual([{ tokenId: idOf(1) }]);
    expect(rows.tokens).toMatchObject([{ tokenId: idOf(1) }]);
    give({ command: 'RevokeToken', tokenId: idOf(1) });
    expect(give({ command: 'RevokeToken', tokenId: idOf(1) }).verdict).toMatchObject({
      code: 'not-found',
    });
  });

  it('are told apart by name while they are in force', () => {
    const { give } = world();
    give(token(1, { name: 'ada' }));
    expect(give(token(1, { name: 'bob' })).verdict).toMatchObject({ code: 'illegal-command' });
    expect(give(token(2, { name: 'ada' })).verdict).toMatchObject({ code: 'illegal-command' });
    expect(give(token(2, { name: 'ada' }), HOUR).verdict).toEqual({ status: 'applied' });
    expect(give(token(3, { channels: ['none'] }), HOUR).verdict).toMatchObject({
      code: 'not-found',
    });
  });

  it('are a thousand at the most; expired ones make room', () => {
    const { state, give } = world();
    for (let n = 0; n < MOST_TOKENS; n += 1) give(token(n));
    expect(give(token(MOST_TOKENS)).verdict).toMatchObject({ code: 'illegal-command' });
    expect(give(token(MOST_TOKENS), HOUR).verdict).toEqual({ status: 'applied' });
    expect([...state.tokens.keys()]).toEqual([idOf(MOST_TOKENS)]);
  });
});
