import { readdirSync, readFileSync } from 'node:fs';
import { jsonSchemas } from '@countersign/policy';
import { expect, test } from 'vitest';

const FOLDER = new URL('../schemas/', import.meta.url);

test('the files are those of the shapes; scripts/write-schemas.ts writes them', () => {
  const schemas = jsonSchemas();
  expect(readdirSync(FOLDER).toSorted()).toEqual(Object.keys(schemas).toSorted());
  for (const [name, schema] of Object.entries(schemas)) {
    expect(JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'))).toEqual(schema);
  }
});

test('every property says what it is for', () => {
  const silent: string[] = [];
  const visit = (schema: unknown, path: string): void => {
    if (typeof schema !== 'object' || schema === null) return;
    const { properties } = schema as { properties?: Record<string, { description?: string }> };
    for (const [name, property] of Object.entries(properties ?? {})) {
      if (property.description === undefined) silent.push(`${path}.${name}`);
    }
    for (const [key, value] of Object.entries(schema)) visit(value, `${path}.${key}`);
  };
  for (const [name, schema] of Object.entries(jsonSchemas())) visit(schema, name);
  expect(silent).toEqual([]);
});

test('refuses keys that nobody reads, as a check does', () => {
  for (const schema of Object.values(jsonSchemas())) {
    expect(JSON.stringify(schema)).toContain('"additionalProperties":false');
    expect(schema).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema' });
  }
});
