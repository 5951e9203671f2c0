/**
 * A machine that is not there: switches take some time and mostly succeed, probes mostly pass. What goes
 * wrong follows from the seed, the host and the closure alone, so a run can be repeated and a release that
 * is bad on a host stays bad there.
 */
import type { DeclaredProbe } from '../reducer/host/events.ts';
import type { Millis } from '../reducer/time.ts';
import { jittered, seededRandom, type Clock } from './clock.ts';
import type { ProbeObservation, Probes, Switcher, SwitchOutcome } from './hooks.ts';
import type { JournalLine } from './journal.ts';

/** Fractions of hosts, 0 … 1, that suffer this in a given release. */
export interface Misfortunes {
  readonly failSwitch: number;
  readonly failProbe: number;
  readonly deferSwitch: number;
}

export interface SimulatedHostOptions {
  readonly hostname: string;
  /** What it runs at first. */
  readonly closure: string;
  readonly seed: string;
  readonly clock: Clock;
  /** The longest that a switch takes; the shortest is half of it. */
  readonly activationMs: Millis;
  readonly misfortunes: Misfortunes;
}

const PROBES: readonly DeclaredProbe[] = [
  { probeName: 'service-up', kind: 'systemd', mode: 'enforce' },
  { probeName: 'disk-space', kind: 'exec', mode: 'observe' },
];

/** A deferred switch is in force this long after it was staged: the machine's owner reboots it. */
const REBOOT_AFTER_MS = 3_000;

export interface SimulatedHost {
  readonly switcher: Switcher;
  readonly probes: Probes;
}

export function simulatedHost(options: SimulatedHostOptions): SimulatedHost {
  const { hostname, seed, clock, misfortunes } = options;
  const random = seededRandom(`${seed}/${hostname}`);
  const original = options.closure;
  let closure = options.closure;
  let staged: { readonly closure: string; readonly at: Millis } | null = null;

  /** Whether this release meets this host with that misfortune: always the same answer. */
  const unlucky = (what: keyof Misfortunes, target: string): boolean =>
    target !== original &&
    seededRandom(`${seed}/${what}/${hostname}/${target}`)() < misfortunes[what];

  const activate = async (target: string, signal: AbortSignal): Promise<SwitchOutcome> => {
    await clock.sleep(jittered(options.activationMs, random), signal);
    if (unlucky('failSwitch', target)) {
      return { kind: 'failed', exitCode: 4, stderrTail: `simulated: switch to ${target} failed` };
    }
    if (unlucky('deferSwitch', target)) {
      staged = { closure: target, at: clock.now() };
      return { kind: 'deferred', component: 'kernel' };
    }
    closure = target;
    return { kind: 'completed', observedClosure: target };
  };

  const currentClosure = (): Promise<string> => {
    if (staged !== null && clock.now() - staged.at >= REBOOT_AFTER_MS) {
      closure = staged.closure;
      staged = null;
    }
    return Promise.resolve(closure);
  };

  const stagedClosure = (): Promise<string | null> => Promise.resolve(staged?.closure ?? null);

  const run = (probe: DeclaredProbe): Promise<ProbeObservation> => {
    const bad = probe.mode === 'enforce' && unlucky('failProbe', closure);
    return Promise.resolve(
      bad ? { status: 'fail', failureReason: 'simulated: unit is failed' } : { status: 'pass' },
    );
  };

  return {
    switcher: {
      ...{ method: 'simulated', currentClosure, stagedClosure, activate },
      awaitIdle: () => Promise.resolve(),
    },
    probes: { declared: PROBES, run },
  };
}

/**
 * What a simulated host runs after its process was restarted, read from its journal: a switch that was
 * under way then has ended well since, as the unit of a real one would have without its agent.
 */
export function closureAfter(lines: readonly JournalLine[], initial: string): string {
  let closure = initial;
  const targets = new Map<string, string>();
  for (const line of lines) {
    if (line.t === 'open') targets.set(line.snapshot.rolloutId, line.snapshot.targetClosure);
    if (line.t !== 'event') continue;
    const { event } = line;
    if (event.kind === 'DispatchAck') closure = targets.get(line.rolloutId) ?? closure;
    if (event.kind === 'ActivationFailed') closure = priorOf(lines, line.rolloutId) ?? closure;
    if (event.kind === 'RollbackComplete') closure = event.revertedToClosure;
  }
  return closure;
}

function priorOf(lines: readonly JournalLine[], rolloutId: string): string | null {
  for (const line of lines) {
    if (line.t !== 'event' || line.rolloutId !== rolloutId) continue;
    if (line.event.kind === 'DispatchAck') return line.event.currentClosureAtDispatch;
  }
  return null;
}
