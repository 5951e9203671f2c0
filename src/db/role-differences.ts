/** What of owners and grants differs from GRANTS: asked of the catalog, so that it takes no lock and changes nothing. */
import type { Sql } from './driver.ts';
import { API_SEQUENCES, GRANTS, LEADER_FUNCTIONS, type RoleNames } from './roles.ts';
import { objectsText, readersOf, viewSchema } from './role-script.ts';

interface Grant {
  /** As a GRANT names it. */
  readonly object: string;
  readonly privilege: string;
  readonly grantee: string;
}

/** But for views and detached partitions: the catalog says which there are. */
function wantedGrants(schema: string, names: RoleNames): Grant[] {
  const roles = ['api', 'leader', 'readonly'] as const;
  const tables = Object.entries(GRANTS).flatMap(([object, reach]) =>
    roles.flatMap((role) =>
      [...reach[role].matchAll(/[A-Z]+(?: \(\w+\))?/g)].map(([privilege]) => ({
        ...{ object, privilege, grantee: names[role] },
      })),
    ),
  );
  const functions = LEADER_FUNCTIONS.map((name) => ({
    ...{ object: `FUNCTION ${name}`, privilege: 'EXECUTE', grantee: names.leader },
  }));
  const sequences = API_SEQUENCES.map((name) => ({
    ...{ object: `SEQUENCE ${name}`, privilege: 'USAGE', grantee: names.api },
  }));
  const schemas = [schema, viewSchema(schema)].flatMap((space) => [
    ...[...readersOf(names), names.owner].map((grantee) => ({
      ...{ object: `SCHEMA ${space}`, privilege: 'USAGE', grantee },
    })),
    { object: `SCHEMA ${space}`, privilege: 'CREATE', grantee: names.owner },
  ]);
  return [...tables, ...functions, ...sequences, ...schemas];
}

/** What is granted to everybody or to one of ours counts; what an administrator grants to others is theirs. */
function differencesText(schema: string, names: RoleNames): string {
  const spaces = `'${schema}', '${viewSchema(schema)}'`;
  const readers = readersOf(names).map((name) => `'${name}'`);
  return `WITH ours AS (
    SELECT CASE WHEN kind IN ('FUNCTION', 'SEQUENCE') THEN kind || ' ' ELSE '' END || object AS object,
      kind || ' ' || object AS altered, kind, space, owner, acl, id, detached
    FROM (${objectsText(schema)}) AS o WHERE o.ours
  ), held (object, part, acl) AS (
    SELECT object, '', acl FROM ours
    UNION ALL
    SELECT o.object, ' (' || a.attname || ')', a.attacl FROM ours o
      JOIN pg_attribute a ON a.attrelid = o.id WHERE o.kind <> 'FUNCTION' AND a.attacl IS NOT NULL
    UNION ALL
    SELECT 'SCHEMA ' || nspname, '', coalesce(nspacl, acldefault('n', nspowner))
      FROM pg_namespace WHERE nspname IN (${spaces})
  ), actual AS (
    SELECT object, a.privilege_type || part AS privilege, coalesce(r.rolname::text, 'PUBLIC') AS grantee
    FROM held, aclexplode(acl) AS a LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE a.grantee = 0 OR r.rolname IN (${readers.join(', ')})
      OR (r.rolname = '${names.owner}' AND object LIKE 'SCHEMA %')
  ), wanted AS (
    SELECT * FROM json_to_recordset($1::text::json) AS w (object text, privilege text, grantee text)
    UNION ALL
    SELECT object, CASE kind WHEN 'FUNCTION' THEN 'EXECUTE' ELSE 'SELECT' END, reader
    FROM ours, unnest(ARRAY[${readers.join(', ')}]) AS reader
    WHERE space = '${viewSchema(schema)}' OR detached
  )
  SELECT 'ALTER ' || altered || ' OWNER TO ${names.owner}' AS text
  FROM ours WHERE pg_get_userbyid(owner) <> '${names.owner}'
  UNION ALL
  SELECT 'REVOKE ' || privilege || ' ON ' || object || ' FROM ' || grantee
  FROM (SELECT * FROM actual EXCEPT SELECT * FROM wanted) AS more
  UNION ALL
  SELECT 'GRANT ' || privilege || ' ON ' || object || ' TO ' || grantee
  FROM (SELECT * FROM wanted EXCEPT SELECT * FROM actual) AS fewer
  ORDER BY 1`;
}

/** Each as the statement that would mend it. */
export async function readDifferences(
  sql: Sql,
  schema: string,
  names: RoleNames,
): Promise<readonly string[]> {
  const wanted = JSON.stringify(wantedGrants(schema, names));
  const rows = await sql.unsafe<{ text: string }[]>(differencesText(schema, names), [wanted]);
  return rows.map(({ text }) => text);
}

/** What is in the schemas and not Muster's. */
export async function readStrangers(sql: Sql, schema: string): Promise<readonly string[]> {
  const rows = await sql.unsafe<{ text: string }[]>(
    `SELECT lower(kind) || ' ' || object AS text FROM (${objectsText(schema)}) AS o
     WHERE NOT ours ORDER BY 1`,
  );
  return rows.map(({ text }) => text);
}
