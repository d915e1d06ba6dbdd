import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY_SOURCE } from '@countersign/example-bank';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';

// biome-ignore lint/suspicious/noExplicitAny: a document is looked into member by member
export type Json = any;

/** One operation of a description, with its parameters resolved. */
export interface DescribedOperation {
  readonly id: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly parameters: readonly Json[];
  readonly body: Json;
  readonly responses: Readonly<Record<string, Json>>;
}

/** An API description and the means to hold answers to it. */
export interface Description {
  readonly document: Json;
  readonly operations: readonly DescribedOperation[];
  /** What is wrong with a value by a schema of the document; nothing when it fits. */
  faults(schema: Json, value: unknown): string[];
}

const METHODS = ['get', 'post', 'delete'] as const;

export function readDescription(surface: string): Description {
  const file = join(REPOSITORY_SOURCE, 'surfaces', `${surface}.openapi.yaml`);
  const document: Json = parse(readFileSync(file, 'utf8'));
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addSchema(document, 'document');
  const resolve = (value: Json): Json =>
    value?.$ref === undefined
      ? value
      : resolve(
          value.$ref
            .slice(2)
            .split('/')
            .reduce((at: Json, key: string) => at[key], document),
        );
  const operations = Object.entries<Json>(document.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => {
      const { operationId, parameters = [], requestBody, responses } = item[method];
      return {
        id: operationId,
        method: method.toUpperCase() as DescribedOperation['method'],
        path,
        parameters: [...(item.parameters ?? []), ...parameters].map(resolve),
        body: requestBody?.content['application/json'],
        responses: Object.fromEntries(
          Object.entries(responses).map(([status, response]) => [status, resolve(response)]),
        ),
      };
    }),
  );
  return {
    document,
    operations,
    faults: (schema, value) => {
      const validate = ajv.compile({ ...rebased(schema) });
      return validate(value)
        ? []
        : (validate.errors ?? []).map((e) => `${e.instancePath} ${e.message}`);
    },
  };
}

/** References of the document, made absolute for the validator. */
function rebased(schema: Json): Json {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"document#/'));
}
