import { createSecretKey, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { AuditError } from '../audit-error.ts';
import { type Pseudonym, tagOf } from './person.ts';
import { type KeyNode, PuncturableKey } from './puncturable-key.ts';

/** The quarter (UTC) of a moment in ms since the epoch: `2026q4`. Keys of the record are made for one each. */
export function keyPeriodOf(atMs: number): string {
  const date = new Date(atMs);
  return `${date.getUTCFullYear()}q${Math.floor(date.getUTCMonth() / 3) + 1}`;
}

/** The quarter that is so many after another. */
export function laterPeriod(period: string, quarters: number): string {
  const at = Number(period.slice(0, 4)) * 4 + Number(period.slice(5)) - 1 + quarters;
  return `${Math.floor(at / 4)}q${(at % 4) + 1}`;
}

/** One tree of keys: for the events of one log's writer, one quarter and one retention class. */
export interface RecordKey {
  /** The writer: a point's name, or `authority`. */
  readonly holder: string;
  /** As {@link keyPeriodOf} names it. */
  readonly period: string;
  /** The retention class of the events. */
  readonly retention: string;
  readonly nodes: readonly KeyNode[];
}

/** What a writer of events needs to seal them; travels from the authority to its points over mTLS. */
export interface RecordKeys {
  /** Grows with each change, and is later than that of any backup: see `openRecordKeyStore`. */
  readonly version: number;
  /** Keys of pseudonyms by year; 32 bytes, base64. */
  readonly pseudonyms: readonly { readonly year: string; readonly secret: string }[];
  readonly keys: readonly RecordKey[];
  /** Persons who were erased, and how often: what is written of them later has another key. */
  readonly erased: readonly { readonly pseudonym: Pseudonym; readonly generation: number }[];
}

const node = z.strictObject({ path: z.string().max(32), key: z.string().max(64) });
const name = z.string().regex(/^[a-z0-9][a-z0-9.-]{0,63}$/);
const shape = z.strictObject({
  version: z.number().int().nonnegative(),
  pseudonyms: z
    .array(z.strictObject({ year: z.string().regex(/^[0-9]{4}$/), secret: z.string().max(64) }))
    .max(100),
  keys: z
    .array(
      z.strictObject({
        holder: name,
        period: z.string().regex(/^[0-9]{4}q[1-4]$/),
        retention: name,
        nodes: z.array(node),
      }),
    )
    .max(10_000),
  erased: z.array(
    z.strictObject({ pseudonym: z.string().max(64), generation: z.int().positive() }),
  ),
});

/**
 * Reads the keys that the authority gave.
 *
 * @throws {AuditError} `ERR_AUDIT_RECORD_KEYS` naming the place
 */
export function parseRecordKeys(value: unknown): RecordKeys {
  const parsed = shape.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AuditError(
    'ERR_AUDIT_RECORD_KEYS',
    `could not read record keys: ${z.prettifyError(parsed.error)}`,
  );
}

/** Names what a writer was given, as an entity tag (RFC 9110 section 8.8.3): the version, and the first quarter of it. */
export function recordKeysTag({ version, keys }: Pick<RecordKeys, 'version' | 'keys'>): string {
  const [first = ''] = keys.map(({ period }) => period).sort();
  return `"${version}-${first}"`;
}

/** The version that such a tag names. */
export function versionInTag(tag: string): number | undefined {
  const version = /^"([0-9]{1,15})-[0-9q]{0,6}"$/.exec(tag)?.[1];
  return version === undefined ? undefined : Number(version);
}

/** The same, ready for use. */
export interface OpenRecordKeys {
  readonly version: number;
  /** The secret of a year's pseudonyms. */
  pseudonymSecret(year: string): KeyObject | undefined;
  /** Years for which there is one, newest first. */
  readonly years: readonly string[];
  /** How often a person was erased. */
  generationOf(pseudonym: Pseudonym): number;
  /** A person's key in one tree, or nothing where there is no such tree or it was destroyed there. */
  keyOf(tree: string, pseudonym: Pseudonym, generation: number): Uint8Array | undefined;
  /** Whether there is such a tree at all. */
  has(tree: string): boolean;
}

/** How a sealed part names the tree of its keys: `edge/2026q4/evidence`. */
export function treeName({ holder, period, retention }: Omit<RecordKey, 'nodes'>): string {
  return `${holder}/${period}/${retention}`;
}

const CACHED_MAX = 20_000;

/**
 * Opens keys for use; remembers what it derived of the persons seen last.
 *
 * @throws {AuditError} `ERR_AUDIT_RECORD_KEYS`
 */
export function openRecordKeys({ version, pseudonyms, keys, erased }: RecordKeys): OpenRecordKeys {
  const secrets = new Map<string, KeyObject>();
  for (const { year, secret } of pseudonyms) {
    const bytes = Buffer.from(secret, 'base64');
    if (bytes.length !== 32) {
      throw new AuditError(
        'ERR_AUDIT_RECORD_KEYS',
        `could not read record keys: found ${bytes.length} bytes of pseudonym key ${year}, expected 32`,
      );
    }
    secrets.set(year, createSecretKey(bytes));
  }
  const trees = new Map<string, PuncturableKey>();
  for (const key of keys) {
    try {
      trees.set(treeName(key), PuncturableKey.fromNodes(key.nodes));
    } catch (cause) {
      throw new AuditError(
        'ERR_AUDIT_RECORD_KEYS',
        `could not read record keys: ${treeName(key)}: ${(cause as Error).message}`,
        { cause },
      );
    }
  }
  const generations = new Map(erased.map(({ pseudonym, generation }) => [pseudonym, generation]));
  const cached = new Map<string, Uint8Array | undefined>();
  return {
    version,
    pseudonymSecret: (year) => secrets.get(year),
    years: [...secrets.keys()].sort().reverse(),
    generationOf: (pseudonym) => generations.get(pseudonym) ?? 0,
    has: (tree) => trees.has(tree),
    keyOf(tree, pseudonym, generation) {
      const at = `${tree} ${pseudonym} ${generation}`;
      if (cached.has(at)) return cached.get(at);
      const key = trees.get(tree)?.derive(tagOf(pseudonym, generation));
      if (cached.size >= CACHED_MAX) cached.clear();
      cached.set(at, key);
      return key;
    },
  };
}
