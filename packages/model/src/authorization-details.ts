import type { Acr } from './registration.ts';

/** The type that says what something is for; `code` is one of the bank's purposes. Becomes `purpose` of a request. */
export const PURPOSE_TYPE = 'purpose';
/** Characters of a text in a detail. */
const TEXT_MAX = 140;

/** A field of a type of authorization details. */
export interface DetailField {
  /** In words, for the person who approves it. */
  readonly label: string;
  /** `decimal` is text with a point and up to four digits behind it, as Cedar has them. */
  readonly kind: 'text' | 'decimal' | 'integer' | 'record';
  readonly isOptional: boolean;
  /** Of a text: the only ones, each in words. */
  readonly values?: Readonly<Record<string, string>>;
  /** Of a record. */
  readonly fields?: Readonly<Record<string, DetailField>>;
}

/** A type of authorization details (RFC 9396 §2) as the bank defines it. */
export interface DetailType {
  readonly type: string;
  /** In words, for the person who approves it. */
  readonly title: string;
  /** How whoever approves it must sign in, at least. */
  readonly acr?: Acr;
  /** Whether a client may have it in its own name; else a person approves it. */
  readonly isForClients: boolean;
  readonly fields: Readonly<Record<string, DetailField>>;
  /**
   * Where in the content that will be sent the fields stand: JSON Pointers (RFC 6901) by field, `instructedAmount.amount`. Then
   * the content is asked for beside them, held against them, and only its digest goes on.
   */
  readonly content?: Readonly<Record<string, string>>;
}

/** A detail as it is asked for: `type`, and the fields of that type. */
export type AuthorizationDetail = Readonly<Record<string, unknown>> & { readonly type: string };

/** What a person reads of a detail, one line each. */
export interface DetailLine {
  readonly label: string;
  readonly text: string;
}

/** Why a detail is not as its type says; nothing when it is. What the type does not name is refused (RFC 9396 §5). */
export function detailFault(detail: AuthorizationDetail, type: DetailType): string | undefined {
  const { type: _, content, ...fields } = detail;
  const fault = recordFault(fields, type.fields, type.type);
  if (fault !== undefined) return fault;
  if (type.content === undefined) {
    return content === undefined ? undefined : `'${type.type}' has no field 'content'`;
  }
  return contentFault(content, fields, type as DetailType & { content: object });
}

/** Whether the content says what the fields say: the person reads the fields, and the resource the content. */
function contentFault(
  content: unknown,
  fields: Readonly<Record<string, unknown>>,
  { type, content: pointers }: DetailType & { readonly content: Readonly<Record<string, string>> },
): string | undefined {
  if (typeof content !== 'string') return `'${type}.content' is no text`;
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    return `'${type}.content' is no JSON`;
  }
  // In its one form: a name that came twice would be read here in one way and by the resource in another.
  if (JSON.stringify(value) !== content) return `'${type}.content' is not in its shortest form`;
  for (const [path, pointer] of Object.entries(pointers)) {
    const shown = path.split('.').reduce<unknown>(memberOf, fields);
    const sent = pointer.split('/').slice(1).map(unescaped).reduce<unknown>(memberOf, value);
    if (shown !== sent) return `'${type}.content' has another '${path}' at ${pointer}`;
  }
  return undefined;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

/** RFC 6901 §4 */
function unescaped(token: string): string {
  return token.replaceAll('~1', '/').replaceAll('~0', '~');
}

/** What a detail says, in words, in the order of its type; the detail is as its type says. */
export function detailLines(
  detail: Readonly<Record<string, unknown>>,
  fields: Readonly<Record<string, DetailField>>,
): readonly DetailLine[] {
  return Object.entries(fields).flatMap(([name, { label, values, fields: inner }]) => {
    const value = detail[name];
    if (value === undefined) return [];
    if (inner !== undefined) {
      const lines = detailLines(value as Readonly<Record<string, unknown>>, inner);
      return [{ label, text: lines.map((line) => line.text).join(' ') }];
    }
    return [{ label, text: values?.[String(value)] ?? String(value) }];
  });
}

function recordFault(
  value: unknown,
  fields: Readonly<Record<string, DetailField>>,
  path: string,
): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return `'${path}' is no object`;
  }
  const stranger = Object.keys(value).find((name) => !Object.hasOwn(fields, name));
  if (stranger !== undefined) return `'${path}' has no field '${stranger.slice(0, 64)}'`;
  for (const [name, field] of Object.entries(fields)) {
    const fault = fieldFault((value as Record<string, unknown>)[name], field, `${path}.${name}`);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function fieldFault(value: unknown, field: DetailField, path: string): string | undefined {
  if (value === undefined) return field.isOptional ? undefined : `'${path}' is missing`;
  switch (field.kind) {
    case 'record':
      return recordFault(value, field.fields ?? {}, path);
    case 'integer':
      return Number.isSafeInteger(value) ? undefined : `'${path}' is no integer`;
    case 'decimal':
      // Cedar's decimal, and no sign: nobody approves that less than nothing is done.
      return typeof value === 'string' && /^(?:0|[1-9]\d{0,13})\.\d{1,4}$/.test(value)
        ? undefined
        : `'${path}' is no text of a number with a point`;
    default:
      // One line, as a person reads it: nothing that is invisible, or that turns text around.
      if (
        typeof value !== 'string' ||
        value.length > TEXT_MAX ||
        !/^[^\p{C}\p{Zl}\p{Zp}]+$/u.test(value)
      ) {
        return `'${path}' is no text of 1 to ${TEXT_MAX} visible characters`;
      }
      return field.values === undefined || Object.hasOwn(field.values, value)
        ? undefined
        : `'${path}' is none of ${Object.keys(field.values).join(', ')}`;
  }
}
