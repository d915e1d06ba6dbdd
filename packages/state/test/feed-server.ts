import { generateKeyPairSync } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { Fact } from '@countersign/model';
import {
  type BundleStore,
  type Database,
  FACTS_TYPE,
  type FactLog,
  type FactMessage,
  type FeedOptions,
  feedRoutes,
  localSigner,
  openBundleStore,
  openDatabase,
  openFactLog,
  type StatementSigner,
  verifyStatement,
} from '@countersign/state';
import { type FastifyInstance, fastify } from 'fastify';

export const trustDomain = 'bank.example';

/** An authority that serves nothing but its feed, over plain HTTP on loopback. */
export interface FeedServer {
  readonly database: Database;
  readonly factLog: FactLog;
  readonly bundles: BundleStore;
  /** Messages signed so far. */
  readonly signed: FactMessage[];
  origin: string;
  listen(): Promise<void>;
  stop(): Promise<void>;
  /** The message of a line, its signature verified. */
  read(line: string): FactMessage | { kind: 'policy'; jws: string };
  connections(): Promise<number>;
}

export async function feedServer(options: Partial<FeedOptions> = {}): Promise<FeedServer> {
  const database = openDatabase({ file: ':memory:' });
  const factLog = await openFactLog(database, { trustDomain, now: Date.now });
  const bundles = await openBundleStore(database);
  const key = localSigner(generateKeyPairSync('ed25519').privateKey, 'facts-1');
  const signed: FactMessage[] = [];
  const factSigner: StatementSigner = {
    ...key,
    sign(message) {
      const [, payload = ''] = Buffer.from(message).toString().split('.');
      signed.push(JSON.parse(Buffer.from(payload, 'base64url').toString()));
      return key.sign(message);
    },
  };
  let app: FastifyInstance | undefined;
  let port = 0;
  const server: FeedServer = {
    database,
    factLog,
    bundles,
    signed,
    origin: '',
    async listen() {
      app = fastify();
      await app.register(
        feedRoutes({
          factLog,
          bundles,
          factSigner,
          authorize: () => true,
          beatMilliseconds: 50,
          ...options,
        }),
      );
      await app.listen({ host: '127.0.0.1', port });
      port = (app.server.address() as AddressInfo).port;
      server.origin = `http://127.0.0.1:${port}`;
    },
    async stop() {
      await app?.close();
    },
    read(line) {
      const parsed = JSON.parse(line);
      if (parsed.policy !== undefined) return { kind: 'policy', jws: parsed.policy };
      return verifyStatement(parsed.facts, {
        type: FACTS_TYPE,
        keys: [key.publicJwk],
      }) as FactMessage;
    },
    connections: () =>
      new Promise((resolve, reject) => {
        app?.server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
      }),
  };
  return server;
}

export function entity(id: string, value = 0): Fact {
  return { kind: 'entity', uid: { type: 'A', id }, attributes: { value }, parents: [] };
}
