import type { EntityUid } from './access-request.ts';
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
  readonly client?: ClientRegistration;
}

/** How a subject gets access tokens. Tokens are always bound: to its certificate or a DPoP key. */
export interface ClientRegistration {
  readonly id: string;
  readonly authentication: 'tls_client_auth' | 'private_key_jwt';
  /** Public keys for `private_key_jwt`. */
  readonly jwks?: readonly Readonly<Record<string, unknown>>[];
  readonly binding: 'mtls' | 'dpop';
  readonly scopes: readonly string[];
  /** Resource indicators (RFC 8707) it may ask for: surfaces' audiences. */
  readonly audiences: readonly string[];
  /** 1 to 300. */
  readonly tokenTtlSeconds: number;
}

/** What to do on which signal, from `playbooks/*.yaml`. */
export interface Playbook {
  readonly name: string;
  readonly on: SignalType;
  readonly when: { readonly level?: 'LOW' | 'MEDIUM' | 'HIGH'; readonly feature?: string };
  /** In order. */
  readonly do: readonly PlaybookAction[];
}

/** `revoke-session` ends the signal's session (and the subject's streams); `disable-subject` all of it. */
export type PlaybookAction = 'revoke-session' | 'disable-subject';
