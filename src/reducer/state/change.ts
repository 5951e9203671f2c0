/**
 * A state change is an assignment: these fields of this row now have these values. A change to a row that
 * is not there creates it (with all its fields given); `set: null` removes it. No change carries a rule.
 *
 * Three forms exist for size: `records` creates the Pending records of a whole rollout, `blocker` sets one
 * list of gates on many hosts, and `prune` removes all that hangs on a rollout but its own row. In a record, `probes` is merged by probe name and `null` empties it.
 */
import type {
  ChannelRow,
  DispatchRow,
  EnrolmentRow,
  FleetRow,
  HostRow,
  QuarantineRow,
  RecordRow,
  RolloutRow,
  TokenRow,
} from './rows.ts';
import type { Time } from '../time.ts';
import type { ProbeStatus } from '../host/record.ts';

type Fields<Row> = { readonly [K in keyof Omit<Row, 'seq'>]?: Row[K] };

/** `[hostname, wave, targetClosure]` */
export type PlannedHost = readonly [string, number, string];

export type RecordSet = Omit<Fields<RecordRow>, 'probes'> & {
  readonly probes?: Readonly<Record<string, ProbeStatus>> | null;
};

export type Change =
  | { readonly t: 'fleet'; readonly set: Fields<FleetRow> }
  | { readonly t: 'channel'; readonly channel: string; readonly set: Fields<ChannelRow> }
  | { readonly t: 'rollout'; readonly rolloutId: string; readonly set: Fields<RolloutRow> }
  | {
      readonly t: 'records';
      readonly rolloutId: string;
      readonly channel: string;
      readonly hosts: readonly PlannedHost[];
    }
  | {
      readonly t: 'record';
      readonly rolloutId: string;
      readonly hostname: string;
      readonly set: RecordSet;
    }
  | { readonly t: 'host'; readonly hostname: string; readonly set: Fields<HostRow> }
  | {
      readonly t: 'dispatch';
      readonly rolloutId: string;
      readonly hostname: string;
      readonly set: Fields<DispatchRow> | null;
    }
  | {
      readonly t: 'quarantine';
      readonly channel: string;
      readonly closure: string;
      readonly set: Fields<QuarantineRow> | null;
    }
  | {
      readonly t: 'probeFailure';
      readonly rolloutId: string;
      readonly hostname: string;
      readonly probeName: string;
      readonly controlId: string;
      readonly set: { readonly since: Time } | null;
    }
  | {
      readonly t: 'blocker';
      readonly rolloutId: string;
      readonly hosts: readonly string[];
      readonly gates: readonly string[];
      readonly since: Time | null;
      /** Gates that a host's row has already keep their time. Without it, times beside `since` are left alone. */
      readonly keep?: true;
    }
  | {
      readonly t: 'token';
      readonly tokenId: string;
      /** Whole: a token never changes. */
      readonly set: Omit<TokenRow, 'seq' | 'tokenId'> | null;
    }
  | {
      readonly t: 'enrolment';
      readonly nonce: string;
      readonly set: Fields<EnrolmentRow> | null;
    }
  | { readonly t: 'prune'; readonly rolloutId: string };
