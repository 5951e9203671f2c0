/**
 * What people type for a rollout: its id, its id with the beginning of the ref, as the page shows it, or a channel,
 * which stands for its newest one. As on the command line.
 */
import { useEffect, useState } from 'preact/hooks';
import type { RolloutList } from '../../src/wire/operator.ts';
import type { ChannelDetail } from '../../src/wire/overview.ts';
import { ApiError, get, path } from './api.ts';

/** With a git SHA: nothing to look up. */
const WHOLE = /^[^@]*@.{40,}$/;

async function rolloutNamed(given: string, signal: AbortSignal): Promise<string> {
  const [channel = '', ref] = given.split('@');
  if (ref === undefined) {
    const found = await get<ChannelDetail>(path`/v1/channels/${channel}`, signal);
    if (found.currentRolloutId !== undefined) return found.currentRolloutId;
    throw new ApiError(404, 'not-found', `channel ${channel} has no rollout yet`);
  }
  const query = new URLSearchParams({ channel, ref, hosts: 'false' });
  const { rollouts } = await get<RolloutList>(`/v1/rollouts?${query}`, signal);
  const found = rollouts.map(({ rolloutId }) => rolloutId);
  const [first, ...others] = found;
  if (found.includes(given) || (first !== undefined && others.length > 0)) return given;
  if (first !== undefined) return first;
  throw new ApiError(404, 'not-found', `there is no rollout ${given}`);
}

export interface Named {
  /** Null: it is looked up, or `error` says why it cannot be. */
  readonly rollout: string | null;
  readonly error: ApiError | null;
}

/** `onFound` is told of an id that says more than what was given. */
export function useRolloutNamed(given: string, onFound: (id: string) => void): Named {
  const [found, setFound] = useState<{ given: string; error: ApiError | null } | null>(null);
  const isWhole = given === '' || WHOLE.test(given);
  useEffect(() => {
    if (isWhole) return undefined;
    const stop = new AbortController();
    rolloutNamed(given, stop.signal).then(
      (id) => (id === given ? setFound({ given, error: null }) : onFound(id)),
      (error: ApiError) => {
        if (!stop.signal.aborted) setFound({ given, error });
      },
    );
    return () => stop.abort();
  }, [given, isWhole]);
  if (isWhole) return { rollout: given, error: null };
  const error = found?.given === given ? found.error : null;
  return { rollout: found?.given === given && error === null ? given : null, error };
}
