/**
 * The time between a switch and trust in it. Probes run at intervals; the first sighting, the first failure and each
 * change, of a probe or of a control under it, are reported. It ends Converged when the soak is over and every enforced
 * probe passes, or Failed when one of them has failed for too long.
 */
import type { DeclaredProbe, HealthPolicy, HostEvent, SubResult } from '../reducer/host/events.ts';
import type { HostRecord } from '../reducer/host/record.ts';
import { millisOf, timeOf, type Millis } from '../reducer/time.ts';
import { ended, type Clock } from './clock.ts';
import type { ProbeObservation, Probes, Switcher } from './hooks.ts';

/** An event without its seq, which the journal gives. */
export type Unnumbered = HostEvent extends infer E
  ? E extends HostEvent
    ? Omit<E, 'seq'>
    : never
  : never;

export interface SoakSettings {
  readonly probeIntervalMs: Millis;
  /** How long an enforced probe may fail before the release counts as failed. */
  readonly sustainedFailureMs: Millis;
}

export interface SoakParts {
  readonly clock: Clock;
  readonly probes: Probes;
  readonly switcher: Switcher;
  readonly settings: SoakSettings;
  readonly policy: HealthPolicy;
  record(): HostRecord;
  emit(event: Unnumbered): Promise<void>;
}

/** Probes until the record leaves Soaking or `signal` aborts. */
export async function soak(parts: SoakParts, signal: AbortSignal): Promise<void> {
  const failingSince = new Map<string, Millis>();
  const controls = new Map<string, string>();
  await declare(parts);
  while (!ended(signal) && parts.record().state === 'Soaking') {
    for (const probe of parts.probes.declared) {
      if (probe.mode === 'disabled' || ended(signal)) continue;
      const seen = await parts.probes.run(probe, signal);
      if (ended(signal)) return;
      await report(parts, controls, probe, seen);
      remember(failingSince, probe, seen, parts.clock.now());
    }
    await conclude(parts, failingSince);
    // Not by what was tried: our own `step` may have refused it, and would at once again.
    if (parts.record().state === 'Soaking') await parts.clock.sleep(untilNextLook(parts), signal);
  }
}

/** A restart may have brought other probes: what is no longer run has no say in how the soak ends. */
async function declare(parts: SoakParts): Promise<void> {
  const { declared } = parts.probes;
  const { declaredProbes, probes } = parts.record();
  if (declaredProbes === null || !isSame(declaredProbes, declared)) {
    await parts.emit({
      kind: 'ProbeTopologyDeclared',
      probes: declared,
      declaredAt: now(parts),
    });
  }
  const run = new Set(
    declared.flatMap((probe) => (probe.mode === 'disabled' ? [] : [probe.probeName])),
  );
  for (const [probeName, { status, mode }] of Object.entries(probes)) {
    if (run.has(probeName) || mode === 'disabled') continue;
    const observedAt = now(parts);
    await parts.emit({ kind: 'ProbeResult', probeName, mode: 'disabled', status, observedAt });
  }
}

function isSame(known: readonly DeclaredProbe[], declared: readonly DeclaredProbe[]): boolean {
  const text = (probes: readonly DeclaredProbe[]): string =>
    JSON.stringify(probes.map(({ probeName, kind, mode }) => [probeName, kind, mode]));
  return text(known) === text(declared);
}

async function report(
  parts: SoakParts,
  controls: Map<string, string>,
  probe: DeclaredProbe,
  seen: ProbeObservation,
): Promise<void> {
  const { probeName, mode } = probe;
  const before = parts.record();
  if (before.probeObservedFirstAt === null) {
    await parts.emit({ kind: 'ProbeObservedFirst', probeName, mode, observedAt: now(parts) });
  }
  if (seen.status === 'fail' && before.probeFailureFirstAt === null) {
    await parts.emit({ kind: 'ProbeFailureFirst', probeName, mode, firstFailedAt: now(parts) });
  }
  const known = Object.hasOwn(before.probes, probeName) ? before.probes[probeName] : undefined;
  // The record does not hold controls: after a restart they are told once more.
  const latest = textOfControls(seen.subResults ?? []);
  const areControlsKnown = latest === (controls.get(probeName) ?? textOfControls([]));
  if (known?.status === seen.status && known.mode === mode && areControlsKnown) return;
  controls.set(probeName, latest);
  await parts.emit({ kind: 'ProbeResult', probeName, mode, observedAt: now(parts), ...seen });
}

/** What of them the control plane judges by, in an order of its own. */
function textOfControls(controls: readonly SubResult[]): string {
  const texts = controls.map(({ framework, controlId, article, status, effectiveMode }) =>
    JSON.stringify([framework, controlId, article, status, effectiveMode]),
  );
  return texts.sort().join();
}

function remember(
  failingSince: Map<string, Millis>,
  probe: DeclaredProbe,
  seen: ProbeObservation,
  at: Millis,
): void {
  if (probe.mode !== 'enforce' || seen.status === 'pass') failingSince.delete(probe.probeName);
  else if (!failingSince.has(probe.probeName)) failingSince.set(probe.probeName, at);
}

/** Ends the soak if it has come to its end. */
async function conclude(
  parts: SoakParts,
  failingSince: ReadonlyMap<string, Millis>,
): Promise<void> {
  const at = parts.clock.now();
  const sustained = Math.max(0, ...[...failingSince.values()].map((since) => at - since));
  if (failingSince.size > 0 && sustained >= parts.settings.sustainedFailureMs) {
    await parts.emit({
      kind: 'Failed',
      failedAt: timeOf(at),
      sustainedDurationSecs: Math.floor(sustained / 1000),
      failingProbes: [...failingSince.keys()],
      policyApplied: parts.policy,
    });
    return;
  }
  const { soakDueAt } = parts.record();
  if (failingSince.size > 0 || (soakDueAt !== null && at < millisOf(soakDueAt))) return;
  const currentClosure = await parts.switcher.currentClosure();
  if (currentClosure !== parts.record().targetClosure) return;
  await parts.emit({ kind: 'Converged', convergedAt: timeOf(at), currentClosure });
}

/** The next round of probes, or the end of the soak if that comes first. */
function untilNextLook(parts: SoakParts): Millis {
  const { soakDueAt } = parts.record();
  const left = soakDueAt === null ? 0 : millisOf(soakDueAt) - parts.clock.now();
  return left > 0 ? Math.min(left, parts.settings.probeIntervalMs) : parts.settings.probeIntervalMs;
}

function now(parts: SoakParts): string {
  return timeOf(parts.clock.now());
}
