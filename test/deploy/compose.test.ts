/** docker-compose.yml cannot rot: its commands, environment, ports and probes, as processes of this machine. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { freePort } from '../../src/cli/dev/free-port.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { imageDefaults, runContainer, untilOk, type Container } from './support/container.ts';

interface Service {
  readonly build?: string;
  readonly image: string;
  readonly entrypoint?: string[];
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
  /** What is mounted as /fleet. */
  readonly fleet: string;
}

const here = (text: string, { fleet }: Places): string => text.replace('/fleet', fleet);

function localEnv(service: Service, port: number, places: Places): Record<string, string> {
  const env = Object.entries(service.environment ?? {}).map(([name, value]) => [
    name,
    here(filled(value), places),
  ]);
  const local = Object.fromEntries(env) as Record<string, string>;
  expect(local['MUSTER_DATABASE_URL']).toBe('postgres://muster:muster@postgres:5432/muster');
  local['MUSTER_DATABASE_URL'] = places.databaseUrl;
  if ('MUSTER_LISTEN_PORT' in local) {
    expect(local).toMatchObject({ MUSTER_LISTEN_HOST: '0.0.0.0', MUSTER_LISTEN_PORT: '8080' });
    local['MUSTER_LISTEN_HOST'] = '127.0.0.1';
    local['MUSTER_LISTEN_PORT'] = String(port);
  }
  return local;
}

/** A folder as the service `trial` fills it, and a database as `migrate` leaves it. */
async function prepared(name: string): Promise<Places> {
  const { url: databaseUrl } = await createTestDatabase({ empty: true });
  const places = { databaseUrl, fleet: path.resolve(makeScratchDir(name)) };
  const trial = start('trial', {}, places, ['--hosts=6', '--soak-seconds=0.5']);
  expect(await trial.exit(), trial.log()).toBe(0);
  const migrate = start('migrate', localEnv(service('migrate'), 0, places), places);
  expect([await migrate.exit(), migrate.log()]).toEqual([
    0,
    expect.stringContaining('applied 0001'),
  ]);
  return places;
}

function service(name: string): Service {
  const found = compose.services[name];
  if (found === undefined) throw new Error(`docker-compose.yml has no service ${name}`);
  return found;
}

function start(
  name: string,
  env: Readonly<Record<string, string>>,
  places: Places,
  more: readonly string[] = [],
): Container {
  const image = imageDefaults();
  const { entrypoint = image.entrypoint, command = image.command } = service(name);
  const args = command.map((arg) => here(arg, places).replace('/journal', places.fleet));
  const endpoint = `https://localhost:${env['MUSTER_LISTEN_PORT'] ?? ''}`;
  const reached = args.map((arg) => arg.replace('https://balancer:8080', endpoint));
  return runContainer([...entrypoint, ...reached, ...more], env);
}

it('migrates, serves from every replica, reports health, and stops on SIGTERM', async () => {
  const places = await prepared('compose');
  const { healthcheck } = imageDefaults();
  expect(replicas.map(([name]) => name)).toEqual(['muster-1', 'muster-2', 'muster-3']);
  const started: [string, Container, Record<string, string>][] = [];
  for (const [name, replica] of replicas) {
    const env = localEnv(replica, await freePort(), places);
    started.push([name, start(name, env, places), env]);
  }
  for (const [name, container, env] of started) {
    await untilOk(`https://127.0.0.1:${String(env['MUSTER_LISTEN_PORT'])}/readyz`, container);
    const health = runContainer(healthcheck, env);
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
  expect(await runContainer(healthcheck, env).exit()).toBe(1);
});

it('lets simulated agents in by their tokens, and rolls out to them', async () => {
  const places = await prepared('compose-agents');
  const env = localEnv(service('muster-1'), await freePort(), places);
  const port = env['MUSTER_LISTEN_PORT'] ?? '';
  const replica = start('muster-1', env, places);
  await untilOk(`https://127.0.0.1:${port}/readyz`, replica);
  const agents = start('agents', { MUSTER_LISTEN_PORT: port }, places);
  const operator = {
    XDG_CONFIG_HOME: path.join(places.fleet, 'tls/client'),
    MUSTER_URL: `https://localhost:${port}`,
  };
  const status = async (): Promise<string> => {
    const asked = runContainer([...imageDefaults().entrypoint, 'status', '--json'], operator);
    await asked.exit();
    return asked.log();
  };
  await eventually(status, { timeout: 60_000 }).toContain('"Converged":');
  for (const container of [agents, replica]) {
    container.process.kill('SIGTERM');
    expect(await container.exit(), container.log()).toBe(0);
  }
});

it('balances over exactly the replicas, and scrapes each', () => {
  const haproxy = readFileSync('docker/haproxy.cfg', 'utf8');
  const servers = [...haproxy.matchAll(/^ {2}server (\S+) (\S+):(\d+)$/gm)].map(([, ...s]) => s);
  // Twice: those that are ready, and all of them when none is.
  const all = replicas.map(([name]) => [name, name, '8080']);
  expect(servers).toEqual([...all, ...all]);
  expect(haproxy).toContain('mode tcp');
  // It would cut what a draining replica still answers.
  expect(haproxy.replaceAll(/^\s*#.*$/gm, '')).not.toContain('on-marked-down');
  const prometheus = parse(readFileSync('docker/prometheus.yml', 'utf8')) as {
    scrape_configs: { static_configs: { targets: string[] }[] }[];
  };
  expect(prometheus.scrape_configs[0]?.static_configs[0]?.targets).toEqual(
    replicas.map(([name]) => `${name}:8080`),
  );
});

it('alerts by the very file that the chart ships (test/chart sees that it does)', () => {
  const prometheus = parse(readFileSync('docker/prometheus.yml', 'utf8')) as {
    rule_files?: string[];
  };
  const mounted = (service('prometheus').volumes ?? []).map((mount) => mount.split(':'));
  const sources = (prometheus.rule_files ?? []).map(
    (file) => mounted.find(([, inside]) => inside === file)?.[0],
  );
  expect(sources).toEqual(['./chart/files/alerts.yaml']);
});

it('is upgraded one replica after the other, as the guide says', () => {
  const guide = readFileSync('docs/guides/upgrading.md', 'utf8');
  const names = /for replica in (.*); do/.exec(guide)?.[1]?.split(' ');
  expect(names).toEqual(replicas.map(([name]) => name));
  const [, asked] =
    /compose exec "\$replica" node (\S+) https:\/\/\S+:(\d+)\/readyz/.exec(guide) ?? [];
  expect(asked).toBe(imageDefaults().healthcheck.at(-1));
});

it('publishes on loopback only, and runs ours without rights', () => {
  const ports = Object.values(compose.services).flatMap((service) => service.ports ?? []);
  expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  for (const [, service] of ours) {
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
  }
  const { user, env } = imageDefaults();
  expect(user).toMatch(/^[1-9]\d*:/);
  // Or a published port would lead nowhere, though the image calls itself healthy.
  expect(env['MUSTER_LISTEN_HOST']).toBe('0.0.0.0');
  for (const [, service] of replicas)
    expect(parseInt(service.stop_grace_period ?? '0')).toBeGreaterThan(25);
});

it('mounts files that are there', () => {
  const mounts = Object.values(compose.services).flatMap((service) => service.volumes ?? []);
  for (const mount of mounts.filter((text) => text.startsWith('./'))) {
    expect(() => readFileSync(mount.split(':')[0] ?? '')).not.toThrow(/ENOENT/);
  }
});
