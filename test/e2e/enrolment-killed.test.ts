/**
 * kill -9 between the burn of a nonce, which is in the log then, and the answer with the certificate. The program
 * that signs is the one who kills: it is started after the burn was committed, and before anything is signed.
 */
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { X509Certificate } from 'node:crypto';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import {
  connect,
  disconnect,
  httpCarrier,
  type Reply,
} from '../../src/agent/http-control-plane.ts';
import type { Trouble } from '../../src/agent/control-plane.ts';
import { pendingRequest } from '../../src/agent/credentials.ts';
import { developmentOrganisation, type Organisation } from '../../src/cli/dev/organisation.ts';
import { developmentTrust, releaseOf } from '../../src/cli/dev/release.ts';
import { isJsonObject, parseJsonText } from '../../src/wire/text.ts';
import { eventually } from '../support/eventually.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { oneWave } from './support/one-wave.ts';
import { SCHEMA, startReplicas, type Replicas } from './support/replicas.ts';

const REF = 'dead'.padEnd(40, '0');
const HOST = 'web-01';

const undo: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** Notes what it is asked to sign; the first time it kills who asked, later it signs. */
function killingSigner(dir: string, keyFile: string) {
  const at = (name: string): string => path.join(dir, name);
  writeFileSync(
    at('sign.mjs'),
    `import { appendFileSync, mkdirSync, readFileSync, existsSync } from 'node:fs';
import { createPrivateKey, sign } from 'node:crypto';
const question = JSON.parse(readFileSync(0, 'utf8'));
appendFileSync(${JSON.stringify(at('asked'))}, question.serial + '\\n');
if (existsSync(${JSON.stringify(at('armed'))})) {
  process.kill(process.ppid, 'SIGKILL');
  process.exit(1);
}
const key = createPrivateKey(readFileSync(${JSON.stringify(keyFile)}));
const signature = sign('sha256', Buffer.from(question.tbs, 'base64'), key).toString('base64');
process.stdout.write(JSON.stringify({ signature }));
`,
  );
  const command = at('sign');
  writeFileSync(command, `#!/bin/sh\nexec ${process.execPath} ${at('sign.mjs')}\n`);
  chmodSync(command, 0o755);
  writeFileSync(at('armed'), '');
  const asked = (): string[] =>
    existsSync(at('asked')) ? readFileSync(at('asked'), 'utf8').trim().split('\n') : [];
  return { command, asked, disarm: () => rmSync(at('armed')) };
}

async function start(dir: string) {
  const { key, trustFile } = developmentTrust(dir);
  const organisation = await developmentOrganisation(dir, trustFile, [HOST]);
  const release = releaseOf(dir, oneWave([HOST], REF, 0), key, organisation.lists);
  await release.sign(Date.now());
  const { 'ca-key-file': keyFile, ...others } = organisation.settings;
  const signer = killingSigner(dir, String(keyFile));
  const settings = { ...others, 'ca-sign-command': signer.command };
  const replicas = await startReplicas({
    ...{ source: release.source, trustFile, organisation: { ...organisation, settings } },
  });
  undo.push(() => replicas.stop());
  return { replicas, organisation, signer };
}

type Answer = Reply | Trouble;

function asker({ url }: Replicas, { serverFile }: Organisation) {
  const ca = readFileSync(serverFile, 'utf8');
  const connections = connect(url, { hosts: 1, requests: 1 }, { ca });
  undo.push(() => disconnect(connections));
  const { short } = httpCarrier(connections, {});
  const { signal } = new AbortController();
  return (body: object): Promise<Answer> =>
    short({ method: 'POST', path: '/v1/enroll', body }, signal);
}

/** What its token let it in for, as the log has it. */
async function burns({ sql }: Replicas): Promise<{ serial: string; verdict: string | null }[]> {
  return sql`
    SELECT payload->'certificate'->>'serial' AS serial, payload->>'code' AS verdict
    FROM ${sql(`${SCHEMA}.event_log`)} WHERE kind = 'enrolment' ORDER BY seq`;
}

/** As an agent does: the same again until there is an answer that is not 503. */
async function persistently(
  ask: () => Promise<Answer>,
): Promise<{ status: number; body: unknown }> {
  for (;;) {
    const answer = await ask();
    if (answer.kind === 'reply' && answer.status !== 503) {
      const body = parseJsonText(answer.body.toString());
      return { status: answer.status, body: body.ok ? body.value : null };
    }
    await delay(200);
  }
}

function serialIn(body: unknown): string {
  const pem = isJsonObject(body) ? body['certPem'] : undefined;
  return typeof pem === 'string' ? new X509Certificate(pem).serialNumber.toLowerCase() : 'none';
}

test('a replica killed after the burn: the same request collects that certificate, and nothing else is signed', async () => {
  const dir = makeScratchDir('killed');
  const { replicas, organisation, signer } = await start(dir);
  const ask = asker(replicas, organisation);
  const own = path.join(organisation.credentials, HOST);
  const token: unknown = JSON.parse(readFileSync(path.join(own, 'token.json'), 'utf8'));
  const { csrPem } = await pendingRequest({ dir: own, name: HOST });

  // What the agent sees: no answer. What is there by then: the burn, with the certificate that it is for.
  expect((await ask({ token, csrPem })).kind).toBe('trouble');
  const ends = () => replicas.replicas.map(({ process: { signalCode } }) => signalCode);
  await eventually(ends).toContain('SIGKILL');
  const [burn, ...more] = await burns(replicas);
  expect([burn?.verdict, more, signer.asked()]).toEqual([null, [], [burn?.serial]]);

  signer.disarm();
  const answers = [
    await persistently(() => ask({ token, csrPem })),
    await persistently(() => ask({ token, csrPem })),
  ];
  expect(answers.map(({ status, body }) => [status, serialIn(body)])).toEqual([
    [200, burn?.serial],
    [200, burn?.serial],
  ]);
  // Of the burnt nonce there is one certificate, however often somebody signs it; and its row was there first.
  expect(new Set(signer.asked())).toEqual(new Set([burn?.serial]));
  expect(await burns(replicas)).toEqual([burn]);
});
