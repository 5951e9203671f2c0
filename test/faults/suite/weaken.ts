/**
 * Ways to weaken the product on purpose: one textual change each, made in a copy of what was built, which the named
 * faults must then find out: `npm run test:faults -- --weaken NAME` (or `all`). Nothing of it is in the product. A
 * change that no longer fits its file is an error, so that this list keeps pace with the code (`weaken.test.ts`).
 *
 * The fence is not among them: behind it stand the primary key of the log and the lock, so that no fault shows its
 * absence alone. `test/leader/fence.test.ts` does, with a term that lost its lock without noticing.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Row } from './fault.ts';

export interface Weakening {
  readonly name: string;
  /** What is weak then. */
  readonly what: string;
  /** Below `dist`. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** Faults of which each alone would do. */
  readonly faults: readonly string[];
  /** The harm that this weakness does, seen in a row; any other failure does not count. */
  readonly shows: (row: Row) => boolean;
}

const lost = (row: Row): boolean => row.lost > 0;

export const WEAKENINGS: readonly Weakening[] = [
  {
    name: 'reply-before-commit',
    what: 'events are answered 202 before the statement that stores them has committed',
    file: 'queue/submitter.js',
    from: 'const stored = await store(entrance, input, waits);',
    to: "void store(entrance, input, waits);\n    if (input.kind === 'AgentEvent') return { status: 'queued' };\n    const stored = 0;",
    faults: ['postgres-immediate'],
    shows: lost,
  },
  {
    name: 'delete-by-cursor',
    what: 'decided inputs leave the queue by the highest id, not one by one',
    file: 'queue/claim.js',
    from: 'AND id = ANY(${plainArray(ids)}::bigint[])`;\n    return done.count;',
    to: 'AND id <= ${Math.max(...ids)}`;\n    return done.count < 0 ? 0 : ids.length;',
    faults: ['late-lower-id'],
    shows: ({ why }) => why.some((reason) => reason.includes('dead inputs')),
  },
  {
    name: 'repeats-applied',
    what: 'an event that was applied already is applied again',
    file: 'reducer/inputs/agent-event.js',
    from: 'if (event.seq <= record.lastEventSeq)',
    to: 'if (event.seq < record.lastEventSeq)',
    faults: ['kill-before-reply', 'kill-after-enqueue'],
    shows: ({ duplicated, why }) => duplicated > 0 || why.some((one) => one.startsWith('refused')),
  },
  {
    name: 'standby-not-awaited',
    what: 'a wait for the synchronous standby that was cancelled counts as durable',
    file: 'db/confirmed.js',
    from: 'if (pool.unconfirmed !== before)',
    to: 'if (pool.unconfirmed < before)',
    faults: ['promote-beside-old-primary'],
    shows: lost,
  },
  {
    name: 'limits-blamed-on-values',
    what: 'what the server refuses at any limit of its own counts as a value that can never be stored',
    file: 'db/errors.js',
    from: 'return MEASURES_VALUES.has(routine)',
    to: 'return true',
    faults: ['notifications-full'],
    shows: lost,
  },
  {
    name: 'commands-not-stored',
    what: 'commands are answered 202 and never stored',
    file: 'queue/keyed.js',
    from: 'return await submit(request, waitMs);',
    to: "return { status: 'queued', repeated: false };",
    faults: ['kill-after-enqueue'],
    shows: lost,
  },
  {
    name: 'reports-refused-and-told',
    what: 'heartbeats are answered 200 although the queue refused their reports',
    file: 'api/hearing.js',
    from: "if (submitted.status === 'unavailable') {",
    to: 'if (false) {',
    faults: ['cut-enqueue'],
    shows: lost,
  },
  {
    name: 'lost-told-safe',
    what: 'whoever waits for a verdict when a standby took over is told 202: it is stored',
    file: 'queue/verdicts.js',
    from: "this.endWaits('gone');",
    to: 'this.endWaits(null);',
    faults: ['promote-asynchronous-waiting'],
    shows: lost,
  },
  {
    name: 'told-undecided',
    what: 'an event that is stored is answered as if it were decided, and accepted',
    file: 'queue/submitter.js',
    from: 'const judged = waits && left > 0 ? await verdicts.wait(stored, left) : null;',
    to: "const judged = { status: 'judged', verdict: { status: 'applied' }, seqs: [] };",
    faults: ['kill-after-enqueue'],
    shows: ({ why }) => why.some((reason) => reason.includes('must be refused')),
  },
  {
    name: 'promotion-unseen',
    what: 'a standby that took over is the database of before, until somebody leads there',
    file: 'queue/verdicts.js',
    from: 'if (now.timeline !== before.timeline)',
    to: 'if (false)',
    faults: ['promote-asynchronous-leaderless'],
    shows: lost,
  },
  {
    name: 'clock-trusted',
    what: "the log takes the time of the leader's own clock",
    file: 'leader/leader.js',
    from: 'keepingTime(options.clock, lock.now)',
    to: 'options.clock',
    faults: ['clock-ahead'],
    shows: ({ why }) => why.some((reason) => reason.includes("ahead of the database's clock")),
  },
  {
    name: 'work-by-own-clock',
    what: 'what is signed is judged by the clock of the process that works',
    file: 'workers/workers.js',
    from: 'keepingTime(context.clock, lock.now)',
    to: 'context.clock',
    faults: ['clock-steps'],
    shows: ({ why }) => why.some((reason) => reason.includes('is not offered')),
  },
];

/** What was built has not the text that is to be changed, or has it twice. */
export class UnfitError extends Error {
  override readonly name = 'UnfitError';
}

/** The text of its file with the change in it. */
export function weakened(text: string, { file, from, to, name }: Weakening): string {
  if (text.split(from).length !== 2) {
    throw new UnfitError(`${name}: ${file} has not once: ${from}`);
  }
  return text.replace(from, () => to);
}

/** A copy of `dist` with the change in it; the caller removes it. */
export function weaken(dist: string, weakening: Weakening): string {
  const text = weakened(fs.readFileSync(path.join(dist, weakening.file), 'utf8'), weakening);
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), `muster-${weakening.name}-`));
  const copy = path.join(dir, 'dist');
  const ours = new Set(['faults', 'simulator', 'bench'].map((part) => path.join(dist, part)));
  fs.cpSync(dist, copy, { recursive: true, filter: (from) => !ours.has(from) });
  for (const beside of ['node_modules', 'migrations', 'package.json']) {
    fs.symlinkSync(path.resolve(dist, '..', beside), path.join(dir, beside));
  }
  fs.writeFileSync(path.join(copy, weakening.file), text);
  return copy;
}
