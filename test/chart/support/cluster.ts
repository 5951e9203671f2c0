/** As much of a Kubernetes API as helm asks while it renders: which kinds there are, and the objects that are given. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { makeScratchDir } from '../../support/scratch.ts';
import { CHART, HELM, parsed, type Rendered } from './helm.ts';

const KINDS: Readonly<Record<string, readonly string[]>> = {
  v1: ['ConfigMap', 'Pod', 'Secret', 'Service'],
  'apps/v1': ['Deployment'],
  'autoscaling/v2': ['HorizontalPodAutoscaler'],
  'batch/v1': ['Job'],
  'networking.k8s.io/v1': ['NetworkPolicy'],
  'policy/v1': ['PodDisruptionBudget'],
};

function resourceOf(kind: string): string {
  return kind.endsWith('y') ? `${kind.slice(0, -1)}ies`.toLowerCase() : `${kind}s`.toLowerCase();
}

function groups(): object {
  const named = Object.keys(KINDS).filter((one) => one.includes('/'));
  return {
    ...{ kind: 'APIGroupList', apiVersion: 'v1' },
    groups: named.map((groupVersion) => {
      const [name, version] = groupVersion.split('/');
      return {
        name,
        versions: [{ groupVersion, version }],
        preferredVersion: { groupVersion, version },
      };
    }),
  };
}

function resources(groupVersion: string): object | null {
  const kinds = KINDS[groupVersion];
  if (kinds === undefined) return null;
  return {
    ...{ kind: 'APIResourceList', apiVersion: 'v1', groupVersion },
    resources: kinds.map((kind) => ({
      ...{ name: resourceOf(kind), singularName: '', namespaced: true, kind, verbs: ['get'] },
    })),
  };
}

const ABSENT = {
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  reason: 'NotFound',
  code: 404,
};

function answerTo(route: string, objects: ReadonlyMap<string, object>): object {
  if (route === '/version') return { major: '1', minor: '37', gitVersion: 'v1.37.0' };
  if (route === '/api') return { kind: 'APIVersions', versions: ['v1'] };
  if (route === '/apis') return groups();
  const [, groupVersion = ''] = /^\/apis?\/(.+)$/.exec(route) ?? [];
  return resources(groupVersion) ?? objects.get(route) ?? ABSENT;
}

/** What helm renders for release `rel` in namespace `fleet` of a cluster that has these objects, by their path. */
export async function renderIn(
  objects: ReadonlyMap<string, object>,
  ...sets: readonly string[]
): Promise<Rendered[]> {
  const server = createServer((request, response) => {
    const answer = answerTo(request.url?.replace(/\?.*/, '') ?? '', objects);
    response.writeHead(answer === ABSENT ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const home = makeScratchDir('helm-home');
  const { port } = server.address() as AddressInfo;
  const args = [
    ...['template', 'rel', CHART, '--namespace', 'fleet', '--dry-run=server'],
    ...['--disable-openapi-validation', '--kube-apiserver', `http://127.0.0.1:${String(port)}`],
    ...['--values', path.join(CHART, 'ci/default-values.yaml')],
    ...sets.flatMap((set) => ['--set-json', set]),
  ];
  try {
    const env = { ...process.env, HOME: home, KUBECONFIG: path.join(home, 'none') };
    const { stdout } = await promisify(execFile)(HELM ?? 'helm', args, { env });
    return parsed(stdout);
  } finally {
    server.close();
  }
}
