/**
 * All that the original may make of a situation, whose plan depends on hash order: rollouts come in any order, and
 * the hosts of each in any order. What budgets count decides who is refused, so counts are walked, not sets of hosts:
 * it makes no difference how many hosts there are that nobody competes with, or that are alike.
 */
import { Slots } from './planner-budgets.ts';
import type { Host } from './planner-facts.ts';
import { gateOf, ORDER, type Held } from './planner-gates.ts';
import { contestsOf, fullAt, roomFor, type Contest, type Kind } from './planner-kinds.ts';
import type { PlannerLine } from './shapes.ts';

export interface Range {
  readonly min: number;
  readonly max: number;
}

export interface Originals {
  /** What may become of each host that is spoken of: null for a dispatch, or what holds it. */
  readonly answers: ReadonlyMap<Host, readonly (Held | null)[]>;
  /** How many are dispatched of those that each test is true for. */
  readonly numbers: readonly Range[];
}

type Counts = readonly number[];

/** A point of the walk: what the budgets count, and the numbers of grants by which one can have come there. */
interface Point {
  readonly counts: Counts;
  readonly numbers: readonly Range[];
}

/** A point within a rollout: how many of each kind of rivals still wait. */
interface Step extends Point {
  readonly left: readonly number[];
}

/**
 * Recorded situations come to 15 at most, two budgets of 300 slots that overlap to 90,000. Only three or more that
 * overlap in every way, with dozens of slots each, come to more: seconds and 100 MB, and soon no end.
 */
const MOST_POINTS = 100_000;

export function anyOrder(
  line: PlannerLine,
  hosts: readonly Host[],
  isIn: readonly ((host: Host) => boolean)[],
  most = MOST_POINTS,
): Originals {
  const none: ReadonlySet<string> = new Set();
  const candidates = hosts.flatMap((host) => {
    const gate = gateOf(line, host, none);
    return gate === 'silent' ? [] : [{ host, gate }];
  });
  const { start, groups } = contestsOf(candidates, new Slots(line, none), isIn);
  const walk = new Walk(most);
  const ends = groups.map((group) => walk.through(group, { counts: start, numbers: zero(isIn) }));
  return { answers: walk.found(), numbers: ends.reduce(sum, zero(isIn)) };
}

class Walk {
  private readonly answers = new Map<Kind, Map<string, Held | null>>();
  private readonly most: number;
  private points = 0;

  constructor(most: number) {
    this.most = most;
  }

  found(): Originals['answers'] {
    return new Map(
      [...this.answers].flatMap(([{ hosts }, answers]) =>
        hosts.map((host) => [host, [...answers.values()]] as const),
      ),
    );
  }

  /** The rollouts of a group, in any order: what follows depends on who has come, not on the order in which. */
  through(group: readonly Contest[], start: Point): readonly Range[] {
    let layer = new Map<string, { readonly waiting: ReadonlySet<Contest>; readonly at: Point }>();
    layer.set('', { waiting: new Set(group), at: start });
    for (let n = 0; n < group.length; n += 1) {
      const next: typeof layer = new Map();
      for (const { waiting, at } of layer.values()) {
        for (const contest of waiting) {
          const rest = new Set([...waiting].filter((other) => other !== contest));
          const who = group.map((other) => (rest.has(other) ? 1 : 0)).join('');
          for (const end of this.rollout(contest, at)) {
            const key = `${who} ${end.counts.join()}`;
            const merged = either(next.get(key)?.at, end);
            next.set(key, { waiting: rest, at: { ...end, numbers: merged } });
          }
        }
      }
      layer = next;
    }
    return [...layer.values()].map(({ at }) => at.numbers).reduce(span);
  }

  /** One rollout, its hosts in any order: where it may end. */
  private rollout(contest: Contest, start: Point): readonly Point[] {
    for (const kind of contest.sure) this.note(kind, null);
    const sure = contest.sure.map((kind) => kind.counted.map((n) => ({ min: n, max: n })));
    const first = { counts: start.counts, numbers: sure.reduce(sum, start.numbers) };
    const left = contest.rivals.map(({ hosts }) => hosts.length);
    const ends = new Map<string, Point>();
    // Every grant adds to a count, so that whoever comes to a point by one more way does so before it is left.
    const bySize = [new Map<string, Step>([['', { ...first, left }]])];
    for (let size = 0; size < bySize.length; size += 1) {
      for (const step of bySize[size]?.values() ?? []) {
        this.look(contest, step);
        const next = contest.rivals.flatMap((kind, i) => this.granted(kind, i, step));
        for (const after of next) enter(bySize, idOf(contest, after), after, total(after, first));
        if (next.length > 0) continue;
        const key = step.counts.join();
        ends.set(key, { ...step, numbers: either(ends.get(key), step) });
      }
      bySize[size]?.clear();
    }
    return [...ends.values()];
  }

  private look({ rivals, refused }: Contest, { counts, left }: Step): void {
    this.points += 1;
    if (this.points > this.most) {
      throw new Error(`not compared: its budgets can be filled in over ${String(this.most)} ways`);
    }
    for (const kind of refused) this.note(kind, answer(kind.gate, fullAt(kind, counts)));
    for (const [i, kind] of rivals.entries()) {
      if (left[i] !== 0) this.note(kind, fullAt(kind, counts) ?? null);
    }
  }

  private granted(kind: Kind, i: number, { counts, numbers, left }: Step): readonly Step[] {
    const waiting = left[i] ?? 0;
    if (waiting === 0 || roomFor(kind, counts) === 0) return [];
    return [
      {
        counts: counts.map((count, key) => count + (kind.adds[key] ?? 0)),
        numbers: numbers.map((range, n) => sumOf(range, oneMore(kind, waiting, n))),
        left: left.with(i, waiting - 1),
      },
    ];
  }

  private note(kind: Kind, held: Held | null): void {
    const answers = this.answers.get(kind) ?? new Map<string, Held | null>();
    this.answers.set(kind, answers.set(held?.reason ?? '', held));
  }
}

/** What one more of a kind, of whom so many wait, may add to a number: those in it may come first, or last. */
function oneMore({ hosts, counted }: Kind, waiting: number, n: number): Range {
  const isIn = counted[n] ?? 0;
  const granted = hosts.length - waiting;
  return { min: granted >= hosts.length - isIn ? 1 : 0, max: granted < isIn ? 1 : 0 };
}

/** Points with one id go on alike: more hosts of a kind than there is room for are as good as just enough. */
function idOf({ rivals }: Contest, { counts, left }: Step): string {
  const waiting = rivals.map((kind, i) => {
    const isMixed = kind.counted.some((n) => n > 0 && n < kind.hosts.length);
    const most = isMixed ? Infinity : Math.max(1, roomFor(kind, counts));
    return Math.min(left[i] ?? 0, most);
  });
  return `${counts.join()} ${waiting.join()}`;
}

function enter(bySize: Map<string, Step>[], id: string, step: Step, size: number): void {
  while (bySize.length <= size) bySize.push(new Map());
  const same = bySize[size]?.get(id);
  bySize[size]?.set(id, { ...step, numbers: either(same, step) });
}

/** How much has been added since. */
function total({ counts }: Point, { counts: first }: Point): number {
  return counts.reduce((sum, count, key) => sum + count - (first[key] ?? 0), 0);
}

/** The numbers of two ways that come to one point. */
function either(known: Point | undefined, { numbers }: Point): readonly Range[] {
  return known === undefined ? numbers : span(known.numbers, numbers);
}

function span(a: readonly Range[], b: readonly Range[]): readonly Range[] {
  return a.map(({ min, max }, i) => ({
    min: Math.min(min, b[i]?.min ?? min),
    max: Math.max(max, b[i]?.max ?? max),
  }));
}

function sum(a: readonly Range[], b: readonly Range[]): readonly Range[] {
  return a.map((range, i) => sumOf(range, b[i] ?? { min: 0, max: 0 }));
}

function sumOf(a: Range, b: Range): Range {
  return { min: a.min + b.min, max: a.max + b.max };
}

function zero(isIn: readonly unknown[]): readonly Range[] {
  return isIn.map(() => ({ min: 0, max: 0 }));
}

/** The first of both in the original's order; null when neither holds. */
export function answer(gate: Held | undefined, full: Held | undefined): Held | null {
  if (gate === undefined || full === undefined) return gate ?? full ?? null;
  return ORDER.indexOf(gate.gate) < ORDER.indexOf(full.gate) ? gate : full;
}
