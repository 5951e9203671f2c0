/**
 * What an agent does to its machine, behind two hooks, so that the runtime is the same on a NixOS host, in
 * a test and in a fleet of thousands of simulated ones.
 */
import type { DeclaredProbe, ProbeVerdict, SubResult } from '../reducer/host/events.ts';

/** What became of a switch. `deferred`: staged, and in force after the next reboot. */
export type SwitchOutcome =
  | { readonly kind: 'completed'; readonly observedClosure: string }
  | { readonly kind: 'failed'; readonly exitCode: number; readonly stderrTail: string }
  | { readonly kind: 'deferred'; readonly component: string };

/**
 * The switch runs in a unit of its own and outlives the agent: an aborted `signal` ends the waiting, never
 * the switch.
 */
export interface Switcher {
  /** Named in ActivationStarted. */
  readonly method: string;
  currentClosure(): Promise<string>;
  /** What the machine will boot into, where that is not what it runs: a switch that waits for its reboot. */
  stagedClosure(): Promise<string | null>;
  activate(closure: string, signal: AbortSignal): Promise<SwitchOutcome>;
  /** Resolves when no switch unit runs any more: at once, if none was left by an earlier life of the agent. */
  awaitIdle(signal: AbortSignal): Promise<void>;
}

export interface ProbeObservation {
  readonly status: ProbeVerdict;
  readonly failureReason?: string;
  readonly subResults?: readonly SubResult[];
}

export interface Probes {
  readonly declared: readonly DeclaredProbe[];
  /** Ends soon after `signal` aborts: a newer rollout waits for it. What it then says is not asked for. */
  run(probe: DeclaredProbe, signal: AbortSignal): Promise<ProbeObservation>;
}

/** A structured logger; pino fits. */
export interface AgentLog {
  info(facts: Readonly<Record<string, unknown>>, message: string): void;
  warn(facts: Readonly<Record<string, unknown>>, message: string): void;
}
