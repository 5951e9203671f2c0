/** What operators read, by subject. */
import type { ApiDeps } from '../deps.ts';
import type { Scope } from '../scope.ts';
import { addHosts } from './operator/hosts.ts';
import { addLeadership } from './operator/leadership.ts';
import { addOverview } from './operator/overview.ts';
import { addRollouts } from './operator/rollouts.ts';
import { addWhoami } from './operator/whoami.ts';
import { addWhy } from './operator/why.ts';

export function addOperator(scope: Scope, deps: ApiDeps): void {
  addWhoami(scope, deps);
  addOverview(scope, deps);
  addRollouts(scope, deps);
  addHosts(scope, deps);
  addWhy(scope, deps);
  addLeadership(scope, deps);
}
