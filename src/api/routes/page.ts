/**
 * The operator's page. Its files are built once, few and small, and so are read once and kept: nothing of a
 * request ever becomes a path. The page itself is for anyone, it holds nothing; what it shows it asks the API
 * for, with the operator's credential.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { FastifyInstance } from 'fastify';
import { hasSameEtag } from '../etag.ts';
import { Refusal } from '../refusal.ts';

/** Scripts, styles and requests of this origin, and nothing else: no inline code, no frames, no other host. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ');

const HEADERS = {
  'content-security-policy': POLICY,
  'cross-origin-opener-policy': 'same-origin',
};

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
};

interface File {
  readonly bytes: Buffer;
  readonly type: string;
  readonly etag: string;
}

/** The built page by file name; empty where it was not built (`npm run build` does). */
async function readFiles(dir: string): Promise<ReadonlyMap<string, File>> {
  const files = new Map<string, File>();
  for (const name of await readdir(dir).catch(() => [])) {
    const type = TYPES[path.extname(name)];
    if (type === undefined) continue;
    const bytes = await readFile(path.join(dir, name));
    const hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
    files.set(name, { bytes, type, etag: `"${hash}"` });
  }
  return files;
}

export async function addPage(app: FastifyInstance, dir: string): Promise<void> {
  const files = await readFiles(dir);
  const schema = { hide: true };
  const config = { audience: 'anyone', isFile: true } as const;
  app.get('/', { config, schema }, (request, reply) => {
    const page = files.get('index.html');
    if (page === undefined) throw new Refusal('not-found', 'the page was not built: npm run build');
    void reply.headers({ ...HEADERS, 'cache-control': 'no-cache', etag: page.etag });
    if (hasSameEtag(request, page.etag)) return reply.code(304).send();
    return reply.type(page.type).send(page.bytes);
  });
  app.get<{ Params: { name: string } }>('/assets/:name', { config, schema }, (request, reply) => {
    const file = files.get(request.params.name);
    if (file === undefined) throw new Refusal('not-found', 'there is no such file');
    return reply
      .headers({ ...HEADERS, 'cache-control': 'public, max-age=31536000, immutable' })
      .type(file.type)
      .send(file.bytes);
  });
}
