/** Paths of the API from what people type: encoded, and a channel's name stands for its newest rollout. */
import { TokenListSchema } from '../../wire/access.ts';
import { COMMANDS, type CommandName } from '../../wire/command.ts';
import { REF_START } from '../../wire/ids.ts';
import { RolloutListSchema } from '../../wire/operator.ts';
import { ChannelDetailSchema } from '../../wire/overview.ts';
import { EXIT, UsageError } from '../io.ts';
import { OperateError, type Client } from './client.ts';

/** The route of a command, filled in in the order of its parameters. */
export function commandPath(name: CommandName, values: readonly string[]): string {
  const rest = [...values];
  return COMMANDS[name].route.replace(/:\w+/g, () => encodeURIComponent(rest.shift() ?? ''));
}

export function pathOf(...parts: readonly string[]): string {
  return `/v1/${parts.map(encodeURIComponent).join('/')}`;
}

/** A rollout's id, whose ref may be its beginning only, or the newest rollout of the channel of that name. */
export async function rolloutId(client: Client, given: string): Promise<string> {
  if (given.includes('@')) return wholeId(client, given);
  const channel = await client.get(ChannelDetailSchema, pathOf('channels', given));
  if (channel.currentRolloutId !== undefined) return channel.currentRolloutId;
  throw new OperateError(`channel ${given} has no rollout yet`, EXIT.no, 'not-found');
}

/** A git SHA: nothing to look up. */
const WHOLE_REF = 40;
/** One is told from several by two; more, so that a short ref which others begin with too is among them. */
const MOST_ALIKE = 50;

/** As given where it is one, or the beginning of none: whoever is asked about it says that it does not exist. */
async function wholeId(client: Client, given: string): Promise<string> {
  const [channel = '', ref = ''] = given.split('@');
  // Such as `stable@$REF` without its REF: not every ref, and so not the channel's only rollout.
  if (ref === '') throw new UsageError(`${given} lacks its ref: give the beginning of it`);
  if (ref.length >= WHOLE_REF || !REF_START.test(ref)) return given;
  const { rollouts } = await client.get(RolloutListSchema, '/v1/rollouts', {
    ...{ channel, ref, hosts: 'false', limit: MOST_ALIKE },
  });
  const found = rollouts.map((one) => one.rolloutId);
  const [only = given, ...others] = found;
  if (found.includes(given)) return given;
  if (others.length === 0) return only;
  const some = found.slice(0, 3).join(', ');
  throw new UsageError(`${given} is the beginning of several rollouts (${some}): give more of it`);
}

/** A token's id as given, or that of the token of this name. */
export async function tokenId(client: Client, given: string): Promise<string> {
  const { tokens } = await client.get(TokenListSchema, pathOf('tokens'));
  // Several of a name: all but the newest have expired.
  const found = tokens.findLast((one) => one.tokenId === given || one.name === given);
  if (found !== undefined) return found.tokenId;
  throw new OperateError(`there is no token ${given}; \`muster token list\``, EXIT.no, 'not-found');
}
