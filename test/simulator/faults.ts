/**
 * What may go wrong, by kind. A seed draws which kinds it suffers and how often: a run with few kinds goes
 * deep where one with all of them drowns in noise. Each kind has chances of its own, so that taking one
 * out, to find the smallest set that still fails, leaves the others as they were.
 */
import { seededRandom, type Random } from '../../src/agent/clock.ts';

/** Kinds that meet a message or a step by chance, with the chance of each meeting. */
const BY_CHANCE = {
  'request-lost': 0.03,
  'answer-lost': 0.04,
  'request-repeated': 0.04,
  'message-late': 0.05,
  'notify-lost': 0.2,
  'insert-late': 0.1,
  'database-refuses': 0.01,
  'database-answer-lost': 0.01,
  'leader-crash': 0.006,
  'leader-frozen': 0.003,
  'leader-deposed': 0.004,
  'commit-ambiguous': 0.01,
  'commit-refused': 0.1,
  'dispatch-tampered': 0.05,
  'heartbeat-lies': 0.08,
  // Of each durable line: a rollout is some ten of them.
  'journal-torn': 0.02,
  'switch-fails': 0.15,
  'rollback-fails': 0.3,
  'switch-deferred': 0.15,
  'probe-fails': 0.15,
  'probe-flaps': 0.1,
  'late-completion': 0.5,
  'converged-too-soon': 0.5,
} as const;

/** Kinds that come at instants drawn beforehand, with how many of them there are at the most. */
const AT_TIMES = {
  'process-crash': 3,
  'process-frozen': 2,
  'database-away': 2,
  'database-restored': 1,
  'presence-lost': 2,
  'leader-clock-stepped': 2,
  'agent-crash': 6,
  'agent-reboot': 3,
  'journal-lost': 2,
  'agent-offline': 3,
  'balancer-away': 2,
  'agent-clock-stepped': 2,
  'poison-input': 3,
  'operator-command': 5,
  'trust-changed': 1,
  'rollout-retired': 2,
  'new-ref': 3,
} as const;

/** Kinds that a host has from the beginning, with the share of hosts that has it. */
const BY_NATURE = { 'agent-v0.2': 0.4 } as const;

export type ChanceKind = keyof typeof BY_CHANCE;
export type TimedKind = keyof typeof AT_TIMES;
export type NatureKind = keyof typeof BY_NATURE;
export type FaultKind = ChanceKind | TimedKind | NatureKind;

const isIn = <T extends object>(table: T, kind: PropertyKey): kind is keyof T =>
  Object.hasOwn(table, kind);

export const FAULT_KINDS: readonly FaultKind[] = [
  ...Object.keys(BY_CHANCE).filter((kind) => isIn(BY_CHANCE, kind)),
  ...Object.keys(AT_TIMES).filter((kind) => isIn(AT_TIMES, kind)),
  ...Object.keys(BY_NATURE).filter((kind) => isIn(BY_NATURE, kind)),
];

export type FaultCounts = Partial<Record<FaultKind, number>>;

export class Faults {
  readonly counts: FaultCounts = {};
  readonly kinds: ReadonlySet<FaultKind>;
  /** Off at the end, when everything is to come right. */
  isOn = true;
  private readonly seed: number;
  private readonly chances = new Map<FaultKind, Random>();

  /** `without` are kinds that this run is spared. */
  constructor(seed: number, without: ReadonlySet<FaultKind>) {
    this.seed = seed;
    const draw = seededRandom(`${String(seed)}/kinds`);
    // From a run without any fault to one with nearly all.
    const share = draw() * 0.9;
    const drawn = FAULT_KINDS.filter(() => draw() < share);
    // A rollout needs a ref; more of them are what makes a fleet interesting.
    if (draw() < 0.6 && !drawn.includes('new-ref')) drawn.push('new-ref');
    this.kinds = new Set(drawn.filter((kind) => !without.has(kind)));
  }

  /** A source of chance for one purpose, the same for the same seed. */
  random(purpose: string): Random {
    return seededRandom(`${String(this.seed)}/${purpose}`);
  }

  /** Whether the fault meets this message or step. */
  strikes(kind: ChanceKind): boolean {
    if (!this.isOn || !this.kinds.has(kind) || this.chance(kind) >= BY_CHANCE[kind]) return false;
    this.count(kind);
    return true;
  }

  /** Whether a fault that follows from its subject alone meets it: always the same answer. */
  meets(kind: ChanceKind | NatureKind, subject: string): boolean {
    if (!this.kinds.has(kind)) return false;
    const share = isIn(BY_CHANCE, kind) ? BY_CHANCE[kind] : BY_NATURE[kind];
    return this.random(`${kind}/${subject}`)() < share;
  }

  /** The instants, within `span`, at which a fault comes. */
  times(kind: TimedKind, span: number): readonly number[] {
    if (!this.kinds.has(kind)) return [];
    const random = this.random(`times/${kind}`);
    const count = 1 + Math.floor(random() * AT_TIMES[kind]);
    return Array.from({ length: count }, () => Math.floor(random() * span)).sort((a, b) => a - b);
  }

  /** Further chance of a fault that struck: which host, how long. */
  chance(kind: FaultKind): number {
    const known = this.chances.get(kind) ?? this.random(`chance/${kind}`);
    this.chances.set(kind, known);
    return known();
  }

  pick<T>(kind: FaultKind, from: readonly T[]): T | undefined {
    return from[Math.floor(this.chance(kind) * from.length)];
  }

  count(kind: FaultKind): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
  }
}
