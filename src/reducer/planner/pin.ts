/** What a rollout pins of its disruption budgets when it opens, so that later sets change nothing under way. */
import type { ManifestContent, Selector } from '../content.ts';
import type { Sliced } from '../slices.ts';
import type { PinnedBudget } from '../state/rows.ts';
import { limitOf } from './limit.ts';

/**
 * Pinned are the limit as it comes out for all the budget's hosts, and of these the rollout's own: a budget
 * over the whole fleet would otherwise be kept once for every channel.
 */
export function* pinBudgets(
  manifest: ManifestContent,
  lists: HostLists,
): Sliced<readonly PinnedBudget[]> {
  const own = manifest.hostSet.map((host) => host.hostname);
  const pinned: PinnedBudget[] = [];
  for (const budget of manifest.budgets) {
    yield;
    const key = selectorKey(budget.selector);
    pinned.push({
      key,
      selector: budget.selector,
      hosts: lists.among(key, budget.hosts, own),
      maxInFlight: limitOf(budget),
      maxInFlightPct: null,
    });
  }
  return pinned;
}

/** Shorter lists are looked through: below this many times the rollout's hosts an index is no gain. */
const LONG = 4;

/**
 * The host lists that a set's manifests repeat: a budget over the fleet is in the manifest of every channel, and
 * looking through 100,000 names for each of 200 channels takes longer than all the rest of opening them.
 */
export class HostLists {
  private readonly known = new Map<string, { hosts: readonly string[]; at: Map<string, number> }>();

  /** Those of `hosts` that are in `own`, in the order of `hosts`. */
  among(key: string, hosts: readonly string[], own: readonly string[]): readonly string[] {
    if (hosts.length < LONG * own.length) {
      const wanted = new Set(own);
      return hosts.filter((hostname) => wanted.has(hostname));
    }
    const at = this.positions(key, hosts);
    const place = (hostname: string) => at.get(hostname) ?? -1;
    return own.filter((hostname) => at.has(hostname)).sort((a, b) => place(a) - place(b));
  }

  private positions(key: string, hosts: readonly string[]): Map<string, number> {
    const last = this.known.get(key);
    if (last !== undefined && isEqual(last.hosts, hosts)) return last.at;
    const at = new Map(hosts.map((hostname, index) => [hostname, index]));
    this.known.set(key, { hosts, at });
    return at;
  }
}

function isEqual(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((hostname, index) => hostname === b[index]));
}

/** A readable text that is equal exactly for equal selectors. */
export function selectorKey(selector: Selector): string {
  return textOf(selector, sorted);
}

/** What fits into a sentence of each of its lists. */
const NAMES_TOLD = 5;

/** The same for people: a list of a thousand hosts is its first few and how many more. */
export function selectorInBrief(selector: Selector): string {
  return textOf(selector, brief);
}

function textOf(selector: Selector, list: (values: readonly string[]) => string): string {
  const parts: string[] = [];
  if (selector.all) parts.push('all');
  if (selector.channel !== null) parts.push(`channel=${JSON.stringify(selector.channel)}`);
  if (selector.tags.length > 0) parts.push(`tags=${list(selector.tags)}`);
  if (selector.tagsAny.length > 0) parts.push(`tagsAny=${list(selector.tagsAny)}`);
  if (selector.hosts.length > 0) parts.push(`hosts=${list(selector.hosts)}`);
  return parts.join(' ') || 'nothing';
}

function sorted(values: readonly string[]): string {
  return JSON.stringify([...values].sort());
}

/** Those that come first as the list was written: nothing is sorted to be left out. */
function brief(values: readonly string[]): string {
  const more = values.length - NAMES_TOLD;
  if (more <= 0) return sorted(values);
  return `${JSON.stringify(values.slice(0, NAMES_TOLD))} and ${String(more)} more`;
}
