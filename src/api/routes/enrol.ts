/**
 * How hosts come by certificates: `POST /v1/enroll` for those that have none, with a bootstrap token, and
 * `POST /v1/agent/renew` under the one they have. Anybody may ask the first, so it has bounds of its own.
 */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { ProblemSchema } from '../../wire/problem.ts';
import {
  CertificateAnswerSchema,
  EnrolRequestSchema,
  RenewRequestSchema,
} from '../../wire/enrolment.ts';
import type { ApiDeps } from '../deps.ts';
import { Buckets } from '../enrolment/buckets.ts';
import { Enrolment } from '../enrolment/enrolment.ts';
import { callerCertificate, callerHost } from '../identity/identity.ts';
import { addClosure } from './closure.ts';
import { notAccepted, Refusal } from '../refusal.ts';
import type { Scope } from '../scope.ts';

/** What the protocol allows; a token and a request for an RSA key have 4 kB together. */
const ENROL_BODY = 1024 * 1024;
/** A certificate request in PEM has at most 16 KiB. */
const RENEW_BODY = 32 * 1024;
/**
 * Of all strangers together, on one replica: each costs up to some 20 ms (a megabyte of JSON, two signatures), so
 * a fifth of a core at the worst; and 10,000 new hosts are enrolled by two replicas in eight minutes.
 */
const ENROL_RATE = { perSecond: 10, burst: 50 } as const;
/** Being worked on at once; a signer that is a program takes up to 5 s, and each is a process. */
const MOST_AT_WORK = 8;
/** Once in fifteen days is what a host needs; five at once are a host that is being repaired. */
const RENEW_RATE = { perSecond: 1 / 600, burst: 5 } as const;
const MOST_HOSTS = 100_000;

const ANSWERS = {
  200: CertificateAnswerSchema,
  400: ProblemSchema,
  401: ProblemSchema,
  403: ProblemSchema,
  409: ProblemSchema,
  413: ProblemSchema,
  415: ProblemSchema,
  426: ProblemSchema,
  501: ProblemSchema,
  503: ProblemSchema,
} as const;

/** In scopes of their own: the first takes bodies as bytes. */
export function addEnrolment(app: FastifyInstance, deps: ApiDeps): void {
  const enrolment = deps.enrolment === null ? null : new Enrolment(deps, deps.enrolment);
  const work = atWork(deps, enrolment);
  for (const add of [addEnroll, addRenew, addClosure]) {
    void app.register((plain, _options, done) => {
      add(plain.withTypeProvider<TypeBoxTypeProvider>(), deps, work);
      done();
    });
  }
}

type Work = <T>(kind: 'enrol' | 'renew', run: (enrolment: Enrolment) => Promise<T>) => Promise<T>;

/** Counts what becomes of each request, and lets only a few be worked on at once. */
function atWork({ metrics }: ApiDeps, enrolment: Enrolment | null): Work {
  let busy = 0;
  return async (kind, run) => {
    if (enrolment === null)
      throw new Refusal(
        'not-configured',
        'this replica issues no certificates; set MUSTER_CA_CERT_FILE, see docs/enrolment.md',
      );
    if (busy >= MOST_AT_WORK) throw notAccepted('enrolment-busy', 2);
    busy += 1;
    try {
      const answer = await run(enrolment);
      metrics.count('muster_api_certificates_total', { kind, outcome: 'issued' });
      return answer;
    } catch (error) {
      const outcome = error instanceof Refusal ? error.code : 'internal';
      metrics.count('muster_api_certificates_total', { kind, outcome });
      throw error;
    } finally {
      busy -= 1;
    }
  };
}

function addEnroll(scope: Scope, { clock }: ApiDeps, work: Work): void {
  const strangers = new Buckets(clock, ENROL_RATE, 1);
  // The bytes as they came: of two equal keys, which one was signed is not for a lenient parser to say.
  scope.removeContentTypeParser('application/json');
  scope.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, body);
  });
  scope.post<{ Body: Buffer | undefined }>(
    '/v1/enroll',
    {
      config: { audience: 'anyone' },
      bodyLimit: ENROL_BODY,
      // Before the body is read, let alone parsed.
      onRequest: (_request, _reply, done) => {
        const wait = strangers.take('');
        done(wait > 0 ? notAccepted('enrolment-rate', wait) : undefined);
      },
      validatorCompiler: () => () => true,
      schema: {
        summary: 'Enrol: a first certificate for a host, by a bootstrap token',
        description:
          'The nonce of the token is burnt for this request, once and for all replicas; then the certificate is signed. The same request may collect the same certificate again until the token expires.',
        tags: ['agent'],
        body: EnrolRequestSchema,
        response: ANSWERS,
      },
    },
    async ({ body }) => work('enrol', (enrolment) => enrolment.enrol(body ?? EMPTY)),
  );
}

const EMPTY = new Uint8Array();

function addRenew(scope: Scope, { clock }: ApiDeps, work: Work): void {
  const hosts = new Buckets(clock, RENEW_RATE, MOST_HOSTS);
  scope.post(
    '/v1/agent/renew',
    {
      config: { audience: 'agent' },
      bodyLimit: RENEW_BODY,
      schema: {
        summary: 'Renew: a new certificate for a new key, under the present one',
        description: 'The key must be new, and the request must name the caller’s own host.',
        tags: ['agent'],
        body: RenewRequestSchema,
        response: ANSWERS,
      },
    },
    async (request) => {
      const hostname = callerHost(request);
      const wait = hosts.take(hostname);
      if (wait > 0) throw notAccepted('renewal-rate', wait);
      return work('renew', (enrolment) =>
        enrolment.renew(hostname, callerCertificate(request), request.body.csrPem),
      );
    },
  );
}
