/**
 * What the chart renders, given to a real kube-apiserver that keeps none of it: a dry run on the server, with strict field
 * validation, into a namespace that enforces the `restricted` Pod Security level. Pods are given by themselves, too, as
 * the controllers would: a Deployment is admitted whatever its pods would be. CONTRIBUTING.md says how to run it.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeScratchDir } from '../support/scratch.ts';
import { binaries, startApiServer, type Answer, type ApiServer } from './support/apiserver.ts';
import { at, CHART, HELM, render, type Rendered } from './support/helm.ts';

const GIVEN = binaries();
const VALUES = readdirSync(path.join(CHART, 'ci')).map((file) => file.replace('-values.yaml', ''));
/** Of operators: a bare server has not got them. */
const CUSTOM = ['ServiceMonitor', 'PrometheusRule', 'HTTPRoute', 'BackendTLSPolicy'];
const LEVEL = 'pod-security.kubernetes.io';

/** As an upgrade or a user might have it: everything else that the chart can render. */
const MORE: readonly (readonly string[])[] = [
  [],
  ['service.type="LoadBalancer"', 'autoscaling.enabled=true', 'antiAffinity="hard"'],
  [
    'listenHost="::"',
    'ingress={"enabled":true,"host":"muster.example.net"}',
    'dashboard.enabled=true',
  ],
];

let server: ApiServer;
beforeAll(async () => {
  if (GIVEN === null) return;
  server = await startApiServer(makeScratchDir('apiserver'), GIVEN);
  console.log(`kube-apiserver ${server.version}`);
  const labels = { [`${LEVEL}/enforce`]: 'restricted', [`${LEVEL}/warn`]: 'restricted' };
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'fleet', labels } };
  expect(await dryly(namespace, false)).toMatchObject({ status: 201 });
}, 120_000);
afterAll(() => (GIVEN === null ? undefined : server.stop()));

const dryly = (object: Rendered, dry = true): Promise<Answer | null> =>
  server.create(object, { namespace: 'fleet', dry });

/** The pods that its controller would make. */
function podsOf(object: Rendered): Rendered[] {
  const spec = at(object, 'spec.template.spec') as object | undefined;
  if (spec === undefined) return [];
  // A bare pod has no controller that gives it this, and its own default is another.
  const own = { restartPolicy: 'Always', ...spec };
  return [{ apiVersion: 'v1', kind: 'Pod', metadata: { name: object.metadata.name }, spec: own }];
}

describe.skipIf(GIVEN === null || HELM === null)('a kube-apiserver', () => {
  it.each(VALUES)('admits all of ci/%s-values.yaml, without a warning', async (values) => {
    let admitted = 0;
    for (const sets of MORE) {
      const objects = render(values, ...sets);
      for (const object of [...objects, ...objects.flatMap(podsOf)]) {
        const answer = await dryly(object);
        const told = `${object.kind} ${object.metadata.name}`;
        if (answer === null) expect(CUSTOM).toContain(object.kind);
        else expect([told, answer]).toEqual([told, { ...answer, status: 201, warnings: [] }]);
        admitted += answer === null ? 0 : 1;
      }
    }
    console.log(`ci/${values}-values.yaml: ${String(admitted)} objects admitted`);
    expect(admitted).toBeGreaterThan(10);
  });

  it('refuses what it should: a pod that may be root, and a field that is not there', async () => {
    const pod: Rendered = {
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'control' } },
      spec: { containers: [{ name: 'one', image: 'one' }] },
    };
    const root = await dryly(pod);
    expect(root).toMatchObject({ status: 403 });
    expect(JSON.stringify(root?.body)).toContain('violates PodSecurity');
    const config = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'control' } };
    const misspelt = await dryly({ ...config, dada: {} });
    expect([misspelt?.status, JSON.stringify(misspelt?.body)]).toEqual([
      400,
      expect.stringContaining('unknown field'),
    ]);
  });
});
