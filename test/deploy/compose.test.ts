/** docker-compose.yml cannot rot: its commands, environment, ports and probes, as processes of this machine. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { freePort } from '../../src/cli/dev/free-port.ts';
import { createTestDatabase } from '../support/database.ts';
import { imageDefaults, runContainer, untilOk, type Container } from './support/container.ts';
import { mountRelease } from './support/release.ts';

interface Service {
  readonly build?: string;
  readonly image: string;
  readonly command?: string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly profiles?: string[];
  readonly ports?: string[];
  readonly volumes?: string[];
  readonly read_only?: boolean;
  readonly stop_grace_period?: string;
}

const compose = parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};
const ours = Object.entries(compose.services).filter(([, service]) => service.build !== undefined);
const replicas = ours.filter(([, { command }]) => command === undefined);

/** `${NAME:-fallback}` as compose fills it in when nothing is set. */
function filled(value: string): string {
  return value.replace(/\$\{\w+:-([^}]*)\}/g, '$1');
}

interface Places {
  readonly databaseUrl: string;
  readonly source: string;
  readonly trustFile: string;
}

function localEnv(service: Service, port: number, places: Places): Record<string, string> {
  const env = Object.entries(service.environment ?? {}).map(([name, value]) => [
    name,
    filled(value),
  ]);
  const here = Object.fromEntries(env) as Record<string, string>;
  expect(here['MUSTER_DATABASE_URL']).toBe('postgres://muster:muster@postgres:5432/muster');
  here['MUSTER_DATABASE_URL'] = places.databaseUrl;
  if ('MUSTER_LISTEN_PORT' in here) {
    expect(here).toMatchObject({
      MUSTER_LISTEN_HOST: '0.0.0.0',
      MUSTER_LISTEN_PORT: '8080',
      MUSTER_SOURCE: '/fleet/release',
      MUSTER_TRUST_FILE: '/fleet/trust.json',
    });
    here['MUSTER_LISTEN_HOST'] = '127.0.0.1';
    here['MUSTER_LISTEN_PORT'] = String(port);
    here['MUSTER_SOURCE'] = places.source;
    here['MUSTER_TRUST_FILE'] = places.trustFile;
  }
  return here;
}

it('migrates, serves from every replica, reports health, and stops on SIGTERM', async () => {
  const { url: databaseUrl } = await createTestDatabase({ empty: true });
  const places = { databaseUrl, ...(await mountRelease('compose')) };
  const image = imageDefaults();
  const migrate = compose.services['migrate'];
  if (migrate?.command === undefined) throw new Error('no migrate service');
  const job = runContainer([...image.entrypoint, ...migrate.command], localEnv(migrate, 0, places));
  expect([await job.exit(), job.log()]).toEqual([0, expect.stringContaining('applied 0001')]);

  expect(replicas.map(([name]) => name)).toEqual(['muster-1', 'muster-2', 'muster-3']);
  const started: [string, Container, Record<string, string>][] = [];
  for (const [name, service] of replicas) {
    const env = localEnv(service, await freePort(), places);
    started.push([name, runContainer([...image.entrypoint, ...image.command], env), env]);
  }
  for (const [name, container, env] of started) {
    await untilOk(`http://127.0.0.1:${String(env['MUSTER_LISTEN_PORT'])}/readyz`, container);
    const health = runContainer(image.healthcheck, env);
    expect([await health.exit(), name, health.log()]).toEqual([
      0,
      name,
      expect.stringContaining('200'),
    ]);
    expect(container.log()).not.toContain('these variables set nothing');
  }
  for (const [, container] of started) container.process.kill('SIGTERM');
  for (const [name, container] of started)
    expect([name, await container.exit()]).toEqual([name, 0]);
  const [, , env = {}] = started[0] ?? [];
  expect(await runContainer(image.healthcheck, env).exit()).toBe(1);
});

it('balances over exactly the replicas, and scrapes each', () => {
  const haproxy = readFileSync('docker/haproxy.cfg', 'utf8');
  const servers = [...haproxy.matchAll(/^ {2}server (\S+) (\S+):(\d+)$/gm)].map(([, ...s]) => s);
  expect(servers).toEqual(replicas.map(([name]) => [name, name, '8080']));
  expect(haproxy).toContain('mode tcp');
  const prometheus = parse(readFileSync('docker/prometheus.yml', 'utf8')) as {
    scrape_configs: { static_configs: { targets: string[] }[] }[];
  };
  expect(prometheus.scrape_configs[0]?.static_configs[0]?.targets).toEqual(
    replicas.map(([name]) => `${name}:8080`),
  );
});

it('publishes on loopback only, and runs ours without rights', () => {
  const ports = Object.values(compose.services).flatMap((service) => service.ports ?? []);
  expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  for (const [, service] of ours) {
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
  }
  expect(imageDefaults().user).toMatch(/^[1-9]\d*:/);
  for (const [, service] of replicas)
    expect(parseInt(service.stop_grace_period ?? '0')).toBeGreaterThan(25);
});

it('mounts files that are there', () => {
  const mounts = Object.values(compose.services).flatMap((service) => service.volumes ?? []);
  for (const mount of mounts.filter((text) => text.startsWith('./'))) {
    expect(() => readFileSync(mount.split(':')[0] ?? '')).not.toThrow(/ENOENT/);
  }
});
