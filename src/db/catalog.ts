/**
 * The schema as text, out of the catalog: what tests compare with the committed dump. Only what we define:
 * tables with columns, constraints, indexes, triggers, options and comments; functions in full.
 */
import type { Sql } from './driver.ts';

/** One block per object, sorted; independent of the schema's name and of oids. */
export async function dumpSchema(sql: Sql, schema: string): Promise<string> {
  const blocks = [...(await dumpTables(sql)), ...(await dumpFunctions(sql))];
  return `${blocks.join('\n\n').replaceAll(`${schema}.`, '').replaceAll(schema, '{{schema}}')}\n`;
}

interface TableRow {
  name: string;
  head: string;
  columns: string[];
  constraints: string[];
  indexes: string[];
  triggers: string[];
  comment: string;
}

async function dumpTables(sql: Sql): Promise<string[]> {
  const rows = await sql<TableRow[]>`
    SELECT c.relname AS name,
      concat_ws(' ', CASE c.relpersistence WHEN 'u' THEN 'unlogged' END, 'table', c.relname,
        CASE WHEN c.relkind = 'p' THEN 'partition by ' || pg_get_partkeydef(c.oid) END,
        CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END,
        (SELECT 'with (' || string_agg(o, ', ' ORDER BY o) || ')' FROM unnest(c.reloptions) o)) AS head,
      (SELECT coalesce(json_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
          CASE WHEN a.attnotnull THEN 'not null' END,
          CASE WHEN a.attidentity = 'a' THEN 'generated always as identity' END,
          'default ' || pg_get_expr(d.adbin, d.adrelid),
          CASE WHEN a.attstorage <> t.typstorage THEN 'storage ' || a.attstorage::text END,
          '-- ' || col_description(c.oid, a.attnum)) ORDER BY a.attnum), '[]')
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
      (SELECT coalesce(json_agg(conname || ' ' || pg_get_constraintdef(k.oid) ORDER BY conname), '[]')
        FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype <> 'n') AS constraints,
      (SELECT coalesce(json_agg(pg_get_indexdef(i.indexrelid) ORDER BY pg_get_indexdef(i.indexrelid)), '[]')
        FROM pg_index i WHERE i.indrelid = c.oid) AS indexes,
      (SELECT coalesce(json_agg(pg_get_triggerdef(g.oid) || ' enabled ' || g.tgenabled::text ORDER BY g.tgname), '[]')
        FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal) AS triggers,
      coalesce(obj_description(c.oid, 'pg_class'), '(none)') AS comment
    FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
    ORDER BY c.relname COLLATE "C"`;
  return rows.map(tableBlock);
}

function tableBlock(row: TableRow): string {
  const lines = [
    ...row.columns,
    ...row.constraints.map((text) => `constraint ${text}`),
    ...row.indexes.map((text) => `index ${text}`),
    ...row.triggers.map((text) => `trigger ${text}`),
    `comment ${row.comment}`,
  ];
  return [row.head, ...lines.map((line) => `  ${line}`)].join('\n');
}

async function dumpFunctions(sql: Sql): Promise<string[]> {
  const rows = await sql<{ text: string }[]>`
    SELECT pg_get_functiondef(p.oid) || coalesce(E'\n-- ' || obj_description(p.oid, 'pg_proc'), '') AS text
    FROM pg_proc p WHERE p.pronamespace = current_schema()::regnamespace
    ORDER BY p.proname COLLATE "C"`;
  return rows.map((row) => row.text.trimEnd());
}
