import {
  type Collector,
  type ExporterStatus,
  METRICS_TYPE,
  type Metrics,
  type PublishStatus,
  type RecordKeyStore,
  type RollingLog,
} from '@countersign/audit';
import type { Identity, ProviderStanding } from '@countersign/identity';
import type { Problem } from '@countersign/policy';
import type { RiskEngine } from '@countersign/risk';
import type { BundleStore, FactLog } from '@countersign/state';
import type { FastifyPluginAsync } from 'fastify';
import type { FederationStatus } from '../federation/federation-routes.ts';
import type { ListenerCertificateStatus } from '../listener-certificate/listener-certificates.ts';
import { PartlyApplied } from './partly-applied.ts';
import type { Publication } from './publish-bundle.ts';
import { collectedSize, heardAtMs, refusalOf } from './record/collected-logs.ts';
import type { EventStream } from './record/event-stream.ts';
import type { IndexLag } from './record/index-lags.ts';
import type { Recorder } from './record/own-record.ts';
import type { CheckpointStatus } from './record/witness-checkpoints.ts';
import type { StorageStatus } from './state/storage-status.ts';

/** What applying the repository came to. */
export interface Applied extends Publication {
  /** Processes that must be restarted to take what the new configuration says of them. */
  readonly restart: readonly string[];
}

/** What the routes read and do. */
export interface OperatorRoutesOptions {
  readonly trustDomain: string;
  readonly identity: Identity;
  readonly collector: Collector;
  readonly bundles: BundleStore;
  readonly factLog: FactLog;
  readonly log: RollingLog;
  readonly stream: EventStream;
  readonly record: Recorder;
  /** Names the operator in the record. */
  readonly by: string;
  readonly risk: RiskEngine;
  readonly checkpoints: () => CheckpointStatus;
  readonly exports: () => readonly ExporterStatus[];
  readonly index: () => readonly IndexLag[];
  readonly published: () => readonly PublishStatus[];
  readonly federationStatus: () => FederationStatus;
  /** Certificates of the bank's own that the authority's listeners show. */
  readonly certificates: () => readonly ListenerCertificateStatus[];
  /** Where the state is, and whether it is reached. */
  readonly storage: () => StorageStatus;
  /** Where people sign in elsewhere. */
  readonly identityProviders: () => readonly ProviderStanding[];
  readonly metrics: Metrics;
  readonly recordKeys: RecordKeyStore;
  /** By point: the version of the record's keys that it holds. */
  readonly keyVersions: ReadonlyMap<string, number>;
  /** Names of issuers beside the authority. */
  readonly issuers: () => readonly string[];
  /** SPIFFE IDs that have the feed open now. */
  readonly connected: () => ReadonlySet<string>;
  /** Checks the repository anew and publishes it, or tells what is wrong with it. */
  readonly apply: (options: { readonly again: boolean }) => Promise<Applied | readonly Problem[]>;
}

/**
 * What the composition adds to the operator's socket: `GET /v1/status`, `GET /v1/metrics`, `POST /v1/apply?again=true`,
 * `GET /v1/events?replay=true` (endless JSON lines), `GET /v1/risk/<SPIFFE ID>`.
 */
export function operatorRoutes(options: OperatorRoutesOptions): FastifyPluginAsync {
  const { identity, collector, bundles, factLog, log, stream, risk } = options;
  return async (app) => {
    app.get('/v1/status', async () => {
      const connected = options.connected();
      const issuers = new Set(options.issuers());
      const told = await Promise.all(
        identity.points().map(async ({ name, spiffeId }) => ({
          name,
          spiffeId,
          connected: connected.has(spiffeId),
          logSize: (await collectedSize(collector, name)) ?? 0,
          refused: refusalOf(collector, name),
          recordKeys: options.keyVersions.get(name),
          heardAtMs: heardAtMs(collector, name),
        })),
      );
      const current = bundles.current();
      return {
        trustDomain: options.trustDomain,
        bundleSequence: current?.sequence ?? 0,
        policyVersion: current?.version ?? '',
        factSequence: factLog.sequence,
        logSize: log.size,
        storage: options.storage(),
        checkpoints: options.checkpoints(),
        points: told.filter(({ name }) => !issuers.has(name)),
        issuers: told.filter(({ name }) => issuers.has(name)),
        exports: options.exports(),
        recordKeys: options.recordKeys.version,
        index: options.index(),
        published: options.published(),
        federation: options.federationStatus(),
        certificates: options.certificates(),
        identityProviders: options.identityProviders(),
        ca: identity.authorities.show(),
      };
    });

    app.get('/v1/metrics', async (_request, reply) =>
      reply.type(METRICS_TYPE).send(await options.metrics.text()),
    );

    app.post<{ Querystring: { again?: string } }>('/v1/apply', async (request, reply) => {
      let result: Applied | readonly Problem[];
      try {
        result = await options.apply({ again: request.query.again === 'true' });
      } catch (error) {
        if (!(error instanceof PartlyApplied)) throw error;
        const title = 'only a part is in force';
        return reply
          .code(500)
          .type('application/problem+json')
          .send({ title, status: 500, detail: error.message });
      }
      if (!isProblems(result)) return result;
      return reply
        .code(422)
        .type('application/problem+json')
        .send({
          title: 'the repository has errors; nothing was published',
          status: 422,
          detail: result
            .map(
              ({ file, line, found, expected }) =>
                `${file}:${line ?? ''} found ${found}, expected ${expected}`,
            )
            .join('; ')
            .slice(0, 4000),
          problems: result,
        });
    });

    app.get<{ Querystring: { replay?: string } }>('/v1/events', async (request, reply) => {
      const replay = request.query.replay === 'true';
      // INVARIANT: that somebody watches is on disk before anything is shown.
      await options.record({
        kind: 'administration',
        action: 'record-read',
        by: options.by,
        detail: { command: 'events --follow', replay },
      });
      reply.hijack();
      const { raw } = reply;
      const ended = new AbortController();
      raw.on('close', () => ended.abort());
      raw.writeHead(200, { 'content-type': 'application/x-ndjson' });
      for await (const event of stream.follow({ replay, signal: ended.signal })) {
        if (!raw.write(`${JSON.stringify(event)}\n`)) {
          await new Promise<void>((resolve) => {
            raw.once('drain', resolve);
            raw.once('close', resolve);
          });
        }
      }
      raw.end();
    });

    app.get<{ Params: { '*': string } }>('/v1/risk/*', async (request) =>
      risk.score(request.params['*']),
    );
  };
}

function isProblems(result: Applied | readonly Problem[]): result is readonly Problem[] {
  return Array.isArray(result);
}
