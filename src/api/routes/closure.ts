/**
 * `GET /v1/agent/closure/{hash}`: what the fleet's binary cache says of a closure (its narinfo), for hosts that
 * reach the control plane and not the cache. Handed on as it is: the cache's own signature is in it, and the agent
 * verifies that. 501 where no cache is configured.
 */
import { Type } from '@sinclair/typebox';
import { ProblemSchema } from '../../wire/problem.ts';
import type { ApiDeps } from '../deps.ts';
import { notAccepted, Refusal } from '../refusal.ts';
import type { Scope } from '../scope.ts';

/** Of a store path, `<hash>-<name>`, the hash is asked for. Letters are those of Nix's base 32. */
const HASH = '^[0-9a-df-np-sv-z]{32}(-[A-Za-z0-9+._?=-]{1,211})?$';
const HASH_CHARS = 32;
/** Agents give up after 10 s. */
const TIMEOUT_MS = 5_000;
/** A narinfo is some hundred bytes, and a few kilobytes with thousands of references. */
const MAX_BYTES = 256 * 1024;
/** Open towards the cache at once, so that a slow one does not hold a connection for each host. */
const MOST_OPEN = 32;
const RETRY_SECS = 10;

export function addClosure(scope: Scope, { closureSource, log }: ApiDeps): void {
  let open = 0;
  scope.get(
    '/v1/agent/closure/:hash',
    {
      config: { audience: 'agent' },
      schema: {
        summary: 'What the binary cache says of a closure',
        tags: ['agent'],
        params: Type.Object({
          hash: Type.String({
            pattern: HASH,
            description: 'Hash of a store path, or its whole name.',
          }),
        }),
        response: {
          200: Type.String({ description: 'The narinfo, as the cache gave it.' }),
          400: ProblemSchema,
          401: ProblemSchema,
          403: ProblemSchema,
          404: ProblemSchema,
          426: ProblemSchema,
          501: ProblemSchema,
          503: ProblemSchema,
        },
      },
    },
    async ({ params }, reply) => {
      if (closureSource === null)
        throw new Refusal(
          'not-configured',
          'no binary cache is configured here; set MUSTER_CLOSURE_SOURCE, or ask the cache itself',
        );
      if (open >= MOST_OPEN) throw notAccepted('closure-busy', RETRY_SECS);
      open += 1;
      try {
        const text = await narinfo(closureSource, params.hash.slice(0, HASH_CHARS));
        if (text === null)
          throw new Refusal('not-found', `the binary cache has no closure ${params.hash}`);
        return await reply.type('text/x-nix-narinfo').send(text);
      } catch (error) {
        if (error instanceof Refusal) throw error;
        const problem = error instanceof Error ? error.message : String(error);
        log.warn({ problem }, 'the binary cache does not answer');
        throw notAccepted('closure-source', RETRY_SECS);
      } finally {
        open -= 1;
      }
    },
  );
}

/** Null: the cache does not have it. */
async function narinfo(base: string, hash: string): Promise<string | null> {
  const url = new URL(`${hash}.narinfo`, base.endsWith('/') ? base : `${base}/`);
  // A redirect would let whoever runs the cache have this process ask anything of anyone.
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (response.status === 404) {
    await response.body?.cancel();
    return null;
  }
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel();
    throw new Error(`it answers ${String(response.status)}`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body) {
    const chunk: unknown = part;
    if (!(chunk instanceof Uint8Array)) throw new Error('its answer is no bytes');
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw new Error('its answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
