import { resolve } from 'node:path';
import type { Registration, Surface } from '@countersign/model';
import type { z } from 'zod';
import { listOf, quote } from '../document/describe.ts';
import { didYouMean } from '../document/suggest.ts';
import type { PeopleSettings } from '../people-settings.ts';
import { attributeTypes } from '../schema/attribute-types.ts';
import { entityVocabulary } from '../schema/entity-vocabulary.ts';
import type { peopleShape } from '../shape/people-shape.ts';
import { checkCertificatePair } from './certificate-pair.ts';
import type { WrittenConfig } from './read-config.ts';
import { type CheckContext, createNameRegister } from './repository-source.ts';

/** Longer than this, nobody remembers a token. */
const TOKEN_DAYS_MAX = 400;
/** Before so many it is told that there must be another soon. */
const TOKEN_DAYS_LEFT = 30;
const DAY_MS = 86_400_000;

type WrittenPeople = z.output<typeof peopleShape>;

/**
 * Checks `authority.people` against the rest of the repository: attributes against what `Human` declares (one that came as another type,
 * or that a policy could not count on, would make a `forbid` fail), parents against the schema, subjects of clients against identities.
 */
export function checkPeople(
  { document, authority }: WrittenConfig,
  known: {
    readonly surfaces: readonly Surface[];
    readonly handWritten: string;
    /** Absent while some are missing: then nobody is blamed for it. */
    readonly registrations?: readonly Registration[] | undefined;
  },
  { report, folder, now }: CheckContext,
): PeopleSettings | undefined {
  const people = authority?.people;
  if (!document || !people) return undefined;
  const at = (...path: PropertyKey[]) => document.at(['authority', 'people', ...path]);
  checkAttributes();
  checkGroups();
  checkScim();
  return settingsOf(people, folder);

  function checkAttributes(): void {
    const types = attributeTypes(known.surfaces, known.handWritten).get('Human');
    if (!types || !people) return;
    for (const [name, from] of Object.entries(people.attributes)) {
      const declared = types.get(name);
      const place = at('attributes', name);
      const wanted =
        from === 'manager'
          ? 'Human'
          : from === 'roles' || from === 'entitlements'
            ? 'Set<String>'
            : 'String';
      if (!declared) {
        report.error(place, {
          found: `attribute ${quote(name)}`,
          expected: `one that Human declares: ${listOf(types.keys())}`,
          mend: didYouMean(
            name,
            types.keys(),
            `declare 'entity Human = { ${name}?: ${wanted} };' in policies/schema.cedarschema`,
          ),
        });
        continue;
      }
      const { type } = declared;
      const isRight =
        type.kind === 'unknown' ||
        (wanted === 'String' && type.kind === 'primitive' && type.name === 'String') ||
        (wanted === 'Human' && type.kind === 'entity' && type.name === 'Human') ||
        (wanted === 'Set<String>' &&
          type.kind === 'set' &&
          type.element.kind === 'primitive' &&
          type.element.name === 'String');
      // Sets are always there, if only empty; a user name is, too.
      const mayBeMissing = wanted !== 'Set<String>' && from !== 'userName';
      if (!isRight || (declared.isRequired && mayBeMissing)) {
        report.error(place, {
          found: `${quote(name)}, which Human declares in another way`,
          expected: `${name}${mayBeMissing ? '?' : ''}: ${wanted}`,
          mend: `write '${name}${mayBeMissing ? '?' : ''}: ${wanted}' in policies/schema.cedarschema; not everybody has one`,
        });
      }
    }
  }

  function checkGroups(): void {
    const vocabulary = entityVocabulary(known.surfaces, known.handWritten);
    const sources = new Set(people?.scim?.clients.map(({ name }) => `scim:${name}`));
    for (const [index, { source, parent }] of (people?.groups ?? []).entries()) {
      if (!sources.has(source)) {
        report.error(at('groups', index, 'source'), {
          found: `source ${quote(source)}`,
          expected: `a client of people.scim: ${listOf(sources)}`,
          mend: didYouMean(source, sources, 'add the client'),
        });
      }
      const allowed = vocabulary.get('Human');
      if (allowed && !allowed.has(parent.type)) {
        report.error(at('groups', index, 'parent', 'type'), {
          found: `Human in ${parent.type}`,
          expected: `a parent of type ${listOf(allowed)}`,
          mend: `declare it in policies/schema.cedarschema`,
        });
      }
    }
  }

  function checkScim(): void {
    const scim = people?.scim;
    if (!scim) return;
    const names = createNameRegister('SCIM client', report);
    const { certificateFile, keyFile } = scim;
    checkCertificatePair({ certificateFile, keyFile }, { report, at: (key) => at('scim', key) });
    const hashes = new Set<string>();
    for (const [index, client] of scim.clients.entries()) {
      const here = (...path: PropertyKey[]) => at('scim', 'clients', index, ...path);
      names.take(client.name, here('name'));
      if (client.subject === undefined && client.tokens.length === 0) {
        report.error(here(), {
          found: `client ${quote(client.name)} without subject and tokens`,
          expected: 'one of them, by which it is known',
          mend: "add 'subject', or a token that 'countersign people scim-token' makes",
        });
      }
      const subject = client.subject;
      if (
        subject !== undefined &&
        known.registrations &&
        !known.registrations.some((each) => each.subject.id.endsWith(`/${subject}`))
      ) {
        report.error(here('subject'), {
          found: `subject ${quote(subject)}`,
          expected: 'one that is registered in identities/',
          mend: 'register it',
        });
      }
      for (const [position, { sha256, ends }] of client.tokens.entries()) {
        const place = here('tokens', position);
        if (hashes.has(sha256)) {
          report.error(place, {
            found: 'a token that stands here twice',
            expected: 'a token of its own for each client',
            mend: "make another with 'countersign people scim-token'",
          });
        }
        hashes.add(sha256);
        if (ends > now() + TOKEN_DAYS_MAX * DAY_MS) {
          report.error(here('tokens', position, 'ends'), {
            found: 'an end of more than 400 days ahead',
            expected: 'one that comes within 400 days',
            mend: 'let it end sooner; two tokens at once make changing easy',
          });
        } else if (ends <= now() + TOKEN_DAYS_LEFT * DAY_MS) {
          const days = Math.floor((ends - now()) / DAY_MS);
          report.warn(here('tokens', position, 'ends'), {
            found: days < 0 ? 'a token that has ended' : `a token that ends in ${days} days`,
            expected: 'one that is good for a while',
            mend: days < 0 ? 'remove it' : 'put the next one beside it and give that to the client',
          });
        }
      }
    }
  }
}

function settingsOf({ scim, ...people }: WrittenPeople, folder: string): PeopleSettings {
  if (!scim) return people;
  const { certificateFile, keyFile, clients, ...rest } = scim;
  return {
    ...people,
    scim: {
      ...rest,
      ...(certificateFile !== undefined &&
        keyFile !== undefined && {
          certificateFile: resolve(folder, certificateFile),
          keyFile: resolve(folder, keyFile),
        }),
      clients: clients.map(({ tokens, subject, ...client }) => ({
        ...client,
        ...(subject !== undefined && { subject }),
        tokens: tokens.map(({ sha256, ends }) => ({ sha256, notAfterMs: ends })),
      })),
    },
  };
}
