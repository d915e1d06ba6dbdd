import { writeFileSync } from 'node:fs';
import { jsonSchemas } from '@countersign/policy';

/** Writes `schemas/*.schema.json` from the shapes; run after changing one. */
for (const [name, schema] of Object.entries(jsonSchemas())) {
  writeFileSync(
    new URL(`../schemas/${name}`, import.meta.url),
    `${JSON.stringify(schema, undefined, 2)}\n`,
  );
}
