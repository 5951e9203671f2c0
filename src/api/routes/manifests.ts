/**
 * The signed artifacts, byte for byte as they were signed. Agents verify them again; all that is added is
 * a strong ETag, and `no-cache`, because the same rollout is signed again to stay fresh.
 */
import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Static, Type } from '@sinclair/typebox';
import { hasSameEtag, UNCHANGED } from '../etag.ts';
import {
  currentArtifactVersion,
  hasFleet,
  readCurrentArtifact,
  type ArtifactRow,
  type ServedArtifact,
} from '../../db/reads.ts';
import { isRolloutId } from '../../wire/ids.ts';
import { ProblemSchema } from '../../wire/problem.ts';
import type { ApiDeps } from '../deps.ts';
import { fromDatabase, Refusal } from '../refusal.ts';

type Part = 'bytes' | 'signature';

const TYPES: Readonly<Record<Part, string>> = {
  bytes: 'application/json',
  signature: 'application/octet-stream',
};
/** Where each part is, and what to call it. */
const PARTS: readonly (readonly [part: Part, path: string, what: string])[] = [
  ['bytes', '', ', as signed'],
  ['signature', '/sig', "'s signature, raw"],
];
const FLEET: ServedArtifact = { kind: 'fleet', name: 'fleet.resolved' };
/** A few versions of a few files: every agent asks for the same ones. */
const MAX_KEPT = 64;
const UNVERIFIED_RETRY_SECS = 15;

/** The newest versions read, so that a thousand agents cost one read and a version check each. */
function artifactReader({ pool }: ApiDeps) {
  const kept = new Map<string, ArtifactRow>();
  return async (artifact: ServedArtifact): Promise<ArtifactRow | null> => {
    const key = `${artifact.kind} ${artifact.name}`;
    const version = await pool.run((sql) => currentArtifactVersion(sql, artifact));
    const known = kept.get(key);
    if (version === null) return null;
    if (known?.version === version) return known;
    const row = await pool.run((sql) => readCurrentArtifact(sql, artifact));
    if (row === null) return null;
    kept.delete(key);
    kept.set(key, row);
    const [oldest] = kept.keys();
    if (kept.size > MAX_KEPT && oldest !== undefined) kept.delete(oldest);
    return row;
  };
}

function etagOf(row: ArtifactRow, part: Part): string {
  const digest = createHash('sha256').update(row[part]).digest('base64url');
  return `"${digest}"`;
}

const RolloutParams = Type.Object({ id: Type.String({ description: '{channel}@{channelRef}' }) });

interface OfRollout {
  Params: Static<typeof RolloutParams>;
}

/** For people and tools only: bytes go out as they are, past every serialiser. */
const BODIES = {
  bytes: { type: 'object', additionalProperties: true },
  signature: { type: 'string', format: 'binary' },
} as const satisfies Readonly<Record<Part, object>>;

const responsesOf = (part: Part) => ({
  200: {
    description: 'The exact bytes that were signed, or of their signature.',
    content: { [TYPES[part]]: { schema: BODIES[part] } },
  },
  400: ProblemSchema,
  304: UNCHANGED,
  401: ProblemSchema,
  403: ProblemSchema,
  404: ProblemSchema,
  426: ProblemSchema,
  503: ProblemSchema,
});

export function addManifests(scope: FastifyInstance, deps: ApiDeps): void {
  const read = artifactReader(deps);
  const serve = async (
    request: FastifyRequest,
    reply: FastifyReply,
    artifact: ServedArtifact,
    part: Part,
  ): Promise<FastifyReply> => {
    const row = await fromDatabase(deps.log, () => read(artifact));
    if (row === null) throw await absent(deps, artifact);
    const etag = etagOf(row, part);
    void reply.header('etag', etag).header('cache-control', 'no-cache');
    if (hasSameEtag(request, etag)) return reply.code(304).send();
    return reply.type(TYPES[part]).send(row[part]);
  };
  const config = { audience: 'agent' } as const;
  for (const [part, path, what] of PARTS) {
    const about = (of: string) => ({
      ...{ summary: `${of}${what}`, tags: ['agent'], response: responsesOf(part) },
    });
    scope.get(`/v1/fleet.resolved${path}`, { config, schema: about('The fleet') }, (...both) =>
      serve(...both, FLEET, part),
    );
    scope.get<OfRollout>(
      `/v1/rollouts/:id${path}`,
      { config, schema: { ...about('A rollout manifest'), params: RolloutParams } },
      (request, reply) => serve(request, reply, rolloutOf(request.params.id), part),
    );
  }
}

function rolloutOf(id: string): ServedArtifact {
  if (isRolloutId(id)) return { kind: 'manifest', name: id };
  throw new Refusal(
    'malformed',
    'a rollout id is {channel}@{channelRef}; send it as it was dispatched',
  );
}

/** Before the first verified set there is nothing to serve, which will pass; afterwards 404 is final. */
async function absent(deps: ApiDeps, { name }: ServedArtifact): Promise<Refusal> {
  if (await fromDatabase(deps.log, () => deps.pool.run(hasFleet))) {
    return new Refusal('not-found', `there is no verified ${name}`);
  }
  return new Refusal('not-ready', 'no manifest set has been verified yet; try again later', {
    retryAfterSecs: UNVERIFIED_RETRY_SECS,
  });
}
