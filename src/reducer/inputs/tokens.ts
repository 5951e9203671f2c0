/**
 * Operators' bearer tokens: who may come in, as what, until when. Made and taken back by commands, so that the
 * log says by whom and why. The secret that proves one is not state: it never enters the core or the log.
 */
import type { CreateToken } from '../input.ts';
import type { Verdict } from '../log.ts';
import type { Pass } from '../pass.ts';
import type { Change } from '../state/change.ts';
import { addMinutes } from '../time.ts';
import { refused } from './refusals.ts';

/** People and pipelines of one installation, ten times over; each replica keeps all of them in memory. */
export const MOST_TOKENS = 1_000;

export function createToken(pass: Pass, command: CreateToken, createdBy: string): Verdict {
  const { tokenId, name, role, channels, lifetimeHours } = command;
  const tokens = [...pass.state.tokens.values()];
  const ended = tokens.filter(({ expiresAt }) => expiresAt <= pass.at);
  const why = whyNot(pass, command, ended.length);
  if (why !== null) return why;
  const expiresAt = addMinutes(pass.at, lifetimeHours * 60);
  pass.write([
    ...ended.map((row): Change => ({ t: 'token', tokenId: row.tokenId, set: null })),
    {
      ...{ t: 'token', tokenId },
      set: { name, role, channels, createdBy, createdAt: pass.at, expiresAt },
    },
  ]);
  return { status: 'applied' };
}

function whyNot(pass: Pass, command: CreateToken, ended: number): Verdict | null {
  const { tokens, channels } = pass.state;
  if (tokens.has(command.tokenId)) {
    return refused('illegal-command', `there is a token ${command.tokenId} already; make a new id`);
  }
  for (const { name, expiresAt } of tokens.values()) {
    // The log names tokens by name: two in force at once could not be told apart.
    if (name === command.name && expiresAt > pass.at) {
      const what = `a token named ${name} is in force until ${expiresAt}`;
      return refused('illegal-command', `${what}; revoke it, or choose another name`);
    }
  }
  const unknown = command.channels?.find((channel) => !channels.has(channel));
  if (unknown !== undefined) return refused('not-found', `there is no channel ${unknown}`);
  if (tokens.size - ended < MOST_TOKENS) return null;
  return refused(
    'illegal-command',
    `${String(MOST_TOKENS)} tokens are in force; revoke some first`,
  );
}

export function revokeToken(pass: Pass, tokenId: string): Verdict {
  if (!pass.state.tokens.has(tokenId)) {
    return refused('not-found', `there is no token ${tokenId}; it may be revoked already`);
  }
  pass.write([{ t: 'token', tokenId, set: null }]);
  return { status: 'applied' };
}
