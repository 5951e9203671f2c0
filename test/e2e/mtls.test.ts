/**
 * A fleet that proves who it is: hosts enrol with bootstrap tokens and roll out over TLS, on two replicas. In the
 * middle one host is revoked by a signed list, then the leader is killed. All others arrive, that one never does, and
 * the log tells each step of it.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { auditLog } from '../../src/cli/dev/audit.ts';
import { developmentOrganisation, type Organisation } from '../../src/cli/dev/organisation.ts';
import { developmentTrust, releaseOf } from '../../src/cli/dev/release.ts';
import { eventually } from '../support/eventually.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { tlsClient, type TlsClient } from '../support/tls-client.ts';
import { startFleet } from './support/fleet.ts';
import { oneWave } from './support/one-wave.ts';
import { SCHEMA, startReplicas, type Replicas } from './support/replicas.ts';

const REF = '5ea1ed'.padEnd(40, '0');
const ROLLOUT = `stable@${REF}`;
const HOSTS = Array.from({ length: 9 }, (_, i) => `host-${String(i + 1).padStart(2, '0')}`);
const AT_ONCE = 3;
/** Longer than a revocation takes: a host that waits when it is signed does not arrive before it is in force. */
const SOAK_SECONDS = 2;
const PATIENCE = { timeout: 60_000 };

const undo: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const identityOf = ({ credentials }: Organisation, hostname: string): string =>
  path.join(credentials, hostname, 'identity.pem');

function clientOf(url: string, organisation: Organisation, hostname: string) {
  const { serverFile } = organisation;
  const pem = readFileSync(identityOf(organisation, hostname), 'utf8');
  const options = { ca: readFileSync(serverFile, 'utf8'), pair: { cert: pem, key: pem } };
  const client = tlsClient(Number(new URL(url).port), options);
  undo.push(() => client.close());
  return client;
}

/** Something that every host may ask, and that changes nothing. */
async function heard(client: TlsClient) {
  const { status, reused, code } = await client.ask('/v1/fleet.resolved/sig');
  return { reused, answer: status < 300 ? 'served' : code };
}

async function statesOf({ sql }: Replicas): Promise<ReadonlyMap<string, string>> {
  const rows = await sql<{ hostname: string; state: string }[]>`
    SELECT hostname, state FROM ${sql(`${SCHEMA}.host_rollout`)} WHERE rollout_id = ${ROLLOUT}`;
  return new Map(rows.map(({ hostname, state }) => [hostname, state]));
}

const converged = (states: ReadonlyMap<string, string>): string[] =>
  [...states].flatMap(([host, state]) => (state === 'Converged' ? [host] : [])).sort();

/** What the log tells of a kind, by host and what happened. */
async function told({ sql }: Replicas, kind: string, what: string): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    SELECT DISTINCT coalesce(hostname, payload->>'artifact') || ' ' || (payload->>${what}) AS line
    FROM ${sql(`${SCHEMA}.event_log`)} WHERE kind = ${kind} ORDER BY 1`;
  return rows.map(({ line }) => line);
}

test('enrolled hosts roll out over mTLS; one is revoked and the leader killed on the way', async () => {
  const dir = makeScratchDir('mtls');
  const { key, trustFile } = developmentTrust(dir);
  const organisation = await developmentOrganisation(dir, trustFile, HOSTS);
  const release = releaseOf(
    dir,
    oneWave(HOSTS, REF, SOAK_SECONDS, AT_ONCE),
    key,
    organisation.lists,
  );
  await release.sign(Date.now());
  const flags = ['--heartbeat-seconds', '2'];
  const replicas = await startReplicas({ ...release, trustFile, flags, organisation });
  undo.push(() => replicas.stop());
  const fleet = startFleet({ endpoint: replicas.url, hosts: HOSTS, trustFile, organisation });
  undo.push(() => fleet.stop());

  let revoked = 'none';
  let witness = 'none';
  const chosen = async () => {
    const states = await statesOf(replicas);
    // Pending it is from the opening on, enrolled or not: it must have been let in to be put out.
    const waits = (host: string) =>
      states.get(host) === 'Pending' && existsSync(identityOf(organisation, host));
    // Who has converged has enrolled, which some of the others may still be asking for.
    [witness = 'none'] = converged(states);
    revoked = (witness !== 'none' && HOSTS.findLast(waits)) || 'none';
    return revoked;
  };
  await eventually(chosen, PATIENCE).not.toBe('none');
  const others = HOSTS.filter((host) => host !== revoked);
  const gone = clientOf(replicas.url, organisation, revoked);
  const other = clientOf(replicas.url, organisation, witness);
  expect([await heard(gone), await heard(other)]).toEqual([
    { reused: false, answer: 'served' },
    { reused: false, answer: 'served' },
  ]);
  const notBefore = new Date().toISOString();
  const revocations = [{ hostname: revoked, notBefore, reason: 'stolen' }];
  organisation.lists.set('revocations.json', { schemaVersion: 1, revocations });
  await release.sign(Date.now());
  let last = await heard(gone);
  // Who asks in a loop is told `not-accepted` beyond so many requests a second, which says nothing of who it is.
  while (['served', 'not-accepted'].includes(last.answer)) last = await heard(gone);
  // Not a new handshake was refused, but the next request of the connection that had been served.
  expect(last).toEqual({ reused: true, answer: 'unauthenticated' });
  expect(await heard(other)).toEqual({ reused: true, answer: 'served' });

  const { replica, epoch } = await replicas.leader();
  replica.process.kill('SIGKILL');
  await eventually(async () => converged(await statesOf(replicas)), PATIENCE).toEqual(others);
  expect((await replicas.leader()).epoch).toBeGreaterThan(epoch);
  expect(converged(await statesOf(replicas))).not.toContain(revoked);
  expect((await heard(gone)).answer).toBe('unauthenticated');

  expect(await told(replicas, 'enrolment', 'event')).toEqual(
    HOSTS.map((host) => `${host} EnrolmentRequested`),
  );
  expect(await told(replicas, 'verify_outcome', 'ok')).toEqual(
    expect.arrayContaining(['revocations true', 'bootstrap-nonces true']),
  );
  const reached = await told(replicas, 'transition', 'to');
  expect(reached).toEqual(expect.arrayContaining(others.map((host) => `${host} Converged`)));
  expect(reached).not.toContain(`${revoked} Converged`);
  const heardOf = eventually(() => told(replicas, 'liveness', 'event'), PATIENCE);
  await heardOf.toContain(`${revoked} HostUnreachable`);
  expect(await auditLog(replicas.sql, SCHEMA)).toMatchObject({ seqGapless: true, leaderEpochs: 2 });
});
