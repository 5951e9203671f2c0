/** `muster keygen`: a release key and the trust file that names it. */
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { generateKey, trustFileFor } from '../trust/sign.ts';
import { type Algorithm, isAlgorithm } from '../trust/signature.ts';
import { errorCode, EXIT, fail, type Io, parseOptions, printJson, UsageError } from './io.ts';

export const keygenHelp = `muster keygen --out DIR [options]

Makes a private release key (DIR/release-key.pem, readable by its owner only) and a trust file with its
public half (DIR/trust.json). Keep the key where releases are signed; the control plane and the agents need
only the trust file.

  --out DIR                where to write; made if it does not exist (required)
  --algorithm NAME         ed25519 (default) or ecdsa-p256
  --trust FILE             another place for the trust file
  --force                  overwrite existing files
  --json                   print {"ok":true,"key":…,"trust":…,"algorithm":…,"public":…}

Exit code: 0 done, 2 nothing was made.
`;

const OPTIONS = {
  out: { type: 'string' },
  algorithm: { type: 'string', default: 'ed25519' },
  trust: { type: 'string' },
  force: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

export async function keygen(args: string[], io: Io): Promise<number> {
  try {
    const { values } = parseOptions({ args, options: OPTIONS });
    if (values.help) {
      io.stdout.write(keygenHelp);
      return EXIT.ok;
    }
    if (values.out === undefined)
      throw new UsageError('--out DIR is required; see muster keygen --help');
    const algorithm = readAlgorithm(values.algorithm);
    const paths = {
      key: join(values.out, 'release-key.pem'),
      trust: values.trust ?? join(values.out, 'trust.json'),
    };
    return await run(algorithm, paths, values, io);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const json = args.includes('--json');
    return fail(io, { command: 'keygen', json }, EXIT.usage, error.message);
  }
}

async function run(
  algorithm: Algorithm,
  paths: { key: string; trust: string },
  { force, json }: { force: boolean; json: boolean },
  io: Io,
): Promise<number> {
  mayWrite([paths.key, paths.trust], force);
  const { key, pem } = generateKey(algorithm);
  await writeNew(paths.key, pem, 0o600);
  await writeNew(paths.trust, trustFileFor(key), 0o644);
  if (json) printJson(io, { ok: true, ...paths, algorithm, public: key.public });
  else io.stdout.write(`private key: ${paths.key}\ntrust file:  ${paths.trust}\n`);
  return EXIT.ok;
}

export function mayWrite(files: readonly string[], force: boolean): void {
  const there = force ? undefined : files.find((file) => existsSync(file));
  if (there !== undefined)
    throw new UsageError(`${there} exists: choose another place, or overwrite it with --force`);
}

/** Removes before it creates: a file keeps its mode when it is merely overwritten, and a key's must be 0600. */
export async function writeNew(path: string, text: string, mode: number): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await rm(path, { force: true });
    await writeFile(path, text, { mode, flag: 'wx' });
  } catch (error) {
    throw new UsageError(
      `cannot write ${path} (${errorCode(error)}): check the path and its permissions`,
    );
  }
}

function readAlgorithm(name: string): Algorithm {
  if (!isAlgorithm(name)) throw new UsageError(`--algorithm ${name}: use ed25519 or ecdsa-p256`);
  return name;
}
