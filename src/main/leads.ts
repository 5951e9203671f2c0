/**
 * Whether this process could lead when its turn comes, as readiness tells it: else its probes would call well what never
 * leads, a rollout would replace all good processes by such ones, and the fleet would stand.
 *
 * Of two URLs one is told at once that they lead to different databases, and once a minute they are asked again: nothing else
 * would show it, as who leads does so in peace, on a queue that nobody fills, and a failover may take one of them along.
 *
 * States: unproven → proven. In strict mode a process with a leader's URL of its own is unproven, and not ready, until that
 * URL has once led to where one can lead: nobody misses it yet. Any other is proven from the start, and asked only after an
 * attempt to lead failed; a follower's turn has not come. What an operator must mend is then told at once, and until it is
 * mended, whatever terms begin and fail meanwhile. What a failover or a full server brings is told once it lasts: an API
 * that takes events is worth more than none. Who does not answer at all is never told: the API's own database answers for
 * that, and the alert that nobody leads.
 */
import { isStrict } from '../config/strict.ts';
import type { Clock } from '../telemetry.ts';
import { leads, leadTrouble, type Logins, type LeadTrouble } from './login.ts';

/** How long what two URLs led to may be taken for what they lead to: asking is a connection each. */
const AGAIN_MS = 60_000;
/** Longer than a failover or a burst of connections, and as long as the alert waits for a leader. */
const LASTS_MS = 60_000;

/** Why this process could not lead, or null; `ails`: its last attempt failed. */
export type AskLead = (ails: boolean) => Promise<string | null>;

export function createAskLead(
  logins: Logins,
  clock: Pick<Clock, 'monotonic'>,
  ask: (logins: Logins) => Promise<LeadTrouble | null> = leadTrouble,
): AskLead {
  const { config } = logins;
  const areTwo = config.leaderDatabaseUrl !== null && leads(logins);
  let proven = !(isStrict(config) && areTwo);
  /** When they were last seen to lead to one database. */
  let oneAt = areTwo ? -Infinity : Infinity;
  let since: number | null = null;
  let mustMend = false;
  return async (ails) => {
    const isAsked = !proven || ails || mustMend;
    const isOne = clock.monotonic() - oneAt < AGAIN_MS;
    const found = isAsked || !isOne ? await ask(logins) : null;
    if (found === null && !isOne) oneAt = clock.monotonic();
    if (found?.of === 'elsewhere' && !isOne) return found.why;
    const trouble = isAsked ? found : null;
    mustMend = trouble?.of === 'login' || trouble?.of === 'database';
    if (trouble === null) {
      proven = true;
      since = null;
      return null;
    }
    if (!proven) return trouble.why;
    switch (trouble.of) {
      case 'login':
      case 'database':
        return trouble.why;
      case 'elsewhere':
      case 'state':
        since ??= clock.monotonic();
        return clock.monotonic() - since >= LASTS_MS ? trouble.why : null;
      case 'silent':
        return null;
    }
  };
}
