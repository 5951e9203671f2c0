/**
 * Kinds of operators that a cluster may lack, as strict as their CRDs about the fields that the chart uses, and closed to
 * all others: the CRDs themselves are half a megabyte, and ignore what they do not know. Names and forms are those of
 * prometheus-operator 0.8x and Gateway API 1.x.
 */
const closed = (required: readonly string[], properties: object): object => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties,
});
const list = (items: object): object => ({ type: 'array', minItems: 1, items });
const text = { type: 'string', minLength: 1 };
const texts = { type: 'object', additionalProperties: { type: 'string' } };
const port = { type: 'integer', minimum: 1, maximum: 65_535 };
const duration = {
  type: 'string',
  pattern: '^(0|([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$',
};
const metadata = closed(['name'], { name: text, labels: texts, annotations: texts });

const object = (apiVersion: string, kind: string, spec: object): object =>
  closed(['apiVersion', 'kind', 'metadata', 'spec'], {
    ...{ apiVersion: { const: apiVersion }, kind: { const: kind } },
    ...{ metadata, spec },
  });

const endpoint = closed(['port'], {
  ...{ port: text, path: text, interval: duration },
  scheme: { enum: ['http', 'https'] },
  tlsConfig: closed([], { insecureSkipVerify: { type: 'boolean' } }),
});
const serviceMonitor = closed(['selector', 'endpoints'], {
  selector: closed(['matchLabels'], { matchLabels: texts }),
  endpoints: list(endpoint),
});

const rule = closed(['alert', 'expr'], {
  ...{ alert: text, expr: text, for: duration, keep_firing_for: duration },
  ...{ labels: texts, annotations: texts },
});
const group = closed(['name', 'rules'], { name: text, interval: duration, rules: list(rule) });
const prometheusRule = closed(['groups'], { groups: list(group) });

const parent = closed(['name'], {
  ...{ group: text, kind: text, name: text, namespace: text, sectionName: text, port },
});
const backend = closed(['name', 'port'], { name: text, port });
const httpRoute = closed(['parentRefs', 'rules'], {
  ...{ parentRefs: list(parent), hostnames: list(text) },
  rules: list(closed(['backendRefs'], { backendRefs: list(backend) })),
});

const target = closed(['group', 'kind', 'name'], {
  group: { type: 'string' },
  kind: text,
  name: text,
});
const backendTls = closed(['targetRefs', 'validation'], {
  targetRefs: list(target),
  validation: closed(['hostname'], {
    hostname: text,
    caCertificateRefs: list(target),
    wellKnownCACertificates: { const: 'System' },
  }),
});

const MONITORING = 'monitoring.coreos.com/v1';
const GATEWAY = 'gateway.networking.k8s.io/v1';

/** By `apiVersion/kind`. */
export const CUSTOM: ReadonlyMap<string, object> = new Map([
  [`${MONITORING}/ServiceMonitor`, object(MONITORING, 'ServiceMonitor', serviceMonitor)],
  [`${MONITORING}/PrometheusRule`, object(MONITORING, 'PrometheusRule', prometheusRule)],
  [`${GATEWAY}/BackendTLSPolicy`, object(GATEWAY, 'BackendTLSPolicy', backendTls)],
  [`${GATEWAY}/HTTPRoute`, object(GATEWAY, 'HTTPRoute', httpRoute)],
]);
