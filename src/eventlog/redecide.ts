/**
 * Deciding again: each logged input, with the `now` and the observed facts of its row, goes through the
 * reducer on the logged state, and what becomes of it is compared with what the log says became of it. The
 * tool to try a changed reducer on last month's log. After a difference the state follows the log, so that
 * each is told once.
 *
 * Inputs that left no row are not there to be decided; they changed nothing then.
 */
import type { Input, Observed } from '../reducer/input.ts';
import type { LogEntry } from '../reducer/log.ts';
import { cleanDirty } from '../reducer/state/dirty.ts';
import { dump, restore, setContent } from '../reducer/state/rows-io.ts';
import { reduceIf } from '../reducer/preview.ts';
import type { Settings } from '../reducer/settings.ts';
import type { FleetState } from '../reducer/state/state.ts';
import { millisOf } from '../reducer/time.ts';
import { contentHashes, decodeLoggedInput, hydrate } from '../wire/input.ts';
import { isJsonObject } from '../wire/text.ts';
import type { LogRow } from './read.ts';
import { foldLog, sorted } from './replay.ts';

export interface Redecided {
  /** Inputs that were decided again. */
  inputs: number;
  /** Inputs whose rows would be others today. */
  readonly differences: InputDifference[];
  /** Inputs that could not be decided again, and why. */
  readonly skipped: { readonly seq: number; readonly why: string }[];
}

export interface InputDifference {
  /** The input's own row. */
  readonly seq: number;
  /** The first row that differs: as logged, and as it would be; null where there is none. */
  readonly logged: ComparedRow | null;
  readonly decided: ComparedRow | null;
}

export type ComparedRow = Omit<LogEntry, 'payload' | 'changes'> & {
  readonly payload: unknown;
  readonly changes: unknown;
};

/** Stored content by hash; throws for what is not there. */
export type Contents = (hashes: readonly string[]) => Promise<(hash: string) => unknown>;

export class Redecider {
  readonly result: Redecided = { inputs: 0, differences: [], skipped: [] };
  private state: FleetState;
  private group: LogRow[] = [];
  private readonly contents: Contents;

  constructor(state: FleetState, contents: Contents) {
    this.state = state;
    this.contents = contents;
  }

  /** Takes the next row; an input is decided when the row after its last one comes, or at the end. */
  async take(row: LogRow): Promise<void> {
    if (row.causedBy === null) await this.end();
    this.group.push(row);
  }

  async end(): Promise<void> {
    const [root] = this.group;
    if (root === undefined) return;
    const rows = this.group;
    this.group = [];
    if (root.kind === 'leadership') this.takeOver(root);
    const opened = await this.open(root);
    if (typeof opened === 'string') {
      this.result.skipped.push({ seq: root.seq, why: opened });
      this.follow(rows);
      return;
    }
    this.result.inputs += 1;
    this.decide(opened, root, rows);
  }

  private decide(input: Input, root: LogRow, rows: readonly LogRow[]): void {
    const logged = rows.map(comparedRow);
    const decidedRow = (entry: LogEntry) => withoutYounger(comparedRow(entry), root);
    const { differences } = this.result;
    const before = differences.length;
    reduceIf(this.state, input, millisOf(root.ts), ({ entries }) => {
      const found = firstDifference(root.seq, logged, entries.map(decidedRow));
      if (found !== null) differences.push(found);
      return found === null;
    });
    if (differences.length === before) return;
    // What it declares is in force either way.
    if (input.kind === 'ManifestSetUpdated') setContent(this.state, input.fleet, input.manifests);
    this.follow(rows);
  }

  private follow(rows: readonly LogRow[]): void {
    foldLog(this.state, rows);
    this.state.dirty = cleanDirty();
  }

  /** A leader loads the tables, under its own settings, and then decides. */
  private takeOver({ payload }: LogRow): void {
    const { content, manifests, settings } = this.state;
    const state = restore(dump(this.state), asSettings(payload['settings'], settings));
    if (content !== null) setContent(state, content, [...manifests.values()]);
    this.state = state;
  }

  /** The input that an input's own row tells of, or why it cannot be had. */
  private async open(root: LogRow): Promise<Input | string> {
    try {
      const { kind, ...fields } = inputOf(root);
      const stored = decodeLoggedInput(kind, { kind, ...fields });
      const input = hydrate(stored, await this.contents(contentHashes(stored)));
      const observed = root.payload['observed'];
      return isObserved(observed) ? { ...input, observed } : input;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
}

function isObserved(value: unknown): value is Observed {
  return isJsonObject(value) && Array.isArray(value['offers']) && Array.isArray(value['heard']);
}

/** Numbers that were in force then; what a newer Muster added has its default. */
function asSettings(value: unknown, fallback: Settings): Settings {
  if (!isJsonObject(value)) return fallback;
  const given = (name: keyof Settings): number => {
    const number = value[name];
    return typeof number === 'number' ? number : fallback[name];
  };
  return {
    agentFreshnessMinutes: given('agentFreshnessMinutes'),
    offlineGraceMinutes: given('offlineGraceMinutes'),
    deliveredGraceMinutes: given('deliveredGraceMinutes'),
    moveGraceMinutes: given('moveGraceMinutes'),
    refusedAfterMinutes: given('refusedAfterMinutes'),
    heartbeatSeconds: given('heartbeatSeconds'),
  };
}

type Fields = { readonly kind: string } & Readonly<Record<string, unknown>>;

/** What was queued, as far as its row tells. */
function inputOf({ kind, payload, hostname, rolloutId, actor, ts }: LogRow): Fields {
  switch (kind) {
    case 'agent_event':
      return payload['event'] === undefined
        ? { ...payload, kind: 'RefusedEvent', hostname, rolloutId }
        : { kind: 'AgentEvent', hostname, rolloutId, event: payload['event'] };
    case 'host_report':
      return {
        ...{ kind: 'HostReport', hostname, at: payload['at'], currentClosure: payload['closure'] },
        ...{ rolloutId: payload['rolloutId'] ?? null, agentVersion: payload['agentVersion'] },
        lastEventSeqByRollout: payload['lastEventSeqByRollout'],
      };
    case 'manifest_set':
      return {
        kind: 'ManifestSetUpdated',
        fleetHash: payload['fleetHash'],
        manifests: payload['manifests'],
      };
    case 'verify_outcome':
      return payload['artifact'] === 'trust'
        ? { kind: 'TrustChanged', rejectBefore: payload['rejectBefore'] }
        : { ...payload, kind: 'VerifyOutcome' };
    case 'liveness':
      return { kind: 'HostsUnreachable', observedAt: ts, hosts: payload['hosts'] };
    case 'plan_action':
      return { ...payload, kind: 'Tick' };
    case 'rollout_event':
      return { kind: 'RetentionExpired', rolloutId };
    case 'enrolment': {
      // Verdicts are facts of the row, not of what was asked; the refusals of replicas are.
      const { event, ...fields } = payload;
      return { ...fields, kind: typeof event === 'string' ? event : '', hostname };
    }
    case 'leadership':
      return { ...payload, kind: 'LeaderStarted' };
    case 'operator_command':
      return {
        ...{ kind: 'OperatorCommand', actor, reason: payload['reason'] },
        ...{ expectedSeq: payload['expectedSeq'] ?? null, command: payload['command'] },
      };
    case 'transition':
    case 'gate_decision':
      throw new Error(`a ${kind} begins nothing`);
  }
}

function comparedRow(row: LogRow | LogEntry): ComparedRow {
  const { seq, kind, hostname, rolloutId, channel, actor, causedBy, payload, changes } = row;
  return { seq, kind, hostname, rolloutId, channel, actor, causedBy, payload, changes };
}

/** A newer Muster has settings that the term of an older one did not name: that they are not in its row is no other decision. */
function withoutYounger(decided: ComparedRow, { payload: { settings: named } }: LogRow) {
  const { payload } = decided;
  if (decided.kind !== 'leadership' || !isJsonObject(payload) || !isJsonObject(named))
    return decided;
  const { settings } = payload;
  if (!isJsonObject(settings)) return decided;
  const known = Object.entries(settings).filter(([name]) => Object.hasOwn(named, name));
  return { ...decided, payload: { ...payload, settings: Object.fromEntries(known) } };
}

function firstDifference(
  seq: number,
  logged: readonly ComparedRow[],
  decided: readonly ComparedRow[],
): InputDifference | null {
  for (let i = 0; i < Math.max(logged.length, decided.length); i += 1) {
    const [a, b] = [logged[i] ?? null, decided[i] ?? null];
    if (sorted(a) !== sorted(b)) return { seq, logged: a, decided: b };
  }
  return null;
}
