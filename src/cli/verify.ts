/** `muster verify`: the very check that the control plane makes, for CI and for a puzzled operator. */
import { decodeTrust, type Trust } from '../trust/trust-file.ts';
import { parseTime } from '../trust/time.ts';
import {
  type SignedBytes,
  type VerifyContext,
  verifyFleet,
  verifyManifest,
  verifyNonces,
  verifyRevocations,
  type VerifyResult,
} from '../trust/verify.ts';
import { EXIT, type Io, parseOptions, printJson, readInput, UsageError } from './io.ts';

export const verifyHelp = `muster verify FILE --trust FILE [options]

Checks the detached signature of an artifact, its form and its age, as the control plane does.

  --trust FILE             trust file with the release keys (required)
  --sig FILE               signature, 64 raw bytes (default: the artifact's name + .sig)
  --kind KIND              fleet (default), manifest, revocations or nonces
  --rollout-id ID          the id the manifest must have, channel@ref; implies --kind manifest
  --fleet-hash HASH        SHA-256 (hex, of the JCS bytes) of the fleet the manifest must be resolved from;
                           implies --kind manifest
  --freshness-minutes N    refuse what was signed longer ago (and 60 s of grace). Without it a fleet is held
                           to the largest freshnessWindow of its own channels; the other artifacts name no
                           window, and their age is then not checked (agents refuse a manifest after 60 min)
  --now T                  RFC 3339 time to judge by (default: now)
  --json                   only the JSON, no sentence on stderr

The last line on stdout is {"ok":true,"hash":…} or {"ok":false,"reason":…,"detail":…}.
Exit code: 0 verified, 1 refused, 2 could not check (the line is then {"ok":false,"error":…}).
`;

const OPTIONS = {
  trust: { type: 'string' },
  sig: { type: 'string' },
  kind: { type: 'string' },
  'rollout-id': { type: 'string' },
  'fleet-hash': { type: 'string' },
  'freshness-minutes': { type: 'string' },
  now: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

function parse(args: string[]) {
  return parseOptions({ args, options: OPTIONS, allowPositionals: true });
}
type Values = ReturnType<typeof parse>['values'];

export async function verify(args: string[], io: Io): Promise<number> {
  // Looked at before parsing, so that a usage error too is told in the form that was asked for.
  const quiet = args.includes('--json');
  try {
    const { values, positionals } = parse(args);
    if (values.help) {
      io.stdout.write(verifyHelp);
      return EXIT.ok;
    }
    return await run(onlyFile(positionals), values, io);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    if (!quiet) io.stderr.write(`muster verify: ${error.message}\n`);
    printJson(io, { ok: false, error: error.message });
    return EXIT.usage;
  }
}

async function run(file: string, values: Values, io: Io): Promise<number> {
  const signed = {
    bytes: await readInput(file, 'the artifact'),
    sig: await readInput(values.sig ?? `${file}.sig`, 'the signature'),
  };
  const context = {
    trust: await readTrust(values.trust),
    now: readNow(values.now),
    ...readFreshness(values),
  };
  const result = check(signed, context, values);
  if (result.ok) {
    if (!values.json) io.stderr.write(`${file}: verified\n`);
    printJson(io, { ok: true, hash: result.artifact.hash });
    return EXIT.ok;
  }
  io.stderr.write(`${file}: refused, ${result.reason}: ${result.detail}\n`);
  printJson(io, { ok: false, reason: result.reason });
  return EXIT.no;
}

function check(signed: SignedBytes, context: VerifyContext, values: Values): VerifyResult<unknown> {
  const [rolloutId, fleetHash] = [values['rollout-id'], values['fleet-hash']];
  const bound = rolloutId !== undefined || fleetHash !== undefined;
  const kind = values.kind ?? (bound ? 'manifest' : 'fleet');
  if (bound && kind !== 'manifest')
    throw new UsageError('--rollout-id and --fleet-hash are for --kind manifest only');
  switch (kind) {
    case 'fleet':
      return verifyFleet(signed, context);
    case 'manifest':
      return verifyManifest(signed, { ...context, rolloutId, fleetHash });
    case 'revocations':
      return verifyRevocations(signed, context);
    case 'nonces':
      return verifyNonces(signed, context);
    default:
      throw new UsageError(`--kind ${kind}: use fleet, manifest, revocations or nonces`);
  }
}

function onlyFile(positionals: string[]): string {
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0)
    throw new UsageError('give exactly one artifact; see muster verify --help');
  return file;
}

async function readTrust(path: string | undefined): Promise<Trust> {
  if (path === undefined)
    throw new UsageError('--trust FILE is required; `muster keygen` writes one');
  const decoded = decodeTrust(await readInput(path, 'the trust file'));
  if (!decoded.ok) throw new UsageError(`${path}: ${decoded.detail}`);
  return decoded.value;
}

function readNow(text: string | undefined): number {
  const now = text === undefined ? Date.now() : parseTime(text);
  if (now === undefined)
    throw new UsageError('--now takes an RFC 3339 time, such as 2026-11-01T13:00:00Z');
  return now;
}

function readFreshness(values: Values): { freshnessMinutes?: number } {
  const text = values['freshness-minutes'];
  if (text === undefined) return {};
  if (!/^\d+(\.\d+)?$/.test(text))
    throw new UsageError('--freshness-minutes takes a number of minutes');
  return { freshnessMinutes: Number(text) };
}
