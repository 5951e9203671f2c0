/** Paths of the API from what people type: encoded, and a channel's name stands for its newest rollout. */
import { TokenListSchema } from '../../wire/access.ts';
import { COMMANDS, type CommandName } from '../../wire/command.ts';
import { ChannelDetailSchema } from '../../wire/overview.ts';
import { EXIT } from '../io.ts';
import { OperateError, type Client } from './client.ts';

/** The route of a command, filled in in the order of its parameters. */
export function commandPath(name: CommandName, values: readonly string[]): string {
  const rest = [...values];
  return COMMANDS[name].route.replace(/:\w+/g, () => encodeURIComponent(rest.shift() ?? ''));
}

export function pathOf(...parts: readonly string[]): string {
  return `/v1/${parts.map(encodeURIComponent).join('/')}`;
}

/** A rollout's id as given, or the newest rollout of the channel of that name. */
export async function rolloutId(client: Client, given: string): Promise<string> {
  if (given.includes('@')) return given;
  const channel = await client.get(ChannelDetailSchema, pathOf('channels', given));
  if (channel.currentRolloutId !== undefined) return channel.currentRolloutId;
  throw new OperateError(`channel ${given} has no rollout yet`, EXIT.no, 'not-found');
}

/** A token's id as given, or that of the token of this name. */
export async function tokenId(client: Client, given: string): Promise<string> {
  const { tokens } = await client.get(TokenListSchema, pathOf('tokens'));
  // Several of a name: all but the newest have expired.
  const found = tokens.findLast((one) => one.tokenId === given || one.name === given);
  if (found !== undefined) return found.tokenId;
  throw new OperateError(`there is no token ${given}; \`muster token list\``, EXIT.no, 'not-found');
}
