/** Whether the caller's copy is still the one: the rule of If-None-Match, for every route that has an ETag. */
import { Type } from '@sinclair/typebox';
import type { FastifyRequest } from 'fastify';

/** The answer where it is, as a schema. */
export const UNCHANGED = Type.Null({ description: 'Unchanged since If-None-Match.' });

/** `etag`: ours, in its quotes. */
export function hasSameEtag(request: FastifyRequest, etag: string): boolean {
  const sent = request.headers['if-none-match'];
  if (sent === undefined) return false;
  // If-None-Match compares weakly, and proxies that compress mark tags as weak.
  const tags = sent.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes(etag) || tags.includes('*');
}
