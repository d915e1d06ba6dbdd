import { generateKeyPairSync } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import {
  openSignals,
  type PollSource,
  type PostToken,
  type PushSource,
  type SignalReceiver,
  type SignalSource,
  type Signals,
  signalActions,
  signalSigner,
} from '@countersign/identity';
import { type Event, encodeEvent, type Signal } from '@countersign/model';
import { serverTlsOptions } from '@countersign/spiffe';
import { freePort } from '@countersign/test-support/free-port';
import { fastify } from 'fastify';
import { Agent, request } from 'undici';
import {
  id,
  newKey,
  partner,
  pemOf,
  post,
  registration,
  startAuthority,
  type TestAuthority,
} from './authority.ts';

export const signalKey = generateKeyPairSync('rsa', { modulusLength: 2048 });
export const signer = signalSigner(signalKey.privateKey);

/** What a test writes into the authority's log: entries are durable at once. */
export interface TestLog extends SignalSource {
  write(event: Record<string, unknown>): Event;
}

export function testLog(origin = 'bank.example/authority'): TestLog {
  const entries: Uint8Array[] = [];
  const listeners = new Set<() => void>();
  return {
    shards: () => [
      {
        origin,
        size: entries.length,
        read: async (index, { count }) => ({ entries: entries.slice(index, index + count) }),
      },
    ],
    onCommit(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    write(event) {
      const whole = { v: 1, at: Date.now(), origin, seq: entries.length, ...event } as Event;
      entries.push(encodeEvent({ ...whole, id: `event-${entries.length}` }));
      for (const listener of listeners) listener();
      return { ...whole, id: `event-${entries.length - 1}` };
    },
  };
}

/** Opens signals over an authority, and serves them; as often as a test wants to start them again. */
export async function serveSignals(
  authority: TestAuthority,
  options: {
    readonly log?: TestLog;
    readonly receivers?: readonly SignalReceiver[];
    readonly pushSources?: readonly PushSource[];
    readonly pollSources?: (issuer: string) => readonly PollSource[];
    readonly post?: PostToken;
    readonly port?: number;
    readonly responded?: Signal[];
  } = {},
): Promise<{
  readonly signals: Signals;
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}> {
  const port = options.port ?? (await freePort());
  const url = `https://localhost:${port}`;
  const { identity, database, factLog } = authority;
  const signals = await openSignals({
    ...{ database, signer, issuer: url, now: authority.now, warn: () => undefined },
    source: options.log ?? testLog(),
    reveal: (event) => event,
    receivers: () => options.receivers ?? [],
    authorize: ({ headers: { authorization }, raw }, scope) => {
      const certificate = (raw.socket as TLSSocket).getPeerCertificate?.()?.raw;
      return identity.bearer({ authorization, certificate }, { audience: url, scope });
    },
    post: options.post ?? (() => Promise.reject(new Error('nobody is there'))),
    actions: signalActions({
      ...{ database, factLog, identity },
      respond: async (signal) => void options.responded?.push(signal),
    }),
    pushSources: options.pushSources ?? [],
    pollSources: options.pollSources?.(url) ?? [],
    record: async (event) => void authority.events.push(event),
  });
  const own = newKey();
  const svid = await identity.issueOwnSvid(own.publicKey, { dnsNames: ['localhost'] });
  const app = fastify({
    https: {
      ...serverTlsOptions({
        svid: () => ({ chain: svid.chain, keyPem: pemOf(own.privateKey) }),
        clientCertificates: 'request',
      }),
    },
    forceCloseConnections: true,
  });
  await app.register(signals.routes);
  await app.listen({ host: '127.0.0.1', port });
  return {
    signals,
    url,
    port,
    async close() {
      await app.close();
      await signals.close();
    },
  };
}

/** A receiver that the bank registered: an OAuth client with a certificate, and its calls. */
export async function newReceiver(
  authority: TestAuthority,
  {
    name,
    url,
    scopes = ['ssf.read', 'ssf.manage'],
  }: { name: string; url: string; scopes?: string[] },
) {
  const { tls, thumbprint } = await partner(name);
  const entry = registration(`partner/${name}`, {
    certificates: [thumbprint],
    client: { audiences: [url], scopes },
  });
  const token = async (scope = scopes.join(' ')): Promise<string> => {
    const answer = await post(authority, `${authority.issuerUrl}/token`, {
      client: tls,
      form: {
        grant_type: 'client_credentials',
        client_id: `partner-${name}`,
        scope,
        resource: url,
      },
    });
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
    return answer.body.access_token;
  };
  const call = async (
    method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE',
    path: string,
    body?: unknown,
    options: { readonly token?: string; readonly client?: typeof tls } = {},
    // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it, it says itself
  ): Promise<{ status: number; body: any; headers: Record<string, unknown> }> => {
    const client = options.client ?? tls;
    const agent = new Agent({
      connect: { ca: authority.authorityPem, cert: client.certPem, key: client.keyPem },
    });
    try {
      const answer = await request(`${url}${path}`, {
        dispatcher: agent,
        method,
        headers: {
          authorization: `Bearer ${options.token ?? (await token())}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await answer.body.text();
      return {
        status: answer.statusCode,
        headers: answer.headers,
        body: text === '' ? undefined : JSON.parse(text),
      };
    } finally {
      await agent.destroy();
    }
  };
  return { entry, client: `partner-${name}`, subject: id(`partner/${name}`), tls, token, call };
}

export { startAuthority };
