/** Names that people type: an empty answer about what does not exist would be taken for an answer. */
import { ChannelDetailSchema } from '../../wire/overview.ts';
import { HostListSchema, LifecycleSchema } from '../../wire/operator.ts';
import { EXIT } from '../io.ts';
import { OperateError, type Client } from './client.ts';
import { pathOf } from './paths.ts';

export async function mustBeChannel(client: Client, name: string | undefined): Promise<void> {
  if (name !== undefined) await client.get(ChannelDetailSchema, pathOf('channels', name));
}

export async function mustBeRollout(client: Client, id: string): Promise<void> {
  await client.get(LifecycleSchema, pathOf('rollouts', id, 'lifecycle'));
}

/** By the list: a host's own page is explained, and that takes the whole state. */
export async function mustBeHost(client: Client, name: string): Promise<void> {
  const query = { prefix: name, limit: 1 };
  const { hosts } = await client.get(HostListSchema, '/v1/hosts', query);
  if (hosts[0]?.hostname === name) return;
  throw new OperateError(`there is no host ${name}`, EXIT.no, 'not-found');
}
