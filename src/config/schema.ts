/**
 * Every setting of `muster serve`, with its default, its meaning and the reason of its size.
 * docs/configuration.md is printed from here, and a test compares the two.
 */
import { Type } from '@sinclair/typebox';
import { decimal, optional, text, whole } from './kinds.ts';

const ROLES = ['api', 'leader', 'workers'] as const;
const TLS_VERSIONS = ['1.3', '1.2'] as const;
const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
/** The server stands where hosts stand: the driver ignores `?host=`, and takes one that is not named from `PGHOST`. */
const DATABASE_URL = {
  pattern: '^postgres(ql)?://(?!.*[?&](host|hostaddr|port)=)(?![^/?#]*@([/?#]|$))[^/?#]',
  form: 'a postgres:// URL that names its server before the path, and not as ?host=',
};

/** Names are the flag's in camelCase: `databaseUrl` is `--database-url` and `MUSTER_DATABASE_URL`. */
export const ConfigSchema = Type.Object({
  databaseUrl: text(
    'Database',
    null,
    'PostgreSQL URL; percent-encode what is special in user and password (`/` is `%2F`, `%` is `%25`). One host, which leads to the primary; with Patroni its service or HAProxy in TCP mode, not a list of hosts. A direct connection, never through a pooler: in transaction mode locks and LISTEN would be lost, and in session mode the settings that end a frozen leader. Its query may hold `sslmode`, `sslrootcert` and settings of the server, of which those that Muster relies on are its own, `application_name` among them.',
    {
      secret: true,
      example: 'postgres://muster@db/muster',
      ...DATABASE_URL,
    },
  ),
  leaderDatabaseUrl: Type.Union([Type.String({ pattern: DATABASE_URL.pattern }), Type.Null()], {
    group: 'Database',
    default: null,
    secret: true,
    example: 'postgres://muster_leader_1@db/muster',
    form: DATABASE_URL.form,
    description:
      'PostgreSQL URL of the roles `leader` and `workers`, so that the API cannot write the log; see docs/database-roles.md. Unset: as `MUSTER_DATABASE_URL`.',
  }),
  schema: text(
    'Database',
    'muster',
    'PostgreSQL schema of this installation; several may share one database.',
    {
      pattern: '^[a-z_][a-z0-9_]{0,39}$',
      form: 'up to 40 lower-case letters, digits and underscores that do not begin with a digit',
      example: 'muster',
    },
  ),
  apiConnections: whole(
    'Database',
    4,
    [2, 100],
    'Connections of the API to PostgreSQL. Statements are gathered, so few go far: four keep one busy with reads, one with offers and two for long reads; presence has its own.',
  ),

  roles: Type.Array(Type.Union(ROLES.map((role) => Type.Literal(role))), {
    group: 'Process',
    default: [...ROLES],
    form: 'a comma-separated list of api, leader and workers, each once',
    minItems: 1,
    uniqueItems: true,
    description:
      'What this process does, comma-separated: `api`, `leader`, `workers`. One process leads and one works at a time, however many may.',
  }),
  listenHost: text('Process', '127.0.0.1', 'Address to listen on.', {
    minLength: 1,
    example: '0.0.0.0',
  }),
  listenPort: whole('Process', 8080, [0, 65_535], 'Port to listen on; 0 picks a free one.'),
  publicAddress: optional(
    'Process',
    'URL under which others reach this process, shown to operators. Unset: `http(s)://<listen host>:<port>`.',
    { example: 'https://muster-0.example.net' },
  ),
  replica: optional(
    'Process',
    'Name of this process, unique among its peers. Unset: host name and process id.',
    { example: 'muster-0' },
  ),
  devIdentity: Type.Boolean({
    group: 'Process',
    default: false,
    description:
      'Believe the header `X-Muster-Dev-Identity`. For development: works only while listening on loopback.',
  }),
  strict: Type.Boolean({
    group: 'Process',
    default: true,
    description:
      'Refuse to start without what production needs: TLS, authorities of agents, a database login of its own for the leader, proof of who answers as a PostgreSQL elsewhere, and at the source the signed lists of who is revoked and who may enrol. What is missing is listed at once. `false` starts without, and says so; `MUSTER_DEV_IDENTITY` implies it. See docs/operators.md.',
  }),
  logLevel: Type.Union(
    LOG_LEVELS.map((level) => Type.Literal(level)),
    {
      group: 'Process',
      default: 'info',
      description: 'Least severe lines to log: `debug`, `info`, `warn` or `error`.',
    },
  ),

  tlsCertFile: optional(
    'Identity',
    'PEM file with the certificate of this listener, followed by the authorities between it and its root. With it the listener speaks TLS and nothing else. Read again when it changes, as are all files of this group.',
    { example: '/etc/muster/tls/tls.crt' },
  ),
  tlsKeyFile: optional('Identity', 'PEM file with the key of that certificate.', {
    example: '/etc/muster/tls/tls.key',
  }),
  tlsMinVersion: Type.Union(
    TLS_VERSIONS.map((version) => Type.Literal(version)),
    {
      group: 'Identity',
      default: '1.3',
      form: '1.3 or 1.2',
      description:
        'Least version of TLS that a client may speak: `1.3`, or `1.2` for agents that know no better.',
    },
  ),
  clientCaFile: optional(
    'Identity',
    'PEM file with the authorities that issue certificates to agents, each of which is trusted itself: an authority below another one is named itself. Who presents a certificate of theirs is the host that it names. See docs/tls.md.',
    { example: '/etc/muster/fleet-ca.pem' },
  ),
  operatorCaFile: optional(
    'Identity',
    'PEM file with the authorities that issue certificates to operators; none of them may be an authority of agents. The common name is the operator, an organisational unit `viewer`, `operator` or `admin` the role.',
    { example: '/etc/muster/operator-ca.pem' },
  ),
  proxyListen: Type.Union([Type.String({ pattern: '^\\S+:\\d{1,5}$' }), Type.Null()], {
    group: 'Identity',
    default: null,
    example: '10.0.0.5:8443',
    form: 'an address and a port',
    description:
      'Address and port of a listener for proxies that terminate TLS and forward the client certificate (`Client-Cert`, RFC 9440). Unset: none, and the header is refused everywhere.',
  }),
  proxyAddresses: Type.Array(Type.String({ pattern: '^[0-9a-fA-F.:]+(/\\d{1,3})?$' }), {
    group: 'Identity',
    default: [],
    form: 'a comma-separated list of addresses and ranges',
    example: '10.1.2.0/24,fd00::5',
    description: 'From where proxies connect; anyone else is cut off.',
  }),
  proxyCaFile: optional(
    'Identity',
    'PEM file with the authorities of the certificates by which proxies prove themselves in the handshake. None of them may be an authority of agents or operators.',
    { example: '/etc/muster/proxy-ca.pem' },
  ),
  proxySecretFile: optional(
    'Identity',
    'File with a secret of 32 characters or more that proxies send as `X-Muster-Proxy-Secret` with each request. With `MUSTER_PROXY_CA_FILE` too, both are asked for.',
    { example: '/etc/muster/proxy-secret' },
  ),
  hostnameSuffix: text(
    'Identity',
    '',
    "Ending of an agent certificate's name that is not part of the host name. When set, a certificate without it is nobody's.",
    { maxLength: 200, example: '.agents.example.net' },
  ),

  source: optional(
    'Manifests',
    'Where signed artifacts come from: a directory or an http(s) URL. Needed by the role `workers`.',
    { example: 'https://releases.example.net/fleet' },
  ),
  sourceToken: optional('Manifests', 'Bearer token for an http(s) source.', {
    secret: true,
    example: '…',
  }),
  trustFile: optional(
    'Manifests',
    'Path of the trust file with the keys that artifacts must be signed by. Needed by the role `workers`.',
    { example: '/etc/muster/trust.json' },
  ),
  pollSeconds: decimal(
    'Manifests',
    30,
    [0.1, 3_600],
    'Between two looks at the source. Releases take minutes to build, so half a minute adds little; with ETags a look costs next to nothing.',
  ),
  caCertFile: optional(
    'Enrolment',
    'PEM file with the certificate of the authority that issues certificates to hosts. With it, hosts may enrol and renew here (role `api`); unset: 501. Read for every certificate, as is its key. See docs/enrolment.md.',
    { example: '/etc/muster/fleet-ca.crt' },
  ),
  caKeyFile: optional(
    'Enrolment',
    'PEM file with the key of that authority. Whoever reads it can be any host: for trials and small fleets, else use `MUSTER_CA_SIGN_COMMAND`.',
    { example: '/etc/muster/fleet-ca.key' },
  ),
  caKeyFileAllowed: Type.Boolean({
    group: 'Enrolment',
    default: false,
    description: 'Let strict mode start with `MUSTER_CA_KEY_FILE`.',
  }),
  caSignCommand: optional(
    'Enrolment',
    'Path of a program that signs instead of a key file: a wrapper around a TPM, HSM or KMS. It has 5 s.',
    { example: '/usr/local/bin/sign-with-kms' },
  ),
  certificateDays: decimal(
    'Enrolment',
    30,
    [0.01, 825],
    'How long a certificate of a host is valid. Agents renew from half of it, so a control plane may be away for two weeks.',
  ),
  closureSource: optional(
    'Enrolment',
    'http(s) URL of the binary cache whose narinfo agents may ask this process for. Unset: 501.',
    { example: 'https://cache.example.net' },
  ),
  heartbeatSeconds: decimal(
    'Hosts and graces',
    60,
    [1, 3_600],
    'How often agents send heartbeats; a host that misses three is unreachable. Must be what the agents do (v0.2: 60).',
  ),
  agentFreshnessMinutes: decimal(
    'Hosts and graces',
    60,
    [1, 10_000_000],
    'Agents refuse an older manifest, whatever its channel allows (v0.2: 60); nothing older is dispatched.',
  ),
  offlineGraceMinutes: decimal(
    'Hosts and graces',
    15,
    [0.05, 100_000],
    'An absent host that has not begun stops holding its wave after this: a laptop in a drawer blocks nobody.',
  ),
  deliveredGraceMinutes: decimal(
    'Hosts and graces',
    30,
    [0.05, 100_000],
    'A dispatch offered to a host that fell silent gives its slot back this long after the host was last heard, but after five heartbeats at the soonest, and not before a leader has heard hosts for as long.',
  ),
  moveGraceMinutes: decimal(
    'Hosts and graces',
    60,
    [0.05, 100_000],
    'A host that is heard but silent about its move stops counting as moving this long after its soak was due, if it was heard, and said nothing of it, while a leader heard hosts for five heartbeats.',
  ),
  refusedAfterMinutes: decimal(
    'Hosts and graces',
    10,
    [0.05, 100_000],
    'A heard host that has not taken an offer after this is shown as refusing it.',
  ),
  tickSeconds: decimal(
    'Hosts and graces',
    15,
    [0.1, 600],
    'Safety net that plans again when nothing else happened; soak and graces are minutes, so a quarter of one is prompt. Once in MUSTER_HEARTBEAT_SECONDS at the least: each tick tells whether any host is heard.',
  ),
  retentionDays: decimal(
    'Hosts and graces',
    30,
    [0.01, 3_650],
    'Days after which an ended rollout is pruned from the state. The event log keeps it.',
  ),

  logRetentionDays: decimal(
    'Event log',
    0,
    [0, 36_500],
    'Days after which a partition of the log (a million rows) is detached; 0: never. Detached partitions stay tables until an owner drops them.',
  ),
  logRetentionGb: decimal(
    'Event log',
    0,
    [0, 1_000_000],
    'Size of the log, with indexes, beyond which its oldest partition is detached; 0: any. A release costs some 7 kB a host.',
  ),
  logExportDir: optional(
    'Event log',
    'Folder to which detached partitions are written as compressed JSON lines that `muster replay` reads. Unset: they are not.',
    { example: '/var/lib/muster/log' },
  ),
  checkpointMinutes: decimal(
    'Event log',
    10,
    [0.01, 1_440],
    'How often the head of the log is said, and old partitions are looked for. What a rewriting of the whole log could hide is what happened since the last one.',
  ),
  checkpointTo: optional(
    'Event log',
    'File to which each checkpoint `incarnation:seq:hash` is appended, or http(s) URL to which it is posted; `muster log verify --checkpoint` takes it. Unset: the process log only.',
    { example: '/var/log/muster/checkpoints' },
  ),

  verdictWaitMs: whole(
    'Limits',
    2_000,
    [0, 8_000],
    'How long an event waits for its verdict before 202. Agents give up after 10 s; a new leader takes under 2 s.',
  ),
  queueMaxRows: whole(
    'Limits',
    200_000,
    [100, 10_000_000],
    'Inputs that may wait for the leader; more, or 4 KiB for each of them in all, is 503. Looked at twice a second: what comes in between is taken. 20 s of full load, and about 200 MB (800 MB at the most).',
  ),
  queueMaxAgeSeconds: decimal(
    'Limits',
    120,
    [1, 86_400],
    'Age of the oldest waiting input at which new ones are refused with 503: two missed heartbeats; older news steers nobody well.',
  ),
  batcherMaxRows: whole(
    'Limits',
    10_000,
    [1, 1_000_000],
    'Inputs this process may hold in memory before PostgreSQL takes them; more is 503. One second of full load.',
  ),
  batchRows: whole(
    'Limits',
    1_000,
    [1, 20_000],
    'Inputs in one statement or one leader commit. With 4,000 a backlog drains some 15 % faster, and each verdict waits for a larger commit.',
  ),
  maxParkedPolls: whole(
    'Limits',
    20_000,
    [1, 200_000],
    'Dispatch polls waiting on this process; more is 503. Each costs some 20 kB, so 400 MB; two such replicas carry 40,000 hosts.',
  ),
  maxEventStreams: whole(
    'Limits',
    1_000,
    [1, 100_000],
    'Streams of the event log open on this process; more is 503. Idle ones cost some 40 kB each, one whose reader is slow up to 0.3 MB.',
  ),
  maxConnections: whole(
    'Limits',
    25_000,
    [10, 250_000],
    'Open client connections; one more is closed at once, and comes again. Parked polls plus a quarter for everything else. What bodies take before they are whole has bounds of its own: 64 MiB, and 8 MiB of one caller; beyond it a body of more than 8 KiB is 503.',
  ),
  connectionMaxMinutes: decimal(
    'Limits',
    15,
    [0.01, 1_440],
    'Age at which a connection closes after its next answer, spread by a quarter: agents come to use renewed certificates, and new replicas, within it. 10,000 agents make eleven handshakes a second of it.',
  ),
  identityRequestsPerSecond: whole(
    'Limits',
    500,
    [1, 1_000_000],
    'Requests of one agent or operator that this process answers in a second; more is 503 for an agent, 429 for an operator. An agent that replays its journal as fast as it is answered makes some 200.',
  ),
  requestsPerSecond: whole(
    'Limits',
    20_000,
    [1, 10_000_000],
    'Requests of all agents and operators together that this process answers in a second, and as many of callers who prove nothing, probes aside; more is 503 or 429. Twice what it can do: beyond it, refusing at once serves more callers than trying.',
  ),
  requestTimeoutSeconds: decimal(
    'Limits',
    10,
    [0.2, 60],
    'Time a client has to send a whole request before its connection is closed. Agents give up after 10 s themselves.',
  ),

  drainDelaySeconds: decimal(
    'Stopping',
    5,
    [0, 300],
    'Keep serving this long after readiness went false: a load balancer needs a few probes to notice.',
  ),
  stopDeadlineSeconds: decimal(
    'Stopping',
    25,
    [1, 3_600],
    'Everything must have stopped by then; Kubernetes kills after 30.',
  ),
});
