import { setTimeout as sleep } from 'node:timers/promises';
import {
  holdOnPersons,
  type LegalHold,
  type Person,
  parsePerson,
  personOfSubject,
  type RecordKeyStore,
} from '@countersign/audit';
import { decodeEvent, type Event, encodeEvent, ModelError } from '@countersign/model';
import type { FastifyPluginAsync } from 'fastify';
import { z } from 'zod';
import { openingsIn } from '../../record/openings.ts';
import { reasonShape } from '../reason-shape.ts';
import type { Recorder } from './own-record.ts';
import type { RecordQuestions } from './record-questions.ts';
import type { RecordedEntry } from './recorded-entry.ts';
import { unseenPersons } from './unseen-persons.ts';

/** How long the points are waited for that have to drop a key. */
const POINTS_MS_MAX = 12_000;
const LOOK_EVERY_MS = 200;
const BODY_BYTES_MAX = 8 * 1024 * 1024;

const personsShape = z.strictObject({
  persons: z.array(z.string().min(1).max(2048)).min(1).max(1000),
  reason: reasonShape,
});
const openingsShape = z.strictObject({
  entries: z.array(z.base64().max(90_000)).min(1).max(64),
  reason: reasonShape,
});

/** What came of erasing persons. */
export interface ErasureAnswer {
  readonly pseudonyms: readonly string[];
  /** Keys destroyed: one for each writer, quarter and retention class. */
  readonly keys: number;
  /** Those asked for whom no event named: most likely written otherwise than the record has them. */
  readonly unseen: readonly string[];
  /** Points that have not said yet that they dropped theirs. */
  readonly pending: readonly string[];
  /** Whether the database's files are free of them. */
  readonly isForgotten: boolean;
  readonly recorded: { readonly origin: string; readonly seq: number };
}

/** What the routes read and do. */
export interface PrivacyRoutesOptions {
  readonly recordKeys: RecordKeyStore;
  /** By point: the version of the keys that it holds. */
  readonly keyVersions: ReadonlyMap<string, number>;
  /** The names of all points. */
  readonly points: () => readonly string[];
  /** What persons are called by beside `human` and `customer`. */
  readonly personalKinds: () => readonly string[];
  /** Legal holds in force. */
  readonly holds: () => Promise<readonly LegalHold[]>;
  /** Forgets the behaviour of subjects. */
  readonly forget: (isForgotten: (subject: string) => boolean) => Promise<void>;
  readonly questions: Pick<RecordQuestions, 'catchUp' | 'index'>;
  readonly record: Recorder;
  readonly recordedEntry: RecordedEntry;
  readonly by: string;
}

/**
 * `POST /v1/record/erasures`, `POST /v1/record/openings`, `POST /v1/record/pseudonyms`: who is behind the record's
 * pseudonyms, and that nobody will know any more. INVARIANT: what is told or destroyed is in the record first.
 */
export function privacyRoutes(options: PrivacyRoutesOptions): FastifyPluginAsync {
  const { recordKeys, record, by } = options;
  return async (app) => {
    app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
      const isMalformed = error instanceof z.ZodError || error instanceof ModelError;
      const status = isMalformed ? 400 : (error.statusCode ?? 500);
      const detail = error instanceof z.ZodError ? z.prettifyError(error) : error.message;
      return reply
        .code(status)
        .type('application/problem+json')
        .send({ title: 'not done', status, detail: detail.slice(0, 1000) });
    });

    app.post('/v1/record/erasures', { bodyLimit: BODY_BYTES_MAX }, async (request) => {
      const { persons: asked, reason } = personsShape.parse(request.body);
      const persons = personsOf(asked, options.personalKinds());
      await requireUnheld(persons, options);
      // Before the order is recorded, which names them.
      const strangers = await unseenPersons(persons, options);
      const unseen = asked.filter((_, at) => strangers.includes(persons[at] as Person));
      const pseudonyms = persons.flatMap((person) => recordKeys.pseudonymsOf(person));
      await record({
        kind: 'administration',
        action: 'erasure-ordered',
        by,
        detail: { pseudonyms, reason },
      });
      const erasure = await recordKeys.erase(persons);
      await options.forget(subjectsOf(persons, recordKeys));
      const { origin, seq } = await record({
        kind: 'administration',
        action: 'person-erased',
        by,
        detail: { pseudonyms: [...erasure.pseudonyms], keys: erasure.keys, reason },
      });
      const pending = await untilDropped(erasure.version, options);
      const { keys, isForgotten } = erasure;
      return { pseudonyms, keys, unseen, pending, isForgotten, recorded: { origin, seq } };
    });

    app.post('/v1/record/openings', { bodyLimit: BODY_BYTES_MAX }, async (request) => {
      const { entries, reason } = openingsShape.parse(request.body);
      const events: Event[] = [];
      for (const entry of entries)
        events.push(await inPlace(Buffer.from(entry, 'base64'), options));
      const openings = events.map((event) => openingsIn(event, recordKeys.open));
      await record({
        kind: 'administration',
        action: 'record-resolved',
        by,
        detail: {
          events: events.map(({ id, origin, seq }) => ({ id, origin, seq })),
          reason,
        },
      });
      const base64 = (opening: Uint8Array): string => Buffer.from(opening).toString('base64');
      return { openings: openings.map((each) => each.map(base64)) };
    });

    app.post('/v1/record/pseudonyms', { bodyLimit: BODY_BYTES_MAX }, async (request) => {
      const { persons: asked, reason } = personsShape.parse(request.body);
      const persons = personsOf(asked, options.personalKinds());
      const pseudonyms = persons.map((person) => recordKeys.pseudonymsOf(person));
      await record({
        kind: 'administration',
        action: 'pseudonyms-told',
        by,
        detail: { pseudonyms: pseudonyms.map(([newest = '']) => newest), reason },
      });
      return {
        persons: asked.map((person, at) => ({ person, pseudonyms: pseudonyms[at] ?? [] })),
      };
    });
  };
}

/** @throws when a legal hold keeps what they would be erased from */
async function requireUnheld(
  persons: readonly Person[],
  { recordKeys, personalKinds, holds }: PrivacyRoutesOptions,
): Promise<void> {
  const hold = holdOnPersons(await holds(), {
    ...{ persons, kinds: personalKinds(), trees: recordKeys.trees() },
    pseudonymsOf: recordKeys.pseudonymsOf,
  });
  if (hold === undefined) return;
  throw Object.assign(
    new Error(
      `found ${hold.id} in force on events of theirs (${hold.reason}), expected none; lift it first, or erase them when it is lifted`,
    ),
    { statusCode: 409 },
  );
}

/** Whether a subject's SPIFFE ID names one of these persons, some of whom may be named by pseudonym. */
function subjectsOf(
  persons: readonly Person[],
  { pseudonymsOf }: Pick<RecordKeyStore, 'pseudonymsOf'>,
): (subject: string) => boolean {
  const names = new Set(persons.map(({ name }) => name));
  const isByPseudonym = persons.some((person) => pseudonymsOf(person).includes(person.name));
  return (subject) => {
    const found = personOfSubject(subject)?.person;
    if (found === undefined) return false;
    if (persons.some(({ kind, name }) => kind === found.kind && name === found.name)) return true;
    return isByPseudonym && pseudonymsOf(found).some((name) => names.has(name));
  };
}

/** The event of an entry that stands in the record just as it came: what is told of the reading must be what was opened. */
async function inPlace(
  entry: Uint8Array,
  { recordedEntry }: Pick<PrivacyRoutesOptions, 'recordedEntry'>,
): Promise<Event> {
  const event = decodeEvent(entry);
  const found = await recordedEntry(event);
  const isSame = found && Buffer.compare(encodeEvent(decodeEvent(found)), encodeEvent(event)) === 0;
  if (isSame) return event;
  const { origin, seq } = event;
  const why = found ? 'another one stands there' : 'it was not collected yet, or never';
  throw Object.assign(
    new Error(
      `could not open event '${event.id}': found no such entry ${seq} of '${origin}': ${why}`,
    ),
    { statusCode: 404 },
  );
}

function personsOf(texts: readonly string[], kinds: readonly string[]): readonly Person[] {
  return texts.map((text) => {
    const person = parsePerson(text, kinds);
    if (person) return person;
    const expected = ['human/<name>', 'customer/<name>', ...kinds.map((kind) => `${kind}::<id>`)];
    throw Object.assign(
      new Error(`found '${text.slice(0, 200)}', expected one of ${expected.join(', ')}`),
      { statusCode: 400 },
    );
  });
}

/** The points that hold an older version after a while, or are away. */
async function untilDropped(
  version: number,
  { points, keyVersions }: PrivacyRoutesOptions,
): Promise<readonly string[]> {
  const endMs = performance.now() + POINTS_MS_MAX;
  for (;;) {
    const pending = points().filter((name) => (keyVersions.get(name) ?? 0) < version);
    if (pending.length === 0 || performance.now() > endMs) return pending;
    await sleep(LOOK_EVERY_MS);
  }
}
