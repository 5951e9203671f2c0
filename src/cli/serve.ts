/** `muster serve`: one process with any of the roles `api`, `leader`, `workers`, until SIGTERM or SIGINT. */
import { loadConfig, unknownVariables, type Config } from '../config.ts';
import { isStrict, lacking, OPTIONAL } from '../config/strict.ts';
import { createLogger, startServer } from '../main.ts';
import type { Logger } from '../telemetry.ts';
import { missingLists } from '../main/lists.ts';
import { EXIT, type Io } from './io.ts';
import { allocateAllInNursery } from './nursery.ts';
import { version } from './version.ts';

export const serveHelp = `muster serve [--roles api,leader,workers] [--listen-host HOST] [--listen-port PORT]
             [--source DIR|URL] [--trust-file FILE] [any other setting]

Serves until SIGTERM or SIGINT, then stops in order. Every setting is an environment variable
MUSTER_… or a flag of the same name; docs/configuration.md has them all. MUSTER_DATABASE_URL is needed.

Exit codes: 0 stopped cleanly; 1 could not start, or something did not stop in time; 2 wrong settings.
`;

export async function serve(args: string[], io: Io): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout.write(serveHelp);
    return EXIT.ok;
  }
  const loaded = loadConfig(args);
  // Whatever is missing is said together: a restart for each would be one too many.
  const missing = loaded.config === undefined ? [] : await missingLists(loaded.config);
  if (!loaded.ok || missing.length > 0) {
    const others = loaded.ok ? [] : loaded.problems;
    const isTold = missing.length === 0 || others.includes(OPTIONAL);
    const problems = [...missing, ...others, ...(isTold ? [] : [OPTIONAL])];
    const list = problems.map((problem) => `  - ${problem}\n`).join('');
    io.stderr.write(`muster serve: the settings are not usable:\n${list}`);
    return EXIT.usage;
  }
  allocateAllInNursery();
  const log = createLogger(loaded.config);
  const unknown = unknownVariables();
  if (unknown.length > 0) {
    log.warn({ unknown }, 'these variables set nothing; docs/configuration.md has the names');
  }
  sayStrictness(loaded.config, log);
  const stopAsked = signalled(log);
  endInTime(stopAsked, loaded.config.stopDeadlineSeconds, log);
  try {
    const server = await startServer(loaded.config, version(), log);
    log.info({ signal: await Promise.race([stopAsked, server.unfit]) }, 'stopping');
    const late = await server.stop();
    if (late.length === 0) return EXIT.ok;
    log.error({ late }, 'the stop deadline passed; these did not stop');
    // What hangs would keep the process: nothing it could still do is worth that.
    process.exit(EXIT.no);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.error({ reason }, 'cannot serve; mend what the reason names, then start again');
    // What was started already (sessions, timers) would keep a process that serves nobody.
    process.exit(EXIT.no);
  }
}

/** Whoever goes without strict mode learns what else they go without. */
function sayStrictness(config: Config, log: Logger): void {
  if (isStrict(config)) return;
  const missing = lacking(config);
  if (config.devIdentity) log.warn({ missing }, 'MUSTER_DEV_IDENTITY: any caller is believed');
  else log.warn({ missing }, 'MUSTER_STRICT=false: not protected as production must be');
}

/** So that the stop order, which has the same deadline, says first what it was late with. */
const LAST_WORD_MS = 500;

/**
 * The process is gone by its deadline, whatever keeps it: a handle that something forgot, or a start that has not come
 * to its end. Nobody else would end it, but for a supervisor's kill.
 */
function endInTime(stopAsked: Promise<unknown>, deadlineSeconds: number, log: Logger): void {
  void stopAsked.then(() => {
    const end = (): void => {
      const left = process.getActiveResourcesInfo();
      log.error({ left }, 'the stop deadline passed, and these still kept the process');
      process.exit(EXIT.no);
    };
    setTimeout(end, deadlineSeconds * 1_000 + LAST_WORD_MS).unref();
  });
}

/** The first signal asks; a second one, from an impatient person, ends the process at once. */
function signalled(log: Logger): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (asked) {
        log.warn({ signal }, 'stopping at once');
        process.exit(EXIT.no);
      }
      asked = true;
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
