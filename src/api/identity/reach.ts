/** What a caller's commands reach, where their proof is made out for some channels only. Reads are everyone's. */
import type { Pool } from '../../db/pool.ts';
import { channelsOfHost } from '../../db/tokens.ts';
import type { OperatorCommand } from '../../reducer/input.ts';
import { isFleetWide } from '../../wire/command.ts';
import { beyondScope, type Channels } from '../../wire/reach.ts';
import { Refusal } from '../refusal.ts';
import type { Operator } from './identity.ts';

export async function mustReach(
  pool: Pool,
  { name, channels }: Operator,
  command: OperatorCommand,
): Promise<void> {
  if (channels === null) return;
  const beyond = beyondScope(channels, await channelsOf(pool, command));
  if (beyond !== null) throw new Refusal('outside-scope', `${name} ${beyond}`);
}

/** Null: everything. A host counts with every channel in which the command would change something. */
async function channelsOf(pool: Pool, command: OperatorCommand): Promise<Channels> {
  if (isFleetWide(command.command)) return null;
  if ('channel' in command) return [command.channel];
  if ('rolloutId' in command) return [command.rolloutId.replace(/@.*$/s, '')];
  if ('hostname' in command) return pool.run((sql) => channelsOfHost(sql, command.hostname));
  return null;
}
