import type { Schema } from '../schema/schema.ts';

const reaches = new WeakMap<Schema, Map<string, ReadonlySet<string>>>();

/** Whether entities of `entityType` may be entities of `ancestorType`, or lie below them. */
export function mayBeIn(schema: Schema, entityType: string, ancestorType: string): boolean {
  // The types of actions are declared apart.
  if (!schema.entityTypes.has(entityType) || !schema.entityTypes.has(ancestorType)) return true;
  return reachOf(schema, entityType).has(ancestorType);
}

/** A type and all above it. */
function reachOf(schema: Schema, entityType: string): ReadonlySet<string> {
  const ofSchema = reaches.get(schema) ?? new Map<string, ReadonlySet<string>>();
  reaches.set(schema, ofSchema);
  const found = ofSchema.get(entityType);
  if (found) return found;
  const reach = new Set([entityType]);
  // A set yields what is added to it while it is walked.
  for (const name of reach) {
    for (const above of schema.entityTypes.get(name)?.memberOfTypes ?? []) reach.add(above);
  }
  ofSchema.set(entityType, reach);
  return reach;
}
