import { z } from 'zod';
import { ASSURANCES, DEVICE_OWNERSHIPS, POSTURE_SIGNALS } from './device.ts';
import { assertNever } from './invariant.ts';
import { ModelError } from './model-error.ts';

const entityUid = z.strictObject({ type: z.string().min(1), id: z.string() });
const level = z.enum(['LOW', 'MEDIUM', 'HIGH']);
/** The words of CAEP risk-level-change. A subject without a risk fact is `unknown`, never LOW. */
export type RiskLevel = z.infer<typeof level>;

const assurance = z.enum(ASSURANCES);
const evidence = z.strictObject({
  value: z.enum(['true', 'false']),
  source: z.string(),
  observedAtMs: z.number().int(),
  untilMs: z.number().int(),
  assurance,
});

const schema = z.discriminatedUnion('kind', [
  /** A registered subject. A peer or a token subject that has none of these is unregistered. */
  z.strictObject({
    kind: z.literal('subject'),
    /** SPIFFE ID. */
    id: z.string(),
    enabled: z.boolean(),
    owner: z.string(),
    /** Attributes of its Cedar entity, in Cedar's JSON form. */
    attributes: z.record(z.string(), z.json()),
    /** Groups it is in; parents of its Cedar entity. */
    parents: z.array(entityUid),
    /** SHA-256 (base64url, over DER) of the client certificates that map to it at an edge listener. */
    certificates: z.array(z.string()),
    /** SPIFFE IDs of federated trust domains that are this subject. */
    spiffeIds: z.array(z.string()).optional(),
  }),
  /** Any other entity that policies talk about (an account and its holder). */
  z.strictObject({
    kind: z.literal('entity'),
    uid: entityUid,
    attributes: z.record(z.string(), z.json()),
    parents: z.array(entityUid),
  }),
  z.strictObject({
    kind: z.literal('risk'),
    subject: z.string(),
    level,
    score: z.number().min(0).max(100),
    reasons: z.array(z.string()),
    atMs: z.number().int(),
  }),
  /** Something that is no longer good. Kept until what it revokes would have ended by itself. */
  z.strictObject({
    kind: z.literal('revocation'),
    /** `session` by its id, `token` by its jti, `subject` by SPIFFE ID, `certificate` by SHA-256 base64url. */
    target: z.enum(['session', 'token', 'subject', 'certificate']),
    value: z.string(),
    reason: z.string(),
    atMs: z.number().int(),
    untilMs: z.number().int(),
  }),
  /** A session that is good for less than its tokens say. Kept until it would have ended by itself. */
  z.strictObject({
    kind: z.literal('narrowing'),
    /** The session's id, as tokens name it in `sid`. */
    session: z.string().regex(/^\S+$/),
    /** What is left of the scopes; absent: all of them. */
    scopes: z.array(z.string()).optional(),
    /** Nothing that may change state. */
    readOnly: z.boolean(),
    reason: z.string(),
    atMs: z.number().int(),
    untilMs: z.number().int(),
  }),
  /** A key that access tokens are signed with. */
  z.strictObject({
    kind: z.literal('issuer-key'),
    /** A URL (RFC 8414 §2), so without white space: that keeps {@link factKey} unambiguous. */
    issuer: z.string().regex(/^\S+$/),
    kid: z.string(),
    /** Public JWK. */
    jwk: z.record(z.string(), z.json()),
    notAfterMs: z.number().int(),
  }),
  /** A key with which one enforcement point may mint transaction tokens for the surfaces it fronts. */
  z.strictObject({
    kind: z.literal('transaction-key'),
    kid: z.string(),
    jwk: z.record(z.string(), z.json()),
    /** SPIFFE ID of the enforcement point. */
    holder: z.string(),
    surfaces: z.array(z.string()),
    notAfterMs: z.number().int(),
  }),
  /** A person's authenticator (WebAuthn): with which key it approves transactions. */
  z.strictObject({
    kind: z.literal('credential'),
    /** Credential ID, base64url; so without white space. */
    id: z.string().regex(/^\S+$/),
    /** SPIFFE ID of the person. */
    subject: z.string(),
    /** COSE_Key, base64url. */
    publicKey: z.string(),
    rpId: z.string(),
    origins: z.array(z.string()),
  }),
  /** A device: its key, and how it is kept. Whether it is enabled and revoked is said of its subject. */
  z.strictObject({
    kind: z.literal('device'),
    /** SPIFFE ID. */
    id: z.string().regex(/^\S+$/),
    ownership: z.enum(DEVICE_OWNERSHIPS),
    /** SPIFFE ID of the one person whose device it is; a device that several share has none. */
    owner: z.string().optional(),
    /** RFC 7638 thumbprint of the key that is bound to it; none before it enrolled. */
    keyThumbprint: z.string().optional(),
    /** Signals that are known; others, and those whose time is over, are unknown. */
    posture: z.partialRecord(z.enum(POSTURE_SIGNALS), evidence),
    /** 0 (worst) to 100, as an endpoint protection rates it. */
    score: evidence.extend({ value: z.number().int().min(0).max(100) }).optional(),
  }),
  /** The authorities of a trust domain: ours, or one that we federate with (SPIFFE Trust Domain and Bundle §4). */
  z.strictObject({
    kind: z.literal('trust-bundle'),
    trustDomain: z.string(),
    /** DER in base64. */
    x509Authorities: z.array(z.string()),
    /** Public JWKs with `kid`. */
    jwtAuthorities: z.array(z.record(z.string(), z.json())).optional(),
    /** `spiffe_sequence` and `spiffe_refresh_hint` (seconds) of the bundle. */
    sequence: z.number().int().nonnegative().optional(),
    refreshHintSeconds: z.number().int().positive().optional(),
  }),
]);

/** What a decision point knows besides policy. */
export type Fact = Readonly<z.infer<typeof schema>>;
/** The kinds of {@link Fact}. */
export type FactKind = Fact['kind'];

/** One step in the history of facts; sequences are contiguous from 1 in a trust domain. */
export interface FactChange {
  readonly sequence: number;
  readonly atMs: number;
  readonly puts: readonly Fact[];
  /** Keys as {@link factKey} makes them. */
  readonly removes: readonly string[];
}

/** The key under which a fact replaces its predecessor. */
export function factKey(fact: Fact): string {
  switch (fact.kind) {
    case 'subject':
      return `subject ${fact.id}`;
    case 'entity':
      return `entity ${JSON.stringify([fact.uid.type, fact.uid.id])}`;
    case 'risk':
      return `risk ${fact.subject}`;
    case 'revocation':
      return `revocation ${fact.target} ${fact.value}`;
    case 'narrowing':
      return `narrowing ${fact.session}`;
    case 'issuer-key':
      return `issuer-key ${fact.issuer} ${fact.kid}`;
    case 'transaction-key':
      return `transaction-key ${fact.kid}`;
    case 'credential':
      return `credential ${fact.id}`;
    case 'device':
      return `device ${fact.id}`;
    case 'trust-bundle':
      return `trust-bundle ${fact.trustDomain}`;
    default:
      return assertNever(fact);
  }
}

/**
 * Reads a fact from outside.
 *
 * @throws {ModelError} `ERR_MODEL_FACT_INVALID` naming the field at fault
 */
export function parseFact(value: unknown): Fact {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    throw new ModelError(
      'ERR_MODEL_FACT_INVALID',
      `cannot read fact: ${z.prettifyError(parsed.error)}`,
    );
  }
  return parsed.data;
}
