/** `muster ca`: what an organisation needs to let hosts in: an authority, a root key, bootstrap tokens. */
import { join } from 'node:path';
import { createAuthority } from '../ca/create.ts';
import { readRequest } from '../trust/request.ts';
import { generateKey, loadSigningKey, SigningError } from '../trust/sign.ts';
import { isHostname } from '../wire/ids.ts';
import { isJsonObject, parseJsonText } from '../wire/text.ts';
import { bootstrapToken } from './bootstrap-token.ts';
import { EXIT, fail, type Io, parseOptions, printJson, readInput, UsageError } from './io.ts';
import { mayWrite, writeNew } from './keygen.ts';

export const caHelp = `muster ca init --out DIR [options]
muster ca root --out DIR --trust FILE [options]
muster ca bootstrap --key FILE --hostname NAME (--csr FILE | --fingerprint TEXT) [options]

init       makes the authority that issues certificates to hosts: DIR/fleet-ca.crt and DIR/fleet-ca.key
root       makes the organisation's root key, DIR/org-root.pem, and names it in the trust file as orgRootKey
bootstrap  prints a bootstrap token, by which one host with one key may enrol once, and the entry that
           bootstrap-nonces.json needs for it

  --out DIR                where to write; made if it does not exist
  --name TEXT              init: name of the authority (default: Muster fleet CA)
  --days N                 init: how long it is valid (default: 3650)
  --trust FILE             root: the trust file to change; it must exist (muster keygen makes one)
  --key FILE               bootstrap: the organisation's root key
  --hostname NAME          bootstrap: the host, without the suffix of certificates
  --csr FILE               bootstrap: its certificate request in PEM
  --fingerprint TEXT       bootstrap: or the base64 SHA-256 of its public key
  --nonce TEXT             bootstrap: single use (default: 128 random bits)
  --hours N                bootstrap: how long the token is valid (default: 24)
  --force                  init, root: overwrite existing keys
  --json                   print one JSON object

Exit code: 0 done, 2 nothing was made.
`;

const OPTIONS = {
  out: { type: 'string' },
  name: { type: 'string', default: 'Muster fleet CA' },
  days: { type: 'string', default: '3650' },
  trust: { type: 'string' },
  key: { type: 'string' },
  hostname: { type: 'string' },
  csr: { type: 'string' },
  fingerprint: { type: 'string' },
  nonce: { type: 'string' },
  hours: { type: 'string', default: '24' },
  force: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

type Values = ReturnType<typeof read>['values'];

function read(args: string[]) {
  return parseOptions({ args, options: OPTIONS, allowPositionals: true });
}

export async function ca(args: string[], io: Io): Promise<number> {
  try {
    const { values, positionals } = read(args);
    if (values.help) {
      io.stdout.write(caHelp);
      return EXIT.ok;
    }
    const [verb = '', more] = positionals;
    if (more !== undefined) throw new UsageError(`"${more}" is one word too many`);
    const { result, text } = await carryOut(verb, values);
    if (values.json) printJson(io, { ok: true, ...result });
    else io.stdout.write(text);
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof SigningError)) throw error;
    const json = args.includes('--json');
    return fail(io, { command: 'ca', json }, EXIT.usage, error.message);
  }
}

interface Done {
  readonly result: object;
  readonly text: string;
}

function carryOut(verb: string, values: Values): Promise<Done> {
  switch (verb) {
    case 'init':
      return init(values);
    case 'root':
      return root(values);
    case 'bootstrap':
      return bootstrap(values);
    default:
      throw new UsageError('say init, root or bootstrap; see muster ca --help');
  }
}

async function init({ out, name, days, force }: Values): Promise<Done> {
  const dir = required('--out DIR', out);
  const files = { cert: join(dir, 'fleet-ca.crt'), key: join(dir, 'fleet-ca.key') };
  mayWrite(Object.values(files), force);
  const now = Date.now();
  const ends = new Date(now + positive('--days', days) * 86_400_000);
  // Clocks differ: a certificate of an hour ago is good everywhere.
  const { certPem, keyPem } = await createAuthority(name, new Date(now - 3_600_000), ends);
  await writeNew(files.key, keyPem, 0o600);
  await writeNew(files.cert, certPem, 0o644);
  return {
    result: files,
    text: `certificate: ${files.cert}\nprivate key: ${files.key}\n`,
  };
}

async function root({ out, trust, force }: Values): Promise<Done> {
  const keyFile = join(required('--out DIR', out), 'org-root.pem');
  const trustFile = required('--trust FILE', trust);
  mayWrite([keyFile], force);
  const parsed = parseJsonText(
    Buffer.from(await readInput(trustFile, 'the trust file')).toString(),
  );
  if (!parsed.ok || !isJsonObject(parsed.value))
    throw new UsageError(`${trustFile} is no trust file: make one with muster keygen`);
  const before = parsed.value['orgRootKey'];
  const current = isJsonObject(before) ? before['current'] : undefined;
  const { key, pem } = generateKey('ed25519');
  // Tokens of the root before stay good until it is taken out.
  const orgRootKey = {
    current: { algorithm: key.algorithm, public: key.public },
    ...(current === undefined ? {} : { previous: current }),
  };
  await writeNew(keyFile, pem, 0o600);
  await writeNew(trustFile, `${JSON.stringify({ ...parsed.value, orgRootKey }, null, 2)}\n`, 0o644);
  return {
    result: { key: keyFile, trust: trustFile, public: key.public },
    text: `private key: ${keyFile}\ntrust file:  ${trustFile}\n`,
  };
}

async function bootstrap(values: Values): Promise<Done> {
  const hostname = required('--hostname NAME', values.hostname);
  if (!isHostname(hostname)) throw new UsageError(`--hostname ${hostname} is no host name`);
  const key = loadSigningKey(await readInput(required('--key FILE', values.key), 'the root key'));
  const keyFingerprint = await fingerprint(values);
  const lifetimeMs = positive('--hours', values.hours) * 3_600_000;
  const wanted = { hostname, keyFingerprint, lifetimeMs, nonce: values.nonce };
  const { token, entry } = bootstrapToken(wanted, key);
  return {
    result: { token, entry },
    text: `${JSON.stringify(token)}\n\nIn bootstrap-nonces.json, which is signed like a release:\n${JSON.stringify(entry)}\n`,
  };
}

async function fingerprint({ csr, fingerprint: given }: Values): Promise<string> {
  if ((csr === undefined) === (given === undefined))
    throw new UsageError('give one of --csr FILE and --fingerprint TEXT');
  if (csr === undefined) {
    const raw = Buffer.from(given ?? '', 'base64');
    if (raw.length === 32 && raw.toString('base64') === given) return given;
    throw new UsageError('--fingerprint is the SHA-256 of a public key: 32 bytes in base64');
  }
  const request = await readRequest(Buffer.from(await readInput(csr, 'the request')).toString());
  if (request.ok) return request.value.keyFingerprint;
  throw new UsageError(`${csr} is no certificate request to go by: ${request.detail}`);
}

function required(option: string, value: string | undefined): string {
  if (value !== undefined && value !== '') return value;
  throw new UsageError(`${option} is required; see muster ca --help`);
}

function positive(option: string, text: string): number {
  const number = Number(text);
  if (number > 0 && number <= 36_500) return number;
  throw new UsageError(`${option} ${text}: give a number above 0, and at most 36500`);
}
