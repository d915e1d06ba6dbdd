import { type CedarUid, EntityUid, printUid, type SeenValue } from '@countersign/cedar';
import { printable } from '../record/printable.ts';

/** Letters of one value that are shown. */
const LENGTH_MAX = 200;

/** A value that a policy saw, as a policy would write it, on one line. */
export function seenText(value: SeenValue): string {
  const text = printable(write(value));
  return text.length > LENGTH_MAX ? `${text.slice(0, LENGTH_MAX).toWellFormed()}…` : text;
}

function write(value: SeenValue): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return `[${value.map(write).join(', ')}]`;
  const {
    __entity: uid,
    __extn: call,
    __long: long,
    __more: more,
  } = value as {
    readonly __entity?: CedarUid;
    readonly __extn?: { readonly fn: string; readonly arg: string };
    readonly __long?: string;
    readonly __more?: number;
  };
  if (uid) return printUid(new EntityUid(uid.type, uid.id));
  if (call) return `${call.fn}(${JSON.stringify(call.arg)})`;
  if (long !== undefined) return long;
  if (more !== undefined && Object.keys(value).length === 1) return `… ${more} more`;
  const fields = Object.entries(value).map(([name, each]) =>
    name === '__more' ? `… ${write(each)} more` : `${JSON.stringify(name)}: ${write(each)}`,
  );
  return `{${fields.join(', ')}}`;
}
