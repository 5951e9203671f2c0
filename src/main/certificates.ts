/** Composition of certificates: the files of this process, and what its metrics say of their ends. */
import { KeptMaterial } from '../api/listen/files.ts';
import type { ProxyListen } from '../api/listen/proxies.ts';
import type { EnrolmentOptions } from '../api/enrolment/enrolment.ts';
import { hostAndPort, type Config } from '../config.ts';
import { systemClock, type Logger, type Metrics } from '../telemetry.ts';

export function openCertificates(config: Config, log: Logger): Promise<KeptMaterial> {
  const files = {
    cert: config.tlsCertFile,
    key: config.tlsKeyFile,
    fleetCa: config.clientCaFile,
    operatorCa: config.operatorCaFile,
    proxyCa: config.proxyCaFile,
    proxySecret: config.proxySecretFile,
  };
  return KeptMaterial.open(files, { clock: systemClock, log });
}

export function proxyListen({ proxyListen: where, proxyAddresses }: Config): ProxyListen | null {
  if (where === null) return null;
  return { ...hostAndPort(where), addresses: proxyAddresses };
}

/** Days are what anybody looks for; the authority's file is read for it, like for each certificate. */
const LOOK_EVERY_MS = 60_000;

/** Says when certificates end, from now on; the process may end meanwhile. */
export function watchEndings(
  material: KeptMaterial,
  enrolment: EnrolmentOptions | null,
  metrics: Metrics,
): void {
  const say = (of: string, at: number): void => {
    metrics.set('muster_certificate_expiry_time_seconds', { of }, at / 1_000);
  };
  const ofFiles = (): void => {
    for (const [of, at] of material.endings()) say(of, at);
  };
  ofFiles();
  material.onChange(ofFiles);
  if (enrolment === null) return;
  const ofAuthority = (): void => {
    // What cannot be read is told to whoever asks for a certificate.
    enrolment.issuer.endsAt().then(
      (at) => say('enrolment', at),
      () => undefined,
    );
    systemClock.after(LOOK_EVERY_MS, ofAuthority);
  };
  ofAuthority();
}
