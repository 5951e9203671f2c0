/**
 * Kubernetes' own schemas of the kinds that the chart renders, cut out of its OpenAPI document: fields
 * that it does not know are refused, as the API server refuses them under strict field validation.
 */
import { readFileSync } from 'node:fs';
import { Ajv, type ValidateFunction } from 'ajv';
import { CUSTOM } from './custom-schemas.ts';
import type { Rendered } from './helm.ts';

interface SchemaFile {
  readonly kubernetes: string;
  /** `apps/v1/Deployment` → `#/definitions/…` */
  readonly kinds: Readonly<Record<string, string>>;
  readonly definitions: object;
}

/** Why an API server of that version would refuse the object. */
export function schemaCheck(version: string): (object: Rendered) => string[] {
  const url = new URL(`../kubernetes/${version}.json`, import.meta.url);
  const file = JSON.parse(readFileSync(url, 'utf8')) as SchemaFile;
  const ajv = new Ajv({ allErrors: true, strict: false });
  ajv.addSchema({ $id: 'k8s', definitions: file.definitions });
  const compiled = new Map<string, ValidateFunction>();
  return (object) => {
    const id = `${object.apiVersion}/${object.kind}`;
    const ref = file.kinds[id];
    const schema = CUSTOM.get(id) ?? (ref === undefined ? undefined : { $ref: `k8s${ref}` });
    if (schema === undefined) return [`${id} is not among the schemas of ${version}`];
    const validate = compiled.get(id) ?? ajv.compile(schema);
    compiled.set(id, validate);
    const valid: boolean = validate(object);
    return (valid ? [] : (validate.errors ?? [])).map(
      ({ instancePath, message, params }) =>
        `${object.kind} ${object.metadata.name}${instancePath}: ${message ?? ''} ${JSON.stringify(params)}`,
    );
  };
}
