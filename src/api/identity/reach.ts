/** What a caller's commands reach, where their proof is made out for some channels only. Reads are everyone's. */
import type { Pool } from '../../db/pool.ts';
import { channelsOfHost } from '../../db/tokens.ts';
import type { OperatorCommand } from '../../reducer/input.ts';
import { Refusal } from '../refusal.ts';
import type { Operator } from './identity.ts';

export async function mustReach(
  pool: Pool,
  { name, channels }: Operator,
  command: OperatorCommand,
): Promise<void> {
  if (channels === null) return;
  const about = await channelsOf(pool, command);
  if (about !== null && about.length > 0 && about.every((one) => channels.includes(one))) return;
  throw new Refusal(
    'outside-scope',
    `${name} may command ${channels.join(', ')}, and this reaches ${reachText(about)}`,
  );
}

function reachText(about: readonly string[] | null): string {
  if (about === null) return 'the whole fleet';
  return about.length === 0 ? 'a host that no channel has' : about.join(', ');
}

/** Null: everything. A host counts with every channel in which the command would change something. */
async function channelsOf(pool: Pool, command: OperatorCommand): Promise<readonly string[] | null> {
  if ('channel' in command) return [command.channel];
  if ('rolloutId' in command) return [command.rolloutId.replace(/@.*$/s, '')];
  if ('hostname' in command) return pool.run((sql) => channelsOfHost(sql, command.hostname));
  return null;
}
