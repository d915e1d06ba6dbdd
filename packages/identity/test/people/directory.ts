import { createHash } from 'node:crypto';
import {
  DEFAULT_PEOPLE,
  type Identity,
  type NewEvent,
  openIdentity,
  type PeopleConfig,
  type ScimClient,
  scimRoutes,
} from '@countersign/identity';
import { type Database, type FactLog, openFactLog } from '@countersign/state';
import { type FastifyInstance, fastify, type LightMyRequestResponse } from 'fastify';
import { keyring, trustDomain } from '../authority.ts';
import { emptyDatabase } from '../empty-database.ts';

export const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
export const PATCH_OP = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';
export const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
export const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group';

/** A config that maps what tests look at. */
export const MAPPED: PeopleConfig = {
  ...DEFAULT_PEOPLE,
  attributes: { department: 'department', manager: 'manager' },
  groups: [
    { source: 'scim:entra', displayName: 'Clerks', parent: { type: 'Group', id: 'clerks' } },
    { source: 'scim:entra', displayName: 'Heads', parent: { type: 'Role', id: 'head' } },
  ],
};

/** Two clients, each with a token; and one with an SVID. */
const token = (name: string) => `token-of-${name}-0123456789`;
const hash = (text: string) => createHash('sha256').update(text).digest('base64url');

/** A directory in memory behind a SCIM server, with a clock that moves. */
export interface TestDirectory {
  readonly identity: Identity;
  readonly database: Database;
  readonly factLog: FactLog;
  readonly events: NewEvent[];
  readonly app: FastifyInstance;
  advance(milliseconds: number): void;
  now(): number;
  failRecording(isFailing: boolean): void;
  /** A request of a client, `entra` if not said. */
  call(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    options?: { client?: string; headers?: Record<string, string>; peer?: string },
  ): Promise<Answer>;
  /** Makes a person and gives its SCIM id. */
  user(userName: string, more?: object, client?: string): Promise<string>;
  group(displayName: string, members?: readonly string[], client?: string): Promise<string>;
  spiffeIdOf(scimId: string): Promise<string>;
  close(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly headers: LightMyRequestResponse['headers'];
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it, it says itself
  readonly body: any;
}

export async function openDirectory(
  options: {
    readonly config?: PeopleConfig;
    readonly database?: Database;
    readonly startMs?: number;
    readonly requestsPerSecond?: number;
  } = {},
): Promise<TestDirectory> {
  const database = options.database ?? (await emptyDatabase());
  let nowMs = options.startMs ?? Date.parse('2026-11-20T09:00:00Z');
  const now = () => nowMs;
  const factLog = await openFactLog(database, { trustDomain, now });
  const events: NewEvent[] = [];
  let isFailing = false;
  const record = async (event: NewEvent) => {
    if (isFailing) throw new Error('the log is gone');
    events.push(event);
  };
  const clients: ScimClient[] = ['entra', 'okta'].map((name) => ({
    name,
    owner: 'iam@bank.example',
    tokens: [
      { sha256: hash(token(name)), notAfterMs: nowMs + 400 * 86_400_000 },
      { sha256: hash(`${token(name)}-old`), notAfterMs: nowMs - 1 },
    ],
    requestsPerSecond: options.requestsPerSecond ?? 100_000,
  }));
  clients.push({
    name: 'svid',
    owner: 'iam@bank.example',
    subject: 'spiffe://bank.example/workload/iam/sync',
    tokens: [],
    requestsPerSecond: 1000,
  });
  const identity = await openIdentity({
    database,
    factLog,
    keyring: await keyring,
    options: {
      svidTtlSeconds: 120,
      accessTokenTtlSeconds: 300,
      issuerUrl: 'https://localhost:7402',
      people: options.config ?? MAPPED,
      scimClients: clients,
    },
    now,
    record,
  });
  // Those of the authorities' keys are not what tests of people look at.
  events.length = 0;
  const app = fastify();
  await app.register(
    scimRoutes({
      users: identity.people.users,
      groups: identity.people.groups,
      clients,
      peer: ({ headers }) => {
        const { 'x-test-peer': peer } = headers;
        return typeof peer === 'string' ? { spiffeId: peer } : undefined;
      },
      origin: 'https://scim.bank.example',
      record,
      now,
    }),
    { prefix: '/scim/v2' },
  );
  const directory: TestDirectory = {
    identity,
    database,
    factLog,
    events,
    app,
    advance: (milliseconds) => {
      nowMs += milliseconds;
    },
    now,
    failRecording: (failing) => {
      isFailing = failing;
    },
    async call(method, path, body, { client = 'entra', headers = {}, peer } = {}) {
      const response = await app.inject({
        method,
        url: `/scim/v2${path}`,
        headers: {
          ...(client !== '' && { authorization: `Bearer ${token(client)}` }),
          ...(peer !== undefined && { 'x-test-peer': peer }),
          ...(body !== undefined && { 'content-type': 'application/scim+json' }),
          ...headers,
        },
        ...(body !== undefined && {
          payload: typeof body === 'string' ? body : JSON.stringify(body),
        }),
      });
      return {
        status: response.statusCode,
        headers: response.headers,
        body: response.body === '' ? undefined : JSON.parse(response.body),
      };
    },
    async user(userName, more = {}, client = 'entra') {
      const answer = await directory.call(
        'POST',
        '/Users',
        { schemas: [USER], userName, externalId: `ext-${userName}`, active: true, ...more },
        { client },
      );
      if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
      return answer.body.id as string;
    },
    async group(displayName, members = [], client = 'entra') {
      const answer = await directory.call(
        'POST',
        '/Groups',
        { schemas: [GROUP], displayName, members: members.map((value) => ({ value })) },
        { client },
      );
      if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
      return answer.body.id as string;
    },
    async spiffeIdOf(scimId) {
      const person = await identity.people.show(scimId);
      if (!person) throw new Error(`no person ${scimId}`);
      return person.spiffeId;
    },
    async close() {
      await app.close();
      await database.close();
    },
  };
  return directory;
}

/** A PATCH of these operations. */
export const patch = (...Operations: object[]) => ({ schemas: [PATCH_OP], Operations });
