/** The trust file as enrolment needs it: read with each token, so that a rotated root is in force at once. */
import { readFile } from 'node:fs/promises';
import { AuthorityError } from '../../ca/authority.ts';
import { decodeTrust, type Trust } from '../../trust/trust-file.ts';
import type { Logger } from '../../telemetry.ts';

/** Keeps the last good one while the file cannot be used; rejects when there never was one. */
export function trustReader(path: string, log: Logger): () => Promise<Trust> {
  let last: Trust | null = null;
  return async () => {
    const problem = await readFile(path).then(
      (bytes) => {
        const decoded = decodeTrust(bytes);
        if (decoded.ok) last = decoded.value;
        return decoded.ok ? null : decoded.detail;
      },
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    if (problem !== null) log.warn({ path, problem }, 'MUSTER_TRUST_FILE cannot be used');
    if (last === null)
      throw new AuthorityError(`MUSTER_TRUST_FILE cannot be used: ${problem ?? ''}`);
    return last;
  };
}
