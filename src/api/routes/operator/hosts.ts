/** All hosts, in the shape that NixFleet's tools know. */
import { Type } from '@sinclair/typebox';
import { listHosts, type HostListRow } from '../../../db/hosts.ts';
import { LISTED_STATES, REACHABILITIES } from '../../../wire/states.ts';
import { isHostname } from '../../../wire/ids.ts';
import { HostListSchema, type HostList } from '../../../wire/operator.ts';
import type { ApiDeps } from '../../deps.ts';
import { fromDatabase, Refusal } from '../../refusal.ts';
import type { Scope } from '../../scope.ts';
import {
  about,
  badCursor,
  channelFilter,
  choiceOf,
  limitOf,
  OPERATOR,
  PAGE_PARAMS,
  present,
  type Page,
} from './reading.ts';

const MOST_HOSTS = 1_000;

const Query = Type.Object({
  ...PAGE_PARAMS,
  channel: Type.Optional(Type.String({ description: 'Declared on this channel.' })),
  prefix: Type.Optional(Type.String({ description: 'Names that begin so.' })),
  state: Type.Optional(
    Type.String({
      description: `In the newest rollout of its channel: one of ${LISTED_STATES.join(', ')}.`,
    }),
  ),
  reachability: Type.Optional(Type.String({ description: `One of ${REACHABILITIES.join(', ')}.` })),
});

interface Filter extends Page {
  readonly channel?: string;
  readonly prefix?: string;
  readonly state?: string;
  readonly reachability?: string;
}

export function addHosts(scope: Scope, deps: ApiDeps): void {
  scope.get(
    '/v1/hosts',
    {
      config: OPERATOR,
      schema: { ...about('All hosts by name', HostListSchema), querystring: Query },
    },
    (request) => fromDatabase(deps.log, () => hosts(deps, request.query)),
  );
}

async function hosts({ pool }: ApiDeps, query: Filter): Promise<HostList> {
  const limit = limitOf(query, MOST_HOSTS);
  if (query.cursor !== undefined && !isHostname(query.cursor)) throw badCursor();
  const filter = {
    above: query.cursor ?? '',
    limit,
    channel: channelFilter(query.channel),
    prefix: prefixOf(query.prefix),
    reachability: choiceOf('reachability', query.reachability, REACHABILITIES),
    state: choiceOf('state', query.state, LISTED_STATES),
  };
  const rows = await pool.run((sql) => listHosts(sql, filter));
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return {
    hosts: rows.map(hostOf),
    ...(last === undefined ? {} : { nextCursor: last.hostname }),
  };
}

function prefixOf(prefix: string | undefined): string | null {
  if (prefix === undefined || prefix === '') return null;
  if (/^[\w.-]{1,253}$/.test(prefix)) return prefix;
  throw new Refusal('malformed', 'prefix is the beginning of a host name');
}

function hostOf(row: HostListRow): HostList['hosts'][number] {
  const open = row.closed === null ? row.state : null;
  const pending = open === 'Activating' || open === 'Deferred';
  return {
    hostname: row.hostname,
    channel: row.channel,
    converged: row.reported_closure !== null && row.reported_closure === row.declared,
    outstandingComplianceFailures: row.control_failures,
    outstandingRuntimeGateErrors: 0,
    verifiedEventCount: row.last_event_seq ?? 0,
    pendingReboot: open === 'Deferred',
    outstandingHealthFailures: row.probe_failures,
    reachability: row.reachability ?? 'never',
    held: row.held,
    ...present({
      declaredClosureHash: row.declared,
      currentClosureHash: row.reported_closure,
      pendingClosureHash: pending ? row.target_closure : null,
      lastCheckinAt: row.heard_at,
      lastRolloutId: row.rollout_id,
      lastUptimeSecs: row.uptime_secs,
      // Of a rollout that it left, or whose channel is gone, it is no host any more.
      rolloutState: row.is_counted ? row.state : null,
      closed: row.is_counted ? row.closed : null,
      quarantinedClosure: row.quarantined ? row.declared : null,
    }),
  };
}
