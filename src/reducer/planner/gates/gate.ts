/**
 * What a gate is: a pure reason to hold one Pending host, answered as a key. The key is the gate's name,
 * with a subject where one host can be held by several of its kind. Keys are what is stored and logged;
 * the numbers behind a key are worked out by the same file's `explain`, when somebody asks.
 */
import type { RecordRow } from '../../state/rows.ts';
import type { FleetState, HostState, RolloutState } from '../../state/state.ts';
import type { Millis, Time } from '../../time.ts';

/** The host in question and where it stands. */
export interface Held {
  readonly state: FleetState;
  readonly rollout: RolloutState;
  readonly record: RecordRow;
  readonly host: HostState | undefined;
  readonly now: Millis;
}

export interface Explanation {
  readonly gate: GateName;
  /** A sentence with the numbers. */
  readonly because: string;
  /** What would release it: a clause, after "released when". */
  readonly releasedBy: string;
  /** The hosts behind it by name, at most `EXPLAIN_HOSTS` of them. */
  readonly hosts: readonly string[];
  /** How many there are. */
  readonly total: number;
}

/** What a gate, or a remark, says of itself: all hosts, in any order. */
export type Said = Omit<Explanation, 'gate' | 'total'>;

/** Names listed in one explanation: enough to act on, bounded so that a fleet-wide reason stays readable. */
export const EXPLAIN_HOSTS = 50;

export type GateName =
  | 'rollout-halted'
  | 'paused'
  | 'host-hold'
  | 'host-unreachable'
  | 'host-busy'
  | 'not-declared'
  | 'manifest-stale'
  | 'manifest-rejected'
  | 'quarantine'
  | 'channel-edges'
  | 'wave-promotion'
  | 'wave-promotion-host-unstaged'
  | 'host-edge'
  | 'disruption-budget'
  | 'compliance-wave';

export interface Gate {
  readonly name: GateName;
  /** One key may hold hosts of this rollout for reasons of their own; else what is said of one is said of all. */
  readonly isPersonal?: (rollout: RolloutState) => boolean;
  /** The keys that hold this host, none when it may pass. */
  readonly keys: (held: Held) => readonly string[];
  /** What is behind one of these keys; `subject` is what follows the colon, or empty. */
  readonly explain: (held: Held, subject: string) => Said;
  /** Since when, read off the rows: for a key that holds and was not noted of the host. Null: the rows do not tell. */
  readonly since?: (held: Held, subject: string) => Time | null;
}

/** As much of `Held` as a brake looks at: the host may be in no rollout of its channel yet. */
export interface Braked {
  readonly state: FleetState;
  readonly host: HostState | undefined;
  readonly record: Pick<RecordRow, 'channel' | 'hostname'>;
}

/** A gate that an operator closed: it holds whatever comes next too, whatever that is. */
export interface Brake extends Gate {
  readonly keys: (held: Braked) => readonly string[];
  readonly explain: (held: Braked, subject: string) => Said;
  readonly since: (held: Braked, subject: string) => Time | null;
}

/** By name, and not too many of them. */
export function listed({ because, releasedBy, hosts }: Said): Omit<Explanation, 'gate'> {
  const names: string[] = [];
  for (const hostname of hosts) noteFirst(names, hostname);
  return { because, releasedBy, hosts: names, total: hosts.length };
}

/** Keeps of all names that come the first `EXPLAIN_HOSTS`, in order: to sort a fleet for fifty of them takes too long. */
export function noteFirst(names: string[], hostname: string): void {
  const last = names.at(-1);
  if (names.length < EXPLAIN_HOSTS || last === undefined) names.push(hostname);
  else if (hostname < last) names[names.length - 1] = hostname;
  else return;
  if (last !== undefined && hostname < last) names.sort();
}

export const OPEN: readonly string[] = [];
