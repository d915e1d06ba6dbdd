import type { Clock, Event } from '@countersign/model';
import { type Database, migrate } from '@countersign/state';
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { NewEvent, Recorder } from '../new-event.ts';
import type { Bearer, SignalScope } from './bearer.ts';
import { type Polling, type PollTransmitter, pollTransmitter } from './poll-transmitter.ts';
import { type DeliveryTrouble, type PostToken, PushDeliverer } from './push-deliverer.ts';
import type { ReceiveOptions, SignalActions } from './receive.ts';
import { type PushSource, receiverRoutes } from './receiver-routes.ts';
import type { SignalSigner } from './security-event-token.ts';
import { type PumpTrouble, SignalPump, type SignalSource } from './signal-pump.ts';
import { signalMigrations } from './signal-tables.ts';
import { namesOf, PUSH, type StreamStatus } from './stream.ts';
import { Streams } from './streams.ts';
import { isReceiverOf, type SignalReceiver, transmitterRoutes } from './transmitter-routes.ts';

/** A transmitter that this authority asks. */
export interface PollSource extends PushSource {
  readonly poll: PollTransmitter;
}

/** What signals need of the outside. */
export interface SignalsOptions {
  readonly database: Database;
  /** An https origin: `iss` of what is sent, and where receivers find everything. */
  readonly issuer: string;
  readonly signer: SignalSigner;
  readonly source: SignalSource;
  readonly reveal: (event: Event) => Event | undefined;
  /** As the configuration says now. */
  readonly receivers: () => readonly SignalReceiver[];
  readonly authorize: (request: FastifyRequest, scope: SignalScope) => Promise<Bearer>;
  readonly post: PostToken;
  readonly actions: SignalActions;
  readonly pushSources: readonly PushSource[];
  readonly pollSources: readonly PollSource[];
  readonly record: Recorder;
  readonly now: Clock;
  readonly warn: (text: string) => void;
}

/** How a stream stands. */
export interface StreamReport {
  readonly id: string;
  readonly client: string;
  readonly method: 'push' | 'poll';
  readonly endpoint?: string;
  readonly status: StreamStatus;
  readonly reason?: string;
  readonly events: readonly string[];
  readonly waiting: number;
  readonly oldestWaitingMs?: number;
  readonly trouble?: DeliveryTrouble;
}

/** How a transmitter that is listened to stands. */
export interface SourceReport {
  readonly name: string;
  readonly method: 'push' | 'poll';
  readonly issuer: string;
  readonly trouble?: DeliveryTrouble;
}

/** Signals in and out (OpenID Shared Signals Framework 1.0). */
export interface Signals {
  /** For the listener of signals. */
  readonly routes: FastifyPluginAsync;
  status(): Promise<{
    readonly streams: readonly StreamReport[];
    readonly sources: readonly SourceReport[];
    readonly trouble?: PumpTrouble;
  }>;
  /** False when there is no such stream. */
  setStatus(
    id: string,
    to: { readonly status: StreamStatus; readonly reason?: string },
  ): Promise<boolean>;
  verify(id: string): Promise<boolean>;
  close(): Promise<void>;
}

/**
 * Opens the transmitter and the receivers. What is sent comes from the authority's log, which is thereby the durable outbox;
 * what is received is acted on and recorded before it is acknowledged.
 */
export async function openSignals(options: SignalsOptions): Promise<Signals> {
  const { database, issuer, signer, record, now, warn, receivers } = options;
  await migrate(database, { room: 'signals', migrations: signalMigrations });
  const streams = new Streams(database, now);
  await streams.load();
  const tell = (event: NewEvent): void => {
    record(event).catch((error: Error) => warn(`an alarm was not recorded: ${error.message}`));
  };
  const alarm = (name: string, detail: string): void => {
    warn(`alarm ${name}: ${detail}`);
    tell({ kind: 'alarm', alarm: name, detail: detail.slice(0, 1000) });
  };
  const pump = new SignalPump({
    ...options,
    streams,
    isReceiver: (stream) => isReceiverOf(stream, receivers()),
    onOverflow: ({ id, clientId, reason }) =>
      alarm('signal-stream-disabled', `${clientId} ${id}: ${reason}`),
  });
  const deliverer = new PushDeliverer({
    ...{ streams, signer, issuer, now, post: options.post },
    isAllowed: (stream) => isReceiverOf(stream, receivers()),
    onRefused: ({ id, clientId }, { jti }, detail) =>
      alarm('signal-refused', `${clientId} ${id}: ${jti}: ${detail}`),
  });
  const receiving: ReceiveOptions = { database, actions: options.actions, record, now };
  const sources = new Map(options.pushSources.map((source) => [source.name, source]));
  const pollings = new Map<string, { source: PollSource; polling: Polling }>();
  for (const source of options.pollSources) {
    const polling = pollTransmitter(source, { ...receiving, poll: source.poll });
    pollings.set(source.name, { source, polling });
  }
  deliverer.start();
  pump.wake();
  return {
    routes: async (app) => {
      await app.register(
        transmitterRoutes({
          ...{ issuer, streams, signer, receivers, record, now },
          authorize: options.authorize,
        }),
      );
      await app.register(receiverRoutes({ ...receiving, sources: () => sources }));
    },
    async status() {
      const queues = await streams.queues();
      return {
        streams: streams.all().map(({ id, clientId, delivery, status, reason, requested }) => {
          const queue = queues.get(id);
          const trouble = deliverer.trouble(id);
          return {
            ...{ id, client: clientId, status, waiting: queue?.count ?? 0 },
            ...(delivery.method === PUSH
              ? { method: 'push' as const, endpoint: delivery.url }
              : { method: 'poll' as const }),
            ...(reason !== undefined && { reason }),
            events: namesOf(requested),
            ...(queue && { oldestWaitingMs: now() - queue.oldestMs }),
            ...(trouble && { trouble }),
          };
        }),
        sources: [
          ...options.pushSources.map(({ name, issuer: from }) => ({
            ...{ name, method: 'push' as const, issuer: from },
          })),
          ...[...pollings.values()].map(({ source: { name, issuer: from }, polling }) => {
            const trouble = polling.trouble();
            return { name, method: 'poll' as const, issuer: from, ...(trouble && { trouble }) };
          }),
        ],
        ...(pump.trouble && { trouble: pump.trouble }),
      };
    },
    async setStatus(id, to) {
      const stream = streams.get(id);
      if (stream) await streams.setStatus(stream, to);
      return stream !== undefined;
    },
    async verify(id) {
      const stream = streams.get(id);
      if (stream) await streams.verify(stream, undefined);
      return stream !== undefined;
    },
    async close() {
      for (const { polling } of pollings.values()) await polling.close();
      await deliverer.close();
      await pump.close();
    },
  };
}
