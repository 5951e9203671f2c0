/**
 * The certificates of this process and the authorities it goes by, as files: read at start, where anything wrong
 * ends the start, and read again while it runs, because they are renewed under it (cert-manager and the like
 * replace them every few weeks). What cannot be used then is told once, and what was used so far stays.
 *
 * Files are read and compared rather than watched: Kubernetes swaps a link two levels up, which watching misses,
 * and a few kilobytes every ten seconds cost nothing.
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { hasSameKey, readAuthorities, type Certificate } from '../../trust/certificate.ts';
import type { Clock, Logger } from '../../telemetry.ts';

/** Paths; null where none is configured. */
export interface CertificateFiles {
  /** Of the listener: its certificate, with the chain below its root, and the key. Both or neither. */
  readonly cert: string | null;
  readonly key: string | null;
  /** Authorities that issue certificates to agents, and to operators. */
  readonly fleetCa: string | null;
  readonly operatorCa: string | null;
  /** How proxies that forward certificates prove themselves. */
  readonly proxyCa: string | null;
  readonly proxySecret: string | null;
}

export type CertificateFile = keyof CertificateFiles;

/** What the files held when they were read last, all of one reading. */
export interface Material {
  readonly text: Readonly<Record<CertificateFile, string | null>>;
  /** Empty where no file is configured: then nobody proves to be one. */
  readonly fleet: readonly Certificate[];
  readonly operators: readonly Certificate[];
  readonly proxies: readonly Certificate[];
  readonly proxySecret: string | null;
}

/** 128 bits in hexadecimal: nobody guesses it. */
const SHORTEST_SECRET = 32;
/** A renewed certificate has weeks left; a replaced authority should be in force about at once. */
const LOOK_EVERY_MS = 10_000;

const NAMES: Readonly<Record<CertificateFile, string>> = {
  cert: 'MUSTER_TLS_CERT_FILE',
  key: 'MUSTER_TLS_KEY_FILE',
  fleetCa: 'MUSTER_CLIENT_CA_FILE',
  operatorCa: 'MUSTER_OPERATOR_CA_FILE',
  proxyCa: 'MUSTER_PROXY_CA_FILE',
  proxySecret: 'MUSTER_PROXY_SECRET_FILE',
};

export class KeptMaterial {
  private readonly files: CertificateFiles;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly listeners = new Set<(material: Material) => void>();
  private held: Material;
  /** Said last of files that cannot be used. */
  private told: string | null = null;
  private cancel: () => void = () => undefined;
  private stopped = false;

  private constructor(
    files: CertificateFiles,
    material: Material,
    { clock, log }: { readonly clock: Clock; readonly log: Logger },
  ) {
    this.files = files;
    this.held = material;
    this.clock = clock;
    this.log = log;
    if (Object.values(files).some((file) => file !== null)) this.lookLater();
  }

  /** Rejects with a sentence that says which file is wrong, and how. */
  static async open(
    files: CertificateFiles,
    tools: { readonly clock: Clock; readonly log: Logger },
  ): Promise<KeptMaterial> {
    return new KeptMaterial(files, await readMaterial(files), tools);
  }

  get current(): Material {
    return this.held;
  }

  /** Some authority is configured, so that clients may prove something by a certificate. */
  get isAsking(): boolean {
    return this.files.fleetCa !== null || this.files.operatorCa !== null;
  }

  onChange(listener: (material: Material) => void): void {
    this.listeners.add(listener);
  }

  /** When the first of each kind ends, ms; nothing of what is not configured. */
  endings(): ReadonlyMap<'server' | 'agents' | 'operators' | 'proxies', number> {
    const { text, fleet, operators, proxies } = this.held;
    const server = text.cert === null ? [] : [Date.parse(new X509Certificate(text.cert).validTo)];
    const ends = [
      ['server', server],
      ['agents', endingsOf(fleet)],
      ['operators', endingsOf(operators)],
      ['proxies', endingsOf(proxies)],
    ] as const;
    return new Map(
      ends.flatMap(([of, at]) => (at.length === 0 ? [] : [[of, Math.min(...at)] as const])),
    );
  }

  /** Reads the files again. Never rejects. */
  async look(): Promise<void> {
    try {
      const next = await readMaterial(this.files, this.held);
      this.told = null;
      if (next === this.held) return;
      this.held = next;
      for (const listener of this.listeners) listener(next);
      this.log.info({}, 'certificate files changed and are in use');
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (reason === this.told) return;
      this.told = reason;
      this.log.error({ reason }, 'changed certificate files cannot be used; the old ones stay');
    }
  }

  stop(): void {
    this.stopped = true;
    this.cancel();
  }

  private lookLater(): void {
    this.cancel = this.clock.after(LOOK_EVERY_MS, () => {
      void this.look().then(() => {
        if (!this.stopped) this.lookLater();
      });
    });
  }
}

/** Of each authority: of one that was renewed under its old key, the certificate that lasts longest counts. */
function endingsOf(authorities: readonly Certificate[]): readonly number[] {
  return authorities
    .filter((one, at) => !authorities.slice(0, at).some((longer) => hasSameKey(longer, one)))
    .map(({ notAfter }) => notAfter);
}

/** `held` itself when nothing changed. */
async function readMaterial(files: CertificateFiles, held?: Material): Promise<Material> {
  const [cert, key, fleetCa, operatorCa, proxyCa, proxySecret] = await Promise.all([
    readText(files, 'cert'),
    readText(files, 'key'),
    readText(files, 'fleetCa'),
    readText(files, 'operatorCa'),
    readText(files, 'proxyCa'),
    readText(files, 'proxySecret'),
  ]);
  const text = { cert, key, fleetCa, operatorCa, proxyCa, proxySecret };
  if (held !== undefined && JSON.stringify(text) === JSON.stringify(held.text)) return held;
  mustFit(text);
  const fleet = authorities(files, text, 'fleetCa');
  const operators = authorities(files, text, 'operatorCa');
  const proxies = authorities(files, text, 'proxyCa');
  mustDiffer('fleetCa', fleet, 'operatorCa', operators);
  mustDiffer('fleetCa', fleet, 'proxyCa', proxies);
  mustDiffer('operatorCa', operators, 'proxyCa', proxies);
  return { text, fleet, operators, proxies, proxySecret: secretOf(text) };
}

/** An authority makes one kind of caller: of two, whoever holds a certificate of one would be the other as well. */
function mustDiffer(
  name: CertificateFile,
  some: readonly Certificate[],
  otherName: CertificateFile,
  others: readonly Certificate[],
): void {
  if (!some.some((one) => others.some((other) => hasSameKey(one, other)))) return;
  throw new Error(
    `${NAMES[name]} and ${NAMES[otherName]} name one authority: whoever it certifies would be both; give each an authority of its own`,
  );
}

function secretOf({ proxySecret }: Material['text']): string | null {
  const secret = proxySecret?.trim() ?? null;
  if (secret === null || secret.length >= SHORTEST_SECRET) return secret;
  throw new Error(
    `${NAMES.proxySecret} holds fewer than ${String(SHORTEST_SECRET)} characters: make one with openssl rand -hex 32`,
  );
}

async function readText(files: CertificateFiles, name: CertificateFile): Promise<string | null> {
  const path = files[name];
  if (path === null) return null;
  return readFile(path, 'utf8').catch((error: unknown): never => {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`cannot read ${NAMES[name]} (${why})`);
  });
}

/** Caught half way through a renewal, a key does not belong to its certificate. */
function mustFit({ cert, key }: Material['text']): void {
  if (cert === null || key === null) return;
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${NAMES.cert} and ${NAMES.key} cannot be used together (${why})`);
  }
}

function authorities(
  files: CertificateFiles,
  texts: Material['text'],
  name: 'fleetCa' | 'operatorCa' | 'proxyCa',
): readonly Certificate[] {
  const text = texts[name];
  if (text === null) return [];
  const read = readAuthorities(text);
  if (read.ok) return read.value;
  throw new Error(`${NAMES[name]} (${files[name] ?? ''}) cannot be used: ${read.detail}`);
}
