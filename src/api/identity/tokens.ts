/**
 * Bearer tokens. All that are in force are few, so they are read together, however many ask: what is revoked on
 * any replica admits nobody a second later on all of them, and a flood of made-up tokens costs the database next
 * to nothing. While it is away nobody is admitted on what was known before: 503.
 *
 * A token comes in the Authorization header and nowhere else: an address would leave it in histories and logs.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { noteTokenUse, readTokenProofs, type TokenProof } from '../../db/tokens.ts';
import { databaseProblem } from '../../db/errors.ts';
import { OPERATOR_ROLES } from '../../wire/role.ts';
import { parseToken } from '../../wire/token.ts';
import type { Clock } from '../../telemetry.ts';
import type { ApiDeps } from '../deps.ts';
import { fromDatabase, Refusal } from '../refusal.ts';
import type { Identity, Way } from './identity.ts';

type Deps = Pick<ApiDeps, 'pool' | 'clock' | 'log'>;

/** What is known stays known this long: a tenth of a person's patience, one small query a second at the most. */
const KNOWN_MS = 1_000;
/** A flood of made-up tokens has them read anew: ten times a second at the most, for all of them. */
const APART_MS = 100;
/** Uses are noted to the minute: one row, one write a minute, for however many requests. */
const NOTE_EVERY_MS = 60_000;
const BEARER = /^Bearer +(\S+) *$/i;
/** Compared with when there is no such token, so that both take as long. */
const NOBODY = Buffer.alloc(32);

type Known = ReadonlyMap<string, TokenProof>;

export function bearerTokens(deps: Deps): Way {
  const tokens = reader(deps);
  const find = async (tokenId: string): Promise<TokenProof | undefined> => {
    const now = deps.clock.monotonic();
    const known = (await tokens(now - KNOWN_MS)).get(tokenId);
    // One that was made a moment ago, on another replica maybe, is to be of use at once.
    return known ?? (await tokens(now)).get(tokenId);
  };
  const note = noter(deps);
  const prove = async (sent: string): Promise<Identity> => {
    const parts = parseToken(sent);
    if (parts === null) throw refused('is no token of Muster, or not all of it');
    const found = await fromDatabase(deps.log, () => find(parts.tokenId));
    const hash = createHash('sha256').update(parts.secret).digest();
    if (!timingSafeEqual(hash, found?.hash ?? NOBODY) || found === undefined) {
      deps.log.warn({ tokenId: parts.tokenId }, 'a token was refused: unknown, or revoked');
      throw refused(`${parts.tokenId} is not in force here: revoked, expired or never made`);
    }
    if (Date.parse(found.expiresAt) <= deps.clock.now())
      throw refused(`${found.name} expired at ${found.expiresAt}`, 'token-expired');
    note(parts.tokenId);
    return identityOf(found);
  };
  return {
    hint: 'send Authorization: Bearer <token>; `muster token create` makes one',
    identify(request) {
      const sent = bearerOf(request);
      return sent === null ? null : prove(sent);
    },
  };
}

function bearerOf({ headers }: FastifyRequest): string | null {
  return BEARER.exec(headers.authorization ?? '')?.[1] ?? null;
}

function refused(why: string, proof: 'token' | 'token-expired' = 'token'): Refusal {
  return new Refusal(
    'unauthenticated',
    `the token ${why}; ask an admin for one (muster token create)`,
    { proof },
  );
}

/** A role that this version does not know is none. */
function identityOf({ name, role, channels, createdAt, expiresAt }: TokenProof): Identity {
  const known = OPERATOR_ROLES.find((one) => one === role);
  if (known === undefined) throw refused(`${name} has a role that this version does not know`);
  return {
    ...{ kind: 'operator', via: 'token', name, role: known, channels },
    ...{ issuedAt: createdAt, expiresAt },
  };
}

/**
 * Reads the tokens: as they were less than a second ago, or as they are at `since` or later. Whoever asks
 * meanwhile shares one query, and two queries are a tenth of a second apart.
 */
function reader({ pool, clock }: Deps): (since: number) => Promise<Known> {
  let last: { readonly at: number; readonly known: Known } | null = null;
  let reading: Promise<void> | null = null;
  const read = async (): Promise<void> => {
    try {
      await pause(clock, last === null ? 0 : last.at + APART_MS - clock.monotonic());
      const at = clock.monotonic();
      const proofs = await pool.run(readTokenProofs);
      last = { at, known: new Map(proofs.map((proof) => [proof.tokenId, proof])) };
    } finally {
      reading = null;
    }
  };
  return async (since) => {
    for (;;) {
      if (last !== null && last.at >= since) return last.known;
      await (reading ??= read());
    }
  };
}

function pause(clock: Clock, ms: number): Promise<void> {
  if (ms <= 0) return Promise.resolve();
  return new Promise((resolve) => {
    clock.after(ms, resolve);
  });
}

function noter({ pool, clock, log }: Deps): (tokenId: string) => void {
  const noted = new Map<string, number>();
  return (tokenId) => {
    const now = clock.monotonic();
    if (now - (noted.get(tokenId) ?? -Infinity) < NOTE_EVERY_MS) return;
    noted.set(tokenId, now);
    pool
      .run((sql) => noteTokenUse(sql, tokenId))
      .catch((error: unknown) => {
        log.debug({ problem: databaseProblem(error) }, 'the use of a token was not noted');
      });
  };
}
