/** Why a request was refused; stable words that events, tests and dashboards rely on. */
export const DENIAL_REASONS = [
  // authenticate
  'certificate-missing',
  'certificate-invalid',
  'certificate-expired',
  'certificate-revoked',
  'peer-unregistered',
  'token-missing',
  'token-malformed',
  'token-signature',
  'token-issuer',
  'token-audience',
  'token-expired',
  'token-not-yet-valid',
  'token-type',
  'token-subject',
  'token-binding',
  'token-revoked',
  'session-revoked',
  'subject-disabled',
  'session-missing',
  'request-cross-site',
  'issuer-unreachable',
  'dpop-invalid',
  'dpop-nonce',
  'dpop-replayed',
  'transaction-token-missing',
  'transaction-token-invalid',
  'transaction-token-expired',
  'authentication-throttled',
  'signature-invalid',
  'signature-replayed',
  // describe
  'path-ambiguous',
  'request-ambiguous',
  'route-unknown',
  'method-unknown',
  // decide
  'session-narrowed',
  'scope-insufficient',
  'evidence-insufficient',
  'content-mismatch',
  'content-too-large',
  'content-timeout',
  'policy-none-permits',
  'policy-forbids',
  'policy-error',
  'authentication-insufficient',
  'facts-stale',
  'policy-missing',
  // record
  'log-unavailable',
  // enforce
  'overloaded',
] as const;

/** One of {@link DENIAL_REASONS}. */
export type DenialReason = (typeof DENIAL_REASONS)[number];

/** All reasons a decision can carry. */
export const REASONS = ['policy-permits', ...DENIAL_REASONS] as const;
/** One of {@link REASONS}. */
export type Reason = (typeof REASONS)[number];
