/** The chart, without a cluster: lint, rendering, Kubernetes' schemas, and what must hold of each object. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ConfigSchema } from '../../src/config/schema.ts';
import { at, CHART, helm, HELM, one, refusal, render, type Rendered } from './support/helm.ts';
import { schemaCheck } from './support/schemas.ts';

const VALUES = readdirSync(path.join(CHART, 'ci')).map((file) => file.replace('-values.yaml', ''));
const POD = 'spec.template.spec';
const CONTAINER = `${POD}.containers.0`;

/** A field of each kind that an operator brings, and how it could be misspelt. */
const CUSTOM_FIELDS: ReadonlyMap<string, readonly [string, string]> = new Map([
  ['ServiceMonitor', ['endpoints', 'endpionts']],
  ['PrometheusRule', ['expr', 'exrp']],
  ['HTTPRoute', ['backendRefs', 'backendRef']],
  ['BackendTLSPolicy', ['validation', 'validations']],
]);

function workloads(objects: readonly Rendered[]): Rendered[] {
  return objects.filter(({ kind }) => kind === 'Deployment' || kind === 'Job');
}

describe.skipIf(HELM === null)('chart', () => {
  describe.each(VALUES)('with ci/%s-values.yaml', (values) => {
    it('passes lint --strict', () => {
      const file = path.join(CHART, 'ci', `${values}-values.yaml`);
      expect(helm('lint', '--strict', CHART, '--values', file)).toContain('0 chart(s) failed');
    });

    it.each(['1.36', '1.37'])('renders what Kubernetes %s accepts', (version) => {
      const check = schemaCheck(version);
      const objects = render(values);
      expect(objects.length).toBeGreaterThan(4);
      expect(objects.flatMap(check)).toEqual([]);
    });

    it('renders only fields that are there, also of kinds that are not of Kubernetes', () => {
      const custom = render(values).filter(({ kind }) => CUSTOM_FIELDS.has(kind));
      const check = schemaCheck('1.37');
      for (const object of custom) {
        const [from = '', to = ''] = CUSTOM_FIELDS.get(object.kind) ?? [];
        const misspelt = JSON.parse(
          JSON.stringify(object).replace(`"${from}"`, `"${to}"`),
        ) as Rendered;
        expect([check(object), check(misspelt)]).toEqual([
          [],
          expect.arrayContaining([expect.stringContaining(to)]),
        ]);
      }
      expect(custom).toHaveLength(values === 'split' ? CUSTOM_FIELDS.size : 0);
    });

    it('renders each object once, labelled as of this release', () => {
      const objects = render(values);
      const ids = objects.map((o) => `${o.kind}/${o.metadata.name}`);
      expect(ids).toEqual([...new Set(ids)]);
      for (const { metadata } of objects) {
        expect(metadata.labels).toMatchObject({ 'app.kubernetes.io/instance': 'rel' });
      }
    });

    it('runs pods that the level `restricted` admits, without a token of the API', () => {
      for (const object of [...workloads(render(values)), one(render(values), 'Pod')]) {
        const pod = at(object, object.kind === 'Pod' ? 'spec' : POD);
        expect(pod).toMatchObject({
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
          containers: [
            {
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'] },
              },
              resources: { requests: { cpu: expect.anything() as unknown }, limits: {} },
            },
          ],
        });
      }
    });

    it('stops longer than the stop deadline, and leaves the Service before the drain delay is over', () => {
      for (const object of render(values).filter(({ kind }) => kind === 'Deployment')) {
        const settings = at(one(render(values), 'ConfigMap', 'rel-muster'), 'data') as Record<
          string,
          string
        >;
        const deadline = Number(
          settings['MUSTER_STOP_DEADLINE_SECONDS'] ??
            ConfigSchema.properties.stopDeadlineSeconds.default,
        );
        expect(at(object, `${POD}.terminationGracePeriodSeconds`)).toBeGreaterThan(deadline);
        const probe = at(object, `${CONTAINER}.readinessProbe`) as Record<string, number>;
        const seconds = (probe['failureThreshold'] ?? 0) * (probe['periodSeconds'] ?? 0);
        expect(seconds).toBeLessThan(ConfigSchema.properties.drainDelaySeconds.default as number);
      }
    });

    it('keeps the grace longer than a deadline with a fraction', () => {
      const grace = (set: string): unknown[] =>
        render(values, set)
          .filter(({ kind }) => kind === 'Deployment')
          .map((object) => at(object, `${POD}.terminationGracePeriodSeconds`));
      for (const seconds of grace('settings.stopDeadlineSeconds=40.5')) expect(seconds).toBe(51);
    });

    it('never asks the database whether a process lives', () => {
      for (const object of render(values).filter(({ kind }) => kind === 'Deployment')) {
        expect(at(object, `${CONTAINER}.livenessProbe.httpGet.path`)).toBe('/healthz');
        expect(at(object, `${CONTAINER}.startupProbe.httpGet.path`)).toBe('/healthz');
        expect(at(object, `${CONTAINER}.readinessProbe.httpGet.path`)).toBe('/readyz');
      }
    });

    it('has no Secret of its own', () => {
      expect(render(values).filter(({ kind }) => kind === 'Secret')).toEqual([]);
    });
  });

  describe('alerts by one file, which docker-compose.yml mounts, too', () => {
    interface Rule {
      readonly expr: string;
      readonly annotations: { readonly runbook_url: string };
    }
    const rulesOf = (spec: unknown): readonly Rule[] => at(spec, 'groups.0.rules') as Rule[];
    const rendered = (...sets: readonly string[]): readonly Rule[] =>
      rulesOf(at(one(render('split', ...sets), 'PrometheusRule'), 'spec'));
    const file = rulesOf(parse(readFileSync(path.join(CHART, 'files/alerts.yaml'), 'utf8')));
    const OWN = 'namespace="fleet",job="rel-muster-metrics"';

    it('on the series of its own release, so that no other one hides what ails it', () => {
      const selecting = rendered();
      for (const { expr } of selecting)
        for (const [series] of expr.matchAll(/muster_\w+(\{[^}]*\})?/g))
          expect(series).toContain(`{${OWN}`);
      const all = JSON.stringify(selecting).replaceAll(JSON.stringify(OWN).slice(1, -1), '');
      expect(JSON.parse(all.replaceAll('{}', '').replaceAll('{,', '{'))).toEqual(file);
      expect(rendered('prometheusRule.selector="fleet=~\\"a$\\""')[0]?.expr).toContain(
        'muster_leader_leading{fleet=~"a$"}',
      );
      const named = 'job="muster_east"';
      for (const { expr } of rendered(`prometheusRule.selector=${JSON.stringify(named)}`))
        for (const [, of = ''] of expr.replaceAll(named, 'IT').matchAll(/muster_\w+(\S*)/g))
          expect(of).toMatch(/^\{IT[,}]/);
      expect(refusal('prometheusRule.enabled=true')).toContain('prometheusRule.selector');
    });

    it('with pages where values say that they are', () => {
      const [first] = rendered('prometheusRule.runbookBaseUrl="https://git.example.net/muster/"');
      expect(first?.annotations.runbook_url).toBe(
        'https://git.example.net/muster/docs/operations/no-leader.md',
      );
    });
  });

  it('migrates before everything else, leaning on nothing that the release makes', () => {
    const job = one(render('split'), 'Job');
    expect(job.metadata.annotations).toMatchObject({
      'helm.sh/hook': 'pre-install,pre-upgrade',
      'helm.sh/hook-delete-policy': 'before-hook-creation,hook-succeeded',
    });
    expect(at(job, `${CONTAINER}.envFrom`)).toBeUndefined();
    expect(at(job, `${POD}.restartPolicy`)).toBe('Never');
    expect(at(job, `${CONTAINER}.args`)).toEqual(['migrate', '--roles']);
    expect(JSON.stringify(at(job, `${CONTAINER}.env`))).toContain('"key":"owner"');
  });

  it('gives the migration no claim, which a pod elsewhere may hold', () => {
    const volumes = [
      { name: 'ca', configMap: { name: 'ca' } },
      { name: 'export', persistentVolumeClaim: { claimName: 'export' } },
    ];
    const mounts = volumes.map(({ name }) => ({ name, mountPath: `/mnt/${name}` }));
    const objects = render(
      'default',
      `extraVolumes=${JSON.stringify(volumes)}`,
      `extraVolumeMounts=${JSON.stringify(mounts)}`,
    );
    const job = one(objects, 'Job');
    expect(at(job, `${POD}.volumes`)).toEqual(volumes.slice(0, 1));
    expect(at(job, `${CONTAINER}.volumeMounts`)).toEqual(mounts.slice(0, 1));
    expect(at(one(objects, 'Deployment'), `${POD}.volumes`)).toEqual(
      expect.arrayContaining(volumes),
    );
  });

  it('leaves user and group to the platform where values say so', () => {
    const ids = (set: string): unknown[] =>
      [...workloads(render('default', set)), one(render('default', set), 'Pod')].map((object) =>
        at(object, `${object.kind === 'Pod' ? 'spec' : POD}.securityContext`),
      );
    const free = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } };
    for (const one of ids('fixedUser=false')) expect(one).toEqual(free);
    for (const one of ids('fixedUser=true'))
      expect(one).toEqual({ ...free, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000 });
  });

  it('splits roles: who serves has no login that leads, and scaling never adds a leader', () => {
    const objects = render('split');
    const api = one(objects, 'Deployment', 'rel-muster-api');
    const control = one(objects, 'Deployment', 'rel-muster-control');
    expect(JSON.stringify(at(api, CONTAINER))).not.toContain('MUSTER_LEADER_DATABASE_URL');
    expect(JSON.stringify(at(control, CONTAINER))).toContain('MUSTER_LEADER_DATABASE_URL');
    expect(at(one(objects, 'HorizontalPodAutoscaler'), 'spec.scaleTargetRef.name')).toBe(
      'rel-muster-api',
    );
    expect(at(api, 'spec.replicas')).toBe(4);
    expect(at(control, 'spec.replicas')).toBe(2);
    const selector = at(one(objects, 'Service', 'rel-muster'), 'spec.selector');
    expect(at(api, 'spec.template.metadata.labels')).toMatchObject(selector as object);
    expect(at(control, 'spec.template.metadata.labels')).not.toMatchObject(selector as object);
  });

  it('tells proxies of the cluster that pods speak TLS, and plain HTTP where they do', () => {
    const portOf = (values: string): unknown =>
      at(one(render(values), 'Service', 'rel-muster'), 'spec.ports.0');
    expect(portOf('split')).toMatchObject({ name: 'https', appProtocol: 'https' });
    expect(portOf('small')).toMatchObject({ name: 'http', appProtocol: 'http' });
    const backend = 'spec.rules.0.http.paths.0.backend.service.port.name';
    expect(at(one(render('split'), 'Ingress'), backend)).toBe('https');
    expect(at(one(render('split'), 'BackendTLSPolicy'), 'spec.targetRefs.0.name')).toBe(
      'rel-muster',
    );
  });

  it('listens and is called by IPv6 where values say so', () => {
    const objects = render('default', 'listenHost="::"');
    expect(at(one(objects, 'ConfigMap'), 'data.MUSTER_LISTEN_HOST')).toBe('::');
    expect(JSON.stringify(at(one(objects, 'Deployment'), CONTAINER))).toContain(
      'https://[$(POD_IP)]:8080',
    );
  });

  it('asks again in `helm test` until a replica serves', () => {
    expect(at(one(render('default'), 'Pod'), 'spec.restartPolicy')).toBe('OnFailure');
  });

  it('replaces pods when settings change', () => {
    const checksum = (...sets: readonly string[]): unknown =>
      at(one(render('default', ...sets), 'Deployment'), 'spec.template.metadata.annotations');
    expect(checksum()).toEqual(checksum());
    expect(checksum('settings={"logLevel":"debug"}')).not.toEqual(checksum());
  });

  it.each([
    ['database.existingSecret=""', 'database.existingSecret is required'],
    ['trust.existingConfigMap=""', 'trust.existingConfigMap or trust.json is required'],
    ['source.url=""', 'source.url is required'],
    ['replicaCount=3', "additional properties 'replicaCount' not allowed"],
    ['settings={"logLevle":"info"}', "additional properties 'logLevle' not allowed"],
    ['settings={"databaseUrl":"postgres://u:p@h/d"}', "'databaseUrl' not allowed"],
    ['settings={"pollSeconds":0}', 'minimum'],
    ['antiAffinity="strong"', 'antiAffinity'],
    ['settings={"logLevel":"inof"}', '/settings/logLevel'],
    ['settings={"tlsMinVersion":"1.0"}', '/settings/tlsMinVersion'],
    ['settings={"proxyListen":"0.0.0.0:8443"}', "'proxyListen' not allowed"],
    ['settings={"drainDelaySeconds":60}', 'settings.stopDeadlineSeconds must be longer'],
    ['settings={"caCertFile":"/ca.crt"}', 'settings.caCertFile needs'],
    ['settings={"caSignCommand":"/sign"}', 'sign for settings.caCertFile'],
    ['source.url="http://releases.fleet.svc:8000/fleet"', 'egressPorts lacks 8000'],
    ['source.url="http://releases.fleet.svc/a:443"', 'egressPorts lacks 80,'],
    ['tls=null', "missing property 'tls'"],
    ['settings=null', "missing property 'settings'"],
    ['extraEnv=[{"name":"MUSTER_STRICT","value":"false"}]', 'must not have MUSTER_STRICT'],
    [
      'extraEnv=[{"name":"AWS_SECRET_ACCESS_KEY","value":"k"}]',
      'AWS_SECRET_ACCESS_KEY from a Secret',
    ],
    ['settings={"checkpointTo":"https://u:p@h/"}', 'settings.checkpointTo must have no login'],
    ['source.url="https://user:pw@releases.example.net/fleet"', '/source/url'],
    ['source.url="releases.example.net"', '/source/url'],
    ['database.schema="pg_fleet"', 'database.schema must not be pg_fleet'],
    ['fullnameOverride="UPPER_case"', '/fullnameOverride'],
    ['nameOverride="Foo Bar"', '/nameOverride'],
    ['image.tag="a b"', '/image/tag'],
    ['resources.requests.cpu="much"', '/resources/requests/cpu'],
    ['podDisruptionBudget.maxUnavailable="lots"', '/podDisruptionBudget/maxUnavailable'],
    ['podDisruptionBudget.maxUnavailable=-1', '/podDisruptionBudget/maxUnavailable'],
    ['extraEnv=[{"foo":"bar"}]', '/extraEnv/0'],
    ['extraEnv=[{"name":"A","value":"b","valueFrom":{"fieldRef":{}}}]', '/extraEnv/0'],
    ['extraEnv=[{"name":"MUSTER_DATABASE_URL","valueFrom":{"secretKeyRef":{}}}]', '/extraEnv/0'],
    ['extraEnv=[{"name":"MUSTER_ROLES","value":"api"}]', 'must not have MUSTER_ROLES'],
    ['extraEnv=[{"name":"PGPASSWORD","value":"secret"}]', 'PGPASSWORD from a Secret'],
    ['extraEnv=[{"name":"HTTPS_PROXY","value":"http://u:p@proxy"}]', 'HTTPS_PROXY from a Secret'],
    ['networkPolicy.ingressFrom=[{"cidr":"192.0.2.0/24"}]', '/networkPolicy/ingressFrom/0'],
    ['podLabels={"a b":"c"}', "'a b'"],
    [
      'podLabels={"app.kubernetes.io/component":"x"}',
      'podLabels must not set app.kubernetes.io/component',
    ],
    [
      'dashboard={"enabled":true,"labels":{"app.kubernetes.io/name":"x"}}',
      'dashboard.labels must not set app.kubernetes.io/name',
    ],
    ['podAnnotations={"checksum/config":"x"}', 'podAnnotations must not set checksum/config'],
    [
      'autoscaling={"enabled":true,"minReplicas":9,"maxReplicas":2}',
      'autoscaling.minReplicas (9) is more than autoscaling.maxReplicas (2)',
    ],
    ['extraVolumes=[{"name":"tls","emptyDir":{}}]', 'extraVolumes must not have tls'],
    ['fullnameOverride="1muster"', '1muster'],
    ['gateway.enabled=true', 'gateway.parentRefs is required'],
    ['ingress.enabled=true', 'ingress.host is required'],
  ])('refuses --set %s', (set, reason) => {
    expect(refusal(set)).toContain(reason);
  });

  it('says all at once what strict mode lacks, unless it is switched off', () => {
    const off = ['tls.existingSecret=""', 'clientCa.existingConfigMap=""'];
    const file = 'settings={"caKeyFile":"/ca.key"}';
    const logins = ['database.leaderUrlKey=""', 'database.migrateUrlKey=""'];
    const said = refusal(...off, ...logins, file);
    for (const wanted of [
      'tls.existingSecret',
      'clientCa.existingConfigMap',
      'database.leaderUrlKey',
      'database.migrateUrlKey',
      'settings.caSignCommand',
      'sslmode=verify-full',
      'settings.strict=false',
    ])
      expect(said).toContain(wanted);
    expect(refusal(...off, ...logins, 'settings={"strict":false}')).toBe('rendered');
  });

  it('wants a login each in strict mode: none of the three may do what the others do', () => {
    const split = 'split.enabled=true';
    for (const key of ['leaderUrlKey', 'migrateUrlKey'])
      for (const same of ['""', '"url"'])
        expect(refusal(split, `database.${key}=${same}`)).toContain(`database.${key}: `);
    // Who migrates by other means gives the chart no such login.
    expect(refusal('migrations.enabled=false', 'database.migrateUrlKey=""')).toBe('rendered');
  });
});
