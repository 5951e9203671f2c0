/**
 * Revoked certificates, in the memory of this replica: the worker verified the signed list and stored it, and this
 * follows what is stored. A commit that may have brought a new one wakes it; a look every few seconds is the
 * safety net, for a leader that is away announces nothing.
 *
 * What cannot be read leaves the last list in force. Before the first was read nobody knows who is revoked, and an
 * agent's certificate proves nothing yet (503).
 */
import { databaseProblem } from '../../db/errors.ts';
import type { StoredRevocations } from '../../db/artifacts.ts';
import { formatTime } from '../../trust/time.ts';
import type { Clock, Logger } from '../../telemetry.ts';
import { decodeStoredRevocations, type RevokedBefore } from '../../wire/revocations.ts';
import type { Readiness, WakeSource } from '../deps.ts';
import { notAccepted } from '../refusal.ts';

export interface RevocationsOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly wake: WakeSource;
  /** Strict mode: where no list was ever verified nobody knows who is revoked. Else nobody is. */
  readonly needsRevocations: boolean;
  /** The current list, unless its hash is the known one; null when there is none, or no other. */
  readonly read: (known: string | null) => Promise<StoredRevocations | null>;
}

/** Commits come by the hundred each second; the list changes a few times a year. */
const SOONEST_MS = 500;
const LOOK_EVERY_MS = 5_000;

const UNREAD =
  'no signed list of revoked certificates has been verified and read yet; look at what was refused of revocations.json';

export class Revocations {
  private readonly options: RevocationsOptions;
  private readonly listeners = new Set<(hostnames: ReadonlySet<string>) => void>();
  private unsubscribe: () => void = () => undefined;
  private revoked: RevokedBefore | null = null;
  private hash: string | null = null;
  private looking: Promise<void> | null = null;
  private cancel: () => void = () => undefined;
  /** When the next look is due, on the monotonic clock. */
  private due = Infinity;
  private started = false;
  private stopped = false;

  constructor(options: RevocationsOptions) {
    this.options = options;
  }

  start(): void {
    this.started = true;
    this.unsubscribe = this.options.wake.subscribe(() => {
      this.lookWithin(SOONEST_MS);
    });
    this.lookWithin(0);
  }

  /** As `ready`, and not before agents can be served: a database that is away, or cannot be used, is the reason to name. */
  async readiness(ready: () => Promise<Readiness>): Promise<Readiness> {
    const others = await ready();
    if (!others.ready || !this.started || this.revoked !== null) return others;
    return { ready: false, reasons: [UNREAD] };
  }

  /** Told of hosts whose certificates hold no longer. */
  onChange(listener: (hostnames: ReadonlySet<string>) => void): void {
    this.listeners.add(listener);
  }

  /** Why a certificate of the host that was issued then is refused; undefined if it is not. */
  refusing(hostname: string, issuedAt: number): string | undefined {
    if (this.revoked === null) throw notAccepted('revocations-unread', 1);
    const before = this.revoked.get(hostname);
    if (before === undefined || issuedAt >= before) return undefined;
    return `what ${hostname} was issued before ${formatTime(before)} is revoked: enrol the host again`;
  }

  stop(): void {
    this.stopped = true;
    this.unsubscribe();
    this.cancel();
  }

  private lookWithin(ms: number): void {
    const at = this.options.clock.monotonic() + ms;
    if (this.stopped || at >= this.due) return;
    this.due = at;
    this.cancel();
    this.cancel = this.options.clock.after(ms, () => {
      this.due = Infinity;
      this.lookOnce();
    });
  }

  private lookOnce(): void {
    this.looking ??= this.look()
      .catch((error: unknown) => {
        const problem = databaseProblem(error);
        this.options.log.warn(
          { problem },
          'revocations cannot be read; the last ones stay in force',
        );
      })
      .finally(() => {
        this.looking = null;
        this.lookWithin(LOOK_EVERY_MS);
      });
  }

  private async look(): Promise<void> {
    const stored = await this.options.read(this.hash);
    const before = this.revoked;
    if (stored === null) {
      if (!this.options.needsRevocations) this.revoked ??= new Map();
      return;
    }
    const next = decodeStoredRevocations(stored.content);
    if (next === null) throw new Error('the stored list of revocations cannot be understood');
    this.revoked = next;
    this.hash = stored.hash;
    const stricter = [...next].filter(([host, at]) => at > (before?.get(host) ?? -Infinity));
    const hosts = new Set(stricter.map(([host]) => host));
    this.options.log.info({ hosts: next.size, news: hosts.size }, 'revocations are in force');
    if (hosts.size > 0) for (const listener of this.listeners) listener(hosts);
  }
}
