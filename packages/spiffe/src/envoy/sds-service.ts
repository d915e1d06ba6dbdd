import { createHash } from 'node:crypto';
import type { GrpcService } from '../grpc/grpc-server.ts';
import { GRPC_STATUS, GrpcError } from '../grpc/grpc-status.ts';
import type { MessageOf } from '../protobuf/message.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { createChanges } from '../workload-api/state-stream.ts';
import type { WorkloadServing } from '../workload-api/workload-service.ts';
import type { WorkloadChange } from '../workload-api/workload-source.ts';
import { discoveryRequest, discoveryResponse, SECRET_TYPE, secretMessage } from './sds-messages.ts';
import { secretsOf } from './secrets.ts';

type Request = MessageOf<typeof discoveryRequest>;

/**
 * Envoy's secret discovery service, v3, state of the world; the delta protocol is unimplemented, as in SPIRE.
 *
 * The security header is not asked for: Envoy does not send it by itself.
 *
 * @see Envoy: xDS REST and gRPC protocol, "ACK/NACK and resource type instance version"
 */
export function sdsService<Caller>({
  source,
  callerOf,
  delayMs,
}: WorkloadServing<Caller>): GrpcService {
  const answer = async (caller: Caller, names: readonly string[]) => {
    const [svids, bundles] = await Promise.all([source.x509Svids(caller), source.bundles(caller)]);
    if (!bundles) {
      throw new SpiffeError(
        'ERR_SPIFFE_WORKLOAD_DENIED',
        'could not serve secrets: found a caller without bundles, expected one that is registered',
      );
    }
    const resources = secretsOf(names, { svids, bundles }).map((secret) => ({
      typeUrl: SECRET_TYPE,
      value: secretMessage.encode(secret),
    }));
    const hash = createHash('sha256');
    for (const { value } of resources) hash.update(value);
    return { versionInfo: hash.digest('hex').slice(0, 16), typeUrl: SECRET_TYPE, resources };
  };
  return {
    name: 'envoy.service.secret.v3.SecretDiscoveryService',
    methods: {
      FetchSecrets: {
        request: discoveryRequest,
        response: discoveryResponse,
        isClientStream: false,
        isServerStream: false,
        async *handle(requests: AsyncIterable<Request>, call) {
          const caller = await callerOf(call);
          for await (const request of requests) {
            requireType(request);
            yield await answer(caller, request.resourceNames);
          }
        },
      },
      StreamSecrets: {
        request: discoveryRequest,
        response: discoveryResponse,
        isClientStream: true,
        isServerStream: true,
        async *handle(requests: AsyncIterable<Request>, call) {
          const caller = await callerOf(call);
          const inbox = inboxOf(requests);
          const stop = source.onChange(caller, inbox.change);
          call.signal.addEventListener('abort', inbox.end);
          try {
            let names: readonly string[] | undefined;
            let nonce = 0;
            for await (const event of inbox.events(delayMs)) {
              if (event !== 'change') {
                requireType(event);
                // A word about an answer that is not the last one: Envoy will speak of that one, too.
                const isStale = event.responseNonce !== '' && event.responseNonce !== `${nonce}`;
                const isSame = names !== undefined && sameNames(names, event.resourceNames);
                if (isStale || (event.responseNonce !== '' && isSame)) continue;
                names = event.resourceNames;
              }
              if (!names) continue;
              nonce += 1;
              yield { ...(await answer(caller, names)), nonce: `${nonce}` };
            }
          } finally {
            stop();
            call.signal.removeEventListener('abort', inbox.end);
          }
        },
      },
    },
  };
}

/** Requests and changes in one line; many changes are one, and requests are bounded. */
function inboxOf(requests: AsyncIterable<Request>) {
  const waiting: Request[] = [];
  const changes = createChanges();
  let hasEnded = false;
  let failure: unknown;
  let wake: () => void = () => undefined;
  const end = (): void => {
    hasEnded = true;
    changes.end();
    wake();
  };
  (async () => {
    for await (const request of requests) {
      // An Envoy sends a request for each answer, no more.
      if (waiting.length >= REQUESTS_WAITING_MAX) {
        throw new GrpcError(GRPC_STATUS.resourceExhausted, 'too many requests wait');
      }
      waiting.push(request);
      wake();
    }
  })().then(end, (error) => {
    failure = error;
    end();
  });
  return {
    change: (change?: WorkloadChange): void => {
      changes.tell(change);
      wake();
    },
    end,
    async *events(delayMs: () => number): AsyncGenerator<Request | 'change'> {
      for (;;) {
        const request = waiting.shift();
        if (request) yield request;
        else if (hasEnded) {
          if (failure !== undefined) throw failure;
          return;
        } else if (changes.isWaiting) {
          await changes.delay(delayMs());
          changes.take();
          yield 'change';
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    },
  };
}

const REQUESTS_WAITING_MAX = 64;

function requireType({ typeUrl }: Request): void {
  if (typeUrl === '' || typeUrl === SECRET_TYPE) return;
  throw new GrpcError(
    GRPC_STATUS.invalidArgument,
    `found type ${typeUrl}, expected ${SECRET_TYPE}`,
  );
}

function sameNames(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name) => other.includes(name));
}
