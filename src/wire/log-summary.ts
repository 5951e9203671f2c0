/** A row of the log in a few words, for people: on the page and on terminals. */
import type { LogEvent } from './log-event.ts';

/** Names that fit into a line. */
const MOST_NAMES = 5;

/** Of a row of the log, and of one that a dry run would write. */
type Told = Pick<LogEvent, 'kind' | 'payload' | 'omitted'>;

export interface HostsTold {
  /** The first of them. */
  readonly names: readonly string[];
  readonly total: number;
}

/** Which hosts a decision is about, where it is about several. */
export function hostsTold({ payload, omitted = {} }: Omit<Told, 'kind'>): HostsTold {
  const { hosts } = (payload ?? {}) as { readonly hosts?: unknown };
  const names = Array.isArray(hosts) ? hosts.map(String) : [];
  return { names: names.slice(0, MOST_NAMES), total: omitted['hosts']?.items ?? names.length };
}

/** The facts that make a row worth reading, in a few words. */
export function summary({ kind, payload, omitted = {} }: Told): string {
  const facts = (payload ?? {}) as Readonly<Record<string, unknown>>;
  const text = (name: string): string => (typeof facts[name] === 'string' ? facts[name] : '');
  switch (kind) {
    case 'agent_event': {
      const event = facts['event'] as { kind?: unknown } | undefined;
      const verdict = text('verdict');
      return `${typeof event?.kind === 'string' ? event.kind : 'event'}${verdict === 'applied' ? '' : ` ${verdict}`}`;
    }
    case 'host_report':
      return 'Heartbeat with news';
    case 'transition':
      return `${text('from')} → ${text('to')}`;
    case 'rollout_event':
      return text('from') === text('to')
        ? text('event')
        : `${text('event')}: ${text('from')} → ${text('to')}`;
    case 'plan_action':
      return text('action');
    case 'gate_decision': {
      const gates = Array.isArray(facts['gates']) ? facts['gates'].join(', ') : '';
      const { total } = hostsTold({ payload, omitted });
      return `${gates === '' ? 'Held by nothing more' : `Held by ${gates}`}${total > 1 ? ` (${total} hosts)` : ''}`;
    }
    case 'verify_outcome':
      return text('artifact') === 'trust'
        ? 'Trust file changed'
        : `Verification of ${text('artifact')}: ${text('reason') || 'ok'}`;
    case 'manifest_set':
      return text('verdict') === 'refused' ? 'Older manifest set refused' : 'Manifest set';
    case 'operator_command': {
      const name = (facts['command'] as { command?: string } | undefined)?.command ?? '';
      const refused = text('verdict') === 'refused';
      return `Command ${name}${refused ? ` refused: ${text('code')}` : ''}`;
    }
    case 'liveness':
      return text('event');
    case 'enrolment':
      return `${text('event')}${text('code') === '' ? '' : `: ${text('code')}`}`;
    case 'leadership':
      return 'New leader';
  }
}
