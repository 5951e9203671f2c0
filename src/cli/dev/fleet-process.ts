/**
 * The process of the simulated fleet: every host of a signed fleet.resolved, towards one endpoint. It has
 * its own process so that it competes with the replicas as real agents would, and can be killed alone.
 */
import { readFile } from 'node:fs/promises';
import { DEFAULT_SETTINGS, type AgentSettings } from '../../agent/agent.ts';
import { systemClock } from '../../agent/clock.ts';
import type { AgentLog } from '../../agent/hooks.ts';
import { JournalFile } from '../../agent/journal-file.ts';
import { runSimulatedFleet } from '../../agent/simulated-fleet.ts';
import { decodeTrust } from '../../trust/trust-file.ts';
import { verifyFleet } from '../../trust/verify.ts';
import { parseOptions } from '../io.ts';
import { fleetCertificates } from './organisation.ts';
import { closureOf } from './sample-fleet.ts';

const OPTIONS = {
  endpoint: { type: 'string', default: '' },
  /** A fleet.resolved.json with its signature beside it. */
  fleet: { type: 'string', default: '' },
  trust: { type: 'string', default: '' },
  journal: { type: 'string', default: '' },
  seed: { type: 'string', default: 'muster' },
  'heartbeat-seconds': { type: 'string', default: '60' },
  'first-heartbeat-seconds': { type: 'string', default: '1' },
  'activation-seconds': { type: 'string', default: '1' },
  'probe-seconds': { type: 'string', default: '1' },
  'freshness-minutes': { type: 'string', default: '60' },
  'fail-switch': { type: 'string', default: '0' },
  'fail-probe': { type: 'string', default: '0' },
  /** Of the endpoint's certificate; with it hosts prove who they are by certificates. */
  ca: { type: 'string' },
  /** A folder for each host: its token, and its certificate once it has one. */
  credentials: { type: 'string', default: '' },
} as const;

/** What hosts run that were never rolled out to. */
const FACTORY_REF = 'factory';

async function main(args: string[]): Promise<void> {
  const { values } = parseOptions({ args, options: OPTIONS });
  const millis = (text: string): number => Number(text) * 1000;
  const freshnessMinutes = Number(values['freshness-minutes']);
  const trust = decodeTrust(await readFile(values.trust));
  if (!trust.ok) throw new Error(`${values.trust}: ${trust.detail}`);
  const signed = {
    bytes: await readFile(values.fleet),
    sig: await readFile(`${values.fleet}.sig`),
  };
  const fleet = verifyFleet(signed, { trust: trust.value, now: systemClock.now() });
  if (!fleet.ok) throw new Error(`${values.fleet}: ${fleet.reason}: ${fleet.detail}`);
  const probeIntervalMs = millis(values['probe-seconds']);
  const settings: AgentSettings = {
    heartbeatMs: millis(values['heartbeat-seconds']),
    firstHeartbeatWithinMs: millis(values['first-heartbeat-seconds']),
    probeIntervalMs,
    // The same two rounds as in the field.
    sustainedFailureMs: 2 * probeIntervalMs,
    rebootCheckMs: Math.min(DEFAULT_SETTINGS.rebootCheckMs, 1_000),
  };
  const journal = await JournalFile.open(values.journal);
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  await runSimulatedFleet(
    {
      ...{ endpoint: values.endpoint, trust: trust.value, seed: values.seed, settings },
      ...{ freshnessMinutes, clock: systemClock, log: jsonLog() },
      hosts: [...fleet.artifact.value.hosts.keys()].map((hostname) => ({
        hostname,
        closure: closureOf(hostname, FACTORY_REF),
      })),
      activationMs: millis(values['activation-seconds']),
      misfortunes: {
        failSwitch: Number(values['fail-switch']),
        failProbe: Number(values['fail-probe']),
        deferSwitch: 0,
      },
      storeOf: (hostname) => journal.storeOf(hostname),
      ...(values.ca === undefined
        ? {}
        : {
            certificates: fleetCertificates({
              serverFile: values.ca,
              credentials: values.credentials,
            }),
          }),
    },
    stop.signal,
  );
  await journal.close();
}

function jsonLog(): AgentLog {
  const write = (level: string, facts: object, message: string): void => {
    process.stdout.write(
      `${JSON.stringify({ time: new Date().toISOString(), level, ...facts, message })}\n`,
    );
  };
  return {
    info: (facts, message) => write('info', facts, message),
    warn: (facts, message) => write('warn', facts, message),
  };
}

await main(process.argv.slice(2));
