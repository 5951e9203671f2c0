/**
 * A signer that is another program: a wrapper around a TPM, an HSM or a cloud's KMS, so that the authority's key
 * never is where this process could read it. It is started for each certificate, without a shell, reads one JSON
 * object from its standard input and writes one to its standard output:
 *
 *     {"v":1,"algorithm":"ecdsa-p256-sha256","tbs":"<base64>","name":…,"serial":…,"notBefore":…,"notAfter":…}
 *     {"signature":"<base64>"}
 *
 * It signs SHA-256 of `tbs` (ed25519: `tbs` itself), and answers as OpenSSL, TPMs and KMSs do: ECDSA in DER.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import { AuthorityError } from './authority.ts';
import { type Signer, SignerError, type ToSign } from './signer.ts';

export interface CommandOptions {
  /** Path of an executable file. */
  readonly command: string;
  readonly timeoutMs: number;
  /** Of the child: without this process's own settings, some of which are secrets. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A signature of RSA-4096 has 700 characters; the rest is room for white space. */
const MAX_OUTPUT = 16 * 1024;
/** What is kept of its complaints, for the log. */
const MAX_COMPLAINT = 500;

export function commandSigner(options: CommandOptions): Signer {
  return {
    async sign(what, { algorithm }) {
      const { tbs, ...rest } = what;
      const question = { v: 1, algorithm, tbs: Buffer.from(tbs).toString('base64'), ...rest };
      return readSignature(await run(options, JSON.stringify(question)), what);
    },
    async check() {
      await access(options.command, constants.X_OK).catch((): never => {
        throw new AuthorityError(
          `MUSTER_CA_SIGN_COMMAND ${options.command} is no file that can be executed`,
        );
      });
    },
  };
}

function readSignature(output: string, { name }: ToSign): Uint8Array {
  let answer: unknown;
  try {
    answer = JSON.parse(output);
  } catch {
    answer = null;
  }
  const text =
    typeof answer === 'object' && answer !== null && 'signature' in answer
      ? answer.signature
      : undefined;
  if (typeof text === 'string' && text !== '') return Buffer.from(text, 'base64');
  throw new SignerError(`the signing command gave no {"signature"} for ${name}`);
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

function run(options: CommandOptions, input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child: Child = spawn(options.command, [], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: options.env,
      // Of its own, so that what it started ends with it.
      detached: true,
    });
    const failed = (why: string): void => {
      clearTimeout(timer);
      end(child);
      reject(new SignerError(`the signing command ${why}`));
    };
    const timer = setTimeout(() => {
      failed(`did not answer within ${String(options.timeoutMs)} ms`);
    }, options.timeoutMs);
    const output = collect(child.stdout, MAX_OUTPUT, () => {
      failed('wrote more than 16 KiB');
    });
    const complaint = collect(child.stderr, MAX_COMPLAINT, () => undefined);
    child.on('error', (error) => {
      failed(`cannot be run: ${error.message}`);
    });
    // It may end without reading: its exit code says why.
    child.stdin.on('error', () => undefined);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(output());
      else failed(`ended with ${String(code ?? signal)}: ${complaint().trim()}`);
    });
    child.stdin.end(`${input}\n`);
  });
}

function collect(stream: Readable, most: number, onMore: () => void): () => string {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    if (text.length + chunk.length > most) onMore();
    text = (text + chunk).slice(0, most);
  });
  return () => text;
}

function end({ pid }: Child): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}
