/** Values that make sense one by one and would break in a cluster, where it is late: the chart says so, and why. */
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { CHART, helm, HELM, refusal } from './support/helm.ts';

/** What refers to something by its name, and every label. */
function namesIn(value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, one]: [string, unknown]) => {
    if (/labels$/i.test(key) && one !== null) return Object.values(one as Record<string, unknown>);
    if (/^(key|name|.*Name)$/.test(key)) return typeof one === 'object' ? namesIn(one) : [one];
    return namesIn(one);
  });
}

const rules = ['prometheusRule.enabled=true'];
const selector = (text: string): string =>
  refusal(...rules, `prometheusRule.selector=${JSON.stringify(text)}`);
const json = (name: string, value: unknown): string => `${name}=${JSON.stringify(value)}`;
const trust = (text: string): string =>
  refusal('trust.existingConfigMap=""', json('trust.json', text));

describe.skipIf(HELM === null)('odd values', () => {
  it.each([
    ['listenHost="127.0.0.1"', 'loopback'],
    ['listenHost="::1"', 'loopback'],
    ['database.schema="fleet_east_v1"', 'database.schema must not end in _v1'],
    ['migrations.args=["--plan"]', 'migrations.args must not have --plan'],
    ['migrations.args=["--check"]', 'migrations.args must not have --check'],
    [
      'migrations.args=["--database-url=postgres://o:secret@h/d"]',
      'migrations.args must not have --database-url',
    ],
    ['extraEnv=[{"name":"POD_IP","value":"10.0.0.1"}]', 'extraEnv must not have POD_IP'],
    ['extraEnv=[{"name":"TZ","value":"UTC"},{"name":"TZ","value":"CET"}]', 'extraEnv has TZ twice'],
    [
      'extraVolumeMounts=[{"name":"bundle","mountPath":"/bundle"}]',
      'extraVolumeMounts has bundle, and extraVolumes has no such volume',
    ],
    [
      'extraVolumes=[{"name":"a","emptyDir":{}},{"name":"a","emptyDir":{}}]',
      'extraVolumes has a twice',
    ],
    [
      'extraVolumeMounts=[{"name":"a","mountPath":"/x"},{"name":"b","mountPath":"/x"}]',
      'extraVolumeMounts has /x twice',
    ],
    [
      json('settings', { closureSource: 'https://cache:5000' }),
      'lacks 5000, the port of settings.closureSource',
    ],
    [
      json('settings', { checkpointTo: 'https://notary:8443/' }),
      'lacks 8443, the port of settings.checkpointTo',
    ],
    ['source.url="https://h/fleet?token=abc"', 'source.url must have no query'],
    [
      json('settings', { checkpointTo: 'https://h/?token=abc' }),
      'settings.checkpointTo must have no query',
    ],
    [json('settings', { checkpointTo: 'ftp://c/x' }), 'checkpointTo must be an http(s) URL or'],
    [json('settings', { checkpointTo: 'relative/x' }), 'checkpointTo must be an http(s) URL or'],
    [json('settings', { checkpointTo: '/var/x' }), 'no writable mount of extraVolumeMounts'],
    [json('settings', { logExportDir: '/var/x' }), 'no writable mount of extraVolumeMounts'],
    [json('resources.limits', { memory: '256Mi' }), 'limits.memory is 256Mi, less than'],
    [json('resources.limits', { cpu: '100m' }), 'resources.limits.cpu is 100m, less than'],
    [json('migrationResources.limits', { memory: '64Mi' }), 'migrationResources.limits.memory'],
    ...['hostPath', 'nfs', 'unknown'].map((kind): [string, string] => [
      json('extraVolumes', [{ name: 'a', [kind]: {} }]),
      '/extraVolumes/0',
    ]),
    ['extraVolumes=[{"name":"a","emptyDir":{},"secret":{}}]', '/extraVolumes/0'],
    ['extraVolumes=[{"name":"A_b","emptyDir":{}}]', '/extraVolumes/0'],
    ['extraVolumeMounts=[{"name":"a","mountPath":"/"}]', 'where the program is'],
    ['extraVolumeMounts=[{"name":"a","mountPath":"/app/"}]', 'where the program is'],
    ['extraVolumeMounts=[{"name":"a","mountPath":"/etc"}]', 'must not have /etc, above where'],
    ['extraVolumeMounts=[{"name":"a","mountPath":"/etc/muster/"}]', 'above where'],
    ['extraVolumeMounts=[{"name":"a","mountPath":"relative"}]', '/extraVolumeMounts/0/mountPath'],
    ['networkPolicy.dnsPorts=[]', '/networkPolicy/dnsPorts'],
    ['migrations.args=["--role-prefix"]', 'a name after --role-prefix'],
    ['migrations.args=["--role-prefix","--roles"]', 'a name after --role-prefix'],
    ['resources.claims=[{"name":"gpu"}]', "'claims' not allowed"],
    [json('resources.requests', { foo: '1' }), "propertyName 'foo'"],
    ...['999.1.1.1/24', '1.2.3.4/33', 'a/1', '::/129'].map((cidr): [string, string] => [
      json('service.loadBalancerSourceRanges', [cidr]),
      '/service/loadBalancerSourceRanges/0',
    ]),
    [
      'networkPolicy.ingressFrom=[{"ipBlock":{"cidr":"10.0.0.0/8"},"podSelector":{}}]',
      '/networkPolicy/ingressFrom/0',
    ],
    ...[{ operator: 'Foo' }, { operator: 'In' }, { operator: 'Exists', values: ['x'] }].map(
      (one): [string, string] => [
        json('networkPolicy.dnsTo', [
          { podSelector: { matchExpressions: [{ key: 'a', ...one }] } },
        ]),
        '/networkPolicy/dnsTo/0',
      ],
    ),
    ['database.existingSecret="a..b"', '/database/existingSecret'],
    ['podAnnotations={"a b":"c"}', "'a b'"],
    ['podAnnotations={"ex.com/":"c"}', "'ex.com/'"],
    ['podLabels={"a..b/c":"d"}', "'a..b/c'"],
    ['ingress.host="1.2.3.4"', 'ingress.host is 1.2.3.4: it takes a name'],
    ['gateway.hostnames=["1.2.3.4"]', 'gateway.hostnames is 1.2.3.4: it takes a name'],
    ['source={"url":"/releases","existingSecret":"s"}', 'source.existingSecret holds a token for'],
    ['source.url="/nowhere"', 'source.url is /nowhere, and no mount'],
    [
      json('settings', { caCertFile: '/nowhere/ca.crt', caSignCommand: '/sign' }),
      'settings.caCertFile is /nowhere/ca.crt, and no mount',
    ],
    ['trust.key="..data"', 'trust.key is ..data, and no Secret or ConfigMap may'],
    ['database.urlKey="."', 'database.urlKey is ., and no Secret'],
    [
      json('settings', { closureSource: 'https://u:secret@h/' }),
      'settings.closureSource must have no login in its URL',
    ],
    ['database.schema="information_schema"', 'must not be information_schema: PostgreSQL'],
    ['listenHost="a"', '/listenHost'],
    ['listenHost="1.2.3"', '/listenHost'],
    ['image.repository="registry/muster:1"', '/image/repository'],
    ['tolerations=[{"keys":"arm"}]', '/tolerations/0'],
    ['tolerations=[{"operator":"Foo"}]', '/tolerations/0/operator'],
    ['affinity={"podAffinty":{}}', '/affinity'],
    ...['database.urlKey', 'service.port', 'topologySpread.whenUnsatisfiable'].map(
      (name): [string, string] => [
        `${name}=null`,
        `missing property '${name.split('.')[1] ?? ''}'`,
      ],
    ),
    ...['api_token', 'X_PASS', 'API_KEY'].map((name): [string, string] => [
      json('extraEnv', [{ name, value: 'x' }]),
      `extraEnv must have ${name} from a Secret`,
    ]),
    [
      'extraEnv=[{"name":"X_TOKEN","valueFrom":{"configMapKeyRef":{"name":"a","key":"b"}}}]',
      'extraEnv must have X_TOKEN from a Secret',
    ],
    ['extraEnv=[{"name":"A","valueFrom":{"secretKeyRef":{"name":"a"}}}]', '/extraEnv/0'],
    ['extraEnv=[{"name":"A","valueFrom":{"foo":1}}]', '/extraEnv/0'],
    [
      'extraVolumeMounts=[{"name":"a","mountPath":"/etc/muster/trust"}]',
      'must not have /etc/muster/trust',
    ],
  ])('refuses --set %s', (set, reason) => {
    const said = refusal(set);
    expect(said).toContain(reason);
    expect(said).not.toMatch(/secret@|token=abc/);
  });

  it('takes what looks like these and is well', () => {
    const volume = 'extraVolumes=[{"name":"bundle","emptyDir":{}}]';
    const mount = 'extraVolumeMounts=[{"name":"bundle","mountPath":"/bundle"}]';
    for (const sets of [
      [volume, mount],
      ['migrations.args=["--roles","--role-prefix","fleet"]'],
      [
        'networkPolicy.egressPorts=[443,5000]',
        json('settings', { closureSource: 'http://cache:5000' }),
      ],
      ['networkPolicy.enabled=false', json('settings', { closureSource: 'http://cache:5000' })],
      [json('resources.limits', { memory: '1G', cpu: '0.25' })],
      [json('resources.limits', { memory: '1E9', cpu: '.5' })],
      [
        json('resources.limits', { 'ephemeral-storage': '1Pi' }),
        json('resources.requests', { 'ephemeral-storage': '2Ti' }),
      ],
      ['serviceMonitor.enabled=true', 'serviceMonitor.interval="1m30s"'],
      [
        'listenHost="::"',
        json('extraEnv', [{ name: 'COMPASS_URL', value: 'x' }]),
        'image.repository="Registry.Example:5000/team/muster"',
      ],
      [
        json('extraEnv', [
          { name: 'a.b-c', value: 'x' },
          { name: 'TOKEN_PATH', value: '/token' },
          { name: 'X_TOKEN', valueFrom: { secretKeyRef: { name: 'a', key: 'b' } } },
          { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
        ]),
      ],
      [
        json('networkPolicy.dnsTo', [
          { ipBlock: { cidr: '2001:db8::/32', except: ['2001:db8:1::/48'] } },
          { podSelector: { matchExpressions: [{ key: 'a', operator: 'In', values: ['x'] }] } },
        ]),
      ],
      ['extraVolumes=[{"name":"empty"}]'],
      ['podAnnotations={"Example.com/a_b":"c"}', 'tolerations=[{"operator":"Exists"}]'],
      [json('settings', { checkpointTo: '/bundle/log', logExportDir: '/bundle' }), volume, mount],
    ])
      expect([sets, refusal(...sets)]).toEqual([sets, 'rendered']);
  });

  it('refuses a name that no Service may have', () => {
    const named = (name: string, ...more: readonly string[]): string => {
      try {
        return helm(
          'template',
          name,
          CHART,
          '--values',
          `${CHART}/ci/default-values.yaml`,
          ...more,
        );
      } catch (error) {
        return String((error as { stderr?: unknown }).stderr);
      }
    };
    expect(named('a.b')).toContain('no Service may be called a.b-muster');
    expect(named('1a')).toContain('no Service may be called 1a-muster');
    expect(named('a.b', '--set', 'fullnameOverride=fleet')).toContain('kind: Deployment');
  });

  it('writes names as text that YAML would read as something else', () => {
    const names = ['database.existingSecret=0123', 'database.urlKey=no', 'tls.existingSecret=1e3'];
    const more = ['fullnameOverride=yes', 'image.pullSecrets[0]=null', 'priorityClassName=off'];
    const text = helm(
      ...['template', 'on', CHART, '--values', `${CHART}/ci/default-values.yaml`],
      ...[...names, ...more].flatMap((set) => ['--set-string', set]),
    );
    const found = parseAllDocuments(text, { version: '1.1' }).flatMap((object) =>
      namesIn(object.toJS()),
    );
    expect(found).toEqual(
      expect.arrayContaining(['0123', 'no', '1e3', 'yes', 'null', 'off', 'on']),
    );
    expect(found.filter((name) => typeof name !== 'string')).toEqual([]);
  });

  it('probes without TLS where a certificate is taken away', () => {
    const values = ['--values', `${CHART}/ci/default-values.yaml`];
    const none = [
      'tls.existingSecret',
      'clientCa.existingConfigMap',
      'operatorCa.existingConfigMap',
    ];
    const sets = none.flatMap((name) => ['--set-json', `${name}=null`]);
    const trial = ['--set', 'settings.strict=false'];
    const text = helm('template', 'm', CHART, ...values, ...trial, ...sets);
    expect(new Set(text.match(/scheme: \w+/gi))).toEqual(new Set(['scheme: HTTP']));
  });

  it('scales by a share of the CPU that pods ask for, and only so', () => {
    const on = 'autoscaling.enabled=true';
    for (const without of [
      'resources.requests.cpu=null',
      'resources.requests=null',
      'resources.requests.cpu="0"',
    ])
      expect(refusal(on, without)).toContain('autoscaling.enabled needs resources.requests.cpu');
    expect(refusal(on)).toBe('rendered');
    expect(refusal('resources.requests.cpu=null')).toBe('rendered');
  });

  it('takes files that its own mounts bring', () => {
    const files = { caCertFile: '/etc/muster/client-ca/ca.crt', caSignCommand: '/sign' };
    expect(refusal(json('settings', files))).toBe('rendered');
    expect(refusal(json('settings', files), 'clientCa.existingConfigMap=""')).toContain('no mount');
  });

  it('refuses a trust file that is none', () => {
    for (const text of ['garbage', '[]', '{}', '{"schemaVersion":2,"ciReleaseKey":{}}'])
      expect(trust(text)).toContain('trust.json is no trust file');
    expect(trust('{"schemaVersion":1,"ciReleaseKey":{}}')).toBe('rendered');
  });

  it('refuses matchers that Prometheus would not read', () => {
    for (const text of ['job="a" or vector(1) #"', 'job="a"}', 'job="a",', 'job=a', 'job="a\\"'])
      expect(selector(text)).toContain('/prometheusRule/selector');
    for (const text of ['job=~"a\\.b"', 'job="\\q"', 'job="\\\\\\d"'])
      expect(selector(text)).toContain('which PromQL does not know in a string: write \\');
    expect(selector('job="a", __name__="x"')).toContain('must not have __name__');
    for (const text of ['job=~"("', 'job="a",pod!~"a)(b"', 'job=~"a\\\\\\\\("'])
      expect(selector(text)).toContain('no regular expression');
    for (const text of [
      'job="a"',
      'job="a",namespace=~"fleet-.*"',
      'job=~"a\\\\.b\\\\(|c"',
      'job!="(", pod="\\""',
    ])
      expect(selector(text)).toBe('rendered');
  });
});
