import { z } from 'zod';
import { configShape } from './config-shape.ts';
import { entitiesShape } from './entity-shape.ts';
import { federationShape } from './federation-shape.ts';
import { identitiesShape } from './identity-shape.ts';
import { partnersShape } from './partner-shape.ts';
import { playbookShape } from './playbook-shape.ts';
import { policyTestsShape } from './policy-test-shape.ts';
import { surfaceShape } from './surface-shape.ts';

const SHAPES = {
  countersign: configShape,
  surface: surfaceShape,
  identities: identitiesShape,
  federation: federationShape,
  entities: entitiesShape,
  partners: partnersShape,
  playbook: playbookShape,
  'policy-tests': policyTestsShape,
};

/**
 * JSON Schemas (draft 2020-12) of what a bank writes, for its editor, by file name: descriptions,
 * allowed words, examples. A check knows more than they do; `schemas/` holds them as files.
 */
export function jsonSchemas(): Readonly<Record<string, object>> {
  return Object.fromEntries(
    Object.entries(SHAPES).map(([name, shape]) => [
      `${name}.schema.json`,
      z.toJSONSchema(shape, { target: 'draft-2020-12', io: 'input', unrepresentable: 'any' }),
    ]),
  );
}
