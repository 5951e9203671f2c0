/**
 * A host's way to the control plane under a certificate of its own: it enrols where it has none that is valid, renews
 * from half of a certificate's life on, and takes the new one into use without a restart. A request that is under way
 * then ends under the old one; the next one opens a connection under the new.
 */
import type { AgentIdentity, CredentialParts } from './credentials.ts';
import { enrol, keepRenewed, loadIdentity } from './credentials.ts';
import {
  connect,
  disconnect,
  httpCarrier,
  retire,
  type Carrier,
  type Connections,
} from './http-control-plane.ts';

export interface EnrolledOptions extends CredentialParts {
  readonly endpoint: string;
  /** Whom to believe that it is the control plane, PEM; undefined: the authorities that Node knows. */
  readonly ca: string | undefined;
}

export interface Enrolled {
  /** Always under the newest certificate. */
  readonly carrier: Carrier;
  /** Ends with the signal; rejects when a certificate cannot be kept on disk. */
  readonly kept: Promise<void>;
  close(): void;
}

/** An outbox, heartbeats and the artifacts of a dispatch; each asks one thing at a time. */
const SIZES = { hosts: 1, requests: 3 } as const;

/** Null when `signal` aborted before there was a certificate. Rejects where nothing could ever bring one. */
export async function openEnrolled(
  options: EnrolledOptions,
  signal: AbortSignal,
): Promise<Enrolled | null> {
  const first = (await loadIdentity(options)) ?? (await firstIdentity(options, signal));
  if (first === null) return null;
  let connections = connectAs(options, first);
  const carrier: Carrier = {
    short: (call, until) => httpCarrier(connections, {}).short(call, until),
    poll: (call, until) => httpCarrier(connections, {}).poll(call, until),
  };
  const take = (identity: AgentIdentity): void => {
    const before = connections;
    connections = connectAs(options, identity);
    retire(before);
    const notAfter = new Date(identity.notAfter).toISOString();
    options.log.info({ name: options.name, notAfter }, 'a renewed certificate is in use');
  };
  return {
    carrier,
    kept: keepRenewed(options, first, carrier, take, signal),
    close: () => disconnect(connections),
  };
}

async function firstIdentity(
  options: EnrolledOptions,
  signal: AbortSignal,
): Promise<AgentIdentity | null> {
  if (options.token === null)
    throw new Error(
      `${options.dir} holds no certificate for ${options.name} that is valid, and there is no bootstrap token: ask for one (muster ca bootstrap)`,
    );
  const anonymous = connectAs(options, null);
  try {
    return await enrol(options, httpCarrier(anonymous, {}), signal);
  } finally {
    disconnect(anonymous);
  }
}

function connectAs({ endpoint, ca }: EnrolledOptions, identity: AgentIdentity | null): Connections {
  return connect(endpoint, SIZES, {
    ...(ca === undefined ? {} : { ca }),
    ...(identity === null ? {} : { cert: identity.pem, key: identity.pem }),
  });
}
