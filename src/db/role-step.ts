/**
 * The step that brings roles, owners and grants to what GRANTS says: `migrate` runs it and `muster migrate --plan` prints
 * it, both only where something differs.
 */
import type { Sql } from './driver.ts';
import { readOwnerGaps, type OwnerGaps } from './owners.ts';
import { named } from './rights.ts';
import { readDifferences, readStrangers } from './role-differences.ts';
import { quoted, rolesText, type RoleGaps } from './role-script.ts';
import { appliedPrefix, missingRoles, roleNames, tableOwner, type RoleNames } from './roles.ts';
import type { Standing } from './standing.ts';

export interface Granting {
  /** Of the roles whose owners and grants are to be brought about; null: of none. */
  readonly prefix: string | null;
  /** Newer migrations: owners and grants of the roles are left to the version that brought them. */
  readonly leftTo: readonly string[];
}

/**
 * Whether owners and grants are ours to bring about: the one place of that rule. Not those of a schema that is newer than
 * this code: it would take away what it does not know of, from processes that need it. GRANTS therefore never changes
 * without a migration. `wanted`: a prefix that was asked for; null: the one that is in use.
 */
export async function whatToGrant(
  sql: Sql,
  schema: string,
  wanted: string | null,
  { newer, known }: Standing,
): Promise<Granting> {
  const inUse = await appliedPrefix(sql, schema);
  const prefix = wanted ?? inUse;
  if (prefix === null || newer.length === 0) return { prefix, leftTo: [] };
  if (prefix === inUse) return { prefix: null, leftTo: newer };
  throw new Error(
    `the schema has ${newer.join(', ')}, which this Muster's ${String(known)} does not know: let the version that brought it make the roles of ${prefix}`,
  );
}

/** What of owners and grants is not as this code wants it; of a newer schema, what this code lacks. */
export async function readGaps(
  sql: Sql,
  schema: string,
  { hidden, pending, newer }: Standing,
): Promise<OwnerGaps> {
  if (hidden || pending.length > 0) return NO_GAPS;
  const prefix = await appliedPrefix(sql, schema);
  if (newer.length > 0 && prefix === null) return NO_GAPS;
  const owners = await readOwnerGaps(sql, schema);
  if (prefix === null) return owners;
  const differences = await readDifferences(sql, schema, roleNames(prefix));
  if (newer.length === 0) return { ...owners, statements: differences };
  return { ...NO_GAPS, statements: differences.filter((text) => /^GRANT /.test(text)) };
}

const NO_GAPS: OwnerGaps = { owner: null, statements: [], holders: [] };

/** The same as a sentence, with who mends it; null: there are no gaps. */
export function gapsProblem(gaps: OwnerGaps, standing: Standing): string | null {
  return gaps.statements.length === 0 ? null : gapsSentence(gaps, standing);
}

export function gapsSentence(
  { owner, statements, holders }: OwnerGaps,
  { newer }: Standing,
): string {
  const whose = newer.length === 0 ? '' : ` of the version that brought ${newer.join(', ')}`;
  const roles = [...holders, owner].join(', ');
  const who = holders.length === 0 ? '' : ` as a superuser, or as a login in each of ${roles}`;
  return `owners and grants are not as this Muster wants them (${named(statements)}): run "muster migrate"${whose}${who}`;
}

export interface RoleStep extends RoleGaps {
  /** What it changes now, a statement each; empty: it need not run. */
  readonly differences: readonly string[];
  /** Objects in the schemas that are not Muster's: left alone. */
  readonly strangers: readonly string[];
}

/** Changes nothing. */
export async function readRoleStep(sql: Sql, schema: string, prefix: string): Promise<RoleStep> {
  const names = roleNames(prefix);
  const missing = await missingRoles(sql, names);
  const joins = await loginOutside(sql, names, missing);
  if (joins !== null) await assertOwns(sql, { schema, login: joins, names, missing });
  const differences = [
    ...missing.map((name) => `CREATE ROLE ${name} NOLOGIN`),
    ...(joins === null ? [] : [`GRANT ${names.owner} TO ${quoted(joins)}`]),
    ...(await readDifferences(sql, schema, names)),
  ];
  return { names, missing, joins, differences, strangers: await readStrangers(sql, schema) };
}

/**
 * Makes the roles that are missing, hands what is Muster's to the owner and grants what GRANTS says. Runs in the caller's
 * transaction, as a role that owns the schema. Rejects when roles are missing that it may not make, and names the
 * statements that an administrator has to run.
 */
export async function applyRoles(sql: Sql, schema: string, prefix: string): Promise<RoleStep> {
  const step = await readRoleStep(sql, schema, prefix);
  await assertMayMake(sql, step);
  if (step.differences.length > 0) await sql.unsafe(rolesText(schema, step));
  return step;
}

async function assertMayMake(sql: Sql, { names, missing }: RoleGaps): Promise<void> {
  if (missing.length === 0) return;
  const [me] = await sql<{ able: boolean }[]>`
    SELECT rolsuper OR rolcreaterole AS able FROM pg_roles WHERE rolname = current_user`;
  if (me?.able === true) return;
  const statements = missing.map((name) => `CREATE ROLE ${name} NOLOGIN;`).join(' ');
  throw new Error(
    `this login may not create roles. Let an administrator run: ${statements} GRANT ${names.owner} TO <this login>; and try again`,
  );
}

/** Who asks, unless they are in the owner's role; a superuser is in every one. */
async function loginOutside(
  sql: Sql,
  { owner }: RoleNames,
  missing: readonly string[],
): Promise<string | null> {
  const [me] = await sql<{ login: string; all: boolean }[]>`
    SELECT rolname AS login, rolsuper AS all FROM pg_roles WHERE rolname = current_user`;
  if (me === undefined || me.all) return null;
  if (missing.includes(owner)) return me.login;
  const [row] = await sql<{ member: boolean }[]>`SELECT pg_has_role(${owner}, 'USAGE') AS member`;
  return row?.member === true ? null : me.login;
}

interface Joining {
  readonly schema: string;
  readonly login: string;
  readonly names: RoleNames;
  readonly missing: readonly string[];
}

/**
 * Whoever joins the owner gives it what is theirs. For anybody else it would be more rights than they have: a plan is run
 * by an administrator, whom nothing stops from giving a reader's login the owner's role.
 */
async function assertOwns(sql: Sql, { schema, login, names, missing }: Joining): Promise<void> {
  const owner = await tableOwner(sql, schema);
  const [row] = await sql<{ owns: boolean }[]>`SELECT pg_has_role(${owner}, 'USAGE') AS owns`;
  if (owner === null ? missing.includes(names.owner) : row?.owns === true) return;
  const whose = owner === null ? `${names.owner} is there already` : `it belongs to ${owner}`;
  throw new Error(
    `login ${login} does not own schema ${schema} (${whose}), and gets no grant of ${names.owner}: ask as the login that migrates, which is in that role, or as a superuser`,
  );
}
