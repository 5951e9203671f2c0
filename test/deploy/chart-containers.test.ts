/** What the chart's pods run: commands, environment and probes of the rendered objects, as local processes. */
import 'reflect-metadata';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { ExtendedKeyUsage } from '@peculiar/x509';
import { describe, expect, it } from 'vitest';
import { freePort } from '../../src/cli/dev/free-port.ts';
import { at, HELM, one, render, type Rendered } from '../chart/support/helm.ts';
import { newAuthority } from '../support/certificates.ts';
import { createRoleDatabase, type RoleDatabase } from '../support/roles.ts';
import { imageDefaults, runContainer, untilOk, type Container } from './support/container.ts';
import { mountRelease } from './support/release.ts';

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly secretKeyRef?: { readonly key: string };
    readonly fieldRef?: { readonly fieldPath: string };
  };
}

interface Pod {
  readonly spec: Readonly<Record<string, unknown>>;
  readonly container: {
    readonly command?: string[];
    readonly args?: string[];
    readonly env?: Variable[];
    readonly [probe: string]: unknown;
  };
}

function podOf(object: Rendered): Pod {
  const spec = at(object, object.kind === 'Pod' ? 'spec' : 'spec.template.spec') as Pod['spec'];
  return { spec, container: at(spec, 'containers.0') as Pod['container'] };
}

/** The database's Secret: URLs by the keys that values name. */
type Secret = Readonly<Record<string, string>>;

/** As the guides make it; a trial has one login, which owns the schema. */
function secretOf(database: RoleDatabase, isStrict: boolean): Secret {
  if (!isStrict) return { url: database.as('owner') };
  const [api, leader, owner] = [database.as('api'), database.as('leader'), database.as('owner')];
  return { url: api, api, leader, owner };
}

/** Variables as the kubelet would set them; a key that the Secret lacks is empty, where a pod would not start. */
function variables(
  { container }: Pod,
  from: Readonly<Record<string, string>>,
  secret: Secret,
): Record<string, string> {
  const env: Record<string, string> = { ...from };
  for (const { name, value, valueFrom } of container.env ?? []) {
    if (value !== undefined)
      env[name] = value.replace(/\$\((\w+)\)/g, (_, of: string) => env[of] ?? '');
    else if (valueFrom?.secretKeyRef !== undefined)
      env[name] = secret[valueFrom.secretKeyRef.key] ?? '';
    else env[name] = valueFrom?.fieldRef?.fieldPath === 'metadata.name' ? 'pod-0' : '127.0.0.1';
  }
  return env;
}

async function probe(
  { container }: Pod,
  name: string,
  port: number,
  running: Container,
): Promise<void> {
  const { path, scheme } = at(container, `${name}.httpGet`) as { path: string; scheme: string };
  await untilOk(`${scheme.toLowerCase()}://127.0.0.1:${port}${path}`, running);
}

/** Certificates where the mounted files would be, for the variables that name them. */
async function mountCertificates(dir: string, env: Record<string, string>): Promise<void> {
  if (env['MUSTER_TLS_CERT_FILE'] === undefined) return;
  const [listeners, fleet, operators] = await Promise.all(
    ['listeners', 'fleet', 'operators'].map((name) => newAuthority(name)),
  );
  const pair = await listeners?.issue({ dns: ['muster'], usages: [ExtendedKeyUsage.serverAuth] });
  const files = [
    ['MUSTER_TLS_CERT_FILE', pair?.cert],
    ['MUSTER_TLS_KEY_FILE', pair?.key],
    ['MUSTER_CLIENT_CA_FILE', fleet?.cert],
    ['MUSTER_OPERATOR_CA_FILE', operators?.cert],
  ] as const;
  for (const [name, content = ''] of files.filter(([name]) => name in env)) {
    expect(env[name]).toMatch(/^\/etc\/muster\/[\w-]+\/[\w.-]+$/);
    env[name] = path.join(dir, `${name}.pem`);
    writeFileSync(env[name], content, { mode: 0o600 });
  }
}

describe.skipIf(HELM === null).each(['default', 'split', 'small'])(
  'ci/%s-values.yaml',
  (values) => {
    it('runs', async () => {
      const objects = render(values, 'migrations.args=[]', 'database.schema="muster"');
      const database = await createRoleDatabase();
      const isStrict = values !== 'small';
      const secret = secretOf(database, isStrict);
      const release = await mountRelease(values);
      const image = imageDefaults();
      const data = at(one(objects, 'ConfigMap', 'rel-muster'), 'data') as Record<string, string>;

      const job = podOf(one(objects, 'Job'));
      const migrate = [...image.entrypoint, ...(job.container.args ?? [])];
      const migration = runContainer(migrate, variables(job, {}, secret));
      expect([await migration.exit(), migration.log()]).toEqual([
        0,
        expect.stringContaining('nothing to do'),
      ]);
      expect(data['MUSTER_STRICT']).toBe(String(isStrict));

      const running: [Container, number][] = [];
      for (const deployment of objects.filter(({ kind }) => kind === 'Deployment')) {
        const pod = podOf(deployment);
        const port = await freePort();
        const env = variables(pod, data, secret);
        env['MUSTER_LISTEN_HOST'] = '127.0.0.1';
        env['MUSTER_LISTEN_PORT'] = String(port);
        env['MUSTER_SOURCE'] = release.source;
        env['MUSTER_TRUST_FILE'] = release.trustFile;
        delete env['MUSTER_SOURCE_TOKEN']; // for a URL only
        await mountCertificates(release.dir, env);
        const serve = runContainer([...image.entrypoint, ...(pod.container.args ?? [])], env);
        await probe(pod, 'startupProbe', port, serve);
        await probe(pod, 'livenessProbe', port, serve);
        running.push([serve, port]);
      }
      for (const [container, port] of running) {
        const scheme = 'MUSTER_TLS_CERT_FILE' in data ? 'https' : 'http';
        await untilOk(`${scheme}://127.0.0.1:${port}/readyz`, container);
        expect(container.log()).not.toContain('these variables set nothing');
        expect(container.log().includes('not protected as production must be')).toBe(!isStrict);
      }
      await helmTest(objects, running[0]?.[1] ?? 0);
      for (const [container] of running) container.process.kill('SIGTERM');
      for (const [container] of running) expect(await container.exit()).toBe(0);
      await database.drop();
    });
  },
);

/** The hook's own command, towards the pod instead of its Service. */
async function helmTest(objects: readonly Rendered[], port: number): Promise<void> {
  const { container } = podOf(one(objects, 'Pod'));
  const [url = ''] = container.args ?? [];
  expect(url).toMatch(/^https?:\/\/rel-muster:8080\/readyz$/);
  const local = url.replace('rel-muster:8080', `127.0.0.1:${port}`);
  const test = runContainer([...(container.command ?? []), local], {});
  expect([await test.exit(), test.log()]).toEqual([0, expect.stringContaining('200')]);
}
