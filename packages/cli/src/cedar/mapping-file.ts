import type { SqlMapping } from '@countersign/cedar';
import { z } from 'zod';
import { CommandError, type Io } from '../command-line/command.ts';
import { printable } from '../record/printable.ts';
import { parseJsonFile } from './json.ts';
import { readText } from './read-text.ts';

// The shape of `SqlMapping`; a word too many is a mistake that would change who sees what, so it is refused.
const table = z.union([z.string(), z.tuple([z.string(), z.string()])]);
const scalar = z.union([
  z.enum(['boolean', 'long', 'string', 'decimal', 'datetime', 'duration', 'ipaddr']),
  z.strictObject({ entity: z.string() }),
]);
const attribute = z.union([
  z.strictObject({
    kind: z.literal('column').exactOptional(),
    column: z.string(),
    type: scalar.exactOptional(),
    nullable: z.boolean().exactOptional(),
  }),
  z.strictObject({
    kind: z.enum(['json', 'array']),
    column: z.string(),
    element: scalar.exactOptional(),
    nullable: z.boolean().exactOptional(),
  }),
  z.strictObject({
    kind: z.literal('rows'),
    table,
    owner: z.string(),
    value: z.string(),
    element: scalar.exactOptional(),
    present: z.string().exactOptional(),
  }),
  z.strictObject({
    kind: z.literal('record'),
    get attributes() {
      return z.record(z.string(), attribute);
    },
    present: z.string().exactOptional(),
  }),
]);
const parent = z.union([
  z.strictObject({
    kind: z.literal('column').exactOptional(),
    type: z.string(),
    column: z.string(),
  }),
  z.strictObject({
    kind: z.literal('rows'),
    type: z.string(),
    table,
    child: z.string(),
    parent: z.string(),
  }),
]);
const shape: z.ZodType<SqlMapping> = z.record(
  z.string(),
  z.strictObject({
    table,
    id: z.string(),
    attributes: z.record(z.string(), attribute).exactOptional(),
    tags: z
      .strictObject({
        table,
        owner: z.string(),
        key: z.string(),
        value: z.string(),
        type: scalar.exactOptional(),
      })
      .exactOptional(),
    parents: z.union([z.array(parent), z.literal('entities')]).exactOptional(),
    ancestors: z
      .array(
        z.strictObject({
          type: z.string(),
          table,
          descendant: z.string(),
          ancestor: z.string(),
        }),
      )
      .exactOptional(),
  }),
);

/**
 * Reads a file that tells how entities are stored.
 *
 * @throws {CommandError} naming the place at fault
 */
export async function readMapping(name: string, io: Io): Promise<SqlMapping> {
  const text = await readText(name, { what: 'mapping', io });
  const parsed = shape.safeParse(parseJsonFile({ name, text }, 'mapping'));
  if (parsed.success) return parsed.data;
  throw new CommandError(
    `cannot read mapping '${printable(name)}': ${printable(z.prettifyError(parsed.error).replaceAll(/\s*\n\s*/g, ' '))}`,
  );
}
