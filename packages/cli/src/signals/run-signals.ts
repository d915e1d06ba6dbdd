import { readFile } from 'node:fs/promises';
import type { Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import {
  type ClientTokens,
  clientTokens,
  type Identity,
  linkedPerson,
  namedPerson,
  namedSubject,
  openSignals,
  type PollSource,
  type PushSource,
  type SignalSigner,
  type Signals,
  signalActions,
  transmitterKeys,
} from '@countersign/identity';
import type { Clock, Event, Signal } from '@countersign/model';
import type { SignalsConfig, SignalTransmitterConfig } from '@countersign/policy';
import { renewServerTls, type ServerTls, serverTlsOptions } from '@countersign/spiffe';
import type { Database, FactLog } from '@countersign/state';
import Fastify from 'fastify';
import type { OwnSvid } from '../authority/keys/own-svid.ts';
import { listenError } from '../authority/listen-error.ts';
import type { Recorder } from '../authority/record/own-record.ts';
import { createClosers } from '../closers.ts';
import { endWithCertificate } from '../listener-certificate/end-with-certificate.ts';
import type { ListenerCertificates } from '../listener-certificate/listener-certificates.ts';
import { type Outbound, openOutbound } from './outbound.ts';
import { type SignalSourceOptions, signalSource } from './signal-source.ts';

/** What signals need of the authority. */
export interface RunSignalsOptions extends SignalSourceOptions {
  readonly config: SignalsConfig;
  /** Receivers as last applied. */
  readonly receivers: () => SignalsConfig['receivers'];
  readonly signer: SignalSigner;
  readonly database: Database;
  readonly factLog: FactLog;
  readonly identity: Identity;
  readonly own: OwnSvid;
  readonly certificates: Pick<ListenerCertificates, 'open'>;
  readonly reveal: (event: Event) => Event | undefined;
  readonly respond: (signal: Signal) => Promise<unknown>;
  readonly record: Recorder;
  readonly now: Clock;
  readonly warn: (text: string) => void;
}

/** Signals that are served. */
export type RunningSignals = Omit<Signals, 'routes'>;

/** Opens signals, and serves them on a listener of their own. */
export async function runSignals(options: RunSignalsOptions): Promise<RunningSignals> {
  const { config, identity, now, receivers } = options;
  const closers = createClosers();
  try {
    const outbound = await openOutbounds(config, closers);
    const transmitters = config.transmitters.map((each) => ({
      config: each,
      source: sourceOf(each, { ...options, outbound: outbound.get(`transmitter ${each.name}`) }),
    }));
    const signals = await openSignals({
      ...options,
      issuer: config.url,
      source: signalSource(options),
      receivers,
      authorize: ({ headers: { authorization }, raw }, scope) => {
        const certificate = (raw.socket as TLSSocket).getPeerCertificate()?.raw;
        return identity.bearer({ authorization, certificate }, { audience: config.url, scope });
      },
      post(stream, token, how) {
        const to = outbound.get(`receiver ${stream.clientId}`);
        const { delivery } = stream;
        if (!to || !('url' in delivery)) throw new Error('found no receiver, expected one');
        return to.post(delivery.url, token, how);
      },
      actions: signalActions(options),
      pushSources: transmitters.flatMap(({ config: { pollUrl }, source }) =>
        pollUrl === undefined ? [source] : [],
      ),
      pollSources: transmitters.flatMap(({ config: each, source }): PollSource[] => {
        const { name, pollUrl } = each;
        const to = outbound.get(`transmitter ${name}`);
        const tokens = tokensOf(each, now);
        if (pollUrl === undefined || !tokens || !to) return [];
        return [{ ...source, poll: (body, signal) => poll({ to, pollUrl, tokens }, body, signal) }];
      }),
    });
    closers.add(() => signals.close());
    closers.add(await listen(signals, options));
    return { ...signals, close: closers.closeAll };
  } catch (error) {
    await closers.closeAll();
    throw error;
  }

  async function listen(
    signals: Signals,
    { own, certificates }: Pick<RunSignalsOptions, 'own' | 'certificates'>,
  ): Promise<() => Promise<void>> {
    const { address, certificateFile, keyFile } = config;
    // Receivers elsewhere know nothing of our authority.
    const certificate =
      certificateFile !== undefined && keyFile !== undefined
        ? await certificates.open('authority.signals', { certificateFile, keyFile })
        : undefined;
    const shown = certificate ?? own;
    const tls: ServerTls = { svid: shown.current, clientCertificates: 'request' };
    const app = Fastify({ https: serverTlsOptions(tls), forceCloseConnections: true });
    const server = app.server as unknown as Server;
    shown.onRenewed(() => renewServerTls(server, tls));
    if (certificate) endWithCertificate(server, { now });
    await app.register(signals.routes);
    try {
      await app.listen({ ...address });
    } catch (cause) {
      await app.close();
      throw listenError('authority.signals', { address, cause });
    }
    return () => app.close();
  }

  function sourceOf(
    each: SignalTransmitterConfig,
    { outbound }: { readonly outbound: Outbound | undefined },
  ): PushSource {
    const { name, issuer, audience, may, authorizationHash, jwksUrl, subjects } = each;
    if (!outbound) throw new Error(`broken invariant: ${name} has an outbound`);
    return {
      ...{ name, issuer, audience, may },
      keys: transmitterKeys({ url: jwksUrl, getJson: outbound.getJson, now }),
      ...(authorizationHash !== undefined && { authorizationHash }),
      async subjectOf(identifier) {
        const { scimClient: client, ...names } = subjects;
        // Whoever signed in by the provider is known by its own word for them, whatever the directory calls them.
        const linked = await linkedPerson(identifier, {
          ...names,
          links: identity.login?.providers,
        });
        if (linked !== undefined) {
          const known = identity.subject(linked) ?? (await identity.customers.get(linked));
          return known && linked;
        }
        const id =
          client === undefined
            ? namedSubject(identifier, names)
            : await namedPerson(identifier, { ...names, client, people: identity.people });
        return id !== undefined && identity.subject(id) ? id : undefined;
      },
    };
  }
}

async function openOutbounds(
  { receivers, transmitters }: SignalsConfig,
  closers: ReturnType<typeof createClosers>,
): Promise<ReadonlyMap<string, Outbound>> {
  const all = new Map<string, Outbound>();
  for (const { name, caFile } of [
    ...receivers.map(({ client, caFile }) => ({ name: `receiver ${client}`, caFile })),
    ...transmitters.map(({ name, caFile }) => ({ name: `transmitter ${name}`, caFile })),
  ]) {
    const outbound = await openOutbound({ name, caFile });
    closers.add(() => outbound.close());
    all.set(name, outbound);
  }
  return all;
}

/** What a transmitter that is polled is shown; nothing for one that pushes. */
function tokensOf(
  { issuer, tokenFile, client, caFile }: SignalTransmitterConfig,
  now: Clock,
): ClientTokens | undefined {
  if (tokenFile !== undefined) {
    return {
      get: async () => (await readFile(tokenFile, 'utf8')).trim(),
      drop: () => undefined,
    };
  }
  if (!client) return undefined;
  const { id: clientId, keyFile, secretFile = '', ...rest } = client;
  return clientTokens({
    ...{ issuer, clientId, now, ...rest, ...(caFile !== undefined && { caFile }) },
    authentication:
      keyFile === undefined
        ? { method: 'client_secret_basic', secretFile }
        : { method: 'private_key_jwt', keyFile },
  });
}

async function poll(
  { to, pollUrl, tokens }: { to: Outbound; pollUrl: string; tokens: ClientTokens },
  body: object,
  signal: AbortSignal,
): Promise<unknown> {
  const token = await tokens.get();
  const answer = await to.post(pollUrl, JSON.stringify(body), {
    signal,
    headers: {
      ...{ 'content-type': 'application/json', accept: 'application/json' },
      authorization: `Bearer ${token}`,
    },
  });
  if (answer.status === 401) tokens.drop();
  if (answer.status !== 200) throw new Error(`found HTTP ${answer.status}, expected 200`);
  return JSON.parse(answer.body);
}
