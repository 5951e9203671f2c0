/**
 * Reducing a batch in memory: inputs one by one, each with its own `now`, into everything that one
 * transaction must hold. Nothing is durable here; whatever is not committed is dropped with the state.
 */
import { chaining, type NewRow } from '../eventlog/append.ts';
import type { ClaimedInput, NewVerdict } from '../queue/claim.ts';
import { openInput, type Opened } from '../queue/open-input.ts';
import type { Input, Observed, ObservationNeeds } from '../reducer/input.ts';
import type { LogEntry, Verdict } from '../reducer/log.ts';
import { observationNeeds, reduceSliced } from '../reducer/reduce.ts';
import type { FleetState } from '../reducer/state/state.ts';
import { timeOf, type Millis } from '../reducer/time.ts';
import { INPUT_KINDS } from '../wire/input.ts';
import { MOST_SEQS } from '../wire/seqs.ts';
import { inTurns, Turns } from './turns.ts';
import { weigh, type Weight } from './weight.ts';

export interface DeadInput {
  readonly input: ClaimedInput;
  readonly error: string;
}

interface Outcome {
  readonly kind: string;
  readonly verdict: string;
  count: number;
}

/** What a transaction must write, in the making. */
export interface Work {
  readonly ids: number[];
  readonly rows: NewRow[];
  readonly entries: LogEntry[];
  readonly verdicts: NewVerdict[];
  readonly dead: DeadInput[];
  /** Dispatches taken back here: the database still has their offers, which speak of no later grant. */
  readonly takenBack: Set<string>;
  readonly weight: Weight;
  /** How many inputs of a kind became what, for metrics. */
  readonly outcomes: Map<string, Outcome>;
}

export function emptyWork(): Work {
  return {
    ids: [],
    rows: [],
    entries: [],
    verdicts: [],
    dead: [],
    takenBack: new Set(),
    weight: weigh(),
    outcomes: new Map(),
  };
}

export interface Desk {
  readonly state: FleetState;
  readonly epoch: number;
  readonly now: () => Millis;
  /** Milliseconds from anywhere, for how long a stretch of work has taken. */
  readonly monotonic: () => number;
  /** Hash of the last row, committed or in the making. */
  headHash: Uint8Array;
  /** The `now` of the last Tick (a takeover looks at everything too); 0 before the first. */
  tickedAt: Millis;
  /** Opens the writer transaction if need be, locks and looks. */
  readonly observe: (needs: ObservationNeeds) => Promise<Observed>;
  readonly contents: (hashes: readonly string[]) => Promise<(hash: string) => unknown>;
  /** Inputs that made the reducer throw before: id and error. */
  readonly poison: ReadonlyMap<number, string>;
}

/** The reducer threw: the state is half changed and must be dropped; this input is poison from now on. */
export class PoisonError extends Error {
  override readonly name = 'PoisonError';
  readonly inputId: number;

  constructor(inputId: number, cause: unknown) {
    super(errorText(cause));
    this.inputId = inputId;
  }
}

const DEAD_VERDICT: Verdict = {
  status: 'refused',
  code: 'malformed',
  detail: 'the control plane cannot process this input; it is kept in dead_input with the error',
  state: null,
  lastEventSeq: null,
};

/** Decides one claimed input. Throws PoisonError when the state is lost with it. */
export async function decide(desk: Desk, work: Work, claimed: ClaimedInput): Promise<void> {
  work.ids.push(claimed.id);
  const opened = await open(desk, claimed);
  if (!opened.ok) {
    work.dead.push({ input: claimed, error: opened.error });
    settle(work, claimed, DEAD_VERDICT, []);
    noteOutcome(work, claimed.kind, 'dead');
    return;
  }
  const { entries, verdict } = await decideInput(desk, work, opened.input, claimed.id);
  settle(work, claimed, verdict, entries);
  noteOutcome(work, claimed.kind, verdict.status);
}

/** What metrics call a kind: the queue's is text that anybody may have stored, and a label must be bounded. */
function kindLabel(kind: string): string {
  return INPUT_KINDS.includes(kind) ? kind : UNKNOWN_KIND;
}

export const UNKNOWN_KIND = 'unknown';

function noteOutcome({ outcomes }: Work, of: string, verdict: string): void {
  const kind = kindLabel(of);
  const key = `${kind} ${verdict}`;
  const known = outcomes.get(key);
  if (known === undefined) outcomes.set(key, { kind, verdict, count: 1 });
  else known.count += 1;
}

/** Reduces an input of any origin and adds its rows to the work. */
export async function decideInput(
  desk: Desk,
  work: Work,
  input: Input,
  inputId: number,
): Promise<{ readonly entries: readonly LogEntry[]; readonly verdict: Verdict }> {
  const { state } = desk;
  const now = Math.max(desk.now(), state.lastTs);
  const needs = observationNeeds(state, input, now);
  const seen = needs === null ? input : { ...input, observed: await look(desk, work, needs) };
  const turns = new Turns(desk.monotonic);
  const { entries, verdict } = await attempt(
    inputId,
    inTurns(reduceSliced(state, seen, now), turns),
  );
  const rows = chaining(entries, timeOf(now), desk.epoch, desk.headHash);
  addRows(desk, work, entries, await inTurns(rows, turns));
  if (input.kind === 'Tick' || input.kind === 'LeaderStarted') desk.tickedAt = now;
  return { entries, verdict };
}

async function look(desk: Desk, work: Work, needs: ObservationNeeds): Promise<Observed> {
  const { offers, heard } = await desk.observe(needs);
  return { offers: offers.filter((offer) => !work.takenBack.has(dispatchKey(offer))), heard };
}

function noteTakenBack(work: Work, entries: readonly LogEntry[]): void {
  for (const { changes } of entries) {
    for (const change of changes) {
      if (change.t === 'dispatch' && change.set === null) work.takenBack.add(dispatchKey(change));
    }
  }
}

function dispatchKey(of: { readonly rolloutId: string; readonly hostname: string }): string {
  return `${of.rolloutId}\u0000${of.hostname}`;
}

function addRows(
  desk: Desk,
  work: Work,
  entries: readonly LogEntry[],
  rows: readonly NewRow[],
): void {
  for (const row of rows) work.rows.push(row);
  for (const entry of entries) work.entries.push(entry);
  noteTakenBack(work, entries);
  work.weight.add(desk.state, entries, rows);
  desk.headHash = rows.at(-1)?.hash ?? desk.headHash;
}

async function attempt<T>(inputId: number, reducing: Promise<T>): Promise<T> {
  try {
    return await reducing;
  } catch (error) {
    throw new PoisonError(inputId, error);
  }
}

function open(desk: Desk, claimed: ClaimedInput): Opened | Promise<Opened> {
  const error = desk.poison.get(claimed.id);
  return error === undefined ? openInput(claimed, desk.contents) : { ok: false, error };
}

function settle(
  work: Work,
  { id, replica, together }: ClaimedInput,
  verdict: Verdict,
  entries: readonly LogEntry[],
): void {
  if (replica === null) return;
  const seqs = entries.slice(0, MOST_SEQS).map((entry) => entry.seq);
  work.verdicts.push({ inputId: id, replica, verdict, seqs, together });
}

function errorText(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
