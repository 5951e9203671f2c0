/**
 * What decides how a situation's hosts compete for slots: how many of each kind there are, and no name. Hosts of one
 * rollout are of one kind when the same budgets that may ever be full ask and count them alike.
 */
import { heldBy, type Ask, type Slots } from './planner-budgets.ts';
import type { Host } from './planner-facts.ts';
import { ORDER, type Held } from './planner-gates.ts';

/** A host that is spoken of, and what holds it beside budgets. */
export interface Candidate {
  readonly host: Host;
  readonly gate: Held | undefined;
}

/** A budget that may be full, by its place among the counts. */
interface Limit {
  readonly key: number;
  readonly limit: number;
  readonly ask: Ask;
}

export interface Kind {
  readonly hosts: Host[];
  readonly gate: Held | undefined;
  /** What a grant adds to each count, in the counts' order. */
  readonly adds: readonly number[];
  readonly limits: readonly Limit[];
  /** Of each number that is asked for, how many of these hosts are in it. */
  readonly counted: number[];
}

/** Hosts of one rollout: those that may be granted a slot that others want, those that may not, and the rest. */
export interface Contest {
  readonly rivals: readonly Kind[];
  readonly refused: readonly Kind[];
  /** Granted whatever happens, and without a trace in any count that matters. */
  readonly sure: readonly Kind[];
}

export interface Contests {
  readonly start: readonly number[];
  /** Groups of rollouts that share a count: only within one does their order matter. */
  readonly groups: readonly (readonly Contest[])[];
}

export function contestsOf(
  candidates: readonly Candidate[],
  slots: Slots,
  isIn: readonly ((host: Host) => boolean)[],
): Contests {
  const keys = keysThatFill(candidates, slots);
  const contests = new Map<string, Map<string, Kind>>();
  for (const candidate of candidates) {
    const { rolloutId } = candidate.host;
    const kinds = contests.get(rolloutId) ?? new Map<string, Kind>();
    contests.set(rolloutId, kinds);
    enter(kinds, candidate, slots, keys, isIn);
  }
  const start = keys.map((key) => slots.countOf(key));
  const all = [...contests.values()].map((kinds) => contestOf([...kinds.values()], start));
  return { start, groups: grouped(all) };
}

/** Selectors that may come to have no room for somebody: were all granted that may be, they would be full. */
function keysThatFill(candidates: readonly Candidate[], slots: Slots): readonly string[] {
  const most = new Map<string, number>();
  for (const { host, gate } of candidates) {
    if (gate !== undefined || slots.full(host) !== undefined) continue;
    for (const { key } of slots.asksOf(host)) most.set(key, (most.get(key) ?? 0) + 1);
  }
  const found = new Set<string>();
  for (const candidate of candidates) {
    for (const { key, limit } of slots.asksOf(candidate.host)) {
      const isFilled = limit !== null && slots.countOf(key) + (most.get(key) ?? 0) >= limit;
      if (isFilled && isAsked(candidate)) found.add(key);
    }
  }
  return [...found].sort();
}

/** Whether a full budget would be named: the original names the first gate that holds. */
function isAsked({ gate }: Candidate): boolean {
  return gate === undefined || ORDER.indexOf(gate.gate) > ORDER.indexOf('disruption-budget');
}

function enter(
  kinds: Map<string, Kind>,
  candidate: Candidate,
  slots: Slots,
  keys: readonly string[],
  isIn: readonly ((host: Host) => boolean)[],
): void {
  const { host, gate } = candidate;
  const asks = slots.asksOf(host);
  const adds = keys.map((key) => asks.filter((ask) => ask.key === key).length);
  const limits = asks.flatMap((ask) => {
    const { key, limit } = ask;
    const isNamed = limit !== null && keys.includes(key) && isAsked(candidate);
    return isNamed ? [{ key: keys.indexOf(key), limit, ask }] : [];
  });
  const id = JSON.stringify([gate, adds, limits.map(({ key, limit }) => [key, limit])]);
  const kind = kinds.get(id) ?? { hosts: [], gate, adds, limits, counted: isIn.map(() => 0) };
  kinds.set(id, kind);
  kind.hosts.push(host);
  for (const [i, test] of isIn.entries()) {
    if (test(host)) kind.counted[i] = (kind.counted[i] ?? 0) + 1;
  }
}

function contestOf(kinds: readonly Kind[], start: readonly number[]): Contest {
  const isRefused = (kind: Kind) => kind.gate !== undefined || fullAt(kind, start) !== undefined;
  const isSure = (kind: Kind) => kind.adds.every((add) => add === 0);
  const mayGo = kinds.filter((kind) => !isRefused(kind));
  return {
    rivals: mayGo.filter((kind) => !isSure(kind)),
    refused: kinds.filter(isRefused),
    sure: mayGo.filter(isSure),
  };
}

/** What holds a host of this kind at these counts, of budgets alone. */
export function fullAt({ limits }: Kind, counts: readonly number[]): Held | undefined {
  const full = limits.find(({ key, limit }) => (counts[key] ?? 0) >= limit);
  return full === undefined ? undefined : heldBy(full.ask, counts[full.key] ?? 0);
}

/** How many more of this kind may be granted at these counts, if they are asked alone. */
export function roomFor({ limits, adds }: Kind, counts: readonly number[]): number {
  const rooms = limits.map(({ key, limit }) =>
    Math.ceil((limit - (counts[key] ?? 0)) / (adds[key] ?? 1)),
  );
  return Math.max(0, Math.min(...rooms));
}

function grouped(contests: readonly Contest[]): readonly (readonly Contest[])[] {
  let groups: { readonly keys: ReadonlySet<number>; readonly contests: readonly Contest[] }[] = [];
  for (const contest of contests) {
    const keys = keysOf(contest);
    const joined = groups.filter((group) => [...group.keys].some((key) => keys.has(key)));
    groups = groups.filter((group) => !joined.includes(group));
    groups.push({
      keys: new Set([...keys, ...joined.flatMap((group) => [...group.keys])]),
      contests: [...joined.flatMap((group) => group.contests), contest],
    });
  }
  return groups.map((group) => group.contests);
}

/** The counts that a rollout's grants change, or that its hosts ask. */
function keysOf({ rivals, refused }: Contest): ReadonlySet<number> {
  const added = rivals.flatMap(({ adds }) => adds.flatMap((add, key) => (add > 0 ? [key] : [])));
  const asked = [...rivals, ...refused].flatMap(({ limits }) => limits.map(({ key }) => key));
  return new Set([...added, ...asked]);
}
