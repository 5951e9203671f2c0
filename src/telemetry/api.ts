/** What the HTTP side of a process counts: requests, events, heartbeats, identities, long polls. */
import { ROWS, SECONDS, type MetricSpecs } from './spec.ts';

export const API_METRICS = {
  muster_http_requests_total: {
    type: 'counter',
    labels: ['method', 'route', 'status'],
    help: 'HTTP requests answered, by route pattern and status.',
  },
  muster_http_request_seconds: {
    type: 'histogram',
    labels: ['route'],
    help: 'From the first byte of a request to its answer. Dispatch includes the time it was parked.',
    buckets: SECONDS,
  },
  muster_api_events_total: {
    type: 'counter',
    labels: ['outcome'],
    help: 'Agent events by what became of them: applied, duplicate, noop, refused, queued, unavailable.',
  },
  muster_api_heartbeats_total: {
    type: 'counter',
    labels: ['path'],
    help: 'Heartbeats: `read` were answered from committed state, `input` became a queued host report.',
  },
  muster_api_presence_missed_total: {
    type: 'counter',
    labels: ['why'],
    help: 'Heartbeats that were answered although it could not be stored that the host was heard: `late` where the table `presence` is locked or the database slow, `failed` where it refuses. While nothing can be stored, no host becomes unreachable.',
  },
  muster_api_replays_total: {
    type: 'counter',
    labels: [],
    help: 'Heartbeats answered with a Replay-From.',
  },
  muster_api_snapshots_total: {
    type: 'counter',
    labels: [],
    help: 'Rollout snapshots handed to agents with a heartbeat.',
  },
  muster_api_certificates_total: {
    type: 'counter',
    labels: ['kind', 'outcome'],
    help: 'Certificates asked for, by `enrol` or `renew`, and what became of it: `issued`, or the code of the refusal.',
  },
  muster_api_refused_identities_total: {
    type: 'counter',
    labels: ['reason'],
    help: 'Requests refused for who sent them: nobody proved anything (`unauthenticated`), a proof that does not hold (`certificate`, `expired`, `revoked`, `forwarded`, `token`, `token-expired`), or one that does not reach as far (`wrong-identity`, `wrong-host`, `needs-operator`, `needs-admin`, `outside-scope`).',
  },
  muster_certificate_expiry_time_seconds: {
    type: 'gauge',
    labels: ['of'],
    help: 'When the first certificate ends that this process presents or goes by, Unix time in seconds: `server`, authorities of `agents`, `operators` and `proxies`, and the `enrolment` authority that it issues under.',
  },
  muster_api_shed_total: {
    type: 'counter',
    labels: ['why'],
    help: 'Requests answered 503 because something was full, away or stopping.',
  },
  muster_api_connections: {
    type: 'gauge',
    labels: [],
    help: 'Connections of agents, operators, proxies and probes that are open, at all listeners together; each of these closes one more than MUSTER_MAX_CONNECTIONS at once.',
  },
  muster_api_connections_cut_total: {
    type: 'counter',
    labels: ['why'],
    help: 'Connections ended without an answer of the application, or while its request still came: no room (`full`), no HTTP, none for us, or a body that its sender broke off (`malformed`), a head that is too large or too slow (`headers-too-large`, `too-slow`), a handshake that failed (`tls`), more questions than may wait (`pipelining`), an answer that was not taken within a minute (`slow-reader`), no proxy of ours at their listener (`no-proxy`).',
  },
  muster_api_body_bytes: {
    type: 'gauge',
    labels: [],
    help: 'What bodies of requests take that have not come whole yet. Beyond 64 MiB of all callers, or 8 MiB of one, a body of more than 8 KiB is refused with 503.',
  },
  muster_api_parked_polls: {
    type: 'gauge',
    labels: [],
    help: 'Dispatch long polls waiting on this replica.',
  },
  muster_strict: {
    type: 'gauge',
    labels: [],
    help: '1 in strict mode; 0 where it is switched off, or off for development.',
  },
  muster_api_event_streams: {
    type: 'gauge',
    labels: [],
    help: 'Streams of the event log open on this replica.',
  },
  muster_api_offers_total: {
    type: 'counter',
    labels: [],
    help: 'Dispatches offered to agents by this replica, repeats included.',
  },
  muster_api_gathered_rows: {
    type: 'histogram',
    labels: ['statement'],
    help: 'How many callers shared one statement of the API.',
    buckets: ROWS,
  },
} as const satisfies MetricSpecs;
