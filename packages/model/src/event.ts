import { z } from 'zod';
import { ModelError } from './model-error.ts';
import { REASONS } from './reason.ts';
import { EVIDENCE_LEVELS, SURFACE_MODES } from './surface.ts';

/**
 * The version of the event contract. Fields are added, never changed and never removed; a reader
 * ignores fields that it does not know, so this number moves only if that promise has to break.
 */
export const EVENT_VERSION = 1;

const uid = z.object({ type: z.string(), id: z.string() });
const spiffeId = z.string().max(2048);

/** Personal fields of an event, encrypted under keys of the persons whom they are about. */
const sealedPart = z.object({
  /** The tree of keys: writer, quarter and retention class, such as `edge/2026q4/evidence`. */
  key: z.string().max(200),
  /** Pseudonyms, behind `~` how often the person had been erased. Without the key of any of them the part is lost. */
  persons: z.array(z.string().max(64)).min(1).max(16),
  /** Salt, commitment, ciphertext and tag; base64url. */
  data: z.string().max(65_535),
});

/** What every event carries. */
const envelope = {
  v: z.literal(EVENT_VERSION),
  /** 22 characters; a decision, its outcome and its closure share one. */
  id: z.string().min(1).max(64),
  /** When it happened, by the clock of the enforcement point; milliseconds since the epoch. */
  at: z.number().int().nonnegative(),
  /** The origin of the log that it was written to. */
  origin: z.string(),
  /** Its index in that log: contiguous, so that a gap is seen. */
  seq: z.number().int().nonnegative(),
  /** The class of retention, by which it is kept; events of before there were classes have none. */
  retention: z.string().min(1).max(63).optional(),
  /** True for traffic replayed to give a baseline; never counted as something that happened. */
  replayed: z.literal(true).optional(),
  /** What is not for everyone who may read the record; see the `privacy` part of the audit room. */
  sealed: z.array(sealedPart).max(3).optional(),
};

/** Who and what a request was about, as far as it was known when the event was written. */
const request = {
  surface: z.string().optional(),
  mode: z.enum(SURFACE_MODES).optional(),
  method: z.string().max(32).optional(),
  /** The path template of the operation, or nothing when there was no route; never the raw path. */
  route: z.string().max(1024).optional(),
  subject: spiffeId.optional(),
  actors: z.array(spiffeId).optional(),
  caller: spiffeId.optional(),
  /** The SPIFFE ID of a federated trust domain at the other end, which is registered for the subject. */
  peer: spiffeId.optional(),
  session: z.string().max(128).optional(),
  /** Transaction id: the same at every hop. */
  txn: z.string().max(128).optional(),
  ip: z.string().max(64).optional(),
  /** SHA-256 (base64url) of the access or transaction token; never the token. */
  tokenHash: z.string().optional(),
  evidence: z.enum(EVIDENCE_LEVELS).optional(),
};

const authentication = z.object({
  ...envelope,
  ...request,
  kind: z.literal('authentication'),
  /** `refused` for a failed handshake and for a token that did not verify. */
  result: z.enum(['accepted', 'refused', 'would-refuse']),
  reason: z.string(),
  /** What exactly was wrong, for the bank's people; never shown to the caller. */
  detail: z.string().max(1000).optional(),
  listener: z.string().optional(),
});

/** How the caller signed its request (RFC 9421): all that a stranger needs to verify it again. */
const signature = z.object({
  /** The value of `@signature-params`: what is covered, when, under which name for the key. */
  input: z.string().max(4096),
  /** Base64. */
  value: z.string().max(1024),
  /** RFC 9421 §6.2: `ed25519`, `ecdsa-p256-sha256`, `rsa-pss-sha512`. */
  algorithm: z.string().max(64),
  /** The signature base, with the hash of a token where a token stood: see `withheld`. */
  base: z.string().max(32_768),
  /** Fields in `base` whose token is replaced by its SHA-256 (base64url): the token is needed to verify. */
  withheld: z.array(z.object({ field: z.string().max(64), sha256: z.string().max(64) })).optional(),
  /** Public JWK. */
  key: z.record(z.string().max(16), z.string().max(2048)),
  /** RFC 7638, SHA-256, base64url. */
  keyThumbprint: z.string().max(64),
  /** What makes it the actor's: the token's DPoP key, or the certificate of the connection. */
  keyFrom: z.enum(['dpop', 'certificate', 'svid']),
  /** That certificate: DER, base64. */
  certificate: z.string().max(8192).optional(),
});

const base64url = (max: number) => z.string().max(max);

/** What a person's authenticator signed over this transaction (WebAuthn): all that a stranger needs to verify it again. */
const assertion = z.object({
  /** The text whose SHA-256 is the challenge. */
  statement: z.string().max(8192),
  credentialId: base64url(1364),
  authenticatorData: base64url(1366),
  clientDataJson: base64url(2731),
  signature: base64url(683),
  /** As it was registered: COSE_Key. */
  publicKey: base64url(1024),
  rpId: z.string().max(253),
  origins: z.array(z.string().max(512)).max(16),
});

const decision = z.object({
  ...envelope,
  ...request,
  kind: z.literal('decision'),
  effect: z.enum(['permit', 'deny', 'challenge']),
  /** False in shadow mode for anything but a permit: it was recorded and not acted upon. */
  enforced: z.boolean(),
  reason: z.enum(REASONS),
  detail: z.string().max(1000).optional(),
  action: z.string().optional(),
  resource: uid.optional(),
  /** The Cedar context, exactly as evaluated, so that the decision can be made again. */
  context: z.record(z.string(), z.json()).optional(),
  resourceParents: z.array(uid).optional(),
  /** What the token's issuer vouches of the subject, where no fact tells of it. */
  subjectEntity: z
    .object({ attributes: z.record(z.string(), z.json()), parents: z.array(uid) })
    .optional(),
  policies: z.array(z.string()).optional(),
  errors: z.array(z.object({ policy: z.string(), message: z.string() })).optional(),
  policyVersion: z.string(),
  factSequence: z.number().int().nonnegative(),
  factsAgeMs: z.number().optional(),
  microseconds: z.number().optional(),
  stateChanging: z.boolean().optional(),
  /** Verified; with evidence E2 its content was compared with the digest too. */
  signature: signature.optional(),
  /** Verified; with evidence E3 its content was compared with the digest in the statement too. */
  assertion: assertion.optional(),
  /** Why a signature that came did not count, or not for its content. */
  signatureFault: z.string().max(300).optional(),
  /** The DPoP proof, where it is not in `signature.base` already. */
  dpop: z.string().max(8192).optional(),
  /** The level that the point where the transaction came in vouches for. */
  evidenceVouched: z.enum(EVIDENCE_LEVELS).optional(),
});

const outcome = z.object({
  ...envelope,
  kind: z.literal('outcome'),
  surface: z.string().optional(),
  subject: spiffeId.optional(),
  session: z.string().max(128).optional(),
  txn: z.string().max(128).optional(),
  mode: z.enum(SURFACE_MODES).optional(),
  /**
   * The status that the caller gets, or 0 when it gets none (the exchange broke off). Some resources
   * answer beyond 599 (RFC 9110 §15), and what they answered must not be missing from the record.
   */
  status: z.number().int().min(0).max(999),
  /** Body bytes; absent when the length was not known before the answer left: see the closure. */
  bytes: z.number().int().nonnegative().optional(),
  /** Whether the request reached the protected resource. */
  forwarded: z.boolean(),
  /** What broke, when something did: `upstream-unreachable`, `client-abort`, `upstream-reset` … */
  failure: z.string().max(200).optional(),
  /** From the head of the request to the head of the answer. */
  milliseconds: z.number().nonnegative().optional(),
});

const closure = z.object({
  ...envelope,
  kind: z.literal('closure'),
  surface: z.string().optional(),
  subject: spiffeId.optional(),
  session: z.string().max(128).optional(),
  txn: z.string().max(128).optional(),
  /** How a stream, an upgraded socket or a long answer ended. */
  cause: z.enum([
    'complete',
    'client-abort',
    'upstream-reset',
    'revoked',
    'expired',
    'policy-changed',
    'shutdown',
  ]),
  detail: z.string().max(1000).optional(),
  bytes: z.number().int().nonnegative(),
  milliseconds: z.number().nonnegative(),
});

const administration = z.object({
  ...envelope,
  kind: z.literal('administration'),
  /** What was done: `bundle-published`, `workload-enrolled`, `session-revoked`, `svid-issued` … */
  action: z.string().max(64),
  /** Who did it: a SPIFFE ID, `local:uid=<n>` for the admin socket, or `system`. */
  by: z.string().max(2048),
  target: z.string().max(2048).optional(),
  detail: z.record(z.string(), z.json()).optional(),
});

const signal = z.object({
  ...envelope,
  kind: z.literal('signal'),
  type: z.string(),
  subject: spiffeId,
  session: z.string().optional(),
  reason: z.string().max(1000),
  level: z.string().optional(),
  /** Of a device-compliance-change: `compliant` or `not-compliant`. */
  compliance: z.string().max(20).optional(),
  feature: z.string().optional(),
  score: z.number().optional(),
  /** The events that raised it, by id. */
  because: z.array(z.string()).optional(),
});

const alarm = z.object({
  ...envelope,
  kind: z.literal('alarm'),
  /** `log-fork`, `log-gap`, `bundle-refused`, `facts-refused`, `facts-stale`, `policy-error` … */
  alarm: z.string().max(64),
  detail: z.string().max(1000),
  surface: z.string().optional(),
});

const schema = z.discriminatedUnion('kind', [
  authentication,
  decision,
  outcome,
  closure,
  administration,
  signal,
  alarm,
]);

/** One line of a log; see the contract's promise at {@link EVENT_VERSION}. */
export type Event = Readonly<z.infer<typeof schema>>;
/** The kinds of {@link Event}. */
export type EventKind = Event['kind'];
/** See the envelope's `sealed`. */
export type SealedPart = Readonly<z.infer<typeof sealedPart>>;
/** A peer or a token was accepted or refused. */
export type AuthenticationEvent = Readonly<z.infer<typeof authentication>>;
/** A request was decided. */
export type DecisionEvent = Readonly<z.infer<typeof decision>>;
/** What the caller got. */
export type OutcomeEvent = Readonly<z.infer<typeof outcome>>;
/** How an answer whose length was not known ended. */
export type ClosureEvent = Readonly<z.infer<typeof closure>>;
/** Somebody changed something. */
export type AdministrationEvent = Readonly<z.infer<typeof administration>>;
/** Trust changed. */
export type SignalEvent = Readonly<z.infer<typeof signal>>;
/** Something is wrong with Countersign itself or with what it was given. */
export type AlarmEvent = Readonly<z.infer<typeof alarm>>;

/** The exact bytes that enter a log. Those bytes are hashed; they are never made again. */
export function encodeEvent(event: Event): Uint8Array {
  return Buffer.from(JSON.stringify(event), 'utf8');
}

/**
 * Reads a log entry's bytes.
 *
 * @throws {ModelError} `ERR_MODEL_EVENT_INVALID` when it is no event of this contract
 */
export function decodeEvent(bytes: Uint8Array): Event {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
  } catch (cause) {
    throw new ModelError('ERR_MODEL_EVENT_INVALID', 'cannot read event: found no JSON', { cause });
  }
  return parseEvent(value);
}

/**
 * Reads an event from outside.
 *
 * @throws {ModelError} `ERR_MODEL_EVENT_INVALID` naming the field at fault
 */
export function parseEvent(value: unknown): Event {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    throw new ModelError(
      'ERR_MODEL_EVENT_INVALID',
      `cannot read event: ${z.prettifyError(parsed.error)}`,
    );
  }
  return parsed.data;
}
