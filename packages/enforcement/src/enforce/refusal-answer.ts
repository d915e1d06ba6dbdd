import { assertNever, type Challenge, type DenialReason } from '@countersign/model';
import type { AuthenticationScheme } from '../authenticate/identity.ts';
import type { Answer } from '../exchange.ts';
import { LIMITS } from '../limits.ts';

/** What a caller may know of its refusal. */
export interface RefusalView {
  readonly reason: DenialReason;
  readonly eventId: string;
  readonly scheme: AuthenticationScheme;
  /** The scopes of the operation, for `scope-insufficient`. */
  readonly scopes?: readonly string[];
  readonly challenge?: Challenge;
  /** What the caller must sign (RFC 9421 §5), where the surface asks for a signature. */
  readonly acceptSignature?: string;
  /** How long to wait before signing again. */
  readonly retryAfterSeconds?: number;
  /** What the next DPoP proof must name, for `dpop-nonce`. */
  readonly nonce?: string;
  /** The methods of the path, for `method-unknown`. */
  readonly methods?: readonly string[];
}

/** What kinds of refusal a caller can tell apart; the exact reason stays in the record. */
type RefusalClass =
  | 'authentication'
  | 'authentication-proof'
  | 'authentication-nonce'
  | 'authentication-level'
  | 'throttled'
  | 'request'
  | 'cross-site'
  | 'route'
  | 'method'
  | 'narrowed'
  | 'scope'
  | 'evidence'
  | 'content'
  | 'content-size'
  | 'content-timeout'
  | 'policy'
  | 'unavailable';

interface ClassView {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
}

const CLASSES: { readonly [K in RefusalClass]: ClassView } = {
  authentication: {
    status: 401,
    title: 'Not authenticated',
    detail: 'The request carries no credentials that are valid here.',
  },
  'authentication-proof': {
    status: 401,
    title: 'Not authenticated',
    detail: 'The DPoP proof is not valid for this request.',
  },
  'authentication-nonce': {
    status: 401,
    title: 'Not authenticated',
    detail: 'The DPoP proof must name the nonce of this answer.',
  },
  'authentication-level': {
    status: 401,
    title: 'Stronger authentication needed',
    detail: 'This operation asks for a stronger or a more recent authentication.',
  },
  throttled: {
    status: 429,
    title: 'Too many failed attempts',
    detail: 'Too many credentials of this caller did not verify; wait before trying new ones.',
  },
  request: {
    status: 400,
    title: 'Ambiguous request',
    detail: 'The request can be read in more than one way.',
  },
  'cross-site': {
    status: 403,
    title: 'Sent by another site',
    detail: 'The request does not come from a page of this application.',
  },
  route: {
    status: 404,
    title: 'No such operation',
    detail: 'The API description has no operation for this path.',
  },
  method: {
    status: 405,
    title: 'No such operation',
    detail: 'The API description has no operation for this method.',
  },
  narrowed: {
    status: 403,
    title: 'Session narrowed',
    detail: 'The session is good for less than its token says, and not for this.',
  },
  scope: {
    status: 403,
    title: 'Scope missing',
    detail: 'The token lacks a scope that this operation needs.',
  },
  evidence: {
    status: 403,
    title: 'Stronger evidence needed',
    detail: 'This operation asks for requests that bind their caller more strongly than this one.',
  },
  content: {
    status: 400,
    title: 'Content differs',
    detail: 'The content is not what the signature of the request covers.',
  },
  'content-size': {
    status: 413,
    title: 'Content too large',
    detail: `Signed content may have at most ${LIMITS.contentBytes} bytes here.`,
  },
  'content-timeout': {
    status: 408,
    title: 'Content too slow',
    detail: `Signed content must be whole within ${LIMITS.contentTimeoutMs / 1000} s here.`,
  },
  policy: { status: 403, title: 'Not permitted', detail: 'The policy does not permit this.' },
  unavailable: {
    status: 503,
    title: 'Temporarily unavailable',
    detail: 'The request cannot be decided and recorded at the moment.',
  },
};

/**
 * The answer to a refused request: an RFC 9457 problem document that names the event, and never a
 * policy. Who is not authenticated hears only that, so nobody learns the API by asking; who is
 * hears 404 and 405 (RFC 9110 §15.5.5, §15.5.6): the API description is theirs to know.
 */
export function refusalAnswer(view: RefusalView): Answer {
  const kind = classOf(view.reason);
  const { status, title, detail } = CLASSES[kind];
  const body = JSON.stringify({
    type: `urn:countersign:problem:${kind}`,
    title,
    status,
    detail,
    eventId: view.eventId,
  });
  return {
    status,
    headers: [
      'Content-Type',
      'application/problem+json',
      'Cache-Control',
      'no-store',
      'Countersign-Event-Id',
      view.eventId,
      ...challengeFields(kind, view),
    ],
    body,
  };
}

function challengeFields(kind: RefusalClass, view: RefusalView): readonly string[] {
  switch (kind) {
    case 'authentication':
      return authenticationFields(view);
    case 'authentication-proof':
      // RFC 9449 §7.1
      return field(`DPoP error="invalid_dpop_proof", ${ALGORITHMS}`);
    case 'authentication-nonce':
      // RFC 9449 §9
      return [
        ...field(`DPoP error="use_dpop_nonce", ${ALGORITHMS}`),
        'DPoP-Nonce',
        view.nonce ?? '',
      ];
    case 'authentication-level':
      return levelFields(view);
    case 'scope':
      // RFC 6750 §3.1: 403 with the scopes that are needed.
      return schemes(view.scheme).flatMap((scheme) =>
        field(`${scheme} error="insufficient_scope", scope="${quoted(view.scopes?.join(' '))}"`),
      );
    case 'method':
      return ['Allow', (view.methods ?? []).join(', ')];
    case 'throttled':
      return ['Retry-After', String(Math.ceil(LIMITS.failureWindowMs / 1000))];
    case 'unavailable':
      return ['Retry-After', String(LIMITS.retryAfterSeconds)];
    case 'evidence':
    case 'content':
      return [
        ...(view.acceptSignature ? ['Accept-Signature', view.acceptSignature] : []),
        ...(view.retryAfterSeconds ? ['Retry-After', String(view.retryAfterSeconds)] : []),
      ];
    case 'content-timeout':
      // RFC 9110 §15.5.9: whoever gave up waiting for the rest says that it will not read it.
      return ['Connection', 'close'];
    case 'content-size':
    case 'request':
    case 'cross-site':
    case 'route':
    case 'policy':
    // No token with the scope would help: none of this session has it.
    case 'narrowed':
      return [];
    default:
      return assertNever(kind);
  }
}

const ALGORITHMS = 'algs="ES256 PS256 EdDSA"';

function authenticationFields({ scheme, reason }: RefusalView): readonly string[] {
  // No registered scheme asks for a client certificate; RFC 9110 §11.6.1 wants a challenge all the same.
  if (scheme === 'mutual-tls') return field('Mutual-TLS');
  // RFC 6750 §3.1: no error code when the caller did not try.
  const error = reason === 'token-missing' ? '' : 'error="invalid_token"';
  return schemes(scheme).flatMap((each) => {
    const parameters = [error, each === 'DPoP' ? ALGORITHMS : ''].filter((part) => part !== '');
    return field(`${each} ${parameters.join(', ')}`.trim());
  });
}

/** RFC 9470 §3 */
function levelFields({ scheme, challenge }: RefusalView): readonly string[] {
  const parameters = ['error="insufficient_user_authentication"'];
  if (challenge?.acrValues)
    parameters.push(`acr_values="${quoted(challenge.acrValues.join(' '))}"`);
  if (challenge?.maxAgeSeconds !== undefined) {
    parameters.push(`max_age="${challenge.maxAgeSeconds}"`);
  }
  return schemes(scheme).flatMap((each) => field(`${each} ${parameters.join(', ')}`));
}

function schemes(scheme: AuthenticationScheme): readonly ('Bearer' | 'DPoP')[] {
  switch (scheme) {
    case 'both':
      return ['Bearer', 'DPoP'];
    case 'mutual-tls':
      return ['Bearer'];
    // Browsers are told where to sign in, by whoever shows them the answer.
    case 'cookie':
      return [];
    default:
      return [scheme];
  }
}

function field(challenge: string): readonly string[] {
  return ['WWW-Authenticate', challenge];
}

function quoted(value = ''): string {
  return value.replaceAll(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, '');
}

function classOf(reason: DenialReason): RefusalClass {
  switch (reason) {
    case 'certificate-missing':
    case 'certificate-invalid':
    case 'certificate-expired':
    case 'certificate-revoked':
    case 'peer-unregistered':
    case 'token-missing':
    case 'token-malformed':
    case 'token-signature':
    case 'token-issuer':
    case 'token-audience':
    case 'token-expired':
    case 'token-not-yet-valid':
    case 'token-type':
    case 'token-subject':
    case 'token-binding':
    case 'token-revoked':
    case 'session-revoked':
    case 'subject-disabled':
    case 'session-missing':
    case 'transaction-token-missing':
    case 'transaction-token-invalid':
    case 'transaction-token-expired':
      return 'authentication';
    case 'dpop-invalid':
    case 'dpop-replayed':
      return 'authentication-proof';
    case 'dpop-nonce':
      return 'authentication-nonce';
    case 'authentication-throttled':
      return 'throttled';
    case 'path-ambiguous':
    case 'request-ambiguous':
      return 'request';
    case 'route-unknown':
      return 'route';
    case 'method-unknown':
      return 'method';
    case 'session-narrowed':
      return 'narrowed';
    case 'scope-insufficient':
      return 'scope';
    case 'authentication-insufficient':
      return 'authentication-level';
    case 'evidence-insufficient':
    case 'signature-invalid':
    case 'signature-replayed':
      return 'evidence';
    case 'content-mismatch':
      return 'content';
    case 'content-too-large':
      return 'content-size';
    case 'content-timeout':
      return 'content-timeout';
    case 'policy-none-permits':
    case 'policy-forbids':
    case 'policy-error':
      return 'policy';
    case 'request-cross-site':
      return 'cross-site';
    case 'issuer-unreachable':
    case 'facts-stale':
    case 'policy-missing':
    case 'log-unavailable':
    case 'overloaded':
      return 'unavailable';
    default:
      return assertNever(reason);
  }
}

/** The answer when the resource gave none. */
export function gatewayAnswer(
  failure: 'unreachable' | 'timeout' | 'overloaded' | 'broken',
  eventId: string | undefined,
): Answer {
  const status = failure === 'timeout' ? 504 : failure === 'overloaded' ? 503 : 502;
  const title = {
    unreachable: 'Resource unreachable',
    timeout: 'Resource timed out',
    overloaded: 'Too many requests to this resource',
    broken: 'Resource broke off',
  }[failure];
  return {
    status,
    headers: [
      'Content-Type',
      'application/problem+json',
      'Cache-Control',
      'no-store',
      ...(eventId ? ['Countersign-Event-Id', eventId] : []),
      ...(status === 503 ? ['Retry-After', String(LIMITS.retryAfterSeconds)] : []),
    ],
    body: JSON.stringify({
      type: `urn:countersign:problem:resource-${failure}`,
      title,
      status,
      ...(eventId && { eventId }),
    }),
  };
}
