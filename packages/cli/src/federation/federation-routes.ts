import { X509Certificate } from 'node:crypto';
import {
  type Federation,
  type Identity,
  IdentityError,
  type PartnerStatus,
} from '@countersign/identity';
import { certificateThumbprint, parseBundle, parseSpiffeId } from '@countersign/spiffe';
import type { FastifyPluginAsync } from 'fastify';
import type { RunningBundleEndpoint } from './serve-bundle-endpoint.ts';

/** What `GET /v1/federation` answers. */
export interface FederationStatus {
  readonly own: {
    readonly trustDomain: string;
    readonly sequence: number;
    readonly refreshHintSeconds: number;
    readonly endpoints: readonly OwnEndpointStatus[];
  };
  readonly partners: readonly PartnerStatus[];
}

/** A listener that serves our bundle. */
export interface OwnEndpointStatus {
  readonly profile: 'https_spiffe' | 'https_web';
  readonly address: string;
  readonly path: string;
  /** Answers with the bundle since the start. */
  readonly served: number;
  readonly trouble?: string;
}

/** What `GET /v1/federation/<trust domain>` answers. */
export interface PartnerDetail extends PartnerStatus {
  readonly authorities: readonly {
    readonly subject: string;
    readonly sha256: string;
    readonly notBeforeMs: number;
    readonly notAfterMs: number;
  }[];
  readonly keyIds: readonly string[];
  /** Subjects that SPIFFE IDs of it are registered for. */
  readonly subjects: readonly { readonly spiffeId: string; readonly subject: string }[];
  /** Workloads that get its bundle from their nodes. */
  readonly federatesWith: readonly string[];
}

/** How federation is, for the status and for metrics. */
export function federationStatus(options: {
  readonly federation: Federation;
  readonly identity: Pick<Identity, 'publishedBundle' | 'trustAnchors'>;
  readonly endpoints: readonly RunningBundleEndpoint[];
}): FederationStatus {
  const { federation, identity, endpoints } = options;
  const { trustDomain } = identity.trustAnchors;
  const { sequence, refreshHintSeconds } = parseBundle(identity.publishedBundle(), { trustDomain });
  return {
    own: {
      ...{ trustDomain, sequence, refreshHintSeconds },
      endpoints: endpoints.map(({ profile, address: { host, port }, path, served, trouble }) => {
        const detail = trouble();
        return {
          ...{ profile, address: `${host}:${port}`, path, served: served() },
          ...(detail !== undefined && { trouble: detail }),
        };
      }),
    },
    partners: federation.status(),
  };
}

/**
 * `GET /v1/bundle` (ours, a SPIFFE JWK Set), `GET /v1/federation`, `GET /v1/federation/<trust domain>`, `POST /v1/federation/<trust domain>/refresh` (fetches now and
 * answers how it is then).
 *
 * @param options `by` names the operator in the record
 */
export function federationRoutes(options: {
  readonly federation: Federation;
  readonly identity: Identity;
  readonly endpoints: readonly RunningBundleEndpoint[];
  readonly by: string;
}): FastifyPluginAsync {
  const { federation, identity, by } = options;
  return async (app) => {
    app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
      const isUnknown = error instanceof IdentityError && error.code === 'ERR_IDENTITY_FEDERATION';
      const status = isUnknown ? 404 : (error.statusCode ?? 500);
      return reply
        .code(status)
        .type('application/problem+json')
        .send({ title: 'no such partner', status, detail: error.message });
    });
    app.get('/v1/bundle', async (_request, reply) =>
      reply.type('application/json').send(identity.publishedBundle()),
    );
    app.get('/v1/federation', async () => federationStatus(options));
    app.get<{ Params: { name: string } }>('/v1/federation/:name', async (request) =>
      detailOf(request.params.name),
    );
    app.post<{ Params: { name: string } }>('/v1/federation/:name/refresh', async (request) => {
      await federation.refresh(request.params.name, { by });
      return detailOf(request.params.name);
    });
  };

  async function detailOf(trustDomain: string): Promise<PartnerDetail> {
    const status = federation.status().find((each) => each.trustDomain === trustDomain);
    if (!status) {
      throw new IdentityError(
        'ERR_IDENTITY_FEDERATION',
        `found no partner '${trustDomain.slice(0, 255)}', expected one of federation/ that is applied`,
      );
    }
    const bundle = federation.held(trustDomain);
    const registrations = await identity.registrations();
    return {
      ...status,
      authorities: (bundle?.x509Authorities ?? []).map((der) => {
        const { subject, validFrom, validTo } = new X509Certificate(der);
        return {
          subject: subject.replaceAll('\n', ', '),
          sha256: certificateThumbprint(der),
          notBeforeMs: Date.parse(validFrom),
          notAfterMs: Date.parse(validTo),
        };
      }),
      keyIds: (bundle?.jwtAuthorities ?? []).map(({ keyId }) => keyId),
      subjects: registrations.flatMap(({ subject, spiffeIds = [] }) =>
        spiffeIds
          .filter((id) => parseSpiffeId(id).trustDomain === trustDomain)
          .map((spiffeId) => ({ spiffeId, subject: subject.id })),
      ),
      federatesWith: registrations
        .filter(({ federatesWith = [] }) => federatesWith.includes(trustDomain))
        .map(({ subject }) => subject.id),
    };
  }
}
