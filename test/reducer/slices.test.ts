/** An input that concerns many hosts gives way; a small one never does, and where it pauses changes nothing. */
import { expect, it } from 'vitest';
import type { Input } from '../../src/reducer/input.ts';
import type { ReduceResult } from '../../src/reducer/log.ts';
import { reduce, reduceSliced } from '../../src/reducer/reduce.ts';
import type { Sliced } from '../../src/reducer/slices.ts';
import { dump } from '../../src/reducer/state/rows-io.ts';
import { emptyState, type FleetState } from '../../src/reducer/state/state.ts';
import { touched, touching } from '../../src/reducer/state/touched.ts';
import { timeOf } from '../../src/reducer/time.ts';
import { EPOCH } from './support/fleet-spec.ts';
import { ScriptFleet } from './support/script-fleet.ts';

const HOSTS = Array.from({ length: 3000 }, (_, i) => `h${String(i).padStart(4, '0')}`);
const stop = { actor: 'ada', reason: 'r', expectedSeq: null };

function fleet(): ScriptFleet {
  const declared = new ScriptFleet();
  declared.declare('channel', ['stable']);
  declared.declare('wave', ['stable', 'soak=0', ...HOSTS]);
  return declared;
}

const at = timeOf(EPOCH);
const report = (hostname: string): Input => ({
  ...{ kind: 'HostReport', hostname, at, currentClosure: 'c0', rolloutId: null },
  ...{ agentVersion: null, lastEventSeqByRollout: {} },
});
const ack: Input = {
  ...{ kind: 'AgentEvent', hostname: 'h0000', rolloutId: 'stable@1' },
  event: { kind: 'DispatchAck', seq: 1, currentClosureAtDispatch: 'c0', receivedAt: at },
};

/** Everything that concerns all hosts at once. */
const LARGE: readonly Input[] = [
  { kind: 'ManifestSetUpdated', ...fleet().content('1', new Map(), EPOCH) },
  { kind: 'Tick' },
  { kind: 'OperatorCommand', ...stop, command: { command: 'PauseFleet' }, observed: none() },
  { kind: 'OperatorCommand', ...stop, command: { command: 'ResumeFleet' } },
  {
    kind: 'HostsUnreachable',
    observedAt: at,
    hosts: HOSTS.map((hostname) => ({ hostname, lastHeardAt: null })),
  },
  { kind: 'ManifestSetUpdated', ...fleet().content('2', new Map(), EPOCH) },
  { kind: 'RetentionExpired', rolloutId: 'stable@1' },
];

function none() {
  return { offers: [], heard: [] };
}

function run<T>(work: Sliced<T>): { readonly value: T; readonly pauses: number } {
  for (let pauses = 0; ; pauses += 1) {
    const slice = work.next();
    if (slice.done === true) return { value: slice.value, pauses };
  }
}

function sliced(state: FleetState, input: Input): ReduceResult & { readonly pauses: number } {
  const { value, pauses } = run(reduceSliced(state, input, EPOCH));
  return { ...value, pauses };
}

/** Of how many hosts its changes speak. */
function concerned({ entries }: Pick<ReduceResult, 'entries'>): number {
  const changes = entries.flatMap((entry) => entry.changes);
  return changes.reduce((sum, one) => sum + ('hosts' in one ? one.hosts.length : 1), 0);
}

it('gives way many times within an input that concerns every host', () => {
  const [whole, parts] = [emptyState(), emptyState()];
  for (const hostname of HOSTS)
    for (const state of [whole, parts]) reduce(state, report(hostname), EPOCH);
  for (const input of LARGE) {
    const { pauses, ...result } = sliced(parts, input);
    expect(result).toEqual(reduce(whole, input, EPOCH));
    expect([input.kind, pauses >= 20]).toEqual([input.kind, true]);
    // One row of a log may take back the dispatches of a whole fleet: the rows to write are found in steps, too.
    const found = run(touching(parts, result.entries));
    expect([input.kind, found.pauses >= 2]).toEqual([
      input.kind,
      concerned(result) >= HOSTS.length,
    ]);
    expect(found.value).toEqual(touched(whole, result.entries));
  }
  expect(dump(parts)).toEqual(dump(whole));
});

it('does not pause for one host among many', () => {
  const state = emptyState();
  for (const hostname of HOSTS) expect(sliced(state, report(hostname)).pauses).toBe(0);
  for (const input of LARGE.slice(0, 1)) reduce(state, input, EPOCH);
  expect(sliced(state, ack)).toMatchObject({ pauses: 0, verdict: { status: 'applied' } });
});
