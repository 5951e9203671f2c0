/** Whom the chart's NetworkPolicies admit, and what they let pods reach. */
import { describe, expect, it } from 'vitest';
import { at, HELM, one, render, type Rendered } from './support/helm.ts';

describe.skipIf(HELM === null)('policies', () => {
  const peers = (rule: unknown): unknown => at(rule, 'from');

  it('admits the test, Prometheus and the controllers of operators to the port, too, where callers are named', () => {
    const ingress = at(
      one(render('split'), 'NetworkPolicy', 'rel-muster'),
      'spec.ingress',
    ) as object[];
    const anyPod = [{ namespaceSelector: {} }];
    const tester = at(one(render('split'), 'Pod'), 'metadata.labels');
    expect(ingress.map(peers)).toEqual([
      [{ ipBlock: { cidr: '192.0.2.0/24' } }],
      [{ podSelector: { matchLabels: expect.any(Object) as unknown } }],
      anyPod,
      anyPod,
    ]);
    expect(tester).toMatchObject(
      at(ingress[1], 'from.0.podSelector.matchLabels') as Record<string, string>,
    );
    for (const rule of ingress)
      expect(at(rule, 'ports')).toEqual([{ protocol: 'TCP', port: 'http' }]);
  });

  it('admits them by what values say, and nobody who is not there', () => {
    const monitoring = { namespaceSelector: { matchLabels: { name: 'monitoring' } } };
    const sets = ['ingress.enabled=false', 'gateway.enabled=false'];
    const said = `networkPolicy.metricsFrom=${JSON.stringify([monitoring])}`;
    const policy = one(render('split', ...sets, said), 'NetworkPolicy', 'rel-muster');
    expect((at(policy, 'spec.ingress') as object[]).map(peers).slice(2)).toEqual([[monitoring]]);
    const plain = one(render('default'), 'NetworkPolicy', 'rel-muster');
    expect(at(plain, 'spec.ingress')).toHaveLength(1);
  });

  it('narrows what pods reach to the peers that are named', () => {
    const block = (cidr: string): object[] => [{ ipBlock: { cidr } }];
    const egress = at(
      one(
        render(
          'default',
          `networkPolicy.dnsTo=${JSON.stringify(block('10.0.0.1/32'))}`,
          `networkPolicy.databaseTo=${JSON.stringify(block('10.0.0.2/32'))}`,
          `networkPolicy.egressTo=${JSON.stringify(block('10.0.0.3/32'))}`,
        ),
        'NetworkPolicy',
        'rel-muster',
      ),
      'spec.egress',
    );
    expect(egress).toMatchObject([
      { to: block('10.0.0.1/32'), ports: [{ port: 53 }, { port: 53 }] },
      { to: block('10.0.0.2/32'), ports: [{ port: 5432 }] },
      { to: block('10.0.0.3/32'), ports: [{ port: 443 }] },
      { to: [{ podSelector: {} }] },
    ]);
  });

  it('lets pods ask name servers at the ports that values say', () => {
    const said = 'networkPolicy.dnsPorts=[53,5353]';
    for (const name of ['rel-muster', 'rel-muster-migrate'])
      expect(
        at(one(render('default', said), 'NetworkPolicy', name), 'spec.egress.0.ports'),
      ).toEqual([
        { protocol: 'UDP', port: 53 },
        { protocol: 'TCP', port: 53 },
        { protocol: 'UDP', port: 5353 },
        { protocol: 'TCP', port: 5353 },
      ]);
  });

  it('opens the way to the database before the migration, whose policy of before may lead elsewhere', () => {
    const objects = render('default', 'database.port=6432');
    const [policy, job] = [
      one(objects, 'NetworkPolicy', 'rel-muster-migrate'),
      one(objects, 'Job'),
    ];
    const weight = (object: Rendered): number =>
      Number(object.metadata.annotations?.['helm.sh/hook-weight']);
    expect(policy.metadata.annotations).toEqual({
      ...job.metadata.annotations,
      'helm.sh/hook-weight': expect.any(String) as unknown,
    });
    expect(weight(policy)).toBeLessThan(weight(job));
    expect(at(job, 'spec.template.metadata.labels')).toMatchObject(
      at(policy, 'spec.podSelector.matchLabels') as object,
    );
    expect(at(policy, 'spec.ingress')).toBeUndefined();
    expect(at(policy, 'spec.egress.1')).toEqual({ ports: [{ protocol: 'TCP', port: 6432 }] });
    for (const set of ['migrations.enabled=false', 'networkPolicy.enabled=false'])
      expect(
        render('default', set).filter(({ metadata }) => metadata.name === 'rel-muster-migrate'),
      ).toHaveLength(set.startsWith('migrations') ? 0 : 1);
  });
});
