import { isDeepStrictEqual } from 'node:util';
import {
  type ClientRegistration,
  type EntityUid,
  type Fact,
  factKey,
  type JoinRule,
  parseFact,
  type Registration,
} from '@countersign/model';
import type { Database, FactEdit, FactLog, Transaction } from '@countersign/state';
import { checkPoints, checkRegistrations } from './check-registrations.ts';
import type { IdentityTables } from './tables.ts';
import { type WebClient, webClientOf } from './web-clients.ts';

/** An entity that policies ask about and that is no subject. */
export interface RegisteredEntity {
  readonly uid: EntityUid;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly parents: readonly EntityUid[];
}

/** An enforcement point as the bank's repository names it. */
export interface PointRegistration {
  readonly name: string;
  /** The surfaces that it may mint transaction tokens for. */
  readonly surfaces: readonly string[];
  /** By what it may join without a join token; kept in memory only: whoever opens the room registers points anew. */
  readonly joins?: readonly JoinRule[];
  /** The web applications before which it stands; in memory only, as its joins are. */
  readonly web?: readonly WebClient[];
}

/** An enforcement point, and what it registered itself. */
export interface Point extends PointRegistration {
  readonly spiffeId: string;
  /** The C2SP verifier key of its log, from its first enrolment on. */
  readonly logVerifierKey?: string;
}

/** How many subjects and entities an application of the repository changed. */
export interface Applied {
  readonly puts: number;
  readonly removes: number;
  /** The fact sequence after it. */
  readonly sequence: number;
}

/** By which other processes hear that rows of it changed. */
const TOPIC = 'identity/registry';

/** Who is registered: in memory, behind the facts and rows that say the same. */
export class Registry {
  readonly #database: Database;
  readonly #factLog: FactLog;
  readonly #trustDomain: string;
  /** Whose facts the devices' part makes. */
  #isDevice: (id: string) => boolean = () => false;
  /** Whose facts the directory makes. */
  #isPerson: (id: string) => boolean = () => false;
  #registrations: ReadonlyMap<string, Registration> = new Map();
  #clients: ReadonlyMap<string, ClientOf> = new Map();
  /** Of points; their ids are URLs, which those of registrations are not. */
  #webClients: ReadonlyMap<string, ClientOf> = new Map();
  #points: ReadonlyMap<string, Point> = new Map();
  /** By point, where another process registers them. */
  #notedWeb: ReadonlyMap<string, readonly WebClient[]> | undefined;

  constructor(database: Database, factLog: FactLog) {
    this.#database = database;
    this.#factLog = factLog;
    this.#trustDomain = factLog.trustDomain;
  }

  /** Leaves facts of these subjects alone: they are enrolled, and stand in no file. */
  leaveDevices(isDevice: (id: string) => boolean): void {
    this.#isDevice = isDevice;
  }

  /** Leaves facts of these subjects alone: they are the directory's. */
  leaveTo(isPerson: (id: string) => boolean): void {
    this.#isPerson = isPerson;
  }

  /** Reads what was applied before, follows what other processes apply, and registers the authority's own subject. */
  async load(onChange: () => void): Promise<void> {
    await this.#database.follow(TOPIC, async (transaction) => {
      await this.#read(transaction);
      onChange();
    });
    const own = subjectFactOf(ownRegistration(this.authorityId));
    if (this.#factLog.get(factKey(own)) === undefined) await this.#factLog.append({ puts: [own] });
  }

  async #read(transaction: Transaction): Promise<void> {
    const tables = transaction.tables<IdentityTables>();
    const registrations = await tables.selectFrom('registration').select('body').execute();
    const points = await tables.selectFrom('point').selectAll().execute();
    this.#setRegistrations(registrations.map(({ body }) => JSON.parse(body) as Registration));
    this.#setPoints(
      points.map(({ name, surfaces, log_verifier_key }) => {
        // Known to this process only.
        const { joins, web: known } = this.#points.get(this.pointId(name)) ?? {};
        const web = this.#notedWeb?.get(name) ?? known;
        return {
          ...{ name, surfaces: JSON.parse(surfaces) as string[] },
          ...(joins && { joins }),
          ...(web && { web }),
          ...(log_verifier_key !== null && { logVerifierKey: log_verifier_key }),
        };
      }),
    );
  }

  /** To be said by whoever writes its rows. */
  static touch(transaction: Transaction): Promise<void> {
    return transaction.touch(TOPIC);
  }

  /** The SPIFFE ID of the authority itself. */
  get authorityId(): string {
    return this.pointId('authority');
  }

  pointId(name: string): string {
    return `spiffe://${this.#trustDomain}/workload/countersign/${name}`;
  }

  /** The subject's fact, when it is registered: what enforcement points see of it. */
  subject(id: string): Extract<Fact, { kind: 'subject' }> | undefined {
    const fact = this.#factLog.get(`subject ${id}`);
    return fact?.kind === 'subject' ? fact : undefined;
  }

  /** What the bank registered of a subject; nothing of points and of the authority itself. */
  registration(id: string): Registration | undefined {
    return this.#registrations.get(id);
  }

  registrations(): readonly Registration[] {
    return [...this.#registrations.values()];
  }

  /** Whether some client may ask for it. */
  isScope(scope: string): boolean {
    return [...this.#clients.values(), ...this.#webClients.values()].some(({ client }) =>
      client.scopes.includes(scope),
    );
  }

  client(id: string): ClientOf | undefined {
    return this.#clients.get(id) ?? this.#webClients.get(id);
  }

  /** Every subject: the bank's, the points, the authority. */
  subjects(): readonly Extract<Fact, { kind: 'subject' }>[] {
    return this.#factLog.all().filter((fact) => fact.kind === 'subject');
  }

  point(spiffeId: string): Point | undefined {
    return this.#points.get(spiffeId);
  }

  /** Who may join by what, beside join tokens. */
  *joins(): Generator<{ readonly spiffeId: string; readonly joins: readonly JoinRule[] }> {
    for (const { subject, joins } of this.#registrations.values()) {
      if (joins) yield { spiffeId: subject.id, joins };
    }
    for (const { spiffeId, joins } of this.#points.values()) if (joins) yield { spiffeId, joins };
  }

  points(): readonly Point[] {
    return [...this.#points.values()];
  }

  /** Makes the bank's subjects and entities these, and no others; `more` is committed with them. */
  async apply(
    registrations: readonly Registration[],
    entities: readonly RegisteredEntity[],
    more: { readonly puts: readonly Fact[]; also(transaction: Transaction): Promise<void> },
  ): Promise<Applied> {
    checkRegistrations(registrations, this.#trustDomain, this.#isDevice);
    const edit = this.#difference(
      [...registrations.map(subjectFactOf), ...entities.map(entityFactOf)],
      (fact) =>
        fact.kind === 'entity' ||
        (fact.kind === 'subject' &&
          !this.#isOwn(fact.id) &&
          !this.#isPerson(fact.id) &&
          !this.#isDevice(fact.id)),
    );
    const rows = registrations.map((registration) => ({
      id: registration.subject.id,
      body: JSON.stringify(registration),
    }));
    const whole = { ...edit, puts: [...edit.puts, ...more.puts] };
    await this.#commit(whole, async (transaction) => {
      await more.also(transaction);
      const tables = transaction.tables<IdentityTables>();
      await tables.deleteFrom('registration').execute();
      for (const row of rows) await tables.insertInto('registration').values(row).execute();
    });
    this.#setRegistrations(registrations);
    return this.#applied(edit);
  }

  /** Makes the enforcement points these, and no others; what a point registered itself stays. */
  async registerPoints(points: readonly PointRegistration[]): Promise<Applied> {
    checkPoints(points);
    const ids = new Set(points.map(({ name }) => this.pointId(name)));
    const surfacesOf = new Map(points.map(({ name, surfaces }) => [this.pointId(name), surfaces]));
    const keys = this.#factLog.all().flatMap((fact) => {
      const surfaces = fact.kind === 'transaction-key' && surfacesOf.get(fact.holder);
      return surfaces ? [{ ...fact, surfaces: [...surfaces] }] : [];
    });
    const edit = this.#difference(
      [...[...ids].map((id) => subjectFactOf(ownRegistration(id))), ...keys],
      (fact) =>
        fact.kind === 'transaction-key' ||
        (fact.kind === 'subject' && this.#isOwn(fact.id) && fact.id !== this.authorityId),
    );
    const next = points.map(({ name, surfaces, joins, web }) => {
      const logVerifierKey = this.#points.get(this.pointId(name))?.logVerifierKey;
      return {
        ...{ name, surfaces },
        ...(joins && { joins }),
        ...(web && { web }),
        ...(logVerifierKey !== undefined && { logVerifierKey }),
      };
    });
    await this.#commit(edit, async (transaction) => {
      const tables = transaction.tables<IdentityTables>();
      await tables.deleteFrom('point').execute();
      for (const { name, surfaces, logVerifierKey } of next) {
        const row = { name, surfaces: JSON.stringify(surfaces) };
        await tables
          .insertInto('point')
          .values({ ...row, log_verifier_key: logVerifierKey ?? null })
          .execute();
      }
    });
    this.#setPoints(next);
    return this.#applied(edit);
  }

  /** Takes web applications of points that another process registered: no row says which they are. */
  noteWebClients(points: readonly Pick<PointRegistration, 'name' | 'web'>[]): void {
    this.#notedWeb = new Map(points.map(({ name, web = [] }) => [name, web]));
    this.#setPoints(
      this.points().map(({ spiffeId: _, ...point }) => ({
        ...point,
        web: this.#notedWeb?.get(point.name) ?? [],
      })),
    );
  }

  /** After the row was written. */
  noteLogVerifierKey(spiffeId: string, logVerifierKey: string): void {
    const point = this.#points.get(spiffeId);
    if (point === undefined) return;
    this.#points = new Map(this.#points).set(spiffeId, { ...point, logVerifierKey });
  }

  /** Facts of subjects whose registration has ended, disabled: points refuse them from then on. */
  expired(nowMs: number): readonly Extract<Fact, { kind: 'subject' }>[] {
    return [...this.#registrations.values()].flatMap(({ subject, expiresMs }) => {
      const fact = this.subject(subject.id);
      const hasEnded = expiresMs !== undefined && expiresMs <= nowMs;
      return hasEnded && fact?.enabled ? [{ ...fact, enabled: false }] : [];
    });
  }

  #isOwn(id: string): boolean {
    return id.startsWith(this.pointId(''));
  }

  /** What to put and remove so that of the facts that `isOurs` picks exactly `wanted` are left. */
  #difference(wanted: readonly Fact[], isOurs: (fact: Fact) => boolean): Required<FactEdit> {
    const puts = wanted
      .map((fact) => parseFact(fact))
      .filter((fact) => !isDeepStrictEqual(this.#factLog.get(factKey(fact)), fact));
    const keys = new Set(wanted.map(factKey));
    const removes = this.#factLog
      .all()
      .filter(isOurs)
      .map(factKey)
      .filter((key) => !keys.has(key));
    return { puts, removes };
  }

  async #commit(
    edit: Required<FactEdit>,
    rows: (transaction: Transaction) => Promise<void>,
  ): Promise<void> {
    const also = async (transaction: Transaction) => {
      await rows(transaction);
      await Registry.touch(transaction);
    };
    if (edit.puts.length + edit.removes.length === 0) await this.#database.transaction(also);
    else await this.#factLog.append(edit, { also });
  }

  #applied({ puts, removes }: Required<FactEdit>): Applied {
    return { puts: puts.length, removes: removes.length, sequence: this.#factLog.sequence };
  }

  #setRegistrations(registrations: readonly Registration[]): void {
    this.#registrations = new Map(registrations.map((each) => [each.subject.id, each]));
    this.#clients = new Map(
      [...this.#registrations.values()].flatMap((registration) =>
        registration.client
          ? [[registration.client.id, { registration, client: registration.client }]]
          : [],
      ),
    );
  }

  #setPoints(points: readonly (PointRegistration & { readonly logVerifierKey?: string })[]): void {
    this.#points = new Map(
      points.map((point) => {
        const spiffeId = this.pointId(point.name);
        return [spiffeId, { ...point, spiffeId }];
      }),
    );
    this.#webClients = new Map(
      points.flatMap(({ name, web = [] }) =>
        web.map((client) => [client.id, webClientOf(client, ownRegistration(this.pointId(name)))]),
      ),
    );
  }
}

/** An OAuth client and the subject that it is. */
export interface ClientOf {
  readonly client: ClientRegistration;
  readonly registration: Registration;
  /** The SPIFFE ID in the SVIDs that it shows, where that is not its client id. */
  readonly shows?: string;
}

function ownRegistration(id: string): Registration {
  return {
    subject: { kind: 'workload', id },
    owner: 'countersign',
    enabled: true,
    attributes: {},
    parents: [],
    certificates: [],
  };
}

function subjectFactOf(registration: Registration): Fact {
  const { subject, enabled, owner, attributes, parents, certificates, spiffeIds } = registration;
  return plain({
    kind: 'subject',
    id: subject.id,
    enabled,
    owner,
    attributes,
    parents,
    certificates,
    spiffeIds,
  });
}

function entityFactOf({ uid, attributes, parents }: RegisteredEntity): Fact {
  return plain({ kind: 'entity', uid, attributes, parents });
}

/** As JSON will say it: without undefined members, so that it compares with what was kept. */
function plain(fact: object): Fact {
  return parseFact(JSON.parse(JSON.stringify(fact)));
}
