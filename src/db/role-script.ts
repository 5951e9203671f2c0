/**
 * Roles, owners and grants as text: `migrate` runs it, and `muster migrate --plan` prints it. It finds the objects when
 * it runs, since migrations before it may have made some; and it takes away what GRANTS does not name.
 *
 * Muster's own are what its migrations create, and partitions of the log. Whatever else somebody put into the schemas
 * is left as it is: whoever migrates need not be allowed to touch it.
 */
import { packagedMigrations, type Migration } from './migration-files.ts';
import { API_SEQUENCES, GRANTS, LEADER_FUNCTIONS, type RoleNames } from './roles.ts';

/** What has to be done before anything can be granted. */
export interface RoleGaps {
  readonly names: RoleNames;
  /** Roles that the server has not got. */
  readonly missing: readonly string[];
  /** The login to put into the owner's role: to give something away one must belong to whom one gives it. */
  readonly joins: string | null;
}

export function viewSchema(schema: string): string {
  return `${schema}_v1`;
}

const CREATED =
  /^\s*CREATE (?:OR REPLACE )?(?:UNLOGGED )?(?:TABLE|VIEW|FUNCTION|SEQUENCE) (?:IF NOT EXISTS )?([\w{}.]+)/gim;

/** Qualified names of what these migrations create. */
function createdNames(schema: string, migrations: readonly Migration[]): readonly string[] {
  const created = migrations.flatMap(({ sql }) =>
    [...sql.matchAll(CREATED)].map(([, name]) => name),
  );
  const qualified = ['schema_migration', ...created].map((name = '') =>
    name.includes('.') ? name.replace('{{schema}}', schema) : `${schema}.${name}`,
  );
  return [...new Set(qualified)];
}

/** Rows of `kind`, `object` (as statements name it), `space`, `owner`, `acl`, `detached` and `ours`. */
export function objectsText(schema: string): string {
  const own = createdNames(schema, packagedMigrations()).join(',');
  return `SELECT kind, object, space, owner, acl, id,
      space = '${schema}' AND name ~ '^event_log_detached_p[0-9]+$' AS detached,
      space || '.' || name = ANY ('{${own}}')
        OR (space = '${schema}' AND name ~ '^event_log_(detached_)?p[0-9]+$') AS ours
    FROM (
      SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'f' THEN 'FOREIGN TABLE'
          WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
        c.oid::regclass::text AS object, c.relnamespace AS within, c.relname AS name, c.oid AS id,
        c.relowner AS owner,
        coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)) AS acl
      FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'f', 'm', 'S')
      UNION ALL
      SELECT 'FUNCTION', p.oid::regprocedure::text, p.pronamespace, p.proname, p.oid,
        p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
      FROM pg_proc p) AS found
    JOIN (SELECT oid, nspname AS space FROM pg_namespace) AS n ON n.oid = found.within
    WHERE space IN ('${schema}', '${viewSchema(schema)}')`;
}

/** For one transaction, of a login that owns the schema. */
export function rolesText(schema: string, { names, missing, joins }: RoleGaps): string {
  return [
    notOnNewer(),
    ...missing.map(createRole),
    ...(joins === null ? [] : [`GRANT ${names.owner} TO ${quoted(joins)};`]),
    ...schemaGrants(schema, names),
    handOver(schema, names),
    ...tableGrants(names),
  ].join('\n');
}

/** A plan may be run long after it was printed. Whoever has asked `whatToGrant` under the migrators' lock never meets it. */
function notOnNewer(): string {
  const known = packagedMigrations().at(-1)?.version ?? 0;
  return `DO $$ BEGIN
  IF EXISTS (SELECT FROM schema_migration WHERE version > ${String(known)}) THEN
    RAISE EXCEPTION 'the schema is newer than ${String(known)}, for which these grants are: have a plan of the newer Muster';
  END IF;
END $$;`;
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Another installation's migration may make the same role at this moment. */
function createRole(name: string): string {
  return `DO $$ BEGIN CREATE ROLE ${name} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;`;
}

export function readersOf({ api, leader, readonly }: RoleNames): readonly string[] {
  return [api, leader, readonly];
}

/** The schema of views is for everyone who reads. */
function schemaGrants(schema: string, names: RoleNames): string[] {
  const readers = readersOf(names).join(', ');
  return [schema, viewSchema(schema)].flatMap((space) => [
    `REVOKE ALL ON SCHEMA ${space} FROM PUBLIC, ${readers};`,
    `GRANT USAGE ON SCHEMA ${space} TO ${readers};`,
    `GRANT USAGE, CREATE ON SCHEMA ${space} TO ${names.owner};`,
  ]);
}

/** Whoever reads the log may read what left it, as when it was detached: else nobody could export it. */
function handOver(schema: string, names: RoleNames): string {
  const readers = readersOf(names).join(', ');
  return `DO $$
DECLARE one record;
BEGIN
  FOR one IN SELECT * FROM (
    ${objectsText(schema)}
  ) AS o WHERE o.ours LOOP
    -- Asked first: ALTER takes a lock that everybody waits for.
    IF one.owner <> '${names.owner}'::regrole THEN
      EXECUTE format('ALTER %s %s OWNER TO ${names.owner}', one.kind, one.object);
    END IF;
    EXECUTE format('REVOKE ALL ON %s %s FROM PUBLIC, ${readers}',
      CASE WHEN one.kind IN ('FUNCTION', 'SEQUENCE') THEN one.kind ELSE 'TABLE' END, one.object);
    IF one.space = '${viewSchema(schema)}' OR one.detached THEN
      EXECUTE format('GRANT %s %s TO ${readers}',
        CASE one.kind WHEN 'FUNCTION' THEN 'EXECUTE ON FUNCTION' ELSE 'SELECT ON TABLE' END, one.object);
    END IF;
  END LOOP;
END $$;`;
}

function tableGrants({ api, leader, readonly }: RoleNames): string[] {
  return [
    ...Object.entries(GRANTS).flatMap(([table, reach]) => [
      ...granted(table, reach.api, api),
      ...granted(table, reach.leader, leader),
      ...granted(table, reach.readonly, readonly),
    ]),
    ...API_SEQUENCES.map((name) => `GRANT USAGE ON SEQUENCE ${name} TO ${api};`),
    ...LEADER_FUNCTIONS.map((name) => `GRANT EXECUTE ON FUNCTION ${name} TO ${leader};`),
  ];
}

function granted(table: string, rights: string, role: string): string[] {
  return rights === '' ? [] : [`GRANT ${rights} ON ${quoted(table)} TO ${role};`];
}
