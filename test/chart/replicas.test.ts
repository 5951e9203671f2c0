/**
 * How many pods there are after an upgrade, by what helm reads of those that run. A Deployment whose field `replicas` goes
 * is set to one by the API server.
 */
import { describe, expect, it } from 'vitest';
import { renderIn } from './support/cluster.ts';
import { at, HELM, one, render } from './support/helm.ts';

const SCALED = 'autoscaling={"enabled":true,"minReplicas":4,"maxReplicas":9}';
const SPLIT = 'split.enabled=true';

interface Owner {
  readonly operation: 'Apply' | 'Update';
  readonly subresource?: string;
  readonly fields: readonly string[];
}

/** A Deployment of this release that runs, and whose fields are whose. */
function running(
  name: string,
  replicas: number,
  owners: readonly Owner[],
): ReadonlyMap<string, object> {
  const managedFields = owners.map(({ fields, ...owner }, i) => ({
    ...owner,
    ...{ manager: `manager-${String(i)}`, apiVersion: 'apps/v1', fieldsType: 'FieldsV1' },
    fieldsV1: { 'f:spec': Object.fromEntries(fields.map((field) => [`f:${field}`, {}])) },
  }));
  const ours = { 'meta.helm.sh/release-name': 'rel', 'meta.helm.sh/release-namespace': 'fleet' };
  const labels = { 'app.kubernetes.io/managed-by': 'Helm' };
  const metadata = { name, namespace: 'fleet', labels, annotations: ours, managedFields };
  const object = { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { replicas } };
  return new Map([[`/apis/apps/v1/namespaces/fleet/deployments/${name}`, object]]);
}

const ALL = ['replicas', 'template'];
const CLIENT = { operation: 'Update', fields: ALL } as const;
const SERVER = { operation: 'Apply', fields: ALL } as const;
const AUTOSCALER = { operation: 'Update', subresource: 'scale', fields: ['replicas'] } as const;

describe.skipIf(HELM === null)('pods', () => {
  const replicasOf = async (
    live: ReadonlyMap<string, object>,
    ...sets: readonly string[]
  ): Promise<unknown> => at(one(await renderIn(live, ...sets), 'Deployment'), 'spec.replicas');

  it.each([
    ['applied by helm 3', 3, [CLIENT]],
    ['applied by helm 4', 3, [SERVER]],
    ['and scaled since, by helm 3', 7, [{ ...CLIENT, fields: ['template'] }, AUTOSCALER]],
    ['stopped by hand', 0, [CLIENT]],
  ])('stay as many as there are: %s', async (_, replicas, owners) => {
    expect(await replicasOf(running('rel-muster', replicas, owners), SCALED)).toBe(replicas);
  });

  it("are the autoscaler's alone once it has chosen their number, where helm applies on the server's side", async () => {
    const owners = [{ ...SERVER, fields: ['template'] }, AUTOSCALER];
    expect(await replicasOf(running('rel-muster', 7, owners), SCALED)).toBeUndefined();
  });

  it('are the least that the autoscaler would have at first, and where helm asks no cluster', async () => {
    expect(await replicasOf(new Map(), SCALED)).toBe(4);
    expect(at(one(render('default', SCALED), 'Deployment'), 'spec.replicas')).toBe(4);
    const objects = await renderIn(running('rel-muster', 6, [CLIENT]), SCALED, SPLIT);
    expect(at(one(objects, 'Deployment', 'rel-muster-api'), 'spec.replicas')).toBe(4);
  });

  it('are as many as values say where nothing scales them', async () => {
    expect(await replicasOf(running('rel-muster', 7, [CLIENT, AUTOSCALER]))).toBe(3);
    const objects = await renderIn(running('rel-muster-control', 7, [CLIENT]), SCALED, SPLIT);
    expect(at(one(objects, 'Deployment', 'rel-muster-control'), 'spec.replicas')).toBe(2);
  });
});
