/** What agents ask beside posting events, each request with its answer in the history. */
import { exchange, type Answer, type Caller } from './http.ts';
import type { History, Offer } from './history.ts';

/** How a simulated host or operator speaks, and where it is written down. */
export interface Wire {
  readonly caller: Caller;
  readonly history: History;
}

export interface Beat {
  readonly hostname: string;
  readonly closure: string;
  readonly isNews: boolean;
  /** The rollout that the host is in, and how far it has counted there. */
  readonly rollout?: { readonly id: string; readonly seq: number };
}

export async function heartbeat(
  { caller, history }: Wire,
  { hostname, closure, isNews, rollout }: Beat,
): Promise<Answer | null> {
  const { answer, ...seen } = await exchange(caller, {
    method: 'POST',
    path: '/v1/agent/heartbeat',
    as: `agent:${hostname}`,
    body: {
      hostname,
      rollout_id: rollout?.id ?? null,
      current_closure: closure,
      at: new Date().toISOString(),
      agent_version: 'fault-suite',
      last_event_seq_by_rollout: rollout === undefined ? {} : { [rollout.id]: rollout.seq },
    },
  });
  history.note({ of: 'heartbeat', hostname, closure, isNews, ...seen });
  return answer;
}

/** A long poll; null: nothing was offered, or nobody answered. */
export async function poll(
  { caller, history }: Wire,
  hostname: string,
  waitSeconds: number,
): Promise<{ readonly answer: Answer | null; readonly offered: Offer | null }> {
  const { answer, ...seen } = await exchange(caller, {
    method: 'GET',
    path: `/v1/agent/dispatch?wait=${waitSeconds}`,
    as: `agent:${hostname}`,
    timeoutMs: 5_000 + waitSeconds * 1_000,
  });
  const offered = answer?.status === 200 ? readOffer(answer.body) : null;
  history.note({ of: 'poll', hostname, offered, ...seen });
  return { answer, offered };
}

function readOffer(body: string): Offer {
  const { rollout_id: rolloutId, target_closure: closure } = readObject(body);
  if (typeof rolloutId === 'string' && typeof closure === 'string') return { rolloutId, closure };
  throw new Error(`no dispatch: ${body}`);
}

export function readObject(body: string): Readonly<Record<string, unknown>> {
  const parsed: unknown = JSON.parse(body);
  if (typeof parsed === 'object' && parsed !== null) return { ...parsed };
  throw new Error(`no object: ${body}`);
}
