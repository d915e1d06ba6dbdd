import { Buffer } from 'node:buffer';
import { createPublicKey } from 'node:crypto';
import type { UpstreamAuthority } from '../authority/upstream-authority.ts';
import { parseCertificate } from '../certificate/parse-certificate.ts';
import { createGrpcChannel, type GrpcChannel } from '../grpc/grpc-client.ts';
import { GRPC_STATUS, GrpcError } from '../grpc/grpc-status.ts';
import type { JwtAuthority } from '../jwt/jwt-key.ts';
import type { AnyMessageType, MessageOf, MessageType } from '../protobuf/message.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { parseTrustDomain } from '../spiffe-id.ts';
import { connectWithSource, type SpiffeClient } from '../tls/serve.ts';
import { createWorkloadClient } from '../workload-api/workload-client.ts';
import { openX509Source, type X509Source } from '../workload-api/x509-source.ts';
import { authorityRequest } from './authority-request.ts';
import { createRootsFollower } from './roots-follower.ts';
import {
  BUNDLE_SERVICE,
  bundleMessage,
  getBundleRequest,
  newDownstreamX509CaRequest,
  newDownstreamX509CaResponse,
  publishJwtAuthorityRequest,
  publishJwtAuthorityResponse,
  SVID_SERVICE,
} from './spire-messages.ts';
import { upstreamRefused, upstreamUnavailable } from './upstream-error.ts';

/** What an upstream SPIRE is. */
export interface SpireUpstreamOptions {
  /** The SPIRE server's API, `spire.bank.example:8081`. */
  readonly server: { readonly host: string; readonly port: number };
  /** The Workload API of the SPIRE agent on this host: where our own identity before the server comes from. */
  readonly workloadApi: string;
  readonly trustDomain: string;
  /** How often SPIRE's bundle is looked at; SPIRE's own five seconds if not said. */
  readonly lookEveryMs?: number;
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

const CALL_MS = 10_000;

/**
 * An upstream SPIRE server: ours is a downstream authority of it, in the same trust domain and below the same roots.
 *
 * SPIRE has an entry for this process with `downstream` set; by it the agent gives it an SVID, and with that the server signs
 * our authorities and takes our JWT keys into its bundle, so that its workloads believe ours and ours believe its.
 *
 * @see https://spiffe.io/docs/latest/architecture/nested/readme/
 */
export function openSpireUpstream(options: SpireUpstreamOptions): UpstreamAuthority {
  const { server, lookEveryMs = 5000, now } = options;
  const trustDomain = parseTrustDomain(options.trustDomain);
  const host = server.host.includes(':') ? `[${server.host}]` : server.host;
  const name = `spire ${host}:${server.port}`.slice(0, 200);
  const workload = createWorkloadClient({
    endpoint: options.workloadApi,
    random: options.random,
    backOff: { minMs: 500, maxMs: 5000 },
  });
  const end = new AbortController();
  let opened: Promise<Opened> | undefined;

  const open = (): Promise<Opened> => {
    opened ??= openConnection().catch((error) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
  const openConnection = async (): Promise<Opened> => {
    const reasons: string[] = [];
    const signal = AbortSignal.any([end.signal, AbortSignal.timeout(CALL_MS)]);
    const source = await openX509Source({
      client: workload,
      signal,
      onError: (error) => reasons.push(error.message),
    }).catch((cause) => {
      const why = reasons.at(-1) ?? (cause as Error).message;
      throw upstreamUnavailable(name, `no identity of SPIRE's agent: ${why}`, cause);
    });
    const client = connectWithSource(source, {
      // SPIRE's own ID of its server, in every trust domain.
      expect: `spiffe://${trustDomain}/spire/server`,
      now,
    });
    const channel = createGrpcChannel({
      origin: `https://${host}:${server.port}`,
      createConnection: client.http2,
    });
    return { source, client, channel };
  };
  const call = async <Request, Response>(
    path: string,
    [request, response]: readonly [MessageType<Request>, MessageType<Response>],
    message: Partial<Request>,
    signal?: AbortSignal,
  ): Promise<Response> => {
    const late = AbortSignal.timeout(CALL_MS);
    const signals = [end.signal, late, ...(signal ? [signal] : [])];
    try {
      const { channel } = await open();
      for await (const answer of channel.call({
        path: `/${path}`,
        request: request as AnyMessageType,
        response: response as AnyMessageType,
        message,
        metadata: {},
        signal: AbortSignal.any(signals),
      })) {
        return answer as Response;
      }
    } catch (cause) {
      throw spiffeErrorOf(name, cause);
    }
    throw upstreamUnavailable(name, 'no answer');
  };
  const bundle = async (signal?: AbortSignal): Promise<MessageOf<typeof bundleMessage>> => {
    const found = await call(
      `${BUNDLE_SERVICE}/GetBundle`,
      [getBundleRequest, bundleMessage],
      {},
      signal,
    );
    if (found.trustDomain !== trustDomain) {
      throw upstreamRefused(name, `trust domain '${found.trustDomain}'`, `'${trustDomain}'`);
    }
    return found;
  };
  // What SPIRE has tainted is on its way out: nothing of ours is to be believed by it.
  const rootsOf = ({ x509Authorities }: MessageOf<typeof bundleMessage>): readonly Uint8Array[] => {
    const roots = x509Authorities.flatMap(({ asn1, tainted }) => (tainted ? [] : [asn1]));
    if (roots.length === 0) throw upstreamRefused(name, 'a bundle without roots', 'one or more');
    return roots;
  };
  const follower = createRootsFollower(async () => rootsOf(await bundle()), {
    everyMs: lookEveryMs,
  });

  return {
    name,
    mintX509Authority: async ({ signer, ttlSeconds, signal }) => {
      const { der } = await authorityRequest(signer, { trustDomain });
      const { caCertChain } = await call(
        `${SVID_SERVICE}/NewDownstreamX509CA`,
        [newDownstreamX509CaRequest, newDownstreamX509CaResponse],
        { csr: der, preferredTtl: ttlSeconds },
        signal,
      );
      // As SPIRE's own plugin: the answer's roots do not tell which are tainted.
      const x509Roots = rootsOf(await bundle(signal));
      const isRoot = (each: Uint8Array) =>
        x509Roots.some((root) => Buffer.from(root).equals(each)) ||
        Buffer.from(parseCertificate(each).issuer).equals(parseCertificate(each).subject);
      const chain = caCertChain.filter((each) => !isRoot(each));
      if (chain.length === 0) throw upstreamRefused(name, 'no certificate', 'one');
      return { chain, x509Roots };
    },
    followRoots: follower.followRoots,
    publishJwtAuthority: async ({ keyId, publicKey, notAfterMs }) => {
      const { jwtAuthorities } = await call(
        `${BUNDLE_SERVICE}/PublishJWTAuthority`,
        [publishJwtAuthorityRequest, publishJwtAuthorityResponse],
        {
          jwtAuthority: {
            publicKey: publicKey.export({ format: 'der', type: 'spki' }),
            keyId,
            expiresAt: Math.floor(notAfterMs / 1000),
            tainted: false,
          },
        },
      );
      return jwtAuthorities.flatMap((each): readonly JwtAuthority[] =>
        each.tainted
          ? []
          : [
              {
                keyId: each.keyId,
                publicKey: createPublicKey({
                  key: Buffer.from(each.publicKey),
                  format: 'der',
                  type: 'spki',
                }),
              },
            ],
      );
    },
    close: async () => {
      follower.stop();
      end.abort();
      const last = await opened?.catch(() => undefined);
      last?.channel.close();
      last?.client.close();
      last?.source.close();
      workload.close();
    },
  };
}

interface Opened {
  readonly source: X509Source;
  readonly client: SpiffeClient;
  readonly channel: GrpcChannel;
}

function spiffeErrorOf(name: string, cause: unknown): SpiffeError {
  if (cause instanceof SpiffeError) {
    return cause.code.startsWith('ERR_SPIFFE_UPSTREAM')
      ? cause
      : upstreamUnavailable(name, cause.message, cause);
  }
  if (!(cause instanceof GrpcError)) return upstreamUnavailable(name, String(cause), cause);
  switch (cause.status) {
    case GRPC_STATUS.permissionDenied:
      return upstreamRefused(
        name,
        `a refusal (${cause.message})`,
        'an entry for this process with `downstream` in SPIRE',
        cause,
      );
    case GRPC_STATUS.invalidArgument:
    case GRPC_STATUS.unimplemented:
      return upstreamRefused(name, `a refusal (${cause.message})`, 'it to be done', cause);
    default:
      return upstreamUnavailable(name, cause.message, cause);
  }
}
