import { randomFillSync } from 'node:crypto';
import { EVIDENCE_CLASS, type Event, type SealedPart } from '@countersign/model';
import { AuditError } from '../audit-error.ts';
import {
  type Person,
  type Pseudonym,
  personOfResource,
  personOfSubject,
  pseudonymOf,
  renamedInText,
} from './person.ts';
import { handlingOf } from './personal-fields.ts';
import { keyPeriodOf, type OpenRecordKeys, treeName } from './record-keys.ts';
import { placeOf, SEALED } from './sealed-fields.ts';
import { sealText } from './sealed-part.ts';

/** What a writer of events seals with. */
export interface SealerOptions {
  /** The writer: a point's name, or `authority`. */
  readonly holder: string;
  /** The keys in force, or nothing as long as the authority gave none: then what names a person cannot be written. */
  readonly keys: () => OpenRecordKeys | undefined;
  /** Whether a resource type (`Accounts::Account`) is one whose ids name persons. */
  readonly isPersonal: (resourceType: string) => boolean;
}

/**
 * Puts a pseudonym for each person whom the event names, and encrypts what else is personal in it.
 *
 * @throws {AuditError} `ERR_AUDIT_RECORD_KEYS` when there is no key for it: it must not be written then
 */
export type Sealer = (event: Event) => Event;

const NAMES_MAX = 20_000;
/** Persons of a part, by the contract of events. */
const PERSONS_MAX = 16;

/**
 * Makes a {@link Sealer}. An event that names no person stays as it is.
 *
 * What names whoever asks is sealed under their keys, what names whose the resource is under theirs, and what tells of
 * both under the keys of both: to erase a person, one key is destroyed. The writer remembers pseudonyms of the persons
 * seen last.
 */
export function createSealer({ holder, keys, isPersonal }: SealerOptions): Sealer {
  const names = new Map<string, Pseudonym>();
  let namesOf: OpenRecordKeys | undefined;
  const salts = new Salts();

  return (event) => {
    const draft = new Draft(event, isPersonal);
    if (draft.persons.length === 0) return event;
    const open = keys();
    const year = String(new Date(event.at).getUTCFullYear());
    const secret = open?.pseudonymSecret(year);
    const period = keyPeriodOf(event.at);
    // One that says no class counts as `evidence`, as it does when its time is reckoned.
    const retention = event.retention ?? EVIDENCE_CLASS;
    const key = treeName({ holder, period, retention });
    if (open === undefined || secret === undefined) throw missing(`pseudonyms of ${year}`, open);
    if (!open.has(key)) throw missing(key, open);
    if (namesOf !== open || names.size > NAMES_MAX) {
      names.clear();
      namesOf = open;
    }
    const nameOf = (person: Person): Pseudonym => {
      const at = `${year}\0${person.kind}\0${person.name}`;
      let name = names.get(at);
      if (name === undefined) {
        name = pseudonymOf(person, { year, secret });
        names.set(at, name);
      }
      return name;
    };
    const sealed = draft.parts(nameOf).map(({ persons, fields }): SealedPart => {
      const bound = persons.map((name) => {
        const generation = open.generationOf(name);
        const personKey = open.keyOf(key, name, generation);
        if (personKey === undefined) throw missing(`${name} in ${key}`, open);
        return { name: generation > 0 ? `${name}~${generation}` : name, personKey };
      });
      const part = { key, persons: bound.map(({ name }) => name) };
      const data = sealText(JSON.stringify(fields), {
        keys: bound.map(({ personKey }) => personKey),
        salt: salts.next(),
        place: placeOf(event, part),
      });
      return { ...part, data: data.toString('base64url') };
    });
    return { ...draft.cleared(nameOf), sealed } as Event;
  };
}

type Fields = Record<string, unknown>;

/** An event taken apart: what stays, and what is sealed under whose keys. */
class Draft {
  readonly persons: readonly Person[];
  readonly #event: Event;
  readonly #isPersonal: (resourceType: string) => boolean;
  readonly #asking: Person[] = [];
  readonly #owning: Person[] = [];
  /** Named in what is told of the event, and nowhere else in it. */
  readonly #told: Person[] = [];

  constructor(event: Event, isPersonal: (resourceType: string) => boolean) {
    this.#event = event;
    this.#isPersonal = isPersonal;
    for (const [field, value] of Object.entries(event)) {
      const handling = value === undefined ? 'clear' : handlingOf(event.kind, field);
      if (handling === 'name') {
        for (const id of listOf(value))
          addPerson(this.#asking, personOfSubject(id as string)?.person);
      } else if (handling === 'resource') {
        for (const uid of listOf(value)) addPerson(this.#owning, this.#personOf(uid as Uid));
      } else if (handling === 'request' || handling === 'text') {
        for (const person of personsIn(value)) addPerson(this.#told, person);
      }
    }
    this.persons = [...this.#asking, ...this.#owning, ...this.#told].slice(0, PERSONS_MAX);
  }

  /** What to seal, at most three parts. */
  parts(nameOf: (person: Person) => Pseudonym): { persons: Pseudonym[]; fields: Fields }[] {
    const asking = this.#asking.map(nameOf);
    const owning = this.#owning.map(nameOf);
    const parts = new Map<string, { persons: Pseudonym[]; fields: Fields }>();
    const put = (persons: Pseudonym[], field: string, value: unknown): void => {
      const at = persons.join(' ');
      const part = parts.get(at) ?? { persons, fields: {} };
      part.fields[field] = value;
      parts.set(at, part);
    };
    const all = [...new Set(this.persons.map(nameOf))];
    for (const [field, value] of Object.entries(this.#event)) {
      if (value === undefined) continue;
      const handling = handlingOf(this.#event.kind, field);
      if (handling === 'request') put(all, field, value);
      else if (handling === 'own' && asking.length > 0) put(asking, field, value);
      else if (handling === 'name' && this.#changes(field, value)) put(asking, field, value);
      else if (handling === 'resource' && this.#changes(field, value)) put(owning, field, value);
    }
    return [...parts.values()];
  }

  /** The event without what is sealed, pseudonyms in the place of names. */
  cleared(nameOf: (person: Person) => Pseudonym): Fields {
    const fields: Fields = {};
    for (const [field, value] of Object.entries(this.#event)) {
      if (value === undefined) continue;
      const handling = handlingOf(this.#event.kind, field);
      if (handling === 'clear') fields[field] = value;
      else if (handling === 'name')
        fields[field] = mapped(value, (id) => renamed(id as string, nameOf));
      else if (handling === 'resource') {
        fields[field] = mapped(value, (uid) => {
          const person = this.#personOf(uid as Uid);
          return person ? { ...(uid as Uid), id: nameOf(person) } : uid;
        });
      } else if (handling === 'own' && this.#asking.length === 0) fields[field] = value;
      else if (handling === 'text') {
        fields[field] = typeof value === 'string' ? renamedInText(value, nameOf) : value;
      } else if (field === 'reason') fields[field] = SEALED;
    }
    return fields;
  }

  #changes(field: string, value: unknown): boolean {
    return listOf(value).some((each) =>
      handlingOf(this.#event.kind, field) === 'name'
        ? personOfSubject(each as string) !== undefined
        : this.#personOf(each as Uid) !== undefined,
    );
  }

  #personOf({ type, id }: Uid): Person | undefined {
    return this.#isPersonal(type) && id !== '' ? personOfResource(type, id) : undefined;
  }
}

interface Uid {
  readonly type: string;
  readonly id: string;
}

/** The persons whom the texts in a value name. */
function personsIn(value: unknown): readonly Person[] {
  const found: Person[] = [];
  const look = (text: string): void => {
    renamedInText(text, (person) => {
      found.push(person);
      return '';
    });
  };
  if (typeof value === 'string') look(value);
  else if (typeof value === 'object' && value !== null) {
    for (const each of Object.values(value)) found.push(...personsIn(each));
  }
  return found;
}

function renamed(id: string, nameOf: (person: Person) => Pseudonym): string {
  const found = personOfSubject(id);
  return found ? `${found.prefix}${nameOf(found.person)}` : id;
}

function addPerson(to: Person[], person: Person | undefined): void {
  if (person === undefined) return;
  if (!to.some(({ kind, name }) => kind === person.kind && name === person.name)) to.push(person);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

function mapped(value: unknown, change: (each: unknown) => unknown): unknown {
  return Array.isArray(value) ? value.map(change) : change(value);
}

function missing(what: string, keys: OpenRecordKeys | undefined): AuditError {
  const has = keys === undefined ? 'none yet' : `version ${keys.version} of them`;
  return new AuditError(
    'ERR_AUDIT_RECORD_KEYS',
    `could not seal event: found no key for ${what} (${has} came from the authority)`,
  );
}

/** Random salts, drawn many at a time. */
class Salts {
  readonly #pool = Buffer.alloc(16 * 256);
  #at = this.#pool.length;

  next(): Uint8Array {
    if (this.#at === this.#pool.length) {
      randomFillSync(this.#pool);
      this.#at = 0;
    }
    const salt = Buffer.from(this.#pool.subarray(this.#at, this.#at + 16));
    this.#at += 16;
    return salt;
  }
}
