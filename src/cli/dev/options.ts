/** The options of `muster dev`, with what they are sized by. */
import path from 'node:path';
import { parseOptions, UsageError } from '../io.ts';

export interface DevOptions {
  readonly hosts: number;
  readonly port: number;
  readonly portGiven: boolean;
  readonly soakSeconds: number;
  readonly timeoutSeconds: number;
  readonly once: boolean;
  readonly chaos: boolean;
  readonly json: boolean;
  readonly dataDir: string;
  readonly failSwitch: number;
  readonly failProbe: number;
  readonly tls: boolean;
}

export const devHelp = `muster dev [options]

A whole installation on this machine: an embedded PostgreSQL, two \`muster serve\` processes behind a small
balancer, a signed sample fleet and simulated agents that roll it out. Every start signs a new release.
Ctrl-C stops everything; the data stays.

  --hosts N                size of the fleet (default 24, at least 6)
  --port N                 port of the one endpoint (default 7070, or a free one if that is taken)
  --soak-seconds S         soak of each wave (default 2)
  --once                   end when every rollout is Terminal: 0, or 1 and why not
  --timeout-seconds S      how long --once may take (default by the number of hosts)
  --chaos                  kill the leading process (SIGKILL) once, in the middle
  --tls                    agents, operator and replicas speak TLS with certificates: hosts enrol with bootstrap tokens
  --data-dir DIR           where everything is kept (default .muster)
  --fail-switch F          fraction of hosts whose switch fails (default 0)
  --fail-probe F           fraction of hosts whose probes fail (default 0)
  --json                   with --once: the last line of stdout is the result as JSON
`;

const OPTIONS = {
  hosts: { type: 'string', default: '24' },
  port: { type: 'string' },
  'soak-seconds': { type: 'string', default: '2' },
  'timeout-seconds': { type: 'string' },
  once: { type: 'boolean', default: false },
  chaos: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  tls: { type: 'boolean', default: false },
  'data-dir': { type: 'string', default: '.muster' },
  'fail-switch': { type: 'string', default: '0' },
  'fail-probe': { type: 'string', default: '0' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Every role of the sample fleet needs a host. */
const MIN_HOSTS = 6;
/** What one endpoint on one machine can hold open: a socket here and two in the balancer for each host. */
const MAX_HOSTS = 5_000;
/** With TLS each has connections, keys and a verification of its own in the one process of the fleet. */
const MAX_TLS_HOSTS = 500;
const DEFAULT_PORT = 7070;
/** Starting PostgreSQL and two replicas on a slow, busy machine. */
const START_SECONDS = 90;
/** Two cores take some 10 hosts a second through their dozen events; budgets make waves go in turns. */
const SECONDS_PER_HOST = 0.3;
/** Waves, and turns within them, come one after the other: this many soaks at the most. */
const SOAKS = 20;

/** undefined: help was asked for. */
export function readOptions(args: string[]): DevOptions | undefined {
  const { values } = parseOptions({ args, options: OPTIONS });
  if (values.help) return undefined;
  const most = values.tls ? MAX_TLS_HOSTS : MAX_HOSTS;
  const hosts = number('--hosts', values.hosts, MIN_HOSTS, most, true);
  const soakSeconds = number('--soak-seconds', values['soak-seconds'], 0, 86_400, false);
  const enough = Math.ceil(START_SECONDS + hosts * SECONDS_PER_HOST + soakSeconds * SOAKS);
  return {
    ...{ hosts, soakSeconds, once: values.once, chaos: values.chaos, json: values.json },
    tls: values.tls,
    port: number('--port', values.port ?? String(DEFAULT_PORT), 0, 65_535, true),
    portGiven: values.port !== undefined,
    timeoutSeconds: number(
      '--timeout-seconds',
      values['timeout-seconds'] ?? String(enough),
      1,
      86_400,
      false,
    ),
    dataDir: path.resolve(values['data-dir']),
    failSwitch: number('--fail-switch', values['fail-switch'], 0, 1, false),
    failProbe: number('--fail-probe', values['fail-probe'], 0, 1, false),
  };
}

function number(flag: string, text: string, min: number, max: number, whole: boolean): number {
  const value = Number(text);
  const fits = text.trim() !== '' && value >= min && value <= max;
  if (fits && (!whole || Number.isInteger(value))) return value;
  const kind = whole ? 'a whole number' : 'a number';
  throw new UsageError(`${flag} ${text}: give ${kind} from ${min} to ${max}`);
}
