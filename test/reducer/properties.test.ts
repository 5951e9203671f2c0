/** What must hold under any input sequence: the list in the design of the state machines, on random histories. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LogEntry } from '../../src/reducer/log.ts';
import { planPreview, previewInput } from '../../src/reducer/preview.ts';
import { reduce } from '../../src/reducer/reduce.ts';
import { sinceOf } from '../../src/reducer/state/blocker-since.ts';
import { isClean, markHost } from '../../src/reducer/state/dirty.ts';
import { dump } from '../../src/reducer/state/rows-io.ts';
import { touched } from '../../src/reducer/state/touched.ts';
import type { RecordRow } from '../../src/reducer/state/rows.ts';
import { emptyState, type FleetState } from '../../src/reducer/state/state.ts';
import { heldSince } from './support/held-since.ts';
import { action, type Action } from './support/actions.ts';
import { fleetSpec } from './support/fleet-spec.ts';
import { contentAfter, fold, indexes, takenOver } from './support/replay.ts';
import { broken, isWaveDone, recordsOf } from './support/rules.ts';
import { Tables, withoutHead } from './support/tables.ts';
import { takeover, World } from './support/world.ts';

/** Enough to meet each defect that was ever found here within a few seconds; more by `RUNS`-fold in the simulator. */
const RUNS = 150;
const history = fc.tuple(fleetSpec, fc.array(action, { maxLength: 60, size: 'max' }));
const historyOfAbsentees = fc.tuple(
  fleetSpec,
  fc
    .tuple(absentees(), fc.array(action, { maxLength: 20, size: 'max' }))
    .map(([first, then]) => [...first, ...then]),
);

function checkAll(
  property: (world: World) => void,
  before?: ConstructorParameters<typeof World>[1],
  histories: typeof history = history,
) {
  fc.assert(
    fc.property(histories, ([spec, actions]) => {
      const world = new World(spec, before);
      for (const next of actions) world.act(next);
      property(world);
    }),
    { numRuns: RUNS },
  );
}

describe('any history', () => {
  it('folds from its log alone, field for field', () => {
    checkAll(({ state, trace }) => {
      const folded = fold(
        trace.flatMap(({ entries }) => entries),
        state.lastTs,
      );
      expect(dump(folded)).toEqual(dump(state));
    });
  });

  it('says of each gate since when it holds, whatever joined or left it meanwhile', () => {
    checkAll(({ state, trace }) => {
      const held = heldSince(trace);
      for (const rollout of state.live.values()) {
        for (const row of rollout.blockers.values()) {
          const said = row.gates.map((gate) => [gate, sinceOf(row, gate)]);
          expect(said).toEqual([...(held.get(`${row.rolloutId} ${row.hostname}`) ?? [])].sort());
        }
        const { rolloutId, blockersSince } = rollout.row;
        expect(Object.entries(blockersSince ?? {})).toEqual([...(held.get(rolloutId) ?? [])]);
      }
    });
  });

  it('gives equal logs and states when it is decided again', () => {
    checkAll(({ state, trace }) => {
      const again = emptyState();
      for (const { input, now, entries, verdict } of trace) {
        expect(reduce(again, input, now)).toEqual({ entries, verdict });
      }
      expect(dump(again)).toEqual(dump(state));
      expect(indexes(again)).toEqual(indexes(state));
    });
  });

  it('keeps its indexes equal to those of freshly loaded rows', () => {
    checkAll(({ state, trace }) => {
      const loaded = takenOver(state, contentAfter(trace.map(({ input }) => input)));
      expect(dump(loaded)).toEqual(dump(state));
      expect(indexes(loaded)).toEqual(indexes(state));
      // Nothing of it waits for the next input, whose rows would tell of what it did not cause.
      expect(isClean(loaded.dirty)).toBe(true);
    });
  });

  it('goes on alike after a takeover at any point', () => {
    fc.assert(
      fc.property(history, fc.nat({ max: 80 }), ([spec, actions], at) => {
        const world = new World(spec);
        actions.forEach((next, i) => {
          if (i === Math.min(at, actions.length - 1)) world.feed(takeover(i));
          world.act(next);
        });
        const { trace } = world;
        const cut = trace.findIndex(({ input }) => input.kind === 'LeaderStarted');
        let state = emptyState();
        trace.forEach(({ input, now, entries, verdict }, i) => {
          if (i === cut)
            state = takenOver(state, contentAfter(trace.slice(0, i).map((t) => t.input)));
          expect(reduce(state, input, now)).toEqual({ entries, verdict });
        });
        expect(dump(state)).toEqual(dump(world.state));
      }),
      { numRuns: RUNS },
    );
  });

  it('goes on alike when its rows are read anew in the middle of a term, again and again', () => {
    checkAll(({ trace }) => {
      let state = emptyState();
      trace.forEach(({ input, now, entries, verdict }, i) => {
        if (i % 2 === 1)
          state = takenOver(state, contentAfter(trace.slice(0, i).map((t) => t.input)));
        expect(reduce(state, input, now)).toEqual({ entries, verdict });
      });
    });
  });

  it.each([
    ['', history],
    [', when hosts come back to a rollout that is through', historyOfAbsentees],
  ])('plans incrementally what a full pass would plan%s', (_, histories) => {
    const tick = { kind: 'Tick' } as const;
    checkAll(
      ({ state, now }) => {
        markEverybody(state);
        expect(reduce(state, tick, now).entries).toEqual([]);
      },
      (world, { input }) => {
        // Whatever the clock alone changes is a Tick's business; the last input must have left nothing else.
        const last = world.trace.at(-1);
        if (last !== undefined) {
          markEverybody(world.state);
          expect(reduce(world.state, tick, last.now).entries).toEqual([]);
        }
        if (input.kind !== 'Tick') reduce(world.state, tick, world.now);
      },
      histories,
    );
  });

  it('is not touched by a preview', () => {
    checkAll(
      ({ state, trace }) => {
        const plain = emptyState();
        for (const { input, now, entries, verdict } of trace) {
          expect(reduce(plain, input, now)).toEqual({ entries, verdict });
        }
        expect(dump(plain)).toEqual(dump(state));
      },
      ({ state }, { input, now }) => {
        const before = { rows: dump(state), indexes: indexes(state) };
        planPreview(state, now);
        previewInput(state, input, now);
        expect({ rows: dump(state), indexes: indexes(state) }).toEqual(before);
      },
    );
  });

  it('grants nothing that a rule forbids, and keeps every record true', () => {
    let before = new Map<string, RecordRow>();
    checkAll(
      (world) => {
        expect(brokenIn(before, world)).toEqual([]);
      },
      (world) => {
        expect(brokenIn(before, world)).toEqual([]);
        before = recordsOf(world.state);
      },
    );
  });

  it('notes at each Tick whether anybody is heard', () => {
    const check = ({ state, trace }: World) => {
      const input = trace.at(-1)?.input;
      if (input?.kind === 'Tick') expect(state.fleet.deafSince === null).toBe(input.hearing);
    };
    checkAll(check, check);
  });

  it('leaves a wave only when every host of it is through', () => {
    const check = ({ state, trace }: World) => {
      const last = trace.at(-1);
      for (const { rolloutId, payload } of last?.entries ?? []) {
        const rollout = rolloutId === null ? undefined : state.rollouts.get(rolloutId);
        if (last === undefined || rollout === undefined || payload['event'] !== 'WaveAdvanced')
          continue;
        const wave = Number(payload['fromWave']);
        expect([wave, isWaveDone(state, rollout, wave, last.now)]).toEqual([wave, true]);
      }
    };
    checkAll(check, check);
  });

  it('tells the tables of every row that changed, however it is split into commits', () => {
    fc.assert(
      fc.property(history, fc.array(fc.boolean(), { maxLength: 80 }), ([spec, actions], cuts) => {
        const world = new World(spec);
        for (const next of actions) world.act(next);
        const tables = new Tables();
        const again = emptyState();
        let batch: LogEntry[] = [];
        world.trace.forEach(({ input, now, entries, verdict }, i) => {
          const result = reduce(again, input, now);
          expect(result).toEqual({ entries, verdict });
          batch.push(...result.entries);
          if (cuts[i] === true || i === world.trace.length - 1) {
            tables.write(touched(again, batch));
            batch = [];
          }
        });
        expect(tables.rows()).toEqual(withoutHead(dump(world.state)));
      }),
      { numRuns: RUNS },
    );
  });
});

/** Some are silent until the rollout is through without them; then they come back, with whatever else happens. */
function absentees(): fc.Arbitrary<readonly Action[]> {
  const hosts = [0, 1, 2, 3, 4];
  const event = (host: number): Action => ({ do: 'event', host, rollout: 0, luck: 99 });
  const heard = { runs: 'same', states: false, names: false } as const;
  return fc.subarray(hosts, { minLength: 2, maxLength: 3 }).map((absent) => {
    const present = hosts.filter((host) => !absent.includes(host));
    const wait: Action = { do: 'wait', minutes: 31 };
    const wave = [...threeTimes(present).map(event), wait];
    return [
      ...absent.map((host): Action => ({ do: 'silence', host })),
      ...[wait, { do: 'resign' } as const, ...wave, ...wave, ...wave, { do: 'resign' } as const],
      ...absent.map((host): Action => ({ do: 'heartbeat', host, ...heard })),
      ...threeTimes(absent).map(event),
    ];
  });
}

/** Acknowledges, completes and converges, one host after the other. */
function threeTimes(hosts: readonly number[]): number[] {
  return hosts.flatMap((host) => [host, host, host]);
}

/** A full pass looks at what is open; here at history too. */
function markEverybody(state: FleetState): void {
  for (const [id, rollout] of state.live) {
    for (const hostname of rollout.records.keys()) markHost(state.dirty, id, hostname);
  }
}

function brokenIn(before: ReadonlyMap<string, RecordRow>, { state, trace }: World): string[] {
  const last = trace.at(-1);
  return last === undefined ? [] : broken(before, state, last);
}
