import type { EntityUid } from './access-request.ts';
import type { JoinRule } from './join-rule.ts';
import type { SignalType } from './signal.ts';
import type { Subject } from './subject.ts';

/** A subject that the bank has registered, from `identities/*.yaml`. */
export interface Registration {
  readonly subject: Subject;
  /** Who at the bank answers for it. */
  readonly owner: string;
  readonly enabled: boolean;
  /** In Cedar's JSON form. */
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly parents: readonly EntityUid[];
  /** SHA-256 (base64url, over DER) of client certificates that map to it at an edge listener. */
  readonly certificates: readonly string[];
  /** SPIFFE IDs of federated trust domains that are this subject; of a partner or workload only. */
  readonly spiffeIds?: readonly string[];
  /** Federated trust domains whose bundles nodes hand out with its SVID. */
  readonly federatesWith?: readonly string[];
  /** Whose subject it is; absent for the bank's own. */
  readonly organisation?: Organisation;
  readonly client?: ClientRegistration;
  /** When the registration itself ends; ms since the epoch. From then on it is as if it were disabled. */
  readonly expiresMs?: number;
  /** A host that attests workloads and hands them their SVIDs: `countersign node` runs there as this subject. */
  readonly isNode?: boolean;
  /** Which processes, on which nodes, are this workload; each alternative is enough. */
  readonly attestations?: readonly Attestation[];
  /** By what it may join without a join token; each alternative is enough. */
  readonly joins?: readonly JoinRule[];
  /** The life of SVIDs that nodes hand out, 10 to 86,400; by default as the authority's configuration says. */
  readonly svidTtlSeconds?: number;
  /** What the identity is for, told to a workload that has several (SPIFFE Workload API §5.2.1). */
  readonly hint?: string;
}

/** A company that the bank works with; its subjects end with the contract, and are cut off together. */
export interface Organisation {
  /** Lower-case kebab, unique in the repository. */
  readonly name: string;
  readonly legalName: string;
  /** Who at the bank answers for it. */
  readonly sponsor: string;
  /** A reference to the contract. */
  readonly contract: string;
  /** When the contract ends; ms since the epoch. */
  readonly untilMs: number;
}

/** One way to be a workload: on one of these nodes, with all of these properties. */
export interface Attestation {
  /** SPIFFE IDs of subjects that are nodes. */
  readonly nodes: readonly string[];
  /** Such as `unix:uid:1001`; all of them must hold of the process. */
  readonly selectors: readonly string[];
}

/**
 * How a client authenticates at the token endpoint: with a registered certificate, a registered key, or an SVID.
 *
 * @see RFC 8705 §2.1, RFC 7523 §2.2, draft-ietf-oauth-spiffe-client-auth
 */
export type ClientAuthentication =
  | 'tls_client_auth'
  | 'private_key_jwt'
  | 'spiffe_x509'
  | 'spiffe_jwt';

/** How a subject gets access tokens. Tokens are always bound: to its certificate or a DPoP key. */
export interface ClientRegistration {
  /** Of a client that shows SVIDs, their SPIFFE ID: the subject's own, or one of another trust domain. */
  readonly id: string;
  readonly authentication: ClientAuthentication;
  /** Public keys for `private_key_jwt`. */
  readonly jwks?: readonly Readonly<Record<string, unknown>>[];
  readonly binding: 'mtls' | 'dpop';
  readonly scopes: readonly string[];
  /** Resource indicators (RFC 8707) it may ask for: surfaces' audiences. */
  readonly audiences: readonly string[];
  /** 1 to 300. */
  readonly tokenTtlSeconds: number;
  /** Makes it an application that people sign in to: its tokens are theirs, and it gets none of its own. */
  readonly people?: PeopleClient;
  /** In whose name it may act; absent: in nobody's but its own. */
  readonly exchange?: ExchangeRule;
  /** Types of authorization details (RFC 9396) that it may ask for; absent: none. */
  readonly detailTypes?: readonly string[];
}

/** How many may act in one chain, when nobody says. */
export const ACTORS_DEFAULT = 3;
/** How many may act in one chain at most: enforcement points read no longer one. */
export const ACTORS_MAX = 5;

/**
 * By what a client acts for others: token exchange (RFC 8693). Of agents and workloads only.
 *
 * @see docs/decisions/0019-who-acts-is-named-and-proves-its-own-key.md
 */
export interface ExchangeRule {
  /** Ids of the clients whose tokens it takes over: those who hand them to it. */
  readonly from: readonly string[];
  /** Audiences that are this client itself: a token that was handed to it names one of them. */
  readonly serves: readonly string[];
  /** How many may act in a chain, itself included: 1 to {@link ACTORS_MAX}. */
  readonly depthMax: number;
}

/** What an application for people may do at the issuer's authorization endpoint. */
export interface PeopleClient {
  /** Compared character by character (RFC 9700 §2.1). */
  readonly redirectUris: readonly string[];
  /** How people must have signed in, at least: OpenID EAP ACR Values 1.0. */
  readonly acr: Acr;
  /** Whether it gets refresh tokens; they end with the person's session. */
  readonly refresh: boolean;
  /** Whether it may ask a person who is elsewhere (CIBA Core 1.0); absent: it may not. */
  readonly ciba?: boolean | undefined;
  /** Where it is told that an approval was answered (ping mode); absent: it polls. */
  readonly notificationEndpoint?: string | undefined;
}

/**
 * From the lowest, each contains those before it. `idp`: signed in at the bank's identity provider, which proved no more. `phr`:
 * phishing-resistant. `phrh`: phishing-resistant, by a key that hardware protects.
 */
export const ACR_VALUES = ['idp', 'phr', 'phrh'] as const;
/** One of {@link ACR_VALUES}. */
export type Acr = (typeof ACR_VALUES)[number];

/** How somebody may have authenticated: the words of `amr` that tokens have. RFC 8176 §2. */
export const AMR_VALUES = [
  ...['face', 'fpt', 'geo', 'hwk', 'iris', 'kba', 'mca', 'mfa', 'otp', 'pin', 'pop'],
  ...['pwd', 'rba', 'retina', 'sc', 'sms', 'swk', 'tel', 'user', 'vbm', 'wia'],
] as const;
/** One of {@link AMR_VALUES}. */
export type Amr = (typeof AMR_VALUES)[number];

/** What to do on which signal, from `playbooks/*.yaml`. */
export interface Playbook {
  readonly name: string;
  readonly on: SignalType;
  readonly when: { readonly level?: 'LOW' | 'MEDIUM' | 'HIGH'; readonly feature?: string };
  /** In order. */
  readonly do: readonly PlaybookAction[];
}

/**
 * `narrow-session` leaves the signal's session what changes nothing; `revoke-session` ends it (and the subject's streams);
 * `revoke-sessions` ends all of the subject's; `disable-subject` the subject itself.
 */
export type PlaybookAction =
  | 'narrow-session'
  | 'revoke-session'
  | 'revoke-sessions'
  | 'disable-subject';
