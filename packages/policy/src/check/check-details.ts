import {
  type DetailField,
  type DetailType,
  PURPOSE_TYPE,
  type Registration,
} from '@countersign/model';
import type { z } from 'zod';
import { listOf, quote } from '../document/describe.ts';
import { didYouMean } from '../document/suggest.ts';
import type { detailsShape } from '../shape/details-shape.ts';
import type { WrittenConfig } from './read-config.ts';
import type { CheckContext, Located } from './repository-source.ts';

type WrittenTypes = z.output<typeof detailsShape>;
type WrittenField = Omit<WrittenTypes[string]['fields'][string], 'fields'> & {
  readonly fields?: Readonly<Record<string, WrittenField>> | undefined;
};

/** What Cedar reads as something else, and what every detail has. */
const RESERVED: ReadonlySet<string> = new Set(
  'true false if then else in is like has __cedar type content contentDigest'.split(' '),
);
const TYPES_MAX = 50;
const NAMES: Readonly<Record<'type' | 'field' | 'code', { form: RegExp; expected: string }>> = {
  type: {
    form: /^[a-z][a-z0-9_]{0,62}$/,
    expected: 'lower-case letters, digits and _, no word of Cedar, and not purpose',
  },
  field: {
    form: /^[A-Za-z][A-Za-z0-9_]{0,62}$/,
    expected: 'letters, digits and _, no word of Cedar, and not type, content or contentDigest',
  },
  code: { form: /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, expected: 'letters, digits, dots, dashes' },
};

/** The types of authorization details that the bank defines: `purpose` where there are purposes, and its own. */
export function checkDetails(
  { document, authority }: WrittenConfig,
  identities: readonly Located<Registration>[],
  { report }: CheckContext,
): readonly DetailType[] {
  const { purposes = {}, authorizationDetails = {} } = authority ?? {};
  const types: DetailType[] = [];
  const refuse = (path: readonly PropertyKey[], found: string, expected: string, mend: string) => {
    if (document) report.error(document.at(['authority', ...path]), { found, expected, mend });
  };
  const checkName = (kind: keyof typeof NAMES, path: readonly PropertyKey[]) => {
    const name = String(path.at(-1));
    const isTaken =
      kind !== 'code' && (RESERVED.has(name) || (kind === 'type' && name === PURPOSE_TYPE));
    if (NAMES[kind].form.test(name) && !isTaken) return;
    refuse(path, `${kind} ${quote(name)}`, NAMES[kind].expected, 'choose another name');
  };
  const checkFields = (fields: Readonly<Record<string, WrittenField>>, path: PropertyKey[]) => {
    for (const [name, field] of Object.entries(fields)) {
      const at = [...path, 'fields', name];
      checkName('field', at);
      const { values = [], kind } = field;
      const codes = Array.isArray(values) ? values : Object.keys(values);
      for (const code of codes) if (!NAMES.code.form.test(code)) checkName('code', [...at, code]);
      const mend = 'write one of them';
      if (field.fields && (field.values || kind !== 'text')) {
        refuse(at, `${quote(name)} with fields and more`, 'fields, or values, or a kind', mend);
      } else if (field.values && kind !== 'text') {
        refuse(at, `${quote(name)} with values of kind ${kind}`, 'values of a text', mend);
      }
      if (field.fields) checkFields(field.fields, at);
    }
  };

  if (Object.keys(purposes).length > 0) {
    for (const code of Object.keys(purposes)) checkName('code', ['purposes', code]);
    const code: DetailField = {
      ...{ label: 'Purpose', kind: 'text', isOptional: false, values: purposes },
    };
    types.push({
      ...{ type: PURPOSE_TYPE, title: 'Say what it is for', isForClients: true, fields: { code } },
    });
  }
  for (const [type, { title, acr, fields, content }] of Object.entries(authorizationDetails)) {
    checkName('type', ['authorizationDetails', type]);
    checkFields(fields, ['authorizationDetails', type]);
    types.push({
      ...{ type, title, isForClients: false, fields: fieldsOf(fields) },
      ...(acr && { acr }),
      ...(content && { content }),
    });
    const leaves = leavesOf(fields);
    for (const path of content ? Object.keys(content) : []) {
      if (leaves.includes(path)) continue;
      const expected = `one of ${listOf(leaves)}`;
      const mend = didYouMean(path, leaves, 'remove it, or add the field');
      refuse(
        ['authorizationDetails', type, 'content', path],
        `field ${quote(path)}`,
        expected,
        mend,
      );
    }
    const missing = content ? leaves.filter((path) => !Object.hasOwn(content, path)) : [];
    if (missing.length > 0) {
      refuse(
        ['authorizationDetails', type, 'content'],
        `nothing of ${listOf(missing)}`,
        'where each field stands: what people read must be what is sent',
        'add them',
      );
    }
  }
  if (types.length > TYPES_MAX) {
    refuse(['authorizationDetails'], `${types.length} types`, `at most ${TYPES_MAX}`, 'join some');
  }
  const known = new Set(types.map(({ type }) => type));
  for (const { value, document: file, path } of identities) {
    for (const [index, type] of (value.client?.detailTypes ?? []).entries()) {
      if (known.has(type) || !authority) continue;
      report.error(file.at([...path, 'client', 'authorizationDetailsTypes', index]), {
        found: `type ${quote(type)}`,
        expected:
          known.size > 0
            ? `one of ${listOf(known)}`
            : "a type of 'authority.authorizationDetails' or, with 'authority.purposes', purpose",
        mend: didYouMean(type, known, 'define it in countersign.yaml, or remove it'),
      });
    }
  }
  return types;
}

/** Fields that are no records, by path. */
function leavesOf(fields: Readonly<Record<string, WrittenField>>): readonly string[] {
  return Object.entries(fields).flatMap(([name, field]) =>
    field.fields ? leavesOf(field.fields).map((inner) => `${name}.${inner}`) : [name],
  );
}

function fieldsOf(written: Readonly<Record<string, WrittenField>>): Record<string, DetailField> {
  return Object.fromEntries(
    Object.entries(written).map(([name, { label, kind, optional, values, fields }]) => [
      name,
      {
        ...{ label, isOptional: optional, kind: fields ? 'record' : kind },
        ...(values && {
          values: Array.isArray(values)
            ? Object.fromEntries(values.map((each) => [each, each]))
            : values,
        }),
        ...(fields && { fields: fieldsOf(fields) }),
      },
    ]),
  );
}
