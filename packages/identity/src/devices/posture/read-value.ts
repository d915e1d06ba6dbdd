import type { DeviceIdentifier, TriState } from '@countersign/model';
import { z } from 'zod';

/** What stands where a source has nothing to say. */
const EMPTY = new Set(['', '0', 'unknown', 'none', 'n/a', 'not available', 'system serial number']);
const IDENTIFIER = /^[\x21-\x7e][\x20-\x7e]{0,126}$/;

/** A time as sources write it, ISO 8601; nothing when it is none. Zone-less times are UTC in all of these APIs. */
export function timeOf(text: string | null | undefined): number | undefined {
  if (typeof text !== 'string' || !/^\d{4}-\d{2}-\d{2}T/.test(text)) return undefined;
  const ms = Date.parse(/(?:Z|[+-]\d{2}:?\d{2})$/.test(text) ? text : `${text}Z`);
  return Number.isFinite(ms) && ms > 0 ? ms : undefined;
}

/** True and false as they are, everything else is unknown. */
export function triState(value: unknown): TriState {
  return value === true ? 'true' : value === false ? 'false' : 'unknown';
}

/** What a word means, by a table of the words that mean something. */
export function byWord(value: unknown, words: Readonly<Record<string, boolean>>): TriState {
  return typeof value === 'string' && Object.hasOwn(words, value)
    ? triState(words[value])
    : 'unknown';
}

/** Identifiers that identify: printable, and none of what vendors write where there is none. */
export function identifiersOf(
  found: Readonly<Partial<Record<DeviceIdentifier, unknown>>>,
): Partial<Record<DeviceIdentifier, string>> {
  return Object.fromEntries(
    Object.entries(found).flatMap(([kind, value]) => {
      const text = typeof value === 'number' ? String(value) : value;
      if (typeof text !== 'string' || !IDENTIFIER.test(text)) return [];
      const normal = normalIdentifier(text);
      return EMPTY.has(normal) || /^0[0-]*$/.test(normal) ? [] : [[kind, normal]];
    }),
  );
}

/** Identifiers are compared without case: sources write the same serial and UUID in either. */
export function normalIdentifier(text: string): string {
  return text.trim().toLowerCase();
}

/** Text of a vendor, of bounded length. */
export const vendorText = z.string().max(1024);
