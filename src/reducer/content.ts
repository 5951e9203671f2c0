/**
 * The verified declarations that decisions follow: what `src/trust` accepted, reduced to the fields the
 * core reads. Nulls and aliases are already normalised away. Nothing here is ever changed by Muster.
 */
import type { HealthPolicy } from './host/events.ts';
import type { Time } from './time.ts';

export interface Selector {
  readonly tags: readonly string[];
  readonly tagsAny: readonly string[];
  readonly hosts: readonly string[];
  readonly channel: string | null;
  readonly all: boolean;
}

export interface BudgetContent {
  readonly selector: Selector;
  readonly hosts: readonly string[];
  readonly maxInFlight: number | null;
  readonly maxInFlightPct: number | null;
}

export interface WaveContent {
  readonly hosts: readonly string[];
  /** Minutes; fractions are accepted for trials. */
  readonly soakMinutes: number;
}

export interface PolicyContent {
  readonly waves: readonly { readonly soakMinutes: number }[];
  readonly onHealthFailure: HealthPolicy;
  readonly onNewRef: 'supersede' | 'finish-first';
  readonly maxFailures: number | null;
}

export interface ChannelContent {
  readonly rolloutPolicy: string;
  /** Minutes a signature counts as fresh. */
  readonly freshnessWindow: number;
}

/** `gated` waits for `gates`. */
export interface Edge {
  readonly gated: string;
  readonly gates: string;
}

/** What decisions need of a verified fleet.resolved. */
export interface FleetContent {
  /** SHA-256 hex of the JCS bytes. */
  readonly hash: string;
  readonly signedAt: Time;
  /** The ref that every channel with a closure declares; null when the fleet carries none. */
  readonly ref: string | null;
  readonly hosts: ReadonlyMap<
    string,
    { readonly channel: string; readonly closureHash: string | null }
  >;
  readonly channels: ReadonlyMap<string, ChannelContent>;
  readonly policies: ReadonlyMap<string, PolicyContent>;
  readonly waves: ReadonlyMap<string, readonly WaveContent[]>;
  readonly edges: readonly Edge[];
  readonly channelEdges: readonly Edge[];
}

/** What decisions need of a verified rollout manifest. */
export interface ManifestContent {
  readonly rolloutId: string;
  readonly hash: string;
  readonly displayName: string;
  readonly channel: string;
  readonly channelRef: string;
  readonly signedAt: Time;
  readonly hostSet: readonly {
    readonly hostname: string;
    readonly waveIndex: number;
    readonly targetClosure: string;
  }[];
  readonly maxFailures: number | null;
  readonly budgets: readonly BudgetContent[];
}
