/**
 * What the leader is told of verification: each outcome of an artifact once, by whichever process works, and again when
 * it changes, or changes back. What of the source does not pass now is read off these (`readRefused`).
 */
import type { ToldOutcome } from '../db/artifacts.ts';
import type { StoredInput } from '../wire/input.ts';
import type { WorkerContext } from './worker.ts';

type VerifyOutcomeInput = Extract<StoredInput, { kind: 'VerifyOutcome' }>;

/** Of verified artifacts, by their path in the source. */
export type Hashes = ReadonlyMap<string, string>;

/** Of each artifact the last outcome, in the order in which they were told. */
type Said = ReadonlyMap<string, string>;

export class Outcomes {
  private readonly toldBefore: () => Promise<readonly ToldOutcome[]>;
  private readonly submit: WorkerContext['submit'];
  /** Null until it was read. */
  private said: Said | null = null;

  constructor(toldBefore: () => Promise<readonly ToldOutcome[]>, submit: WorkerContext['submit']) {
    this.toldBefore = toldBefore;
    this.submit = submit;
  }

  async tellInForce(hashes: Hashes): Promise<void> {
    const isBack = isBackFrom(await this.known(), hashes);
    for (const [artifact, hash] of hashes) {
      const outcome = { artifact, ok: true, reason: null, detail: 'verified', hash };
      const how = isBack && artifact === FLEET ? 'again' : 'once';
      await this.tell({ kind: 'VerifyOutcome', ...outcome }, how);
    }
  }

  /** False: it was told already. */
  async tell(input: VerifyOutcomeInput, how: 'once' | 'again' = 'once'): Promise<boolean> {
    const said = await this.known();
    const outcome = outcomeOf(input);
    const isTold = said.get(input.artifact) === outcome && !isOvertaken(said, input);
    if (how === 'once' && isTold) return false;
    // A submission that fails may have been stored all the same: then look again.
    this.said = null;
    await this.submit(input);
    this.said = withLast(said, input.artifact, outcome);
    return true;
  }

  private async known(): Promise<Said> {
    this.said ??= newestOf(await this.toldBefore());
    return this.said;
  }
}

const FLEET = 'fleet.resolved';

/**
 * Whether a manifest that this set does not hold was refused after its fleet was told of: it was another set's, and
 * only word of this one's fleet says that the source is back.
 */
function isBackFrom(said: Said, hashes: Hashes): boolean {
  if (!hashes.has(FLEET)) return false;
  const order = [...said.keys()];
  return order
    .slice(order.indexOf(FLEET) + 1)
    .some((name) => isManifest(name) && !hashes.has(name) && !isOk(said.get(name)));
}

/** Whether a fleet passed since this manifest was refused: the next refusal is another set's, and news. */
function isOvertaken(said: Said, { ok, artifact }: VerifyOutcomeInput): boolean {
  if (ok || !isManifest(artifact) || !isOk(said.get(FLEET))) return false;
  const order = [...said.keys()];
  return order.indexOf(artifact) < order.indexOf(FLEET);
}

function isManifest(artifact: string): boolean {
  return artifact.startsWith('rollouts/');
}

/** Two polls with the same reason and bytes have one outcome; the detail may hold an age, which grows. */
function outcomeOf({ reason, hash }: Pick<ToldOutcome, 'reason' | 'hash'>): string {
  return `${reason ?? 'ok'} ${hash ?? ''}`;
}

function isOk(outcome: string | undefined): boolean {
  return outcome?.startsWith('ok ') === true;
}

function newestOf(told: readonly ToldOutcome[]): Said {
  const said = new Map<string, string>();
  for (const one of told.toReversed()) {
    said.delete(one.artifact);
    said.set(one.artifact, outcomeOf(one));
  }
  return said;
}

function withLast(said: Said, artifact: string, outcome: string): Said {
  return new Map([...said].filter(([name]) => name !== artifact)).set(artifact, outcome);
}
