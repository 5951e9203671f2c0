/** `muster sign`: for CI and trials. The control plane never signs anything. */
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  loadSigningKey,
  signArtifact,
  signDirectory,
  SigningError,
  type SigningKey,
} from '../trust/sign.ts';
import {
  errorCode,
  EXIT,
  fail,
  type Io,
  parseOptions,
  printJson,
  readInput,
  UsageError,
} from './io.ts';

export const signHelp = `muster sign --key KEY.pem PATH... [options]

Signs artifacts: for each FILE it writes FILE.sig, 64 raw bytes over the canonical (RFC 8785) form of the
JSON. A PATH that is a directory is taken as a release source: fleet.resolved.json, revocations.json,
bootstrap-nonces.json and rollouts/*.json in it are signed.

  --key FILE               private key, PEM, ed25519 or P-256 (required; see muster keygen)
  --stamp                  directories only: first set meta.signedAt to now, and fleetResolvedHash of the
                           manifests to the hash of the fleet beside them. Rewrites the files
  --json                   print {"ok":true,"signed":[paths]}

Exit code: 0 done, 2 something could not be read, signed or written.
`;

const OPTIONS = {
  key: { type: 'string' },
  stamp: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

export async function sign(args: string[], io: Io): Promise<number> {
  try {
    const { values, positionals } = parseOptions({
      args,
      options: OPTIONS,
      allowPositionals: true,
    });
    if (values.help) {
      io.stdout.write(signHelp);
      return EXIT.ok;
    }
    if (positionals.length === 0)
      throw new UsageError('give files or a directory; see muster sign --help');
    const key = await readKey(values.key);
    const signed = await signAll(positionals, key, values.stamp ? Date.now() : undefined);
    if (values.json) printJson(io, { ok: true, signed });
    else for (const path of signed) io.stdout.write(`${path}.sig\n`);
    return EXIT.ok;
  } catch (error) {
    const message = callersMistake(error);
    return fail(io, { command: 'sign', json: args.includes('--json') }, EXIT.usage, message);
  }
}

async function readKey(path: string | undefined): Promise<SigningKey> {
  if (path === undefined) throw new UsageError('--key FILE is required; `muster keygen` makes one');
  const pem = await readInput(path, 'the key');
  try {
    return loadSigningKey(pem);
  } catch (error) {
    throw new UsageError(`${path}: ${callersMistake(error)}`);
  }
}

async function signAll(
  paths: string[],
  key: SigningKey,
  stampAt: number | undefined,
): Promise<string[]> {
  const signed: string[] = [];
  for (const path of paths) {
    if (await isDirectory(path)) {
      signed.push(...(await signDirectory(path, key, stampAt)).map((name) => join(path, name)));
    } else {
      if (stampAt !== undefined)
        throw new UsageError(`--stamp is for directories, and ${path} is a file`);
      await writeFile(`${path}.sig`, signArtifact(await readInput(path, 'the artifact'), key));
      signed.push(path);
    }
  }
  return signed;
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw new UsageError(
      `cannot read ${path} (${errorCode(error)}): check the path and its permissions`,
    );
  }
}

/** The sentence for a mistake of the caller's or a failing file system; anything else is ours, and thrown. */
function callersMistake(error: unknown): string {
  if (error instanceof UsageError || error instanceof SigningError) return error.message;
  if (error instanceof Error && 'code' in error && 'syscall' in error) return error.message;
  throw error;
}
