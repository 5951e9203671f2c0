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
      const verdict = text('verdict');
      return `${eventTold(facts['event'])}${verdict === 'applied' ? '' : ` ${verdict}`}`;
    }
    case 'host_report':
      return 'Heartbeat with news';
    case 'transition':
      return transitionTold(text('from'), text('to'), text('closed'));
    case 'rollout_event':
      return text('from') === text('to')
        ? text('event')
        : `${text('event')}: ${text('from')} → ${text('to')}`;
    case 'plan_action':
      return [text('action'), text('closure'), text('reason')]
        .filter((one) => one !== '')
        .join(' ');
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
      const refused = text('verdict') === 'refused';
      const cleared = Array.isArray(facts['cleared']) ? namesTold(facts['cleared']) : '';
      return `Command ${commandTold(facts['command'])}${refused ? ` refused: ${text('code')}` : ''}${cleared === '' ? '' : `, cleared: ${cleared}`}`;
    }
    case 'liveness':
      return text('event');
    case 'enrolment':
      return `${text('event')}${text('code') === '' ? '' : `: ${text('code')}`}`;
    case 'leadership':
      return 'New leader';
  }
}

/** A flapping probe writes many rows: without its name and what it said they are all alike. */
function eventTold(event: unknown): string {
  const { kind, probeName, status } = (event ?? {}) as Readonly<Record<string, unknown>>;
  const words = [kind, probeName, status].filter((word) => typeof word === 'string');
  return words.length === 0 ? 'event' : words.join(' ');
}

/** What closes a record, such as `written-off`, is the whole of it: the state stays. */
function transitionTold(from: string, to: string, closed: string): string {
  if (closed === '') return `${from} → ${to}`;
  return from === to ? `Closed: ${closed} (${to})` : `${from} → ${to}, closed: ${closed}`;
}

/** A closure is in no column of the row. */
function commandTold(told: unknown): string {
  const { command, closure } = (told ?? {}) as Readonly<Record<string, unknown>>;
  return [command, closure].filter((word) => typeof word === 'string').join(' ');
}

function namesTold(names: readonly unknown[]): string {
  const more = names.length > MOST_NAMES ? [`${String(names.length - MOST_NAMES)} more`] : [];
  return [...names.slice(0, MOST_NAMES).map(String), ...more].join(', ');
}
