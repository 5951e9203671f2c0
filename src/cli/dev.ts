/**
 * `muster dev`, which is also `npm start`: a whole installation on one machine, with a fleet to roll out.
 * Nothing in it is a stand-in but the hosts: real PostgreSQL, real `muster serve` processes, real agents.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { acceptedEvents, auditLog, compareWithLog } from './dev/audit.ts';
import { killLeaderOnce, type Chaos } from './dev/chaos.ts';
import { checkDescriptors } from './dev/descriptors.ts';
import { sentence, SCHEMA, startInstallation, type Installation } from './dev/installation.ts';
import { lockDirectory } from './dev/lock.ts';
import { devHelp, readOptions, type DevOptions } from './dev/options.ts';
import { hostStates, readProgress, standing, type Progress } from './dev/progress.ts';
import { createScreen, summary, type Screen } from './dev/screen.ts';
import { EXIT, fail, printJson, UsageError, type Io } from './io.ts';

/** Fast enough to look alive; five aggregates over some thousand rows cost a few milliseconds. */
const LOOK_EVERY_MS = 500;
/** Inputs still queued at the end are reduced within milliseconds of a leader being there. */
const QUEUE_EMPTY_WITHIN_MS = 15_000;

export async function dev(args: string[], io: Io): Promise<number> {
  try {
    const options = readOptions(args);
    if (options !== undefined) return await run(options, io);
    io.stdout.write(devHelp);
    return EXIT.ok;
  } catch (error) {
    const code = error instanceof UsageError ? EXIT.usage : EXIT.no;
    return fail(io, { command: 'dev', json: args.includes('--json') }, code, sentence(error));
  }
}

async function run(options: DevOptions, io: Io): Promise<number> {
  checkDescriptors(options.hosts);
  const unlock = lockDirectory(options.dataDir);
  const interrupted = interruption();
  const startedAt = Date.now();
  const ref = randomBytes(20).toString('hex');
  const screen = createScreen(io, {
    terminal: process.stderr.isTTY && !options.json,
    columns: process.stderr.columns,
    title: `muster dev  ·  ${options.hosts} hosts  ·  ${ref.slice(0, 8)}`,
    now: () => Date.now(),
  });
  try {
    const installation = await startInstallation(options, ref, screen.say, interrupted.signal);
    try {
      screen.say(`endpoint ${installation.url}   logs in ${options.dataDir}/logs`);
      screen.say(`  ${tryOut(installation)}`);
      const chaos = options.chaos ? killLeaderOnce(installation.replicas, screen.say) : null;
      const last = await follow(options, installation, screen, chaos, interrupted);
      if (!options.once) return EXIT.ok;
      return await conclude(options, installation, last, chaos, startedAt, io);
    } finally {
      screen.say('stopping');
      await installation.stop();
    }
  } finally {
    interrupted.forget();
    unlock();
  }
}

/** A command to begin with. */
function tryOut({ url, organisation }: Installation): string {
  return organisation === null
    ? `curl -H 'X-Muster-Dev-Identity: operator:dev' ${url}/v1/rollouts`
    : `XDG_CONFIG_HOME=${organisation.clientHome} muster status`;
}

interface Interruption {
  readonly signal: AbortSignal;
  /** Resolves when the signal aborts. */
  readonly happened: Promise<void>;
  forget(): void;
}

/** The first Ctrl-C stops in order; a second one does not wait for it. */
function interruption(): Interruption {
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stop.signal.aborted) process.kill(process.pid, 'SIGKILL');
    stop.abort(signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  return {
    signal: stop.signal,
    happened: new Promise((resolve) => {
      stop.signal.addEventListener('abort', () => resolve(), { once: true });
    }),
    forget: () => {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}

/** Shows the rollouts until there is nothing left to wait for. */
async function follow(
  options: DevOptions,
  installation: Installation,
  screen: Screen,
  chaos: Chaos | null,
  { signal, happened }: Interruption,
): Promise<Progress> {
  const { sql, release } = installation;
  const until = options.once ? Date.now() + options.timeoutSeconds * 1000 : Infinity;
  for (;;) {
    const progress = await Promise.race([
      readProgress(sql, SCHEMA, release.rolloutIds),
      installation.failed,
    ]);
    screen.show(progress);
    chaos?.consider(progress);
    const done = standing(progress, release.rolloutIds.length) !== 'moving';
    if (signal.aborted || Date.now() > until || (options.once && done)) return progress;
    await Promise.race([delay(LOOK_EVERY_MS), happened]);
  }
}

/** The verdict of `--once`: its exit code, the reasons for people, the result for programs. */
async function conclude(
  options: DevOptions,
  installation: Installation,
  last: Progress,
  chaos: Chaos | null,
  startedAt: number,
  io: Io,
): Promise<number> {
  const { sql, release } = installation;
  await installation.fleet.stop();
  await untilQueueEmpty(installation);
  const problems = whyNot(last, release.rolloutIds);
  const audit = await auditLog(sql, SCHEMA);
  if (!audit.seqGapless) problems.push('the event log has gaps');
  problems.push(...(await losses(installation)));
  if (chaos?.hasKilled === false) problems.push('chaos never found its moment: nothing was killed');
  for (const problem of problems) io.stderr.write(`muster dev: ${problem}\n`);
  if (options.json) {
    printJson(io, {
      rollouts: last.rollouts.map((rollout) => ({
        rolloutId: rollout.rolloutId,
        state: rollout.state,
        hosts: hostStates(rollout),
      })),
      ...audit,
      elapsedMs: Date.now() - startedAt,
    });
  }
  return problems.length === 0 ? EXIT.ok : EXIT.no;
}

function whyNot(last: Progress, ids: readonly string[]): string[] {
  const problems = last.rollouts
    .filter((rollout) => rollout.state !== 'Terminal')
    .map((rollout) => `not Terminal: ${summary(rollout)}`);
  const missing = ids.filter((id) => !last.rollouts.some((rollout) => rollout.rolloutId === id));
  return [...problems, ...missing.map((id) => `never opened: ${id}`)];
}

async function losses({ sql, journal, release }: Installation): Promise<string[]> {
  const accepted = await acceptedEvents(journal, release.rolloutIds);
  const found = await compareWithLog(sql, SCHEMA, accepted, release.rolloutIds);
  const problems: string[] = [];
  const told = (what: string, keys: readonly string[]): void => {
    if (keys.length > 0) problems.push(`${keys.length} ${what}, such as ${keys[0]}`);
  };
  told(`of ${found.accepted} accepted events are not in the log`, found.missing);
  told('events were applied more than once', found.repeated);
  return problems;
}

async function untilQueueEmpty({ sql }: Installation): Promise<void> {
  const until = Date.now() + QUEUE_EMPTY_WITHIN_MS;
  while (Date.now() < until) {
    const [row] = await sql<{ rows: number }[]>`
      SELECT count(*)::int AS rows FROM ${sql(`${SCHEMA}.input_queue`)}`;
    if (row?.rows === 0) return;
    await delay(50);
  }
}
