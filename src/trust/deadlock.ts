/**
 * Configurations that could never finish: signed, well formed, and yet some host would wait for ever.
 * They are refused at the door, because a rollout that is stuck halfway is worse than one not begun.
 */
import type { Edge, Fleet } from './fleet.ts';
import type { RolloutManifest } from './manifest.ts';

/** A sentence naming the hosts or channels that wait for each other, or undefined. */
export function fleetDeadlock(fleet: Fleet): string | undefined {
  return (
    cycle('edges', fleet.edges) ??
    cycle('channelEdges', fleet.channelEdges) ??
    againstWaves(fleet.edges, plannedPlaces(fleet))
  );
}

/** The planner follows the manifest's own waves, so these are held against the fleet's edges as well. */
export function manifestDeadlock(fleet: Fleet, manifest: RolloutManifest): string | undefined {
  const { channel } = manifest;
  const places = new Map<string, Place>();
  for (const { hostname, waveIndex } of manifest.hostSet) {
    places.set(hostname, { channel, wave: waveIndex });
  }
  return againstWaves(fleet.edges, places);
}

interface Place {
  channel: string;
  wave: number;
}

/** The gating host comes in a later wave, and that wave waits for the gated host's. */
function againstWaves(
  edges: readonly Edge[],
  places: ReadonlyMap<string, Place>,
): string | undefined {
  for (const { gated, gates } of edges) {
    const [first, then] = [places.get(gates), places.get(gated)];
    if (first === undefined || first.channel !== then?.channel) continue;
    if (first.wave > then.wave) {
      return `edges: "${gated}" (wave ${String(then.wave)}) waits for "${gates}", which comes later (wave ${String(first.wave)})`;
    }
  }
  return undefined;
}

/** Of every host that its own channel puts into a wave; the first one counts. */
function plannedPlaces(fleet: Fleet): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>();
  for (const [channel, waves] of fleet.waves) {
    for (const [wave, { hosts }] of waves.entries()) {
      for (const host of hosts) {
        const isOwn = fleet.hosts.get(host)?.channel === channel;
        if (isOwn && !places.has(host)) places.set(host, { channel, wave });
      }
    }
  }
  return places;
}

/** Kahn's algorithm, not a recursive search: a chain may be as long as the fleet. */
function cycle(field: string, edges: readonly Edge[]): string | undefined {
  const waitsFor = new Map<string, Set<string>>();
  const gatedBy = new Map<string, string[]>();
  for (const { gated, gates } of edges) {
    waitsFor.set(gated, (waitsFor.get(gated) ?? new Set()).add(gates));
    const others = gatedBy.get(gates);
    if (others === undefined) gatedBy.set(gates, [gated]);
    else others.push(gated);
  }
  const free = [...gatedBy.keys()].filter((name) => !waitsFor.has(name));
  for (let name = free.pop(); name !== undefined; name = free.pop()) {
    for (const gated of gatedBy.get(name) ?? []) release(waitsFor, gated, name, free);
  }
  return waitsFor.size === 0 ? undefined : `${field}: a cycle, ${describeCycle(waitsFor)}`;
}

function release(
  waitsFor: Map<string, Set<string>>,
  gated: string,
  gates: string,
  free: string[],
): void {
  const left = waitsFor.get(gated);
  if (left?.delete(gates) !== true || left.size > 0) return;
  waitsFor.delete(gated);
  free.push(gated);
}

/** Whoever is left waits for another that is left: following that must come round. */
function describeCycle(waitsFor: ReadonlyMap<string, ReadonlySet<string>>): string {
  const seen = new Set<string>();
  let [name] = waitsFor.keys();
  while (name !== undefined && !seen.has(name)) {
    seen.add(name);
    [name] = waitsFor.get(name) ?? [];
  }
  const path = [...seen];
  const round = path.slice(name === undefined ? 0 : path.indexOf(name));
  const shown = round.length <= 10 ? round : [...round.slice(0, 10), '…'];
  return [...shown, round[0]].join(' waits for ');
}
