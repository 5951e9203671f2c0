/**
 * Whose the schema's objects are: all of Muster's belong to the owner of its event log, who else can neither migrate nor
 * use them. What an administrator brought may still be the administrator's: of a build that handed nothing over, or of a
 * run that ended before it did.
 */
import type { Sql } from './driver.ts';
import { objectsText, viewSchema } from './role-script.ts';
import { tableOwner } from './roles.ts';

export interface OwnerGaps {
  /** Whose all should be; null: there are no tables. */
  readonly owner: string | null;
  /** What hands it over, a statement each. */
  readonly statements: readonly string[];
  /** Whose it is. */
  readonly holders: readonly string[];
}

/** Before somebody is given what is in a schema they must be allowed to make it there. */
function gapsText(schema: string): string {
  return `SELECT 'GRANT USAGE, CREATE ON SCHEMA ' || quote_ident(nspname) || ' TO ' || quote_ident($1::text) AS text,
      pg_get_userbyid(nspowner)::text AS holder
    FROM pg_namespace WHERE nspname IN ('${schema}', '${viewSchema(schema)}')
      AND NOT (has_schema_privilege($1::text::name, oid, 'USAGE') AND has_schema_privilege($1::text::name, oid, 'CREATE'))
    UNION ALL
    SELECT 'ALTER ' || kind || ' ' || object || ' OWNER TO ' || quote_ident($1::text), pg_get_userbyid(owner)::text
    FROM (${objectsText(schema)}) AS o WHERE o.ours AND pg_get_userbyid(owner) <> $1::text::name
    ORDER BY text DESC`;
}

/** Asked of the catalog: takes no lock and changes nothing. */
export async function readOwnerGaps(sql: Sql, schema: string): Promise<OwnerGaps> {
  const owner = await tableOwner(sql, schema);
  if (owner === null) return { owner, statements: [], holders: [] };
  const rows = await sql.unsafe<{ text: string; holder: string }[]>(gapsText(schema), [owner]);
  const holders = [...new Set(rows.map(({ holder }) => holder))].sort();
  return { owner, statements: rows.map(({ text }) => text), holders };
}

/** Whether who asks has the rights of all who are concerned. */
export async function mayHandOver(sql: Sql, { owner, holders }: OwnerGaps): Promise<boolean> {
  const [row] = await sql<{ may: boolean | null }[]>`
    SELECT bool_and(pg_has_role(role::name, 'USAGE')) AS may
    FROM json_array_elements_text(${JSON.stringify([...holders, owner])}::text::json) AS r (role)`;
  return row?.may === true;
}
