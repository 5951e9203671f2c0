/** The declarations of a scenario: `channel`, `wave`, `budget`, `edge` … lines become what a ref declares. */
import type { BudgetContent, FleetContent, ManifestContent } from '../../../src/reducer/content.ts';
import { timeOf, type Millis } from '../../../src/reducer/time.ts';

interface Channel {
  readonly waves: { hosts: string[]; soakMinutes: number }[];
  /** In no wave of the fleet, with the wave that the manifest gives them all the same. */
  readonly unstaged: Map<string, number>;
  readonly options: ReadonlyMap<string, string>;
}

export class ScriptFleet {
  private readonly channels = new Map<string, Channel>();
  private readonly budgets: {
    of: string;
    hosts: string[];
    options: ReadonlyMap<string, string>;
  }[] = [];
  private readonly edges: { gated: string; gates: string }[] = [];
  private readonly channelEdges: { gated: string; gates: string }[] = [];

  /** True when the line declared something. */
  declare(verb: string, args: readonly string[]): boolean {
    const [name = '', ...rest] = args;
    switch (verb) {
      case 'channel':
        this.channels.set(name, { waves: [], unstaged: new Map(), options: optionsOf(rest) });
        return true;
      case 'drop':
        this.channels.delete(name);
        return true;
      case 'wave':
        this.channel(name).waves.push({
          hosts: rest.filter((word) => !word.includes('=')),
          soakMinutes: Number(optionsOf(rest).get('soak') ?? 5),
        });
        return true;
      case 'unstaged':
        for (const host of rest.filter((word) => !word.includes('='))) {
          this.channel(name).unstaged.set(host, Number(optionsOf(rest).get('wave') ?? 0));
        }
        return true;
      case 'budget': {
        const hosts = rest.filter((word) => !word.includes('=') && word !== 'again');
        const budget = { of: name, hosts, options: optionsOf(rest) };
        const at = rest.includes('again') ? this.budgets.findIndex((one) => one.of === name) : -1;
        this.budgets.splice(at < 0 ? this.budgets.length : at, at < 0 ? 0 : 1, budget);
        return true;
      }
      case 'edge':
        this.edges.push({ gated: name, gates: rest[1] ?? '' });
        return true;
      case 'channel-edge':
        this.channelEdges.push({ gated: name, gates: rest[1] ?? '' });
        return true;
      default:
        return false;
    }
  }

  private channel(name: string): Channel {
    const found = this.channels.get(name);
    if (found === undefined) throw new Error(`no channel ${name}`);
    return found;
  }

  private hostsOf(name: string): string[] {
    const { waves, unstaged } = this.channel(name);
    return [...waves.flatMap((wave) => wave.hosts), ...unstaged.keys()].sort();
  }

  allHosts(): string[] {
    return [...this.channels.keys()].flatMap((name) => this.hostsOf(name)).sort();
  }

  /** Ref `ref`, every host at `c{ref}` but those named otherwise (`web1=c0`). */
  content(
    ref: string,
    overrides: ReadonlyMap<string, string>,
    now: Millis,
  ): { fleet: FleetContent; manifests: ManifestContent[] } {
    const closure = (host: string) => overrides.get(host) ?? `c${ref}`;
    const signedAt = timeOf(now);
    const names = [...this.channels.keys()];
    const hosts = names.flatMap((channel) =>
      this.hostsOf(channel).map((h) => [h, { channel, closureHash: closure(h) }] as const),
    );
    const fleet: FleetContent = {
      hash: `fleet-${ref}-${signedAt}`,
      signedAt,
      ref,
      hosts: new Map(hosts),
      channels: new Map(
        names.map((name) => [name, { rolloutPolicy: name, freshnessWindow: this.window(name) }]),
      ),
      policies: new Map(
        names.map((name) => {
          const { options, waves } = this.channel(name);
          return [
            name,
            {
              waves: waves.map(({ soakMinutes }) => ({ soakMinutes })),
              onHealthFailure: options.has('rollback') ? 'rollback-and-halt' : 'halt',
              onNewRef: options.has('finish-first') ? 'finish-first' : 'supersede',
              maxFailures: Number(options.get('max-failures') ?? 0),
            },
          ];
        }),
      ),
      waves: new Map(names.map((name) => [name, this.channel(name).waves])),
      edges: this.edges,
      channelEdges: this.channelEdges,
    };
    return { fleet, manifests: names.map((name) => this.manifest(name, ref, closure, signedAt)) };
  }

  private window(name: string): number {
    return Number(this.channel(name).options.get('window') ?? 1440);
  }

  private manifest(
    channel: string,
    ref: string,
    closure: (host: string) => string,
    signedAt: string,
  ): ManifestContent {
    const { waves, unstaged } = this.channel(channel);
    return {
      rolloutId: `${channel}@${ref}`,
      hash: `manifest-${channel}-${ref}-${signedAt}`,
      displayName: `${channel} ${ref}`,
      channel,
      channelRef: ref,
      signedAt,
      hostSet: this.hostsOf(channel).map((hostname) => ({
        hostname,
        waveIndex: Math.max(
          unstaged.get(hostname) ?? 0,
          waves.findIndex(({ hosts }) => hosts.includes(hostname)),
        ),
        targetClosure: closure(hostname),
      })),
      maxFailures: null,
      budgets: this.budgets.map((budget) => this.budget(budget)),
    };
  }

  private budget({ of, hosts, options }: (typeof this.budgets)[number]): BudgetContent {
    const max = options.get('max');
    const pct = options.get('pct');
    const everyone = of === 'all';
    return {
      selector: {
        tags: [],
        tagsAny: everyone ? [] : [of],
        hosts: [],
        channel: null,
        all: everyone,
      },
      hosts: everyone ? this.allHosts() : hosts,
      maxInFlight: max === undefined ? null : Number(max),
      maxInFlightPct: pct === undefined ? null : Number(pct),
    };
  }
}

/** `a=b` and bare words. */
export function optionsOf(words: readonly string[]): Map<string, string> {
  return new Map(
    words.map((word) => {
      const at = word.indexOf('=');
      return at < 0 ? [word, ''] : [word.slice(0, at), word.slice(at + 1)];
    }),
  );
}
