/**
 * The step that brings roles, owners and grants to what GRANTS says: `migrate` runs it and `muster migrate --plan` prints
 * it, both only where something differs.
 */
import type { Sql } from './driver.ts';
import { readDifferences, readStrangers } from './role-differences.ts';
import { quoted, rolesText, type RoleGaps } from './role-script.ts';
import { missingRoles, roleNames, tableOwner, type RoleNames } from './roles.ts';

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
