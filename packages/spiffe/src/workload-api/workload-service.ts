import { Buffer } from 'node:buffer';
import type { Bundle } from '../bundle/bundle.ts';
import { encodeJwtBundle } from '../bundle/bundle.ts';
import type { GrpcCall, GrpcMethod, GrpcService } from '../grpc/grpc-server.ts';
import { GRPC_STATUS, GrpcError } from '../grpc/grpc-status.ts';
import { JWT_AUDIENCES } from '../jwt/jwt-audiences.ts';
import { verifyJwtSvid } from '../jwt/verify-jwt-svid.ts';
import type { AnyMessageType } from '../protobuf/message.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { excerpt, parseSpiffeId } from '../spiffe-id.ts';
import { stateStream } from './state-stream.ts';
import {
  emptyMessage,
  jwtBundlesResponse,
  jwtSvidRequest,
  jwtSvidResponse,
  SECURITY_HEADER,
  validateJwtSvidRequest,
  validateJwtSvidResponse,
  WORKLOAD_SERVICE,
  witBundlesResponse,
  witSvidRequest,
  witSvidResponse,
  x509BundlesResponse,
  x509SvidResponse,
} from './workload-messages.ts';
import type {
  WorkloadBundles,
  WorkloadChange,
  WorkloadSource,
  WorkloadX509Svid,
} from './workload-source.ts';

/** How the services of one socket know their callers, and what they have for them. */
export interface WorkloadServing<Caller> {
  readonly source: WorkloadSource<Caller>;
  /** Rejects when the caller cannot be told. */
  readonly callerOf: (call: GrpcCall) => Promise<Caller>;
  readonly now: () => number;
  readonly delayMs: () => number;
}

/** SPIFFE Workload API as one gRPC service. */
export function workloadService<Caller>(serving: WorkloadServing<Caller>): GrpcService {
  const { source, callerOf, now, delayMs } = serving;

  /** A stream of full states, checked anew at each push. */
  const stream = (
    request: AnyMessageType,
    response: AnyMessageType,
    read: (caller: Caller) => Promise<unknown>,
  ): GrpcMethod => ({
    request,
    response,
    isClientStream: false,
    isServerStream: true,
    async *handle(requests, call) {
      requireSecurityHeader(call);
      for await (const _ of requests) break;
      const caller = await callerOf(call);
      const changing = {
        read: () => read(caller),
        onChange: (listener: (change?: WorkloadChange) => void) =>
          source.onChange(caller, listener),
      };
      yield* stateStream(changing, { signal: call.signal, delayMs });
    },
  });
  const unary = <Request>(
    request: AnyMessageType,
    response: AnyMessageType,
    answer: (request: Request, caller: Caller) => Promise<unknown>,
  ): GrpcMethod => ({
    request,
    response,
    isClientStream: false,
    isServerStream: false,
    async *handle(requests, call) {
      requireSecurityHeader(call);
      for await (const each of requests) {
        yield await answer(each as Request, await callerOf(call));
        return;
      }
      throw invalidArgument('no request', 'one');
    },
  });
  const bundlesOf = async (caller: Caller): Promise<WorkloadBundles> =>
    (await source.bundles(caller)) ?? denied('a caller without bundles');

  return {
    name: WORKLOAD_SERVICE,
    methods: {
      FetchX509SVID: stream(emptyMessage('X509SVIDRequest'), x509SvidResponse, async (caller) => {
        const svids = await source.x509Svids(caller);
        if (svids.length === 0) denied('a caller without identity');
        const { own, federated } = await bundlesOf(caller);
        const bundle = Buffer.concat([...own.x509Authorities]);
        return {
          svids: withHintsOnce(svids).map(({ spiffeId, chain, privateKey, hint }) => ({
            spiffeId: spiffeId.uri,
            chain: Buffer.concat([...chain]),
            privateKey,
            bundle,
            ...(hint === undefined ? {} : { hint }),
          })),
          federatedBundles: x509ByTrustDomain(federated),
        };
      }),
      FetchX509Bundles: stream(
        emptyMessage('X509BundlesRequest'),
        x509BundlesResponse,
        async (caller) => {
          const { own, federated } = await bundlesOf(caller);
          return { bundles: x509ByTrustDomain([own, ...federated]) };
        },
      ),
      FetchJWTSVID: unary<{ audiences: readonly string[]; spiffeId: string }>(
        jwtSvidRequest,
        jwtSvidResponse,
        async ({ audiences, spiffeId }, caller) => {
          if (audiences.length === 0 || audiences.includes('')) {
            throw invalidArgument('an empty audience', 'one or more names');
          }
          const { max, charactersMax } = JWT_AUDIENCES;
          if (audiences.length > max || audiences.some(({ length }) => length > charactersMax)) {
            const longest = Math.max(...audiences.map(({ length }) => length));
            throw invalidArgument(
              `${audiences.length} audiences of up to ${longest} characters`,
              `at most ${max} of ${charactersMax}`,
            );
          }
          const asked = spiffeId === '' ? {} : { spiffeId: askedId(spiffeId) };
          const svids = await source.jwtSvids(caller, { audiences, ...asked });
          if (svids.length === 0) denied('a caller without that identity');
          return {
            svids: withHintsOnce(svids).map(({ spiffeId: { uri }, token, hint }) => ({
              spiffeId: uri,
              token,
              ...(hint === undefined ? {} : { hint }),
            })),
          };
        },
      ),
      FetchJWTBundles: stream(
        emptyMessage('JWTBundlesRequest'),
        jwtBundlesResponse,
        async (caller) => {
          const { own, federated } = await bundlesOf(caller);
          return {
            bundles: new Map(
              [own, ...federated].map(({ trustDomain, jwtAuthorities }) => [
                `spiffe://${trustDomain}`,
                Buffer.from(encodeJwtBundle(jwtAuthorities), 'utf8'),
              ]),
            ),
          };
        },
      ),
      ValidateJWTSVID: unary<{ audience: string; token: string }>(
        validateJwtSvidRequest,
        validateJwtSvidResponse,
        async ({ audience, token }, caller) => {
          if (audience === '') throw invalidArgument('no audience', 'the name of the verifier');
          if (token === '') throw invalidArgument('no svid', 'a token');
          return validated(token, { audience, bundles: await bundlesOf(caller), now });
        },
      ),
      FetchWITSVID: incubating(witSvidRequest, witSvidResponse),
      FetchWITBundles: incubating(emptyMessage('WITBundlesRequest'), witBundlesResponse),
    },
  };
}

function validated(
  token: string,
  asked: {
    readonly audience: string;
    readonly bundles: WorkloadBundles;
    readonly now: () => number;
  },
) {
  const { audience, now } = asked;
  const { own, federated } = asked.bundles;
  const bundles = new Map(
    [...federated, own].map(({ trustDomain, jwtAuthorities }) => [trustDomain, jwtAuthorities]),
  );
  try {
    const { spiffeId, claims } = verifyJwtSvid(token, { audience, bundles, now });
    // What another trust domain says besides who, for whom and until when, means nothing here (SPIRE does the same).
    const isForeign = spiffeId.trustDomain !== own.trustDomain;
    return {
      spiffeId: spiffeId.uri,
      claims: isForeign ? registeredClaims(claims) : claims,
    };
  } catch (cause) {
    // SPIFFE Workload API §6.2.3: a token that does not validate is an invalid argument.
    if (cause instanceof SpiffeError) {
      throw new GrpcError(GRPC_STATUS.invalidArgument, cause.message, { cause });
    }
    throw cause;
  }
}

function registeredClaims(claims: Readonly<Record<string, unknown>>) {
  const { sub, aud, exp } = claims;
  return { sub, aud, exp };
}

function incubating(request: AnyMessageType, response: AnyMessageType): GrpcMethod {
  return {
    request,
    response,
    isClientStream: false,
    isServerStream: true,
    // biome-ignore lint/correctness/useYield: it never answers.
    async *handle(_requests, call) {
      requireSecurityHeader(call);
      throw new GrpcError(GRPC_STATUS.unimplemented, 'the wit-svid profile is not served');
    },
  };
}

/** SPIFFE Workload Endpoint §3. */
function requireSecurityHeader({ metadata }: GrpcCall): void {
  if (metadata[SECURITY_HEADER.name] === SECURITY_HEADER.value) return;
  throw invalidArgument(
    `metadata ${SECURITY_HEADER.name} ${excerpt(String(metadata[SECURITY_HEADER.name]))}`,
    `'${SECURITY_HEADER.value}'`,
  );
}

function askedId(text: string) {
  try {
    return parseSpiffeId(text);
  } catch (cause) {
    if (!(cause instanceof SpiffeError)) throw cause;
    throw new GrpcError(GRPC_STATUS.invalidArgument, cause.message, { cause });
  }
}

/** SPIFFE Workload API §5.2.1: a hint stands once in a response; beyond that, and above 1,024 bytes, it is left out. */
function withHintsOnce<Svid extends Pick<WorkloadX509Svid, 'hint'>>(svids: readonly Svid[]) {
  const seen = new Set<string>();
  return svids.map((svid) => {
    const { hint } = svid;
    if (hint === undefined) return svid;
    const isTaken = seen.has(hint) || Buffer.byteLength(hint) > 1024;
    seen.add(hint);
    return isTaken ? { ...svid, hint: undefined } : svid;
  });
}

function x509ByTrustDomain(bundles: readonly Bundle[]): ReadonlyMap<string, Uint8Array> {
  return new Map(
    bundles.map(({ trustDomain, x509Authorities }) => [
      `spiffe://${trustDomain}`,
      Buffer.concat([...x509Authorities]),
    ]),
  );
}

function denied(found: string): never {
  throw new SpiffeError(
    'ERR_SPIFFE_WORKLOAD_DENIED',
    `could not serve workload: found ${found}, expected one that is registered`,
  );
}

function invalidArgument(found: string, expected: string): GrpcError {
  return new GrpcError(GRPC_STATUS.invalidArgument, `found ${found}, expected ${expected}`);
}
