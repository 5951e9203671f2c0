/** How a simulated fleet is laid out: channels, waves, edges and budgets, and how commits change them. */
import type { Random } from '../../src/agent/clock.ts';
import type { JsonObject } from '../../src/trust/json.ts';

export interface Channel {
  readonly name: string;
  /** Names of each wave's hosts; some waves are empty. */
  readonly waves: readonly (readonly string[])[];
  readonly soakMinutes: number;
  readonly onHealthFailure: 'halt' | 'rollback-and-halt';
  readonly onNewRef: 'supersede' | 'finish-first';
  readonly maxFailures: number;
  /** All its hosts run one closure, so that one failure concerns them all. */
  readonly isUniform: boolean;
}

/** Between hosts: one waits for the other. */
export interface Edge {
  readonly gates: string;
  readonly gated: string;
}

export function channelOf(name: string, random: Random): Channel {
  const waves = 1 + Math.floor(random() * 3);
  let number = 0;
  const hostsOf = (): string[] =>
    Array.from({ length: Math.floor(random() * 3.4) }, () => `${name}-${String((number += 1))}`);
  const drawn = Array.from({ length: waves }, hostsOf);
  if (number === 0) drawn[0] = [`${name}-1`];
  return {
    name,
    waves: drawn,
    soakMinutes: [0.2, 0.5, 1, 2][Math.floor(random() * 4)] ?? 1,
    onHealthFailure: random() < 0.6 ? 'rollback-and-halt' : 'halt',
    onNewRef: random() < 0.35 ? 'finish-first' : 'supersede',
    maxFailures: Math.floor(random() * 3),
    isUniform: random() < 0.4,
  };
}

/** Hosts that wait for others, of other channels too; the later waits, so that nobody waits in a circle. */
export function edgesAmong(hosts: readonly string[], random: Random): readonly Edge[] {
  return Array.from({ length: 1 + Math.floor(random() * 3) }, () => {
    const [a = 0, b = 0] = [index(hosts, random), index(hosts, random)].sort((x, y) => x - y);
    return { gates: hosts[a] ?? '', gated: hosts[b] ?? '' };
  }).filter(({ gates, gated }) => gates !== gated);
}

const AMONG_CHANNELS = [
  { gates: 0, gated: 1, share: 0.3 },
  { gates: 1, gated: 2, share: 0.3 },
  { gates: 0, gated: 2, share: 0.2 },
];

export function channelEdgesOf(channels: readonly Channel[], random: Random): JsonObject[] {
  return AMONG_CHANNELS.flatMap(({ gates, gated, share }) => {
    const [earlier, later] = [channels[gates], channels[gated]];
    const isDeclared = random() < share;
    if (earlier === undefined || later === undefined || !isDeclared) return [];
    return [{ gates: earlier.name, gated: later.name }];
  });
}

/** The share of hosts that a commit moves, and of policies' parts that it changes. */
const MOVES = 0.2;
const CHANGES = 0.2;

/** As the next commit has it: hosts in another channel or wave, other policies. A channel may be left without hosts. */
export function rearranged(
  channels: readonly Channel[],
  hosts: readonly string[],
  random: Random,
): readonly Channel[] {
  const waves = channels.map((channel) => channel.waves.map((names) => [...names]));
  for (const hostname of hosts) {
    if (random() >= MOVES) continue;
    for (const names of waves.flat())
      if (names.includes(hostname)) names.splice(names.indexOf(hostname), 1);
    const to = waves[index(waves, random)] ?? [];
    to[index(to, random)]?.push(hostname);
  }
  const changed = <T>(before: T, draw: () => T): T => (random() < CHANGES ? draw() : before);
  return channels.map((channel, i) => ({
    ...channel,
    waves: waves[i] ?? [],
    onNewRef: changed(channel.onNewRef, () => (random() < 0.5 ? 'supersede' : 'finish-first')),
    onHealthFailure: changed(channel.onHealthFailure, () =>
      random() < 0.5 ? 'halt' : 'rollback-and-halt',
    ),
    maxFailures: changed(channel.maxFailures, () => Math.floor(random() * 3)),
  }));
}

function index(of: readonly unknown[], random: Random): number {
  return Math.floor(random() * of.length);
}

const NOBODY = { tags: [], tagsAny: [], hosts: [], all: false };

export function budgetsOf(
  channels: readonly Channel[],
  hosts: readonly string[],
  random: Random,
): readonly JsonObject[] {
  const found: JsonObject[] = [];
  if (random() < 0.6) {
    const limit =
      random() < 0.7 ? { maxInFlight: 1 + Math.floor(random() * 3) } : { maxInFlightPct: 34 };
    found.push({ selector: { ...NOBODY, all: true }, hosts: [...hosts].sort(), ...limit });
  }
  const [first] = channels;
  if (first !== undefined && random() < 0.3) {
    const own = first.waves.flat().sort();
    found.push({ selector: { ...NOBODY, channel: first.name }, hosts: own, maxInFlight: 1 });
  }
  return found;
}
